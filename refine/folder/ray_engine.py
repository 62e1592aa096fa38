"""Chunks on a Ray cluster: the same function on its workers, all of which reach the folders by the same paths.

driver:  keeps two chunks a worker under way, writes what comes back into the work folder and commits it
worker:  makes a chunk in a temporary folder of its own and returns the files' bytes; one that dies is replaced by Ray
"""

import contextlib
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from refine.errors import InputError, MissingExtra
from refine.folder.chunk import Finished, Pipeline
from refine.folder.manifest import Task
from refine.folder.settings import Settings
from refine.folder.store import Store, write_whole
from refine.refiner import Refiner

RETRIES = 5
"""Times a chunk is tried again when its worker or its machine dies."""

AHEAD = 2
"""Chunks under way for each worker."""

WAIT_SECONDS = 10.0
"""How often the number of workers is looked up again: machines come and go."""


def run_on_ray(
    tasks: Sequence[Task],
    settings: Settings,
    refiner: Refiner,
    store: Store,
    done: Callable[[Finished], None],
    address: str | None,
) -> None:
    """Do chunks on a cluster.

    Args:
        tasks: What is to be done.
        settings: How; a worker takes `threads` CPUs, and a GPU where the device is one.
        refiner: The method; has to be picklable.
        store: Where the driver commits.
        done: Told of each finished chunk, which it is to commit.
        address: The cluster's ("auto", "host:port"); None: a cluster of this machine, for as long as the run.

    Raises:
        MissingExtra: Ray is not installed.
        InputError: The cluster cannot be reached, or a chunk ended its worker again and again.
    """
    try:
        import ray
    except ImportError as error:
        raise MissingExtra("ray", "for --engine ray", "pip install refine[ray]") from error
    started = not ray.is_initialized()
    if started:
        try:
            ray.init(address=address, log_to_driver=False, logging_level="error")
        except (ConnectionError, RuntimeError, ValueError) as error:
            advice = "Start it with `ray start --head`, or leave --address out for a cluster of this machine."
            raise InputError("--address", "a Ray cluster", f"{address} ({error})", advice) from error
    threads = settings.threads or 1
    gpus = 1 if settings.device.startswith("cuda") else 0
    chunk = ray.remote(num_cpus=threads, num_gpus=gpus, max_retries=RETRIES)(make_chunk)
    waiting, running = list(tasks), dict[Any, Task]()
    looked, room = float("-inf"), 1
    shared = ray.put((settings, refiner))
    try:
        while waiting or running:
            if time.monotonic() - looked > WAIT_SECONDS:
                looked = time.monotonic()
                room = AHEAD * max(1, int(ray.cluster_resources().get("CPU", 1)) // threads)
            while waiting and len(running) < room:
                task = waiting.pop(0)
                running[chunk.remote(shared, task)] = task
            ready, _ = ray.wait(list(running), timeout=WAIT_SECONDS)
            for one in ready:
                task = running.pop(one)
                try:
                    made, files = ray.get(one)
                except ray.exceptions.RayTaskError as error:
                    cause = error.cause if isinstance(error.cause, InputError) else error
                    raise cause from error
                except ray.exceptions.RayError as error:
                    advice = "Is memory short? Give a smaller --chunk-size."
                    got = f"{RETRIES + 1} that were ended"
                    raise InputError(f"chunk {task.chunk}", "a Ray worker that lives", got, advice) from error
                folder = store.work_folder(f"{task.chunk:06d}")
                for name, data in files.items():
                    write_whole(folder / name, data)
                done(replace(made, folder=folder))
    finally:
        for one in running:
            # Where the cluster itself is gone there is nothing to cancel, and the error on its way says more.
            with contextlib.suppress(Exception):
                ray.cancel(one, force=True)
        if started:
            ray.shutdown()


def make_chunk(shared: tuple[Settings, Refiner], task: Task) -> tuple[Finished, dict[str, bytes]]:
    """Make one chunk on a worker.

    Returns:
        The finished chunk, and the bytes of its files by name.
    """
    settings, refiner = shared
    made: list[Finished] = []
    with tempfile.TemporaryDirectory(prefix="refine-chunk-") as folder:
        Pipeline(settings, refiner, lambda _: Path(folder), made.append).run([task])
        files = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(Path(folder).rglob("*"))
            if path.is_file()
        }
    return made[0], files
