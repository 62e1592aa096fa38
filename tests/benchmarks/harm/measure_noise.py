"""Measures how our network errs on new people: `python -m tests.benchmarks.harm.measure_noise [--each N]`.

It writes `dense_noise.json`, from which the benchmark's dense evidence is made (`refine.evaluate.harm.noise` holds the
model that is fitted):

    keep_i(m)      = Σ said_i true_i / Σ true_i²             over visible points whose true displacement is about m
    w_i            = (said_i - keep_i true_i) / sigma_i      sigma_i the stated standard deviation along axis i
    ratio_i(m)     : 68.3 % of |w_i| are below it            typical_i(m), spread: median and width of log sigma_i
    length, share  : fitted to the mean of w(p) w(q) / w², by the distance of p and q in the crop (w cut at three)

It needs the full base mesh (REFINE_TRAINING_BODY) and the assets (REFINE_ASSETS). Source: as in
`displacement_net.training.holdout`.
"""

import argparse
import itertools
import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from displacement_net import catalog
from displacement_net.model import DisplacementNet
from displacement_net.training.batches import batch_of
from displacement_net.training.evaluation.hold_out import HoldOut, hold_out_of
from displacement_net.training.samples import Samples
from displacement_net.training.training_body import vertices_of
from refine.body import SkinnedBody, pose_body
from refine.errors import InputError
from refine.evaluate.errors import REFERENCE_PX
from refine.evaluate.harm.dense import limb_axes
from refine.evaluate.harm.noise import FILE, ONE_SIGMA, TWO_SIGMA, quantile_ratio
from refine.render.rasterize import default_rasterizer, rasterize

STRENGTHS = ("weak", "medium", "strong", "near")
BINS_PX = (0.0, 1.0, 3.0, 8.0, 16.0, 32.0, math.inf)
"""Bounds of the true displacement's size, px of a 256 crop."""
LENGTHS_PX = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
"""Lengths whose shares are fitted, px of a 256 crop."""
CUT = 3.0
"""Whitened errors are cut here where their autocorrelation is taken, as the kernels of the solver would."""
FAR_OFF = 6.0
"""Points farther off than this in standard deviations say nothing about shrinkage."""
DOF = (2.1, 60.0)
"""Degrees of freedom between which the tails are sought."""


@dataclass(frozen=True)
class Points:
    """N rendered points, px of a 256 crop, along and across their limbs."""

    true: Tensor
    said: Tensor
    sigma: Tensor
    visible: Tensor
    said_visible: Tensor


@torch.no_grad()
def points_of(network: DisplacementNet, body: SkinnedBody, samples: Samples) -> tuple[Points, Tensor]:
    """Ask about samples.

    Args:
        network: In evaluation mode.
        body: The people's model.
        samples: B samples.

    Returns:
        Its points, and which pixels (B, S, S) they are.
    """
    size = samples.image.shape[-1]
    said = network(batch_of(samples).channels)
    own = samples.estimate.camera
    posed = pose_body(body, samples.estimate.bodies)
    camera = samples.crop.camera(own)
    triangle = rasterize(default_rasterizer(), vertices_of(body, posed), body.faces, camera, size, size).triangle
    axes = limb_axes(body, triangle, camera.project(posed.joints))
    where = samples.foreground & (triangle >= 0)
    axes = axes[where]
    at_256 = REFERENCE_PX / size
    inverse = torch.linalg.inv(said.sqrt_information[where].double())
    covariance = inverse @ inverse.mT
    sigma = (axes.double() @ covariance @ axes.double().mT).diagonal(dim1=-2, dim2=-1).clamp(min=0).sqrt()
    turned = [at_256 * (axes @ each[where][..., None])[..., 0] for each in (samples.offset, said.offset)]
    points = Points(
        turned[0].double(), turned[1].double(), at_256 * sigma, samples.visible[where], said.visible[where] > 0
    )
    return points, where


def summarise(parts: Sequence[tuple[Points, Tensor]], network: DisplacementNet) -> dict[str, object]:
    """Fit the model of `refine.evaluate.harm.noise`.

    Args:
        parts: Points and their pixels, batch by batch.
        network: Its stated correlation is noted.
    """
    points = Points(*(torch.cat([getattr(part, name) for part, _ in parts]) for name in Points.__dataclass_fields__))
    size = points.true.norm(dim=-1)
    seen, heard = points.visible, points.visible & points.said_visible
    whitened = (points.said - points.true) / points.sigma
    table: dict[str, list[list[float]]] = {name: [[], []] for name in ("keep", "ratio", "typical_px")}
    sizes: list[float] = []
    white = torch.full_like(points.true, math.nan)
    spreads = []
    for low, high in itertools.pairwise(BINS_PX):
        inside = (size >= low) & (size < high)
        own = inside & heard
        sizes.append(float(size[own].median()))
        for axis in range(2):
            near = own & (whitened[:, axis].abs() < FAR_OFF)
            true, said = points.true[near, axis], points.said[near, axis]
            keep = float((said * true).sum() / (true * true).sum())
            off = (points.said[:, axis] - keep * points.true[:, axis]) / points.sigma[:, axis]
            ratio = (
                float(off[own].abs().quantile(ONE_SIGMA)) if int(own.sum()) < 2**24 else _quantile(off[own], ONE_SIGMA)
            )
            white[inside, axis] = off[inside] / ratio
            typical = float(points.sigma[own, axis].median())
            table["keep"][axis].append(keep)
            table["ratio"][axis].append(ratio)
            table["typical_px"][axis].append(typical)
            spreads.append((points.sigma[own, axis] / typical).log())
    spread = torch.cat(spreads)
    width = (_quantile(spread, 0.5 + ONE_SIGMA / 2) - _quantile(spread, 0.5 - ONE_SIGMA / 2)) / 2
    flat = white[heard].flatten().abs()
    dof = _dof(_quantile(flat, TWO_SIGMA) / _quantile(flat, ONE_SIGMA))
    wrong = white[~seen & points.said_visible].flatten().abs()
    share = _shares(parts, white)
    rounded = {name: [[round(v, 3) for v in row] for row in rows] for name, rows in table.items()}
    return {
        "size_px": [round(each, 2) for each in sizes],
        **rounded,
        "spread": round(width, 3),
        "length_px": list(LENGTHS_PX),
        "share": [round(each, 4) for each in share],
        "dof": round(dof, 2),
        "seen_said": round(float(points.said_visible[seen].double().mean()), 3),
        "hidden_said": round(float(points.said_visible[~seen].double().mean()), 3),
        "hidden_ratio": round(_quantile(wrong, ONE_SIGMA) if len(wrong) else 1.0, 3),
        "correlation_px": round(float(network.correlation_px), 2),
        "measured_on": {"points": int(heard.sum()), "strengths": list(STRENGTHS), "weights": catalog.DEFAULT},
    }


