"""WHAM's `wham_output.pkl` of a video: each person's track, SMPL in the camera's frame and in a world's.

    u = f (X + T_x) / (Z + T_z) + W/2,   v = f (Y + T_y) / (Z + T_z) + H/2,   T = trans (m),   f = sqrt(W² + H²) px

`trans` is SMPL's `transl` (the demo takes the mid-hip offset of its own body off again), `verts` are in the camera's
frame with it. `trans_world` belongs to the mid-hip body and is not `transl` of `pose_world`: the trap. It is where the
middle of the hips lies that WHAM's own regressor takes from the mesh, which is not in the file, and every person starts
in a world of their own; so where the camera stands in a world is not known from the file, and bodies are read in the
camera's frame only. Neither focal
length nor size is stored; `--calib` is for the camera's motion alone, the people are always seen through the diagonal.
Pixels count from the image's corner. SMPL has no hand mean. `frame_ids` say in which frame of the video a row is;
frames without a detection have none.

Source: yohanshin/WHAM@2b54f77973 `demo.py` lines 90-172 (no joints are stored), `lib/models/smpl.py` lines 60-135,
`lib/utils/imutils.py` line 266.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from refine.body import SkinnedBody
from refine.errors import InputError
from refine.estimate import Estimate, Source
from refine.estimate.found import KEY
from refine.estimate.pelvis import source_pelvis
from refine.files.pickled import read_pickled, write_joblib
from refine.formats import Sizes
from refine.formats._beside import beside
from refine.formats._given_sizes import needed_sizes
from refine.formats._own_source import own_source
from refine.formats._pickled_dict import peek
from refine.formats._smpl_parts import put_shape, rotations
from refine.formats._tracks import Tracks
from refine.formats._world import moved_along
from refine.geometry import rotation
from refine.geometry.camera import Camera
from refine.geometry.focal import RULES, camera_from_rule
from refine.transfer import refined_source, to_body, with_camera

KEYS = {"pose", "trans", "betas", "pose_world", "trans_world", "frame_ids"}

ADVICE = "Write the file again with WHAM's own demo.py --save_pkl."

NOTE = (
    "Refined: pose and trans are new, pose_world and trans_world follow them; betas are the regressor's unless SMPL's "
    "own file was used. verts is left out: it cannot be posed again without the SMPL model file."
)

OVER_TIME = True
"""`persons` say who is who over the frames of a video."""


def recognises(path: Path) -> bool:
    """Say whether a file is WHAM's: a pickle of one dictionary a person, with `trans`, `pose_world`, ... (`KEYS`)."""
    people = peek(path, ("pickle", "joblib")).values()
    return bool(people) and all(isinstance(person, dict) and set(person) >= KEYS for person in people)


def read(path: Path, body: SkinnedBody | None = None, camera: Camera | None = None, sizes: Sizes = None) -> Estimate:
    """Read WHAM's result of a video.

    Raises:
        InputError: The file is broken, or the frames' size is not known.
    """
    path = Path(path)
    where, content = str(path), read_pickled(path)
    tracks = _tracks(where, content)
    pose = tracks.joined(where, content, "pose", 72, advice=ADVICE)
    for name in ("pose_world", "trans_world"):
        tracks.joined(where, content, name, None, advice=ADVICE)
    index = torch.as_tensor(tracks.joined(where, content, "frame_ids", advice=ADVICE)).long()
    size = needed_sizes(where, index, sizes, camera)
    surface = all("verts" in content[key] for key in tracks.keys)
    source = Source(
        format="wham",
        model="smpl",
        pose=rotations(where, "pose", pose, len(tracks), 24),
        betas=torch.as_tensor(tracks.joined(where, content, "betas", None, advice=ADVICE), dtype=torch.float32),
        expression=torch.zeros(len(tracks), 0),
        translation=torch.as_tensor(tracks.joined(where, content, "trans", 3, advice=ADVICE), dtype=torch.float32),
        vertices=torch.as_tensor(tracks.joined(where, content, "verts", None, 3, advice=ADVICE), dtype=torch.float32)
        if surface
        else None,
        arrays={"content": content},
        focal_rule=f"{RULES['diagonal'].says} (WHAM)",
        path=path,
        persons=tracks.persons,
    )
    estimate = to_body(source, camera_from_rule("diagonal", size), body, index)
    return estimate if camera is None else with_camera(estimate, camera)


def write(refined: Estimate, path: Path) -> None:
    """Write an estimate back as WHAM's pkl.

    `pose` and `trans` are refined, `pose_world` and `trans_world` follow them, `betas` on SMPL's own file too; `verts`
    is left out of a refined file. Rows that did not change keep every number, and unknown keys stay.

    Raises:
        InputError: The estimate was read from another format.
    """
    source = own_source(refined, "wham", "WHAM")
    content: Any = source.arrays["content"]
    where = str(source.path)
    tracks = _tracks(where, content)
    refined = with_camera(refined, camera_from_rule("diagonal", refined.camera.size.detach().cpu().float()))
    back = refined_source(refined)
    if bool(back.changed.any()):
        world = rotation.exp(
            torch.as_tensor(
                tracks.joined(where, content, "pose_world", 72, advice=ADVICE), dtype=torch.float32
            ).reshape(-1, 24, 3)
        )
        there = torch.as_tensor(tracks.joined(where, content, "trans_world", 3, advice=ADVICE), dtype=torch.float32)
        root, step = moved_along(world[:, 0], source.pose[:, 0], back.pose[:, 0], back.pelvis - source_pelvis(source))
        turned = (back.pose != source.pose).flatten(2).any(2)[..., None, None]
        after = torch.where(turned, torch.cat((root[:, None], back.pose[:, 1:]), 1), world)
        betas = put_shape(refined, back.changed, tracks.joined(where, content, "betas", None, advice=ADVICE))
        content = tracks.put_rotations(content, "pose", source.pose, back.pose)
        content = tracks.put_rotations(content, "pose_world", world, after)
        content = tracks.put(content, "trans", back.moved, back.translation)
        content = tracks.put(content, "trans_world", back.moved, there + step)
        content = tracks.put(content, "betas", back.changed, betas)
        extra = beside(refined, back, NOTE)
        content = tracks.without(content, {"verts"}, str(extra.get("refine_note", NOTE)))
        content = tracks.put_beside(content, KEY, extra.get(KEY))
    write_joblib(Path(path), content, compress=0)


def _tracks(where: str, content: object) -> Tracks:
    """Return the people and their rows."""
    if not isinstance(content, dict) or not content or not all(isinstance(person, dict) for person in content.values()):
        raise InputError(where, "a dictionary of people", "something else, or nobody", ADVICE)
    keys = tuple(content)
    frames = [np.asarray(content[key].get("frame_ids", ())).reshape(-1) for key in keys]
    if not any(map(len, frames)):
        raise InputError(f"{where}: frame_ids", "at least one frame of a person", "none", ADVICE)
    return Tracks(keys, tuple(np.arange(len(rows)) for rows in frames))
