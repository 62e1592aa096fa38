"""SMPL: 6890 vertices, 24 joints, 10 or 300 shape components, pose correctives.

Source: Loper et al., SMPL: A Skinned Multi-Person Linear Model, ACM TOG 34(6), 2015.
"""

from functools import partial

from refine.body.keypoint_names import SMPL24
from refine.body.official_body import Layout, load_official_body

LAYOUT = Layout(
    model="smpl",
    title="SMPL",
    page="https://smpl.is.tue.mpg.de",
    joint_names=SMPL24,
    file_names=("SMPL_{GENDER}", "basicmodel_{letter}_lbs_10_207_0_v1.?.0"),
    has_hands=False,
)

load = partial(load_official_body, layout=LAYOUT)
"""Read an official file (.npz or .pkl; see `load_official_body`). `betas`: 10 where None; a file of version 1.1
holds 300. `expressions`: none. `flat_hand_mean`: without effect, SMPL has no fingers."""
