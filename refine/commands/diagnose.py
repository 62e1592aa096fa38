"""`refine diagnose`: what is systematically wrong with a folder of results and keypoints, and what undoes it."""

import typer

from refine.commands.options import AskedCamera, BodyModel, FirstFrame, Format, Images, Keypoints, Limit, Results


def diagnose(
    results: Results,
    images: Images,
    keypoints: Keypoints = None,
    format: Format = None,
    camera: AskedCamera = None,
    body_model: BodyModel = None,
    first_frame: FirstFrame = None,
    limit: Limit = None,
) -> None:
    """Say what is systematically wrong with a folder of results and keypoints.

    One line a fault, parted by tabs: what it is, how sure that is, and the option of `refine run` that undoes it.
    Exit status: 0 nothing found, 1 something found, 2 wrong call.
    """
    from refine.diagnosis.decide import FEWEST
    from refine.diagnosis.decide import diagnose as look
    from refine.diagnosis.gather import gather
    from refine.folder.dry_run import reader_of
    from refine.folder.settings import Settings

    settings = Settings(
        results, images, keypoints=keypoints, format=format, camera=camera, body_model=body_model,
        first_frame=first_frame,
    )  # fmt: skip
    reader, found_names = reader_of(settings, limit=limit, judged=False)
    sample = gather(reader, found_names.names)
    for name, reason in sample.problems:
        typer.echo(f"{name}: {reason}", err=True)
    found = look(sample)
    for one in found:
        typer.echo("\t".join((f"It looks as if {one.words}.", f"{one.sure}.", one.flag or "no option undoes it")))
    detected = sum(frame.people is not None for frame in sample.frames)
    verdict = "something systematic found" if found else "nothing systematic found"
    if len(sample) < FEWEST and not found:
        verdict = f"too few people to tell (at least {FEWEST})"
    typer.echo(
        f"{len(sample)} people in {len(sample.frames)} photo(s), {detected} with keypoints: {verdict}.", err=True
    )
    if not detected:
        typer.echo("Without keypoints (--keypoints) only hands can be looked at.", err=True)
    raise typer.Exit(1 if found else 0)
