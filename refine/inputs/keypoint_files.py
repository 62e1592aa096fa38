"""Reads the people of one photo from a file of 2D keypoints, or from what a detector returned; refuses results."""

from pathlib import Path

from refine.ambient import usual_torch
from refine.check import check_local
from refine.errors import InputError
from refine.formats.find import formats
from refine.keypoints.detections import DetectedPeople
from refine.keypoints.formats import Wanted
from refine.keypoints.formats.find import content_of, layout_of, recognised


@usual_torch()
def read_keypoints(
    source: object, *, image: str | int | None = None, size: tuple[int, int] | None = None
) -> DetectedPeople:
    """Read what a 2D detector found of the people of one photo.

    Args:
        source: A JSON, npy or npz file (also a pickle or torch file of plain data), or what a detector returned
            (docs/keypoints.md).
        image: Which image of a file of many: its file name, id or frame number.
        size: (height, width) of the photo, px; needed where points are shares of it, or of a canvas of another size.

    Returns:
        The people in the detector's order, to be given to `refine.fit(keypoints=...)`.

    Raises:
        InputError: The file is missing, broken or of no known layout, or the image is not in it.
    """
    origin = Path(source).name if isinstance(source, str | Path) else "the call"
    content = load_keypoints(source) if isinstance(source, str | Path) else source
    people: DetectedPeople = layout_of(content, origin).read(content, Wanted(origin, image, size))
    return people


def load_keypoints(path: str | Path) -> object:
    """Return what a file holds, for `read_keypoints`: a file of many images need be read only once.

    Args:
        path: A JSON, npy or npz file, or a pickle, joblib or torch file of plain data, of which nothing is executed.

    Raises:
        InputError: The file is missing, broken, of another kind, or a regressor's result.
    """
    path = Path(path)
    if not path.is_file():
        check_local("keypoints", path)
    try:
        content = content_of(path)
    except InputError:
        _check_no_result(path)
        raise
    if recognised(content) is None:
        _check_no_result(path)
    return content


def _check_no_result(path: Path) -> None:
    """Refuse a regressor's result given as keypoints.

    Raises:
        InputError: It is one.
    """
    name = next((name for name, module in formats().items() if path.is_file() and module.recognises(path)), None)
    if name not in (None, "nobody"):  # what holds nobody is as little a result as it is a detection
        advice = (
            "That is what init is for: refine.fit(PHOTO, RESULT, keypoints=KEYPOINTS), refine run RESULTS --keypoints "
            "KEYPOINTS."
        )
        raise InputError(f"keypoints {path}", "a 2D detector's keypoints", f"a regressor's result ({name})", advice)
