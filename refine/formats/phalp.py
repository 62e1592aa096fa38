"""PHALP's tracks of a video (4D-Humans, TokenHMR): a joblib file of frames, lists with an entry a person in each.

    u = f (X + T_x) / (Z + T_z) + M/2 - left,   v likewise with top,   T = camera (m),   f = 5000 / 256 M,
    M = max(W, H)
    2d_joints = (u + left, v + top) / M,   left = floor((M - W) / 2),   top = floor((M - H) / 2),   size = [H, W]

`camera` is SMPL's `transl` in the photo padded to a square, where f is 5000 px only after it is shrunk to 256 px: the
trap. `3d_joints` are without it, about SMPL's own origin (nothing is subtracted from them), in the order of HMR2's SMPL
wrapper (`joint_orders.HMR2_44`): OpenPose's BODY_25 first, fourteen of them SMPL's own joints, then 19 regressed from
the surface; the last of the 45 is zeros, no joint. `camera_bbox` is the crop's (s, t_x, t_y); `loca` and `pose` repeat
joints, camera and SMPL's parameters for the tracker. Rotations are matrices; SMPL has no hand mean. Pixels count from
the image's corner.

An entry with `tracked_time` above zero is a ghost: the person was not seen in this frame, and the entry repeats what
was seen last. One of -1 was filled in by PHALP's postprocessor. Neither belongs to its frame's photo: they are no
bodies, and stay as they are in the file.

Source: brjathu/PHALP@96f7e6c09f `phalp/trackers/PHALP.py` lines 139-290 and 386-475, `phalp/models/hmar/hmar.py` lines
104-136, `phalp/utils/smpl_utils.py` lines 28-56 (SMPL, smpl_to_openpose), `phalp/visualize/postprocessor.py` lines
25-75, `phalp/utils/utils.py` lines 114-122; shubham-goel/4D-Humans@6ec79656a2 `track.py`;
saidwivedi/TokenHMR@198645f778 `tokenhmr/track.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from refine.body import SkinnedBody
from refine.errors import InputError
from refine.estimate import Estimate, Source
from refine.estimate.found import KEY
from refine.estimate.nobody import Nobody
from refine.files.pickled import read_pickled, write_joblib
from refine.files.same_kind import same_kind
from refine.formats import Sizes
from refine.formats._beside import beside
from refine.formats._crop_camera import crop_after
from refine.formats._own_source import own_source
from refine.formats._pickled_dict import peek
from refine.formats._smpl_parts import numbers, put_rotations, put_shape, rotations
from refine.geometry.camera import Camera
from refine.geometry.focal import HMR2_CROP_PX, RULES, SPIN_FOCAL_PX
from refine.transfer import refined_source, to_body, with_camera
from refine.transfer.carry import joints_after
from refine.transfer.joint_orders import HMR2_44

KEYS = {"tid", "tracked_time", "size", "smpl", "camera", "3d_joints", "2d_joints"}

JOINTS = 44
"""Of the 45 stored ones; zeros last."""

FITS_PX = 0.5
"""How exactly the stored pixels must follow from the stored joints; float32 leaves a thousandth."""

SAME = 1e-4
"""Numbers of the tracker's vectors this near to what they repeat do repeat it."""

POSE_DEPTH = 200.0
"""What the camera's depth is divided by in `pose` (`phalp/utils/utils.py`, smpl_to_pose_camera_vector)."""

ADVICE = "Write the file again with PHALP's (4D-Humans', TokenHMR's) own track.py."

OVER_TIME = True
"""`persons` say who is who over the frames of a video."""


@dataclass(frozen=True)
class _Entries:
    """The bodies: which frame, and which place in its lists."""

    frames: tuple[Any, ...]
    places: tuple[int, ...]
    ghosts: int

    def column(self, where: str, content: Mapping[Any, Any], name: str, *shape: int | None) -> np.ndarray:
        """Return one number or array a body, stacked; "smpl/betas" is the betas in `smpl`.

        Raises:
            InputError: Somebody lacks it, or has it in another shape.
        """
        outer, _, inner = name.partition("/")
        values = [content[frame][outer][place] for frame, place in zip(self.frames, self.places, strict=True)]
        if inner:
            values = [value.get(inner) if isinstance(value, dict) else None for value in values]
        try:
            stacked = np.stack([np.asarray(value, np.float32) for value in values])
        except (TypeError, ValueError) as error:
            raise InputError(f"{where}: {name}", "numbers of one shape", str(error)[:120], ADVICE) from error
        return numbers(where, {name: stacked}, name, len(values), *shape, advice=ADVICE)


