"""GLAMR's `grecon/<video>_seed<n>.pkl`: each person's track, SMPL in the world and in a moving camera.

    u = f (X + T_x) / (Z + T_z) + c_x,   v likewise,   f and c from cam_K (px, a frame each),
    T = root_trans_cam_in_world (m)

The result is `smpl_orient_world` and `root_trans_world` seen through `cam_pose` (world to camera), stored ready as
`smpl_orient_cam_in_world` and `root_trans_cam_in_world`; `smpl_orient_cam` and `root_trans_cam` are what the pose
estimator said before, which is the trap. The bodies are read from the camera's copy; `refine.transfer.in_world` puts
them into the world by `cam_pose`, where that maps one copy onto the other. The root's translation is where the pelvis
lies, not SMPL's `transl` (the optimiser means MPII's pelvis joint, the viewer SMPL's own: some centimetres apart).
`cam_K` has f = 1000 px and the middle of the frame, and is zero in frames without a detection, where the nearest
frame's is taken. Frames before a person's first and after the last detection (`exist_frames`) are no bodies. Pixels
count from the image's corner. SMPL has no hand mean.

Source: NVlabs/GLAMR@44f820c `global_recon/models/global_recon_model.py` lines 80-150 and 428-530 (forward: cam_pose),
`lib/models/smpl.py` (root_trans), `pose_est/hybrik_demo/demo.py` lines 175-210; checked on a real file (kp_2d_pred of
the pelvis).
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
from refine.estimate.nobody import Nobody
from refine.estimate.pelvis import REST_PELVIS_M, source_pelvis
from refine.files.pickled import read_pickled, write_pickle
from refine.formats import Sizes
from refine.formats._beside import beside
from refine.formats._intrinsics import camera_of_matrices, focal_words
from refine.formats._own_source import own_source
from refine.formats._pickled_dict import peek
from refine.formats._smpl_parts import put_shape, rotations
from refine.formats._tracks import Tracks
from refine.formats._world import AGREES_M, knowing, moved_along
from refine.geometry import rotation
from refine.geometry.camera import Camera
from refine.transfer import refined_source, to_body, with_camera

ORIENT, ROOT = "smpl_orient_cam_in_world", "root_trans_cam_in_world"

ANY_LENS_PX = 1000.0
"""The focal length that GLAMR's pose estimator takes for every video, whatever its size: 0.26 times the longer side of
one in 4K."""

KEYS = {"smpl_pose", "smpl_beta", ORIENT, ROOT, "cam_K", "exist_frames"}

DERIVED = {"kp_2d_pred"}
"""Projected joints of the model, some regressed from its surface."""

ADVICE = "Write the file again with GLAMR's own global_recon/run_demo.py."

NOTE = (
    "Refined: smpl_pose, smpl_orient_cam_in_world and root_trans_cam_in_world are new; smpl_orient_world, "
    "root_trans_world and person_transform_world follow them; smpl_beta is the regressor's unless SMPL's own file was "
    "used. kp_2d_pred is left out: it cannot be computed again without the SMPL model file."
)

OVER_TIME = True
"""`persons` say who is who over the frames of a video."""


def recognises(path: Path) -> bool:
    """Say whether a file is GLAMR's: a pickle with `person_data` of people oriented in world and camera."""
    people = peek(path, ("pickle", "joblib")).get("person_data")
    if not isinstance(people, dict) or not people:
        return False
    return all(isinstance(person, dict) and set(person) >= KEYS for person in people.values())


def read(path: Path, body: SkinnedBody | None = None, camera: Camera | None = None, sizes: Sizes = None) -> Estimate:
    """Read GLAMR's result of a video.

    Raises:
        InputError: The file is broken or holds something else.
    """
    path = Path(path)
    where, content = str(path), read_pickled(path)
    tracks, people = _tracks(where, content)
    count = len(tracks)
    orient = tracks.joined(where, people, ORIENT, 3, advice=ADVICE)
    inner = tracks.joined(where, people, "smpl_pose", 69, advice=ADVICE)
    root = torch.as_tensor(tracks.joined(where, people, ROOT, 3, advice=ADVICE), dtype=torch.float32)
    own = _camera(where, people, tracks)
    source = Source(
        format="glamr",
        model="smpl",
        pose=rotations(where, "smpl_pose", np.concatenate((orient, inner), 1), count, 24),
        betas=torch.as_tensor(tracks.joined(where, people, "smpl_beta", None, advice=ADVICE), dtype=torch.float32),
        expression=torch.zeros(count, 0),
        translation=root - root.new_tensor(REST_PELVIS_M["smpl"]),
        arrays=content,
        focal_rule=focal_words(own, "GLAMR"),
        any_lens=bool((own.focal == ANY_LENS_PX).all()),
        path=path,
        persons=tracks.persons,
    )
    index = torch.as_tensor(np.concatenate(tracks.picks))
    estimate = to_body(knowing(source, _camera_from_world(content, people, tracks, root)), own, body, index)
    return estimate if camera is None else with_camera(estimate, camera)


