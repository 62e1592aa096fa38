"""The displacement field against the truth: by texture, strength, size and visibility; calibration; sparsification.

    share         = mean |offset - truth| / mean |truth|                     1 for a network that says no displacement
    mahalanobis   = mean |L (offset - truth)|² / 2                      1 where stated variances are those of the errors
    sparsification(k) = mean error of the k pixels that are most certain,
                        the oracle's: of those with the smallest error
    area          = mean over k of sparsification(k) / error of all          1 for uncertainties that mean nothing

Lengths are px of a 256 crop. But for `by_visibility` all is taken over visible pixels.

Source: Ilg et al., Uncertainty Estimates and Multi-Hypotheses Networks for Optical Flow, ECCV 2018, sec. 4
(sparsification, its oracle).
"""

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from displacement_net.loss import coverage
from displacement_net.model import Prediction
from displacement_net.training.samples import TEXTURE_CASES, Samples

BINS_PX = (0.0, 1.0, 3.0, 8.0, math.inf)
"""Bounds of the displacement's size, px of a 256 crop."""
EVERY = 2
"""Every second row and column is measured: the network speaks at half the resolution, neighbours say the same."""
STILL_PX = 0.01
"""Displacements of less than this on average are rounding: doing nothing is right, and no share can be taken of it."""
VISIBILITIES = ("visible", "hidden", "outside the photo")
QUARTERS = (0.25, 0.5, 0.75)
"""Shares of the most certain pixels that are reported."""
CURVE_POINTS = 50
"""Of the sparsification's curve."""

Predict = Callable[[Samples], Prediction]


