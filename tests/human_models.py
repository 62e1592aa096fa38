"""Official model files that look like people, and their people's parameters under public names, for tests of the whole
way.

The files are in the official layouts, made from the built-in body with drawn correctives; the package smplx reads them
too.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from refine.body import SkinnedBody, pose_body
from refine.geometry import rotation
from refine.state import Bodies
from tests.people import Case, case
from tests.reference.body.official_files import LANDMARKS, TREES, VERTICES

PEOPLE = 2
HANDS = ("left_hand_pose", "right_hand_pose")


def human_model(model: str, body: SkinnedBody, shapes: int, seed: int = 0) -> dict[str, Any]:
    """The arrays of an official file, from every other vertex of the built-in body; correctives of a few
    millimetres."""
    draw, vertices, joints = np.random.default_rng(seed), VERTICES[model], len(TREES[model])
    chosen = np.linspace(0, len(body.template) - 1, vertices).astype(int)
    template = body.template.numpy()[chosen].astype(np.float64)
    names = ("left_middle1", "right_middle1")
    source = list(range(22)) + {"smpl": [body.joint_names.index(name) for name in names]}.get(
        model, list(range(25 if model == "smplh" else 22, 55))
    )
    # What follows a joint the family does not have follows its nearest ancestor.
    parents, owner = body.parent_list, {}
    for joint in range(55):
        above = joint
        while above not in source:
            above = parents[above]
        owner[joint] = source.index(above)
    weights = np.zeros((vertices, joints))
    for joint in range(55):
        weights[:, owner[joint]] += body.dense_weights.numpy()[chosen, joint]
    # Each joint from its 40 nearest vertices: the smallest weights that sum to 1 and meet it.
    regressor = np.zeros((joints, vertices))
    for row, place in enumerate(body.joint_template.numpy()[source]):
        near = np.argsort(((template - place) ** 2).sum(1))[:40]
        regressor[row, near] = np.linalg.pinv(np.vstack((template[near].T, np.ones(40)))) @ [*place, 1.0]
    basis = 0.002 * draw.standard_normal((vertices, 3, shapes))
    own = min(shapes, 10)
    basis[:, :, :own] = body.shape_basis.numpy()[chosen][:, :, :own]
    order = np.argsort(template[:, 1])
    faces = np.stack((order, np.roll(order, -1), np.roll(order, -2)), 1)  # every vertex has a triangle
    arrays: dict[str, Any] = {
        "v_template": template,
        "shapedirs": basis,
        "posedirs": 0.002 * draw.standard_normal((vertices, 3, 9 * (joints - 1)), np.float32),
        "J_regressor": regressor,
        "weights": weights / weights.sum(1, keepdims=True),
        "kintree_table": np.array([[2**32 - 1, *TREES[model][1:]], range(joints)], np.uint32),
        "f": faces.astype(np.uint32),
        "bs_type": "lrotmin",
        "bs_style": "lbs",
    }
    assert set(LANDMARKS[model].values()) <= set(faces.ravel().tolist())
    if model != "smpl":
        for side in "lr":
            arrays[f"hands_components{side}"] = np.linalg.qr(draw.standard_normal((45, 45)))[0]
            arrays[f"hands_mean{side}"] = 0.2 * draw.standard_normal(45)
    if model == "smplx":
        arrays |= {
            "lmk_faces_idx": draw.integers(0, vertices, 51),
            "lmk_bary_coords": draw.dirichlet(np.ones(3), 51),
            "dynamic_lmk_faces_idx": draw.integers(0, vertices, (79, 17)),
            "dynamic_lmk_bary_coords": draw.dirichlet(np.ones(3), (79, 17)),
        }
    return arrays


@dataclass(frozen=True)
class Told:
    """A case and its disturbed estimate as a mapping of public names."""

    people: Case
    init: dict[str, Any]


def told(body: SkinnedBody, count: int = PEOPLE, name: str = "body25", hands: bool = True) -> Told:
    """People of a model; the mapping has hands (relative to the model's mean hand) and face where the family has
    them."""
    people = case(body, count=count, name=name)
    bodies = people.estimate.bodies
    turn = (rotation.log(bodies.pose) - body.mean_pose).numpy()
    init = {
        "global_orient": turn[:, 0],
        "body_pose": turn[:, 1 : 24 if body.model == "smpl" else 22].reshape(count, -1),
    }
    init |= {"betas": bodies.shape.numpy(), "transl": bodies.translation.numpy(), "image_index": np.arange(count)}
    if body.model != "smpl" and hands:
        init |= dict(zip(HANDS, turn[:, -30:].reshape(count, 2, 45).transpose(1, 0, 2), strict=True))
    if body.model == "smplx":
        init |= {"jaw_pose": turn[:, 22], "expression": bodies.expression.numpy()}
    return Told(people, init)


def posed_again(body: SkinnedBody, values: dict[str, Any]) -> torch.Tensor:
    """The vertices that parameters of public names give on a model, by its definition."""
    count = len(values["transl"])
    parts = [np.asarray(values[name]).reshape(count, -1) for name in ("global_orient", "body_pose")]
    if body.model == "smplx":
        empty = np.zeros((count, 3), np.float32)
        parts += [
            np.asarray(values.get(name, empty)).reshape(count, 3) for name in ("jaw_pose", "leye_pose", "reye_pose")
        ]
    if body.model != "smpl":
        parts += [np.asarray(values.get(name, np.zeros((count, 45), np.float32))).reshape(count, -1) for name in HANDS]
    pose = rotation.exp(torch.from_numpy(np.concatenate(parts, 1)).float().reshape(count, -1, 3) + body.mean_pose)
    wide = {"betas": body.shape_basis.shape[2], "expression": body.expression_basis.shape[2]}
    shape, expression = (
        torch.from_numpy(np.asarray(values.get(name, np.zeros((count, width)))).reshape(count, width)).float()
        for name, width in wide.items()
    )
    return pose_body(
        body, Bodies(pose, shape, expression, torch.from_numpy(np.asarray(values["transl"])).float())
    ).vertices


def package_vertices(folder: Path, model: str, values: dict[str, Any], **options: Any) -> torch.Tensor:
    """The vertices the package smplx gives for parameters of public names."""
    import smplx

    layer = smplx.create(str(folder), model, gender="neutral", ext="npz", batch_size=len(values["transl"]), **options)
    taken = (
        "global_orient",
        "body_pose",
        "betas",
        "transl",
        "jaw_pose",
        "leye_pose",
        "reye_pose",
        *HANDS,
        "expression",
    )
    given = {name: torch.from_numpy(np.asarray(values[name])).float() for name in taken if name in values}
    with torch.no_grad():
        vertices: torch.Tensor = layer(**given).vertices
    return vertices
