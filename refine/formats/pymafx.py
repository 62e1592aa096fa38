"""PyMAF-X's `output.pkl` of a video or folder: all people of all frames, SMPL-X rotations in batches of torch tensors.

    orig_cam_t = (tx + 2 (cx - W/2)/(b s), ty + 2 (cy - H/2)/(b s), 2 f/(b s)),   f = 5000 px,   pred_cam = (s, tx, ty),
    box (cx, cy, b px)
    orig_cam   = (s h/W, s h/H, tx + 2 (cx - W/2)/(s h), ty + 2 (cy - H/2)/(s h)),
               h = bboxes[:, 2] (px), a pixel or two from b

`orig_cam_t` (m) is SMPL-X's `transl` in the photo, whose principal point is (W/2, H/2); its size is not stored, but W =
s h / orig_cam[0] and H = s h / orig_cam[1] exactly. Pixels count from the image's corner. Rotations stand twice:
`smplx_params` is a list of batches of matrices, `body_pose` with the root first and SMPL's two hand joints last, which
SMPL-X does not use; `pose` (N, 72) is the same as axis-angle. Matrices go into smplx's `SMPLXLayer`, which adds no mean
hand: they are whole rotations. `joints3d` are SPIN's 49 in the model's frame, the ninth the pelvis. `frame_ids` count
the video's frames, or the folder's images by name.

Source: HongwenZhang/PyMAF-X@a6fef4deb7 `apps/demo_smplx.py` lines 67-88 and 285-400, `models/pymaf_net.py` lines
486-620, `models/smpl.py` lines 218 and 359-520, `utils/geometry.py` lines 462-482, `utils/demo_utils.py` lines 251-268,
`core/constants.py` lines 16-113.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from refine.body import SkinnedBody
from refine.errors import InputError
from refine.estimate import Estimate, Source
from refine.files.pickled import write_joblib
from refine.files.same_kind import same_kind
from refine.formats import Sizes
from refine.formats._beside import beside
from refine.formats._own_source import own_source
from refine.formats._pickled_dict import holds, read_dict
from refine.formats._smpl_parts import kept, numbers, pose_of, put_pose, put_rotations, put_rows, put_shape, rotations
from refine.geometry.camera import Camera
from refine.geometry.focal import SPIN_FOCAL_PX
from refine.transfer import RefinedSource, refined_source, to_body, with_camera
from refine.transfer.carry import points_after
from refine.transfer.joint_orders import SPIN49

Content = dict[str, Any]

KEYS = ("pred_cam", "orig_cam", "orig_cam_t", "pose", "bboxes", "smplx_params")
PARTS = {
    "left_hand_pose": "left_hand_pose",
    "right_hand_pose": "right_hand_pose",
    "jaw_pose": "jaw_pose",
    "leye_pose": "leye_pose",
    "reye_pose": "reye_pose",
}
"""What stands beside `body_pose` in a batch."""
OWN = 22
"""Of the 24 rotations in `body_pose`: root and body; the last two are SMPL's hands."""

SURFACES = ("verts", "smplx_verts")
WHOLE_PX = 0.2
"""How far a recovered photo side may be from a whole number; float32 leaves a thousandth."""

NOTE = (
    "Refined: rotations, pred_cam, orig_cam, orig_cam_t and joints3d are new; joints3d move rigidly with the nearest "
    "joint. betas are the regressor's unless SMPL-X's own file was used. verts and smplx_verts are left out: they "
    "cannot be posed again without it."
)
ADVICE = "Run PyMAF-X's apps/demo_smplx.py again."

OVER_TIME = True
"""`persons` say who is who over the frames of a video."""


def recognises(path: Path) -> bool:
    """Say whether a file is PyMAF-X's: a joblib dictionary with `orig_cam_t` and `smplx_params`."""
    return holds(path, ("joblib", "pickle"), KEYS)


