"""EFT's JSON of a dataset: SMPL and a crop camera for every annotated person, `{"ver", "data": [...], "meta"}`.

    u = x_0 + b/2 (s X + t_x + 1),   v = y_0 + b/2 (s Y + t_y + 1),   parm_cam = (s, t_x, t_y)
    (x_0, y_0) = int(center - 100 scale),   b = int(center_y + 100 scale) - y_0
    bbox_center px, bbox_scale = side/200

The trap is t: it is added after the scale, in halves of the crop, where SPIN has s (X + t_x). The camera is weak
perspective (the joints' depth does not matter), and the crop's corners are cut to whole pixels: they are up to a pixel
off the box. The camera EFT means is kept by seeing the body from far away through an equally long lens (`LONG_SIDES`);
ask for `camera="spin"` to have SPIN's 5000 px instead. The photo's size is not stored and must be given, in the order
in which `imageName` first names them. `parm_pose` are matrices (24, 3, 3); SMPL has no hand mean. Pixels count from the
image's corner (the crop is enlarged by cv2.resize, corner to corner). `gt_keypoint_2d` and `joint_validity_openpose18`
are annotations and stay.

Source: facebookresearch/eft@c8400a6053 `docs/README_dataformat.md`, `eft/utils/exportDB.py` lines 58-93 (of joints the
annotated 2D ones alone, SPIN's 49), `eft/utils/imutils.py` lines 14-60 (transform) and 118-160 (crop_bboxInfo), 395-425
(convert_smpl_to_bbox, convert_bbox_to_oriIm), `demo/visEFTFit.py` lines 122-195, `eft/train/eftFitter.py` line 272
(what was fitted).
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from refine.body import SkinnedBody
from refine.check import check_positive
from refine.errors import InputError
from refine.estimate import Estimate, Source
from refine.files.json_head import begins_with
from refine.files.pickled import read_json, write_json
from refine.formats import Sizes
from refine.formats._beside import beside
from refine.formats._given_sizes import needed_sizes
from refine.formats._own_source import own_source
from refine.formats._smpl_parts import numbers, put_rotations, put_shape, rotations
from refine.geometry.camera import Camera
from refine.geometry.weak_perspective import WeakPerspective, from_box, from_perspective
from refine.transfer import refined_source, to_body, with_camera

KEYS = ("parm_pose", "parm_shape", "parm_cam", "bbox_scale", "bbox_center")
LONG_SIDES = 400.0
"""Focal length over the photo's longer side: somebody who fills it is a few hundred metres away, and a point 0.3 m
behind the pelvis and half a photo off the axis is seen less than half a pixel off."""

ADVICE = "Download EFT's fits again, or write them again with eft/utils/exportDB.py."


def recognises(path: Path) -> bool:
    """Say whether a file is EFT's: a JSON object with people of `parm_pose`, `parm_cam` and a box."""
    return begins_with(path, "{", KEYS)


def read(path: Path, body: SkinnedBody | None = None, camera: Camera | None = None, sizes: Sizes = None) -> Estimate:
    """Read the fits of a dataset.

    Raises:
        InputError: The file is broken, or the photos' sizes are not known.
    """
    path = Path(path)
    where, content = str(path), read_json(path)
    people = _people(where, content)
    arrays = _arrays(where, people)
    count = len(people)
    names = [str(person.get("imageName", "")) for person in people]
    images = tuple(dict.fromkeys(names))
    index = torch.tensor([images.index(name) for name in names])
    size = needed_sizes(where, index, sizes, camera)
    own = _camera(size)
    scale = torch.as_tensor(arrays["parm_cam"][:, 0]).nan_to_num(1.0)
    check_positive(f"{where}: parm_cam scale", scale, "", "EFT failed on this person.")
    source = Source(
        format="eft",
        model="smpl",
        pose=rotations(where, "parm_pose", arrays["parm_pose"], count, 24),
        betas=torch.as_tensor(arrays["parm_shape"], dtype=torch.float32),
        expression=torch.zeros(count, 0),
        translation=_place(arrays, own),
        arrays={"content": content},
        focal_rule=f"{float(own.focal[0, 0]):.0f} px, so long that it equals EFT's weak perspective",
        path=path,
        images=images if any(images) else (),
        persons=tuple(str(person["annotId"]) for person in people) if all("annotId" in one for one in people) else (),
    )
    estimate = to_body(source, own, body, index)
    return estimate if camera is None else with_camera(estimate, camera)


