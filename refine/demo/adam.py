"""Adam on the solver's own cost, as most fitting code does it: 300 first-order steps by reverse-mode autograd.

    step <- Adam(½ Σ ρ(‖residual(retract(estimate, step))‖²))          all bodies at once, each with its own gradient

It gets the evidence the solver gets: the same renderings, matches, priors, unknowns and kernels, in as many rounds.

Source: Kingma and Ba, Adam, ICLR 2015, algorithm 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from refine.body import SkinnedBody, pose_body
from refine.demo.known import KnownDisplacement
from refine.dense.correspondence import Matching, correspond
from refine.estimate import Estimate
from refine.photo import Photo
from refine.render.view import render_view
from refine.solve.autodiff import linearize
from refine.solve.observability import choose_unknowns
from refine.state import State, Unknowns
from refine.terms import Term
from refine.terms.reprojection import Reprojection


@dataclass(frozen=True)
class Adam:
    """Adam's settings."""

    steps: int = 300
    """In all rounds together; at this number fitting code commonly stops (SMPLify-X and its successors: 100 to 500)."""
    rate: float = 1e-2
    """Step size, the same for radians, metres and shape coefficients (0.01: the best of 0.003, 0.01 and 0.03 here)."""

    def refine(
        self,
        photos: Sequence[Photo],
        estimate: Estimate,
        displacer: KnownDisplacement,
        priors: Sequence[Term],
        matching: Matching,
        rounds: int,
    ) -> State:
        """Do what `refine.refiner.Refiner` does, with Adam where it solves.

        Args:
            photos: One photo a body.
            estimate: Where to start.
            displacer: The evidence.
            priors: Terms that need no image.
            matching: How matches are taken.
            rounds: Renderings; the steps are shared among them.

        Returns:
            The state after the last step.
        """
        body, state = estimate.body, estimate.state
        for _ in range(rounds):
            view = render_view(photos, replace(estimate, state=state))
            matches = correspond(view.fragments, displacer.displace(view), view.crop.image_from_crop, matching)
            evidence = Reprojection(matches)
            unknowns = choose_unknowns(body, state, [evidence])
            state = self.descend(body, state, evidence, priors, unknowns, self.steps // rounds)
        return state

    def descend(
        self,
        body: SkinnedBody,
        state: State,
        evidence: Reprojection,
        priors: Sequence[Term],
        unknowns: Unknowns,
        steps: int,
    ) -> State:
        """Take a number of steps down the cost.

        Args:
            body: The model.
            state: Where to start.
            evidence: Matches.
            priors: Other terms.
            unknowns: The columns of a step.
            steps: How many.

        Returns:
            The state after the last step.
        """
        step = state.bodies.translation.new_zeros(len(state), unknowns.size, requires_grad=True)
        optimizer = torch.optim.Adam([step], lr=self.rate)
        for _ in range(steps):
            optimizer.zero_grad()
            cost(body, state.retract(unknowns, step), evidence, priors, unknowns).sum().backward()
            optimizer.step()
        return state.retract(unknowns, step.detach())


def cost(body: SkinnedBody, state: State, evidence: Reprojection, priors: Sequence[Term], unknowns: Unknowns) -> Tensor:
    """Return the robust cost (B,) of a state, differentiable; only the matched points are skinned."""
    posed = pose_body(body, state.bodies)
    matches = evidence.matches
    point = posed.surface_position(matches.triangle, matches.barycentric)
    offset = state.camera.project(point) - matches.target
    residual = (matches.sqrt_information @ offset[..., None])[..., 0]
    whole = 1.0 if matches.share is None else matches.share.square()
    total = (evidence.kernel.rho(residual.square().sum(-1) / whole) * whole).sum(1)
    for term in priors:
        found = linearize(term, state, posed, unknowns)
        total = total + found.kernel.rho(found.residual.square().sum(-1)).sum(1)
    return 0.5 * total
