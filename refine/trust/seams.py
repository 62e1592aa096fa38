"""Seams over time: where rows that were refused meet rows that were taken.

What is refused lies where the estimate has it, to the bit. Taken rows beside it are solved again with those as
constants. Where the body would still jump, what was changed fades towards the seam over as few frames as are needed:

    R <- R_estimate exp(f log(R_estimateᵀ R)),   x <- x_estimate + f (x - x_estimate),   f = d² (3 - 2 d)

d: distance from the seam over the width, at most one; until no joint accelerates at a seam more than 99 % of the
estimate's own accelerations.
"""

from dataclasses import replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from refine.body import SkinnedBody, pose_body
from refine.estimate import Estimate
from refine.geometry import rotation
from refine.solve import UNSOLVED
from refine.solve.coupling import couple
from refine.solve.levenberg_marquardt import LevenbergMarquardt
from refine.solve.linearized import linearized
from refine.solve.normal_equations import costs
from refine.solve.round import Round
from refine.state import State, Tracks, Unknowns, choose
from refine.trust.limbs import free_limbs
from refine.trust.over_time import is_over_time

PERCENTILE = 0.99
WIDTHS = (0, 1, 2, 4, 8, 16, 32, 64)
"""Frames over which what was changed fades towards a seam."""
MOST_NUMBERS = 2**24
"""That a quantile takes."""


def settled(solver: LevenbergMarquardt, estimate: Estimate, last: Round) -> Round:
    """Return a judged round whose taken rows were solved again against refused ones, without jumps between them.

    Args:
        solver: Its settings.
        estimate: B bodies before refining.
        last: The judged round; refused updates are the estimate again.
    """
    unknowns = last.solution.unknowns
    groups = unknowns.groups
    if groups is None or groups.tracks is None or not is_over_time(groups) or not last.verdict:
        return last
    body, device = estimate.body, last.solution.cost.device
    in_track = groups.tracks.person.to(device) >= 0
    joints = _held(body, last).to(device) & in_track[:, None]
    whole = joints.all(1)
    if not bool(joints.any()) or bool(whole[in_track].all()):
        return last
    held = torch.zeros(len(whole), unknowns.size, dtype=torch.bool, device=device)
    held[:, unknowns.pose_columns] = joints[:, list(unknowns.joints)].repeat_interleave(3, 1)
    held |= whole[:, None]
    free = ~held if unknowns.free is None else unknowns.free & ~held
    apart = replace(groups.only(~whole), tracks=groups.tracks)  # refused rows share nothing, and stay in their tracks
    moving = torch.tensor([reason not in UNSOLVED for reason in last.stop], dtype=torch.bool, device=device)
    terms = (*last.evidence, *last.priors)
    again = solver.solve(body, last.state, terms, replace(unknowns, free=free, groups=apart), moving=moving)
    state = choose(whole, last.state, again.state)
    return _counted_anew(body, last, _without_jumps(estimate, state, groups.tracks, joints))


def _held(body: SkinnedBody, last: Round) -> Bool[Tensor, "B J"]:
    """Return which joints of which rows are the estimate's: all of a refused row, those of a limb that was put back."""
    count = len(body.joint_names)
    held = torch.tensor([not each.accepted for each in last.verdict])[:, None].repeat(1, count)
    for name, joints in free_limbs(body, Unknowns(tuple(range(count)))).items():
        held[:, joints] |= torch.tensor([name in each.kept for each in last.verdict])[:, None]
    return held


def _counted_anew(body: SkinnedBody, last: Round, state: State) -> Round:
    """Return a round with another state and its costs."""
    unknowns = last.solution.unknowns
    whole = linearized(body, state, (*last.evidence, *last.priors), unknowns)
    assert unknowns.groups is not None
    coupled = couple(unknowns.groups.couplings, state, unknowns)
    by_term = torch.cat((costs(whole), torch.stack([each.by_row(each.cost, len(state)) for each in coupled], 1)), 1)
    solution = replace(last.solution, state=state, cost=by_term.sum(1), cost_by_term=by_term, linear=None)
    return replace(last, solution=solution)


def accelerations(body: SkinnedBody, state: State, tracks: Tracks) -> tuple[Int[Tensor, "M 3"], Float[Tensor, "M J"]]:
    """Return every three rows that follow each other, and how joints accelerate in them, m/s², in the bodies' frame."""
    joints = pose_body(body, state.bodies).joints.double()
    rows = tracks.windows(3).to(joints.device)
    time = tracks.time_s.double().to(joints.device)[rows]
    old, new = (
        (joints[rows[:, i + 1]] - joints[rows[:, i]]) / (time[:, i + 1] - time[:, i])[:, None, None] for i in (0, 1)
    )
    return rows, (new - old).norm(dim=-1) / ((time[:, 2] - time[:, 0]) / 2)[:, None]


def _without_jumps(estimate: Estimate, state: State, tracks: Tracks, held: Bool[Tensor, "B J"]) -> State:
    """Return a state in which what was changed fades towards seams, in each track as far as it must."""
    body, whole = estimate.body, held.all(1)
    _, usual = accelerations(body, estimate.state, tracks)
    if not usual.numel():
        return state
    limit = usual.flatten()[:: 1 + usual.numel() // MOST_NUMBERS].quantile(PERCENTILE)
    distance = _distances(tracks, torch.cat((held, whole[:, None]), 1))
    person, done, found = tracks.person.to(held.device), torch.zeros_like(whole), state
    for width in WIDTHS:
        found = choose(done, found, _faded(estimate.state, state, distance, width) if width else state)
        rows, size = accelerations(body, found, tracks)
        at_seam = held[rows].any(2).any(1) & ~whole[rows].all(1)
        jumps = person[rows[:, 1]][at_seam & (size.amax(1) > limit)]
        done = ~torch.isin(person, jumps)
        if bool(done.all()):
            break
    return found


def _distances(tracks: Tracks, held: Bool[Tensor, "B N"]) -> Float[Tensor, "B N"]:
    """Return how many rows of its track each is from the nearest that is held; infinite where none is."""
    values = held.cpu()
    found = torch.full(values.shape, torch.inf, dtype=torch.float64)
    for rows in tracks.in_order():
        for way in (rows, rows[::-1]):
            count = torch.full(values.shape[1:], torch.inf, dtype=torch.float64)
            for row in way:
                count = torch.where(values[row], 0.0, count + 1)
                found[row] = torch.minimum(found[row], count)
    return found.to(held.device)


def _faded(start: State, state: State, distance: Float[Tensor, "B N"], width: int) -> State:
    """Return a state whose changes from the start fade towards seams.

    Args:
        start: B bodies.
        state: The same, changed.
        distance: (B, J + 1) rows from what is held: of each joint, and of the whole body.
        width: Rows from which on the change is whole.
    """
    near = (distance / (width + 1)).clamp(max=1)
    share = (near.square() * (3 - 2 * near)).to(state.bodies.pose)
    turn = rotation.log(start.bodies.pose.mT @ state.bodies.pose)
    pose = start.bodies.pose @ rotation.exp(share[:, :-1, None] * turn)
    move = start.bodies.translation + share[:, -1:] * (state.bodies.translation - start.bodies.translation)
    partly = (share > 0) & (share < 1)  # what is held, and what is far from it, stays as it is to the bit
    pose = torch.where(partly[:, :-1, None, None], pose, state.bodies.pose)
    move = torch.where(partly[:, -1:], move, state.bodies.translation)
    return replace(state, bodies=replace(state.bodies, pose=pose, translation=move))
