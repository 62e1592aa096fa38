"""The photos of a run, and which of them belongs to a result: by a stored name, by the result's own, by frame number.

    stored name   its longest tail that exists below the image folder; `..`, drives and roots are cut off, so that
                  nothing outside is ever read
    by name       image folder / same folder / same stem; else the only photo of that stem; else the longest stem that
                  the result's begins with ("photo_0.08.npz" is of "photo.jpg"), up to a `_`, `-` or `.`
    several       a result of many photos: the folder or video of its name, else all of the photos, by index
    video         the last number in the result's name, counted from `first_frame`

A single photo belongs to a single result whatever they are called.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath, PureWindowsPath

from refine.check import check_local
from refine.errors import InputError
from refine.folder.results import files_below, match_pattern

IMAGES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v")


@dataclass(frozen=True)
class PhotoFile:
    """Where a photo is: a file, or a frame of a video."""

    path: Path
    name: str
    """Below the image folder, for logs."""
    frame: int | None = None
    """Number of the frame from 0, None for a file."""


@dataclass(frozen=True)
class Photos:
    """Photos below one root, or the frames of one video.

    Attributes:
        root: The image folder; nothing outside of it is read.
        names: Photos and videos below it, sorted.
        video: The one video that was named, or None.
        first_frame: The number that results give a video's first frame.
        only_result: Whether there is one result, which then belongs to the only photo.
    """

    root: Path
    names: tuple[str, ...]
    video: str | None = None
    first_frame: int = 0
    only_result: bool = False
    _frames: dict[str, int] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def images(self) -> tuple[str, ...]:
        """Names of those that are photos, not videos."""
        return tuple(name for name in self.names if name.lower().endswith(IMAGES))

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self.names)

    @cached_property
    def _by_stem(self) -> dict[str, list[str]]:
        """Photos by name without folder and suffix."""
        found: dict[str, list[str]] = {}
        for name in self.images:
            found.setdefault(PurePosixPath(name).stem, []).append(name)
        return found

    @cached_property
    def _by_file_name(self) -> dict[str, list[str]]:
        """Photos by name without folder."""
        found: dict[str, list[str]] = {}
        for name in self.images:
            found.setdefault(PurePosixPath(name).name, []).append(name)
        return found

    @cached_property
    def _place(self) -> dict[str, int]:
        return {name: index for index, name in enumerate(self.images)}

    def place_of(self, photo: PhotoFile) -> tuple[int, int]:
        """Return a photo's place among all photos, or a frame's in its video, and how many of these there are."""
        if photo.frame is None:
            return self._place.get(photo.name, 0), max(1, len(self.images))
        return photo.frame, self._count(photo.path.relative_to(self.root).as_posix())

    def stored(self, stored_name: str) -> PhotoFile | None:
        """Return the photo a result names, None where there is none of that name in the image folder."""
        parts = [part for part in PureWindowsPath(stored_name).parts if part not in ("/", "\\", ".")]
        parts = [part for part in parts if not part.endswith(("/", "\\", ":"))]
        if ".." in parts:
            parts = parts[len(parts) - parts[::-1].index("..") :]
        for start in range(len(parts)):
            name = "/".join(parts[start:])
            if name in self._known and not name.lower().endswith(VIDEOS):
                return PhotoFile(self.root / name, name)
        alone = self._by_file_name.get(parts[-1], []) if len(parts) == 1 else []
        if len(alone) == 1:
            return PhotoFile(self.root / alone[0], alone[0])
        number = frame_number(parts[-1]) if parts else None
        if self.video is not None and number is not None:
            return self._frame(number - self.first_frame)
        return None

    def of_result(self, result: str) -> tuple[PhotoFile, ...]:
        """Return the photos that belong to a result by its name: one, all of a folder or video of that name, or none.

        Args:
            result: The result's name below its root.

        Raises:
            InputError: Several photos have its name.
        """
        if self.video is not None:
            number = frame_number(PurePosixPath(result).name)
            if number is None or self.only_result:
                return self.frames(self.video)
            return (self._frame(number - self.first_frame),)
        place = PurePosixPath(result)
        same = [name for name in self._by_stem.get(place.stem, ()) if PurePosixPath(name).parent == place.parent]
        same = same or self._by_stem.get(place.stem, []) or self._begins(place)
        if len(same) > 1:
            advice = "Give images and results the same folders below theirs, or a pattern for one kind of image."
            raise InputError(f"{result}: photo", "one photo of that name", ", ".join(same[:4]), advice)
        if same:
            return (PhotoFile(self.root / same[0], same[0]),)
        for folder in (str(place.with_suffix("")), place.stem):
            inside = tuple(name for name in self.images if name.startswith(f"{folder}/"))
            if inside:
                return tuple(PhotoFile(self.root / name, name) for name in inside)
            videos = [folder + suffix for suffix in VIDEOS if folder + suffix in self._known]
            if videos:
                return self.frames(videos[0])
        return tuple(PhotoFile(self.root / name, name) for name in self.images) if self.only_result else ()

    def later(self, photo: PhotoFile, count: int) -> PhotoFile | None:
        """Return the photo `count` places on in the same video or folder, None beyond its ends."""
        if photo.frame is not None:
            frames = self.frames(photo.name.partition("#")[0])
            return frames[photo.frame + count] if 0 <= photo.frame + count < len(frames) else None
        folder = PurePosixPath(photo.name).parent
        beside = [name for name in self.images if PurePosixPath(name).parent == folder]
        place = beside.index(photo.name) + count
        return PhotoFile(self.root / beside[place], beside[place]) if 0 <= place < len(beside) else None

    def frames(self, video: str) -> tuple[PhotoFile, ...]:
        """Return all frames of a video."""
        path = self.root / video
        return tuple(PhotoFile(path, f"{video}#{number}", number) for number in range(self._count(video)))

    def _frame(self, number: int) -> PhotoFile:
        assert self.video is not None
        count = self._count(self.video)
        if not 0 <= number < count:
            wanted = f"a frame of {self.video}, which has {count}"
            got = f"number {number + self.first_frame}, counted from {self.first_frame}"
            raise InputError("frame", wanted, got, "Say with --first-frame which number the first frame has.")
        return PhotoFile(self.root / self.video, f"{self.video}#{number}", number)

    def _count(self, video: str) -> int:
        from refine.photo.video import count_frames

        if video not in self._frames:
            self._frames[video] = count_frames(self.root / video)
        return self._frames[video]

    def _begins(self, place: PurePosixPath) -> list[str]:
        """Return the photos whose stem is the longest beginning of the result's."""
        name = place.name
        for end in sorted({match.start() for match in re.finditer(r"[_.\-]", name)}, reverse=True):
            found = self._by_stem.get(name[:end], [])
            if found:
                near = [one for one in found if PurePosixPath(one).parent == place.parent]
                return near or found
        return []


