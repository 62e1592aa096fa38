"""Hand4Whole's `smplx_param.json` of one person: SMPL-X parameters as flat lists, without a place and without a camera.

    u = fx (X + T_x) / (Z + T_z) + px,   fx = 5000/192 w,   fy = 5000/256 h,   (px, py) = (x + w/2, y + h/2),
    box (x, y, w, h)

The file holds neither T (m) nor the box (px), both of which the demo knows and drops. T is in the vertices of
`output.obj` (camera frame, y down, not turned), which the demo writes beside it; the box is nowhere, so the camera must
be given. Pixels count from the image's corner. Hand poses are axis-angle on top of the model's mean hand: the layer has
`use_pca=False` and smplx's default, no `flat_hand_mean`.

The model's file is not at hand to say where the pelvis is in those vertices: a body in the same pose is laid into their
bounding box, which is right to two centimetres or three. A key `transl` (3 numbers, m) in the file is taken before the
obj; a refined file has one.

Source: mks0601/Hand4Whole_RELEASE@c94908654b `demo/demo.py` lines 75-140, `main/config.py` lines 22-34,
`common/utils/human_models.py` lines 10-14.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from refine.body import SkinnedBody
from refine.errors import InputError
from refine.estimate import Estimate, Source
from refine.files.atomic import write_bytes
from refine.files.json_head import begins_with
from refine.files.pickled import read_json, write_json
from refine.formats import Sizes
from refine.formats._beside import beside
from refine.formats._kept_camera import as_rows, of_rows
from refine.formats._own_source import own_source
from refine.formats._smpl_parts import numbers, pose_of, put_pose, put_shape
from refine.geometry.camera import Camera
from refine.transfer import on_trial, refined_source, to_body, with_camera

PARTS = {
    "root_pose": "global_orient",
    "body_pose": "body_pose",
    "lhand_pose": "left_hand_pose",
    "rhand_pose": "right_hand_pose",
    "jaw_pose": "jaw_pose",
}
KEYS = (*PARTS, "shape", "expr")

MAX_OBJ_BYTES = 64 * 2**20
MAX_JSON_BYTES = 2**20

NOTE = (
    "Refined: rotations are new; transl (m, camera frame) is added: it stands nowhere else. output.obj is not refined."
)
ADVICE = "Run Hand4Whole's demo.py again."


def recognises(path: Path) -> bool:
    """Say whether a file is Hand4Whole's: a JSON object with `root_pose`, `body_pose`, `lhand_pose`, ... (`KEYS`)."""
    return begins_with(path, "{", KEYS)


def read(path: Path, body: SkinnedBody | None = None, camera: Camera | None = None, sizes: Sizes = None) -> Estimate:
    """Read Hand4Whole's result of one person.

    Raises:
        InputError: The file is broken, no camera is given, or nothing tells where the person is.
    """
    path = Path(path)
    where, content = str(path), _content(path)
    if camera is None:
        advice = (
            "Hand4Whole's file holds none, and not the box it follows from: give a camera with focal (5000/192 w, "
            "5000/256 h) and "
            "center (x + w/2, y + h/2), where x, y, w, h is the `bbox` of demo.py after process_bbox, in px."
        )
        raise InputError(f"{where}: camera", "the person's camera", "none", advice)
    camera = camera[:1]
    source = Source(
        format="hand4whole",
        model="smplx",
        pose=pose_of(where, content, PARTS, "smplx", 1),
        betas=torch.as_tensor(numbers(where, content, "shape", None, advice=ADVICE), dtype=torch.float32)[None],
        expression=torch.as_tensor(numbers(where, content, "expr", None, advice=ADVICE), dtype=torch.float32)[None],
        translation=torch.zeros(1, 3),
        arrays={"json": content, "camera": as_rows(camera)},
        focal_rule=f"{float(camera.focal[0, 0]):.0f} px, the given camera's",
        path=path,
        hand_mean="mean",
    )
    if "transl" in content:
        place = torch.as_tensor(numbers(where, content, "transl", 3, advice=ADVICE), dtype=torch.float32)[None]
        return to_body(replace(source, translation=place), camera, body)
    vertices = _vertices(path)
    place = _shift(on_trial(source, camera, body).vertices.detach().cpu(), vertices)
    return to_body(replace(source, translation=place, vertices=vertices), camera, body)


