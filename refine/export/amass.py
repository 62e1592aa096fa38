"""Writes a person's motion as AMASS does: the npz that Blender's SMPL-X add-on and many training codes read.

    poses (T, 165 or 156 or 72), trans (T, 3), betas, gender, mocap_frame_rate

AMASS is z up: its root is ours turned by a quarter about x. `trans` is SMPL's `transl`, for which the model's own rest
pelvis is taken away from where the pelvis is; of another model's body (the built-in one) the shape has no meaning in
SMPL's terms: `betas` are zeros, and the pelvis is that of the mean body.

Source: Mahmood et al., AMASS, ICCV 2019, and the keys of its files; Meshcapade, SMPL Blender add-on (reads `poses`,
`trans`, `betas`, `gender`, `mocap_frame_rate`).
"""

import io
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from refine.body import SkinnedBody
from refine.estimate.pelvis import REST_PELVIS_M
from refine.export.bvh import UP, evenly, frames_a_second
from refine.export.figure import Figure
from refine.files.atomic import write_bytes

BETAS = 16
"""Coefficients in AMASS' files."""
HANDS = {"smplx": "smplx", "smplh": "smplh", "smpl": "smpl", "anny": "smplx"}
"""The model a body's joints are named after: the built-in one has SMPL-X's 55."""


def write_amass(path: str | Path, body: SkinnedBody, figure: Figure, betas: np.ndarray | None = None) -> None:
    """Write one person.

    Args:
        path: The file, an npz.
        body: The person's model.
        figure: The person, in the frame of a camera.
        betas: (S,) the shape, where the body is SMPL's own; None: zeros.
    """
    rate = frames_a_second(figure)
    turn, root = evenly(figure, rate)
    turn[:, 0], root = UP["z"] @ turn[:, 0], root @ UP["z"].T
    model = HANDS[body.model]
    same = body.model == model
    pelvis = figure.skeleton.joint[0].double().numpy() if same else np.array(REST_PELVIS_M[model])
    vector = Rotation.from_matrix(turn.reshape(-1, 3, 3)).as_rotvec().reshape(len(turn), -1)
    shape = np.zeros(BETAS)
    if same and betas is not None:
        shape[: min(BETAS, len(betas))] = betas[:BETAS]
    content = {
        "poses": vector, "trans": root - pelvis, "betas": shape, "gender": np.array(body.gender),
        "mocap_frame_rate": np.array(rate), "mocap_framerate": np.array(rate), "surface_model_type": np.array(model),
    }  # fmt: skip
    if model == "smplx":
        content |= {"root_orient": vector[:, :3], "pose_body": vector[:, 3:66], "pose_hand": vector[:, 75:]}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **content)
    write_bytes(path, buffer.getvalue())
