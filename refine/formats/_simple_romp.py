"""What ROMP's and BEV's files share: one pickled dictionary, SMPL's numbers in it, and what a refined file leaves out.

The joints are carried along (`refine.transfer.carry`). The surface (`verts`) cannot be posed again without the SMPL
file: it is left out of a refined file, and `refine_note` says so, unless the estimate is on SMPL itself.

Source: Arthur151/ROMP, `simple_romp/romp/post_parser.py`, `simple_romp/bev/post_parser.py`.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from refine.errors import InputError
from refine.estimate import Estimate
from refine.files.npz import member_names, read_object
from refine.formats._beside import beside
from refine.geometry import rotation
from refine.transfer import RefinedSource, refined_source

Results = dict[str, Any]

OWN_JOINTS = 24
"""The first of the 71 stored joints are SMPL's own; the others are regressed from the surface."""

NOTE = (
    "Refined: rotations, camera, joints and pj2d_org are new; joints beyond the first 24 move rigidly with the nearest "
    "of these. smpl_betas are the regressor's. verts is left out: it cannot be posed again without the SMPL model file."
)


def results_of(path: Path) -> Results | None:
    """Return the dictionary of a ROMP or BEV file, None where the file is no such thing.

    Raises:
        InputError: The file has such a dictionary and it is broken or hostile.
    """
    if "results" not in member_names(path):
        return None
    content = read_object(path, "results")
    return content if isinstance(content, dict) else None


def checked(path: Path, content: Results | None, shapes: Mapping[str, tuple[int, ...]]) -> Results:
    """Refuse a file that lacks what is needed.

    Args:
        path: The file, for the message.
        content: What was read.
        shapes: Needed arrays and their shapes beyond the first axis, which counts people.

    Returns:
        The content.

    Raises:
        InputError: An array is missing, of another shape, empty, or finite for nobody.
    """
    advice = "Write the file again with the regressor's own --save of a single image."
    if content is None:
        raise InputError(str(path), "an npz file with a dictionary `results`", "none", advice)
    if content and all(isinstance(value, dict) for value in content.values()):
        raise InputError(str(path), "the results of one photo", f"those of {len(content)} video frames", advice)
    people = None
    for name, shape in shapes.items():
        value = content.get(name)
        if not isinstance(value, np.ndarray):
            raise InputError(f"{path}: results", f"an array {name!r}", f"keys {', '.join(map(str, content))}", advice)
        people = people if people is not None else value.shape[0] if value.ndim else 0
        if value.shape != (people, *shape) or people == 0:
            wanted = f"shape (people, {', '.join(map(str, shape))}), at least one person"
            raise InputError(f"{path}: results[{name!r}]", wanted, f"shape {value.shape}", advice)
        if not np.isfinite(value.reshape(people, -1)).all(1).any():
            bad = int((~np.isfinite(value)).sum())
            raise InputError(f"{path}: results[{name!r}]", "finite values", f"{bad} NaN or infinite value(s)", advice)
    surface = content.get("verts", np.zeros((people or 0, 0, 3)))
    fits = isinstance(surface, np.ndarray) and surface.dtype.kind == "f" and surface.ndim == 3
    if not fits or (surface.shape[0], surface.shape[2]) != (people, 3):
        got = f"shape {surface.shape}" if isinstance(surface, np.ndarray) else type(surface).__name__
        raise InputError(f"{path}: results['verts']", "an array (people, vertices, 3), or none", got, advice)
    return content


def known_rows(content: Results, names: Iterable[str]) -> Results:
    """Return some arrays without the people whose numbers are not finite."""
    parts = {name: np.asarray(content[name], np.float64) for name in names}
    good = np.stack([np.isfinite(part.reshape(len(part), -1)).all(1) for part in parts.values()]).all(0)
    return {name: part[good] for name, part in parts.items()} if good.any() else parts


def axis_angles(thetas: np.ndarray) -> Float[Tensor, "B 24 3 3"]:
    """Return stored axis-angle poses (B, 72) rad as rotations."""
    return rotation.exp(torch.as_tensor(thetas, dtype=torch.float32).reshape(-1, OWN_JOINTS, 3))


def put_rotations(content: Results, source_pose: Tensor, back: RefinedSource) -> Results:
    """Return the content with refined `smpl_thetas`, `global_orient` and `body_pose` where it has them.

    Joints that were not turned keep the numbers they were stored with.
    """
    turned = (back.pose != source_pose).flatten(2).any(2).numpy()  # (B, 24)
    fresh = rotation.log(back.pose).numpy()
    stored = content["smpl_thetas"].reshape(-1, OWN_JOINTS, 3)
    thetas = np.where(turned[..., None], fresh, stored).astype(stored.dtype).reshape(-1, 3 * OWN_JOINTS)
    parts = {"smpl_thetas": thetas, "global_orient": thetas[:, :3], "body_pose": thetas[:, 3:]}
    return content | {name: value for name, value in parts.items() if name in content}


def put_surface(content: Results, refined: Estimate, offset: Tensor) -> Results:
    """Return the content with SMPL's refined surface and betas, or without any where the model is not there.

    Args:
        content: The file's content.
        refined: The refined estimate.
        offset: (B, 3) m, what lies between the camera frame and the frame `verts` is stored in.
    """
    if "verts" in content and refined.body.model == "smpl":
        vertices = (refined.vertices - offset.to(refined.vertices)[:, None]).detach().cpu().numpy()
        betas = content["smpl_betas"].copy()
        width = min(betas.shape[1], refined.bodies.shape.shape[1])
        betas[:, :width] = refined.bodies.shape[:, :width].detach().cpu().numpy()
        return content | {"verts": vertices.astype(content["verts"].dtype), "smpl_betas": betas}
    kept = {name: value for name, value in content.items() if name != "verts"}
    return kept | beside(refined, refined_source(refined), NOTE)


def pick(changed: Tensor, fresh: Tensor | np.ndarray, stored: np.ndarray) -> np.ndarray:
    """Return new rows where a body changed, the stored ones elsewhere, in the stored dtype."""
    rows = changed.numpy().reshape(-1, *[1] * (stored.ndim - 1))
    return np.where(rows, np.asarray(fresh), stored).astype(stored.dtype)
