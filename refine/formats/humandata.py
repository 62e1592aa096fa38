"""MMHuman3D's HumanData npz: results of its demos (`inference_result.npz`), and datasets with a camera.

    demos      u = f b/224 (X + T_x) / (Z + T_z) + c_x,   T = (t_x, t_y, 2 f / (224 s)),   f = 5000 px,
               pred_cams = (s, t_x, t_y)
               b = 1.25 max(w, h),   c = the middle of bboxes_xyxy (px): a camera off the photo's middle for each person
    datasets   u = f (X + transl_x) / (Z + transl_z) + c_x, `focal_length` and `principal_point` from `misc` or `meta`
               (px)

`smpl` or `smplx` is a dictionary inside an object array: betas (N, 10), body_pose (N, 23, 3) or (N, 21, 3),
global_orient (N, 3), perhaps transl (N, 3) m, hands, face, or `fullpose` (N, 55, 3); axis-angle. `meta` and `misc` are
dictionaries too. In datasets everything is in OpenCV's camera frame. Hand mean: `misc["flat_hand_mean"]` where it says
so. The photo's size is the caller's, else `meta["height"]` and `meta["width"]`, else `misc["image_shape"]` (height
first, unless the principal point says otherwise). Pixels count from the image's corner (boxes, the demos' own camera);
a calibrated principal point is taken as it is stored.

`image_path` names photos, `person_id` people. Keypoints (190 of the HUMAN_DATA convention, or, where
`__keypoints_compressed__`, only those that the `_mask` of their name marks) are annotations or other programs' and stay
as they are; those the SMPL(-X) body itself was projected to (`keypoints2d_smpl`, ...) are left out of a refined file,
as `verts` are. Datasets without places and without a camera (EFT's and SPIN's converted) cannot be read: nothing says
where the bodies are.

Source: open-mmlab/mmhuman3d@8c95747175 `mmhuman3d/data/data_structures/human_data.py` lines 28-88 (keys), 209-270
(load, dump), 985-1055 (compression), `docs/human_data.md`, `demo/estimate_smpl.py` lines 232-266,
`demo/estimate_smplx.py` lines 170-209, `mmhuman3d/core/visualization/visualize_smpl.py` visualize_smpl_hmr,
`mmhuman3d/utils/demo_utils.py` convert_bbox_to_intrinsic, box2cs, `mmhuman3d/apis/inference.py` lines 160-180.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from refine.body import SkinnedBody
from refine.body.smpl_joints import joint_slices
from refine.check import check_positive
from refine.errors import InputError
from refine.estimate import Estimate, Source
from refine.files.npz import member_names, read_object, write_arrays
from refine.formats import Sizes
from refine.formats._beside import beside
from refine.formats._given_sizes import needed_sizes
from refine.formats._own_source import own_source
from refine.formats._smpl_parts import numbers, pose_of, put_pose, put_rotations, put_rows, put_shape, rotations
from refine.geometry.camera import Camera
from refine.geometry.focal import SPIN_FOCAL_PX
from refine.transfer import refined_source, to_body, with_camera

MODELS = ("smplx", "smplh", "smpl")
MARKS = {"__data_len__", "__key_strict__", "__keypoints_compressed__", "bbox_xywh", "config"}
"""Members one of which every HumanData file has beside the body: older ones have no `__data_len__`."""

CROP_PX = 224.0
BOX_GROWTH = 1.25
"""Side of the crop over the longer side of the detected box (`inference.py`, bbox_scale_factor)."""

OF_THE_BODY = (
    "verts",
    "vertices",
    *(f"keypoints{n}d_{model}{end}" for n in (2, 3) for model in MODELS for end in ("", "_mask", "_convention")),
)
"""Made from the body by its model's file."""

ADVICE = "Write it with HumanData.dump."
NOTE = (
    "Refined: rotations, transl and pred_cams are new; verts and keypoints of the body itself are left out, they "
    "cannot be made without its model file."
)


def recognises(path: Path) -> bool:
    """Say whether a file is a HumanData: an npz with a body (`smpl`, `smplh` or `smplx`) and one of its own members."""
    names = set(member_names(path))
    return bool(names & set(MODELS)) and bool(names & MARKS)


