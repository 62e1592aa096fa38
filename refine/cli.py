"""The command line: `refine demo` and `refine fit`. Standard output carries data only; everything else goes to standard error."""

import logging
import math
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from refine.errors import InputError, MissingExtra

if TYPE_CHECKING:
    from refine.result import Result

app = typer.Typer(
    help="3D human bodies that really lie on the people in the image.",
    no_args_is_help=True,
    invoke_without_command=True,
    add_completion=False,
)

NOTHING_REFINED, BAD_INPUT = 1, 2
"""Exit status where no body could be refined, and for a caller's mistake."""

PIPE_COLUMNS = 160
"""Width of the table where there is no terminal."""


@app.callback()
def about(
    version: Annotated[bool, typer.Option("--version", help="Print the version and end.", is_eager=True)] = False,
) -> None:
    """3D human bodies that really lie on the people in the image."""
    if version:
        import refine

        typer.echo(refine.__version__)
        raise typer.Exit


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")] = Path("demo_out"),
    people: Annotated[int, typer.Option(min=1, help="Number of people, one photo each.")] = 8,
    seed: Annotated[int, typer.Option(help="Which people.")] = 0,
) -> None:
    """Disturb bodies in rendered photos, refine them, print a table and write pictures of before and after."""
    from refine.demo.run import run_demo

    _check_folder(out)
    out.mkdir(parents=True, exist_ok=True)
    run_demo(out, count=people, seed=seed)


@app.command()
def fit(
    photo: Annotated[Path, typer.Argument(help="The photo.", show_default=False)],
    init: Annotated[
        Path, typer.Option(help="The regressor's result file (ROMP, BEV, or an npz of SMPL(-X) parameters).")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the results; made if it is not there.")],
    keypoints: Annotated[Optional[Path], typer.Option(help="2D keypoints, JSON in OpenPose's layout.")] = None,  # noqa: UP045
    camera: Annotated[
        str | None, typer.Option(help="A focal rule (diagonal, fov60, hmr2, ...) or a K.json file.")
    ] = None,
    body_model: Annotated[Optional[Path], typer.Option(help="A model file, or a folder with models.")] = None,  # noqa: UP045
) -> None:
    """Refine the people of one photo; write the result, the source's own format, an overlay, a report and meshes."""
    import refine

    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    _check_folder(out)
    result = refine.fit(photo, init, keypoints=keypoints, camera=camera, body_model=body_model)
    _write_all(result, out, photo.stem, init.suffix)
    _print_table(result)
    if not bool(result.accepted.any()):
        raise typer.Exit(NOTHING_REFINED)


def _check_folder(out: Path) -> None:
    """Look whether the folder for the results can be made, before the work and not after it.

    Raises:
        InputError: It cannot.
    """
    there = next(place for place in (out.absolute(), *out.absolute().parents) if place.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        got = "a file" if not there.is_dir() else "a folder that cannot be written to"
        raise InputError("--out", "a folder, or a place to make one", f"{out}: {there} is {got}")


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


def main() -> None:
    """Run the command line; a caller's mistake is one sentence on standard error, not a traceback."""
    try:
        app()
    except (InputError, MissingExtra) as error:
        typer.echo(f"refine: {error}", err=True)
        raise SystemExit(BAD_INPUT) from None


if __name__ == "__main__":
    main()
