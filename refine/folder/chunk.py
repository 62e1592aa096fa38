"""Chunks, one after the other: the next one is read while one is solved and the last one is written.

reading thread  ── batches ──►  this one: solve  ── results ──►  writing thread  ── chunks ──►  the caller
"""

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import torch

from refine.folder.batch import Batcher, Solved, solve, solve_track
from refine.folder.inputs import INPUTS, Inputs, inputs_text
from refine.folder.manifest import Item, Task
from refine.folder.outcome import Outcome, as_lines
from refine.folder.piece import Piece, Track
from refine.folder.read import Reader
from refine.folder.settings import Settings
from refine.folder.store import OUTCOMES, write_whole
from refine.folder.write import failed, write_result
from refine.photo.clip import by_numbers
from refine.refiner import Refiner

AHEAD = 1
"""Batches read ahead: one waits while one is being read."""

STAGES = ("reading", "decoding", "solving", "writing")


@dataclass(frozen=True)
class Finished:
    """A chunk whose files lie in a folder of their own, synchronised to the disk, ready to be committed.

    Attributes:
        task: Which.
        folder: Where.
        outcomes: One a result.
        seconds: What reading, decoding, solving and writing took since the last chunk; they overlap.
    """

    task: Task
    folder: Path
    outcomes: tuple[Outcome, ...]
    seconds: dict[str, float] = field(default_factory=dict)


class _Stop(Exception):
    """Another thread has failed."""


