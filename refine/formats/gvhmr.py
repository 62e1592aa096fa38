"""GVHMR's `hmr4d_results.pt` of a video: one person's SMPL-X track in the camera's frame and in a world.

    u = f (X + T_x) / (Z + T_z) + c_x,   v = f (Y + T_y) / (Z + T_z) + c_y,   f and c from K_fullimg, T = transl (m)

`K_fullimg` is of the full frame (the demo's: f = sqrt(W² + H²), c = (W/2, H/2)), so twice its centre is the frame's
size and pixels count from the image's corner. `smpl_params_incam` is SMPL-X without hands and face, in spite of its
name: the trap; it is drawn with the mean hand of SMPL-X (flat_hand_mean=False), which the file does not hold.
`smpl_params_global` is the same person in a world with y up (feet put on the ground by turning limbs, the root as it
is), so the two roots say where the camera stands in that world in every frame: the bodies are read from the camera's
copy, which fits the photo, and `refine.transfer.in_world` puts them there. `net_outputs` are the network's, before
anybody touched them, and stay.

Source: zju3dv/GVHMR@44fbc1999d `tools/demo/demo.py` lines 135-310, `hmr4d/model/gvhmr/gvhmr_pl_demo.py`,
`hmr4d/model/gvhmr/pipeline/gvhmr_pipeline.py` (postproc: process_ik changes the global body_pose only),
`hmr4d/utils/geo/hmr_cam.py` lines 6-17, `hmr4d/utils/smplx_utils.py` (make_smplx).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from refine.body import SkinnedBody
from refine.errors import InputError
from refine.estimate import Estimate, Source
from refine.estimate.pelvis import rest_pelvis, source_pelvis
from refine.files.pickled import read_pickled, write_torch
from refine.formats import Sizes
from refine.formats._beside import beside
from refine.formats._intrinsics import camera_of_matrices, focal_words
from refine.formats._own_source import own_source
from refine.formats._pickled_dict import holds
from refine.formats._smpl_parts import numbers, pose_of, put_pose, put_rotations, put_rows, put_shape, rotations
from refine.formats._world import from_copies, knowing, moved_along
from refine.geometry.camera import Camera
from refine.transfer import RefinedSource, refined_source, to_body, with_camera

PARTS = {"global_orient": "global_orient", "body_pose": "body_pose"}

CAMERA, WORLD = "smpl_params_incam", "smpl_params_global"

KEYS = (CAMERA, "K_fullimg")

ADVICE = "Write the file again with GVHMR's own tools/demo/demo.py."

NOTE = (
    "Refined: smpl_params_incam is new, smpl_params_global follows it; betas are the regressor's unless SMPL-X's own "
    "file was used. net_outputs are as the network left them."
)

OVER_TIME = True
"""A file is one person's track."""

ONE_PERSON = True


def recognises(path: Path) -> bool:
    """Say whether a file is GVHMR's: a torch file with `smpl_params_incam` and `K_fullimg`."""
    return holds(path, ("torch",), KEYS)


def read(path: Path, body: SkinnedBody | None = None, camera: Camera | None = None, sizes: Sizes = None) -> Estimate:
    """Read GVHMR's result of a video.

    Raises:
        InputError: The file is broken or holds something else.
    """
    path = Path(path)
    where, content = str(path), read_pickled(path)
    person = _person(where, content, CAMERA)
    transl = numbers(f"{where}: {CAMERA}", person, "transl", None, 3, advice=ADVICE)
    count = len(transl)
    if count == 0:
        raise InputError(f"{where}: {CAMERA}", "at least one frame", "none", ADVICE)
    own = _camera(where, content, count)
    source = Source(
        format="gvhmr",
        model="smplx",
        pose=pose_of(f"{where}: {CAMERA}", person, PARTS, "smplx", count),
        betas=torch.as_tensor(numbers(f"{where}: {CAMERA}", person, "betas", count, None, advice=ADVICE)).float(),
        expression=torch.zeros(count, 0),
        translation=torch.as_tensor(transl).float(),
        arrays=content,
        focal_rule=focal_words(own, "GVHMR"),
        path=path,
        hand_mean="mean",
    )
    source = knowing(source, _camera_from_world(where, content, source))
    estimate = to_body(source, own, body, torch.arange(count))
    return estimate if camera is None else with_camera(estimate, camera)