@dataclass(frozen=True, eq=False)
class Pixels:
    """N rendered pixels and what was said of them.

    Attributes:
        error: (N, 2) px of a 256 crop, said less true displacement.
        true: (N,) px of a 256 crop, length of the true displacement.
        root: (N, 2, 2) one over that px, square root of the stated information.
        said_visible: (N,) whether the point is said to be seen.
        visibility: (N,) index into `VISIBILITIES`.
        texture: (N,) index into `TEXTURE_CASES`.
        strength: (N,) index into the strengths that were asked for.
    """

    error: Float[Tensor, "N 2"]
    true: Float[Tensor, "N"]
    root: Float[Tensor, "N 2 2"]
    said_visible: Bool[Tensor, "N"]
    visibility: Int[Tensor, "N"]
    texture: Int[Tensor, "N"]
    strength: Int[Tensor, "N"]

    def __len__(self) -> int:
        return len(self.true)

    def of(self, chosen: Bool[Tensor, "N"]) -> "Pixels":
        """Return the chosen pixels."""
        return Pixels(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class Row:
    """`endpoint_px` of the network, `nothing_px` of no displacement, their ratio `share`, and the number of pixels."""

    endpoint_px: float
    nothing_px: float
    share: float
    pixels: int


@dataclass(frozen=True)
class Calibration:
    """Per coordinate: shares within one and two standard deviations (Gaussian: 0.683, 0.954), and `mahalanobis` (1)."""

    one_sigma: float
    two_sigma: float
    mahalanobis: float


@dataclass(frozen=True)
class Sparsification:
    """Mean errors of the most certain pixels over that of all, `oracle`: sorted by error; areas under both curves.

    Attributes:
        shares: Of the error of all, for the most certain quarter, half and three quarters.
        oracle: The same, sorted by error.
        area: Under the curve.
        oracle_area: Under the oracle's.
    """

    shares: tuple[float, ...]
    oracle: tuple[float, ...]
    area: float
    oracle_area: float


@dataclass(frozen=True)
class Field:
    """All figures of a field, by name.

    Attributes:
        texture_by_strength: By texture case, then strength; "all" among both.
        by_size: By size of the true displacement, then strength; "all" among the strengths.
        by_visibility: By visibility: the row, and what share of these pixels is said to be visible.
        calibration: By strength, and "all".
        sparsification: By strength, and "all".
    """

    texture_by_strength: dict[str, dict[str, Row]]
    by_size: dict[str, dict[str, Row]]
    by_visibility: dict[str, tuple[Row, float]]
    calibration: dict[str, Calibration]
    sparsification: dict[str, Sparsification]


@torch.no_grad()
def collect(predict: Predict, batches: Iterable[tuple[Samples, np.ndarray]]) -> Pixels:
    """Ask about batches of samples.

    Args:
        predict: Says displacements of samples.
        batches: B samples each, with (B,) the strength of each.
    """
    parts = []
    for samples, strength in batches:
        said, side = predict(samples), samples.image.shape[-1]
        keep = torch.zeros_like(samples.foreground)
        keep[:, ::EVERY, ::EVERY] = True
        where = samples.foreground & keep
        sample = where.nonzero()[:, 0]
        kind = torch.where(samples.visible, 0, torch.where(samples.inside, 1, 2))[where]
        at_256 = 256 / side
        parts.append(
            Pixels(
                (said.offset - samples.offset)[where] * at_256,
                samples.offset[where].norm(dim=-1) * at_256,
                said.sqrt_information[where] / at_256,
                (said.visible > 0)[where],
                kind,
                samples.texture_case[sample],
                torch.from_numpy(strength).to(sample.device)[sample],
            )
        )
    return Pixels(*(torch.cat([getattr(part, name) for part in parts]) for name in Pixels.__dataclass_fields__))


def field(pixels: Pixels, strengths: Sequence[str]) -> Field:
    """Measure pixels.

    Args:
        pixels: Of all texture cases and strengths.
        strengths: The names their indices mean.
    """
    seen = pixels.of(pixels.visibility == 0)
    strong = {name: seen.strength == index for index, name in enumerate(strengths)}
    strong["all"] = torch.ones_like(seen.strength, dtype=torch.bool)
    cases = {name: seen.texture == index for index, name in enumerate(TEXTURE_CASES)}
    cases["all"] = strong["all"]
    sizes = {
        f"{low:g}-{high:g} px" if high < math.inf else f"> {low:g} px": (seen.true >= low) & (seen.true < high)
        for low, high in itertools.pairwise(BINS_PX)
    }
    visible = {}
    for index, name in enumerate(VISIBILITIES):
        chosen = pixels.of(pixels.visibility == index)
        visible[name] = (row(chosen), mean(chosen.said_visible))
    return Field(
        {
            case: {name: row(seen.of(a & b)) for name, b in strong.items() if bool((a & b).any())}
            for case, a in cases.items()
        },
        {size: {name: row(seen.of(a & b)) for name, b in strong.items()} for size, a in sizes.items()},
        visible,
        {name: calibration(seen.of(chosen)) for name, chosen in strong.items()},
        {name: sparsification(seen.of(chosen)) for name, chosen in strong.items()},
    )


def row(pixels: Pixels) -> Row:
    """Compare with doing nothing; NaN where there are no pixels, and for the share where nothing is displaced."""
    endpoint, nothing = mean(pixels.error.norm(dim=-1)), mean(pixels.true)
    return Row(endpoint, nothing, endpoint / nothing if nothing > STILL_PX else math.nan, len(pixels))


def calibration(pixels: Pixels) -> Calibration:
    """Compare stated uncertainties with errors; NaN where there are no pixels."""
    shares = coverage(pixels.error, pixels.root)
    white = (pixels.root @ pixels.error[..., None])[..., 0]
    return Calibration(shares.one_sigma, shares.two_sigma, mean(white.square().sum(-1) / 2))


def sparsification(pixels: Pixels) -> Sparsification:
    """Sort pixels by the area of their stated standard ellipse, and by their errors; NaN where there are no pixels."""
    if not len(pixels):
        nothing = (math.nan,) * len(QUARTERS)
        return Sparsification(nothing, nothing, math.nan, math.nan)
    error = pixels.error.norm(dim=-1).double()
    certain = pixels.root.diagonal(dim1=-2, dim2=-1).prod(-1)  # one over the ellipse's area
    shares, area = _curve(error[certain.argsort(descending=True, stable=True)])
    oracle, oracle_area = _curve(error.sort().values)
    return Sparsification(shares, oracle, area, oracle_area)


def _curve(error: Tensor) -> tuple[tuple[float, ...], float]:
    """Return the mean of the first quarters of errors (N,) over that of all, and the mean over all `CURVE_POINTS`."""
    count = len(error)
    running = error.cumsum(0) / torch.arange(1, count + 1, device=error.device)
    whole = running[-1].clamp(min=1e-12)
    at = [max(1, round(count * share)) - 1 for share in QUARTERS]
    points = torch.linspace(0, count - 1, min(count, CURVE_POINTS + 1), device=error.device).round().long()[1:]
    along = running[points] if len(points) else running
    return tuple((running[at] / whole).tolist()), float((along / whole).mean())


def mean(values: Tensor) -> float:
    """Return the mean as a number, NaN of nothing."""
    return float(values.double().mean()) if len(values) else math.nan
