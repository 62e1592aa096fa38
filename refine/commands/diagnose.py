"""`refine diagnose`: what is systematically wrong with a folder of results and keypoints, and the option that undoes it."""

from pathlib import Path
from typing import Annotated, Optional

import typer


def diagnose(
    results: Annotated[str, typer.Argument(help="A result file, a folder of them, or a pattern.", show_default=False)],
    images: Annotated[str, typer.Option(help="Folder or pattern of photos, or a video.", show_default=False)],
    keypoints: Annotated[
        str | None,
        typer.Option(help="Folder or pattern of 2D keypoints, or one file about all photos."),
    ] = None,
    format: Annotated[str | None, typer.Option(help="The results' format; recognised if not named.")] = None,
    camera: Annotated[
        str | None, typer.Option(help="A focal rule (diagonal, fov60, hmr2, ...) or a K.json file.")
    ] = None,
    body_model: Annotated[Optional[Path], typer.Option(help="A model file, or a folder with models.")] = None,  # noqa: UP045
    first_frame: Annotated[
        int | None, typer.Option(min=0, help="The number of a video's first frame in the results' names.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Look at so many results, the first by name.")] = None,
) -> None:
    """Say what is systematically wrong with a folder of results and keypoints.

    One line a fault, parted by tabs: what it is, how sure that is, and the option of `refine run` that undoes it.
    Exit status: 0 nothing found, 1 something found, 2 wrong call.
    """
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
    said = "something" if found else "nothing"
    typer.echo(
        f"{len(sample)} people in {len(sample.frames)} photos, {detected} with keypoints: {said} systematic found.",
        err=True,
    )
    if not detected:
        typer.echo("Without keypoints (--keypoints) only hands can be looked at.", err=True)
    raise typer.Exit(1 if found else 0)
