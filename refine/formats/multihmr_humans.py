"""Multi-HMR's list of people as its model returns it, saved whole: SMPL-X of one photo (torch, pickle, numpy).

    rotvec (53, 3) = root, 21 of the body, 15 + 15 of the hands, jaw, on a flat hand
    transl_pelvis (1, 3): the pelvis, m, camera frame
    u = f X / Z + W/2,   v = f Y / Z + H/2,   f = max(W, H) / (2 tan 30°)

The traps: `transl` is where the *head* is, and SMPL-X's `transl` is not stored; `loc` and `j2d` are pixels of the
padded square the network saw, whose side is not stored. Eyes are at rest. `j3d` are the package smplx's first 127
joints in the camera's frame. Older versions name the last of these `v3d`, `j3d`, `j2d` with `verts_smplx`, `j3d_smplx`,
`j2d_smplx`.

Source: naver/multi-hmr@651fb411e1 `model.py` lines 285-345, `demo.py` lines 318-378, `blocks/smpl_layer.py` (j3d: the
layer's own list), `utils/humans.py` (get_smplx_joint_names: smplx's JOINT_NAMES[:127]). Its later `multi_hmr_anny`
lists 163 rotations of Anny and no expression, and is not read.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from refine.body import SkinnedBody
from refine.errors import InputError
from refine.estimate import Estimate, Source
from refine.files.pickled import kind
from refine.files.same_kind import same_kind
from refine.formats import Sizes
from refine.formats._beside import beside
from refine.formats._given_sizes import needed_sizes
from refine.formats._own_source import own_source
from refine.formats._parameter_file import file_content, write_content
from refine.formats._people_list import holds_people, like, people_of
from refine.formats._smpl_parts import kept, numbers, put_rotations, put_shape, rotations
from refine.geometry.camera import Camera
from refine.geometry.focal import camera_from_rule
from refine.transfer import refined_source, to_body, with_camera
from refine.transfer.carry import joints_after, points_after

KEYS = frozenset({"rotvec", "shape", "expression", "transl_pelvis"})

ORDER = (*range(22), *range(25, 55), 22)
"""Where the 53 rotations stand in SMPL-X's own order: body, hands, jaw."""

JOINTS = ("j3d", "j3d_smplx")
DERIVED = {"v3d", "verts_smplx", "j2d", "j2d_smplx", "loc"}
"""Surface, and pixels of an image whose size is not stored: left out of a refined file."""

NOTE = (
    "Refined: rotvec, transl, transl_pelvis and joints are new; shape and expression are the regressor's unless "
    "SMPL-X's own file was used. The surface and the network image's pixels (loc, j2d) are left out."
)
ADVICE = "Save the list that Multi-HMR's model returns: torch.save(humans, path)."


def recognises(path: Path) -> bool:
    """Say whether a file is a list of dictionaries with `rotvec`, `shape`, `expression` and `transl_pelvis`."""
    return holds_people(path, KEYS)


def read(path: Path, body: SkinnedBody | None = None, camera: Camera | None = None, sizes: Sizes = None) -> Estimate:
    """Read the people of one photo.

    Raises:
        InputError: The file is broken or holds something else, or the photo's size is not known.
    """
    path = Path(path)
    where, content = str(path), file_content(path)
    people = people_of(content, KEYS)
    if not people:
        wanted = f"a list of dictionaries with {', '.join(sorted(KEYS))}"
        raise InputError(where, wanted, type(content).__name__, ADVICE)
    count = len(people)
    size = needed_sizes(where, torch.zeros(count, dtype=torch.long), sizes, camera)
    own = camera_from_rule("fov60", size)
    pose = torch.eye(3).repeat(count, 55, 1, 1)
    pose[:, list(ORDER)] = rotations(where, "rotvec", _stacked(where, people, "rotvec", 53, 3), count, 53)
    name = next((name for name in JOINTS if all(name in person for person in people)), None)
    pelvis = (
        _stacked(where, people, "transl_pelvis", None, 3)
        if _ndim(people) == 2
        else _stacked(where, people, "transl_pelvis", 3)
    )
    joints = pelvis.reshape(count, 1, 3) if name is None else _stacked(where, people, name, None, 3)
    source = Source(
        format="multihmr_humans",
        model="smplx",
        pose=pose,
        betas=torch.as_tensor(_stacked(where, people, "shape", None)).float(),
        expression=torch.as_tensor(_stacked(where, people, "expression", None)).float(),
        joints=torch.as_tensor(joints).float(),
        arrays={"content": content, "kind": kind(path)},
        focal_rule=f"{float(own.focal[0, 0]):.0f} px, 60° across the longer side (Multi-HMR)",
        path=path,
        hand_mean="flat",
    )
    estimate = to_body(source, own, body)
    return estimate if camera is None else with_camera(estimate, camera)


