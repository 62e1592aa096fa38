"""PromptHMR's `results.pkl` of a video: people's SMPL-X tracks in the camera's frame and in a world.

    u = f (X + T_x) / (Z + T_z) + c_x,   v likewise,
    f = camera["img_focal"], c = camera["img_center"] (px), T = trans (m)

One camera for all frames, of the video as it was processed (scaled to a height of at most 896 px): twice its centre is
that size. `trans` is SMPL-X's `transl`. The last 30 matrices of `smplx_cam["rotmat"]`, the fingers', are zeros and no
rotations, which is the trap: they are left alone, and fingers do not turn. `smplx_cam["pose"]` (N, 75) is the same body
as axis-angles. `smplx_world` is it in the world, through a moving camera. Pixels count from the image's corner.

Source: yufu-wang/PromptHMR@ea85d0abc7 `pipeline/pipeline.py` lines 60-400, `pipeline/phmr_vid.py` lines 84-115,
`pipeline/world.py` (transform_smpl_params), `pipeline/tools.py` (est_camera, est_calib).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from refine.body import SkinnedBody
from refine.errors import InputError
from refine.estimate import Estimate, Source
from refine.estimate.pelvis import source_pelvis
from refine.files.pickled import read_pickled, write_joblib
from refine.formats import Sizes
from refine.formats._beside import beside
from refine.formats._given_sizes import photo_sizes
from refine.formats._intrinsics import camera_of, focal_words, shared_intrinsics
from refine.formats._own_source import own_source
from refine.formats._pickled_dict import peek
from refine.formats._smpl_parts import put_rotations, put_shape, rotations
from refine.formats._tracks import Tracks
from refine.formats._world import moved_along
from refine.geometry import rotation
from refine.geometry.camera import Camera
from refine.transfer import RefinedSource, refined_source, to_body, with_camera

CAMERA, WORLD = "smplx_cam", "smplx_world"

JOINTS = 22
"""The root and 21 body joints; jaw, eyes and fingers are not estimated."""

SCALED = 0.02
"""Frames whose size differs from twice the centre by more than this, relatively, are not the ones that were
processed."""

ADVICE = "Write the file again with PromptHMR's own scripts/demo_video.py."

NOTE = (
    "Refined: smplx_cam is new, smplx_world follows it; shape is the regressor's unless SMPL-X's own file was used. "
    "The fingers' matrices are zeros, as PromptHMR writes them."
)

OVER_TIME = True
"""`persons` say who is who over the frames of a video."""


def recognises(path: Path) -> bool:
    """Say whether a file is PromptHMR's of a video: a pickle with `camera` and `people` who have `smplx_cam`."""
    content = peek(path, ("pickle", "joblib"))
    people = content.get("people")
    if not isinstance(people, dict) or not people or "camera" not in content:
        return False
    return all(isinstance(person, dict) and CAMERA in person for person in people.values())


def read(path: Path, body: SkinnedBody | None = None, camera: Camera | None = None, sizes: Sizes = None) -> Estimate:
    """Read PromptHMR's result of a video.

    `sizes` are those of the frames at hand, where these were not scaled as PromptHMR scales them.

    Raises:
        InputError: The file is broken or holds something else.
    """
    path = Path(path)
    where, content = str(path), read_pickled(path)
    tracks, people = _tracks(where, content)
    inner = {key: person[CAMERA] for key, person in people.items()}
    count = len(tracks)
    matrices = tracks.joined(where, inner, "rotmat", None, 3, 3, advice=ADVICE)
    pose = torch.eye(3).repeat(count, 55, 1, 1)
    pose[:, :JOINTS] = rotations(where, "rotmat", matrices[:, :JOINTS], count, JOINTS)
    index = torch.as_tensor(tracks.joined(where, people, "frames", advice=ADVICE)).long()
    own = _camera(where, content, count, photo_sizes(where, index, sizes, camera))
    source = Source(
        format="prompthmr_video",
        model="smplx",
        pose=pose,
        betas=torch.as_tensor(tracks.joined(where, inner, "shape", None, advice=ADVICE), dtype=torch.float32),
        expression=torch.zeros(count, 0),
        translation=torch.as_tensor(tracks.joined(where, inner, "trans", 3, advice=ADVICE), dtype=torch.float32),
        arrays=content,
        focal_rule=focal_words(own, "PromptHMR"),
        path=path,
        persons=tracks.persons,
    )
    estimate = to_body(source, own, body, index)
    return estimate if camera is None else with_camera(estimate, camera)


