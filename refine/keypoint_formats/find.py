"""The door to all keypoint formats: from a file, or what a detector returned, to the people of one photo.

read_keypoints(source) = the one format that recognises the content . read(content)
"""

from pathlib import Path
from types import ModuleType

from refine.ambient import usual_torch
from refine.detections import DetectedPeople
from refine.discover import modules
from refine.errors import InputError
from refine.keypoint_formats import Wanted

ADVICE = "Write it in one of these layouts; each is described in refine/keypoint_formats."


def keypoint_formats() -> dict[str, ModuleType]:
    """Return the known formats by name, ours and those of third parties (entry points `refine.keypoint_formats`)."""
    return dict(modules("refine.keypoint_formats", "refine.keypoint_formats", having="recognises"))


@usual_torch()
def read_keypoints(
    source: object, *, image: str | int | None = None, size: tuple[int, int] | None = None
) -> DetectedPeople:
    """Read what a 2D detector said about the people of one photo.

    Args:
        source: A JSON or npz file, or what a detector returned (MMPose's instances, DWPose's arrays, MediaPipe's landmarks, ...).
        image: Which image of a file of many: its file name or id (COCO), its frame number (MMPose).
        size: (height, width) of the photo, px; needed for MediaPipe's landmarks, which are shares of it.

    Returns:
        The people in the detector's order, to be given to `refine.fit(keypoints=...)`.

    Raises:
        InputError: The file is missing, broken or of no known layout, or the image is not in it.
    """
    origin = Path(source).name if isinstance(source, str | Path) else "the call"
    content = load_keypoints(source) if isinstance(source, str | Path) else source
    return read_content(content, Wanted(origin, image, size))


def load_keypoints(path: str | Path) -> object:
    """Return what a JSON or npz file holds, for `read_keypoints`: a file of many images need be read only once.

    Args:
        path: The file.

    Raises:
        InputError: The file is missing, broken, or neither JSON nor an npz of plain arrays.
    """
    from refine.formats._npz import member_names, read_arrays
    from refine.formats._pickled import read_json

    path = Path(path)
    return read_arrays(path) if member_names(path) else read_json(path)


def recognised(content: object) -> ModuleType | None:
    """Return the format that recognises content, None where none does."""
    return next((module for module in keypoint_formats().values() if module.recognises(content)), None)


def read_content(content: object, wanted: Wanted) -> DetectedPeople:
    """Read the people of a photo from content in memory.

    Args:
        content: What a file held, or a detector returned.
        wanted: The photo.

    Raises:
        InputError: The content is of no known layout, broken, or not about this photo.
    """
    module = recognised(content)
    if module is None:
        known = ", ".join(keypoint_formats())
        expected = f"keypoints of a known layout ({known})"
        raise InputError(f"keypoints of {wanted.origin}", expected, _what_it_is(content), ADVICE)
    return module.read(content, wanted)


def _what_it_is(content: object) -> str:
    """Say in words what unrecognised content looks like."""
    if isinstance(content, dict):
        return f"an object with the keys {', '.join(list(map(str, content))[:8])}" if content else "an empty object"
    if isinstance(content, list | tuple) and content:
        inner = (
            f" of objects with the keys {', '.join(list(map(str, content[0]))[:8])}"
            if isinstance(content[0], dict)
            else ""
        )
        return f"a list{inner or f' of {type(content[0]).__name__}'}"
    return type(content).__name__
