"""How good the network is on people it was not trained with, in the figure all runs are compared by.

    endpoint = mean |offset - truth|,   nothing = mean |truth|        over visible rendered pixels of the whole hold-out

The share endpoint / nothing is 1 for a network that says no displacement. How far errors hang together, so that matches
are not counted twice (`refine.dense.correspondence`):

    rho(d) = mean of w(p) . w(p + d) / mean of |w(p)|²
             w the whitened errors at visible pixels, cut at three standard deviations
    correlation_px² = mean over pixels p of the sum over pixels q of the same body of rho(q - p)

Source: Bayley and Hammersley, Suppl. J. R. Stat. Soc. 8(2), 1946 (effective number of observations).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from displacement_net.loss import Coverage, coverage
from displacement_net.model import DisplacementNet
from displacement_net.training.batches import Batch

NEAR_PX = 1.0
"""Bound of the smallest displacements, px of a 256 crop."""
CUT = 3.0
"""Whitened errors are cut here, in standard deviations: the solver's kernels let go of what is beyond."""


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
        correlation_px: Side of a square in which errors hang together, px of a 256 crop.
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
    correlation_px: float
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
    together, apart = torch.zeros(()), torch.zeros(())
    for batch in hold_out:
        said, truth = network(batch.channels), batch.truth
        at_256 = 256 / batch.channels.shape[-1]
        where = truth.visible & truth.rendered
        errors.append((said.offset - truth.offset)[where] * at_256)
        truths.append(truth.offset[where] * at_256)
        roots.append(said.sqrt_information[where] / at_256)
        products, pairs = _autocorrelation(said.sqrt_information, said.offset - truth.offset, where)
        together, apart = together + products, apart + pairs
        right += int((((said.visible > 0) == where) & truth.rendered).sum())
        shown, rendered = shown + int(where.sum()), rendered + int(truth.rendered.sum())
    network.train(was_training)
    if not shown:
        return Figures(*(math.nan,) * 10, 0)
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
        correlation_px=_correlation_px(together, apart) * 256 / hold_out[0].channels.shape[-1],
        pixels=shown,
    )


def _autocorrelation(root: Tensor, error: Tensor, where: Tensor) -> tuple[Tensor, Tensor]:
    """Return the sums of products of whitened errors (2 S, 2 S) at each distance, wrapped, and the numbers of pairs."""
    white = (root @ error[..., None])[..., 0].nan_to_num().clamp(-CUT, CUT) * where[..., None]
    size = (2 * where.shape[1], 2 * where.shape[2])  # twice the side: nothing meets itself around the corner
    sums = [
        torch.fft.irfft2(torch.fft.rfft2(values.double(), s=size).abs().square(), s=size).sum((0, 1))
        for values in (white.permute(0, 3, 1, 2), where[:, None].double())
    ]
    return sums[0].cpu(), sums[1].cpu()


def _correlation_px(products: Tensor, pairs: Tensor) -> float:
    """Return the side of the square, px; NaN where there is no error at all."""
    mean = torch.where(pairs > 0.5, products / pairs.clamp(min=0.5), 0.0)
    if not float(mean[0, 0]) > 0:
        return math.nan
    area = float((mean / mean[0, 0] * pairs).sum() / pairs[0, 0])
    return max(area, 1.0) ** 0.5


def calibrated(network: DisplacementNet, hold_out: Sequence[Batch]) -> Figures:
    """Set the network's `sharpness`, so that a Gaussian's share is within one sigma, and its `correlation_px`.

    Args:
        network: Changed in place.
        hold_out: Batches that were not trained with.

    Returns:
        The figures then.
    """
    before = measure(network, hold_out)
    if math.isfinite(before.sharpness):
        network.sharpness.mul_(before.sharpness)
    after = measure(network, hold_out)
    if math.isfinite(after.correlation_px):
        network.correlation_px.fill_(after.correlation_px)
    return after
