"""Why a body moved: which term turned which joint by how many degrees.

    step = -A⁻¹ Σ_t g_t = Σ_t step_t    A: information of all terms at the result, g_t: gradient of t at the estimate
    degrees[t, j] = step_t[j] · turn[j] / |turn[j]|     turn: the joint's rotation from estimate to result

The parts of a joint add up to about |turn|; what the linear models leave unexplained is a row of its own. Priors around
the estimate have no gradient there.

Source: Cook, Detection of influential observation, Technometrics 19(1), 1977 (the influence of parts of the data
through the normal equations).
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from refine.body import SkinnedBody
from refine.geometry import rotation
from refine.solve import Solution
from refine.solve.normal_equations import summed
from refine.solve.round import Round
from refine.state import State
from refine.terms import name_of

REMAINDER = "remainder"
SHOWN_DEGREES = 0.05
"""A term that turned no joint by more than this is left out: it would read 0.0."""
JOINTS_SHOWN = 8
"""Rows of the table: the joints that turned most."""


@dataclass(frozen=True, eq=False)
class Explanation:
    """Why one body moved.

    Attributes:
        term_names: T names, the last one the remainder.
        joint_names: K names of the joints that were free for this body.
        degrees: (T, K) by which each term turned each joint along its rotation; negative: against it.
        turned: (K,) degrees in all.
    """

    term_names: tuple[str, ...]
    joint_names: tuple[str, ...]
    degrees: Float[Tensor, "T K"]
    turned: Float[Tensor, "K"]

    def __str__(self) -> str:
        """Return a table: the joints that turned most, a column a term."""
        rows = self.turned.argsort(descending=True)[:JOINTS_SHOWN].tolist()
        width = max([len(self.joint_names[row]) for row in rows], default=5)
        columns = [max(len(name), 8) for name in self.term_names]
        head = "  ".join(name.rjust(size) for name, size in zip(self.term_names, columns, strict=True))
        lines = [f"{'joint'.ljust(width)}  {'turned':>8}  {head}"]
        for row in rows:
            parts = "  ".join(
                f"{float(value):+.1f}".rjust(size) for value, size in zip(self.degrees[:, row], columns, strict=True)
            )
            lines.append(f"{self.joint_names[row].ljust(width)}  {float(self.turned[row]):8.1f}  {parts}")
        return "\n".join(lines)


def explain(body: SkinnedBody, start: State, last: Round) -> tuple[Explanation, ...]:
    """Split the rotations of B bodies' joints among the terms.

    Args:
        body: The model.
        start: The estimates.
        last: The last round, with its evidence and priors.

    Returns:
        One explanation a body.
    """
    solution, linear = last.solution, last.linearized(body)
    unknowns, joints = solution.unknowns, list(solution.unknowns.joints)
    terms = [*last.evidence, *last.priors]
    turn = rotation.log(start.bodies.pose[:, joints].mT @ solution.state.bodies.pose[:, joints])  # (B, K, 3) rad
    step = _step(start, solution.state, turn, solution)
    there = [summed(replace(linear, terms=(term,))) for term in linear.terms]
    information = torch.stack([each.information for each in there], 1).double()  # (B, T, P, P)
    # Each term's quadratic model around the result, evaluated at the estimate.
    gradient = (
        torch.stack([each.gradient for each in there], 1).double() - (information @ step[:, None, :, None])[..., 0]
    )
    # A body that is not finite did not move, and must not fail the others' decomposition.
    sound = information.isfinite().flatten(1).all(1) & gradient.isfinite().flatten(1).all(1)
    information = torch.where(sound[:, None, None, None], information, 0.0)
    gradient = torch.where(sound[:, None, None], gradient, 0.0)
    whole = information.sum(1)
    scale = whole.diagonal(dim1=-2, dim2=-1).clamp(min=torch.finfo(torch.float64).tiny).rsqrt()
    inverse = (
        scale[:, :, None]
        * torch.linalg.pinv(whole * scale[:, :, None] * scale[:, None, :], hermitian=True)
        * scale[:, None, :]
    )
    asked = -(gradient @ inverse)[..., unknowns.pose_columns].unflatten(2, (-1, 3))  # (B, T, K, 3)
    length = turn.double().norm(dim=-1)
    along = torch.where(length[..., None] > 0, turn.double() / length.clamp(min=1e-12)[..., None], 0.0)
    degrees = torch.rad2deg((asked * along[:, None]).sum(-1))  # (B, T, K)
    turned = torch.rad2deg(length)
    names = [name_of(term) for term in terms]
    free = unknowns.free_joints(joints)
    explanations = []
    for row in range(len(solution.cost)):
        own = list(range(len(joints))) if free is None else free[row].nonzero()[:, 0].tolist()
        moving = (
            [
                index
                for index in range(len(terms))
                if float(degrees[row, index].abs().max().nan_to_num(0.0)) > SHOWN_DEGREES
            ]
            if joints
            else []
        )
        parts = degrees[row, moving][:, own]
        table = torch.cat((parts, (turned[row, own] - parts.sum(0))[None]))
        labels = (*(names[index] for index in moving), REMAINDER)
        own_names = tuple(body.joint_names[joints[slot]] for slot in own)
        explanations.append(Explanation(labels, own_names, table, turned[row, own]))
    return tuple(explanations)


def _step(start: State, state: State, turn: Tensor, solution: Solution) -> Float[Tensor, "B P"]:
    """Return the difference (B, P) of result and estimate in columns of a step, float64."""
    unknowns = solution.unknowns
    parts = [turn.flatten(1), (state.bodies.shape - start.bodies.shape)[:, : unknowns.shape]]
    parts.append((state.bodies.expression - start.bodies.expression)[:, : unknowns.expression])
    if unknowns.translation:
        parts.append(state.bodies.translation - start.bodies.translation)
    if unknowns.focal:
        parts.append((state.camera.focal / start.camera.focal).log().mean(1, keepdim=True))
    if state.constants is not None:
        parts.append(state.constants[:, : unknowns.constants])  # zero at the estimate
    return torch.cat(parts, 1).double()
