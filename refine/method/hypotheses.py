"""Several starts of a person as rows of one batch, of which the best is kept.

    rows 0 .. B-1       the people as they came
    further rows        a person seen from the side turned around; a person whose detections seem swapped, swapped back;
                        every other reading of evidence that has several (`refine.terms.alternatives`); a person far
                        from evidence whose matches are found nearby (a cloud), brought near as a whole

A start is better where the first round, which has the evidence under the same sigmas, ends at a lower cost, and its
update is accepted.

Source: Pavlakos et al., SMPLify-X, 2019, sec. 3.4 (both orientations, the lower cost is kept); `refine.method.swaps`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from refine import batch
from refine.body import pose_body
from refine.dense.correspondence import Matching
from refine.dense.displacer import Displacer
from refine.dense.matcher import Matched
from refine.estimate import Estimate
from refine.method.constants import with_constants
from refine.method.orientation import ambiguous, half_turns, with_root_turned
from refine.method.swaps import likely_swaps
from refine.method.witnesses import in_frames, witnesses
from refine.solve import Solution
from refine.solve.levenberg_marquardt import LevenbergMarquardt
from refine.solve.round import Round
from refine.solve.start import Kind, Start, orders_of
from refine.state import State, Unknowns, choose
from refine.terms import Term, knows_rows, rows_of
from refine.terms.alternatives import Alternatives
from refine.terms.keypoints import Keypoints
from refine.terms.reprojection import Reprojection

RIGID_STEPS = 30
"""Most steps in which a body is brought near as a whole."""
FAR_M = 0.03
"""A body whose joints are moved by less on the way is near enough already."""


@dataclass(frozen=True, eq=False)
class Hypotheses:
    """Starts of B people as R rows, the people as they came first.

    Attributes:
        estimate: R bodies.
        evidence: Terms of the R rows.
        priors: Likewise.
        displacer: For the R rows, or None.
        unknowns: Likewise.
        person: (R,) which person each row is.
        start: R readings.
        penalty: (R,) nats by which a row's reading of the evidence is less probable than the person's likeliest.
    """

    estimate: Estimate
    evidence: tuple[Term, ...]
    priors: tuple[Term, ...]
    displacer: Displacer | None
    unknowns: Unknowns | None
    person: Int[Tensor, "R"]
    start: tuple[Start, ...]
    penalty: Float[Tensor, "R"]

    @property
    def count(self) -> int:
        """B, the number of people."""
        return len({*self.person.tolist()})

    def dense(self, matched: Matched, matching: Matching) -> Term:
        """Return the term of matches of the R rows."""
        return in_frames(Reprojection(matched.matches, correlation=matching.correlation), self.unknowns)

    def as_they_came(self, solution: Solution) -> Solution:
        """Return a round's solution of the people as they came, for who follows the rounds."""
        count = self.count
        return solution if count == len(self.person) else batch.rows(solution, slice(count))

    def best(self, rounds: Sequence[Round]) -> tuple[Round, ...]:
        """Return the rounds of the best row of each person.

        Args:
            rounds: Of the R rows, the last one judged.
        """
        count, rows = self.count, len(self.person)
        last = replace(rounds[-1], start=self.start)
        if count == rows:
            return (*rounds[:-1], last)
        first = rounds[0].solution.cost
        cost = (first + self.penalty.to(first)).tolist()
        believed = [verdict.accepted for verdict in last.verdict] or [True] * rows
        chosen = list(range(count))
        for row, person in list(enumerate(self.person.tolist()))[count:]:
            if believed[row] and cost[row] < cost[chosen[person]]:
                chosen[person] = row
        return tuple(each.rows(chosen) for each in (*rounds[:-1], last))