def write(refined: Estimate, path: Path) -> None:
    """Write an estimate back as Hand4Whole's JSON.

    Rotations are refined, `shape` and `expr` on SMPL-X's own file too, unknown keys stay. A refined file gets a key
    `transl`, for the format has no other place for it, and `refine_note` says so; beside one that is as it was the obj
    is put again.

    Raises:
        InputError: The estimate was read from another format.
    """
    source = own_source(refined, "hand4whole", "Hand4Whole")
    path, stored = Path(path), source.arrays["json"]
    assert isinstance(stored, Mapping)
    content = {name: np.asarray(value) for name, value in stored.items()}
    refined = with_camera(refined, of_rows(source.arrays["camera"]))
    back = refined_source(refined)
    if bool(back.changed.any()):
        content |= put_pose(content, PARTS, "smplx", source.pose, back.pose)
        content |= {
            "shape": put_shape(refined, back.changed, content["shape"]),
            "expr": put_shape(refined, back.changed, content["expr"], expression=True),
            "transl": back.translation[0].double().numpy(),
        } | {name: np.asarray(value) for name, value in beside(refined, back, NOTE).items()}
    elif source.path is not None and "transl" not in content and (obj := _obj(source.path)) and _obj(path) is None:
        write_bytes(
            path.with_suffix(".obj"), obj.read_bytes()
        )  # without it the file says nothing of the person's place
    write_json(path, {name: value.tolist() for name, value in content.items()})


def _content(path: Path) -> dict[str, object]:
    """Return the file's object, its numbers looked at."""
    if path.stat().st_size > MAX_JSON_BYTES:
        got = f"{path.stat().st_size / 2**20:.0f} MiB"
        raise InputError(str(path), f"at most {MAX_JSON_BYTES / 2**20:.0f} MiB", got, ADVICE)
    content = read_json(path)
    if not isinstance(content, dict):
        raise InputError(str(path), "a JSON object", type(content).__name__, ADVICE)
    for name in PARTS:
        numbers(str(path), content, name, None, advice=ADVICE)
    return content


def _obj(path: Path) -> Path | None:
    """Return the obj file beside a JSON, None where there is none."""
    return next((file for file in (path.with_suffix(".obj"), path.with_name("output.obj")) if file.is_file()), None)


def _vertices(path: Path) -> Float[Tensor, "1 V 3"]:
    """Return the vertices (m, camera frame) of the obj file beside the JSON."""
    found = _obj(path)
    if found is None or found.stat().st_size > MAX_OBJ_BYTES:
        advice = (
            "The JSON has no translation. Keep output.obj of the same run beside it, or add the key "
            '"transl": [x, y, z] with `cam_trans` of the network (m).'
        )
        raise InputError(str(path), "output.obj beside it, or a key transl", "neither", advice)
    rows = [line.split()[1:4] for line in found.read_text(errors="replace").splitlines() if line.startswith("v ")]
    try:
        vertices = np.array(rows, np.float64).reshape(-1, 3)
    except ValueError as error:
        raise InputError(str(found), "lines `v x y z`", "something else", ADVICE) from error
    if len(vertices) < 1000 or not np.isfinite(vertices).all():
        raise InputError(str(found), "the vertices of a body, finite", f"{len(vertices)} of them", ADVICE)
    return torch.as_tensor(vertices, dtype=torch.float32)[None]


def _shift(laid: Float[Tensor, "1 W 3"], vertices: Float[Tensor, "1 V 3"]) -> Float[Tensor, "1 3"]:
    """Return the translation that lays a body, posed without one, into the vertices' bounding box."""
    return (vertices.amin(1) + vertices.amax(1) - laid.amin(1) - laid.amax(1)) / 2
