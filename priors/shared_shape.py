"""Several bodies are one person: each learns the person's shape from the others' photos.

The solver keeps bodies independent, so what couples them is exchanged between two solutions. After a first one, the
normal matrix H of body c, everything but its shape eliminated, says what its photo knows of the shape:

    known[c] = H_ss - H_so H_oo⁺ H_os                   (Schur complement: information about the shape alone)
    own[c]   = known[c] - common - heard[c]     (less the prior all bodies have in common, less what others had told it)
    own_η[c] = known[c] shape[c] - common mean - heard_η[c]

and in the next solution body b, which keeps its own evidence and its prior, hears the rest of its group:

    heard[b] = Σ own[c],   heard_η[b] = Σ own_η[c],     c ≠ b of the same person
    cost(b) += ½ (shape[b] - m)ᵀ heard[b] (shape[b] - m),   m = heard[b]⁺ heard_η[b]

Every body's posterior is then that of all photos with the common prior counted once. For linear evidence one exchange
is exact; else each exchange relinearises, and where the bodies of a group agree (which is where the exchange comes to
rest) the sum of their gradients is zero: the joint optimum. In a test of three photos one exchange brings shapes from
1.5 posterior sigmas off the joint optimum to below 0.1, the next to below 0.002. A term that pulled bodies to each
other within the solver would make one body's cost depend on another's step, which each body's own acceptance cannot
judge, and would bind the answer to what happens to share a batch.

    first = solver.solve(body, start, [*terms, common], unknowns)
    heard = share_shape(person, first.state.bodies, information=first.information, unknowns=unknowns, common=common)
    second = solver.solve(body, first.state, [*terms, common, heard], unknowns)

Source: Weiss and Freeman, Neural Computation 13(10), 2001 (Gaussian belief propagation, exact on a tree: here a star
around the shape); Triggs et al., Bundle Adjustment: A Modern Synthesis, sec. 6.1 (Schur complement).
"""

from dataclasses import dataclass, field
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from priors.gaussian_shape import GaussianShape
from refine.body import PosedBody
from refine.check import check_finite, check_shape
from refine.errors import InputError
from refine.state import Bodies, State, Unknowns
from refine.terms import Kernel, LeastSquares, Linearization

NOBODY = -1
"""Label of a body that is in no group."""

RANK_TOLERANCE = 1e-9
"""Eigenvalues below this share of the largest are zero, of matrices of unit diagonal; at least the rounding."""


@dataclass(frozen=True, eq=False)
class SharedShape:
    """What the other photos of a person say of its shape. Made by `share_shape`, or by hand from a Gaussian.

    Attributes:
        person: (B,) labels; bodies with the same label are one person, `NOBODY` (-1) is in no group.
        information: (B, S, S) heard from the others about the free coefficients, unitless; zero: silent.
        vector: (B, S) information times the shape it speaks for.

    Raises:
        InputError: Shapes disagree, or a value is not finite.
    """

    person: Int[Tensor, "B"]
    information: Float[Tensor, "B S S"]
    vector: Float[Tensor, "B S"]
    kernel: Kernel = field(default_factory=LeastSquares)

    def __post_init__(self) -> None:
        sizes = check_shape("SharedShape.information", self.information, "B S S")
        check_shape("SharedShape.vector", self.vector, "B S", **sizes)
        check_shape("SharedShape.person", self.person, "B", B=sizes["B"])
        check_finite("SharedShape.information", self.information)
        check_finite("SharedShape.vector", self.vector)

    @cached_property
    def root_and_target(self) -> tuple[Float[Tensor, "B S S"], Float[Tensor, "B S"]]:
        """A square root of the information (rootᵀ root), and root times the shape the others speak for."""
        value, vector = torch.linalg.eigh(self.information.double())
        seen = value > _tolerance(self.information.dtype) * value.amax(1, keepdim=True).clamp(min=0)
        root = torch.where(seen, value, torch.zeros_like(value)).sqrt()
        inverse = torch.where(seen, 1 / root.clamp(min=torch.finfo(torch.float64).tiny), torch.zeros_like(root))
        target = inverse * (vector.mT @ self.vector.double()[..., None])[..., 0]
        return (root[..., None] * vector.mT).to(self.information), target.to(self.vector)

    def linearize(self, state: State, posed: PosedBody, unknowns: Unknowns) -> Linearization:
        """Return residual (B, S_free, 1), unitless, and its Jacobian (B, S_free, 1, P) per unit step."""
        shape = state.bodies.shape[:, : unknowns.shape]
        check_shape("SharedShape.vector", self.vector, "B S_free", B=len(shape), S_free=unknowns.shape)
        root, target = (each.to(shape) for each in self.root_and_target)
        residual = (root @ shape[..., None])[..., 0] - target
        jacobian = shape.new_zeros(*shape.shape, 1, unknowns.size)
        jacobian[:, :, 0, unknowns.shape_columns] = root
        return Linearization(residual[..., None], jacobian, self.kernel)


