"""Parts of an SMPL-family pose as files store them: read as rotations, and refined ones put back where they came from.

    rotation = exp(axis-angle) or the matrix itself: the number of values tells which

Joints that were not turned, and bodies that did not change, keep their numbers to the bit; shapes, dtypes and the kind
(tensor, array) are the file's.

Source: the package smplx, `body_models.py` (names and shapes of the `forward` arguments).
"""

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from refine.body.smpl_joints import joint_slices
from refine.errors import InputError
from refine.estimate import Estimate, as_array, as_tensor
from refine.files.same_kind import same_kind
from refine.geometry import rotation

ROTATION_TOLERANCE = 1e-2
"""How far R R^T may be from the identity (float16 and hand-rounded files stay below)."""

MOST_TURN_RAD = 25.0
"""Four whole turns: networks that never wrap their rotations write one or two; degrees reach it in any bent limb."""

OTHER_WORDS = {4: "quaternions", 6: "the first two columns or rows of matrices (6D)"}
"""What so many numbers a joint mostly are."""

TO_MATRICES = {
    4: (
        " scipy's Rotation.from_quat makes them of quaternions (x, y, z, w); those with w first are turned over "
        "before: q[..., [1, 2, 3, 0]]."
    ),
    6: (
        " The matrix has a / |a|, b made orthogonal to it and of length 1, and their cross product; as columns in "
        "most SMPL networks, as rows in pytorch3d."
    ),
}
"""How matrices are made of them."""

DAMAGED_ADVICE = "The file is damaged or was changed: run the regressor again."


def kept(value: object) -> np.ndarray:
    """Return a value as an array that can be written to; one that was a tensor in the file stays known as one."""
    array = value if isinstance(value, np.ndarray) else as_array(value)
    return array if array.flags.writeable else array.copy()


