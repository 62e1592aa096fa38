"""`refine fit`: the people of one photo, from files to files, or npz in and npz out through a pipe (`--stdin`)."""

import logging
import math
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from refine.commands.places import check_folder
from refine.errors import InputError
from refine.folder.outcome import NOTHING_REFINED

if TYPE_CHECKING:
    from refine.result import Result

PIPE_COLUMNS = 160
"""Width of the table where there is no terminal."""


def fit(
    photo: Annotated[Optional[Path], typer.Argument(help="The photo.", show_default=False)] = None,  # noqa: UP045
    init: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="The regressor's result file; its format is recognised.", show_default=False),
    ] = None,
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Folder for the results; made if it is not there.", show_default=False),
    ] = None,
    keypoints: Annotated[Optional[Path], typer.Option(help="2D keypoints (OpenPose, MMPose, COCO, ...).")] = None,  # noqa: UP045
    camera: Annotated[
        str | None, typer.Option(help="A focal rule (diagonal, fov60, hmr2, ...) or a K.json file.")
    ] = None,
    body_model: Annotated[Optional[Path], typer.Option(help="A model file, or a folder with models.")] = None,  # noqa: UP045
    stdin: Annotated[
        bool, typer.Option("--stdin", help="Read an npz (SMPL(-X) parameters, image) from a pipe, write one to a pipe.")
    ] = False,
) -> None:
    """Refine the people of one photo; write the result, the source's own format, an overlay, a report and meshes."""
    import refine

    if stdin:
        from refine.folder.pipe import fit_stream

        if photo is not None or init is not None or out is not None or keypoints is not None:
            advice = "The npz on standard input holds them; see docs/folders.md."
            raise InputError("--stdin", "no PHOTO, --init, --out or --keypoints beside it", "one of them", advice)
        refined = fit_stream(sys.stdin.buffer, camera=camera, body_model=body_model)
        if not refined:
            raise typer.Exit(NOTHING_REFINED)
        return
    if photo is None or init is None or out is None:
        missing = [name for name, given in (("PHOTO", photo), ("--init", init), ("--out", out)) if given is None]
        raise InputError("refine fit", "PHOTO, --init and --out", f"no {', '.join(missing)}", "Or --stdin.")
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    check_folder(out)
    result = refine.fit(photo, init, keypoints=keypoints, camera=camera, body_model=body_model)
    _write_all(result, out, photo.stem, init.suffix)
    _print_table(result)
    if not bool(result.accepted.any()):
        raise typer.Exit(NOTHING_REFINED)


def _write_all(result: "Result", out: Path, stem: str, suffix: str) -> None:
    """Write everything into a hidden folder first and move it then, so that a failure leaves no part of a result behind."""
    from refine.viz.export import write_image

    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", dir=out) as folder:
        draft = Path(folder)
        result.save(draft / f"{stem}_refine.npz")
        result.write_source(draft / f"{stem}_refined{suffix}")
        write_image(draft / f"{stem}_overlay.jpg", result.overlay())
        write_image(draft / f"{stem}_report.png", result.report())
        result.write_obj(draft / f"{stem}.obj")
        names = sorted(path.name for path in draft.iterdir())
        for name in names:
            (draft / name).replace(out / name)
    typer.echo(f"Written to {out}: {', '.join(names)}", err=True)


def _print_table(result: "Result") -> None:
    """Print one row a person."""
    from rich.console import Console
    from rich.table import Table

    table = Table("person", "misfit before px", "after px", "cost before", "after", "most turned joint", "stop")
    for row in range(len(result)):
        joint = int(result.turned[row].argmax())
        table.add_row(
            str(row + 1), *(_number(part[row]) for part in (result.misfit_before, result.misfit, result.cost_before, result.cost)),
            f"{result.body.joint_names[joint]} {float(result.turned[row, joint]):.0f}°", result.stop[row].name,
        )  # fmt: skip
    # Rich cuts a table to 80 columns where there is no terminal; a file or a pipe has room.
    Console(width=None if sys.stdout.isatty() else PIPE_COLUMNS).print(table)


def _number(value: object) -> str:
    """Write a number with one digit, "-" where there is none."""
    number = float(value)  # type: ignore[arg-type]
    return "-" if math.isnan(number) else f"{number:.1f}"
