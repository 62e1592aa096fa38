"""A folder of results, refined: planned, done chunk by chunk, resumed where it was ended.

manifest  <-  results, settings, versions          chunks  <-  engine(manifest without what is committed)
track files  <-  their parts                       log, summary  <-  what is committed
"""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import torch

from refine.ambient import usual_torch
from refine.api import usual_refiner
from refine.errors import InputError
from refine.folder.chunk import Finished
from refine.folder.inputs import Changes
from refine.folder.keypoints import check_keypoints, find_keypoints
from refine.folder.local_engine import run_here, run_in_processes
from refine.folder.manifest import Manifest, Task, differences, listed, read_manifest
from refine.folder.outcome import Outcome, Summary, as_lines
from refine.folder.photos import find_photos
from refine.folder.plan import check_nothing_is_there, check_settings, find_inputs, make_manifest, settle
from refine.folder.settings import Settings
from refine.folder.store import Store, disk_error, write_whole
from refine.folder.video_file import assemble, forget_assembled
from refine.refiner import Refiner

Progress = Callable[[int, int], None]
"""Told how many results are done, and of how many."""

MOST_JOBS = 8
"""Processes that are started unasked: each holds some 0.7 GB."""

ENGINES = ("local", "ray")


@usual_torch()
def run_folder(
    settings: Settings,
    out: str | Path,
    *,
    refiner: Refiner | None = None,
    jobs: int | None = None,
    limit: int | None = None,
    resume: bool = True,
    retry_failed: bool = False,
    engine: str = "local",
    address: str | None = None,
    progress: Progress | None = None,
) -> Summary:
    """Refine a folder of regressors' results; write them under the same names, each in its own format.

    Args:
        settings: What is read, and how.
        out: The output folder. What an earlier call has committed there is not done again.
        refiner: The method's parts and settings; None: as for `refine.fit`.
        jobs: Processes on this machine; None: one for every core, at most 8, and one where the device is a GPU.
        limit: Most results, the first ones.
        resume: Go on where an earlier call was ended; False: forget what it did and begin anew.
        retry_failed: Do chunks again in which a result failed or lacked keypoints, say because its photo was missing.
        engine: "local" or "ray".
        address: The Ray cluster's address.
        progress: Told after each chunk.

    Returns:
        What became of each result; `exit_status` says it in a number.

    Raises:
        InputError: An input is missing or cannot be read; the folder was begun with other inputs or settings, or
            another run works in it; the disk is full.
    """
    begin = time.perf_counter()
    if engine not in ENGINES:
        raise InputError("--engine", f"one of {', '.join(ENGINES)}", repr(engine))
    check_device(settings.device)
    refiner = refiner or usual_refiner(settings.evidence is not None)
    found = find_inputs(settings.results, Path(out), limit)
    settings = replace(settings, results=found.root)
    check_settings(settings)
    find_photos(settings.images)
    if settings.keypoints is not None:
        check_keypoints(find_keypoints(settings.keypoints))
    with Store(Path(out)) as store:
        old = read_manifest(store.manifest) if resume and store.manifest.is_file() else None
        settings = settle(settings, found, old)
        manifest = make_manifest("run", settings, refiner, found, old)
        if old is None:
            store.forget()
            check_nothing_is_there(manifest, settings, store)
            store.begin(manifest.text())
        elif not store.chunk_numbers() and differences(old, manifest):  # begun and ended before anything was done
            check_nothing_is_there(manifest, settings, store)
            store.begin(manifest.text())
        else:
            check_same(old, manifest, store)
        done_before = _committed(store, settings, retry_failed)
        waiting = [task for task in manifest.tasks if task.chunk not in done_before]
        total = len(manifest.items)
        count = [total - sum(len(task.items) for task in waiting)]
        if progress:
            progress(count[0], total)
        _rewrite_log(manifest, store, [])
        seconds: dict[str, float] = {}

        def done(finished: Finished) -> None:
            forget_assembled(finished.task.items, store)
            store.commit(finished.task.chunk, finished.folder)
            _append(store.log, finished.outcomes)
            count[0] += len(finished.task.items)
            for name, value in finished.seconds.items():
                seconds[name] = seconds.get(name, 0.0) + value
            if progress:
                progress(count[0], total)

        if waiting:
            _do(waiting, settings, refiner, store, done, jobs, engine, address)
        outcomes = _rewrite_log(manifest, store, assemble(manifest, settings, store))
    seconds["wall"] = time.perf_counter() - begin
    return Summary(tuple(outcomes), seconds, sum(len(task.items) for task in waiting))