def recognises(path: Path) -> bool:
    """Say whether a file is PHALP's: a pickle of frames with `tid`, `tracked_time`, `smpl` and `2d_joints`."""
    frames = peek(path, ("pickle", "joblib")).values()
    filled = [frame for frame in frames if not isinstance(frame, dict) or frame]  # in an empty one nobody is
    return bool(filled) and all(isinstance(frame, dict) and set(frame) >= KEYS for frame in filled)


def read(path: Path, body: SkinnedBody | None = None, camera: Camera | None = None, sizes: Sizes = None) -> Estimate:
    """Read PHALP's tracks of a video.

    Raises:
        InputError: The file is broken or holds something else.
    """
    path = Path(path)
    where, content = str(path), read_pickled(path)
    entries = _entries(where, content)
    count = len(entries.places)
    translation = torch.as_tensor(entries.column(where, content, "camera", 3))
    joints = torch.as_tensor(entries.column(where, content, "3d_joints", JOINTS + 1, 3)[:, :JOINTS])
    own, pads = _camera(where, content, entries)
    side = own.size.amax(1)[:, None, None]
    pixels = torch.as_tensor(entries.column(where, content, "2d_joints", 2 * (JOINTS + 1))).reshape(count, -1, 2)
    seen = (side * pixels - pads[:, None])[:, :JOINTS]
    apart = float((own.project(joints + translation[:, None]) - seen).abs().nan_to_num(0.0, posinf=torch.inf).max())
    if not apart <= FITS_PX:
        raise InputError(f"{where}: 2d_joints", "the projection of 3d_joints + camera", f"{apart:.1f} px apart", ADVICE)
    parts = [
        entries.column(where, content, f"smpl/{name}", n, 3, 3) for name, n in (("global_orient", 1), ("body_pose", 23))
    ]
    source = Source(
        format="phalp",
        model="smpl",
        pose=rotations(where, "smpl", np.concatenate(parts, 1), count, 24),
        betas=torch.as_tensor(entries.column(where, content, "smpl/betas", None)),
        expression=torch.zeros(count, 0),
        translation=translation,
        joints=joints + translation[:, None],
        joint_names=HMR2_44,
        keypoints_2d=seen,
        arrays={"content": content},
        focal_rule=f"{RULES['hmr2'].says} (PHALP)",
        path=path,
        images=tuple(map(str, content)),
        persons=tuple(str(content[f]["tid"][p]) for f, p in zip(entries.frames, entries.places, strict=True)),
    )
    order = {frame: place for place, frame in enumerate(content)}
    estimate = to_body(source, own, body, torch.tensor([order[frame] for frame in entries.frames]))
    if entries.ghosts:
        note = (
            f"{entries.ghosts} entries of the tracks were not seen in their frames (tracked_time) and are left as "
            "they are."
        )
        estimate = replace(estimate, notes=(*estimate.notes, note))
    return estimate if camera is None else with_camera(estimate, camera)


def write(refined: Estimate, path: Path) -> None:
    """Write an estimate back as PHALP's pkl.

    `smpl`, `camera`, `camera_bbox`, `3d_joints` and `2d_joints` are refined (`refine.transfer.carry` says how joints
    are carried), and the tracker's `loca` and `pose` where they repeat them. Ghosts, people who did not change, and
    unknown keys stay.

    Raises:
        InputError: The estimate was read from another format.
    """
    source = own_source(refined, "phalp", "PHALP")
    content: Any = source.arrays["content"]
    where = str(source.path)
    entries = _entries(where, content)
    camera, pads = _camera(where, content, entries)
    refined = with_camera(refined, camera)
    back = refined_source(refined)
    if bool(back.changed.any()):
        content = {frame: dict(lists) for frame, lists in content.items()}
        fresh = _fresh(where, content, entries, refined, camera, pads)
        for row in back.changed.nonzero()[:, 0].tolist():
            frame, place = entries.frames[row], entries.places[row]
            for name, values in fresh.items():
                _put(content[frame], name, place, values[row])
        extra = beside(refined, back)
        lines: Any = extra.pop(KEY, [])
        for frame in dict.fromkeys(entries.frames):
            own = [line for line, place in zip(lines, entries.frames, strict=False) if place == frame]
            content[frame] |= extra | ({KEY: own} if own else {})
    write_joblib(Path(path), content)


