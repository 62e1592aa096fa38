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
from jaxtyping import Bool, Float
from torch import Tensor

from refine.body import SkinnedBody, pose_body
from refine.errors import InputError
from refine.estimate import Estimate
from refine.solve import UNSOLVED, Decision, Quality, Solution, Verdict
from refine.solve.autodiff import linearize
from refine.solve.normal_equations import normal_equations
from refine.solve.observability import Observed
from refine.state import State, Unknowns, choose
from refine.terms import Term, is_correlated
from refine.trust.discounted import Discounted
from refine.trust.limbs import free_limbs, put_back
from refine.trust.place import Place, move_of, place_of
from refine.trust.presence import presence
from refine.trust.quality import quality, scaled
from refine.trust.rows import joint_of_rows
from refine.trust.sizes import NO_COLUMNS, Sizes, columns_of, costs_of, misfit, sizes_of

LEAST_LOSS = 1.0
"""Nats by which the evidence may be explained worse: a smaller difference is not significant."""


@dataclass(frozen=True, eq=False)
class Statistics:
    """The statistics by which B updates are judged.

    Attributes:
        gain: (B,) nats.
        size: (B,) usual errors, limbs that are put back left out.
        misfit: (B,) sigmas, after the update.
        misfit_before: (B,) sigmas, before it.
        worse: (B, T) nats by which each source of evidence is explained worse than before, zero where it is not.
        wrong: (B, K) limbs that would have to be far more wrong than limbs are.
        names: Of the K limbs.
        unexplained: (B, 2) share of the photo's variation that the person's texture does not explain, before and after;
            NaN: not known.
        place: Their move in the picture, and its cause where it is beyond the bounds.
        person: (B,) probability that the photo shows the person where the network puts him; NaN: no network.
    """

    gain: Float[Tensor, "B"]
    size: Float[Tensor, "B"]
    misfit: Float[Tensor, "B"]
    misfit_before: Float[Tensor, "B"]
    worse: Float[Tensor, "B T"]
    wrong: Bool[Tensor, "B K"]
    names: tuple[str, ...]
    unexplained: Float[Tensor, "B 2"]
    place: Place
    person: Float[Tensor, "B"]

    def verdict(self, row: int, decision: Decision) -> Verdict:
        """Return the verdict on one body: a decision and its finite numbers; no numbers where it was not solved."""
        if decision is Decision.UNSOLVED:
            return Verdict(decision)
        kept = tuple(name for name, wrong in zip(self.names, self.wrong[row].tolist(), strict=True) if wrong)
        worst = self.worse[row].max() if self.worse.shape[1] else self.worse[row].sum()
        before, after = self.unexplained[row]
        numbers = {
            "gain": self.gain[row], "size": self.size[row], "misfit": self.misfit[row],
            "misfit_before": self.misfit_before[row], "worse": worst, "unexplained": after,
            "unexplained_before": before, "person": self.person[row],
            **{name: value[row] for name, value in self.place.numbers.items()},
        }  # fmt: skip
        known = {name: float(value) for name, value in numbers.items() if bool(value.isfinite())}
        return Verdict(decision, **known, kept=kept if decision.accepted else ())


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

    def quality(self, priors: Sequence[Term], body: SkinnedBody, state: State, observed: Observed) -> Quality:
        """Return the error scales of B estimates and of their evidence.

        Args:
            priors: All of them, as wide as regressors usually err.
            body: The model.
            state: B bodies and cameras at which the evidence was linearised.
            observed: The linearised evidence.
        """
        return quality(body, state, observed, priors)

    def weighed(
        self, evidence: Sequence[Term], priors: Sequence[Term], found: Quality, first: Solution, body: SkinnedBody
    ) -> tuple[list[Term], tuple[Term, ...]]:
        """Return evidence and priors with sigmas scaled by their error; evidence of limbs put back is silent.

        Args:
            evidence: Terms; correlated ones keep their sigmas.
            priors: All of them, as wide as regressors usually err.
            found: The error scales of B bodies.
            first: The first round's solution.
            body: The model.
        """
        wrong, _, joints = self.wrong_limbs(body, first)
        weighed: list[Term] = []
        for term in evidence:
            noise = torch.ones_like(found.noise) if is_correlated(term) else found.noise
            silent = _silent_rows(term, body, first, wrong, joints) if bool(wrong.any()) else (found.noise < 0)[:, None]
            weighed.append(Discounted(term, noise, silent))
        return weighed, tuple(scaled(priors, found.scale))

    def wrong_limbs(
        self, body: SkinnedBody, first: Solution
    ) -> tuple[Bool[Tensor, "B K"], Sizes, dict[str, list[int]]]:
        """Return the limbs (B, K) that would have to be far too wrong, all sizes, and the limbs' free joints.

        Args:
            body: The model.
            first: The first round's solution.
        """
        sizes, limbs = sizes_of(body, first), free_limbs(body, first.unknowns)
        flags = [
            sizes.of(columns_of(joints, first.unknowns, first.cost.device)) > self.most_branch_size
            for joints in limbs.values()
        ]
        wrong = torch.stack(flags, 1) if flags else sizes.squared[:, :0] > 0
        # More of them are no error of single limbs: the whole is judged.
        return wrong & (wrong.sum(1, keepdim=True) <= self.most_branches), sizes, limbs

    def judge(
        self,
        estimate: Estimate,
        rounds: Sequence[Solution],
        unexplained: Float[Tensor, "B 2"] | None = None,
        reported: float = 1.0,
    ) -> Solution:
        """Accept or reject the updates of B bodies.

        Args:
            estimate: B bodies before refining.
            rounds: All solutions, each with its evidence and priors.
            unexplained: (B, 2) share of the photo's variation that the person's texture does not explain, before and
                after (`refine.trust.appearance`), or None.
            reported: Share of a displacement that the displacer reports (`Matching.reported`): `most_size` times this
                holds where it is the only evidence.

        Returns:
            The last solution with the verdicts; rejected updates are the estimate again, with its costs.
        """
        body, start, last = estimate.body, estimate.state, rounds[-1]
        found = self.statistics(body, start, rounds, unexplained)
        others = [term for term in last.evidence if not is_correlated(term)]
        alone = normal_equations(body, start, others, NO_COLUMNS).count == 0  # (B,) no other evidence of this body
        most = torch.where(alone, self.most_size * reported, self.most_size).tolist()
        nobody = (alone & (found.person < self.least_person)).tolist()
        decisions = [
            Decision.UNSOLVED if stop in UNSOLVED else self._decision(found, row, most[row], nobody[row])
            for row, stop in enumerate(last.stop)
        ]
        accepted = torch.tensor([each.accepted for each in decisions], dtype=torch.bool, device=last.cost.device)
        state = choose(accepted, last.state, start)
        # Fingers may have been free in an earlier round only.
        joints = free_limbs(body, Unknowns(tuple(range(len(body.joint_names)))))
        for number, name in enumerate(found.names):
            state = put_back(state, start, joints.get(name, []), found.wrong[:, number])
        verdict = tuple(found.verdict(row, decision) for row, decision in enumerate(decisions))
        changed = ~accepted | found.wrong.any(1)
        of_priors = costs_of(body, state, last.priors, last.unknowns)  # priors hold the free columns only
        costs = torch.cat((costs_of(body, state, last.evidence), of_priors), 1)
        by_term = torch.where(changed[:, None], costs, last.cost_by_term)
        cost = torch.where(changed, costs.sum(1), last.cost)
        return replace(last, state=state, cost=cost, cost_by_term=by_term, verdict=verdict)

    def statistics(
        self,
        body: SkinnedBody,
        start: State,
        rounds: Sequence[Solution],
        unexplained: Float[Tensor, "B 2"] | None = None,
    ) -> Statistics:
        """Measure updates.

        Args:
            body: The model.
            start: B bodies before refining.
            rounds: The first one at the priors' usual width, the last one is judged.
            unexplained: (B, 2), as for `judge`.
        """
        first, last = rounds[0], rounds[-1]
        before, after = (costs_of(body, each, last.evidence) for each in (start, last.state))
        wrong, sizes, parts = self.wrong_limbs(body, first)
        moves = [move_of(body, start, each) for each in (first.state, last.state)]
        rest = torch.ones_like(sizes.squared, dtype=torch.bool)
        for number, joints in enumerate(parts.values()):
            rest &= ~(wrong[:, number, None] & columns_of(joints, first.unknowns, before.device))
        return Statistics(
            before.sum(1) - after.sum(1), sizes.of(rest), misfit(body, last.state, last.evidence),
            misfit(body, start, last.evidence), (after - before).clamp(min=0), wrong, tuple(parts),
            before.new_full((len(before), 2), torch.nan) if unexplained is None else unexplained,
            place_of(moves, self.most_shift, self.most_growth), presence(last),
        )  # fmt: skip

    def _decision(self, found: Statistics, row: int, most_size: float, nobody: bool) -> Decision:
        """Return the first criterion an update fails, in the order of their weight, or that it is accepted."""
        numbers = torch.stack((found.gain[row], found.size[row], found.misfit[row]))
        if not bool(numbers.isfinite().all()):
            return Decision.NOT_FINITE
        gain, size, left = numbers.tolist()
        before, after = found.unexplained[row].tolist()  # NaN fails no criterion
        place = found.place.cause[row]
        criteria = (
            (Decision.EXPLAINS_WORSE, gain < -LEAST_LOSS),
            (Decision.NOBODY, nobody),
            (place or Decision.ELSEWHERE, place is not None),
            (Decision.TOO_LARGE, size > most_size),
            (Decision.MISFIT, left > self.most_misfit),
            (Decision.CONTRADICTORY, bool((found.worse[row] > self.most_worse).any())),
            (Decision.UNLIKE, after - before > self.most_stranger),
        )
        kept = Decision.PARTLY_ACCEPTED if bool(found.wrong[row].any()) else Decision.ACCEPTED
        return next((decision for decision, failed in criteria if failed), kept)


def _silent_rows(
    term: Term, body: SkinnedBody, first: Solution, wrong: Bool[Tensor, "B K"], limbs: dict[str, list[int]]
) -> Bool[Tensor, "B N"]:
    """Return the rows (B, N) of a term that belong to a limb that is put back."""
    linear = linearize(term, first.state, pose_body(body, first.state.bodies), first.unknowns)
    joint = joint_of_rows(linear, first.unknowns)
    silent = torch.zeros_like(joint, dtype=torch.bool)
    for number, joints in enumerate(limbs.values()):
        own = torch.isin(joint, torch.tensor(joints, device=joint.device))
        silent |= own & wrong[:, number, None]
    return silent
