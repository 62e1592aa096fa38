"""The pelvis of a source's own model: rest pelvis + `transl`, so that `transl` alone does not place another model.

Source: Loper et al., SMPL, 2015; Pavlakos et al., Expressive Body Capture, 2019.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from refine.errors import InputError
from refine.estimate.source import Source

REST_PELVIS_M = {
    "smpl": (-0.0018, -0.2233, 0.0282),
    "smplh": (-0.0018, -0.2233, 0.0282),
    "smplx": (0.0031, -0.3514, 0.0120),
}
"""Pelvis of the mean neutral body at rest (m), used where a source stores no joints. SMPL's is printed in many
repositories (e.g. VIBE, SPIN: root of the mean body); betas move it by a centimetre or two, which is the error."""


def rest_pelvis(source: Source) -> Float[Tensor, "B 3"]:
    """Return the rest pelvis of the source's own model.

    Stored pelvis minus `transl` where both are known, the mean body's otherwise (`REST_PELVIS_M`).

    Args:
        source: The source of B bodies.

    Returns:
        (B, 3) m, the model's own frame.
    """
    if source.joints is not None and source.translation is not None:
        return source.joints[:, 0] - source.translation
    mean = source.pose.new_tensor(REST_PELVIS_M.get(source.model, REST_PELVIS_M["smpl"])).expand(len(source), 3)
    found = source.found  # a file that refine wrote stores the source's pelvis
    return mean if found is None else torch.where(found.valid[:, None], found.pelvis - found.transl, mean)


def source_pelvis(source: Source) -> Float[Tensor, "B 3"]:
    """Return the source's pelvis: the stored joint, else translation plus rest pelvis.

    Args:
        source: The source of B bodies.

    Returns:
        (B, 3) m, camera frame.

    Raises:
        InputError: The source has neither joints nor a translation.
    """
    if source.joints is not None:
        return source.joints[:, 0]
    if source.translation is None:
        raise InputError(
            str(source.path or "init"),
            "a translation or joints",
            "neither",
            "Store `transl`, or `joints` in the camera frame.",
        )
    return source.translation + rest_pelvis(source)
