"""The output folder of a run: what is committed, what is not, and a lock so that two runs do not write into one.

    .refine/lock            held while a run works; the system lets go of it when the process ends, however it ends
    .refine/working/...     one more a worker process; the next run waits for those a killed one left
    .refine/work/...        chunks being made; whatever a killed run left is deleted by the next one
    .refine/chunks/00012/   a committed chunk: `files/` on their way to their places, `parts/` of track files,
                            `outcomes.jsonl`, `inputs.jsonl`
    refine_manifest.json    what the run does           refine_log.jsonl    what became of each result

commit: every file and folder is synchronised, then the chunk's folder is renamed: one step, before which nothing and
after which all of it counts. Then its files are renamed to their places; a run killed in between is taken up there by
the next one.

Source: Pillai et al., All File Systems Are Not Created Equal, OSDI 2014 (synchronise the file, rename, synchronise the
folder).
"""

import contextlib
import os
import shutil
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from refine.errors import InputError
from refine.files.atomic import write_bytes
from refine.folder.inputs import INPUTS, Inputs, read_inputs
from refine.folder.outcome import Outcome, as_lines, read_line

STATE_FOLDER = ".refine"
FILES, PARTS, OUTCOMES = "files", "parts", "outcomes.jsonl"
WORKERS = "working"
"""Folder of the locks of worker processes, one a process."""
MANIFEST, LOG = "refine_manifest.json", "refine_log.jsonl"

if TYPE_CHECKING:
    import filelock

ORPHAN_SECONDS = 15.0
"""How long a new run waits for the worker processes of a killed one; they look for their parent every second."""


class Store:
    """One output folder. Use it as a context: `with Store(out) as store`."""

    def __init__(self, out: Path) -> None:
        self.out = out.absolute()
        self.state = self.out / STATE_FOLDER
        self._locks: list[filelock.BaseFileLock] = []

    @property
    def manifest(self) -> Path:
        """Where the manifest is."""
        return self.out / MANIFEST

    @property
    def log(self) -> Path:
        """Where the log is."""
        return self.out / LOG

    def __enter__(self) -> "Store":
        try:
            for folder in (self.state / "work", self.state / "chunks", self.state / WORKERS):
                folder.mkdir(parents=True, exist_ok=True)
            self._locks.append(_lock(self.state / "lock"))
        except OSError as error:
            got = f"{self.out} ({error.strerror or error})"
            raise InputError("--out", "a folder that can be written to", got, "Name another.") from error
        try:
            _wait_for_workers(self.state)
            self._clean()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._locks:
            for left in (self.state / "work").iterdir():
                shutil.rmtree(left, ignore_errors=True)
        for lock in self._locks:
            lock.release()
        self._locks = []

    def forget(self) -> None:
        """Delete what earlier runs committed and wrote here, and nothing else."""
        for chunk in self._chunks():
            for outcome in self.outcomes(chunk):
                for name in outcome.written:
                    (self.out / name).unlink(missing_ok=True)
        shutil.rmtree(self.state / "chunks")
        (self.state / "chunks").mkdir()
        for path in (self.manifest, self.log):
            path.unlink(missing_ok=True)

    def begin(self, manifest: str) -> None:
        """Write the manifest."""
        write_whole(self.manifest, manifest.encode(), by=self.state / "work")

    def work_folder(self, name: str) -> Path:
        """Return a new, empty folder to make a chunk in."""
        folder = self.state / "work" / f"{name}.{uuid.uuid4().hex}"
        folder.mkdir(parents=True)
        return folder

    def commit(self, chunk: int, folder: Path) -> None:
        """Commit a chunk that lies whole in a work folder, and bring its files to their places.

        Raises:
            InputError: The disk does not take it.
        """
        place = self._place(chunk)
        try:
            synchronise(folder)
            os.rename(folder, place)
            _sync_folder(place.parent)
            self._publish(chunk)
        except OSError as error:
            raise disk_error(place, error) from error

    def done(self) -> set[int]:
        """Return the chunks that are committed and whose files are all there; the others are forgotten."""
        found = set()
        for chunk in self._chunks():
            written = [name for outcome in self.outcomes(chunk) for name in outcome.written]
            if all((self.out / name).is_file() for name in written):
                found.add(chunk)
            else:
                self.drop(chunk)
        return found

    def drop(self, chunk: int) -> None:
        """Forget a committed chunk, so that it is done again; its files stay until they are replaced."""
        gone = self.state / "work" / f"dropped.{uuid.uuid4().hex}"
        os.rename(self._place(chunk), gone)
        shutil.rmtree(gone)

    def outcomes(self, chunk: int) -> list[Outcome]:
        """Return what became of a committed chunk's results."""
        text = (self._place(chunk) / OUTCOMES).read_text(encoding="utf-8")
        return [read_line(line) for line in text.splitlines()]

    def inputs(self, chunk: int) -> dict[str, Inputs]:
        """Return what a committed chunk's results were made from, by label; none where that was not written down."""
        path = self._place(chunk) / INPUTS
        return read_inputs(path.read_text(encoding="utf-8")) if path.is_file() else {}

    @staticmethod
    def rewrite_outcomes(folder: Path, outcomes: Sequence[Outcome]) -> None:
        """Replace what is said in a chunk's folder that is not committed yet."""
        write_whole(folder / OUTCOMES, as_lines(outcomes).encode())

    def chunk_numbers(self) -> list[int]:
        """Return the numbers of all committed chunks, ascending."""
        return self._chunks()

    def parts(self, chunk: int) -> Path:
        """Return the folder of a committed chunk's parts of track files."""
        return self._place(chunk) / PARTS

    def put(self, name: str, made: Path) -> None:
        """Bring a file that was made in a work folder to its place.

        Raises:
            InputError: The disk does not take it.
        """
        try:
            place = self.out / name
            place.parent.mkdir(parents=True, exist_ok=True)
            os.replace(made, place)
            _sync_folder(place.parent)
        except OSError as error:
            raise disk_error(self.out / name, error) from error

    def _place(self, chunk: int) -> Path:
        return self.state / "chunks" / f"{chunk:06d}"

    def _chunks(self) -> list[int]:
        return sorted(int(path.name) for path in (self.state / "chunks").iterdir() if path.name.isdigit())

    def _publish(self, chunk: int) -> None:
        """Rename a committed chunk's files to their places."""
        waiting = self._place(chunk) / FILES
        if not waiting.is_dir():
            return
        places = set()
        for path in sorted(path for path in waiting.rglob("*") if path.is_file()):
            place = self.out / path.relative_to(waiting)
            place.parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, place)
            places.add(place.parent)
        for folder in sorted(places):
            _sync_folder(folder)
        shutil.rmtree(waiting)

    def _clean(self) -> None:
        """Delete what a killed run left, and finish what it had committed."""
        for left in (self.state / "work").iterdir():
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        for chunk in self._chunks():
            if (self._place(chunk) / FILES).is_dir():
                try:
                    self._publish(chunk)
                except OSError as error:
                    raise disk_error(self._place(chunk), error) from error