def hypotheses(
    estimate: Estimate,
    evidence: Sequence[Term],
    priors: Sequence[Term],
    displacer: Displacer | None = None,
    unknowns: Unknowns | None = None,
) -> Hypotheses:
    """Return the starts that the keypoints among the evidence ask for.

    Where a term or the displacer does not know its rows there is no start but the one given. Rows that share columns or
    are coupled have no others beside them: their likely order is taken at once, and no half turn is tried.

    Args:
        estimate: B bodies.
        evidence: Terms of the evidence.
        priors: The other terms, as wide as regressors usually err.
        displacer: Source of dense evidence, or None.
        unknowns: The columns, where the caller named them.
    """
    if unknowns is not None:
        unknowns.check_bodies(estimate.bodies)
    if unknowns is not None and unknowns.groups is not None:
        evidence = _as_likely(evidence)
    evidence, priors = witnesses(evidence, unknowns), witnesses(priors, unknowns)
    count, of_rows = len(estimate), getattr(displacer, "rows", None)
    person = torch.arange(count, device=estimate.image_index.device)
    open_terms, evidence = evidence, _as_likely(evidence)
    given = Hypotheses(
        estimate, evidence, priors, displacer, unknowns, person, (Start(),) * count, torch.zeros(count)
    )  # fmt: skip
    seen = {place: term for place, term in enumerate(evidence) if isinstance(term, Keypoints)}
    whole = all(map(knows_rows, (*evidence, *priors))) and (displacer is None or callable(of_rows))
    several = [term for term in open_terms if isinstance(term, Alternatives)]
    nearby = [term for term in evidence if getattr(term, "found_nearby", False)]
    if not (seen or several or nearby) or not whole or not count:
        return given
    likely = {place: likely_swaps(estimate.body, estimate.state, term, priors) for place, term in seen.items()}
    swapped = _starts(seen, likely, count)
    if unknowns is not None and unknowns.groups is not None:
        starts = tuple(start or Start() for start in swapped)
        read = tuple(_read(term, likely.get(place), range(count)) for place, term in enumerate(evidence))
        read, priors, state, unknowns = with_constants(read, priors, estimate.state, unknowns)
        some = replace(estimate, state=state)
        return replace(given, estimate=some, evidence=read, priors=priors, unknowns=unknowns, start=starts)
    own = next((term for term in seen.values() if term.camera is None), None)
    doubtful = (
        torch.zeros(count, dtype=torch.bool)
        if own is None
        else ambiguous(own, estimate.camera.project(estimate.posed.keypoints(own.points)))
    )
    extra = [(row, Start(Kind.TURNED)) for row in doubtful.nonzero()[:, 0].tolist()]
    extra += [(row, start) for row, start in enumerate(swapped) if start is not None]
    extra += [(row, Start(Kind.READ_OTHERWISE, reading=number)) for row, number in _other_readings(several)]
    near = brought_near(estimate, nearby)
    extra += [(row, Start(Kind.BROUGHT_NEAR)) for row in (_moved(estimate, near) > FAR_M).nonzero()[:, 0].tolist()]
    if not extra:
        return given
    rows = torch.cat((person, torch.tensor([row for row, _ in extra], device=person.device)))
    starts = (*given.start, *(start for _, start in extra))
    evidence, penalty = _as_read(open_terms, rows, starts)
    of = [
        row if start.kind not in (Kind.AS_GIVEN, Kind.TURNED, Kind.READ_OTHERWISE, Kind.BROUGHT_NEAR) else None
        for row, start in zip(rows.tolist(), starts, strict=True)
    ]
    taken = torch.tensor([start.kind is Kind.BROUGHT_NEAR for start in starts], device=person.device)
    turn = half_turns(torch.tensor([start.kind is Kind.TURNED for start in starts]), estimate.bodies.pose)
    some = estimate.rows(rows)
    state = choose(taken, near[rows], some.state)
    return Hypotheses(
        replace(some, state=with_root_turned(state, turn)),
        tuple(_read(term, likely.get(place), of) for place, term in enumerate(evidence)),
        tuple(_turned(prior, turn) for prior in rows_of(priors, rows)),
        of_rows(rows) if of_rows else None,
        None if unknowns is None else unknowns.rows(rows), rows, starts, penalty,
    )  # fmt: skip


