"""SMPL-H: 6890 vertices, 52 joints, 10 shape components in the .pkl and 16 in AMASS's .npz.

Source: Romero et al., Embodied Hands, ACM TOG 36(6), 2017.
"""

from pathlib import Path

from refine.body.keypoint_names import SMPLH52
from refine.body.official_body import Layout, load_official_body
from refine.body.skinned_body import SkinnedBody

LAYOUT = Layout(
    model="smplh",
    title="SMPL-H",
    page="https://mano.is.tue.mpg.de",
    joint_names=SMPLH52,
    file_names=("SMPLH_{GENDER}", "{small}/model"),
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
    """Read an official SMPL-H file (.npz or .pkl).

    Args:
        path: The file.
        gender: What to note as the body's gender.
        betas: Number of shape coefficients; None: 10. AMASS's files hold 16 (smplx takes 10 of them).
        expressions: SMPL-H has none: None or 0.
        flat_hand_mean: Whether a zero hand pose means a flat hand instead of MANO's mean.
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