def numbers(
    where: str,
    content: Mapping[str, object],
    name: str,
    *shape: int | None,
    advice: str = DAMAGED_ADVICE,
    rows: bool | None = None,
) -> np.ndarray:
    """Return one array of a file.

    Args:
        where: The file, for the message.
        content: What was read.
        name: The array's name.
        *shape: What it must be; None stands for any size.
        advice: What to do where it is not.
        rows: Whether the numbers are people's, so that NaN may stand for who was not seen (`refine.estimate.usable`
            decides); None: those of two axes or more are.

    Raises:
        InputError: It is missing, of another shape, or must be finite and is not.
    """
    if name not in content:
        raise InputError(where, f"an array {name!r}", f"{', '.join(map(str, content)) or 'nothing'}", advice)
    try:
        array = kept(content[name])
        if array.dtype.kind == "c":  # numpy would drop the imaginary part
            raise TypeError("complex numbers")
        array = array if array.dtype.kind in "iuf" else np.asarray(array, np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{where}: {name}", "an array of numbers", type(content[name]).__name__, advice) from error
    fits = len(array.shape) == len(shape) and all(w in (None, n) for w, n in zip(shape, array.shape, strict=True))
    if not fits:
        wanted = ", ".join("n" if size is None else str(size) for size in shape)
        raise InputError(f"{where}: {name}", f"shape ({wanted})", f"shape {array.shape}", advice)
    if not (array.ndim > 1 if rows is None else rows) and not np.isfinite(array).all():
        bad = int((~np.isfinite(array)).sum())
        raise InputError(f"{where}: {name}", "finite values", f"{bad} NaN or infinite value(s)", advice)
    return array


def rotations(where: str, name: str, values: object, count: int, joints: int) -> Float[Tensor, "B n 3 3"]:
    """Return rotations from axis-angle or matrices, in any shape; the number of values tells which.

    Args:
        where: The file, for messages.
        name: The part's name, for messages.
        values: The numbers of all bodies.
        count: Number of bodies B.
        joints: Number of joints n of the part.

    Raises:
        InputError: The number of values is neither, or a matrix is no rotation.
    """
    array = kept(values)
    each = array.size / max(count, 1)
    if each == 3 * joints:
        angles = as_tensor(array).reshape(count, joints, 3)
        most = float(angles.norm(dim=2).nan_to_num(0.0).amax()) if count else 0.0
        if most > MOST_TURN_RAD:
            advice = "Are they in degrees? Multiply them by pi / 180."
            raise InputError(f"{where}: {name}", "axis-angle in radians", f"a turn by {most:.0f}", advice)
        return rotation.exp(angles)
    if each == 9 * joints:
        matrices = as_tensor(array).reshape(count, joints, 3, 3)
        error = (
            float((matrices @ matrices.mT - torch.eye(3)).abs().nan_to_num(0.0, posinf=torch.inf).max())
            if count
            else 0.0
        )
        if not error <= ROTATION_TOLERANCE or bool((torch.linalg.det(matrices) < 0).any()):
            raise InputError(f"{where}: {name}", "rotation matrices", f"R R^T off the identity by {error:.2g}", "")
        return matrices
    wanted = f"{3 * joints} (axis-angle) or {9 * joints} (matrices) numbers for each of {count} bodies"
    raise InputError(f"{where}: {name}", wanted, f"shape {array.shape}", other_words(each / joints))


def other_words(each: float) -> str:
    """Say what so many numbers a joint may be and what to do, empty where that is not known."""
    said = OTHER_WORDS.get(int(each)) if each == int(each) else None
    return (
        f"Are they {said}? Store axis-angle (rotation vectors, rad) or 3x3 matrices.{TO_MATRICES[int(each)]}"
        if said
        else ""
    )


def pose_of(
    where: str, content: Mapping[str, object], parts: Mapping[str, str], model: str, count: int
) -> Float[Tensor, "B J 3 3"]:
    """Return a pose put together from named parts; joints of parts the file does not have stay unturned.

    Args:
        where: The file, for messages.
        content: The file's arrays by its own names.
        parts: From the file's names to the public ones (`joint_slices`).
        model: "smpl", "smplh" or "smplx".
        count: Number of bodies B.

    Raises:
        InputError: A part has another number of values, or holds no rotations.
    """
    slices = joint_slices(model)
    pose = torch.eye(3).repeat(count, max(part.stop for part in slices.values()), 1, 1)
    for name, public in parts.items():
        if content.get(name) is not None:
            joints = slices[public]
            pose[:, joints] = rotations(where, name, content[name], count, joints.stop - joints.start)
    return pose


def put_rotations(stored: np.ndarray, before: Float[Tensor, "B n 3 3"], after: Float[Tensor, "B n 3 3"]) -> np.ndarray:
    """Return a part with its turned joints renewed, axis-angle or matrices as it was stored.

    Args:
        stored: The part as the file has it, any shape.
        before: (B, n, 3, 3) its rotations as they were read.
        after: (B, n, 3, 3) the refined ones; joints that equal `before` keep their numbers.
    """
    count, joints = before.shape[:2]
    matrices = stored.size == 9 * count * joints
    fresh = after if matrices else rotation.log(after)
    turned = ((after != before) & ~(after.isnan() & before.isnan())).flatten(2).any(2)  # (B, n)
    flat = np.asarray(stored).reshape(count, joints, -1)
    return same_kind(np.where(as_array(turned)[..., None], as_array(fresh).reshape(flat.shape), flat), stored)


def put_pose(
    content: Mapping[str, object],
    parts: Mapping[str, str],
    model: str,
    before: Float[Tensor, "B J 3 3"],
    after: Float[Tensor, "B J 3 3"],
) -> dict[str, np.ndarray]:
    """Return the file's parts with their turned joints renewed, by the file's names; `pose_of` backwards."""
    slices = joint_slices(model)
    found = {name: slices[public] for name, public in parts.items() if content.get(name) is not None}
    return {
        name: put_rotations(kept(content[name]), before[:, joints], after[:, joints]) for name, joints in found.items()
    }


def put_rows(changed: Bool[Tensor, "B"], fresh: object, stored: np.ndarray) -> np.ndarray:
    """Return new rows where a body changed, the stored ones elsewhere, in the stored shape, dtype and kind."""
    count = len(changed)
    rows = np.where(
        as_array(changed)[:, None], as_array(fresh).reshape(count, -1), np.asarray(stored).reshape(count, -1)
    )
    return same_kind(rows, stored)


def put_shape(
    refined: Estimate, changed: Bool[Tensor, "B"], stored: np.ndarray, *, expression: bool = False
) -> np.ndarray:
    """Return shape coefficients (or expressions) renewed on a body of the source's own family, else as stored."""
    if refined.body.model != refined.source.model:
        return stored
    fresh = as_array(refined.bodies.expression if expression else refined.bodies.shape)
    rows = np.array(stored).reshape(len(changed), -1)
    width = min(rows.shape[1], fresh.shape[1])
    rows[:, :width] = np.where(as_array(changed)[:, None], fresh[:, :width], rows[:, :width])
    return same_kind(rows, stored)
