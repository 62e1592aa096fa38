"""What decides a run's bytes, beside its inputs: settings and versions. A run is continued only under the same ones."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from importlib import metadata
from pathlib import Path

from refine.detectors.find import detector, settled_name
from refine.errors import InputError
from refine.inputs.corrections import Corrections, KeypointCorrection, parse_corrections
from refine.inputs.detecting import name_of
from refine.refiner import Refiner

CHUNK_SIZE = 64
"""Results a chunk. A killed run redoes at most so many a process; larger batches are no faster (measured up to 256)."""

CONTENT = "_sha256"
"""Ending of what stands for a file's content in the manifest."""

VERSIONED = ("torch", "numpy", "opencv-python-headless")


@dataclass(frozen=True)
class Settings:
    """What is read in a folder, and how. Paths become absolute text, which can be sent to another machine."""

    results: str | Path
    """A result file, a folder, or a pattern; once they are listed, the folder that their names are relative to."""
    images: str | Path
    """Folder, pattern, photo or video."""
    keypoints: str | Path | None = None
    """Folder or pattern of keypoint files, or one file about all photos; None: none, the network that ships looks."""
    detector: str | None = None
    """A detector that is run on the photos instead: "auto", "NAME" or "NAME=MODEL" (`refine.detectors.find`)."""
    format: str | None = None
    """The results' format; None: recognised file by file."""
    camera: str | Path | None = None
    """A focal rule, a K.json file, or a focal length in px; None: the camera each result holds."""
    body_model: str | Path | None = None
    """A model, its file or folder; None: the source's own where it is found, else the built-in."""
    device: str = "cpu"
    """Where the solver works ("cpu", "cuda", "cuda:1")."""
    threads: int | None = None
    """Threads a process computes with, on which results depend in the last digits; None: 1, which wastes the least, or
    what the output folder was begun with."""
    chunk_size: int | None = None
    """Results a chunk, and photos a part of a long track file; None: 64, or what the output folder was begun with."""
    first_frame: int | None = None
    """The number that results give a video's first frame; None: told by the numbers."""
    only_result: bool = False
    """Whether there is one result; it belongs to the only photo whatever both are called."""
    save_npz: bool = False
    """Whether refine's own npz is written beside each result."""
    independent: bool = False
    """Whether every frame is refined by itself where a result says who is who over time; else tracks are solved."""
    fps: float | None = None
    """Frames a second of tracks; None: the video's own times, and where there is no video the usual rate."""
    correct: Sequence[str] = ()
    """Systematic faults of keypoints and estimates that are undone on reading (`refine.inputs.corrections`)."""

    points3d: str | None = None
    """A file of 3D joints about all photos, or a folder with one a photo: joints or a cloud."""

    def __post_init__(self) -> None:
        for name in ("results", "images", "keypoints", "camera", "body_model", "points3d"):
            given = getattr(self, name)
            if given is not None:
                path = name in ("results", "images", "keypoints", "points3d")
                object.__setattr__(self, name, str(Path(given).expanduser().absolute() if path else given))
        object.__setattr__(self, "correct", tuple(self.correct))
        if not all(count is None or count >= 1 for count in (self.chunk_size, self.threads)):
            raise InputError("--chunk-size, --threads", "at least 1", f"{self.chunk_size}, {self.threads}")
        if self.fps is not None and not 0 < self.fps < float("inf"):
            raise InputError("--fps", "frames a second, above zero", repr(self.fps))
        _ = self.corrections
        if self.detector is not None and self.keypoints is not None:
            raise InputError("--detector", "no --keypoints beside it", "both", "Name the keypoints, or the detector.")
        if self.detector is not None and self.corrections.keypoints != KeypointCorrection():
            advice = "A detector that is run here sees the photo as it is."
            raise InputError("--correct", "faults of the estimates, beside --detector", "one of keypoints", advice)

    @property
    def evidence(self) -> str | None:
        """Where evidence comes from, keypoints before others: a file, a folder or a detector; None: from nowhere."""
        keypoints = self.keypoints if self.detector is None else self.detector
        return self.points3d if keypoints is None else str(keypoints)

    @property
    def has_keypoints(self) -> bool:
        """Whether there are keypoints."""
        return self.keypoints is not None or self.detector is not None

    @property
    def corrections(self) -> Corrections:
        """The faults that are undone.

        Raises:
            InputError: One of `correct` is not known.
        """
        return parse_corrections(self.correct)

    def settled(self, threads: int = 1, chunk_size: int = CHUNK_SIZE, first_frame: int = 0) -> "Settings":
        """Return the settings with numbers for what was left open: those given here, by default the usual ones.

        Raises:
            InputError: There is no such detector.
            MissingExtra: None is installed ("auto").
        """
        return replace(
            self,
            threads=threads if self.threads is None else self.threads,
            chunk_size=chunk_size if self.chunk_size is None else self.chunk_size,
            first_frame=first_frame if self.first_frame is None else self.first_frame,
            detector=None if self.detector is None else settled_name(self.detector),
        )


def described(settings: Settings, refiner: Refiner) -> dict[str, object]:
    """Return settings, refiner and versions as JSON can hold them.

    Camera and body model go in by their content too, where they are files. Where the results lie does not matter, only
    what they are.
    """
    written = {f.name: _plain(getattr(settings, f.name)) for f in fields(settings) if f.name != "results"}
    if settings.points3d is None:
        del written["points3d"]  # runs that were begun before there was such a setting go on
    for name in ("camera", "body_model"):
        given = getattr(settings, name)
        if given and Path(given).is_file():
            with Path(given).open("rb") as file:
                written[name + CONTENT] = hashlib.file_digest(file, "sha256").hexdigest()
    known = versions()
    if settings.detector is not None:
        known["detector"] = name_of(detector(settings.detector))
    return {"settings": written, "refiner": _plain(refiner), "versions": known}


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