def default_jobs(device: str) -> int:
    """Return how many processes are started unasked."""
    if device != "cpu":
        return 1
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on this system
        cores = os.cpu_count() or 1
    return min(cores, MOST_JOBS)


def check_same(old: Manifest, new: Manifest, store: Store) -> None:
    """Refuse to go on with other inputs or settings than a folder was begun with.

    Raises:
        InputError: They differ; the message says in what.
    """
    found = differences(old, new)
    if found:
        _refuse(store, found)


def _refuse(store: Store, found: Sequence[str]) -> NoReturn:
    advice = "Name another --out, or begin anew with --no-resume (which deletes what was written here)."
    raise InputError("--out", f"the inputs and settings {store.out} was begun with", "; ".join(found), advice)


def _do(
    waiting: Sequence[Task], settings: Settings, refiner: Refiner, store: Store, done: Callable[[Finished], None],
    jobs: int | None, engine: str, address: str | None,
) -> None:  # fmt: skip
    """Have the chunks done by an engine."""
    if engine == "ray":
        from refine.folder.ray_engine import run_on_ray

        run_on_ray(waiting, settings, refiner, store, done, address)
        return
    count = min(jobs or default_jobs(settings.device), len(waiting))
    if count == 1:
        run_here(waiting, settings, refiner, store, done)
    else:
        run_in_processes(waiting, settings, refiner, store, done, count)


def _committed(store: Store, settings: Settings, retry_failed: bool) -> set[int]:
    """Return the chunks that need not be done.

    Those in which a result failed, or lacked keypoints, are forgotten with `retry_failed`, and where a photo or
    keypoint file of such a result is another one now.

    Raises:
        InputError: Photos or keypoint files changed from which the other results were made.
    """
    done = store.done()
    look = Changes(None if settings.keypoints is None else find_keypoints(settings.keypoints))
    again, changed = list[int](), dict[str, None]()
    for chunk in sorted(done):
        outcomes, inputs = store.outcomes(chunk), store.inputs(chunk)
        lacking = {one.label for one in outcomes if one.may_go_better}
        differing = {} if retry_failed and lacking else {label: look.of(one) for label, one in inputs.items()}
        if (retry_failed and lacking) or any(differing.get(label) for label in lacking):
            again.append(chunk)
        else:
            changed |= dict.fromkeys(name for names in differing.values() for name in names)
    if changed:
        _refuse(store, [f"{len(changed)} photo(s) or keypoint file(s) changed since: {listed(tuple(changed))}"])
    for chunk in again:
        store.drop(chunk)
    return done.difference(again)


def _rewrite_log(manifest: Manifest, store: Store, assembled: Sequence[Outcome]) -> list[Outcome]:
    """Write the log anew from what is committed, in the manifest's order; a killed run may have left half a line."""
    committed = set(store.chunk_numbers())
    outcomes = [one for task in manifest.tasks if task.chunk in committed for one in store.outcomes(task.chunk)]
    outcomes += assembled
    write_whole(store.log, as_lines(outcomes).encode(), by=store.state / "work")
    return outcomes


def _append(path: Path, outcomes: Sequence[Outcome]) -> None:
    """Add to the log while the run goes on, for who follows it."""
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(as_lines(outcomes))
    except OSError as error:
        raise disk_error(path, error) from error


def check_device(device: str) -> None:
    """Refuse a device that is not there.

    Raises:
        InputError: It is not.
    """
    expected = "a device of this machine (cpu, cuda, cuda:1)"
    try:
        named = torch.device(device)
    except RuntimeError as error:  # torch's own words list twenty kinds of devices nobody has
        raise InputError("--device", expected, repr(device)) from error
    try:
        torch.zeros(1, device=named)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise InputError("--device", expected, f"{device} ({str(error).splitlines()[0]})") from error