def read(path: Path, body: SkinnedBody | None = None, camera: Camera | None = None, sizes: Sizes = None) -> Estimate:
    """Read PyMAF-X's result of a video or folder.

    Raises:
        InputError: The file is broken or holds something else.
    """
    path, content = Path(path), read_dict(Path(path), KEYS, ADVICE)
    where = str(path)
    translation = torch.as_tensor(numbers(where, content, "orig_cam_t", None, 3, advice=ADVICE), dtype=torch.float32)
    count = len(translation)
    if count == 0:
        raise InputError(f"{where}: orig_cam_t", "at least one person", "none", "PyMAF-X found nobody in these images.")
    batches = _joined(where, content, count)
    pose = pose_of(where, batches, PARTS, "smplx", count)
    pose[:, :OWN] = rotations(where, "body_pose", batches["body_pose"], count, 24)[:, :OWN]
    joints: torch.Tensor | None = None
    names: tuple[str, ...] = ()
    if "joints3d" in content:
        listed = numbers(where, content, "joints3d", count, None, 3, advice=ADVICE)
        joints = torch.as_tensor(listed, dtype=torch.float32) + translation[:, None]
        names = (SPIN49 + ("",) * joints.shape[1])[: joints.shape[1]]
    frames = numbers(where, content, "frame_ids", count, advice=ADVICE) if "frame_ids" in content else np.zeros(count)
    persons = content.get("person_ids", ())
    source = Source(
        format="pymafx",
        model="smplx",
        pose=pose,
        betas=torch.as_tensor(numbers(where, batches, "shape", count, None, advice=ADVICE), dtype=torch.float32),
        expression=torch.as_tensor(
            numbers(where, batches, "expression", count, None, advice=ADVICE), dtype=torch.float32
        ),
        translation=translation,
        joints=joints,
        joint_names=() if joints is None else names,
        arrays=content,
        focal_rule=f"{SPIN_FOCAL_PX:.0f} px (PyMAF-X)",
        path=path,
        hand_mean="flat",
        persons=tuple(str(who) for who in persons) if len(persons) == count else (),
    )
    estimate = to_body(source, _camera(where, content), body, torch.as_tensor(frames).long())
    return estimate if camera is None else with_camera(estimate, camera)


def write(refined: Estimate, path: Path) -> None:
    """Write an estimate back as PyMAF-X's joblib file.

    Rotations in both places, the three cameras and `joints3d` are refined, `betas` on SMPL-X's own file too; unknown
    keys stay. `verts` and `smplx_verts` are left out of a refined file, and `refine_note` says so. Bodies that did not
    change keep every number.

    Raises:
        InputError: The estimate was read from another format.
    """
    source = own_source(refined, "pymafx", "PyMAF-X")
    content: Content = dict(source.arrays)
    refined = with_camera(refined, _camera(str(source.path), content))
    back = refined_source(refined)
    changed = back.changed
    if bool(changed.any()):
        assert source.translation is not None
        content |= _cameras(content, back.translation.double().numpy(), changed)
        content |= {
            "pose": _put_body(kept(content["pose"]), source.pose, back.pose),
            "smplx_params": _batches(content, refined, back),
        }
        if "betas" in content:
            content["betas"] = put_shape(refined, changed, kept(content["betas"]))
        if "joints3d" in content:
            stored = torch.as_tensor(kept(content["joints3d"])).double() + source.translation.double()[:, None]
            moved = points_after(stored, refined) - back.translation.double()[:, None]
            content["joints3d"] = put_rows(changed, moved, kept(content["joints3d"]))
        content = {name: value for name, value in content.items() if name not in SURFACES}
        content |= beside(refined, back, NOTE)
    write_joblib(Path(path), content)


def _joined(where: str, content: Content, count: int) -> dict[str, np.ndarray]:
    """Return the batches' parts, all bodies in one array each."""
    batches = content["smplx_params"]
    wanted = {"body_pose", "shape", "expression"}
    if not isinstance(batches, list) or not all(isinstance(one, dict) and set(one) >= wanted for one in batches):
        raise InputError(f"{where}: smplx_params", "a list of dictionaries of tensors", "something else", ADVICE)
    names = ("body_pose", "shape", "expression", *(name for name in PARTS if all(name in one for one in batches)))
    try:
        joined = {name: np.concatenate([np.asarray(one[name]) for one in batches]) for name in names}
    except ValueError as error:
        raise InputError(f"{where}: smplx_params", "parts of equal shapes", str(error)[:80], ADVICE) from error
    for name, part in joined.items():
        if len(part) != count:
            raise InputError(
                f"{where}: smplx_params, {name}", f"{count} bodies, as in orig_cam_t", str(len(part)), ADVICE
            )
    return joined


