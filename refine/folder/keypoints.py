"""The keypoint files of a run, which of them is a photo's, and whose points they are.

photo "a/b.jpg"      b_keypoints.json, b.json, b.jpg.json, b.npz ...: in the same folder, else the only one of that name
frame 12 of v.mp4    v_000000000012_keypoints.json (OpenPose), else the file whose last number is the frame's
one file             about all photos (COCO results, a detector's results of a video); which of its images is a photo:
                     `keypoints/formats/_images.py`
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path, PurePosixPath
from types import ModuleType

from refine.check import check_local
from refine.errors import InputError
from refine.folder.photos import PhotoFile, frame_number
from refine.folder.results import files_below, match_pattern
from refine.keypoints.detections import DetectedPeople

ENDINGS = (
    "_keypoints.json", "_pose.json", "_poses.json", "_kpts.json", "_result.json", ".predictions.json", ".json",
    ".npz", ".npy",
)  # fmt: skip
"""What keypoint files add to their photo's name."""


@dataclass(frozen=True)
class KeypointFiles:
    """Keypoint files below one root."""

    root: Path
    names: tuple[str, ...]
    about_all: bool = False
    """Whether there is one file, which is about all photos."""

    @cached_property
    def _by_photo(self) -> dict[str, list[str]]:
        """Files by the photo's stem or file name they may be of."""
        found: dict[str, list[str]] = {}
        for name in self.names:
            file = PurePosixPath(name).name
            ending = next((end for end in ENDINGS if file.endswith(end)), "")
            found.setdefault(file[: len(file) - len(ending)], []).append(name)
        return found

    @cached_property
    def _by_number(self) -> dict[int, list[str]]:
        found: dict[int, list[str]] = {}
        for name in self.names:
            stem = name.removesuffix("_keypoints.json")
            number = frame_number(stem + ".json" if stem != name else name)
            if number is not None:
                found.setdefault(number, []).append(name)
        return found

    def of_photo(self, photo: PhotoFile) -> Path | None:
        """Return the file about a photo, None where there is none.

        Raises:
            InputError: Several files have its name.
        """
        if self.about_all:
            return self.root / self.names[0]
        place = PurePosixPath(photo.name)
        if photo.frame is not None:
            stem = photo.path.stem
            found = self._by_photo.get(f"{stem}_{photo.frame:012d}", []) or self._by_number.get(photo.frame, [])
        else:
            found = self._by_photo.get(place.stem, []) + self._by_photo.get(place.name, [])
        near = [name for name in found if PurePosixPath(name).parent == place.parent]
        found = near or found
        if len(found) > 1:
            advice = "Give keypoints and images the same folders below theirs."
            raise InputError(f"{photo.name}: keypoints", "one file of that name", ", ".join(found[:4]), advice)
        return self.root / found[0] if found else None


def find_keypoints(given: str | Path) -> KeypointFiles:
    """List keypoint files.

    Args:
        given: A folder (searched with all its folders), a pattern, or one file that is about all photos.

    Raises:
        InputError: There is nothing of the kind, or it cannot be read.
    """
    path = Path(given).expanduser()
    if path.is_file():
        return KeypointFiles(path.parent.absolute(), (path.name,), about_all=True)
    if path.is_dir():
        root, names = path.absolute(), files_below(path, "--keypoints")
    else:
        check_local("--keypoints", path)
        root, names = match_pattern(path)
    names = tuple(name for name in names if name.endswith(ENDINGS))
    if not names:
        raise InputError("--keypoints", f"keypoint files (JSON) in {given}", "none", "Check the path.")
    return KeypointFiles(root, names)


def check_keypoints(files: KeypointFiles) -> None:
    """Read one file about all photos before the work: where it is broken, every result would fail alike.

    Raises:
        InputError: It cannot be read, or is of no known layout.
    """
    if files.about_all:
        path = files.root / files.names[0]
        stat = path.stat()
        _content(path, stat.st_size, stat.st_mtime_ns)  # it is kept, and read from there later


def read_people(
    path: Path, photo: PhotoFile, size: tuple[int, int], among: tuple[int, int] | None = None
) -> DetectedPeople:
    """Read the people of a photo; whether their points can be those of a photo of its size is not looked at.

    Args:
        path: The file.
        photo: The photo.
        size: (height, width) px.
        among: Of a file about all photos: the photo's place, and how many photos there are; None: the file is this
            photo's.

    Raises:
        InputError: The file is broken, or not about this photo.
    """
    from refine.keypoints.formats import Wanted

    stat = path.stat()
    content, found = _content(path, stat.st_size, stat.st_mtime_ns)
    if among is not None and among[1] > 1:
        if found.images(content) == 1 and not getattr(found, "NAMED", False):
            advice = (
                "Name the folder of all photos' keypoint files, or a file in which each image has its name or number."
            )
            raise InputError(f"keypoints {path.name}", f"a file about all {among[1]} photos", "one about one", advice)
    image = photo.frame if photo.frame is not None else photo.name
    people: DetectedPeople = found.read(content, Wanted(path.name, image, size, among or (0, 1)))
    return people


@lru_cache(maxsize=1)
def _content(path: Path, size: int, modified_ns: int) -> tuple[object, ModuleType]:
    """Return a file's content and its layout; those of a file about all photos are asked for once a photo."""
    from refine.inputs.keypoint_files import load_keypoints
    from refine.keypoints.formats.find import layout_of

    content = load_keypoints(path)
    return content, layout_of(content, path.name)