def _quantile(values: Tensor, share: float) -> float:
    return float(np.quantile(values.cpu().numpy(), share))


def _dof(ratio: float) -> float:
    """Return Student's degrees of freedom at which 95.4 % lie so many times as far out as 68.3 %."""
    from scipy.optimize import brentq

    low, high = DOF
    if ratio >= quantile_ratio(low):
        return low
    if ratio <= quantile_ratio(high):
        return high
    return float(brentq(lambda dof: quantile_ratio(dof) - ratio, low, high))


def _shares(parts: Sequence[tuple[Points, Tensor]], white: Tensor) -> list[float]:
    """Fit the autocorrelation of whitened errors by a sum of Gaussians: their shares, which sum to one."""
    from scipy.optimize import nnls

    products: Tensor | None = None
    pairs: Tensor | None = None
    start, side = 0, 0
    for points, where in parts:
        side = where.shape[1]
        own = white[start : start + len(points.true)]
        start += len(points.true)
        heard = (points.visible & points.said_visible)[:, None] & own.isfinite()
        values = torch.where(heard, own.nan_to_num().clamp(-CUT, CUT), 0.0)
        wide = (2 * side, 2 * side)
        for axis in range(2):
            field, there = torch.zeros(where.shape).double(), torch.zeros(where.shape).double()
            field[where], there[where] = values[:, axis], heard[:, axis].double()
            sums = [
                torch.fft.irfft2(torch.fft.rfft2(each, s=wide).abs().square(), s=wide).sum(0) for each in (field, there)
            ]
            products = sums[0] if products is None else products + sums[0]
            pairs = sums[1] if pairs is None else pairs + sums[1]
    assert products is not None and pairs is not None
    line = torch.fft.fftfreq(2 * side, 1 / (2 * side)).double()
    distance = (line[:, None].square() + line[None].square()).sqrt() * REFERENCE_PX / side
    near = (distance < REFERENCE_PX / 2) & (pairs > 0.5)
    rho = (products[near] / pairs[near] / (products[0, 0] / pairs[0, 0])).numpy()
    away = distance[near].numpy()
    basis = np.stack([np.exp(-(away**2) / (4 * length**2)) for length in LENGTHS_PX], 1)
    weight = np.sqrt(pairs[near].numpy())
    sure = 1e3 * weight.max() * math.sqrt(len(away))  # shares sum to one
    left = np.concatenate((basis * weight[:, None], np.full((1, len(LENGTHS_PX)), sure)))
    found, _ = nnls(left, np.concatenate((rho * weight, [sure])))
    return [float(each) for each in found / found.sum()]


def measure(network: DisplacementNet, hold_out: HoldOut, each: int) -> dict[str, object]:
    """Measure a network.

    Args:
        network: In evaluation mode.
        hold_out: People it was not trained with.
        each: Samples of each strength, of whose looks nothing is known.
    """
    size = network.settings.crop_px
    drawn = hold_out.batches("none", size, each, STRENGTHS)
    parts = [points_of(network, hold_out.training.body, samples) for samples, _ in drawn]
    return summarise(parts, network)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the shipped network and write `dense_noise.json`.

    Raises:
        InputError: REFINE_TRAINING_BODY names no base mesh.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.harm.measure_noise", description=__doc__)
    parser.add_argument("--each", type=int, default=48, help="samples of each strength")
    parser.add_argument("--out", type=Path, default=FILE)
    options = parser.parse_args(arguments)
    body = os.environ.get("REFINE_TRAINING_BODY")
    if not body:
        raise InputError("REFINE_TRAINING_BODY", "the full base mesh", "nothing")
    found = measure(
        catalog.load(catalog.DEFAULT), hold_out_of(Path(body), Path(os.environ["REFINE_ASSETS"])), options.each
    )
    rows = ",\n".join(f" {json.dumps(name)}: {json.dumps(value)}" for name, value in found.items())
    options.out.write_text(f"{{\n{rows}\n}}\n")
    print(options.out.read_text(), end="")


if __name__ == "__main__":
    main()