def share_shape(
    person: Int[Tensor, "B"],
    bodies: Bodies,
    *,
    information: Float[Tensor, "B P P"],
    unknowns: Unknowns,
    common: GaussianShape | None = None,
    heard: SharedShape | None = None,
) -> SharedShape:
    """Let the bodies of a person tell each other what their photos say of the shape, after a solution.

    Args:
        person: (B,) labels; `NOBODY` (-1): in no group.
        bodies: B solved bodies (`solution.state.bodies`), each at the minimum of its own cost.
        information: (B, P, P) the normal matrices there (`solution.information`). A body whose matrix is not finite
            neither speaks nor hears.
        unknowns: The columns of that solution (`solution.unknowns`).
        common: The shape prior among its terms that all bodies of a person had in common, so that it is counted once;
            None: there was none. A prior around each photo's own estimate is no such prior: it is that photo's
                evidence.
        heard: The `SharedShape` among its terms, if this is not the first exchange.

    Returns:
        The term for the next solution, whose other terms stay as they were, `common` among them.

    Raises:
        InputError: Shapes disagree, no shape is free, or `common` has different means for bodies of one person.
    """
    count, free = len(bodies), unknowns.shape
    check_shape("person", person, "B", B=count)
    check_shape("information", information, "B P P", B=count, P=unknowns.size)
    if not free:
        raise InputError(
            "unknowns.shape", "free coefficients, at least one", "0", "A shape that is not free cannot be shared."
        )
    shape = bodies.shape[:, :free].double()
    sound = information.isfinite().flatten(1).all(1) & shape.isfinite().all(1)  # (B,)
    matrix = torch.where(sound[:, None, None], information.double(), torch.eye(unknowns.size).to(shape))
    shape = torch.where(sound[:, None], shape, torch.zeros_like(shape))
    known = shape_information(matrix, unknowns, _tolerance(information.dtype))
    own, own_vector = known, (known @ shape[..., None])[..., 0]
    if common is not None:
        prior = torch.eye(free).to(shape) / common.sigma**2
        own = own - prior
        own_vector = own_vector - _common_mean(common, person, bodies, free) @ prior
    if heard is not None:
        check_shape("heard.vector", heard.vector, "B S_free", B=count, S_free=free)
        own, own_vector = own - heard.information.to(shape), own_vector - heard.vector.to(shape)
    speaks = sound & (person != NOBODY)
    same = (person[:, None] == person) & speaks[:, None] & speaks
    others = (same & ~torch.eye(count, dtype=torch.bool, device=person.device)).to(shape)  # (B, B)
    told = (others @ own.flatten(1)).unflatten(1, (free, free))
    told = (told + told.mT) / 2
    return SharedShape(person, told.to(bodies.shape), (others @ own_vector).to(bodies.shape))


def shape_information(
    information: Float[Tensor, "B P P"], unknowns: Unknowns, tolerance: float = RANK_TOLERANCE
) -> Float[Tensor, "B S S"]:
    """Return what normal matrices say of the free shape coefficients alone, all other columns eliminated.

    Args:
        information: (B, P, P).
        unknowns: P columns, S of them shape.
        tolerance: Below this share of the largest eigenvalue an eliminated direction counts as unobserved.

    Returns:
        (B, S, S), the Schur complement.
    """
    scale = information.diagonal(dim1=-2, dim2=-1).clamp(min=torch.finfo(information.dtype).tiny).rsqrt()
    scaled = information * scale[:, :, None] * scale[:, None, :]
    kept = torch.zeros(unknowns.size, dtype=torch.bool, device=information.device)
    kept[unknowns.shape_columns] = True
    across = scaled[:, kept][:, :, ~kept]  # (B, S, P - S)
    inverse = torch.linalg.pinv(scaled[:, ~kept][:, :, ~kept], rtol=tolerance, hermitian=True)
    alone = scaled[:, kept][:, :, kept] - across @ inverse @ across.mT
    back = scale[:, kept].reciprocal()
    return alone * back[:, :, None] * back[:, None, :]


def _tolerance(dtype: torch.dtype) -> float:
    return max(RANK_TOLERANCE, 10 * torch.finfo(dtype).eps)


def _common_mean(common: GaussianShape, person: Tensor, bodies: Bodies, free: int) -> Tensor:
    """Return the mean of the common prior (B, S_free), the same for all bodies of a person."""
    if common.mean is None:
        return torch.zeros_like(bodies.shape[:, :free], dtype=torch.float64)
    check_shape("common.mean", common.mean, "B S", B=len(bodies), S=bodies.shape.shape[1])
    mean = common.mean[:, :free].double()
    same = (person[:, None] == person) & (person != NOBODY)
    if bool(((mean[:, None] != mean).any(2) & same).any()):
        advice = "A prior around each photo's own estimate is evidence: leave `common` out."
        raise InputError("common.mean", "one mean for all bodies of a person", "several", advice)
    return mean