def _as_likely(evidence: Sequence[Term]) -> tuple[Term, ...]:
    """Return terms of which those with several readings have each body's most probable one."""
    return tuple(term.read(term.most_probable) if isinstance(term, Alternatives) else term for term in evidence)


def _other_readings(several: Sequence[Alternatives]) -> list[tuple[int, int]]:
    """Return the body and number of every reading that is not its body's most probable one.

    Of several terms with readings, reading h of one goes with reading h of the others: they are of one source.
    """
    if not several:
        return []
    count = max(len(term.readings) for term in several)
    first = several[0].most_probable.tolist()
    return [(row, number) for row, usual in enumerate(first) for number in range(count) if number != usual]


def _as_read(
    evidence: Sequence[Term], rows: Int[Tensor, "R"], starts: Sequence[Start]
) -> tuple[tuple[Term, ...], Float[Tensor, "R"]]:
    """Return terms of R rows, each with its row's reading, and what the readings cost (R,), nats."""
    found: list[Term] = []
    penalty = torch.zeros(len(rows))
    for term in rows_of(evidence, rows):
        if isinstance(term, Alternatives):
            asked = [start.reading for start in starts]
            usual = term.most_probable
            own = torch.tensor([-1 if number is None else number for number in asked], device=usual.device)
            reading = torch.where((own < 0) | (own >= len(term.readings)), usual, own)
            penalty = penalty + term.penalty(reading).to(penalty)
            found.append(term.read(reading))
        else:
            found.append(term)
    return tuple(found), penalty


def brought_near(estimate: Estimate, nearby: Sequence[Term]) -> State:
    """Return bodies moved and turned as a whole to where evidence is that finds its matches nearby.

    Args:
        estimate: B bodies.
        nearby: That evidence; the bodies stay where there is none.
    """
    if not nearby:
        return estimate.state
    rigid = Unknowns((0,), translation=3)
    return LevenbergMarquardt(steps=RIGID_STEPS).solve(estimate.body, estimate.state, nearby, rigid).state


def _moved(estimate: Estimate, state: State) -> Float[Tensor, "B"]:
    """Return how far (B,) m the joints were moved, a mean."""
    joints = pose_body(estimate.body, state.bodies).joints
    return (joints - pose_body(estimate.body, estimate.bodies).joints).norm(dim=2).mean(1)


def _starts(
    seen: Mapping[int, Keypoints], likely: Mapping[int, Sequence[Start | None]], count: int
) -> list[Start | None]:
    """Return for each of B bodies the start in which all keypoints that seem swapped are swapped back, or None.

    Its order is that of the first keypoints, if they are seen by the body's own camera: those that a result shows.
    """
    first = next(iter(seen), None)
    found: list[Start | None] = []
    for row in range(count):
        swaps = {place: each[row] for place, each in likely.items() if each[row] is not None}
        start = next(iter(swaps.values()), None)
        shown = first is not None and first in swaps and seen[first].camera is None
        found.append(None if start is None else start if shown else Start(start.kind))
    return found


def _read(term: Term, likely: Sequence[Start | None] | None, of: Iterable[int | None]) -> Term:
    """Return a term whose detections are taken in the likely order of some bodies.

    Args:
        term: Of R rows.
        likely: Of B bodies; None: the term has no detections.
        of: R bodies, None where a row's detections stay as they are.
    """
    if likely is None or not isinstance(term, Keypoints):
        return term
    starts = [(None if body is None else likely[body]) or Start() for body in of]
    order = orders_of(starts, len(term.points.names), term.target.device)
    if order is None:
        return term
    row = torch.arange(len(order), device=order.device)[:, None]
    return replace(term, target=term.target[row, order], sqrt_information=term.sqrt_information[row, order])


def _turned(prior: Term, turn: Float[Tensor, "B 3 3"]) -> Term:
    """Return a prior around estimates whose root is turned; one that is not around the root's rotation is the same."""
    around = getattr(prior, "with_root_turned", None)
    return around(turn) if callable(around) else prior
