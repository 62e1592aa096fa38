"""What decides a run's bytes, beside its inputs: settings and versions. A run is continued only under the same ones."""

import hashlib
from dataclasses import dataclass, fields, is_dataclass
from importlib import metadata
from pathlib import Path

from refine.errors import InputError
from refine.inputs.corrections import Corrections, parse_corrections
from refine.refiner import Refiner

CHUNK_SIZE = 64
"""Results a chunk. A killed run redoes at most this many a process; larger batches are no faster on a CPU (measured up to 256)."""

CONTENT = "_sha256"
"""Ending of what stands for a file's content in the manifest."""

VERSIONED = ("torch", "numpy", "opencv-python-headless")


@dataclass(frozen=True)
class Settings:
    """One run's settings. Paths are strings, absolute, so that they can be written down and sent to another machine."""

    results: str
    """The folder that the results' names are relative to."""
    images: str
    """Folder, pattern, photo or video, as the caller named it."""
    keypoints: str | None = None
    """Folder, pattern or file; None: the refiner's own eyes are all the evidence."""
    format: str | None = None
    """The results' format; None: recognised file by file."""
    camera: str | None = None
    """A focal rule, a K.json file, or a focal length in px; None: the camera each result holds."""
    body_model: str | None = None
    """A model, its file or folder; None: the source's own where it is found, else the built-in."""
    device: str = "cpu"
    """Where the solver works ("cpu", "cuda", "cuda:1")."""
    threads: int = 1
    """Threads a process computes with; results depend on it in the last digits."""
    chunk_size: int = CHUNK_SIZE
    """Results a chunk, and photos a part of a long track file."""
    first_frame: int = 0
    """The number that results give a video's first frame."""
    only_result: bool = False
    """Whether there is one result; it belongs to the only photo whatever both are called."""
    save_npz: bool = False
    """Whether refine's own npz is written beside each result."""
    correct: tuple[str, ...] = ()
    """Systematic faults of keypoints and estimates that are undone on reading, as `refine.inputs.corrections` has them."""

    def __post_init__(self) -> None:
        if self.chunk_size < 1 or self.threads < 1:
            raise InputError("--chunk-size, --threads", "at least 1", f"{self.chunk_size}, {self.threads}")
        _ = self.corrections

    @property
    def corrections(self) -> Corrections:
        """The faults that are undone.

        Raises:
            InputError: One of `correct` is not known.
        """
        return parse_corrections(self.correct)


def described(settings: Settings, refiner: Refiner) -> dict[str, object]:
    """Return settings, refiner and versions as JSON can hold them.

    Camera and body model go in by their content too, where they are files. Where the results lie does not matter, only what they are.
    """
    written = {f.name: _plain(getattr(settings, f.name)) for f in fields(settings) if f.name != "results"}
    for name in ("camera", "body_model"):
        given = getattr(settings, name)
        if given and Path(given).is_file():
            with Path(given).open("rb") as file:
                written[name + CONTENT] = hashlib.file_digest(file, "sha256").hexdigest()
    return {"settings": written, "refiner": _plain(refiner), "versions": versions()}


def versions() -> dict[str, str]:
    """Return the versions of what computes the results."""
    import refine

    found = {"refine": refine.__version__}
    for name in VERSIONED:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "absent"
    return found


def _plain(value: object) -> object:
    """Return dataclasses as dictionaries, numbers and text as they are, anything else by the name of its class.

    A displacer says who it is by its attribute `name`, where it has one.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    if isinstance(getattr(value, "name", None), str):
        return f"{kind} {value.name}"  # type: ignore[attr-defined]
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    return kind