def write(refined: Estimate, path: Path) -> None:
    """Write an estimate back as GVHMR's pt.

    `smpl_params_incam` is refined and `smpl_params_global` follows it; `K_fullimg`, `net_outputs` and unknown keys
    stay. Frames that did not change keep every number.

    Raises:
        InputError: The estimate was read from another format.
    """
    source = own_source(refined, "gvhmr", "GVHMR")
    content: dict[str, Any] = dict(source.arrays)
    where, count = str(source.path), len(source)
    refined = with_camera(refined, _camera(where, content, count))
    back = refined_source(refined)
    if bool(back.changed.any()):
        person = _person(where, content, CAMERA)
        fresh = person | put_pose(person, PARTS, "smplx", source.pose, back.pose)
        fresh["transl"] = put_rows(back.moved, back.translation, person["transl"])
        fresh["betas"] = put_shape(refined, back.changed, person["betas"])
        content[CAMERA] = fresh
        if WORLD in content:
            content[WORLD] = _world(where, _person(where, content, WORLD), source, back, fresh["betas"])
        content |= beside(refined, back, NOTE)
    write_torch(Path(path), content)


def _person(where: str, content: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return one of the two copies of the person.

    Raises:
        InputError: It is not there.
    """
    person = content.get(name) if isinstance(content, dict) else None
    if not isinstance(person, dict):
        raise InputError(where, f"a dictionary {name!r}", "none", ADVICE)
    return person


def _camera(where: str, content: Mapping[str, Any], count: int) -> Camera:
    """Return the camera of each frame."""
    return camera_of_matrices(where, np.asarray(numbers(where, content, "K_fullimg", count, 3, 3, advice=ADVICE)))


def _camera_from_world(where: str, content: Mapping[str, Any], source: Source) -> Tensor | None:
    """Return where the camera stands in the world (B, 3, 4), None where the file has no copy of the person there."""
    person = content.get(WORLD)
    if not isinstance(person, dict) or not {"global_orient", "transl"} <= set(person):
        return None
    count, place = len(source), f"{where}: {WORLD}"
    root = rotations(place, "global_orient", person["global_orient"], count, 1)[:, 0]
    there = torch.as_tensor(numbers(place, person, "transl", count, 3, advice=ADVICE)).float()
    return from_copies(source.pose[:, 0], source_pelvis(source), root, there + rest_pelvis(source))


def _world(
    where: str, person: dict[str, Any], source: Source, back: RefinedSource, betas: np.ndarray
) -> dict[str, Any]:
    """Return the person in the world as they follow from the refined one in the camera."""
    count = len(source)
    root = rotations(f"{where}: {WORLD}", "global_orient", person.get("global_orient", ()), count, 1)
    there = numbers(f"{where}: {WORLD}", person, "transl", count, 3, advice=ADVICE)
    after, step = moved_along(root[:, 0], source.pose[:, 0], back.pose[:, 0], back.pelvis - source_pelvis(source))
    turned = (back.pose[:, 0] != source.pose[:, 0]).flatten(1).any(1)[:, None, None]
    fresh = person | put_pose(person, {"body_pose": "body_pose"}, "smplx", source.pose, back.pose)
    fresh["global_orient"] = put_rotations(
        person["global_orient"], root, torch.where(turned, after, root[:, 0])[:, None]
    )
    fresh["transl"] = put_rows(back.moved, torch.as_tensor(there) + step, there)
    return fresh | {"betas": betas} if "betas" in person else fresh
