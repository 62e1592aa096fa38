"""How good the network is on people it was not trained with, in the figure all runs are compared by.

    endpoint = mean |offset - truth|,   nothing = mean |truth|         over visible rendered pixels of the whole hold-out

The share endpoint / nothing is 1 for a network that says no displacement.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from displacement_net.loss import Coverage, coverage
from displacement_net.model import DisplacementNet
from displacement_net.training.batches import Batch

NEAR_PX = 1.0
"""Bound of the smallest displacements, px of a 256 crop."""


@dataclass(frozen=True)
class Figures:
    """What is measured.

    Attributes:
        endpoint_px: Mean distance from the truth, px of a 256 crop.
        nothing_px: The same of doing nothing.
        share: endpoint over nothing.
        share_near: The same over pixels displaced by less than `NEAR_PX`.
        visible_right: Share of rendered pixels whose visibility is decided rightly.
        visible_share: Share of rendered pixels that are visible: what `visible_right` is of always saying so.
        one_sigma: Share of coordinates within one standard deviation (0.683).
        two_sigma: Within two (0.954).
        sharpness: See `displacement_net.loss.Coverage`.
        pixels: Visible pixels measured.
    """

    endpoint_px: float
    nothing_px: float
    share: float
    share_near: float
    visible_right: float
    visible_share: float
    one_sigma: float
    two_sigma: float
    sharpness: float
    pixels: int


@torch.no_grad()
def measure(network: DisplacementNet, hold_out: Sequence[Batch]) -> Figures:
    """Measure a network; it is left in the mode it was in.

    Args:
        network: Its normalisations may be folded or not.
        hold_out: Batches on the network's device.

    Returns:
        The figures; NaN where there is nothing to measure.
    """
    was_training = network.training
    network.eval()
    errors, truths, roots, right, shown, rendered = [], [], [], 0, 0, 0
    for batch in hold_out:
        said, truth = network(batch.channels), batch.truth
        at_256 = 256 / batch.channels.shape[-1]
        where = truth.visible & truth.rendered
        errors.append((said.offset - truth.offset)[where] * at_256)
        truths.append(truth.offset[where] * at_256)
        roots.append(said.sqrt_information[where] / at_256)
        right += int((((said.visible > 0) == where) & truth.rendered).sum())
        shown, rendered = shown + int(where.sum()), rendered + int(truth.rendered.sum())
    network.train(was_training)
    if not shown:
        return Figures(*(math.nan,) * 9, 0)
    error, true = torch.cat(errors).norm(dim=-1), torch.cat(truths).norm(dim=-1)
    near = true < NEAR_PX
    calibration: Coverage = coverage(torch.cat(errors), torch.cat(roots))
    return Figures(
        endpoint_px=float(error.mean()),
        nothing_px=float(true.mean()),
        share=float(error.mean() / true.mean()),
        share_near=float(error[near].mean() / true[near].mean()),
        visible_right=right / rendered,
        visible_share=shown / rendered,
        one_sigma=calibration.one_sigma,
        two_sigma=calibration.two_sigma,
        sharpness=calibration.sharpness,
        pixels=shown,
    )


def calibrated(network: DisplacementNet, hold_out: Sequence[Batch]) -> Figures:
    """Set the network's `sharpness` so that the Gaussian's share of errors lies within one standard deviation; return the figures then.

    Args:
        network: Changed in place.
        hold_out: Batches that were not trained with.
    """
    before = measure(network, hold_out)
    if math.isfinite(before.sharpness):
        network.sharpness.mul_(before.sharpness)
    return measure(network, hold_out)
