"""What one part of a long clip knows of columns that all of its parts share: shape, focal length, constant parts.

    A = inverse of the shared columns' marginal covariance      of a part, without what the other parts say
    information = A - U,   moment = A x                          U: the prior of constants, which every part has whole
    what the others say: information and moment summed over them,   residual = Lᵀ (x - information⁻¹ moment)

Source: information form of Gaussian marginals, Bishop, Pattern Recognition and Machine Learning, sec. 2.3.3 (products
of Gaussians add information and moment).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from refine.body import PosedBody
from refine.solve import cholesky
from refine.solve.round import Round
from refine.state import State, Unknowns
from refine.terms import LeastSquares, Linearization

LEAST_INFORMATION = 1e-9
"""Relative to the largest: below, nothing is known along a direction."""


HELD = 1e3
"""Factor of a root of information from which on columns stay where they are: their own evidence is a millionth."""


@dataclass(frozen=True, eq=False)
class Known:
    """What a part of a clip knows of a person's Q shared columns.

    Attributes:
        information: (Q, Q).
        moment: (Q,) information times value.
    """

    information: Float[Tensor, "Q Q"]
    moment: Float[Tensor, "Q"]


@dataclass(frozen=True, eq=False)
class Handed:
    """A prior of shared columns: what other parts of the clip know. It is silent in all rows of a person but one.

    Attributes:
        mean: (B, Q) shape, log-focal (where it is free) and constants, in this order.
        sqrt_information: (B, Q, Q) whose rows are residuals.
    """

    mean: Float[Tensor, "B Q"]
    sqrt_information: Float[Tensor, "B Q Q"]

    def linearize(self, state: State, posed: PosedBody, unknowns: Unknowns) -> Linearization:
        """Return residual (B, 1, Q), in standard deviations, and its Jacobian (B, 1, Q, P) per unit step."""
        root = self.sqrt_information.to(state.bodies.shape)
        if len(shared_columns(unknowns, root.device)) != root.shape[1]:  # a search among poses, others held
            silent = root.new_zeros(len(root), 1, 1)
            return Linearization(silent, silent[..., None].expand(-1, -1, -1, unknowns.size), LeastSquares())
        residual = (root @ (shared_values(state, unknowns) - self.mean.to(root))[..., None])[..., 0]
        jacobian = root.new_zeros(len(root), 1, root.shape[1], unknowns.size)
        jacobian[:, 0, :, shared_columns(unknowns, root.device)] = root
        return Linearization(residual[:, None], jacobian, LeastSquares())


def shared_columns(unknowns: Unknowns, device: torch.device) -> Int[Tensor, "Q"]:
    """Return the columns that the rows of a person share."""
    parts = (unknowns.shape_columns, unknowns.focal_column, unknowns.constant_columns)
    return torch.tensor([at for part in parts for at in range(part.start, part.stop)], device=device)


def shared_values(state: State, unknowns: Unknowns) -> Float[Tensor, "B Q"]:
    """Return the values of the shared columns of B rows."""
    parts = [state.bodies.shape[:, : unknowns.shape]]
    if unknowns.focal:
        parts.append(state.camera.focal[:, :1].log())
    if unknowns.constants and state.constants is not None:
        parts.append(state.constants)
    return torch.cat(parts, 1)


def known_of(last: Round, person: Int[Tensor, "B"], said: Mapping[int, Known] | None = None) -> dict[int, Known]:
    """Return what a part of a clip knows of each person's shared columns.

    Args:
        last: The part's last round; B rows.
        person: (B,) labels.
        said: What it was told of the other parts, which is taken off; None: nothing.
    """
    unknowns = last.solution.unknowns
    first = _first_rows(person)
    columns = shared_columns(unknowns, last.state.bodies.shape.device)
    covariance = last.covariance().double()[list(first.values())][:, columns][:, :, columns]
    values = shared_values(last.state, unknowns).double()[list(first.values())]
    unit = torch.zeros(len(columns), dtype=torch.float64, device=covariance.device)
    unit[len(columns) - unknowns.constants :] = 1.0
    found = {}
    for label, spread, value in zip(first, covariance, values, strict=True):
        spread = torch.where(spread.isfinite(), spread, 0.0)
        known = spread.diagonal() > 0
        spread = spread + torch.diag((~known).double())
        whole = cholesky.solve(spread[None], torch.eye(len(columns)).to(spread)[None])[0]
        whole = torch.where(known[:, None] & known[None], whole, 0.0)
        own = Known(whole - torch.diag(unit * known), whole @ value)
        other = (said or {}).get(label)
        found[label] = own if other is None else Known(own.information - other.information, own.moment - other.moment)
    return found


def together(parts: Sequence[Mapping[int, Known]]) -> dict[int, Known]:
    """Return what several parts of a clip know together, by person."""
    found: dict[int, Known] = {}
    for one in parts:
        for label, known in one.items():
            other = found.get(label)
            found[label] = (
                known if other is None else Known(known.information + other.information, known.moment + other.moment)
            )
    return found


def handed(known: Mapping[int, Known], person: Int[Tensor, "B"], constants: int, held: bool = False) -> Handed | None:
    """Return the prior of what other parts know; None where they know nothing.

    Args:
        known: What all other parts know, by person; where it is held, what all parts know.
        person: (B,) labels of the rows of this part.
        constants: How many of the columns are constants, which have a prior of their own beside this one.
        held: Whether the columns are to stay at what is known.
    """
    first = {label: row for label, row in _first_rows(person).items() if label in known}
    if not first:
        return None
    size = len(next(iter(known.values())).moment)
    mean = torch.zeros(len(person), size, dtype=torch.float64)
    root = torch.zeros(len(person), size, size, dtype=torch.float64)
    unit = torch.zeros(size, dtype=torch.float64)
    unit[size - constants :] = 1.0
    for label, row in first.items():
        information, moment = known[label].information.cpu(), known[label].moment.cpu()
        if held:  # the minimum is that of everything together, their prior too
            information = information + torch.diag(unit)
        eigenvalue, vector = torch.linalg.eigh((information + information.mT) / 2)
        sound = eigenvalue > LEAST_INFORMATION * eigenvalue.amax()
        inverse = torch.where(sound, 1 / torch.where(sound, eigenvalue, 1.0), 0.0)
        mean[row] = vector @ (inverse * (vector.mT @ moment))
        root[row] = torch.where(sound, eigenvalue, 0.0).sqrt()[:, None] * vector.mT * (HELD if held else 1.0)
    return Handed(mean, root)


def _first_rows(person: Int[Tensor, "B"]) -> dict[int, int]:
    """Return the first row of each person."""
    labels = person.tolist()
    return {label: row for row, label in reversed(list(enumerate(labels))) if label >= 0}