def write(refined: Estimate, path: Path) -> None:
    """Write an estimate back as PromptHMR's pkl of a video.

    `smplx_cam` is refined and `smplx_world` follows it. Rows that did not change keep every number, and unknown keys
    stay.

    Raises:
        InputError: The estimate was read from another format.
    """
    source = own_source(refined, "prompthmr_video", "PromptHMR's video")
    content: dict[str, Any] = dict(source.arrays)
    where = str(source.path)
    tracks, people = _tracks(where, content)
    size = refined.camera.size.detach().cpu().float()
    refined = with_camera(refined, _camera(where, content, len(tracks), size))
    back = refined_source(refined)
    if bool(back.changed.any()):
        inner: Mapping[Any, Mapping[str, Any]] = {key: person[CAMERA] for key, person in people.items()}
        before, after = source.pose[:, :JOINTS], back.pose[:, :JOINTS]
        betas = put_shape(refined, back.changed, tracks.joined(where, inner, "shape", None, advice=ADVICE))
        inner = _put_body(where, tracks, inner, "rotmat", before, after)
        inner = _put_body(where, tracks, inner, "pose", before, after)
        inner = tracks.put(inner, "trans", back.moved, back.translation)
        inner = tracks.put(inner, "shape", back.changed, betas)
        fresh = {key: dict(person) | {CAMERA: inner[key]} for key, person in people.items()}
        if all(isinstance(person.get(WORLD), dict) for person in people.values()):
            world = _world(where, tracks, {key: person[WORLD] for key, person in people.items()}, source, back)
            fresh = {key: person | {WORLD: world[key]} for key, person in fresh.items()}
        content |= {"people": fresh} | beside(refined, back, NOTE)
    write_joblib(Path(path), content, compress=0)


def _put_body(
    where: str, tracks: Tracks, people: Mapping[Any, Mapping[str, Any]], name: str, before: Tensor, after: Tensor
) -> Mapping[Any, Mapping[str, Any]]:
    """Return the people with the first joints of a part renewed; the others, and who has no such part, stay."""
    if not all(name in people[key] for key in tracks.keys):
        return people
    stored = np.concatenate([np.asarray(people[key][name]) for key in tracks.keys])
    flat = np.array(stored).reshape(len(stored), -1)
    width = (9 if name == "rotmat" else 3) * before.shape[1]
    flat[:, :width] = put_rotations(np.ascontiguousarray(flat[:, :width]), before, after)
    return tracks.put(people, name, torch.ones(len(tracks), dtype=torch.bool), flat)


def _world(
    where: str, tracks: Tracks, people: Mapping[Any, Mapping[str, Any]], source: Source, back: RefinedSource
) -> Mapping[Any, Mapping[str, Any]]:
    """Return the people's copies in the world as they follow from the refined ones in the camera."""
    rows = [np.asarray(people[key].get("pose", np.zeros((0, 0))))[:, : 3 * JOINTS] for key in tracks.keys]
    if any(part.shape != (len(pick), 3 * JOINTS) for part, pick in zip(rows, tracks.picks, strict=True)):
        return people  # not in a layout that is known here
    old = rotation.exp(torch.as_tensor(np.concatenate(rows)).float().reshape(-1, JOINTS, 3))
    root, step = moved_along(old[:, 0], source.pose[:, 0], back.pose[:, 0], back.pelvis - source_pelvis(source))
    turned = (back.pose != source.pose).flatten(2).any(2)[:, :JOINTS, None, None]
    new = torch.where(turned, torch.cat((root[:, None], back.pose[:, 1:JOINTS]), 1), old)
    there = torch.as_tensor(tracks.joined(where, people, "trans", 3, advice=ADVICE)).float()
    people = _put_body(where, tracks, people, "pose", old, new)
    return tracks.put(people, "trans", back.moved, there + step)


def _tracks(where: str, content: object) -> tuple[Tracks, Mapping[Any, Mapping[str, Any]]]:
    """Return the people and their rows."""
    people = content.get("people") if isinstance(content, dict) else None
    if not isinstance(people, dict) or not people:
        raise InputError(where, "a dictionary `people`", "none, or nobody in it", ADVICE)
    if not all(isinstance(person, dict) and isinstance(person.get(CAMERA), dict) for person in people.values()):
        raise InputError(f"{where}: people", f"a dictionary {CAMERA!r} of each", "none", ADVICE)
    frames = [np.asarray(person.get("frames", ())).reshape(-1) for person in people.values()]
    if not all(map(len, frames)):
        raise InputError(f"{where}: frames", "at least one frame of each person", "none", ADVICE)
    return Tracks(tuple(people), tuple(np.arange(len(rows)) for rows in frames)), people


def _camera(where: str, content: Mapping[str, Any], count: int, sizes: Float[Tensor, "B 2"] | None) -> Camera:
    """Return the camera of each body, all the same; in the pixels of the photos at hand where their size is known."""
    focal, center = shared_intrinsics(f"{where}: camera", content.get("camera"), count, ADVICE)
    if sizes is None:
        return camera_of(where, focal, center, None)
    ratio = sizes.flip(-1).double().numpy() / (2 * center)  # (B, 2): photos at hand over frames as processed
    if np.abs(ratio - 1).max(initial=0) > SCALED:
        focal, center = focal * ratio, center * ratio
    return camera_of(where, focal, center, sizes)
