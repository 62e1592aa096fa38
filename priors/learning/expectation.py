"""Expectation-maximisation of a Gaussian mixture over poses on disk, and widening of its covariances for new people.

    γ_nk = w_k N(θ_n; μ_k, Σ_k) / Σ_j ...,   n_k = Σ γ,   μ_k = Σ γ θ / n_k,   S_k = Σ γ θ θᵀ / n_k - μ_k μ_kᵀ
    Σ_k  = s² ((1 - a) S_k + a S) + f² I               S: of all poses together

a and s are chosen by the likelihood of recordings that were left out; f is what recordings of few axes a joint do not
know.

Source: Dempster, Laird and Rubin, J. Royal Stat. Soc. B 39(1), 1977; Ledoit and Wolf, J. Multivariate Analysis 88(2),
2004 (shrinkage towards a well-conditioned target, there with a closed form for one Gaussian; here the target is what
all components share); Arthur and Vassilvitskii, k-means++, SODA 2007 (start).
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

LLOYD_ROUNDS = 10
"""Of k-means behind its start; expectation-maximisation does the rest."""
LEAST_SHARE = 1e-6
"""Of a component in the poses, so that one that lost all of them is still a Gaussian."""


@dataclass(frozen=True)
class Widening:
    """How covariances are widened.

    Attributes:
        shrinkage: a, the share of all poses' covariance; between 0 and 1.
        scale: s, all standard deviations times this.
        floor_rad: f, rad.
    """

    shrinkage: float
    scale: float
    floor_rad: float


@dataclass(frozen=True, eq=False)
class Sums:
    """What a pass over the poses leaves.

    Attributes:
        count: (K,) Σ γ.
        first: (K, D) Σ γ θ.
        second: (K, D, D) Σ γ θ θᵀ.
        log_likelihood: () nats of all poses under the mixture the pass was made with.
    """

    count: Tensor
    first: Tensor
    second: Tensor
    log_likelihood: Tensor

    @classmethod
    def empty(cls, components: int, width: int) -> "Sums":
        """Return sums of nothing."""
        zero = torch.zeros(components, width, width, dtype=torch.float64)
        return cls(zero[:, 0, 0].clone(), zero[:, 0].clone(), zero, torch.zeros((), dtype=torch.float64))

    def __add__(self, other: "Sums") -> "Sums":
        """Return the sums of both sets of poses."""
        return Sums(*(getattr(self, part.name) + getattr(other, part.name) for part in fields(self)))

    def tensors(self) -> dict[str, Tensor]:
        """Return the parts by name, for a checkpoint."""
        return {part.name: getattr(self, part.name) for part in fields(self)}

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> "Sums":
        """Return sums from a checkpoint's parts."""
        return cls(*(tensors[part.name] for part in fields(cls)))


@dataclass(frozen=True, eq=False)
class Mixture:
    """K Gaussians: `weight` (K,), `mean` (K, D) rad, `covariance` (K, D, D) rad²; double precision."""

    weight: Tensor
    mean: Tensor
    covariance: Tensor

    def log_density(self, pose: Tensor) -> Tensor:
        """Return log w_k N(θ_n; μ_k, Σ_k) (N, K), nats, of poses (N, D)."""
        factor = torch.linalg.cholesky(self.covariance)
        away = (pose[None] - self.mean[:, None]).mT  # (K, D, N)
        squared = torch.linalg.solve_triangular(factor, away, upper=False).square().sum(1)  # (K, N)
        log_det = 2 * factor.diagonal(dim1=1, dim2=2).log().sum(1)
        constant = self.weight.log() - 0.5 * (log_det + pose.shape[1] * math.log(2 * math.pi))
        return (constant[:, None] - 0.5 * squared).mT


def sums_of(pose: Tensor, share: Tensor, log_likelihood: Tensor) -> Sums:
    """Sum poses (N, D) by the share (N, K) each component has in them."""
    second = torch.stack([(pose * share[:, k : k + 1]).mT @ pose for k in range(share.shape[1])])
    return Sums(share.sum(0), share.mT @ pose, second, log_likelihood)


def expectation(mixture: Mixture, chunks: Iterable[np.ndarray]) -> Sums:
    """Make one pass over poses, given in chunks (n, D)."""
    sums = Sums.empty(*mixture.mean.shape)
    for chunk in chunks:
        pose = torch.from_numpy(chunk)
        density = mixture.log_density(pose)
        whole = density.logsumexp(1)
        sums = sums + sums_of(pose, (density - whole[:, None]).exp(), whole.sum())
    return sums


def maximisation(sums: Sums, widening: Widening) -> Mixture:
    """Return the mixture of a pass's sums, widened."""
    total = sums.count.sum()
    count = sums.count.clamp(min=LEAST_SHARE * float(total))
    mean = sums.first / count[:, None]
    own = sums.second / count[:, None, None] - mean[:, :, None] * mean[:, None]
    center = sums.first.sum(0) / total
    spread = sums.second.sum(0) / total - center[:, None] * center  # (D, D), all poses'
    mixed = (1 - widening.shrinkage) * own + widening.shrinkage * spread
    floor = widening.floor_rad**2 * torch.eye(len(center), dtype=torch.float64)
    covariance = widening.scale**2 * 0.5 * (mixed + mixed.mT) + floor
    return Mixture(count / count.sum(), mean, covariance)


def first_sums(pose: np.ndarray, components: int, seed: int) -> Sums:
    """Divide some poses among the components by k-means, to start from.

    Args:
        pose: (n, D) a sample that fits in memory.
        components: K.
        seed: Of the choice of the first centres.
    """
    rng = np.random.default_rng(seed)
    chosen = [pose[rng.integers(len(pose))]]
    for _ in range(components - 1):
        nearest = np.min([np.square(pose - center).sum(1) for center in chosen], 0)
        share = nearest / nearest.sum() if nearest.sum() > 0 else np.full(len(pose), 1 / len(pose))
        chosen.append(pose[rng.choice(len(pose), p=share)])
    points, centers = torch.from_numpy(pose), torch.from_numpy(np.stack(chosen))
    for _ in range(LLOYD_ROUNDS):
        owner = torch.cdist(points, centers).argmin(1)
        share = torch.nn.functional.one_hot(owner, components).double()
        count = share.sum(0)[:, None]
        centers = torch.where(count > 0, share.mT @ points / count.clamp(min=1), centers)
    owner = torch.cdist(points, centers).argmin(1)
    share = torch.nn.functional.one_hot(owner, components).double()
    return sums_of(points, share, torch.tensor(-math.inf, dtype=torch.float64))