def write(refined: Estimate, path: Path) -> None:
    """Write an estimate back as the same list.

    `rotvec`, `transl_pelvis`, `transl` (the head) and the joints are refined, `shape` and `expression` on SMPL-X's own
    file too; surface and pixels are left out of a person who changed. Who did not keeps every number.

    Raises:
        InputError: The estimate was read from another format.
    """
    source = own_source(refined, "multihmr_humans", "Multi-HMR")
    content: Any = source.arrays["content"]
    people = people_of(content, KEYS)
    refined = with_camera(refined, camera_from_rule("fov60", refined.camera.size.detach().cpu().float()))
    back = refined_source(refined)
    if bool(back.changed.any()):
        assert source.joints is not None
        whole = source.joints.shape[1] >= 55
        joints = joints_after(source.joints, refined, back) if whole else source.joints.double()
        joints = joints - joints[:, :1] + back.pelvis.double()[:, None]
        before, after = (turn[:, list(ORDER)] for turn in (source.pose, back.pose))
        rows, extra = list(people), beside(refined, back, NOTE)
        for row in back.changed.nonzero()[:, 0].tolist():
            one, person = slice(row, row + 1), people[row]
            alone = refined.rows([row])
            fresh: dict[str, Any] = {
                "rotvec": put_rotations(kept(person["rotvec"]), before[one], after[one]),
                "shape": put_shape(alone, back.changed[one], kept(person["shape"])),
                "expression": put_shape(alone, back.changed[one], kept(person["expression"]), expression=True),
                "transl_pelvis": joints[row, 0].numpy(),
            }
            if "transl" in person:
                head = torch.as_tensor(kept(person["transl"])).reshape(1, 1, 3)
                fresh["transl"] = points_after(head, alone)[0, 0].numpy()
            fresh |= {name: joints[row].numpy() for name in JOINTS if name in person and whole}
            new = {name: same_kind(value, kept_kind(person[name])) for name, value in fresh.items()}
            rows[row] = {n: v for n, v in (person | new).items() if n not in DERIVED} | {
                key: value[row] if isinstance(value, list) else value for key, value in extra.items()
            }
        content = like(content, rows)
    write_content(Path(path), str(source.arrays["kind"]), content)


def kept_kind(value: object) -> np.ndarray:
    """Return a stored value as the array whose kind the new one takes."""
    return value if isinstance(value, np.ndarray) else np.asarray(value)


def _ndim(people: list[dict[str, Any]]) -> int:
    return int(np.ndim(people[0]["transl_pelvis"]))


def _stacked(where: str, people: list[dict[str, Any]], name: str, *shape: int | None) -> np.ndarray:
    """Return one array of all people, a row each."""
    rows = [
        numbers(f"{where}: person {row + 1}", person, name, *shape, advice=ADVICE, rows=True)
        for row, person in enumerate(people)
    ]
    if len({part.shape for part in rows}) > 1:
        raise InputError(f"{where}: {name}", "the same shape for everybody", "several", ADVICE)
    return np.stack(rows)
