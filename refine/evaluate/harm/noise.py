"""Errors of dense matches like our network's: size, correlation of neighbours, tails, and how sure it says it is.

Along (a) and across (c) the limb a pixel lies on, px of a 256 crop, at a true displacement of size m:

    said_i = keep_i(m) true_i + ratio_i(m) sigma_i w_i,    sigma_i = typical_i(m) exp(spread v),       i = a, c

w has 68.3 % of its values within ±1, heavy tails, and the autocorrelation Σ_k share_k exp(-d² / (4 length_k²)); v is
like it, of unit variance. Two families have the same central 68 and 95 % and differ beyond: w ~ Student's t by a copula
("student"), and w = exp(s u) z with u and z normal fields ("mixed").

Source: the numbers are those of `dense_noise.json`, measured by `python -m tests.benchmarks.harm.measure_noise`.
"""

import json
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from refine.evaluate.errors import REFERENCE_PX

Family = Literal["student", "mixed", "normal"]
FILE = Path(__file__).parent / "dense_noise.json"
ONE_SIGMA, TWO_SIGMA = math.erf(1 / math.sqrt(2)), math.erf(2 / math.sqrt(2))
"""Shares of a Gaussian within one and two standard deviations."""


@dataclass(frozen=True)
class DenseNoise:
    """What was measured of a network; `size_px` holds the sizes m, the tables follow it, along then across."""

    size_px: tuple[float, ...]
    keep: tuple[tuple[float, ...], tuple[float, ...]]
    ratio: tuple[tuple[float, ...], tuple[float, ...]]
    typical_px: tuple[tuple[float, ...], tuple[float, ...]]
    spread: float
    length_px: tuple[float, ...]
    share: tuple[float, ...]
    dof: float
    seen_said: float
    """Share of visible points that are said to be visible."""
    hidden_said: float
    """Share of hidden points that are said to be visible."""
    hidden_ratio: float
    """Error over stated sigma of those, beside `ratio`."""
    correlation_px: float
    """What the network's own weights state (`refine.dense.correspondence.Matching`)."""

    def at(self, table: tuple[tuple[float, ...], tuple[float, ...]], size: Float[Tensor, "*shape"]) -> Tensor:
        """Look up a table at sizes, linearly between its entries: (..., 2), along and across."""
        places = np.asarray(self.size_px)
        flat = size.detach().double().cpu().numpy().ravel()
        found = [torch.from_numpy(np.interp(flat, places, np.asarray(row))).reshape(size.shape) for row in table]
        return torch.stack(found, -1).to(size)


@cache
def measured() -> DenseNoise:
    """Return the numbers of `dense_noise.json`."""
    stored = json.loads(FILE.read_text())

    def pair(name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
        along, across = stored[name]
        return tuple(along), tuple(across)

    return DenseNoise(
        tuple(stored["size_px"]), pair("keep"), pair("ratio"), pair("typical_px"), stored["spread"],
        tuple(stored["length_px"]),
        tuple(stored["share"]), stored["dof"], stored["seen_said"], stored["hidden_said"], stored["hidden_ratio"],
        stored["correlation_px"],
    )  # fmt: skip


def normal_fields(seeds: tuple[int, ...], channels: int, side: int, noise: DenseNoise) -> Float[Tensor, "B C S S"]:
    """Draw fields of unit variance with the measured autocorrelation.

    Args:
        seeds: B, one a body: the same seed gives the same field in every batch.
        channels: C, independent ones.
        side: S, px of the crop.
        noise: Says how far values hang together.

    Returns:
        (B, C, S, S), float32.
    """
    lengths = [length * side / REFERENCE_PX for length in noise.length_px]
    # Fields are drawn twice as wide and cut: what is far apart must not meet around the border.
    wide = 2 * side
    frequency = torch.fft.fftfreq(wide)[:, None].square() + torch.fft.rfftfreq(wide)[None].square()
    # White noise blurred by a Gaussian of length l has the autocorrelation exp(-d² / (4 l²)).
    filters = [torch.exp(-2 * (math.pi * length) ** 2 * frequency) for length in lengths]
    weight = torch.where(torch.arange(wide // 2 + 1) % (wide // 2) == 0, 1.0, 2.0)
    gains = [float(((one * one) * weight).sum() / wide**2) ** -0.5 for one in filters]
    # One white noise a scale would be the exact model; their sum has the same spectrum as one noise under the combined
    # filter.
    power = sum(share * (gain * one).square() for share, gain, one in zip(noise.share, gains, filters, strict=True))
    assert isinstance(power, Tensor)
    root = power.sqrt()
    drawn = torch.stack(
        [torch.randn(channels, wide, wide, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    )
    return torch.fft.irfft2(torch.fft.rfft2(drawn) * root, s=(wide, wide))[..., :side, :side]


def heavy(z: Tensor, scale: Tensor, family: Family, dof: float) -> Tensor:
    """Turn normal values into those of a family, 68.3 % of which lie within ±1.

    Args:
        z: Normal.
        scale: Normal, independent of z, smooth; "mixed" uses it.
        family: Which.
        dof: Of Student's t; "mixed" has the same 95.4 % quantile.
    """
    if family == "normal":
        return z
    if family == "mixed":
        spread, unit = mixed_scale(dof)
        return torch.exp(spread * scale) * z / unit
    return _student_table(dof).to(z)[((z.clamp(-LIMIT, LIMIT) + LIMIT) / (2 * LIMIT) * (TABLE - 1)).round().long()]


LIMIT, TABLE = 5.0, 20_001


@cache
def _student_table(dof: float) -> Tensor:
    from scipy import stats

    z = np.linspace(-LIMIT, LIMIT, TABLE)
    unit = stats.t.ppf(0.5 + ONE_SIGMA / 2, dof)
    return torch.from_numpy(stats.t.ppf(stats.norm.cdf(z), dof) / unit)


def quantile_ratio(dof: float) -> float:
    """Return how far Student's 95.4 % lie out, in units of its 68.3 %: 2 for a Gaussian."""
    from scipy import stats

    return float(stats.t.ppf(0.5 + TWO_SIGMA / 2, dof) / stats.t.ppf(0.5 + ONE_SIGMA / 2, dof))


@cache
def mixed_scale(dof: float) -> tuple[float, float]:
    """Return the log-normal scale s whose mixture has Student's quantile ratio, and the mixture's 68.3 % quantile."""
    from scipy import stats
    from scipy.optimize import brentq

    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    weights = weights / weights.sum()

    def quantile(spread: float, share: float) -> float:
        def miss(x: float) -> float:
            return float((weights * (2 * stats.norm.cdf(x * np.exp(-spread * nodes)) - 1)).sum()) - share

        return float(brentq(miss, 1e-3, 1e3))

    def off(spread: float) -> float:
        return quantile(spread, TWO_SIGMA) / quantile(spread, ONE_SIGMA) - quantile_ratio(dof)

    spread = float(brentq(off, 1e-4, 2.0))
    return spread, quantile(spread, ONE_SIGMA)
