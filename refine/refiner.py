"""The method: renders the estimate, predicts the displacement of its pixels, solves, and repeats.

    for each round
        view    <- the estimate rendered into crops of the photos                (only with a displacer)
        terms   <- the caller's evidence, matches from the displacement of rendered pixels
        sigmas  <- usual errors of regressors and detectors; after the first round estimated from the evidence
        state   <- the minimum of the robust cost of all terms                   (Levenberg-Marquardt)
    state       <- the estimate, where the gate rejects the update

Bodies that share nothing are independent: one that is still waits for the last round, one out of sight stays.

Source: Wehrbein et al., Personalized 3D Human Pose and Shape Refinement, ICCVW 2023; solver and sigmas are our own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch

from refine import batch
from refine.ambient import usual_torch
from refine.dense.correspondence import Matching, correspond
from refine.dense.displacer import Displacer, matching_of
from refine.errors import InputError
from refine.estimate import Estimate
from refine.photo import Photo
from refine.render import Rasterizer
from refine.render.view import View, render_view
from refine.solve import Solution
from refine.solve.levenberg_marquardt import LevenbergMarquardt
from refine.solve.observability import observe, out_of_sight, withhold
from refine.solve.sharing import share_focal
from refine.state import Unknowns
from refine.terms import Term
from refine.terms.correspondences import Correspondences
from refine.terms.reprojection import Reprojection
from refine.trust.appearance import unexplained_before_and_after
from refine.trust.gate import Gate

Callback = Callable[[int, Solution], None]


@dataclass(frozen=True)
class Refiner:
    """The parts of the method, each replaceable.

    Raises:
        InputError: The displacer or its matching is of another type, or a number is not at least one.
    """

    displacer: Displacer | None = None
    """Source of dense evidence; None: only the caller's evidence."""

    solver: LevenbergMarquardt = field(default_factory=LevenbergMarquardt)
    """Settings of the solver."""

    matching: Matching | None = None
    """Number of matches taken from a displacement, and correlation length of their errors; None: the displacer's."""

    rasterizer: Rasterizer | None = None
    """Finds the visible triangles; None: the fastest one installed."""

    gate: Gate | None = field(default_factory=Gate)
    """Finds each estimate's error scale, accepts or rejects its update; None: usual errors, every update accepted."""

    unknowns: Unknowns | None = None
    """The columns to solve for; None: core joints, shape, translation, and other joints the evidence determines."""

    rounds: int = 3
    """Times the estimate is rendered and solved; without displacer and gate it is solved once."""

    crop_px: int = 256
    """Side of the square crops that are rendered."""

    still_px: float = 0.5
    """A body whose joints moved less than this (px of its crop) is not rendered again before the last round."""

    def __post_init__(self) -> None:
        if self.displacer is not None and not isinstance(self.displacer, Displacer):
            raise InputError("refiner.displacer", "an object with displace(view)", type(self.displacer).__name__)
        if self.rounds < 1 or self.crop_px < 1:
            raise InputError("refiner", "rounds and crop_px of at least 1", f"{self.rounds} and {self.crop_px}")
        matching_of(self.displacer, self.matching)

    @classmethod
    def default(cls) -> "Refiner":
        """Return the method with the network that ships with the library, on the CPU."""
        from refine.dense.network import shipped_displacer

        return cls(displacer=shipped_displacer())

    @usual_torch()
    @torch.no_grad()
    def refine(
        self,
        photos: Sequence[Photo],
        estimate: Estimate,
        evidence: Sequence[Term],
        priors: Sequence[Term],
        callback: Callback | None = None,
    ) -> tuple[Solution, ...]:
        """Refine all bodies of an estimate.

        Args:
            photos: The images `estimate.image_index` points into.
            estimate: B bodies and their cameras.
            evidence: Terms used in every round.
            priors: Terms that need no image.
            callback: Called after each round with its number, from 0, and its solution.

        Returns:
            One solution a round, at least one; the last one's state is the result.
        """
        unknowns = share_focal(self.unknowns, estimate)
        body, state, matching = estimate.body, estimate.state, matching_of(self.displacer, self.matching)
        excluded, parts = out_of_sight(estimate), body.vertex_parts[body.faces[:, 0]]
        still = torch.zeros_like(estimate.image_index, dtype=torch.bool)  # (B,)
        matches: Correspondences | None = None
        view: View | None = None
        solutions: list[Solution] = []
        for number in range(count := self.rounds if self.displacer or self.gate else 1):
            last, terms, own = number == count - 1 or bool(still.all()), list(evidence), tuple(priors)
            if self.displacer:
                if matches is None or not bool(still.all()):
                    there = replace(estimate, state=state)
                    view = render_view(photos, there, self.rasterizer, self.crop_px, before=view)
                    displacement = self.displacer.displace(view)
                    fresh = correspond(view.fragments, displacement, view.crop.image_from_crop, matching, parts)
                    matches = fresh if matches is None else batch.where(still, matches, fresh)
                terms.append(Reprojection(matches))
            observed = observe(body, state, terms, unknowns)
            wrong = self.gate.quality(priors, body, state, observed) if self.gate and number else None
            if self.gate and wrong:
                terms, own = self.gate.weighed(terms, priors, wrong, solutions[0], body)
            found = (self.solver if last else self.solver.rough()).solve(body, state, [*terms, *own], observed.unknowns)
            solution = withhold(found, state, excluded, observed.seen, still & (not last))
            solutions.append(replace(solution, evidence=tuple(terms), priors=own, quality=wrong))
            state = solution.state
            if callback:
                callback(number, solution)
            if last:
                break
            if view:
                still = still | (view.moved_px(state) < self.still_px)
        if self.gate:
            unexplained = unexplained_before_and_after(photos, estimate, state, self.displacer, self.rasterizer)
            solutions[-1] = self.gate.judge(estimate, solutions, unexplained, matching.reported)
        return tuple(solutions)
