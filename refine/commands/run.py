"""`refine run`: a folder of results, refined and written under the same names."""

from pathlib import Path
from typing import Annotated

import typer

from refine.commands.options import (
    AskedCamera,
    BodyModel,
    Correct,
    Detector,
    Device,
    FirstFrame,
    Format,
    Fps,
    Images,
    Independent,
    Keypoints,
    Limit,
    Points3D,
    Results,
    SaveNpz,
    Threads,
)  # fmt: skip
from refine.commands.places import check_folder


def run(
    results: Results,
    images: Images,
    out: Annotated[Path, typer.Option(help="Folder for the results; an earlier run is resumed.", show_default=False)],
    keypoints: Keypoints = None,
    detector: Detector = None,
    format: Format = None,
    camera: AskedCamera = None,
    body_model: BodyModel = None,
    resume: Annotated[bool, typer.Option(help="Go on where an earlier run ended; --no-resume begins anew.")] = True,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Do chunks again in which a result failed or lacked keypoints.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list which photo belongs to which result.")] = False,
    limit: Limit = None,
    save_npz: SaveNpz = False,
    device: Device = "cpu",
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes; one a core, at most 8, if not named.")] = None,
    threads: Threads = None,
    chunk_size: Annotated[
        int | None, typer.Option(min=1, help="Results a chunk, the unit of work; 64 if not named.")
    ] = None,
    first_frame: FirstFrame = None,
    correct: Correct = None,
    points3d: Points3D = None,
    independent: Independent = False,
    fps: Fps = None,
    engine: Annotated[str, typer.Option(help="local, or ray for a cluster (extra `ray`).")] = "local",
    address: Annotated[str | None, typer.Option(help="The Ray cluster's address: auto, or host:port.")] = None,
) -> None:
    """Refine a folder of regressors' results, each written under its own name in its own format.

    Exit status: 0 all well, 1 nobody refined, 2 wrong call, 3 some results failed, 130 ended by Ctrl-C.
    """
    from refine.commands.progress import interruption_told, print_retry, print_summary, progress_bar
    from refine.folder.run import run_folder
    from refine.folder.settings import Settings
    from refine.folder.store import LOG

    settings = Settings(
        results, images, keypoints=keypoints, detector=detector, format=format, camera=camera, body_model=body_model,
        device=device, threads=threads, chunk_size=chunk_size, first_frame=first_frame, save_npz=save_npz,
        correct=correct or (), points3d=points3d, independent=independent, fps=fps,
    )  # fmt: skip
    if dry_run:
        from refine.folder.dry_run import list_pairs

        raise typer.Exit(3 if list_pairs(settings, out, limit) else 0)
    check_folder(out)
    with interruption_told(), progress_bar("refine run") as progress:
        summary = run_folder(
            settings, out, jobs=jobs, limit=limit, resume=resume, retry_failed=retry_failed, engine=engine,
            address=address, progress=progress,
        )  # fmt: skip
    print_summary(summary, str(out / LOG))
    print_retry(summary)
    raise typer.Exit(summary.exit_status)
