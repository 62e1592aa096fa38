"""The command line: `refine demo` and `refine fit`. Standard output carries data only; everything else goes to standard error."""

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from refine.errors import InputError, MissingExtra

if TYPE_CHECKING:
    from refine.result import Result

app = typer.Typer(
    help="3D human bodies that really lie on the people in the image.", no_args_is_help=True, add_completion=False
)

NOTHING_REFINED, BAD_INPUT = 1, 2
"""Exit status where no body could be refined, and for a caller's mistake."""


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")] = Path("demo_out"),
    people: Annotated[int, typer.Option(min=1, help="Number of people, one photo each.")] = 8,
    seed: Annotated[int, typer.Option(help="Which people.")] = 0,
) -> None:
    """Disturb bodies in rendered photos, refine them, print a table and write pictures of before and after."""
    from refine.demo.run import run_demo

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
    verbose: Annotated[bool, typer.Option(help="Say what is decided on the way.")] = False,
) -> None:
    """Refine the people of one photo; write the result, the source's own format, an overlay, a report and meshes."""
    import refine

    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING, format="%(message)s", stream=sys.stderr)
    result = refine.fit(photo, init, keypoints=keypoints, camera=camera, body_model=body_model)
    _write_all(result, out, photo.stem, init.suffix)
    _print_table(result)
    if not bool(result.accepted.any()):
        raise typer.Exit(NOTHING_REFINED)


def _write_all(result: "Result", out: Path, stem: str, suffix: str) -> None:
    """Draw everything first and write then, so that a failure leaves no half of a result behind."""
    from refine.viz.export import write_image

    overlay, report = result.overlay(), result.report()
    out.mkdir(parents=True, exist_ok=True)
    result.save(out / f"{stem}_refine.npz")
    result.write_source(out / f"{stem}_refined{suffix}")
    write_image(out / f"{stem}_overlay.jpg", overlay)
    write_image(out / f"{stem}_report.png", report)
    result.write_obj(out / f"{stem}.obj")
    typer.echo(
        f"Written to {out}: {stem}_refine.npz, {stem}_refined{suffix}, {stem}_overlay.jpg, {stem}_report.png, {stem}.obj",
        err=True,
    )


def _print_table(result: "Result") -> None:
    """Print one row a person."""
    from rich.console import Console
    from rich.table import Table

    table = Table("person", "misfit before px", "after px", "cost before", "after", "most turned joint", "stop")
    for row in range(len(result)):
        joint = int(result.turned[row].argmax())
        table.add_row(
            str(row), f"{float(result.misfit_before[row]):.1f}", f"{float(result.misfit[row]):.1f}", f"{float(result.cost_before[row]):.1f}",
            f"{float(result.cost[row]):.1f}", f"{result.body.joint_names[joint]} {float(result.turned[row, joint]):.0f}°", result.stop[row].name,
        )  # fmt: skip
    Console().print(table)
    for note in result.notes:
        typer.echo(note, err=True)


def main() -> None:
    """Run the command line; a caller's mistake is one sentence on standard error, not a traceback."""
    try:
        app()
    except (InputError, MissingExtra) as error:
        typer.echo(f"refine: {error}", err=True)
        raise SystemExit(BAD_INPUT) from None
