"""Tracks solved as one: the columns, priors and terms of people over time, and their result.

    one shape a person, motion along each track        an estimate's rows that were filled in know nothing

What a clip is: `refine.inputs.clip`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from refine.ambient import usual_torch
from refine.api import fit_prepared, result_of
from refine.batch import PER_ROW, Index
from refine.body import PosedBody
from refine.errors import InputError
from refine.inputs.clip import Clip
from refine.inputs.prepared import Prepared
from refine.refiner import Callback, Refiner
from refine.result import Result
from refine.solve.autodiff import linearize
from refine.state import Groups, State, Unknowns
from refine.terms import Linearization, Term, knows_rows, rows_of
from refine.terms.correlation import INDEPENDENT, REGRESSED
from refine.video.windows import in_windows, windows_of


@usual_torch()
@torch.no_grad()
def fit_clip(
    prepared: Prepared,
    clip: Clip,
    refiner: Refiner,
    *,
    height_m: float | Sequence[float] | None = None,
    one_focal: bool = False,
    evidence: Sequence[Term] = (),
    priors: Sequence[Term] | None = None,
    callback: Callback | None = None,
) -> Result:
    """Solve the tracks of a clip as one problem.

    Args:
        prepared: The clip's B rows with their photos and keypoints.
        clip: Who is who, and when.
        refiner: The method; of its columns, what couples rows is replaced.
        height_m: As for `refine.fit_video`.
        one_focal: As for `refine.fit_video`.
        evidence: Further terms, of the rows that came.
        priors: Terms in place of the default ones, of the rows that came.
        callback: Called after each round.

    Returns:
        B rows in the clip's order, with its tracks and marks.

    Raises:
        InputError: There are as many heights neither as people nor one, or a term's rows cannot be taken although rows
            were filled in.
    """
    unknowns = columns_of(clip, refiner, one_focal=one_focal)
    own = default_priors_of(clip, unknowns) if priors is None else given_priors(clip, priors)
    if height_m is not None:
        own = (*own, known_height(clip, height_m))
    terms = given_evidence(clip, evidence)

    def solve(whole: Prepared, some: Clip, evidence: Sequence[Term], priors: Sequence[Term]) -> Result:
        method = replace(refiner, unknowns=columns_of(some, refiner, one_focal=one_focal))
        fitted = fit_prepared(whole, refiner=method, evidence=evidence, priors=priors, callback=callback)
        return replace(result_of(whole, fitted, method), observed=some.observed, tracks=some.tracks)

    if len(windows_of(clip)) > 1:
        return in_windows(prepared, clip, terms, own, solve)
    return solve(prepared, clip, terms, own)


def columns_of(clip: Clip, refiner: Refiner, *, one_focal: bool = False) -> Unknowns:
    """Return the columns of a clip: one shape a person, motion along each track.

    Args:
        clip: Rows of people over time.
        refiner: Whose columns are taken where it names some; else core joints, shape and translation.
        one_focal: Whether the clip's focal length is free.
    """
    from priors.motion import breaks, motion_of

    body, tracks = clip.estimate.body, clip.tracks
    usual = Unknowns(body.anatomy.core_joints, shape=body.shape_basis.shape[2])
    columns = refiner.unknowns or usual
    motion = replace(motion_of(body.joint_names), broken=breaks(clip.estimate.state, tracks))
    lens = torch.zeros_like(tracks.person) if one_focal or columns.focal else None
    groups = Groups(
        shape=clip.person, focal=lens, tracks=tracks, couplings=(motion,),
        expression=None if columns.groups is None else columns.groups.expression,
    )  # fmt: skip
    return replace(columns, focal=int(one_focal or columns.focal), groups=groups)


def default_priors_of(clip: Clip, unknowns: Unknowns) -> tuple[Term, ...]:
    """Return the default priors of a clip, of which a row that was filled in knows nothing.

    A regressor's shape is wrong in nearly the same way in all frames: they count as few.

    Args:
        clip: Rows of people over time.
        unknowns: The columns.
    """
    from priors.default import default_priors

    return tuple(_knowing(clip, prior) for prior in default_priors(clip.estimate, unknowns))


def given_priors(clip: Clip, priors: Sequence[Term]) -> tuple[Term, ...]:
    """Return a caller's priors, of the rows that came, as terms of all rows of a clip.

    Those around the estimate are treated as the default ones are; others hold where a row was filled in too.

    Args:
        clip: Rows of people over time.
        priors: Terms of the rows that came.
    """
    row = _row_of_each(clip)
    whole = [rows_of((prior,), row)[0] if knows_rows(prior) else prior for prior in priors]
    return tuple(_knowing(clip, prior) for prior in whole)


def given_evidence(clip: Clip, evidence: Sequence[Term]) -> tuple[Term, ...]:
    """Return a caller's evidence, of the rows that came, as terms that are silent in rows that were filled in.

    Args:
        clip: Rows of people over time.
        evidence: Terms of the rows that came.

    Raises:
        InputError: Rows were filled in, and a term does not know its rows.
    """
    if bool(clip.observed.all()):
        return tuple(evidence)
    row, found = _row_of_each(clip), list[Term]()
    for term in evidence:
        if not knows_rows(term):
            advice = "Give it a method rows(index), or declare its tensors with their shapes."
            raise InputError("evidence", "terms whose rows can be taken", type(term).__name__, advice)
        found.append(Observed(rows_of((term,), row)[0], clip.observed.to(clip.estimate.bodies.translation)))
    return tuple(found)


@dataclass(frozen=True, eq=False)
class Observed:
    """A term that says nothing of some rows.

    Attributes:
        term: Of B rows.
        there: (B,) one where it counts, zero elsewhere.
    """

    term: Term = field(metadata=PER_ROW)
    there: Float[Tensor, "B"]

    @property
    def name(self) -> str:
        """The term's own name in tables."""
        return str(getattr(self.term, "name", type(self.term).__name__))

    @property
    def rows(self) -> "Callable[[Index], Observed] | None":
        """A function that returns the term of some of the rows; None where the term does not know its own."""
        return self._rows if knows_rows(self.term) else None

    def _rows(self, index: Index) -> "Observed":
        (term,) = rows_of((self.term,), index)
        return Observed(term, self.there[index])

    def linearize(self, state: State, posed: PosedBody, unknowns: Unknowns) -> Linearization:
        """Return the term's residual (B, N, D) and Jacobian (B, N, D, P), zero where it is silent."""
        linear = linearize(self.term, state, posed, unknowns)
        gone: Bool[Tensor, "B"] = self.there == 0
        return replace(
            linear,
            residual=linear.residual.masked_fill(gone[:, None, None], 0.0),
            jacobian=linear.jacobian.masked_fill(gone[:, None, None, None], 0.0),
            constant=None if linear.constant is None else linear.constant.masked_fill(gone, 0.0),
        )


