"""SMPLer-X's npz of one person, `smplx/<frame>_<box>.npz`, with its camera in `meta/<frame>_<box>.json`.

    u = fx (X + T_x) / (Z + T_z) + px,   fx = 5000/192 w,   fy = 5000/256 h,   (px, py) = (x + w/2, y + h/2),
    bbox = (x, y, w, h)

T is `transl`, in metres: it is added to the model's vertices, as SMPL-X's own. The trap is the principal point: each
person has a camera of their own, centred on their box and not on the photo. The meta file stores it as `focal` and
`princpt` (px), and nobody stores the photo's size, which nothing but the overlay needs. Pixels count from the image's
corner. Hand poses are axis-angle on top of the model's mean hand: the layer is made with `use_pca=False` and without
`flat_hand_mean`, so `pose_mean` is added in its `forward`; eyes are zeros.

Source: caizhongang/SMPLer-X@d3e3c10f48 `main/inference.py` lines 118-175 (no joints are stored), `main/SMPLer_X.py`
(get_camera_trans, get_coord), `common/utils/human_models.py` lines 10-14, `common/utils/smplx/smplx/body_models.py`
lines 597 and 1146, `data/humandata.py` line 310, `main/config/config_smpler_x_h32.py` lines 86-97.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from refine.body import SkinnedBody
from refine.body.smpl_joints import joint_slices
from refine.errors import InputError
from refine.estimate import Estimate, Source
from refine.files.npz import member_names, read_arrays, write_arrays
from refine.files.pickled import read_json, write_json
from refine.formats import Sizes
from refine.formats._beside import beside
from refine.formats._given_sizes import photo_sizes
from refine.formats._kept_camera import as_rows, of_rows
from refine.formats._own_source import own_source
from refine.formats._smpl_parts import numbers, pose_of, put_pose, put_rows, put_shape
from refine.geometry.camera import Camera
from refine.transfer import refined_source, to_body, with_camera

PARTS = {name: name for name in joint_slices("smplx")}
KEYS = {*PARTS, "betas", "expression", "transl"}
SHAPES = {
    "body_pose": (21, 3),
    "left_hand_pose": (15, 3),
    "right_hand_pose": (15, 3),
    "global_orient": (1, 3),
    "transl": (1, 3),
}
"""Its way of leaving out the batch axis in some parts and not in others."""

ADVICE = "Write the files again with SMPLer-X's main/inference.py."


def recognises(path: Path) -> bool:
    """Say whether a file is SMPLer-X's: an npz of one person's SMPL-X parts, without a camera among them."""
    names = set(member_names(path))
    if not names >= KEYS or names & {"focal", "size", "full_pose", "joints", "vertices"}:
        return False
    content = read_arrays(Path(path))
    return all(content[name].shape == shape for name, shape in SHAPES.items())


def read(path: Path, body: SkinnedBody | None = None, camera: Camera | None = None, sizes: Sizes = None) -> Estimate:
    """Read SMPLer-X's result of one person.

    The meta file is looked for in the folder `meta` beside the npz's folder, then beside the npz; without one `camera`
    must be the person's own, as the formula above has it. Without `sizes` the photo is taken to end where the box does.

    Raises:
        InputError: The file is broken, or there is neither a meta file nor a camera.
    """
    path, content = Path(path), read_arrays(Path(path))
    where = str(path)
    found = next((file for file in _meta_files(path) if file.is_file()), None)
    if found is None and camera is None:
        advice = (
            "The camera of each person stands there: keep SMPLer-X's folders smplx/ and meta/ together, or give a "
            "camera with "
            "focal (5000/192 w, 5000/256 h) and center (x + w/2, y + h/2) of the box the person was cropped with."
        )
        raise InputError(where, f"a meta file {_meta_files(path)[0]}", "none", advice)
    meta = {} if found is None else _checked(str(found), read_json(found))
    index = torch.zeros(1, dtype=torch.long)
    size = photo_sizes(where, index, sizes, camera)
    own = camera if found is None else _camera(meta, size)
    assert own is not None
    given = {} if found else {"camera": as_rows(own[:1])}
    source = Source(
        format="smplerx",
        model="smplx",
        pose=pose_of(where, content, PARTS, "smplx", 1),
        betas=torch.as_tensor(numbers(where, content, "betas", 1, None, advice=ADVICE), dtype=torch.float32),
        expression=torch.as_tensor(numbers(where, content, "expression", 1, None, advice=ADVICE), dtype=torch.float32),
        translation=torch.as_tensor(numbers(where, content, "transl", 1, 3, advice=ADVICE), dtype=torch.float32),
        arrays={"npz": content, "meta": meta, **given},
        focal_rule=_rule(own, found is None, size is None),
        path=path,
        hand_mean="mean",
        images=(str(meta["img_path"]),) if "img_path" in meta else (),
        persons=(str(meta["bbox_id"]),) if "bbox_id" in meta else (),
    )
    estimate = to_body(source, own, body)
    return estimate if camera is None or own is camera else with_camera(estimate, camera)


def write(refined: Estimate, path: Path) -> None:
    """Write an estimate back as SMPLer-X's npz, and its meta file as it was to the place it belongs to.

    Rotations and `transl` are refined, `betas` and `expression` on SMPL-X's own file too; unknown keys stay. The meta
    file goes into the folder `meta` beside a folder named `smplx`, else beside the npz.

    Raises:
        InputError: The estimate was read from another format.
    """
    source = own_source(refined, "smplerx", "SMPLer-X")
    path, stored, meta = Path(path), _mapping(source.arrays.get("npz")), _mapping(source.arrays.get("meta"))
    content: dict[str, Any] = {name: np.asarray(value) for name, value in stored.items()}
    if meta:
        own = _camera(meta, refined.camera.size.detach().cpu().float())
    else:
        own = of_rows(source.arrays["camera"])
    refined = with_camera(refined, own)
    back = refined_source(refined)
    if bool(back.changed.any()):
        content |= put_pose(content, PARTS, "smplx", source.pose, back.pose)
        content |= {
            "betas": put_shape(refined, back.changed, content["betas"]),
            "expression": put_shape(refined, back.changed, content["expression"], expression=True),
            "transl": put_rows(back.changed, back.translation, content["transl"]),
        } | beside(refined, back)
    if meta:
        place = _meta_files(path)[0 if path.parent.name == "smplx" else 1]
        if path.parent.is_dir():
            place.parent.mkdir(exist_ok=True)
        write_json(place, {name: np.asarray(value).tolist() for name, value in meta.items()}, indent=4)
    write_arrays(path, content)


def _meta_files(path: Path) -> tuple[Path, Path]:
    """Return where the meta file of an npz lies: in SMPLer-X's own folders, or beside it."""
    return path.parent.parent / "meta" / f"{path.stem}.json", path.with_suffix(".json")


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _checked(where: str, meta: object) -> Mapping[str, object]:
    """Refuse a meta file that holds no camera."""
    if not isinstance(meta, dict):
        raise InputError(where, "an object with focal and princpt", type(meta).__name__, ADVICE)
    for name in ("focal", "princpt"):
        numbers(where, meta, name, 2, advice=ADVICE)
    return meta


def _camera(meta: Mapping[str, object], size: Tensor | None) -> Camera:
    """Return the person's own camera; a photo of unknown size ends where the detected person does."""
    focal, center = (
        torch.as_tensor(np.asarray(meta[name], np.float64), dtype=torch.float32)[None] for name in ("focal", "princpt")
    )
    if size is None:
        x, y, w, h = (float(side) for side in np.asarray(meta.get("bbox_mmdet", (0, 0, 0, 0)), np.float64).reshape(4))
        reach = torch.tensor([[float(math.ceil(y + h)), float(math.ceil(x + w))]])
        size = torch.maximum(reach, center.flip(-1).ceil()).clamp(min=1)
    return Camera(focal, center, size).checked()


def _rule(camera: Camera, given: bool, unknown: bool) -> str:
    """Say in words where the camera comes from."""
    focal = f"{float(camera.focal[0, 0]):.0f} px"
    if given:
        return f"{focal}, the given camera's, as there is no meta file"
    at = (
        f"{focal} with the principal point at the person's box, ({camera.center[0, 0]:.0f}, "
        f"{camera.center[0, 1]:.0f}) px (SMPLer-X)"
    )
    return at + ("; the size of the photo is not stored, so it ends where the box does" if unknown else "")