def write(refined: Estimate, path: Path) -> None:
    """Write an estimate back as GLAMR's pkl.

    The body's pose and its place in the camera are refined, its place in the world follows; `kp_2d_pred` is left out of
    a refined file. What the pose estimator said before, frames that did not change and unknown keys stay.

    Raises:
        InputError: The estimate was read from another format.
    """
    source = own_source(refined, "glamr", "GLAMR")
    content: dict[str, Any] = dict(source.arrays)
    where = str(source.path)
    tracks, people = _tracks(where, content)
    refined = with_camera(refined, _camera(where, people, tracks))
    back = refined_source(refined)
    if bool(back.changed.any()):
        before = source.pose
        betas = put_shape(refined, back.changed, tracks.joined(where, people, "smpl_beta", None, advice=ADVICE))
        people = tracks.put_rotations(people, ORIENT, before[:, :1], back.pose[:, :1])
        people = tracks.put_rotations(people, "smpl_pose", before[:, 1:], back.pose[:, 1:])
        people = tracks.put(people, ROOT, back.moved, back.pelvis)
        people = tracks.put(people, "smpl_beta", back.changed, betas)
        people = _world(where, people, tracks, before[:, 0], back.pose[:, 0], back.pelvis - source_pelvis(source))
        people = {key: {n: v for n, v in person.items() if n not in DERIVED} for key, person in people.items()}
        content |= {"person_data": people} | beside(refined, back, NOTE)
    write_pickle(Path(path), content)


def _camera_from_world(
    content: Mapping[str, Any], people: Mapping[Any, Mapping[str, Any]], tracks: Tracks, root: Tensor
) -> Tensor | None:
    """Return `cam_pose` of each row's frame (B, 3, 4); None where it does not map the two copies onto each other."""
    poses = np.asarray(content.get("cam_pose", ()), np.float64)
    frames = np.concatenate(tracks.picks)
    if poses.ndim != 3 or poses.shape[1:] != (4, 4) or frames.max() >= len(poses):
        return None
    there = [np.asarray(people[key].get("root_trans_world", ()), np.float64) for key in tracks.keys]
    if any(part.ndim != 2 or part.shape[1] != 3 or len(part) != len(poses) for part in there):
        return None
    found = torch.from_numpy(poses[frames, :3])
    world = np.concatenate([part[rows] for part, rows in zip(there, tracks.picks, strict=True)])
    seen = (found[:, :, :3] @ torch.from_numpy(world)[..., None])[..., 0] + found[:, :, 3]
    apart = (seen - root.double()).norm(dim=1)
    return None if bool((apart > AGREES_M).any()) else found


def _world(
    where: str, people: Mapping[Any, Mapping[str, Any]], tracks: Tracks, before: Tensor, after: Tensor, moved: Tensor
) -> Mapping[Any, Mapping[str, Any]]:
    """Return the people with their place in the world as it follows from the refined one in the camera."""
    needed = {"smpl_orient_world", "root_trans_world"}
    if not all(needed <= set(people[key]) for key in tracks.keys):
        return people
    angles = tracks.joined(where, people, "smpl_orient_world", 3, advice=ADVICE)
    there = torch.as_tensor(tracks.joined(where, people, "root_trans_world", 3, advice=ADVICE), dtype=torch.float32)
    old = rotation.exp(torch.as_tensor(angles, dtype=torch.float32))
    root, step = moved_along(old, before, after, moved)
    turned, shifted = (before != after).flatten(1).any(1), moved.abs().amax(1) > 0
    root = torch.where(turned[:, None, None], root, old)
    people = tracks.put_rotations(people, "smpl_orient_world", old[:, None], root[:, None])
    people = tracks.put(people, "root_trans_world", shifted, there + step)
    if all("person_transform_world" in people[key] for key in tracks.keys):
        frame = torch.zeros(len(root), 4, 4)
        frame[:, :3, :3], frame[:, :3, 3], frame[:, 3, 3] = (
            root,
            torch.where(shifted[:, None], there + step, there),
            1.0,
        )
        people = tracks.put(people, "person_transform_world", turned | shifted, frame)
    return people


def _tracks(where: str, content: object) -> tuple[Tracks, Mapping[Any, Mapping[str, Any]]]:
    """Return which frames of which people are bodies, and the people."""
    people = content.get("person_data") if isinstance(content, dict) else None
    if not isinstance(people, dict) or not all(isinstance(person, dict) for person in people.values()):
        raise InputError(where, "a dictionary `person_data`", "none", ADVICE)
    there = {key: np.flatnonzero(np.asarray(person.get("exist_frames", ()))) for key, person in people.items()}
    keys = tuple(key for key, frames in there.items() if len(frames))
    if not keys:
        raise Nobody(where)
    return Tracks(keys, tuple(there[key] for key in keys)), people


def _camera(where: str, people: Mapping[Any, Mapping[str, Any]], tracks: Tracks) -> Camera:
    """Return the camera of each body; where a frame has none, the same person's in the nearest frame that has."""
    matrices, start = np.array(tracks.joined(where, people, "cam_K", 3, 3, advice=ADVICE), np.float64), 0
    for key, frames in zip(tracks.keys, tracks.picks, strict=True):
        rows = matrices[start : start + len(frames)]  # a view: filled in place
        known = np.flatnonzero(rows[:, 0, 0] > 0)
        if not len(known):
            raise InputError(f"{where}: {key}: cam_K", "intrinsics in one frame at least", "zeros", ADVICE)
        nearest = known[np.abs(frames[:, None] - frames[known]).argmin(1)]
        rows[:] = rows[nearest]
        start += len(frames)
    return camera_of_matrices(where, matrices)