def known_height(clip: Clip, height_m: float | Sequence[float]) -> Term:
    """Return the prior of heights that are known.

    Args:
        clip: Rows of people over time.
        height_m: Of the person, or of each.

    Raises:
        InputError: There are as many heights neither as people nor one.
    """
    from priors.known_measurements import KnownMeasurements

    return KnownMeasurements(clip.estimate.body, height_m=_heights(height_m, clip))


def _knowing(clip: Clip, prior: Term) -> Term:
    """Return a prior around the estimate that knows the rows that came; another as it is."""
    from priors.near_estimate import NearEstimate, NearTranslation
    from priors.near_expression import NearExpression
    from priors.near_shape import NearShape

    there = clip.observed.to(clip.estimate.bodies.translation)
    if isinstance(prior, NearEstimate | NearTranslation | NearExpression):
        return replace(prior, share=there)
    if isinstance(prior, NearShape):
        return replace(prior, share=there * _as_few(clip), correlation=INDEPENDENT)
    return prior


def _row_of_each(clip: Clip) -> Tensor:
    """Return of each row the row that came: itself, or of one that was filled in the last of its person before it."""
    frame, person = clip.estimate.image_index.cpu(), clip.person.cpu()
    row = torch.arange(len(frame))
    for each in (~clip.observed).nonzero()[:, 0].tolist():
        own = ((person == person[each]) & clip.observed & (frame < frame[each])).nonzero()[:, 0]
        row[each] = own[int(frame[own].argmax())]
    return row


def _as_few(clip: Clip) -> Tensor:
    """Return of each row the share of an independent shape that it is: n rows that err alike by c are 1 / (c + ...)."""
    silent = clip.person.masked_fill(~clip.observed, -1)
    share = REGRESSED.of_frames(replace(clip.tracks, person=silent))
    names, which = torch.unique(silent, return_inverse=True)
    count = share.new_zeros(len(names)).index_add(0, which, share)[which]
    return (share / (1 + (count - 1) * REGRESSED.constant)).to(clip.estimate.bodies.translation)


def _heights(height_m: float | Sequence[float], clip: Clip) -> Float[Tensor, "B"]:
    """Return the height of each row's person.

    Raises:
        InputError: There are as many heights neither as people nor one.
    """
    people = [label for label in dict.fromkeys(clip.person.tolist()) if label >= 0]
    given = [float(height_m)] if isinstance(height_m, int | float) else [float(each) for each in height_m]
    if len(given) != len(people):
        raise InputError("height_m", f"a height for each of {len(people)} people, m", str(len(given)))
    known = dict(zip(people, given, strict=True))
    like = clip.estimate.bodies.translation
    return like.new_tensor([known.get(label, float("nan")) for label in clip.person.tolist()])
