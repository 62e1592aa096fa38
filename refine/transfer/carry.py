"""Stored joints carried along with refined rotations, without the model they were made by.

    own joint j:   X'_j = X'_parent + G'_parent o_j,   o_j = G_parent^T (X_j - X_parent)
                   the source's own rest offsets
    any other:     X'   = X'_j + G'_j G_j^T (X - X_j),   j the nearest of the own joints         rigidly with it

with global rotations G before and G' after. Own joints are the model's, stored first; others (regressed from the
surface, finger tips, landmarks) follow their nearest one, which is what they do up to the skin's stretching.

Source: derived here; forward kinematics as in Loper et al., SMPL, 2015, eq. 3.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from refine.body import pose_body
from refine.body.smpl_joints import BODY_JOINTS, PARENTS
from refine.estimate import Estimate
from refine.transfer import RefinedSource
from refine.transfer.source_fit import fit_bodies


def global_rotations(pose: Float[Tensor, "B J 3 3"], parents: tuple[int, ...]) -> Float[Tensor, "B K 3 3"]:
    """Return the first K = len(parents) joints' rotations in the camera frame from local ones."""
    turned = [pose[:, 0]]
    for joint, parent in enumerate(parents[1:], 1):
        turned.append(turned[parent] @ pose[:, joint])
    return torch.stack(turned, 1)


def carried_joints(
    stored: Float[Tensor, "B L 3"], before: Float[Tensor, "B J 3 3"], after: Float[Tensor, "B J 3 3"], model: str
) -> Float[Tensor, "B L 3"]:
    """Pose stored joints again under other rotations.

    Args:
        stored: (B, L, 3) m, the model's own joints first.
        before: (B, J, 3, 3) local rotations they were stored with.
        after: (B, J, 3, 3) local rotations to carry them to.
        model: "smpl", "smplh" or "smplx".

    Returns:
        (B, L, 3) m, float64; the pelvis stays where it was.
    """
    joints = stored.double()
    parents = PARENTS[model][: joints.shape[1]]
    was, now = (global_rotations(pose.double(), parents) for pose in (before, after))
    turn = now @ was.mT  # (B, K, 3, 3)
    posed = [joints[:, 0]]
    for joint, parent in enumerate(parents[1:], 1):
        bone = joints[:, joint] - joints[:, parent]
        posed.append(posed[parent] + (turn[:, parent] @ bone[..., None])[..., 0])
    own = torch.stack(posed, 1)  # (B, K, 3)
    rest = joints[:, len(parents) :]
    near = torch.cdist(rest, joints[:, : len(parents)]).argmin(2)  # (B, L - K)
    row = torch.arange(len(joints))[:, None]
    moved = own[row, near] + (turn[row, near] @ (rest - joints[row, near])[..., None])[..., 0]
    return torch.cat((own, moved), 1)


def joints_after(
    stored: Float[np.ndarray, "B L 3"] | Float[Tensor, "B L 3"], refined: Estimate, back: RefinedSource
) -> Float[Tensor, "B L 3"]:
    """Return stored joints in the refined pose, the pelvis where it was stored.

    Args:
        stored: (B, L, 3) m, as the file has them, any translation: the last L of the source's joints, or what was set
            aside.
        refined: The refined estimate. On a model of the source's own family its joints are taken; else they are
            carried.
        back: The same in the source's model.

    Returns:
        (B, L, 3) m, float64; what was set aside stays where it was stored.
    """
    source, listed = refined.source, torch.as_tensor(stored).double()
    if source.joints is None:
        return listed
    own = source.joints[
        :, : source.joints.shape[1] - listed.shape[1]
    ].double()  # (B, K, 3): what stands before the list
    own = own - source.joints[:, -1:].double() + listed[:, -1:]
    joints = carried_joints(torch.cat((own, listed), 1), source.pose, back.pose, source.model)
    if refined.body.model == source.model:
        ours = refined.joints.detach().cpu().double()[:, : joints.shape[1]]
        joints = torch.cat((ours - ours[:, :1] + joints[:, :1], joints[:, ours.shape[1] :]), 1)
    return joints[:, own.shape[1] :]


def points_after(stored: Float[Tensor, "B L 3"], refined: Estimate) -> Float[Tensor, "B L 3"]:
    """Return stored points in the refined pose, each moved rigidly with the nearest joint of the refined body.

    Args:
        stored: (B, L, 3) m, camera frame, as the source has them.
        refined: The refined estimate, through the camera it was read with. A point lies a few centimetres from the
            joint that carries it, so that the two skeletons' difference matters little.

    Returns:
        (B, L, 3) m, camera frame, float64.
    """
    body, start = refined.body, fit_bodies(refined.source, refined.body)
    points, scale = stored.double(), start.scale.detach().cpu().double()[:, None, None]
    parents = tuple(body.parent_list[:BODY_JOINTS])
    was, now = (
        scale * pose_body(body, bodies).joints[:, :BODY_JOINTS].detach().cpu().double()
        for bodies in (start.bodies, refined.bodies)
    )
    before, after = (
        global_rotations(bodies.pose.detach().cpu().double(), parents) for bodies in (start.bodies, refined.bodies)
    )
    near, row = torch.cdist(points, was).argmin(2), torch.arange(len(points))[:, None]  # (B, L)
    turn = (after @ before.mT)[row, near]
    return now[row, near] + (turn @ (points - was[row, near])[..., None])[..., 0]
