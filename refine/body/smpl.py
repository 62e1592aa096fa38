"""SMPL: 6890 vertices, 24 joints, 10 or 300 shape components, pose correctives.

Source: Loper et al., SMPL: A Skinned Multi-Person Linear Model, ACM TOG 34(6), 2015.
"""

from pathlib import Path

from refine.body.keypoint_names import SMPL24
from refine.body.official_body import Layout, load_official_body
from refine.body.skinned_body import SkinnedBody

LAYOUT = Layout(
    model="smpl",
    title="SMPL",
    page="https://smpl.is.tue.mpg.de",
    joint_names=SMPL24,
    file_names=("SMPL_{GENDER}", "basicmodel_{letter}_lbs_10_207_0_v1.?.0"),
    has_hands=False,
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
    """Read an official SMPL file (.npz or .pkl).

    Args:
        path: The file.
        gender: What to note as the body's gender.
        betas: Number of shape coefficients; None: 10. A file of version 1.1 holds 300.
        expressions: SMPL has none: None or 0.
        flat_hand_mean: Without effect, SMPL has no fingers.
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
