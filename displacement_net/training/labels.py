"""Labels of a rendered or real set in BEDLAM's layout, read from an npz and checked: one row a person in an image.

    vertices, camera frame = model(pose_cam, shape) + trans_cam + cam_ext[:3, 3],    pixel = cam_int (x, y, z) / z

Axes are OpenCV's, metres, radians; pixels count from the image's corner (the principal point is half the image's width
and height). The rotation in `cam_ext` is part of `pose_cam` already. `gender` names the person; the parameters are the
neutral model's. See docs/training_data.md.

Source: pixelite1201/BEDLAM at 099ab0ef, data_processing/df_full_body.py (`get_params`, `project`: what is stored, and
how it projects); at 6c381cfa, train/dataset/dataset.py (which keys are read, images stored lying); Black et al.,
BEDLAM, CVPR 2023.
"""

import logging
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np
import torch
from jaxtyping import Float, Int

from refine.body.smpl_joints import BODY_JOINTS
from refine.errors import InputError
from refine.estimate import Source
from refine.estimate.pelvis import REST_PELVIS_M
from refine.geometry import rotation
from refine.geometry.camera import NEAR_M

SHAPES = {
    "pose_cam": "N D", "shape": "N S", "trans_cam": "N 3", "cam_ext": "N 4 4", "cam_int": "N 3 3", "gtkps": "N K C",
}  # fmt: skip
"""The arrays that are read beside `imgname`; the file may hold others."""
MODELS = {66: "smplx", 72: "smpl", 156: "smplh", 165: "smplx"}
"""Model by the width of `pose_cam`; 66 is SMPL-X without face and hands, as 3DPW's labels have it."""
PELVIS_SLACK_M = 0.25
"""How far the mean body's pelvis may project from `gtkps`, in metres at its depth: very tall and very small people's
lies a decimetre off."""
log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Labels:
    """N people.

    Attributes:
        path: The file.
        row: (N,) their rows in the file.
        image: (N,) which of `images` each is in.
        images: Names of the images, relative to their folder.
        model: "smplx", "smplh" or "smpl".
        pose: (N, J, 3) rad, axis-angle, root in the camera frame; J = 55, 52 or 24.
        betas: (N, S) of the neutral model.
        translation: (N, 3) m, `transl` in the camera frame.
        focal: (N, 2) px, and `center` (N, 2) px from the image's corner.
        joints_px: (N, 22, 2) px, the model's own joints projected.
    """

    path: Path
    row: Int[np.ndarray, "N"]
    image: Int[np.ndarray, "N"]
    images: tuple[str, ...]
    model: str
    pose: Float[np.ndarray, "N J 3"]
    betas: Float[np.ndarray, "N S"]
    translation: Float[np.ndarray, "N 3"]
    focal: Float[np.ndarray, "N 2"]
    center: Float[np.ndarray, "N 2"]
    joints_px: Float[np.ndarray, "N 22 2"]

    def __len__(self) -> int:
        return len(self.row)

    def source(self, people: Int[np.ndarray, "P"]) -> Source:
        """Return some people as `refine.transfer.source_fit` puts them on a body.

        Args:
            people: (P,) indices of 0..N-1.
        """
        pose = rotation.exp(torch.from_numpy(self.pose[people])).float()
        betas, translation = (torch.from_numpy(part[people]).float() for part in (self.betas, self.translation))
        return Source("bedlam", self.model, pose, betas, betas.new_zeros(len(people), 0), translation)