@dataclass
class Pipeline:
    """Three threads and what they share."""

    settings: Settings
    refiner: Refiner
    folder_of: Callable[[Task], Path]
    """Makes an empty folder for a chunk's files."""
    done: Callable[[Finished], None]
    """Told of each finished chunk, in the writing thread."""

    def __post_init__(self) -> None:
        self._batches: queue.Queue[tuple[str, object]] = queue.Queue(AHEAD)
        self._results: queue.Queue[tuple[str, object]] = queue.Queue(2)
        self._failure: list[BaseException] = []
        self._seconds = dict.fromkeys(STAGES, 0.0)
        self._told = dict.fromkeys(STAGES, 0.0)

    def run(self, tasks: Iterable[Task]) -> None:
        """Do all tasks.

        Raises:
            InputError: A file cannot be written (a full disk), or folders cannot be read.
        """
        threads_before = torch.get_num_threads()
        torch.set_num_threads(self.settings.threads or 1)
        reader = Reader(self.settings, looked_at=self.refiner.displacer is not None)
        threads = [
            threading.Thread(target=self._guard, args=(self._read, reader, tasks), daemon=True),
            threading.Thread(target=self._guard, args=(self._write,), daemon=True),
        ]
        try:
            for thread in threads:
                thread.start()
            self._solve(reader)
            threads[1].join()
        except _Stop:
            pass
        except BaseException as error:
            self._failure.insert(0, error)
        finally:
            if self._failure:
                for thread in threads[1:]:
                    thread.join()  # it ends at once, and nothing is written behind the caller's back
            torch.set_num_threads(threads_before)
        if self._failure:
            raise self._failure[0]

    def _guard(self, work: Callable[..., None], *arguments: object) -> None:
        """Run a thread's work; its error ends the others."""
        try:
            work(*arguments)
        except _Stop:
            pass
        except BaseException as error:
            self._failure.append(error)

    def _put(self, line: "queue.Queue[tuple[str, object]]", entry: tuple[str, object]) -> None:
        while True:
            if self._failure:
                raise _Stop
            try:
                return line.put(entry, timeout=0.2)
            except queue.Full:
                continue

    def _get(self, line: "queue.Queue[tuple[str, object]]") -> tuple[str, object]:
        while True:
            if self._failure:
                raise _Stop
            try:
                return line.get(timeout=0.2)
            except queue.Empty:
                continue

    def _read(self, reader: Reader, tasks: Iterable[Task]) -> None:
        for task in tasks:
            batcher, used = Batcher(), dict[str, Inputs]()
            self._put(self._batches, ("task", task))
            if task.clip:
                self._read_clip(reader, task, batcher, used)
            for item in () if task.clip else task.items:
                self._take(reader, item, reader.pieces(item), batcher)
                used[item.label] = reader.used
            for batch in batcher.rest():
                self._put(self._batches, ("batch", batch))
            self._put(self._batches, ("end", (task, used)))
        self._put(self._batches, ("over", None))

    def _read_clip(self, reader: Reader, task: Task, batcher: Batcher, used: dict[str, Inputs]) -> None:
        """Read the frames of a clip and cut it into tracks; a file that cannot be read is not part of it."""
        wholes = []
        for item in task.items:
            reader.used = Inputs()
            start = time.perf_counter()
            try:
                wholes.append(reader.whole(item))
            except Exception as error:  # one bad file never stops the rest
                self._put(self._batches, ("failed", (item, error)))
            self._seconds["reading"] += time.perf_counter() - start
            used[item.label] = reader.used
        for whole in [whole for whole in wholes if not whole.seen]:
            self._take(reader, whole.item, reader.cut(whole), batcher)
        frames = sorted((whole for whole in wholes if whole.seen), key=lambda whole: by_numbers(whole.item.result))
        if frames:
            self._take(reader, frames[0].item, reader.clip(frames), batcher)

    def _take(self, reader: Reader, item: Item, pieces: Iterator[Piece | Track], batcher: Batcher) -> None:
        """Hand on the pieces of a result as they are read; why one cannot be read is its outcome."""
        while True:
            start, decoded = time.perf_counter(), reader.decoding
            full: list[Piece] = []
            try:
                piece = next(pieces, None)
                full = batcher.add(piece) if isinstance(piece, Piece) else []
            except Exception as error:  # one bad file never stops the rest
                self._put(self._batches, ("failed", (item, error)))
                return
            finally:
                decoded = reader.decoding - decoded
                self._seconds["decoding"] += decoded
                self._seconds["reading"] += time.perf_counter() - start - decoded
            if full:
                self._put(self._batches, ("batch", full))
            if isinstance(piece, Track):
                self._put(self._batches, ("track", piece))
            if piece is None:
                return

    def _solve(self, reader: Reader) -> None:
        kind = ""
        while kind != "over":
            kind, content = self._get(self._batches)
            if kind in ("batch", "track"):
                start = time.perf_counter()
                device, sigmas = self.settings.device, self.settings.save_npz
                if kind == "track":
                    content = solve_track(cast(Track, content), self.refiner, reader.shelf, device, sigmas=sigmas)
                else:
                    content = solve(cast("list[Piece]", content), self.refiner, reader.shelf, device, sigmas=sigmas)
                kind = "batch"
                self._seconds["solving"] += time.perf_counter() - start
            self._put(self._results, (kind, content))

    def _write(self) -> None:
        folder, order = Path(), list[str]()
        outcomes: dict[str, Outcome] = {}
        pieces: dict[str, list[Solved]] = {}
        while True:
            kind, content = self._get(self._results)
            start = time.perf_counter()
            if kind == "over":
                return
            if kind == "task":
                assert isinstance(content, Task)
                folder, order = self.folder_of(content), [item.label for item in content.items]
                outcomes, pieces = {}, {}
            elif kind == "failed":
                assert isinstance(content, tuple)
                item, error = content
                outcomes[item.label] = failed(item, error)
            elif kind == "batch":
                for one in content:  # type: ignore[attr-defined]
                    label = one.piece.item.label
                    pieces.setdefault(label, []).append(one)
                    if len(pieces[label]) == one.piece.pieces:
                        outcomes[label] = write_result(pieces.pop(label), folder, self.settings)
            else:
                assert isinstance(content, tuple)
                task, used = content
                listed = tuple(outcomes[label] for label in order)
                write_whole(folder / INPUTS, inputs_text(used).encode())
                write_whole(folder / OUTCOMES, as_lines(listed).encode())
                self._seconds["writing"] += time.perf_counter() - start
                now = dict(self._seconds)
                self.done(Finished(task, folder, listed, {name: now[name] - self._told[name] for name in now}))
                self._told = now
                continue
            self._seconds["writing"] += time.perf_counter() - start
