"""The door to all keypoint formats: from a file, or what a detector returned, to the people of one photo.

read_keypoints(source) = the one format that recognises the content . read(content)
"""

from pathlib import Path
from types import ModuleType

from refine.ambient import usual_torch
from refine.check import check_local
from refine.discover import modules
from refine.errors import InputError
from refine.keypoints.detections import DetectedPeople
from refine.keypoints.formats import Wanted
from refine.keypoints.numbers import is_array, is_numeric, shape_of

ADVICE = (
    "Give what is always understood, points (P, 17, 2) px in COCO's order and confidences (P, 17): "
    "refine.fit(..., keypoints=(points, confidences)); as a file: np.savez('photo.npz', keypoints=points, scores=confidences). "
    "Other layouts, and sets of 18 to 308 points: docs/keypoints.md."
)

PARAMETERS = {
    "global_orient",
    "body_pose",
    "betas",
    "smpl_thetas",
    "smpl_betas",
    "pred_smpl_params",
    "pred_pose",
    "pred_shape",
    "vertices",
    "verts",
}
"""Keys of regressors' results in memory."""

TEXT = (".txt", ".csv", ".tsv")
"""Endings of tables, whose columns only their writer knows."""


def keypoint_formats() -> dict[str, ModuleType]:
    """Return the known formats by name, ours and those of third parties (entry points `refine.keypoint_formats`)."""
    return dict(modules("refine.keypoints.formats", "refine.keypoint_formats", having="recognises"))


@usual_torch()
def read_keypoints(
    source: object, *, image: str | int | None = None, size: tuple[int, int] | None = None
) -> DetectedPeople:
    """Read what a 2D detector said about the people of one photo.

    Args:
        source: A JSON, npy or npz file (also a pickle or torch file of plain data), or what a detector returned (docs/keypoints.md).
        image: Which image of a file of many: its file name, id or frame number.
        size: (height, width) of the photo, px; needed where points are shares of it, or of a canvas of another size.

    Returns:
        The people in the detector's order, to be given to `refine.fit(keypoints=...)`.

    Raises:
        InputError: The file is missing, broken or of no known layout, or the image is not in it.
    """
    origin = Path(source).name if isinstance(source, str | Path) else "the call"
    content = load_keypoints(source) if isinstance(source, str | Path) else source
    return read_content(content, Wanted(origin, image, size))


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
        content = _load(path)
    except InputError:
        _check_no_result(path)
        raise
    if recognised(content) is None:
        _check_no_result(path)
    return content


def _check_no_result(path: Path) -> None:
    """Refuse a regressor's result given as keypoints, in words of its own.

    Raises:
        InputError: It is one.
    """
    from refine.formats.find import formats

    name = next((name for name, module in formats().items() if path.is_file() and module.recognises(path)), None)
    if name not in (None, "nobody"):  # what holds nobody is as little a result as it is a detection
        advice = "That is what init is for: refine.fit(PHOTO, RESULT, keypoints=KEYPOINTS), refine run RESULTS --keypoints KEYPOINTS."
        raise InputError(f"keypoints {path}", "a 2D detector's keypoints", f"a regressor's result ({name})", advice)


def _load(path: Path) -> object:
    from refine.files.json_file import read_json
    from refine.files.npz import member_names, read_arrays
    from refine.files.pickled import kind, read_pickled

    if member_names(path):
        return read_arrays(path)
    if kind(path) in ("npy", "pickle", "joblib", "torch"):
        return read_pickled(path)
    if path.suffix.lower() in TEXT and path.is_file():
        raise InputError(f"keypoints {path}", "a JSON, npy or npz file", f"a table ({path.suffix})", ADVICE)
    return read_json(path)


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
    return layout_of(content, wanted.origin).read(content, wanted)


def layout_of(content: object, origin: str) -> ModuleType:
    """Return the format that recognises content: once for all photos it is about.

    Args:
        content: What a file held, or a detector returned.
        origin: Where it came from, for messages.

    Raises:
        InputError: None does.
    """
    module = recognised(content)
    if module is None:
        known = ", ".join(keypoint_formats())
        expected = f"keypoints of a known layout ({known})"
        raise InputError(f"keypoints of {origin}", expected, what_it_is(content), ADVICE)
    return module


def what_it_is(content: object) -> str:
    """Say in words what unrecognised content looks like."""
    shape = shape_of(content)
    if is_array(content) or (len(shape) > 1 and is_numeric(content)):
        return f"{'an array' if is_array(content) else 'lists of numbers'} of shape {shape}{_set_advice(shape)}"
    if isinstance(content, dict):
        if not content:
            return "an empty object"
        if PARAMETERS & set(content):
            return f"a regressor's result (keys {', '.join(list(map(str, content))[:8])}), which is what init is for"
        by_person = all(isinstance(key, int) for key in content) and len(shape_of(next(iter(content.values())))) == 2
        if by_person:  # easy_ViTPose's, or own: people or frames, x or y first
            return "points by number, which may be people or frames (easy_ViTPose in memory: y comes first)"
        return f"an object with the keys {', '.join(list(map(str, content))[:8])}"
    if isinstance(content, list | tuple) and content:
        keys = f" with the keys {', '.join(list(map(str, content[0]))[:8])}" if isinstance(content[0], dict) else ""
        return f"a list of {'objects' if isinstance(content[0], dict) else type(content[0]).__name__}{keys}"
    return type(content).__name__


def _set_advice(shape: tuple[int, ...]) -> str:
    """Name the sets whose number of points are known where an array's is not."""
    from refine.keypoints.formats.arrays import SETS_BY_COUNT

    known = len(shape) in (2, 3) and shape[-2] in SETS_BY_COUNT
    return "" if known else f" (known numbers of points: {', '.join(map(str, sorted(SETS_BY_COUNT)))})"
