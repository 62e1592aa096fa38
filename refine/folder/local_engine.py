"""Chunks on this machine: in this process, or in several, each with its own reading and writing threads.

    parent:  gives each worker two chunks (one is solved, the next one read), commits what comes back
    worker:  makes chunks in the work folder; ends by itself when its parent is gone

A worker that is killed costs nothing but time: its chunks are given to another one.
"""

import multiprocessing
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from refine.errors import InputError
from refine.folder.chunk import Finished, Pipeline
from refine.folder.manifest import Task
from refine.folder.settings import Settings
from refine.folder.store import Store, worker_lock
from refine.refiner import Refiner

IN_HAND = 2
"""Chunks a worker has at a time."""

PARENT_SECONDS = 1.0
"""How often a worker looks whether its parent is still there."""

DEATHS = 3
"""A chunk whose worker dies so often is to blame."""


def run_here(
    tasks: Sequence[Task], settings: Settings, refiner: Refiner, store: Store, done: Callable[[Finished], None]
) -> None:
    """Do chunks in this process.

    Args:
        tasks: What is to be done.
        settings: How.
        refiner: The method.
        store: Where.
        done: Told of each finished chunk, which it is to commit.
    """
    Pipeline(settings, refiner, lambda task: store.work_folder(f"{task.chunk:06d}"), done).run(tasks)


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    tasks: list[Task] = field(default_factory=list)


def run_in_processes(
    tasks: Sequence[Task],
    settings: Settings,
    refiner: Refiner,
    store: Store,
    done: Callable[[Finished], None],
    jobs: int,
) -> None:
    """Do chunks in several processes.

    Args:
        tasks: What is to be done.
        settings: How; `threads` of each process.
        refiner: The method; has to be picklable.
        store: Where.
        done: Told of each finished chunk, which it is to commit.
        jobs: How many processes.

    Raises:
        InputError: A file cannot be written, or the same chunk ended its worker several times.
    """
    waiting, deaths = list(tasks), dict[int, int]()
    workers: list[_Worker] = []
    try:
        while waiting or any(worker.tasks for worker in workers):
            while waiting and len(workers) < jobs:
                workers.append(_start(settings, refiner, store))
            for worker in sorted(workers, key=lambda one: len(one.tasks)):
                while waiting and len(worker.tasks) < IN_HAND and _fair(waiting, workers, worker):
                    worker.tasks.append(waiting.pop(0))
                    _send(worker, worker.tasks[-1])
            wait([worker.pipe for worker in workers] + [worker.process.sentinel for worker in workers])
            for worker in list(workers):
                for message in _messages(worker):
                    if isinstance(message, InputError):
                        raise message
                    assert isinstance(message, Finished)
                    worker.tasks = [task for task in worker.tasks if task.chunk != message.task.chunk]
                    done(message)
                if not worker.process.is_alive() and not worker.pipe.poll():
                    workers.remove(worker)
                    _take_back(worker, waiting, deaths, store)
    finally:
        for worker in workers:
            worker.process.kill()
        for worker in workers:
            worker.process.join()
            worker.pipe.close()


def _fair(waiting: Sequence[Task], workers: Sequence[_Worker], worker: _Worker) -> bool:
    """Say whether a worker may have one more chunk: none takes a second while there are not enough for a first."""
    idle = sum(not one.tasks for one in workers if one is not worker)
    return not worker.tasks or len(waiting) > idle


def _start(settings: Settings, refiner: Refiner, store: Store) -> _Worker:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_work, args=(there, settings, refiner, store.out, os.getpid()), daemon=True)
    process.start()
    there.close()
    return _Worker(process, here)


def _send(worker: _Worker, task: Task) -> None:
    try:
        worker.pipe.send(task)
    except OSError:  # it has just died; what it had is taken back
        pass


def _messages(worker: _Worker) -> Iterator[Any]:
    """Return what a worker has said since."""
    try:
        while worker.pipe.poll():
            yield worker.pipe.recv()
    except (EOFError, OSError):
        return


def _take_back(worker: _Worker, waiting: list[Task], deaths: dict[int, int], store: Store) -> None:
    """Put a dead worker's chunks back in front, and delete what it left."""
    for task in reversed(worker.tasks):
        for left in (store.state / "work").glob(f"{task.chunk:06d}.*"):
            shutil.rmtree(left, ignore_errors=True)
        waiting.insert(0, task)
    for task in worker.tasks[:1]:
        deaths[task.chunk] = deaths.get(task.chunk, 0) + 1
        if deaths[task.chunk] >= DEATHS:
            advice = "Is memory short? Give fewer --jobs or a smaller --chunk-size."
            got = f"{DEATHS} that were ended, the last with exit code {worker.process.exitcode}"
            raise InputError(f"chunk {task.chunk} ({task.items[0].label}, ...)", "a worker that lives", got, advice)


def _work(pipe: Connection, settings: Settings, refiner: Refiner, out: Path, parent: int) -> None:
    """Work until there is nothing left, or nobody."""
    store = Store(out)
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()

    def tasks() -> Iterator[Task]:
        while True:
            yield pipe.recv()

    with worker_lock(store.state):
        try:
            pipeline = Pipeline(settings, refiner, lambda task: store.work_folder(f"{task.chunk:06d}"), pipe.send)
            pipeline.run(tasks())
        except InputError as error:
            pipe.send(error)
        except (EOFError, KeyboardInterrupt):
            pass


def _watch(parent: int) -> None:
    """End this process when its parent is gone: nobody would commit what it does."""
    while os.getppid() == parent:
        time.sleep(PARENT_SECONDS)
    os._exit(1)
