"""SLAHMR's `<video>_<iteration>_world_results.npz`: SMPL-H in one world, seen by the camera that moves in it.

    x_camera = cam_R x + cam_t,    u = f_x x_camera / z_camera + c_x,    v likewise,
    (f_x, f_y, c_x, c_y) = intrins (px)
    root = cam_R root_orient,    T = cam_R (trans + J_0) + cam_t - J_0,    J_0 the pelvis at rest

`root_orient` and `trans` are in the world, which is the trap; `cam_t` has `world_scale` in it already. Arrays are
(people, frames, ...), `betas` (people, 16 or 10); `track_mask` says which frames a person's track covers, all of them
where there is none (the earlier stages). Rotations are axis-angle, the 21 of the body only; hands are flat. Frame 0 is
the first of the sequence that SLAHMR was run on. J_0 is the mean body's, some millimetres from the person's own.
`..._prior_results.npz` beside it is in the motion prior's frame and has no cameras: it cannot be read. Pixels count
from the image's corner (c = half the photo).

Source: vye16/slahmr@58518fe (as read: 483e946, 719f49f) `slahmr/optim/base_scene.py` (`get_optim_result`, `pred_smpl`),
`optim/params.py` (`get_cameras`, `intrins`), `optim/moving_scene.py` (`synchronize_preds`: track_mask),
`geometry/camera.py` (`reproject`), `body_model/body_model.py`, `data/dataset.py`. Source only, never held against a
real file.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from refine.body import SkinnedBody
from refine.errors import InputError
from refine.estimate import Estimate, Source, as_array
from refine.estimate.nobody import Nobody
from refine.estimate.pelvis import REST_PELVIS_M
from refine.files.npz import member_names, read_arrays, write_arrays
from refine.files.same_kind import same_kind
from refine.formats import Sizes
from refine.formats._beside import beside
from refine.formats._given_sizes import photo_sizes
from refine.formats._intrinsics import camera_of, focal_words
from refine.formats._own_source import own_source
from refine.formats._smpl_parts import numbers, put_rotations, rotations
from refine.geometry import rotation
from refine.geometry.camera import Camera
from refine.transfer import refined_source, to_body, with_camera

KEYS = frozenset({"root_orient", "pose_body", "trans", "betas", "cam_R", "cam_t", "intrins"})

DERIVED = frozenset({"latent_pose", "latent_motion"})
"""VPoser's and HuMoR's codes of the same motion: left out of a refined file."""

BODY = 21
"""Joints of `pose_body`."""

ADVICE = "Give the <video>_<iteration>_world_results.npz that SLAHMR's run_opt.py wrote."

NOTE = (
    "Refined: root_orient, trans and pose_body are new, in the world; betas are the regressor's. latent_pose and "
    "latent_motion are left out: only VPoser and HuMoR can make them again."
)

OVER_TIME = True
"""`persons` say who is who over the frames of a video."""


def recognises(path: Path) -> bool:
    """Say whether a file is an npz with SMPL-H's parts of a world, and the camera's way through it."""
    return set(member_names(path)) >= KEYS


def read(path: Path, body: SkinnedBody | None = None, camera: Camera | None = None, sizes: Sizes = None) -> Estimate:
    """Read SLAHMR's result of a video, in the camera's frame.

    Without `sizes` a frame's size is twice the principal point.

    Raises:
        InputError: The file is broken or holds something else.
    """
    path = Path(path)
    where, content = str(path), read_arrays(Path(path))
    mask = _mask(where, content)
    turn, step = _cameras(where, content, mask)
    person, frame = (torch.as_tensor(part) for part in np.nonzero(mask))
    count = len(person)
    orient = rotations(where, "root_orient", _rows(where, content, "root_orient", mask, 3), count, 1)
    inner = rotations(where, "pose_body", _rows(where, content, "pose_body", mask, 3 * BODY), count, BODY)
    pose = torch.eye(3).repeat(count, 52, 1, 1)
    pose[:, :1], pose[:, 1 : BODY + 1] = turn[:, None].float() @ orient, inner
    rest = torch.tensor(REST_PELVIS_M["smplh"], dtype=torch.float64)
    there = torch.as_tensor(_rows(where, content, "trans", mask, 3)).double()
    place = (turn @ (there + rest)[..., None])[..., 0] + step - rest
    betas = numbers(where, content, "betas", mask.shape[0], None, advice=ADVICE)
    own = _camera(where, content, frame, photo_sizes(where, frame, sizes, None))
    source = Source(
        format="slahmr",
        model="smplh",
        pose=pose,
        betas=torch.as_tensor(betas, dtype=torch.float32)[person],
        expression=torch.zeros(count, 0),
        translation=place.float(),
        arrays=content,
        focal_rule=focal_words(own, "SLAHMR"),
        path=path,
        hand_mean="flat",
        persons=tuple(str(one) for one in person.tolist()),
    )
    estimate = to_body(source, own, body, frame)
    return estimate if camera is None else with_camera(estimate, camera)


def write(refined: Estimate, path: Path) -> None:
    """Write an estimate back as SLAHMR's npz, people in the world again.

    Body, root and place are refined; `betas` are one person's of all frames and stay. Rows that did not change keep
    every number, and unknown keys stay.

    Raises:
        InputError: The estimate was read from another format.
    """
    source = own_source(refined, "slahmr", "SLAHMR")
    content: dict[str, Any] = dict(source.arrays)
    where = str(source.path)
    mask = _mask(where, content)
    frame = torch.as_tensor(np.nonzero(mask)[1])
    refined = with_camera(refined, _camera(where, content, frame, refined.camera.size.detach().cpu().float()))
    back = refined_source(refined)
    if bool(back.changed.any()):
        turn, step = _cameras(where, content, mask)
        rest = torch.tensor(REST_PELVIS_M["smplh"], dtype=torch.float64)
        world = (turn.mT @ (back.translation.double() + rest - step)[..., None])[..., 0] - rest
        stored = _rows(where, content, "root_orient", mask, 3)
        read = rotation.exp(torch.as_tensor(stored).float())
        same = (back.pose[:, 0] == source.pose[:, 0]).flatten(1).all(1)[:, None, None]
        root = torch.where(same, read, (turn.mT @ back.pose[:, 0].double()).float())
        inner = put_rotations(
            _rows(where, content, "pose_body", mask, 3 * BODY), source.pose[:, 1 : BODY + 1], back.pose[:, 1 : BODY + 1]
        )
        fresh = {
            "root_orient": put_rotations(stored, read[:, None], root[:, None]),
            "pose_body": inner,
            "trans": np.where(as_array(back.moved)[:, None], world.numpy(), _rows(where, content, "trans", mask, 3)),
        }
        content |= {name: _put(content[name], mask, value) for name, value in fresh.items()}
        content = {name: value for name, value in content.items() if name not in DERIVED} | beside(refined, back, NOTE)
    write_arrays(Path(path), content)


def _mask(where: str, content: dict[str, Any]) -> np.ndarray:
    """Return (P, T) which frames each person is tracked in."""
    place = numbers(where, content, "trans", None, None, 3, advice=ADVICE)
    shape = place.shape[:2]
    if "track_mask" not in content:
        mask = np.ones(shape, bool)
    else:
        stored = np.asarray(content["track_mask"])
        if stored.shape != shape:
            raise InputError(f"{where}: track_mask", f"shape {shape}", f"shape {stored.shape}", ADVICE)
        mask = stored > 0
    if not mask.any():
        raise Nobody(where)
    return mask


def _rows(where: str, content: dict[str, Any], name: str, mask: np.ndarray, width: int) -> np.ndarray:
    """Return the tracked rows (B, width) of an array (P, T, ...) of so many numbers a frame."""
    if name not in content:
        raise InputError(where, f"an array {name!r}", ", ".join(content), ADVICE)
    array = np.asarray(content[name])
    if array.shape[:2] != mask.shape or array.size != mask.size * width or array.dtype.kind not in "iuf":
        raise InputError(f"{where}: {name}", f"{width} numbers for {mask.shape} rows", f"shape {array.shape}", ADVICE)
    return array.reshape(*mask.shape, width)[mask]


def _cameras(
    where: str, content: dict[str, Any], mask: np.ndarray
) -> tuple[Float[Tensor, "B 3 3"], Float[Tensor, "B 3"]]:
    """Return world to camera of each body: rotation, and translation in m."""
    turn = torch.as_tensor(_rows(where, content, "cam_R", mask, 9).reshape(-1, 3, 3)).double()
    rotations(where, "cam_R", turn.float().numpy(), len(turn), 1)  # that they are rotations
    return turn, torch.as_tensor(_rows(where, content, "cam_t", mask, 3)).double()


def _camera(where: str, content: dict[str, Any], frame: Tensor, sizes: Float[Tensor, "B 2"] | None) -> Camera:
    """Return one camera a body: `intrins` of all frames (4,), or of each (T, 4)."""
    stored = np.asarray(content["intrins"], np.float64)
    if stored.shape[-1:] != (4,) or stored.ndim > 2 or (stored.ndim == 2 and len(stored) <= int(frame.max())):
        raise InputError(f"{where}: intrins", "fx, fy, cx, cy", f"shape {stored.shape}", ADVICE)
    rows = stored[frame.numpy()] if stored.ndim == 2 else np.tile(stored, (len(frame), 1))
    return camera_of(where, rows[:, :2], rows[:, 2:], sizes)


def _put(stored: Any, mask: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return an array (P, T, ...) with new tracked rows."""
    whole = np.array(stored)
    whole[mask] = np.asarray(rows).reshape(-1, *whole.shape[2:])
    return same_kind(whole, stored)