def write(refined: Estimate, path: Path) -> None:
    """Write an estimate back as EFT's JSON.

    `parm_pose` and `parm_cam` (in the same box) are refined, `parm_shape` on SMPL's own file too; annotations and
    unknown keys stay. People who did not change keep every number.

    Raises:
        InputError: The estimate was read from another format.
    """
    source = own_source(refined, "eft", "EFT")
    content: Any = source.arrays["content"]
    people = _people(str(source.path), content)
    arrays = _arrays(str(source.path), people)
    camera = _camera(refined.camera.size.detach().cpu().float())
    refined = with_camera(refined, camera)
    back = refined_source(refined)
    if bool(back.changed.any()):
        center, side = _box(arrays)
        place = torch.where(back.changed[:, None], back.translation, 1.0)  # who did not change may be nowhere
        weak = from_perspective(place.double(), camera.to(dtype=torch.float64)).in_box(center, side)
        fresh = {
            "parm_pose": put_rotations(arrays["parm_pose"], source.pose, back.pose),
            "parm_shape": put_shape(refined, back.changed, arrays["parm_shape"]),
            "parm_cam": torch.cat((weak[:, :1], weak[:, :1] * weak[:, 1:]), 1).numpy(),
        }
        # A person keeps the kind of every value: lists of numbers.
        rows = [
            person | {name: values[row].tolist() for name, values in fresh.items()} if changed else person
            for row, (person, changed) in enumerate(zip(people, back.changed.tolist(), strict=True))
        ]
        content = {**content, "data": rows} | beside(refined, back)
    write_json(Path(path), content)


def _people(where: str, content: object) -> list[dict[str, Any]]:
    """Return the file's people."""
    people = content.get("data") if isinstance(content, dict) else None
    if not isinstance(people, list) or not people or not all(isinstance(person, dict) for person in people):
        raise InputError(where, 'a JSON object with a list "data" of people', "something else", ADVICE)
    return people


def _arrays(where: str, people: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """Return what is needed of all people, one array a name, float64."""
    shapes = {"parm_pose": (24, 3, 3), "parm_shape": (10,), "parm_cam": (3,), "bbox_scale": (), "bbox_center": (2,)}
    rows = [
        {
            name: numbers(f"{where}: person {row}", person, name, *shape, advice=ADVICE, rows=True)
            for name, shape in shapes.items()
        }
        for row, person in enumerate(people)
    ]
    return {name: np.stack([row[name] for row in rows]).astype(np.float64) for name in shapes}


def _box(arrays: dict[str, np.ndarray]) -> tuple[Float[Tensor, "B 2"], Float[Tensor, "B"]]:
    """Return the crop's centre (px) and side, its corners cut to whole pixels as EFT does."""
    half = 100 * arrays["bbox_scale"][:, None]
    first, last = np.trunc(arrays["bbox_center"] - half), np.trunc(arrays["bbox_center"] + half)
    side = last[:, 1] - first[:, 1]
    return torch.as_tensor(first + side[:, None] / 2), torch.as_tensor(side)


def _weak(arrays: dict[str, np.ndarray]) -> WeakPerspective:
    """Return EFT's camera in the photo; `from_box` wants SPIN's shift, before the scale."""
    cam = torch.as_tensor(arrays["parm_cam"])
    return from_box(torch.cat((cam[:, :1], cam[:, 1:] / cam[:, :1]), 1), *_box(arrays))


def _place(arrays: dict[str, np.ndarray], own: Camera) -> Float[Tensor, "B 3"]:
    """Return where the long lens sees SMPL's origin; NaN where the file has none."""
    known = {name: np.nan_to_num(values, nan=1.0) for name, values in arrays.items()}
    place = _weak(known).to_translation(own.to(dtype=torch.float64)).float()
    lost = np.stack([np.isnan(values).reshape(len(values), -1).any(1) for values in arrays.values()]).any(0)
    return torch.where(torch.as_tensor(lost)[:, None], torch.full_like(place, torch.nan), place)


def _camera(size: Float[Tensor, "B 2"]) -> Camera:
    """Return the long lens of each photo."""
    return Camera(LONG_SIDES * size.amax(1, keepdim=True).expand(-1, 2), size.flip(-1) / 2, size)