def read(path: Path, body: SkinnedBody | None = None, camera: Camera | None = None, sizes: Sizes = None) -> Estimate:
    """Read a HumanData.

    `sizes` go by the order in which `image_path` first names the photos. Where the file has places and no camera,
    `camera` is theirs.

    Raises:
        InputError: The file is broken, nothing says where the bodies are, or no camera or size is known.
    """
    path = Path(path)
    content = {name: read_object(path, name) for name in member_names(path)}
    where, file = str(path), _file(str(path), content)
    index, images = _images(content, file.count)
    own, place, rule = _place(where, content, file, index, camera, sizes)
    parts = file.parts
    if "fullpose" in parts:
        pose = rotations(f"{where}: {file.model}", "fullpose", parts["fullpose"], file.count, 55)
    else:
        names = {name: name for name in joint_slices(file.model)}
        pose = pose_of(f"{where}: {file.model}", parts, names, file.model, file.count)
    expression = parts.get("expression")
    persons = np.asarray(content.get("person_id", ())).reshape(-1)
    source = Source(
        format="humandata",
        model=file.model,
        pose=pose,
        betas=torch.as_tensor(numbers(where, parts, "betas", file.count, None, advice=ADVICE), dtype=torch.float32),
        expression=torch.zeros(file.count, 0)
        if expression is None
        else torch.as_tensor(numbers(where, parts, "expression", file.count, None, advice=ADVICE), dtype=torch.float32),
        translation=place,
        arrays=content,
        focal_rule=rule,
        path=path,
        images=images,
        persons=tuple(map(str, persons.tolist())) if len(persons) == file.count else (),
        hand_mean=_hand_mean(content),
    )
    estimate = to_body(source, own, body, index)
    return estimate if camera is None or own is camera else with_camera(estimate, camera)


def write(refined: Estimate, path: Path) -> None:
    """Write an estimate back as a HumanData.

    Rotations, `transl` and `pred_cams` (in the same boxes) are refined, `betas` and `expression` on the model's own
    file too; annotations and unknown keys stay, what the model's file made of the body is left out. Rows that did not
    change keep every number.

    Raises:
        InputError: The estimate was read from another format.
    """
    source = own_source(refined, "humandata", "HumanData")
    content: dict[str, Any] = dict(source.arrays)
    file = _file(str(source.path), content)
    camera = _boxes(str(source.path), content, file.count, refined.camera.size.detach().cpu().float())
    if camera is None:
        camera = _stored(content, file.count, refined.camera.size.detach().cpu().float())
    refined = refined if camera is None else with_camera(refined, camera)
    back = refined_source(refined)
    if bool(back.changed.any()):
        parts: dict[str, Any] = dict(file.parts)
        if "fullpose" in parts:
            parts["fullpose"] = put_rotations(np.asarray(parts["fullpose"]), source.pose, back.pose)
        else:
            names = {name: name for name in joint_slices(file.model)}
            parts |= put_pose(parts, names, file.model, source.pose, back.pose)
        for name in {"betas", "expression"} & set(parts):
            parts[name] = put_shape(refined, back.changed, np.asarray(parts[name]), expression=name == "expression")
        if "transl" in parts:
            parts["transl"] = put_rows(back.changed, back.translation, np.asarray(parts["transl"]))
        content = {name: value for name, value in content.items() if name not in OF_THE_BODY} | {file.model: parts}
        if _in_boxes(content):
            place = back.translation.double()
            crop = torch.cat((2 * SPIN_FOCAL_PX / (CROP_PX * place[:, 2:]), place[:, :2]), 1)
            content["pred_cams"] = put_rows(back.changed, crop, np.asarray(content["pred_cams"]))
        content |= beside(refined, back, NOTE)
    write_arrays(Path(path), content)


@dataclass(frozen=True)
class File:
    """The body in a HumanData.

    Attributes:
        model: "smpl", "smplh" or "smplx".
        parts: Its dictionary.
        count: Its rows.
    """

    model: str
    parts: dict[str, Any]
    count: int


def _file(where: str, content: dict[str, object]) -> File:
    """Return the body of a file."""
    for model in MODELS:
        parts = content.get(model)
        if isinstance(parts, dict) and ("fullpose" in parts or {"global_orient", "body_pose"} <= set(parts)):
            if "betas" not in parts or np.ndim(parts["betas"]) != 2 or len(parts["betas"]) == 0:
                raise InputError(f"{where}: {model}", "betas of shape (N, 10), at least one row", "none such", ADVICE)
            return File(model, parts, len(parts["betas"]))
    raise InputError(where, "a dictionary smpl or smplx with global_orient, body_pose and betas", "none", ADVICE)


def _images(content: dict[str, object], count: int) -> tuple[Int[Tensor, "B"], tuple[str, ...]]:
    """Return which photo each row is in, and the photos' names; without names every row has a photo of its own."""
    names = [str(name) for name in np.asarray(content.get("image_path", ())).reshape(-1)]
    if len(names) != count:
        return torch.arange(count), ()
    images = list(dict.fromkeys(names))
    return torch.tensor([images.index(name) for name in names]), tuple(images)


