"""Detections whose left and right are swapped: of the whole person, the arms or the legs.

For detections in the given and in another order o, linearised at the estimate in the data's own space:

    r_o = W_o (p - t_o),   S_o = I + W_o J N⁻¹ Jᵀ W_oᵀ,   e_o = S_o⁻¹ r_o          residual that the best step leaves
    cost_o = ½ Σ_k ρ(|e_ok|²) + ½ e_oᵀ (S_o - I) e_o                               nats: evidence, and size of the step

    p, J: pixels and Jacobian of the keypoints,  t_o, W_o: targets and roots of information in that order
    N: information of the priors

A swap is likely where its cost is lower by more than `LEAST_GAIN`. Robust weights are found by repetition.

Source: Bar-Shalom, Estimation with Applications to Tracking and Navigation, 2001, sec. 5.2 (innovation and its
covariance); Bishop, Pattern Recognition and Machine Learning, 2006, sec. 3.5 (evidence of a linear model).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import torch
from jaxtyping import Float
from torch import Tensor

from refine.body import KeypointSet, SkinnedBody
from refine.keypoints.detections import own_points
from refine.solve import cholesky
from refine.solve.linearized import linearized
from refine.solve.normal_equations import summed
from refine.solve.start import Kind, Start
from refine.state import State, Unknowns
from refine.terms import Kernel, Term
from refine.terms.keypoints import Keypoints

LEAST_GAIN = 4.0
"""Nats by which a swap must explain the keypoints better: detectors swap one person in some fifty."""
ARM = ("elbow", "wrist", "hand", "thumb", "index", "middle", "ring", "pinky")
LEG = ("knee", "ankle", "heel", "toe", "foot")
REWEIGHTINGS = 2
"""Repetitions of the robust weights."""
LEAST_PRIOR = 1e-4
"""Information added to every column, per unit step squared, so that one without a prior can be solved."""


@dataclass(frozen=True, eq=False)
class Swap:
    """An order of a set's K keypoints in which some left ones stand for right ones.

    Attributes:
        kind: Which part of a person is swapped.
        order: For each keypoint the detected one that is taken.
    """

    kind: Kind
    order: tuple[int, ...]


def swaps_of(points: KeypointSet) -> tuple[Swap, ...]:
    """Return the orders in which detectors confuse the keypoints of a set.

    Args:
        points: The set; one without left and right has none.
    """
    parts = (
        (Kind.SWAPPED, ("",)),
        (Kind.SWAPPED_ARMS, ARM),
        (Kind.SWAPPED_ARMS, (*ARM, "shoulder")),
        (Kind.SWAPPED_LEGS, LEG),
        (Kind.SWAPPED_LEGS, (*LEG, "hip")),
    )
    # Of a whole-body set the body's own points may be swapped and the faces' and hands' not: other networks find them.
    found: dict[tuple[int, ...], Swap] = {}
    for (kind, words), count in product(parts, (len(points.names), own_points(points.names))):
        order = list(range(len(points.names)))
        for left, right in points.pairs:
            if max(left, right) < count and any(word in points.names[left].lower() for word in words):
                order[left], order[right] = right, left
        found.setdefault(tuple(order), Swap(kind, tuple(order)))
    found.pop(tuple(range(len(points.names))), None)
    return tuple(found.values())


def reordered(term: Keypoints, order: Sequence[int]) -> Keypoints:
    """Return a term whose detections are taken in another order."""
    places = list(order)
    return replace(term, target=term.target[:, places], sqrt_information=term.sqrt_information[:, places])


def likely_swaps(body: SkinnedBody, state: State, term: Keypoints, priors: Sequence[Term]) -> tuple[Start | None, ...]:
    """Return for each body the likeliest swap of its detections, None where there is no likely one.

    Args:
        body: The model.
        state: B estimates.
        term: Their detections.
        priors: All of them, as wide as regressors usually err.
    """
    swaps = swaps_of(term.points)
    if not swaps or not len(state):
        return (None,) * len(state)
    gains = gains_of(body, state, term, priors, [swap.order for swap in swaps])
    best, which = gains.max(1)
    likely = (best > LEAST_GAIN).tolist()
    return tuple(
        Start(swaps[number].kind, swaps[number].order) if is_likely else None
        for is_likely, number in zip(likely, which.tolist(), strict=True)
    )


def gains_of(
    body: SkinnedBody, state: State, term: Keypoints, priors: Sequence[Term], orders: Sequence[Sequence[int]]
) -> Float[Tensor, "B O"]:
    """Return by how much each order explains the detections better than the given one, nats.

    Args:
        body: The model.
        state: B estimates.
        term: Their detections.
        priors: All of them.
        orders: O orders of the K keypoints.

    Returns:
        (B, O); minus infinity for a body whose numbers are not finite.
    """
    unknowns = Unknowns(body.anatomy.core_joints, body.shape_basis.shape[2], 0, 3)
    count = len(term.points.names)
    eye = torch.eye(2).to(term.sqrt_information).expand_as(term.sqrt_information)
    plain = linearized(body, state, [replace(term, sqrt_information=eye)], unknowns).terms[0]
    prior = summed(linearized(body, state, priors, unknowns)).information.double()
    away = plain.residual.double() + term.target.double()  # (B, K, 2) px, where the body has its points
    jacobian = plain.jacobian.double().flatten(1, 2)  # (B, 2K, P)
    held = prior + LEAST_PRIOR * torch.eye(unknowns.size).to(prior)
    spread = (jacobian @ cholesky.solve(held, jacobian.mT)).unflatten(2, (count, 2)).unflatten(1, (count, 2))
    costs = []
    for order in (range(count), *orders):
        read = reordered(term, order)
        root = read.sqrt_information.double()  # (B, K, 2, 2)
        residual = (root @ (away - read.target.double())[..., None])[..., 0]
        whitened = torch.einsum("bkij,bkjlm,blnm->bkiln", root, spread, root).flatten(3).flatten(1, 2)
        costs.append(_cost(residual, whitened, term.kernel))
    gains = costs[0][:, None] - torch.stack(costs[1:], 1)
    return torch.where(gains.isfinite(), gains, -torch.inf)


def _cost(residual: Float[Tensor, "B K 2"], spread: Float[Tensor, "B N N"], kernel: Kernel) -> Float[Tensor, "B"]:
    """Return the cost (B,) that the best step leaves, and its own; `spread` is what the priors allow, whitened."""
    eye = torch.eye(spread.shape[1]).to(spread)
    weight = torch.ones_like(residual[..., 0])  # (B, K)
    for _ in range(1 + REWEIGHTINGS):
        # Rows of a smaller weight w have the root √w of their information: what remains is found in the same space.
        root = weight.sqrt().repeat_interleave(2, 1)  # (B, 2K)
        scaled = root[:, :, None] * spread * root[:, None, :]
        pull = cholesky.solve(eye + scaled, root[..., None] * residual.flatten(1)[..., None])  # (B, 2K, 1)
        step = (pull.mT @ scaled @ pull)[:, 0, 0]  # size of the step in the priors' sigmas, squared
        left = residual - (spread @ (root[..., None] * pull)).unflatten(1, (-1, 2))[..., 0]
        squared = left.square().sum(2)
        weight = kernel.weight(squared)
    return 0.5 * kernel.rho(squared).sum(1) + 0.5 * step