def read_labels(path: Path) -> Labels:
    """Read an npz in BEDLAM's layout.

    Args:
        path: The file.

    Returns:
        The people in front of their cameras; how many were left out is logged.

    Raises:
        InputError: The file is missing, broken, holds pickled objects, lacks a key, or a key has another shape; a row
            has a value that is not finite, an image name that leaves the folder, a focal length not above zero, or
            keypoints that do not belong to its body.
    """
    arrays = _arrays(path)
    names = arrays.pop("imgname")
    count = len(names)
    for key, pattern in SHAPES.items():
        _check_shape(path, key, arrays[key], pattern, count)
        _refuse(path, key, "finite numbers", ~np.isfinite(arrays[key]).reshape(count, -1).all(1))
    pose = arrays["pose_cam"]
    if pose.shape[1] not in MODELS:
        widths = ", ".join(f"{width} ({model})" for width, model in MODELS.items())
        raise InputError(f"{path}: pose_cam", f"a width of {widths}", str(pose.shape[1]))
    model = MODELS[pose.shape[1]]
    if pose.shape[1] == 3 * BODY_JOINTS:
        pose = np.pad(pose, ((0, 0), (0, 99)))
    matrix = arrays["cam_int"]
    _refuse(path, "cam_int", "[[fx, 0, cx], [0, fy, cy], [0, 0, 1]], focal lengths above zero", _no_camera(matrix))
    focal, center = matrix[:, (0, 1), (0, 1)], matrix[:, :2, 2]
    _refuse(path, "imgname", "a path below the folder of images", np.array([_leaves(name) for name in names], bool))
    translation = arrays["trans_cam"] + arrays["cam_ext"][:, :3, 3]
    pelvis = translation + np.array(REST_PELVIS_M[model])
    kept = np.flatnonzero(pelvis[:, 2] > NEAR_M)
    if len(kept) < count:
        log.warning("%s: %d of %d people are behind their cameras and left out.", path, count - len(kept), count)
    if not len(kept):
        raise InputError(str(path), "at least one person in front of the camera", f"none of {count}")
    joints = arrays["gtkps"][:, :BODY_JOINTS, :2]
    seen = focal * pelvis[:, :2] / pelvis[:, 2:].clip(NEAR_M) + center
    apart = np.linalg.norm((joints[:, 0] - seen) / focal * pelvis[:, 2:], axis=1)
    astray = (apart > PELVIS_SLACK_M) & (pelvis[:, 2] > NEAR_M)
    _refuse(path, "gtkps", "the projection of the body at trans_cam + cam_ext[:3, 3], pelvis first", astray)
    images, image = np.unique(names[kept], return_inverse=True)
    return Labels(
        path, kept, image.reshape(-1), tuple(images.tolist()), model, pose[kept].reshape(len(kept), -1, 3),
        arrays["shape"][kept], translation[kept], focal[kept], center[kept], joints[kept],
    )  # fmt: skip


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """Read what is needed, floats in double precision.

    Raises:
        InputError: It cannot be.
    """
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            absent = [key for key in ("imgname", *SHAPES) if key not in stored.files]
            if absent:
                raise InputError(str(path), f"the keys imgname, {', '.join(SHAPES)}", f"no {', '.join(absent)}")
            names = stored["imgname"]
            numbers = {key: stored[key] for key in SHAPES}
    except InputError:
        raise
    except Exception as error:  # a damaged zip raises nearly anything
        raise InputError(
            str(path), "an npz of plain arrays", f"{type(error).__name__}: {error}", "Store lists of equal length."
        ) from error
    if names.ndim != 1 or names.dtype.kind not in "US":
        raise InputError(f"{path}: imgname", "(N,) strings", f"{names.dtype} of shape {names.shape}")
    for key, value in numbers.items():
        if value.dtype.kind not in "fiu":
            raise InputError(f"{path}: {key}", "numbers", str(value.dtype))
    return {"imgname": names.astype(str)} | {key: value.astype(np.float64) for key, value in numbers.items()}


def _check_shape(path: Path, key: str, value: np.ndarray, pattern: str, count: int) -> None:
    """Refuse an array of another shape than the pattern's; letters other than N may be any size.

    Raises:
        InputError: It has another.
    """
    wanted = [count if part == "N" else int(part) if part.isdigit() else None for part in pattern.split()]
    fits = value.ndim == len(wanted) and all(w in (None, size) for w, size in zip(wanted, value.shape, strict=True))
    if key == "gtkps":
        fits = fits and value.shape[1] >= BODY_JOINTS and value.shape[2] >= 2
    if not fits:
        raise InputError(f"{path}: {key}", f"({pattern.replace(' ', ', ')}) with N = {count}", str(value.shape))


def _refuse(path: Path, key: str, expected: str, wrong: np.ndarray) -> None:
    """Refuse the first row that is wrong.

    Raises:
        InputError: There is one.
    """
    if wrong.any():
        row = int(wrong.argmax())
        raise InputError(f"{path}: {key}", expected, f"something else in row {row} and {int(wrong.sum()) - 1} others")


def _no_camera(matrix: np.ndarray) -> np.ndarray:
    """Say which matrices (N, 3, 3) are no pinhole cameras without skew, (N,)."""
    zeros = (matrix[:, (0, 1, 2, 2), (1, 0, 0, 1)] != 0).any(1)
    return np.asarray(zeros | (matrix[:, 2, 2] != 1) | (matrix[:, (0, 1), (0, 1)] <= 0).any(1))


def _leaves(name: str) -> bool:
    """Say whether a name is no plain path below a folder, on any system."""
    posix, windows = PurePosixPath(name), PureWindowsPath(name)
    return (
        not name
        or "\0" in name
        or posix.is_absolute()
        or bool(windows.anchor)
        or ".." in (*posix.parts, *windows.parts)
    )
