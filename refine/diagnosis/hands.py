"""Finger rotations relative to another hand than the file is read with: people's fingers are bent on average.

    bend = mean over people and the four fingers' first two joints of the rotation about the axis they close by

A regressor whose layer has `flat_hand_mean=False` writes rotations on top of SMPL-X's mean hand, so that they average
to nothing; one with a flat layer writes the bend itself.

Source: Romero et al., Embodied Hands, 2017 (the mean hand and the axes of its fingers: MANO's fingers lie along x and
close about z).
"""

from collections.abc import Iterator

import torch

from refine.body.keypoint_names import FINGER_JOINTS
from refine.diagnosis.candidates import MEDIAN_SIGMA, Candidate
from refine.diagnosis.sample import Sample

STRAIGHT_RAD = 0.10
"""Average bend below which rotations stand on a bent hand."""
BENT_RAD = 0.25
"""Average bend above which they do not."""
LEAST_SPREAD_RAD = 0.02
"""Spread of the bend over people below which the fingers were never estimated."""
FEWEST = 10
"""People."""


def hands(sample: Sample) -> Iterator[Candidate]:
    """Say whether the fingers are read on the wrong hand."""
    fingers = sample.stored_fingers
    if fingers is None or len(fingers) < FEWEST:
        return
    used = [
        (index, -1.0 if name.startswith("left") else 1.0)
        for index, name in enumerate(FINGER_JOINTS)
        if name[-1] in "12" and "thumb" not in name
    ]
    sign = torch.tensor([side for _, side in used])
    bend = (fingers[:, [index for index, _ in used], 2] * sign).mean(1)  # (N,) rad
    middle, spread = bend.median(), bend.std()
    error = float(MEDIAN_SIGMA * spread / len(bend) ** 0.5)
    if float(spread) < LEAST_SPREAD_RAD:
        return
    nothing = torch.full((len(sample),), torch.nan)
    degrees = float(torch.rad2deg(middle))
    if sample.hand_mean != "mean" and float(middle) < STRAIGHT_RAD:
        read = f"(they average to {degrees:.0f}°), and are read as whole ones"
        words = f"finger rotations stand on the model's mean hand {read}"
        deviations = (BENT_RAD - float(middle)) / max(error, 1e-4)
        yield Candidate("hands", words, "--correct estimate.hands=mean", nothing, 2.0, deviations)
    if sample.hand_mean == "mean" and float(middle) > BENT_RAD:
        read = f"(they average to {degrees:.0f}°), and are read as standing on the mean hand"
        words = f"finger rotations are whole ones {read}"
        deviations = (float(middle) - STRAIGHT_RAD) / max(error, 1e-4)
        yield Candidate("hands", words, "--correct estimate.hands=flat", nothing, 2.0, deviations)
