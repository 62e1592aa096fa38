"""`refine watch`: result files are refined as they appear."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from refine.commands.places import check_folder

if TYPE_CHECKING:
    from refine.folder.outcome import Outcome


def watch(
    results: Annotated[Path, typer.Argument(help="The folder the regressor writes to.", show_default=False)],
    images: Annotated[str, typer.Option(help="Folder or pattern of photos, or a video.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder for the results.", show_default=False)],
    keypoints: Annotated[
        str | None,
        typer.Option(help="Folder or pattern of 2D keypoints; the network looks at the photos if not named."),
    ] = None,
    format: Annotated[str | None, typer.Option(help="The results' format; recognised if not named.")] = None,
    camera: Annotated[
        str | None,
        typer.Option(help="A focal rule (diagonal, fov60, hmr2, ...), a K.json file, or a focal length in px."),
    ] = None,
    body_model: Annotated[Optional[Path], typer.Option(help="A model file, or a folder with models.")] = None,  # noqa: UP045
    save_npz: Annotated[bool, typer.Option("--save-npz", help="Also write refine's own npz of each result.")] = False,
    device: Annotated[str, typer.Option(help="Where the solver works: cpu, cuda, cuda:1.")] = "cpu",
    threads: Annotated[int, typer.Option(min=1, help="Threads to compute with.")] = 1,
    correct: Annotated[
        list[str] | None,
        typer.Option(help="NAME=VALUE: a systematic fault to undo, as `refine diagnose` names it; may be repeated."),
    ] = None,
    every: Annotated[float, typer.Option(min=0.05, help="Seconds between two looks.")] = 1.0,
    once: Annotated[bool, typer.Option("--once", help="Refine what is there and end.")] = False,
    idle: Annotated[float | None, typer.Option(min=0.0, help="End when nothing new came for so many seconds.")] = None,
) -> None:
    """Refine result files as they appear, until Ctrl-C. Prints the name of each file it has written.

    Exit status: 0 all well, 1 nobody refined, 2 wrong call, 3 some results failed.
    """
    from refine.commands.progress import print_doubts, print_failures
    from refine.folder.settings import Settings
    from refine.folder.store import LOG
    from refine.folder.watch import watch_folder

    def told(outcome: "Outcome") -> None:
        for name in outcome.written:
            typer.echo(str(out / name))
        if outcome.reason:
            typer.echo(f"{outcome.status}: {outcome.result}: {outcome.reason}", err=True)

    check_folder(out)
    typer.echo(f"Watching {results}; Ctrl-C ends.", err=True)
    settings = Settings(
        results, images, keypoints=keypoints, format=format, camera=camera, body_model=body_model, device=device,
        threads=threads, save_npz=save_npz, correct=correct or (),
    )  # fmt: skip
    summary = watch_folder(settings, out, every=every, once=once, idle=idle, told=told)
    print_doubts(summary)
    print_failures(summary, str(out / LOG))
    raise typer.Exit(summary.exit_status)
