"""VIBE's `vibe_output.pkl` of a video: each person's track, SMPL under a weak-perspective camera over the whole frame.

    u = (sx (X + tx) + 1) W/2,   v = (sy (Y + ty) + 1) H/2,   (sx, sy, tx, ty) = orig_cam
    pred_cam = (s, tx', ty') in the box (cx, cy, h, h)
    sx = s h/W,   sy = s h/H,   tx = tx' + (cx - W/2)/(W/2 sx),   ty = ty' + (cy - H/2)/(H/2 sy)

The frame's size is not stored, and W = s h/sx, H = s h/sy tell it exactly. The weak perspective VIBE means is kept by a
lens of `LONG_SIDES` sides of the frame. `joints3d` are SPIN's 49 (`refine.transfer.joint_orders`) in the model's frame;
`verts` are there too, without a place: the trap. Rotations are axis-angle, pixels count from the image's corner,
`frame_ids` from the video's first frame. PARE and others write the same names.

Source: mkocabas/VIBE@851f779 `demo.py` lines 232-266, `lib/utils/demo_utils.py` lines 242-259, `lib/models/smpl.py`
(JOINT_NAMES, JOINT_MAP: SPIN's, to the letter; OP MidHip is joint 0), `lib/models/spin.py` lines 182-201 (kp_3d).
"""

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
from refine.files.pickled import read_pickled, write_joblib
from refine.formats import Sizes
from refine.formats._beside import beside
from refine.formats._own_source import own_source
from refine.formats._pickled_dict import peek
from refine.formats._smpl_parts import put_shape, rotations
from refine.formats._tracks import Tracks
from refine.geometry.camera import Camera
from refine.geometry.weak_perspective import from_perspective, from_whole_image
from refine.transfer import refined_source, to_body, with_camera
from refine.transfer.carry import points_after
from refine.transfer.joint_orders import SPIN49

KEYS = {"pred_cam", "orig_cam", "pose", "betas", "joints3d", "bboxes", "frame_ids"}

LONG_SIDES = 100.0
"""Focal length over the frame's longer side: what lies 0.3 m before the pelvis of somebody who fills the frame is off
by a fifth of a percent."""

WHOLE_PX = 0.2
"""How far a recovered side may be from a whole number of px; float32 leaves a thousandth."""

DERIVED = {"verts", "joints2d_img_coord"}

ADVICE = "Run VIBE's demo.py on the video again."

NOTE = (
    "Refined: pose, orig_cam, pred_cam and joints3d are new; joints3d move rigidly with the nearest joint. betas are "
    "the regressor's unless SMPL's own "
    "file was used. verts and joints2d_img_coord are left out: they cannot be made again without it."
)

OVER_TIME = True
"""`persons` say who is who over the frames of a video."""


def recognises(path: Path) -> bool:
    """Say whether a file is VIBE's: a pickle of one dictionary a person, with `orig_cam`, `joints3d`, ... (`KEYS`)."""
    people = peek(path, ("pickle", "joblib")).values()
    return bool(people) and all(isinstance(person, dict) and set(person) >= KEYS for person in people)


def read(path: Path, body: SkinnedBody | None = None, camera: Camera | None = None, sizes: Sizes = None) -> Estimate:
    """Read VIBE's result of a video.

    Raises:
        InputError: The file is broken or holds something else.
    """
    path = Path(path)
    where, content = str(path), read_pickled(path)
    tracks = _tracks(where, content)
    own = _camera(where, content, tracks)
    whole = torch.as_tensor(tracks.joined(where, content, "orig_cam", 4, advice=ADVICE)).double()
    place = _place(whole, own)
    joints = torch.as_tensor(tracks.joined(where, content, "joints3d", None, 3, advice=ADVICE)).float()
    pose = tracks.joined(where, content, "pose", 72, advice=ADVICE)
    source = Source(
        format="vibe",
        model="smpl",
        pose=rotations(where, "pose", pose, len(tracks), 24),
        betas=torch.as_tensor(tracks.joined(where, content, "betas", None, advice=ADVICE)).float(),
        expression=torch.zeros(len(tracks), 0),
        translation=place,
        joints=joints + place[:, None],
        joint_names=(SPIN49 + ("",) * joints.shape[1])[: joints.shape[1]],
        arrays={"content": content},
        focal_rule=f"{float(own.focal[0, 0]):.0f} px, so long that it equals VIBE's weak perspective",
        path=path,
        persons=tracks.persons,
    )
    index = torch.as_tensor(tracks.joined(where, content, "frame_ids", advice=ADVICE)).long()
    estimate = to_body(source, own, body, index)
    return estimate if camera is None else with_camera(estimate, camera)