def find_photos(given: str | Path) -> Photos:
    """List photos.

    Args:
        given: A folder (searched with all its folders), a pattern, one photo, or one video.

    Raises:
        InputError: There is nothing of the kind, or it cannot be read.
    """
    path = Path(given).expanduser()
    if path.is_file():
        video = path.name if path.suffix.lower() in VIDEOS else None
        return Photos(path.parent.absolute(), (path.name,), video)
    if path.is_dir():
        root, names = path.absolute(), files_below(path, "--images")
    else:
        check_local("--images", path)
        root, names = match_pattern(path)
    wanted = tuple(name for name in names if name.lower().endswith(IMAGES + VIDEOS))
    if not wanted:
        got = f"{len(names)} other file(s)" if names else "nothing"
        raise InputError("--images", f"photos ({', '.join(IMAGES)}) or videos in {given}", got, "Check the path.")
    return Photos(root, wanted)


def frame_number(name: str) -> int | None:
    """Return the last number in a name's stem, None where there is none."""
    numbers = re.findall(r"\d+", PurePosixPath(name).stem)
    return int(numbers[-1]) if numbers else None


def first_frame(numbers: Sequence[int], count: int) -> int:
    """Say whether frame numbers count from 0 or from 1.

    Args:
        numbers: The numbers that occur.
        count: How many frames the video has.

    Raises:
        InputError: It may be either.
    """
    if not numbers or min(numbers) == 0:
        return 0
    if max(numbers) == count:
        return 1
    got = f"{min(numbers)} to {max(numbers)} of {count} frames"
    raise InputError("--first-frame", "results whose numbers tell whether they count from 0 or 1", got, "Say which.")
