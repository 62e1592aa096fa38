"""An estimate as a mapping with SMPL(-X) names, complete in itself: parameters, joints, camera.

    on SMPL, SMPL-H, SMPL-X   the model's own global_orient, body_pose, hands, betas, transl, ...
    on the built-in body       the same rotations by SMPL-X's names, `built_in_shape`, and transl so that SMPL-X's mean
                               pelvis lies on its own
    as the source said it      the source's own numbers (`refine.transfer.source_parameters`)

Joints and vertices are in the camera frame, `transl` included, m; pixels count from the image's corner.

Source: the package smplx, `body_models.py` (names and shapes of the `forward` arguments).
"""

import numpy as np
import torch

from refine.body.smpl_joints import PARENTS, joint_slices
from refine.errors import InputError
from refine.estimate import Estimate, as_array
from refine.estimate.pelvis import REST_PELVIS_M
from refine.estimate.usable import blank, blank_bodies
from refine.geometry import rotation
from refine.transfer import in_camera, refined_source, source_parameters


def source_words(estimate: Estimate) -> dict[str, np.ndarray]:
    """Return what the source stored, refined where it was refined, on its own body model, with the camera.

    Args:
        estimate: An estimate whose source is of the SMPL family.

    Returns:
        Arrays by name, one row a body.

    Raises:
        InputError: The source's model is no SMPL.
    """
    source = estimate.source
    if source.model not in PARENTS:
        known = ", ".join(PARENTS)
        raise InputError(
            "estimate.source.model", f"one of {known}", source.model, "Convert the estimate to a model first."
        )
    content = source_parameters(estimate)
    if source.joints is not None and not bool(refined_source(estimate).changed.any()):
        content["joints"] = as_array(source.joints)
    return content | {"gender": np.asarray(source.gender)} | camera_words(estimate)


def body_words(estimate: Estimate) -> dict[str, np.ndarray]:
    """Return the estimate's own bodies under public names, with joints, vertices and the camera.

    Args:
        estimate: An estimate on any model of 24, 52 or 55 joints.

    Returns:
        Arrays by name, one row a body; NaN of people without usable numbers.
    """
    estimate = in_camera(estimate)
    body, bodies = estimate.body, blank_bodies(estimate.bodies, estimate.source)
    built_in = body.model not in PARENTS
    model = "smplx" if built_in else body.model
    turn = as_array(rotation.log(bodies.pose) - body.mean_pose)
    content = {name: turn[:, part].reshape(len(turn), -1) for name, part in joint_slices(model).items()}
    joints = blank(estimate.joints, estimate.source)
    if built_in:
        rest = torch.tensor(REST_PELVIS_M["smplx"]).to(joints)
        content |= {"transl": as_array(joints[:, 0] - rest), "built_in_shape": as_array(bodies.shape)}
    else:
        content |= {"betas": as_array(bodies.shape), "transl": as_array(bodies.translation)}
        if bodies.expression.shape[1]:
            content["expression"] = as_array(bodies.expression)
        content |= {"gender": np.asarray(body.gender), "vertices": as_array(blank(estimate.vertices, estimate.source))}
    return content | {"joints": as_array(joints)} | camera_words(estimate)


def camera_words(estimate: Estimate) -> dict[str, np.ndarray]:
    """Return focal, center, size (B, 2) px, image_index (B,), and distortion (B, K) where the lens distorts."""
    camera = estimate.camera
    parts = {"focal": camera.focal, "center": camera.center, "size": camera.size, "image_index": estimate.image_index}
    parts |= {} if camera.distortion is None else {"distortion": camera.distortion}
    return {name: as_array(value) for name, value in parts.items()}
