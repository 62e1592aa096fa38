"""`refine watch`: result files are refined as they appear."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from refine.commands.options import (
    AskedCamera,
    BodyModel,
    Correct,
    Detector,
    Device,
    Format,
    Fps,
    Images,
    Independent,
    Keypoints,
    SaveNpz,
    Threads,
)
from refine.commands.places import check_folder

if TYPE_CHECKING:
    from refine.folder.outcome import Outcome


def watch(
    results: Annotated[Path, typer.Argument(help="The folder the regressor writes to.", show_default=False)],
    images: Images,
    out: Annotated[Path, typer.Option(help="Folder for the results.", show_default=False)],
    keypoints: Keypoints = None,
    detector: Detector = None,
    format: Format = None,
    camera: AskedCamera = None,
    body_model: BodyModel = None,
    save_npz: SaveNpz = False,
    device: Device = "cpu",
    threads: Threads = None,
    correct: Correct = None,
    independent: Independent = False,
    fps: Fps = None,
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
        results, images, keypoints=keypoints, detector=detector, format=format, camera=camera, body_model=body_model,
        device=device, threads=threads, save_npz=save_npz, correct=correct or (),
        independent=independent, fps=fps,
    )  # fmt: skip
    summary = watch_folder(settings, out, every=every, once=once, idle=idle, told=told)
    print_doubts(summary)
    print_failures(summary, str(out / LOG))
    raise typer.Exit(summary.exit_status)
