"""SMPL-X: 10475 vertices, 55 joints, 300 shape and 100 expression components (10 and 10 in version 1.0).

Source: Pavlakos et al., Expressive Body Capture, CVPR 2019.
"""

from pathlib import Path

from refine.body.keypoint_names import SMPLX55
from refine.body.official_body import Layout, load_official_body
from refine.body.skinned_body import SkinnedBody

LAYOUT = Layout(
    model="smplx",
    title="SMPL-X",
    page="https://smpl-x.is.tue.mpg.de",
    joint_names=SMPLX55,
    file_names=("SMPLX_{GENDER}", "SMPLX_{GENDER}_2020", "{small}/model"),
    has_expression=True,
)


def load(
    path: Path,
    *,
    gender: str = "neutral",
    betas: int | None = None,
    expressions: int | None = None,
    flat_hand_mean: bool = True,
    kid_template: Path | None = None,
) -> SkinnedBody:
    """Read an official SMPL-X file (.npz or .pkl).

    Args:
        path: The file.
        gender: What to note as the body's gender.
        betas: Number of shape coefficients; None: 10. A file of version 1.1 holds 300.
        expressions: Number of expression coefficients; None: 10. A file of version 1.1 holds 100.
        flat_hand_mean: Whether a zero hand pose means a flat hand instead of the mean one.
        kid_template: Path of SMPL+A's child template: adds the age as a last shape coefficient.

    Returns:
        The body, float32 on the CPU.

    Raises:
        InputError: The file is missing, damaged or hostile, another family's, or holds fewer coefficients than asked
            for.
    """
    return load_official_body(
        path,
        LAYOUT,
        gender=gender,
        betas=betas,
        expressions=expressions,
        flat_hand_mean=flat_hand_mean,
        kid_template=kid_template,
    )
