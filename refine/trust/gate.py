"""The gate: accepts an update, accepts it but for some limbs, or returns the estimate unchanged.

    gain   = E(estimate) - E(update)                      how much better the evidence is explained, nats
    size²  = 2 N(first round) / d                         cost of the priors: size of the update, in usual errors
    misfit = (median |r|² / median of χ²)^½               residual of the evidence, sigmas; half of it may be wrong
    place  = shift and growth of the body in the picture  heights and a logarithm (`refine.trust.place`)

    d      = Σ_i (H (N + H)⁻¹)_ii                         directions the evidence determines; of a limb: its columns

The size is taken from the first round, whose priors are as wide as regressors usually err; the update is that of the
last round, whose priors are as wide as this estimate is wrong (`refine.trust.quality`).

Cross-validation between parts of the body does not detect another person's evidence or a loose coat: both are
consistent in themselves. The size does: the estimate would have to be far more wrong than regressors are. One limb that
would have to be (a swapped or mistaken detection) is put back alone.

Source: MacKay, Neural Computation 4(3), 1992, sec. 4 (d, the number of well-determined parameters); Bar-Shalom,
Estimation with Applications to Tracking and Navigation, 2001, sec. 5.4 (gating by the normalised squared innovation).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from refine.body import SkinnedBody
from refine.errors import InputError
from refine.estimate import Estimate
from refine.solve import UNSOLVED, Verdict
from refine.solve.coupling import couple
from refine.solve.levenberg_marquardt import LevenbergMarquardt
from refine.solve.linearized import Linearized, linearized
from refine.solve.normal_equations import costs, summed
from refine.solve.observability import Observed
from refine.solve.round import Quality, Round
from refine.state import State, Unknowns, choose
from refine.terms import Term, is_correlated
from refine.trust.departure import Departure, departure
from refine.trust.discounted import Discounted
from refine.trust.limbs import free_limbs, put_back
from refine.trust.over_time import agreeing
from refine.trust.place import move_of, place_of
from refine.trust.presence import presence
from refine.trust.quality import scaled
from refine.trust.seams import settled
from refine.trust.sizes import NO_COLUMNS, misfit
from refine.trust.statistics import Bounds, Statistics


@dataclass(frozen=True)
class Gate:
    """Bounds within which an update is accepted.

    They were fixed on the benchmark's first set of people and are reported on its second (`refine.evaluate.harm`).

    Raises:
        InputError: A number is not above zero.
    """

    most_size: float = 1.2
    """Root mean square over the directions the evidence determines, in usual errors: weak estimates have about one."""
    most_branch_size: float = 2.0
    """The same of one limb or the head: a limb may be more wrong than the rest."""
    most_branches: int = 1
    """Most limbs beyond `most_branch_size` that are put back; with more, the whole update is judged."""
    most_misfit: float = 2.0
    """Largest misfit of the evidence after the update, sigmas; its own noise leaves one."""
    most_worse: float = 4.0
    """Nats by which one source of evidence may be explained worse than before."""

    most_stranger: float = 0.1
    """Share of the photo's variation that the person's own texture, where one is known, may explain less than before. A
    judgement: light and folds change by less."""

    least_person: float = 0.55
    """Least probability that the photo shows the person, a mean over visible pixels, where the network is the only
    evidence: of 66 updates of people in real photos none has less than 0.69, of those of the same bodies in other
    photos half."""

    most_shift: float = 0.15
    """Share of the person's height by which the evidence may move the body's trunk in the picture: of 300 weak
    estimates half are moved by 0.034, one in a hundred by 0.09, none by 0.12, and real regressors' by 0.03 to 0.09. A
    neighbour is 0.2 and more away (docs/trust.md)."""
    most_growth: float = 0.4
    """Logarithm of the factor by which it may change the body's size in the picture: 1.5. Of 300 weak estimates half
    change by 0.05, one in a hundred by 0.22, none by 0.34; a photo of half the size asks for 0.69."""

    def __post_init__(self) -> None:
        numbers = (
            self.most_size,
            self.most_misfit,
            self.most_branch_size,
            self.most_worse,
            self.most_stranger,
            self.most_shift,
            self.most_growth,
            self.least_person,
        )
        if not all(number > 0 for number in numbers) or self.most_branches < 0:
            raise InputError("gate", "numbers above zero", repr(self), "gate=None turns it off.")

    def departure(self, body: SkinnedBody, first: Round, begin: Observed | None = None) -> Departure:
        """Measure how far the first round moved B bodies from their estimates.

        Args:
            body: The model.
            first: The first round.
            begin: Its evidence, linearised at the estimates; None: not known.
        """
        return departure(body, first, self.most_branch_size, self.most_branches, begin)

    def weighed(
        self, evidence: Sequence[Term], priors: Sequence[Term], found: Quality, moved: Departure
    ) -> tuple[tuple[Discounted, ...], tuple[Term, ...]]:
        """Return evidence and priors with sigmas scaled by their error; evidence of limbs put back is silent.

        Args:
            evidence: Terms; correlated ones keep their sigmas.
            priors: All of them, as wide as regressors usually err.
            found: The error scales of B bodies.
            moved: How far the first round moved them.
        """
        one, terms = torch.ones_like(found.noise), list(evidence)
        silent = moved.silent_rows(terms) if bool(moved.wrong.any()) else [None] * len(terms)
        weighed = tuple(
            Discounted(term, one if is_correlated(term) else found.noise, rows)
            for term, rows in zip(terms, silent, strict=True)
        )
        return weighed, tuple(scaled(priors, found.scale))

    def judge(
        self,
        estimate: Estimate,
        rounds: Sequence[Round],
        unexplained: Float[Tensor, "B 2"] | None = None,
        reported: float = 1.0,
        moved: Departure | None = None,
        solver: LevenbergMarquardt | None = None,
    ) -> Round:
        """Accept or reject the updates of B bodies.

        Args:
            estimate: B bodies before refining.
            rounds: All of them; the first one at the priors' usual width, the last one is judged.
            unexplained: (B, 2) share of the photo's variation that the person's texture does not explain, before and
                after (`refine.trust.appearance`), or None.
            reported: Share of a displacement that the displacer reports (`Matching.reported`): `most_size` times this
                holds where it is the only evidence.
            moved: `departure` of the first round; None: not measured yet.
            solver: Solves rows of a track again that lie beside rejected ones; None: they stay as they are.

        Returns:
            The last round with the verdicts; rejected updates are the estimate again, with its costs.
        """
        body, start, last = estimate.body, estimate.state, rounds[-1]
        moved = moved or self.departure(body, rounds[0])
        before = _at_start(start, rounds, moved)
        found = self.statistics(start, rounds, moved, before, unexplained)
        own = tuple(each for term, each in zip(last.evidence, before.terms, strict=True) if not is_correlated(term))
        alone = summed(replace(before, terms=own)).count == 0  # (B,) no other evidence of this body
        bounds = Bounds(
            torch.where(alone, self.most_size * reported, self.most_size), self.most_misfit, self.most_worse,
            self.most_stranger, torch.where(alone, self.least_person, 0.0),
        )  # fmt: skip
        solved = [stop not in UNSOLVED for stop in last.solution.stop]
        informed = summed(before).count > 0  # (B,) of its own, whatever its neighbours know
        groups = last.solution.unknowns.groups
        verdict = agreeing(found.verdicts(bounds, solved), informed, groups, bounds.most_size)
        judged = _with_verdict(body, start, last, found, before, verdict)
        return judged if solver is None else settled(solver, estimate, judged)

    def statistics(
        self,
        start: State,
        rounds: Sequence[Round],
        moved: Departure,
        before: Linearized,
        unexplained: Float[Tensor, "B 2"] | None = None,
    ) -> Statistics:
        """Measure updates.

        Args:
            start: B bodies before refining.
            rounds: The last one is judged.
            moved: How far the first one moved them.
            before: The last round's evidence, linearised at the start.
            unexplained: (B, 2), as for `judge`.
        """
        body, last = moved.body, rounds[-1]
        after = last.evidence_at_end(body)
        lost = costs(after) - costs(before)  # (B, T)
        moves = [move_of(body, start, each.state) for each in (rounds[0], last)]
        nothing = lost.new_full((len(lost), 2), torch.nan)
        return Statistics(
            -lost.sum(1), moved.size, misfit(after), misfit(before), lost.clamp(min=0), moved.wrong, tuple(moved.limbs),
            nothing if unexplained is None else unexplained, place_of(moves, self.most_shift, self.most_growth),
            presence(last),
        )  # fmt: skip


def _at_start(start: State, rounds: Sequence[Round], moved: Departure) -> Linearized:
    """Return the last round's evidence linearised at the start; where it was the first's too, by what is known."""
    begin = () if moved.begin is None else moved.begin.evidence.terms
    known = dict(zip(map(id, rounds[0].evidence), begin, strict=False))
    terms = rounds[-1].evidence
    inner = [term.term if isinstance(term, Discounted) else term for term in terms]
    fresh = [term for term in inner if id(term) not in known]
    known |= dict(zip(map(id, fresh), linearized(moved.body, start, fresh, NO_COLUMNS).terms, strict=True))
    found = (
        term.applied(known[id(own)]) if isinstance(term, Discounted) else known[id(own)]
        for term, own in zip(terms, inner, strict=True)
    )
    return Linearized(start, NO_COLUMNS, tuple(found))


def _with_verdict(
    body: SkinnedBody, start: State, last: Round, found: Statistics, before: Linearized, verdict: tuple[Verdict, ...]
) -> Round:
    """Return the last round with what was rejected put back to the start."""
    solution = last.solution
    device = solution.cost.device
    accepted = torch.tensor([each.accepted for each in verdict], dtype=torch.bool, device=device)
    partly = accepted & found.wrong.any(1)
    changed = ~accepted | partly
    if not bool(changed.any()):
        return replace(last, verdict=verdict)
    state = choose(accepted, last.state, start)
    # Fingers may have been free in an earlier round only.
    joints = free_limbs(body, Unknowns(tuple(range(len(body.joint_names)))))
    for number, name in enumerate(found.names):
        state = put_back(state, start, joints.get(name, []), found.wrong[:, number])
    of_evidence = costs(before)
    if bool(partly.any()):
        of_evidence = torch.where(
            partly[:, None], costs(linearized(body, state, last.evidence, NO_COLUMNS)), of_evidence
        )
    of_priors = costs(linearized(body, state, last.priors, solution.unknowns))  # priors hold the free columns only
    own = torch.cat((of_evidence, of_priors), 1)
    by_term = torch.where(changed[:, None], own, solution.cost_by_term[:, : own.shape[1]])
    groups = solution.unknowns.groups
    if groups is not None and groups.couplings:  # a row that is put back changes its neighbours' too
        coupled = couple(groups.couplings, state, solution.unknowns)
        by_term = torch.cat((by_term, torch.stack([each.by_row(each.cost, len(state)) for each in coupled], 1)), 1)
    cost = torch.where(changed | (by_term.shape[1] > own.shape[1]), by_term.sum(1), solution.cost)
    return replace(
        last, verdict=verdict, solution=replace(solution, state=state, cost=cost, cost_by_term=by_term, linear=None)
    )
