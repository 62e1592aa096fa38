"""Evidence and priors with the sigmas a round solves them with, linearised where it begins.

The first round, and the method without a gate, take them as they are.
"""

from dataclasses import dataclass

from refine.body import SkinnedBody
from refine.solve.linearized import Linearized, linearized
from refine.solve.observability import Observed
from refine.solve.round import Quality
from refine.state import State, Tracks
from refine.terms import Term
from refine.trust.departure import Departure
from refine.trust.gate import Gate
from refine.trust.quality import quality


@dataclass(frozen=True, eq=False)
class Weighed:
    """The terms of a round.

    Attributes:
        evidence: With their errors' scale.
        priors: With the estimates' scale.
        quality: Both scales; None: one.
        linear: Evidence and priors, in this order, at the state where the round begins.
    """

    evidence: tuple[Term, ...]
    priors: tuple[Term, ...]
    quality: Quality | None
    linear: Linearized

    @property
    def terms(self) -> tuple[Term, ...]:
        """Evidence and priors, in this order."""
        return (*self.evidence, *self.priors)


def weigh(
    gate: Gate | None,
    body: SkinnedBody,
    observed: Observed,
    evidence: tuple[Term, ...],
    priors: tuple[Term, ...],
    moved: Departure | None,
) -> Weighed:
    """Scale the sigmas of evidence and priors by their errors.

    Args:
        gate: Finds the scales; None: they are one.
        body: The model.
        observed: The evidence, linearised.
        evidence: The same terms.
        priors: All of them, as wide as regressors usually err.
        moved: How far the first round moved bodies; None: this is the first round, whose scales are one.
    """
    state, unknowns = observed.evidence.state, observed.unknowns
    if gate is None or moved is None:
        linear = observed.evidence.plus(linearized(body, state, priors, unknowns))
        return Weighed(evidence, priors, None, linear)
    usual = linearized(body, state, priors, unknowns)
    found = quality(observed, priors, usual)
    discounted, own = gate.weighed(evidence, priors, found, moved)
    if unknowns.groups is not None and unknowns.groups.tracks is not None and unknowns.groups.couplings:
        own = tuple(_beside(prior, state, unknowns.groups.tracks) for prior in own)
    applied = tuple(term.applied(each) for term, each in zip(discounted, observed.evidence.terms, strict=True))
    known = dict(zip(map(id, priors), usual.terms, strict=True))  # those without a scale are as they were
    changed = [prior for prior in own if id(prior) not in known]
    known |= dict(zip(map(id, changed), linearized(body, state, changed, unknowns).terms, strict=True))
    linear = Linearized(state, unknowns, (*applied, *(known[id(prior)] for prior in own)))
    return Weighed(discounted, own, found, linear)


def _beside(prior: Term, state: State, tracks: Tracks) -> Term:
    """Return a prior without the part of its errors that is the same in all frames; itself where it has none."""
    beside = getattr(prior, "beside_constant", None)
    return beside(state, tracks) if callable(beside) else prior