def _batches(content: Content, refined: Estimate, back: RefinedSource) -> list[Content]:
    """Return the refined parts in batches as they were."""
    source = refined.source
    joined = _joined(str(source.path), content, len(source))
    fresh = joined | put_pose(joined, PARTS, "smplx", source.pose, back.pose)
    fresh |= {
        "body_pose": _put_body(joined["body_pose"], source.pose, back.pose),
        "shape": put_shape(refined, back.changed, joined["shape"]),
        "expression": put_shape(refined, back.changed, joined["expression"], expression=True),
    }
    result, start = [], 0
    for batch in content["smplx_params"]:
        rows = slice(start, start + len(batch["body_pose"]))
        result.append(batch | {name: same_kind(part[rows], batch[name]) for name, part in fresh.items()})
        start = rows.stop
    return result


def _put_body(stored: np.ndarray, before: Tensor, after: Tensor) -> np.ndarray:
    """Return 24 rotations a body, the first 22 refined and SMPL's hand joints as they were; axis-angle or matrices."""
    flat = stored.reshape(len(before), 24, -1)
    body = put_rotations(flat[:, :OWN], before[:, :OWN], after[:, :OWN])
    return same_kind(np.concatenate((body, flat[:, OWN:]), 1), stored)


def _camera(where: str, content: Content) -> Camera:
    """Recover each photo's size from the two weak-perspective cameras; PyMAF-X's focal length, the photo's middle."""
    count = len(content["orig_cam_t"])
    crop = numbers(where, content, "pred_cam", count, 3, advice=ADVICE).astype(np.float64)
    whole = numbers(where, content, "orig_cam", count, 4, advice=ADVICE).astype(np.float64)
    boxes = np.asarray(numbers(where, content, "bboxes", count, None, advice=ADVICE), np.float64)
    known = np.isfinite(np.concatenate((crop, whole, boxes), 1)).all(1).reshape(-1)
    lost = ~known  # nobody was seen there
    if known.any() and not known.all():
        some = int(np.argmax(known))
        crop, whole, boxes = (np.where(lost[:, None], part[some], part) for part in (crop, whole, boxes))
    if boxes.shape[1] < 3 or not (crop[:, 0] > 0).all() or not (whole[:, :2] > 0).all():
        got = "a scale of zero or less" if boxes.shape[1] >= 3 else f"boxes of {boxes.shape[1]} numbers"
        raise InputError(f"{where}: pred_cam", "scales above zero and boxes of three numbers or more", got, ADVICE)
    sides = (crop[:, 0] * boxes[:, 2])[:, None] / whole[:, 1::-1]  # (N, 2): height, width
    error = float(np.abs(sides - sides.round()).max())
    if error > WHOLE_PX:
        advice = "The cameras of the file contradict each other: it was changed, or is another program's."
        raise InputError(f"{where}: orig_cam", "pred_cam over a photo of whole pixels", f"{error:.2f} px off", advice)
    size = torch.as_tensor(sides.round(), dtype=torch.float32)
    return Camera(torch.full((count, 2), SPIN_FOCAL_PX), size.flip(-1) / 2, size).checked()


def _cameras(content: Content, translation: np.ndarray, changed: Tensor) -> Content:
    """Return the three cameras for new translations (N, 3) m: the formulas above backwards."""
    middle = _camera("", content).center.double().numpy()
    box = np.asarray(content["bboxes"], np.float64)
    scale, depth = (np.asarray(content[name], np.float64) for name in ("pred_cam", "orig_cam_t"))
    side = 2 * SPIN_FOCAL_PX / (scale[:, 0] * depth[:, 2])  # b, the side the crop was made with, px
    s = 2 * SPIN_FOCAL_PX / (side * translation[:, 2])
    off = 2 * (box[:, :2] - middle)
    crop = translation[:, :2] - off / (side * s)[:, None]
    whole = crop + off / (box[:, 2] * s)[:, None]
    scales = (s * box[:, 2])[:, None] / (2 * middle)
    fresh = {
        "pred_cam": np.concatenate((s[:, None], crop), 1),
        "orig_cam": np.concatenate((scales, whole), 1),
        "orig_cam_t": translation,
    }
    return {name: put_rows(changed, value, kept(content[name])) for name, value in fresh.items()}
