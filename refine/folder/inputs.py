"""The photos and keypoint files that a result was made from: written with its chunk, compared by the next run.

    size and time of change as they were      the same file
    another time, the same size and content   the same file (copied, touched)
    else                                      changed, and what was made from it is no longer what the run would make

A chunk of a folder written before there was such a list has none, and its photos and keypoints are not looked at.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path

from refine.folder.keypoints import KeypointFiles
from refine.folder.outcome import json_text
from refine.folder.photos import PhotoFile

INPUTS = "inputs.jsonl"

MOST_BYTES = 2**28
"""A larger file (a long video) goes by size and time alone: its content is not read a second time."""


@dataclass(frozen=True)
class Input:
    """A file as it was when it was read.

    Attributes:
        path: Where.
        size: Bytes; -1: it was not there.
        modified_ns: Time of change.
        content: Digest of the content; "" where there is none or the file is larger than `MOST_BYTES`.
    """

    path: str
    size: int
    modified_ns: int
    content: str = ""


@dataclass
class Inputs:
    """What one result, or some photos of a long one, was made from.

    Attributes:
        files: Its photos and keypoint files by path.
        bare: Photos without keypoints, where keypoints were asked for: name and frame.
    """

    files: dict[str, Input] = field(default_factory=dict)
    bare: dict[str, int | None] = field(default_factory=dict)

    def add(self, path: Path) -> None:
        """Note a file; call it before the file is read, so that a change while it is read is a change."""
        if str(path) not in self.files:
            self.files[str(path)] = stamp(path)

    def add_bare(self, photo: PhotoFile) -> None:
        """Note that a photo has no keypoints."""
        self.bare[photo.name] = photo.frame


def stamp(path: Path) -> Input:
    """Return a file as it is now."""
    try:
        stat = os.stat(path)
        return Input(str(path), stat.st_size, stat.st_mtime_ns, _digest(str(path), stat.st_size, stat.st_mtime_ns))
    except OSError:
        return Input(str(path), -1, 0)


@lru_cache(maxsize=8)
def _digest(path: str, size: int, modified_ns: int) -> str:
    """Return the digest of a file's content; that of a video or of a file about all photos is asked for often."""
    if size > MOST_BYTES:
        return ""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def inputs_text(inputs: Mapping[str, Inputs]) -> str:
    """Return the inputs of a chunk's results, one line each.

    Args:
        inputs: By the result's label (`manifest.Item.label`).
    """
    rows = (
        {"result": label, "files": [asdict(file) for file in one.files.values()], "bare": one.bare}
        for label, one in inputs.items()
    )
    return "".join(json_text(row) + "\n" for row in rows)


def read_inputs(text: str) -> dict[str, Inputs]:
    """Read what `inputs_text` wrote."""
    found = {}
    for row in map(json.loads, text.splitlines()):
        files = [Input(**file) for file in row["files"]]
        found[row["result"]] = Inputs({file.path: file for file in files}, row["bare"])
    return found


@dataclass
class Changes:
    """Looks at files once, however many results were made from them.

    Attributes:
        keypoints: The keypoint files there are now, None where none are asked for.
    """

    keypoints: KeypointFiles | None
    _known: dict[Input, bool] = field(default_factory=dict)

    def of(self, inputs: Inputs) -> list[str]:
        """Return what is another than it was: files, with "(gone)" or "(new)" behind where that is how."""
        found = []
        for file in inputs.files.values():
            if file not in self._known:
                self._known[file] = _is_same(file)
            if not self._known[file]:
                found.append(file.path + ("" if os.path.exists(file.path) else " (gone)"))
        return found + [f"{path} (new)" for path in self._new(inputs.bare.items())]

    def _new(self, bare: Iterable[tuple[str, int | None]]) -> Iterable[Path]:
        """Return the keypoint files of photos that had none."""
        from refine.errors import InputError

        for name, frame in bare if self.keypoints is not None and not self.keypoints.about_all else ():
            photo = PhotoFile(Path(name.partition("#")[0] if frame is not None else name), name, frame)
            try:
                path = self.keypoints.of_photo(photo) if self.keypoints else None
            except InputError:  # several: told when the result is done again
                continue
            if path is not None:
                yield path


def _is_same(file: Input) -> bool:
    """Say whether a file is as it was; its content is read only where its time of change is another."""
    try:
        stat = os.stat(file.path)
    except OSError:
        return file.size < 0
    if stat.st_size != file.size:
        return False
    return stat.st_mtime_ns == file.modified_ns or (
        bool(file.content) and stamp(Path(file.path)).content == file.content
    )