def synchronise(folder: Path) -> None:
    """Bring a folder tree's names to the disk; its files were synchronised when they were written."""
    for place, _, _ in os.walk(folder):
        _sync_folder(Path(place))


def write_whole(path: Path, data: bytes, by: Path | None = None) -> None:
    """Write a file whole or not at all.

    Args:
        path: Where to; its folder is made.
        data: The content.
        by: A folder on the same disk for the draft; None: beside it.

    Raises:
        InputError: The disk does not take it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if by is None:
        write_bytes(path, data)
        return
    draft = by / f"{path.name}.{uuid.uuid4().hex}"
    write_bytes(draft, data)
    try:
        os.replace(draft, path)
        _sync_folder(path.parent)
    except OSError as error:
        raise disk_error(path, error) from error


def disk_error(path: Path, error: OSError) -> InputError:
    """Return the error of a place that cannot be written to."""
    advice = "What was committed is whole; make room and run the same command again."
    return InputError("--out", "a place that can be written to", f"{path} ({error.strerror or error})", advice)


@contextlib.contextmanager
def worker_lock(state: Path) -> Iterator[None]:
    """Hold the lock that tells the next run that a worker of this one still lives."""
    lock = _lock(state / WORKERS / f"{os.getpid()}.{uuid.uuid4().hex}", wait=ORPHAN_SECONDS)
    try:
        yield
    finally:
        lock.release()


def _sync_folder(folder: Path) -> None:
    """Bring a folder's names to the disk; Windows opens no folders and writes names with their files."""
    if sys.platform == "win32":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _lock(path: Path, wait: float = 0.0) -> "filelock.BaseFileLock":
    """Lock a file; the system lets go of it when the process ends.

    Raises:
        InputError: Another process holds it.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path, thread_local=False)
    try:
        lock.acquire(timeout=wait, poll_interval=0.1)
    except Timeout:
        out = next(parent.parent for parent in path.parents if parent.name == STATE_FOLDER)
        advice = "Wait for it, end it, or name another --out."
        raise InputError("--out", "a folder no other run works in", str(out), advice) from None
    return lock


def _wait_for_workers(state: Path) -> None:
    """Wait for the workers of a killed run, which may still be writing.

    Raises:
        InputError: One of them still lives after `ORPHAN_SECONDS`.
    """
    end = time.monotonic() + ORPHAN_SECONDS
    for path in sorted((state / WORKERS).iterdir()):
        _lock(path, max(0.0, end - time.monotonic())).release()
        path.unlink(missing_ok=True)
