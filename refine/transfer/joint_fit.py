"""How well stored points follow from the rotations stored beside them, under the names an order gives them.

    misfit = max_n |X_n - (k P_n + t)|,   k > 0 and t by least squares over the body's own joints,   no rotation

P are a mean body's points in the source's own rotations, X the stored ones. They are wrong where a misfit is beyond its
limit, or two points lie the other way round, (X_m - X_n) · (P_m - P_n) < 0. The first is blind to a swap of neighbours;
the second to nothing that two people's bones can differ by.

Source: derived here; where P lie: `refine/transfer/joint_orders.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from refine.body.keypoint_names import SMPL22
from refine.estimate import Source
from refine.estimate.usable import without_numbers
from refine.transfer.joint_orders import OWN, Names, posed_points

MISFIT_M = 0.08
"""How far a joint may lie from where the rotations put it on a mean body: in stored results bones and definitions
differ by 40 mm."""

BEYOND_M = 0.12
"""The same for points beyond the body's own joints: fingers on a mean hand that is not known, a face in motion."""

APART_M = 0.06
"""Points nearer to each other than this are not asked which way round they lie."""

INVERTED = -0.25
"""(X_m - X_n) · (P_m - P_n) over |P_m - P_n|² of points the other way round: -1 of two that were swapped, 1 of two that
were not."""

FEWEST = 6
"""Fewer points than this are not judged."""

CHUNK = 256
"""Bodies looked at together; pairs of 140 points of these are 20 MB."""


@dataclass(frozen=True, eq=False)
class Fit:
    """How stored points fit the rotations.

    Attributes:
        misfit: (B,) m, of the worst point.
        worst: (B,) which point that is.
        wrong: (B,) whether the points cannot be what they are called.
        asked: (B,) whether the body has numbers of its own; one that has none is never wrong.
    """

    misfit: Float[Tensor, "B"]
    worst: Int[Tensor, "B"]
    wrong: Bool[Tensor, "B"]
    asked: Bool[Tensor, "B"]

    @property
    def many(self) -> bool:
        """Whether more than half of the bodies are wrong: then the order is, and not these bodies."""
        return 2 * int(self.wrong.sum()) > int(self.asked.sum())

    @property
    def median(self) -> float:
        """The median misfit, m."""
        return float(self.misfit[self.asked].median())


def fit(points: Float[Tensor, "B L 3"], names: Sequence[str], source: Source) -> Fit:
    """Hold points against a source's rotations; the body's own joints among them say size and place.

    Args:
        points: (B, L, 3) m, any translation.
        names: What they are; "" is not looked at.
        source: Its rotations.
    """
    known, predicted = posed_points(source.pose[:1], source.model)
    places = [place for place, name in enumerate(names) if name in known]
    asked = ~without_numbers(source).to(points.device)
    nobody = torch.zeros_like(asked)
    if len(places) < FEWEST:
        return Fit(nobody.float(), nobody.long(), nobody, asked)
    chosen = [known.index(names[place]) for place in places]
    own = {place for place, name in enumerate(of_the_body(tuple(names), source.model)) if name}
    limits = points.new_tensor([MISFIT_M if place in own else BEYOND_M for place in places])
    parts = []
    rows = (part.split(CHUNK) for part in (points[:, places], source.pose, source.betas))
    for stored, pose, betas in zip(*rows, strict=True):
        predicted = posed_points(pose.to(stored), source.model, betas.to(stored))[1][:, chosen]
        parts.append(_fit(stored.float(), predicted.float(), limits))
    misfit, worst, wrong = (torch.cat(part) for part in zip(*parts, strict=True))
    return Fit(misfit, torch.tensor(places)[worst], wrong & asked, asked)


def _fit(stored: Tensor, predicted: Tensor, limits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return misfit (b,) m, worst point (b,), and whether (b, n, 3) are wrong; the least limit is the body's."""
    body = limits == limits.min()
    x, p = (part - part[:, body].mean(1, keepdim=True) for part in (stored, predicted))
    size = ((x * p)[:, body].sum((1, 2)) / (p * p)[:, body].sum((1, 2))).clamp(min=0)
    p = size[:, None, None] * p
    apart = (x - p).norm(dim=2)
    square, along = _of_pairs(p, p), _of_pairs(x, p)
    turned = (square > APART_M**2) & (along < INVERTED * square)
    misfit, worst = apart.max(1)
    return misfit, worst, (apart > limits).any(1) | turned.flatten(1).any(1) | (size == 0)


def _of_pairs(x: Tensor, p: Tensor) -> Tensor:
    """Return (x_m - x_n) · (p_m - p_n) of all pairs, (b, n, n) m²."""
    product = x @ p.mT
    own = product.diagonal(dim1=1, dim2=2)
    return own[:, :, None] + own[:, None] - product - product.mT


def of_the_body(names: Names, model: str) -> Names:
    """Leave out all names but those of the body's own joints, each where it is listed first.

    Args:
        names: What is listed.
        model: "smpl", "smplh", "smplx" or "anny".

    Returns:
        As many names, "" for the others; all as they were, where too few are the body's own.
    """
    body = OWN["smpl"] if model == "smpl" else SMPL22
    own = tuple(name if name in body and names.index(name) == place else "" for place, name in enumerate(names))
    return own if sum(map(bool, own)) >= FEWEST else names
