"""SMPL-X: 10475 vertices, 55 joints, 300 shape and 100 expression components (10 and 10 in version 1.0).

Source: Pavlakos et al., Expressive Body Capture, CVPR 2019.
"""

from functools import partial

from refine.body.keypoint_names import SMPLX55
from refine.body.official_body import Layout, load_official_body

LAYOUT = Layout(
    model="smplx",
    title="SMPL-X",
    page="https://smpl-x.is.tue.mpg.de",
    joint_names=SMPLX55,
    file_names=("SMPLX_{GENDER}", "SMPLX_{GENDER}_2020", "{small}/model"),
    has_expression=True,
)

load = partial(load_official_body, layout=LAYOUT)
"""Read an official file (.npz or .pkl; see `load_official_body`). `betas`: 10 where None; a file of version 1.1
holds 300. `expressions`: 10 where None; a file of version 1.1 holds 100."""