def _fresh(
    where: str, content: Mapping[Any, Any], entries: _Entries, refined: Estimate, camera: Camera, pads: Tensor
) -> dict[str, np.ndarray]:
    """Return everything that a refinement makes new, a row a body."""
    source, back = refined.source, refined_source(refined)
    old = {name: entries.column(where, content, f"smpl/{name}", None, 3, 3) for name in ("global_orient", "body_pose")}
    flat = entries.column(where, content, "3d_joints", JOINTS + 1, 3)
    joints = torch.cat((joints_after(flat[:, :JOINTS], refined, back), torch.zeros(len(flat), 1, 3)), 1)
    before, after = entries.column(where, content, "camera", 3), back.translation.numpy()
    pixels = camera.to(dtype=torch.float64).project(joints + back.translation.double()[:, None])
    norm = (pixels + pads[:, None]) / camera.size.amax(1)[:, None, None]
    betas = entries.column(where, content, "smpl/betas", None)
    fresh = {
        "smpl/global_orient": put_rotations(old["global_orient"], source.pose[:, :1], back.pose[:, :1]),
        "smpl/body_pose": put_rotations(old["body_pose"], source.pose[:, 1:], back.pose[:, 1:]),
        "smpl/betas": put_shape(refined, back.changed, betas),
        "camera": after,
        "3d_joints": joints.numpy(),
        "2d_joints": norm.flatten(1).numpy(),
    }
    lists = [content[frame] for frame in entries.frames]
    if all("camera_bbox" in one for one in lists):
        crop = entries.column(where, content, "camera_bbox", 3)
        fresh["camera_bbox"] = crop_after(crop.astype(np.float64), before.astype(np.float64), after.astype(np.float64))
    was_smpl = (old["global_orient"], old["body_pose"], betas)
    now_smpl = (fresh["smpl/global_orient"], fresh["smpl/body_pose"], fresh["smpl/betas"])
    repeats = {
        "loca": (_loca(entries.column(where, content, "2d_joints", None), before), _loca(fresh["2d_joints"], after)),
        "pose": (_pose(*was_smpl, before), _pose(*now_smpl, after)),
    }
    for name, (was, now) in repeats.items():
        if all(name in one for one in lists):
            values = entries.column(where, content, name, None)
            if values.shape == was.shape:
                same = (np.abs(values - was) <= SAME * (1 + np.abs(was))).all(1)
                fresh[name] = np.where(same[:, None], now, values)
    return fresh


def _loca(joints: np.ndarray, camera: np.ndarray) -> np.ndarray:
    """Return the tracker's vector of a place: the joints in the picture, and the camera three times."""
    return np.concatenate((joints, camera, camera, camera), 1)


def _pose(root: np.ndarray, inner: np.ndarray, betas: np.ndarray, camera: np.ndarray) -> np.ndarray:
    """Return the tracker's vector of a pose: rotations, shape, and the camera with its depth made small."""
    rows = [part.reshape(len(camera), -1) for part in (root, inner, betas)]
    return np.concatenate((*rows, camera[:, :2], camera[:, 2:] / POSE_DEPTH), 1)


def _put(lists: dict[str, Any], name: str, place: int, value: np.ndarray) -> None:
    """Replace one entry of a frame's lists, which are copied; "smpl/betas" is the betas in `smpl`."""
    outer, _, inner = name.partition("/")
    entry = lists[outer][place]
    fresh = (
        entry | {inner: same_kind(value, np.asanyarray(entry[inner]))}
        if inner
        else same_kind(value, np.asanyarray(entry))
    )
    lists[outer] = [*lists[outer][:place], fresh, *lists[outer][place + 1 :]]


def _entries(where: str, content: object) -> _Entries:
    """Return the bodies: the entries that were seen in their frames."""
    if not isinstance(content, dict) or not all(isinstance(frame, dict) for frame in content.values()):
        raise InputError(where, "a dictionary of frames", "something else", ADVICE)
    frames, places, ghosts = [], [], 0
    for name, lists in content.items():
        for key in KEYS if lists else ():
            if not isinstance(lists.get(key), list) or len(lists[key]) != len(lists.get("tid") or ()):
                raise InputError(
                    f"{where}: {name}: {key}", "a list with an entry a person", "none or another length", ADVICE
                )
        for place, time in enumerate(lists.get("tracked_time", ())):
            if time == 0:
                frames.append(name)
                places.append(place)
            else:
                ghosts += 1
    if not frames:
        raise Nobody(where)
    return _Entries(tuple(frames), tuple(places), ghosts)


def _camera(where: str, content: Mapping[Any, Any], entries: _Entries) -> tuple[Camera, Float[Tensor, "B 2"]]:
    """Return the camera of each body, and the pads (left, top) of its frame in px."""
    size = torch.as_tensor(entries.column(where, content, "size", 2))  # (B, 2) px, (height, width)
    if float(size.min()) <= 0:
        raise InputError(f"{where}: size", "[height, width] above zero", f"{size.min():g}", ADVICE)
    side = size.amax(1, keepdim=True)
    pads = ((side - size.flip(-1)) / 2).floor()
    focal = (SPIN_FOCAL_PX / HMR2_CROP_PX * side).expand(-1, 2)
    return Camera(focal, side / 2 - pads, size), pads
