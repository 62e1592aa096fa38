"""`refine convert`: a result file on another body model, or as another file."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from refine.commands.places import check_file, make_folder_of
from refine.errors import InputError

if TYPE_CHECKING:
    from refine.estimate import Estimate

FILES = ("refine", "parameters")
"""What can be written: refine's own npz, and an npz of SMPL(-X) parameters by their public names."""


def convert(
    file: Annotated[Path, typer.Argument(help="A regressor's result file, or refine's own.", show_default=False)],
    to: Annotated[
        list[str],
        typer.Option(
            help="A body model (anny, smpl, smplh, smplx, a model file or its folder), a file (refine, parameters), "
            "or one of each.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="The file to write; FILE_TO.npz in this folder if not named.")
    ] = None,
    format: Annotated[str | None, typer.Option(help="The file's format; recognised if not named.")] = None,
    image: Annotated[Optional[Path], typer.Option(help="The photo, for files that do not know its size.")] = None,  # noqa: UP045
    camera: Annotated[
        str | None,
        typer.Option(
            help="For files without one: a focal rule (diagonal, fov60, ...), a K.json file, or a focal length in px."
        ),
    ] = None,
) -> None:
    """Put the people of a file on another body model, or write them as another file.

    Prints, for a body model, each person's number and what the way from the file's surface to the model's lost: the
    mean distance between the two in mm, of joints where no surface is stored, nan where neither is. A regressor's own
    format is written by `refine fit` and `refine run`.
    """
    from refine.conversion import convert as to_model
    from refine.inputs.estimates import camera_of, estimate_of, estimate_of_file
    from refine.photo import read_photos

    body, kind = _target(to)
    name = "_".join((file.stem, *(() if body is None else (Path(body).stem,)), kind))
    place = Path(f"{name}.npz") if out is None else out
    if place.resolve() == file.resolve():
        raise InputError("--out", "another file than the one that is read", str(place), "Name another.")
    check_file(place)
    if image is None:
        estimate = estimate_of_file(file, camera, None, format)
    else:
        given = camera_of(camera, read_photos(image))
        estimate = estimate_of(file, given, None, format)
        estimate = replace(estimate, notes=(*estimate.notes, *given.notes))
    for note in estimate.notes:
        typer.echo(note, err=True)
    if body is not None:
        done = to_model(estimate, body)
        for note in done.notes:
            typer.echo(note, err=True)
        for person, away in enumerate(done.distance_m.tolist(), 1):
            typer.echo(f"{person} {1000 * away:.2f} mm")
        assert done.estimate is not None
        estimate = done.estimate
    make_folder_of(place)
    _write(estimate, kind, place, own=body is not None)
    typer.echo(f"Written to {place}", err=True)


def _target(to: list[str]) -> tuple[str | None, str]:
    """Return the body model, if one is named, and what to write.

    Raises:
        InputError: Two of a kind are named, or a regressor's format.
    """
    from refine.formats.find import formats

    files = [name for name in to if name in FILES]
    bodies = [name for name in to if name not in FILES]
    if len(files) > 1 or len(bodies) > 1:
        got = ", ".join(to)
        raise InputError("--to", f"one body model, one of {', '.join(FILES)}, or one of each", got, "Convert twice.")
    if bodies and bodies[0] in formats() and not Path(bodies[0]).exists():
        advice = "A regressor's own format is written by `refine fit` and `refine run`, from a file of that format."
        expected = f"a body model (anny, smpl, smplh, smplx, or its file) or one of {', '.join(FILES)}"
        raise InputError("--to", expected, f"the result format {bodies[0]}", advice)
    return bodies[0] if bodies else None, files[0] if files else "refine"


def _write(estimate: "Estimate", kind: str, place: Path, *, own: bool) -> None:
    """Write an estimate as a file of a kind; `own`: in the words of the body it is on, not in those of its source."""
    import torch

    from refine.body.smpl_joints import PARENTS
    from refine.conversion.as_parameters import body_words, source_words
    from refine.estimate.usable import usable_rows
    from refine.files.npz import write_arrays
    from refine.result import Result
    from refine.solve import StopReason

    if kind == "parameters":
        words = body_words(estimate) if own or estimate.source.model not in PARENTS else source_words(estimate)
        write_arrays(place, words)
        return
    nothing = torch.full_like(estimate.bodies.translation[:, 0], torch.nan)
    stop = tuple(StopReason.NO_EVIDENCE if row else StopReason.UNUSABLE for row in usable_rows(estimate).tolist())
    Result(estimate, estimate.state, stop, nothing, nothing, nothing, nothing, notes=estimate.notes).save(place)
