"""SMPL-H: 6890 vertices, 52 joints, 10 shape components in the .pkl and 16 in AMASS's .npz.

Source: Romero et al., Embodied Hands, ACM TOG 36(6), 2017.
"""

from functools import partial

from refine.body.keypoint_names import SMPLH52
from refine.body.official_body import Layout, load_official_body

LAYOUT = Layout(
    model="smplh",
    title="SMPL-H",
    page="https://mano.is.tue.mpg.de",
    joint_names=SMPLH52,
    file_names=("SMPLH_{GENDER}", "{small}/model"),
)

load = partial(load_official_body, layout=LAYOUT)
"""Read an official file (.npz or .pkl; see `load_official_body`). `betas`: 10 where None; AMASS's files hold 16
(smplx takes 10 of them). `expressions`: none."""
