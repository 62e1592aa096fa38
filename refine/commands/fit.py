"""`refine fit`: the people of one photo, from files to files, or npz in and npz out through a pipe (`--stdin`)."""

import logging
import math
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from refine.commands.one_sentence import print_table
from refine.commands.options import Detector, Fps, Independent, Points3D
from refine.commands.places import check_folder
from refine.errors import InputError, MissingExtra
from refine.folder.outcome import NOTHING_REFINED
from refine.inputs.corrections import Corrections, KeypointCorrection, parse_corrections
from refine.photo.video import VIDEOS

if TYPE_CHECKING:
    from refine.estimate import Estimate
    from refine.keypoints.detections import DetectedPeople
    from refine.result import Result
    from refine.terms import Term


def fit(
    photo: Annotated[Optional[Path], typer.Argument(help="The photo.", show_default=False)] = None,  # noqa: UP045
    init: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="The regressor's result file.", show_default=False),
    ] = None,
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Folder for the results; made if it is not there.", show_default=False),
    ] = None,
    keypoints: Annotated[
        Path | None,
        typer.Option(help="2D keypoints (OpenPose, MMPose, COCO, ...); the network looks at the photo if not named."),
    ] = None,
    detector: Detector = None,
    camera: Annotated[
        str | None,
        typer.Option(help="A focal rule (diagonal, fov60, hmr2, ...), a K.json file, or a focal length in px."),
    ] = None,
    body_model: Annotated[Optional[Path], typer.Option(help="A model file, or a folder with models.")] = None,  # noqa: UP045
    format: Annotated[str | None, typer.Option(help="The result file's format; recognised if not named.")] = None,
    correct: Annotated[
        list[str] | None,
        typer.Option(help="NAME=VALUE: a systematic fault to undo, as `refine diagnose` names it; may be repeated."),
    ] = None,
    points3d: Points3D = None,
    preview: Annotated[
        int | None, typer.Option(min=2, help="Of a video: refine the first so many frames only, to look at.")
    ] = None,
    independent: Independent = False,
    fps: Fps = None,
    stdin: Annotated[
        bool, typer.Option("--stdin", help="Read an npz (SMPL(-X) parameters, image) from a pipe, write one to a pipe.")
    ] = False,
) -> None:
    """Refine the people of one photo; write the result, the source's own format, an overlay, a report and meshes.

    PHOTO may be a video or a folder of its frames: then people are solved as tracks, and the result, the source's own
    format, a video of before and after and a table of all frames are written.

    Exit status: 0 somebody refined, 1 nobody, 2 wrong call.
    """
    import refine

    if stdin:
        from refine.folder.pipe import fit_stream

        if any(one is not None for one in (photo, init, out, keypoints, detector, format, correct, points3d)):
            advice = "The npz on standard input holds them; see docs/folders.md."
            expected = "no PHOTO, --init, --out, --keypoints, --detector, --format, --correct or --points3d beside it"
            raise InputError("--stdin", expected, "one of them", advice)
        refined = fit_stream(sys.stdin.buffer, camera=camera, body_model=body_model)
        if not refined:
            raise typer.Exit(NOTHING_REFINED)
        return
    if photo is None or init is None or out is None:
        missing = [name for name, given in (("PHOTO", photo), ("--init", init), ("--out", out)) if given is None]
        raise InputError("refine fit", "PHOTO, --init and --out", f"no {', '.join(missing)}", "Or --stdin.")
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    check_folder(out)
    if photo.is_dir() or photo.suffix.lower() in VIDEOS:
        from refine.commands.fit_video import refine_video

        if format is not None or correct or points3d is not None:
            advice = "Name the video with --images of `refine run`."
            raise InputError("refine fit", "no --format, --correct or --points3d for a video", "one of them", advice)
        result = refine_video(
            photo, init, out, keypoints=keypoints, detector=detector, camera=camera, body_model=body_model,
            preview=preview, independent=independent, fps=fps,
        )  # fmt: skip
        if not bool(result.accepted.any()):
            raise typer.Exit(NOTHING_REFINED)
        return
    if preview is not None or independent or fps is not None:
        raise InputError("PHOTO", "a video, for --preview, --independent and --fps", str(photo))
    corrections = parse_corrections(correct or ())
    as_it_is = format is None and not corrections.of_estimates
    estimate = init if as_it_is else _read(init, format, photo, camera, corrections)
    people = _people(keypoints, detector, photo, corrections.keypoints)
    terms: "tuple[Term, ...]" = ()
    if points3d is not None:
        estimate, terms = _with_points(points3d, estimate, photo, camera, body_model)
    result = refine.fit(
        photo, estimate, keypoints=people, camera=camera, body_model=body_model, evidence=terms
    )  # fmt: skip
    _write_all(result, out, photo.stem, init.suffix)
    _print_table(result)
    if not bool(result.accepted.any()):
        raise typer.Exit(NOTHING_REFINED)


