"""A folder that a regressor is still writing to: new results are refined as they appear.

A file is taken when its size and time of change have stayed the same between two looks; one that changes later is taken
again. What is committed survives the end of the watch: it is not done again by the next one.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from refine.ambient import usual_torch
from refine.api import usual_refiner
from refine.errors import InputError
from refine.folder.batch import check_evidence
from refine.folder.chunk import Finished
from refine.folder.local_engine import run_here
from refine.folder.manifest import Item, Manifest, Task, read_manifest
from refine.folder.outcome import Outcome, Summary, as_lines
from refine.folder.plan import check_settings
from refine.folder.results import files_below, may_be_result
from refine.folder.run import check_device, check_same
from refine.folder.settings import CHUNK_SIZE, Settings, described
from refine.folder.store import Store, write_whole
from refine.refiner import Refiner

PATIENCE_SECONDS = 10.0
"""A result that fails is tried again until its file is so old: its photo or keypoints may come after it."""

Stamp = tuple[int, int]
"""Size in bytes and time of change in ns."""


@usual_torch()
def watch_folder(
    settings: Settings,
    out: str | Path,
    *,
    refiner: Refiner | None = None,
    every: float = 1.0,
    once: bool = False,
    idle: float | None = None,
    told: Callable[[Outcome], None] | None = None,
) -> Summary:
    """Refine result files as they appear in a folder.

    Args:
        settings: What is read, and how. `results` is the folder that the regressor writes to; a video's frames are
            counted from `first_frame`, 0 where it is not said.
        out: The output folder.
        refiner: The method's parts and settings; None: as for `refine.fit`.
        every: Seconds between two looks.
        once: Refine what is there and end.
        idle: End when nothing new has come for so many seconds; None: go on until interrupted.
        told: Told of each result.

    Returns:
        What became of each result this folder has seen.

    Raises:
        InputError: The folder cannot be read, or the output folder was begun with other settings or is in use.
    """
    folder = Path(settings.results)
    if not folder.is_dir():
        got = f"{folder}, which is no folder"
        raise InputError("RESULTS", "the folder the regressor writes to", got, "Make it first.")
    if Path(out).resolve() == folder.resolve():
        raise InputError("--out", "another folder than that of the results", str(out), "Name another.")
    refiner = refiner or usual_refiner(settings.evidence is not None)
    check_evidence(refiner, settings.evidence)
    check_device(settings.device)
    settings = settings.settled()
    check_settings(settings)
    begin = time.perf_counter()
    with Store(Path(out)) as store:
        manifest = Manifest("watch", described(settings, refiner), (), settings.chunk_size or CHUNK_SIZE)
        if store.manifest.is_file() and store.chunk_numbers():
            check_same(read_manifest(store.manifest), manifest, store)
        else:
            store.begin(manifest.text())
        count = _Watch(settings, refiner, store, told).go(every, once, idle)
        outcomes = _latest(store)
        write_whole(store.log, as_lines(outcomes).encode(), by=store.state / "work")
    return Summary(tuple(outcomes), {"wall": time.perf_counter() - begin}, count)


class _Watch:
    def __init__(
        self, settings: Settings, refiner: Refiner, store: Store, told: Callable[[Outcome], None] | None
    ) -> None:
        self._settings, self._refiner, self._store, self._told = settings, refiner, store, told
        self._chunk = max(store.chunk_numbers(), default=-1) + 1
        self._seen = {one.result: one.stamp for one in _latest(store)}
        self._count = 0

    def go(self, every: float, once: bool, idle: float | None) -> int:
        """Prediction, wait, look again; return how many results were done."""
        before: dict[str, Stamp] = {}
        quiet_since = time.monotonic()
        try:
            while True:
                now = self._look()
                new = {name: stamp for name, stamp in now.items() if self._seen.get(name) != stamp}
                ready = sorted(name for name, stamp in new.items() if once or before.get(name) == stamp)
                size = self._settings.chunk_size or CHUNK_SIZE
                for start in range(0, len(ready), size):
                    chunk = ready[start : start + size]
                    self._do([Item(name, *new[name]) for name in chunk], patient=not once)
                if new:
                    quiet_since = time.monotonic()
                if once or (idle is not None and time.monotonic() - quiet_since >= idle):
                    return self._count
                before = now
                time.sleep(every)
        except KeyboardInterrupt:
            return self._count

    def _look(self) -> dict[str, Stamp]:
        """Return the result files that are there, empty ones left out: those were only just begun."""
        root, out = Path(self._settings.results), self._store.out
        found = {}
        for name in files_below(root, "RESULTS"):
            path = root / name
            if may_be_result(name) and not path.is_relative_to(out):
                try:
                    stat = path.stat()
                except FileNotFoundError:  # gone since
                    continue
                if stat.st_size:
                    found[name] = (stat.st_size, stat.st_mtime_ns)
        return found

    def _do(self, items: list[Item], patient: bool) -> None:
        def done(finished: Finished) -> None:
            stamped = tuple(
                replace(one, stamp=(item.size, item.modified_ns))
                for one, item in zip(finished.outcomes, items, strict=True)
                if not (patient and _may_still_come(one, item))
            )
            if not stamped:
                return
            self._store.rewrite_outcomes(finished.folder, stamped)
            self._store.commit(self._chunk, finished.folder)
            for one in stamped:
                self._seen[one.result] = one.stamp
                self._count += 1
                if self._told:
                    self._told(one)

        run_here([Task(self._chunk, tuple(items))], self._settings, self._refiner, self._store, done)
        self._chunk += 1


def _may_still_come(outcome: Outcome, item: Item) -> bool:
    """Say whether what a result lacks may only be late."""
    return outcome.may_go_better and time.time() - item.modified_ns / 1e9 < PATIENCE_SECONDS


def _latest(store: Store) -> list[Outcome]:
    """Return the last outcome of each result, by name."""
    found = {one.result: one for chunk in store.chunk_numbers() for one in store.outcomes(chunk)}
    return [found[name] for name in sorted(found)]
