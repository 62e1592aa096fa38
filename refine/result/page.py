"""The content of a result's report: verdict, misfit, the joints' rotations by term, costs."""

from collections.abc import Sequence

import torch

from refine.estimate.usable import without_numbers
from refine.result.known import Known
from refine.result.next_evidence import Gain, gains, sentence_of, usual_candidates
from refine.viz.report import CostRow, Moved, ReportBody, ReportPage

MOVED_JOINTS = 8
"""Joints listed, those that turned most."""
MOST_TERMS = 4
"""Most columns of terms; further terms are summed in the last one."""


def page_of(result: Known, image: int) -> ReportPage:
    """Return the page of one photo.

    Args:
        result: The result.
        image: Which photo.
    """
    chosen = (result.image_index == image).nonzero()[:, 0].tolist()
    count = sum(bool(result.accepted[row]) for row in chosen)
    missing = without_numbers(result.source)
    gained = (
        ()
        if result.posterior is None
        else gains(result.body, result.state, result.posterior, usual_candidates(result.body, result.state))
    )
    verdict = f"{count} of {len(chosen)} people refined."
    bodies = (
        _absent(result, row, n) if bool(missing[row]) else _body(result, row, n, gained)
        for n, row in enumerate(chosen, 1)
    )
    return ReportPage("refine", verdict, tuple(bodies), result.notes)


def _absent(result: Known, row: int, number: int) -> ReportBody:
    """Return the block of a person without usable numbers."""
    return ReportBody(f"Person {number}", result.stop[row].value, shown=False)


def _body(result: Known, row: int, number: int, gained: Sequence[Gain]) -> ReportBody:
    """Return the block of one person."""
    moved: tuple[Moved, ...] = ()
    terms: tuple[str, ...] = ()
    cost: list[CostRow] = []
    if bool(result.accepted[row]):
        cost = [CostRow("all terms", float(result.cost_before[row]), float(result.cost[row]))]
        if result.rounds:
            first, last = result.rounds[0].solution, result.rounds[-1].solution
            before, after = first.cost_by_term_before[row].tolist(), last.cost_by_term[row].tolist()
            cost += [CostRow(*part) for part in zip(last.term_names, before, after, strict=True)]
            moved, terms = _explained(result, row)
        else:
            turned = result.turned[row]
            most = turned.argsort(descending=True)[:MOVED_JOINTS].tolist()
            moved = tuple(Moved(result.body.joint_names[joint], float(turned[joint])) for joint in most)
    return ReportBody(
        f"Person {number}",
        result.stop[row].value,
        float(result.misfit_before[row]),
        float(result.misfit[row]),
        moved=moved,
        cost=tuple(cost),
        verdict=result.verdict[row] if result.verdict else "",
        sure=" ".join(filter(None, (_sure(result, row), sentence_of(gained, row)))),
        terms=terms,
    )


def _explained(result: Known, row: int) -> tuple[tuple[Moved, ...], tuple[str, ...]]:
    """Return the joints that turned most with each term's part, and the terms' names."""
    explanation = result.explain()[row]
    parts, names = explanation.degrees, explanation.term_names
    if len(names) > MOST_TERMS:
        parts = torch.cat((parts[: MOST_TERMS - 1], parts[MOST_TERMS - 1 :].sum(0, keepdim=True)))
        names = (*names[: MOST_TERMS - 1], "others")
    most = explanation.turned.argsort(descending=True)[:MOVED_JOINTS].tolist()
    joints, turned = explanation.joint_names, explanation.turned
    return tuple(Moved(joints[joint], float(turned[joint]), tuple(parts[:, joint].tolist())) for joint in most), names


def _sure(result: Known, row: int) -> str:
    """Return a sentence with the median joint's standard deviations."""
    sigma = result.sigma_mm[row, 1:]
    if not bool(sigma.isfinite().any()):
        return ""
    across, depth = float(sigma[:, :2].mean(1).median()), float(sigma[:, 2].median())
    return (
        f"Joints are known to ±{across:.0f} mm across the view and ±{depth:.0f} mm in depth (one sigma, median joint)."
    )
