"""The method: renders the estimate, predicts the displacement of its pixels, solves, and repeats.

    starts      <- the estimate as it came; turned around or with left and right swapped, where the keypoints ask for it
    for each round
        matches <- the estimate rendered into the photos, displaced               (only with a displacer)
        terms   <- the caller's evidence and the matches
        sigmas  <- usual errors of regressors and detectors; after the first round estimated from the evidence
        state   <- the minimum of the robust cost of all terms                   (Levenberg-Marquardt)
    state       <- the estimate, where the gate rejects the update; the best start of each person

Bodies that share nothing are independent: one that is still waits for the last round, one out of sight stays.

Source: Wehrbein et al., Personalized 3D Human Pose and Shape Refinement, ICCVW 2023; solver and sigmas are our own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch

from refine.ambient import usual_torch
from refine.check import check_type
from refine.dense.correspondence import Matching
from refine.dense.displacer import Displacer, matching_of
from refine.dense.matcher import Matcher, still_bodies
from refine.errors import InputError
from refine.estimate import Estimate
from refine.method.hypotheses import hypotheses
from refine.photo import Photo
from refine.render import Rasterizer
from refine.solve import Solution
from refine.solve.levenberg_marquardt import LevenbergMarquardt
from refine.solve.observability import observe
from refine.solve.round import Round, without_linear
from refine.solve.sharing import share_focal
from refine.solve.sight import may_move, out_of_sight, with_reasons
from refine.state import Unknowns
from refine.terms import Term
from refine.trust.appearance import unexplained_before_and_after
from refine.trust.departure import Departure
from refine.trust.gate import Gate
from refine.trust.weighed import weigh

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
        check_type("refiner.unknowns", self.unknowns, Unknowns | None, "None: the usual columns.")

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
    ) -> tuple[Round, ...]:
        """Refine all bodies of an estimate.

        Args:
            photos: The images `estimate.image_index` points into.
            estimate: B bodies and their cameras.
            evidence: Terms used in every round.
            priors: Terms that need no image.
            callback: Called after each round with its number, from 0, and its solution.

        Returns:
            The rounds, at least one; the last one's state is the result.
        """
        unknowns = share_focal(self.unknowns, estimate)
        starts = hypotheses(estimate, evidence, priors, self.displacer, unknowns)
        estimate, priors, displacer = starts.estimate, starts.priors, starts.displacer
        body, state, excluded = estimate.body, estimate.state, out_of_sight(estimate)
        matcher = Matcher(photos, displacer, matching_of(displacer, self.matching), self.rasterizer, self.crop_px)
        still, matched = torch.zeros_like(estimate.image_index, dtype=torch.bool), None
        moved: Departure | None = None
        rounds: list[Round] = []
        for number in range(count := self.rounds if displacer or self.gate else 1):
            last = number == count - 1 or bool(still.all())
            matched = matcher.match(replace(estimate, state=state), matched, still)
            terms = (*starts.evidence, starts.dense(matched, matcher.matching)) if matched else starts.evidence
            observed = observe(body, state, terms, starts.unknowns)
            weighed = weigh(self.gate, body, observed, terms, priors, moved)
            moving = may_move(excluded, observed.seen, still & (not last))
            solver = self.solver if last else self.solver.rough()
            found = solver.solve(body, state, weighed.terms, observed.unknowns, start=weighed.linear, moving=moving)
            solution = with_reasons(found, excluded, observed.seen)
            rounds.append(Round(solution, weighed.evidence, weighed.priors, weighed.quality))
            state = solution.state
            if callback:
                callback(number, starts.as_they_came(solution))
            if self.gate:
                moved = moved or self.gate.departure(body, rounds[0], observed)
            if last:
                break
            still = still_bodies(matched, state, still, self.still_px)
        if self.gate:
            unexplained = unexplained_before_and_after(photos, estimate, state, displacer, self.rasterizer)
            rounds[-1] = self.gate.judge(estimate, rounds, unexplained, matcher.matching.reported, moved, self.solver)
        return starts.best([*without_linear(rounds[:-1]), rounds[-1]])