def _place(
    where: str, content: dict[str, object], file: File, index: Tensor, camera: Camera | None, sizes: Tensor | None
) -> tuple[Camera, Float[Tensor, "B 3"], str]:
    """Return the camera of each row, SMPL's `transl` in front of it, and the focal rule in words."""
    size = _size(content, file.count) if sizes is None else None
    size = needed_sizes(where, index, sizes, camera) if size is None else size
    own = _boxes(where, content, file.count, size)
    if own is not None:
        crop = torch.as_tensor(numbers(where, content, "pred_cams", file.count, 3, advice=ADVICE)).double()
        check_positive(
            f"{where}: pred_cams scale", crop[:, 0].nan_to_num(1.0), "", "The regressor failed on this person."
        )
        place = torch.cat((crop[:, 1:], 2 * SPIN_FOCAL_PX / (CROP_PX * crop[:, :1])), 1)
        return own, place.float(), "5000 px in the 224 px crop of each person's box (MMHuman3D's demos)"
    if "transl" not in file.parts:
        advice = "Nothing says where the bodies are: write the file with transl, or with pred_cams and bboxes_xyxy."
        raise InputError(where, "transl, or pred_cams and bboxes_xyxy", f"{', '.join(content)}", advice)
    place = torch.as_tensor(numbers(where, file.parts, "transl", file.count, 3, advice=ADVICE), dtype=torch.float32)
    own = _stored(content, file.count, size)
    if own is None and camera is None:
        advice = "Give a camera: neither misc nor meta has a focal_length."
        raise InputError(f"{where}: camera", "a camera in the file or in the call", "neither", advice)
    if own is None:
        assert camera is not None
        return camera, place, "the given camera's"
    return own, place, f"{float(own.focal[0, 0]):.0f} px, as stored"


def _in_boxes(content: dict[str, object]) -> bool:
    return {"pred_cams", "bboxes_xyxy"} <= set(content)


def _boxes(where: str, content: dict[str, object], count: int, size: Float[Tensor, "B 2"]) -> Camera | None:
    """Return the demos' camera of each person, None where the file has none."""
    if not _in_boxes(content):
        return None
    scored = np.asarray(content["bboxes_xyxy"]).shape[1:] == (5,)
    boxes = torch.as_tensor(numbers(where, content, "bboxes_xyxy", count, 5 if scored else 4, advice=ADVICE)).double()
    side = BOX_GROWTH * (boxes[:, 2:4] - boxes[:, :2]).amax(1, keepdim=True)
    check_positive(f"{where}: bboxes_xyxy", side.nan_to_num(1.0), "px", "A box has no area.")
    focal = (SPIN_FOCAL_PX * side / CROP_PX).expand(-1, 2)
    return Camera(focal.float(), ((boxes[:, :2] + boxes[:, 2:4]) / 2).float(), size)


def _said(content: dict[str, object], name: str, count: int) -> Float[np.ndarray, "B n"] | None:
    """Return a value of `misc` (one for all) or `meta` (one a row), None where neither has it."""
    for key in ("misc", "meta"):
        inner = content.get(key)
        if isinstance(inner, dict) and inner.get(name) is not None:
            rows = np.asarray(inner[name], np.float64)
            if rows.ndim == 0 or rows.shape[0] != count or key == "misc":
                rows = np.broadcast_to(rows.reshape(1, -1), (count, rows.size))
            return rows.reshape(count, -1)
    return None


def _stored(content: dict[str, object], count: int, size: Float[Tensor, "B 2"]) -> Camera | None:
    """Return the dataset's camera, None where it has none."""
    focal, center = _said(content, "focal_length", count), _said(content, "principal_point", count)
    if focal is None:
        return None
    pair = torch.as_tensor(np.broadcast_to(focal[:, :2], (count, 2)).copy(), dtype=torch.float32)
    middle = size.flip(-1) / 2 if center is None else torch.as_tensor(center[:, :2].copy(), dtype=torch.float32)
    return Camera(pair, middle, size).checked()


def _size(content: dict[str, object], count: int) -> Float[Tensor, "B 2"] | None:
    """Return the photos' sizes (height, width), None where the file does not say them."""
    shape, height, width = (_said(content, name, count) for name in ("image_shape", "height", "width"))
    if height is not None and width is not None:
        return torch.as_tensor(np.concatenate((height[:, :1], width[:, :1]), 1), dtype=torch.float32)
    if shape is None or shape.shape[1] < 2:
        return None
    # The documentation leaves open which comes first; a principal point near the middle tells.
    center = _said(content, "principal_point", count)
    middle = shape[:, :2] / 2
    turned = center is not None and np.abs(center - middle).sum() < np.abs(center - middle[:, ::-1]).sum()
    return torch.as_tensor(shape[:, [1, 0]] if turned else shape[:, :2].copy(), dtype=torch.float32)


def _hand_mean(content: dict[str, object]) -> str:
    """Return what the file says its hand poses stand on, "" where it does not."""
    misc = content.get("misc")
    flat = misc.get("flat_hand_mean") if isinstance(misc, dict) else None
    return "" if flat is None else "flat" if bool(flat) else "mean"
