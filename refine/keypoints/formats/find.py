"""Finds which keypoint format a content is in: what a file holds, or what a detector returned.

people of a photo = layout_of(content_of(path)).read(content, wanted)
"""

from pathlib import Path
from types import ModuleType

from refine.discover import modules
from refine.errors import InputError
from refine.keypoints.numbers import is_array, is_numeric, shape_of

ADVICE = (
    "Give what is always understood, points (P, 17, 2) px in COCO's order and confidences (P, 17): refine.fit(..., "
    "keypoints=(points, confidences)); as a file: np.savez('photo.npz', keypoints=points, scores=confidences). Other "
    "layouts, and sets of 18 to 308 points: docs/keypoints.md."
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


def content_of(path: Path) -> object:
    """Return what a file holds.

    Args:
        path: A JSON, npy or npz file, or a pickle, joblib or torch file of plain data, of which nothing is executed.

    Raises:
        InputError: The file is missing, broken or of another kind.
    """
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