def write(refined: Estimate, path: Path) -> None:
    """Write an estimate back as VIBE's pkl.

    `pose`, `orig_cam`, `pred_cam` and `joints3d` are refined, `betas` on SMPL's own file too; `verts` and
    `joints2d_img_coord` are left out of a refined file. Rows that did not change keep every number, and unknown keys
    stay.

    Raises:
        InputError: The estimate was read from another format.
    """
    source = own_source(refined, "vibe", "VIBE")
    content: Any = source.arrays["content"]
    where = str(source.path)
    tracks = _tracks(where, content)
    camera = _camera(where, content, tracks)
    refined = with_camera(refined, camera)
    back = refined_source(refined)
    if bool(back.changed.any()):
        assert source.translation is not None
        whole, crop = _cameras(where, content, tracks, back.translation, back.changed, camera)
        stored = torch.as_tensor(tracks.joined(where, content, "joints3d", None, 3, advice=ADVICE)).double()
        moved = (
            points_after(stored + source.translation.double()[:, None], refined) - back.translation.double()[:, None]
        )
        betas = put_shape(refined, back.changed, tracks.joined(where, content, "betas", None, advice=ADVICE))
        content = tracks.put_rotations(content, "pose", source.pose, back.pose)
        content = tracks.put(content, "orig_cam", back.changed, whole)
        content = tracks.put(content, "pred_cam", back.changed, crop)
        content = tracks.put(content, "joints3d", back.changed, moved)
        content = tracks.put(content, "betas", back.changed, betas)
        extra = beside(refined, back, NOTE)
        content = tracks.put_beside(content, KEY, extra.get(KEY))
        content = tracks.without(content, DERIVED, str(extra["refine_note"]))
    write_joblib(Path(path), content, compress=0)


def _tracks(where: str, content: object) -> Tracks:
    """Return the people and their rows."""
    if not isinstance(content, dict) or not content or not all(isinstance(person, dict) for person in content.values()):
        raise InputError(where, "a dictionary of people", "something else, or nobody", ADVICE)
    frames = [np.asarray(person.get("frame_ids", ())).reshape(-1) for person in content.values()]
    return Tracks(tuple(content), tuple(np.arange(len(rows)) for rows in frames))


def _camera(where: str, content: Any, tracks: Tracks) -> Camera:
    """Recover the frame's size from the two cameras and the boxes; the long lens of it, the same for all."""
    parts = [
        np.asarray(tracks.joined(where, content, name, width, advice=ADVICE), np.float64)
        for name, width in (("pred_cam", 3), ("orig_cam", 4), ("bboxes", None))
    ]
    crop, whole, boxes = parts
    known = np.isfinite(np.concatenate(parts, 1)).all(1)
    sides = (crop[known, 0] * boxes[known, 2])[:, None] / whole[known, 1::-1]  # (N, 2): height, width
    if (
        not len(sides)
        or not (sides > 0).all()
        or np.abs(sides - sides[0].round()).max() > WHOLE_PX * (1 + sides[0].max() / 1000)
    ):
        got = "cameras that contradict each other" if len(sides) else "no numbers"
        raise InputError(f"{where}: orig_cam", "pred_cam over a frame of whole pixels", got, ADVICE)
    size = torch.tensor(sides[0].round(), dtype=torch.float32).expand(len(tracks), 2)
    return Camera(LONG_SIDES * size.amax(1, keepdim=True).expand(-1, 2), size.flip(-1) / 2, size)


def _place(whole: Float[Tensor, "B 4"], own: Camera) -> Float[Tensor, "B 3"]:
    """Return where the long lens sees SMPL's origin (m); NaN where the file has no camera."""
    lost = ~whole.isfinite().all(1)
    known = torch.where(lost[:, None], torch.tensor([1.0, 1.0, 0.0, 0.0], dtype=whole.dtype), whole)
    place = from_whole_image(known, own.size.double()).to_translation(own.to(dtype=torch.float64)).float()
    return place.masked_fill(lost[:, None], torch.nan)


def _cameras(
    where: str, content: Any, tracks: Tracks, place: Tensor, changed: Tensor, camera: Camera
) -> tuple[np.ndarray, np.ndarray]:
    """Return `orig_cam` (B, 4) and `pred_cam` (B, 3) of new translations (B, 3) m: the formulas above backwards."""
    seen = torch.where(changed[:, None], place, 1.0).double()  # who did not change may be nowhere
    weak = from_perspective(seen, camera.to(dtype=torch.float64))
    half = camera.size.flip(-1).double() / 2
    scale = weak.scale / half
    shift = (weak.origin / half - 1) / scale
    box = torch.as_tensor(np.asarray(tracks.joined(where, content, "bboxes", None, advice=ADVICE), np.float64))
    s = scale[:, :1] * 2 * half[:, :1] / box[:, 2:3]
    inner = shift - (box[:, :2] - half) / (half * scale)
    return torch.cat((scale, shift), 1).numpy(), torch.cat((s, inner), 1).numpy()