def _read(init: Path, format: str | None, photo: Path, camera: str | None, corrections: Corrections) -> "Estimate":
    """Read a result file of the named format or with systematic faults, as `refine.fit` reads one without."""
    from refine.inputs.corrected import read_corrected
    from refine.inputs.estimates import camera_of
    from refine.photo import read_photos

    given = camera_of(camera, read_photos(photo))
    first = None if given.camera is None else given.camera[:1]
    return read_corrected(init, corrections, camera=first, format=format, sizes=given.sizes)


def _with_points(
    points3d: str, init: "Path | Estimate", photo: Path, camera: str | None, body_model: Path | None
) -> "tuple[Estimate, tuple[Term, ...]]":
    """Return the estimate as `refine.fit` reads it, and what 3D joints or a cloud say of its bodies."""
    from refine.inputs.estimates import camera_of, estimate_of
    from refine.inputs.points3d import evidence_of, read_points3d
    from refine.photo import read_photos

    estimate = estimate_of(init, camera_of(camera, read_photos(photo)), body_model)
    return estimate, evidence_of(read_points3d(points3d), estimate)


def _people(
    keypoints: Path | None, detector: str | None, photo: Path, correction: KeypointCorrection
) -> "Path | DetectedPeople | str | None":
    """Return the keypoints with what is systematically wrong undone; the file or the detector where nothing is.

    Raises:
        InputError: A correction is of frames, of which there is one, or there is nothing to correct; or there are
            keypoints and a detector.
    """
    if detector is not None:
        from refine.detectors.find import settled_name

        if keypoints is not None:
            raise InputError("--detector", "no --keypoints beside it", "both", "Name the keypoints, or the detector.")
        if correction != KeypointCorrection():
            advice = "A detector that is run here sees the photo as it is."
            raise InputError("--correct", "faults of the estimates, beside --detector", "one of keypoints", advice)
        return settled_name(detector)
    if correction == KeypointCorrection():
        return keypoints
    if correction.frames:
        advice = "A single photo has no frames before and after it: use refine run."
        raise InputError("--correct", "a fault of one photo", "keypoints.frames", advice)
    if keypoints is None:
        raise InputError("--keypoints", "the keypoints that --correct is about", "none", "Name their file.")
    from refine.inputs.keypoint_files import read_keypoints
    from refine.photo.header import upright_size

    size = upright_size(photo)
    return correction.of(read_keypoints(keypoints, image=str(photo), size=size), size)


def _write_all(result: "Result", out: Path, stem: str, suffix: str) -> None:
    """Write everything into a hidden folder first and move it then: a failure leaves no part of a result behind."""
    from refine.export.files import write_image
    from refine.formats.find import written_note

    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", dir=out) as folder:
        draft = Path(folder)
        result.save(draft / f"{stem}_refine.npz")
        result.write_source(draft / f"{stem}_refined{suffix}")
        result.write_obj(draft / f"{stem}.obj")
        try:
            result.write_glb(draft / f"{stem}.glb", texture=result.textures() if len(result.body.uv_faces) else None)
            result.write_html(draft / f"{stem}.html")
            write_image(draft / f"{stem}_overlay.jpg", result.overlay())
            write_image(draft / f"{stem}_report.png", result.report())
        except (OSError, MissingExtra) as error:  # the rasteriser found no place for its kernels
            typer.echo(f"No pictures were made: {error}", err=True)
        names = sorted(path.name for path in draft.iterdir())
        for name in names:
            (draft / name).replace(out / name)
    if note := written_note(result.refined):
        typer.echo(f"{stem}_refined{suffix}: {note}", err=True)
    typer.echo(f"Written to {out}: {', '.join(names)}", err=True)


def _print_table(result: "Result") -> None:
    """Print one row a person."""
    from rich.table import Table

    from refine.result.text import most_turned

    table = Table(
        "person", "misfit before px", "after px", "cost before", "after", "most turned joint", "solver", "verdict"
    )
    for row in range(len(result)):
        table.add_row(
            str(row + 1), *(
                _number(part[row])
                for part in (result.misfit_before, result.misfit, result.cost_before, result.cost)
            ),
            most_turned(result, row), result.stop[row].name,
            result.judgement[row].decision.name if result.judgement else "-",
        )  # fmt: skip
    print_table(table)
    for row, sentence in enumerate(result.verdict, 1):
        typer.echo(f"Person {row}: {sentence}")


def _number(value: object) -> str:
    """Write a number with one digit, "-" where there is none."""
    number = float(value)  # type: ignore[arg-type]
    return "-" if math.isnan(number) else f"{number:.1f}"
