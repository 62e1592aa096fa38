"""Trains the network of a latent pose prior: poses squeezed into Z numbers and unfolded again.

    z ~ N(μ(R'), diag σ(R')²),   R' = R exp(noise),
        loss = Σ_j [ ½ ‖R_j - D_j(z)‖² / (2 s_j²) + 3 log s_j ] + b KL(z | N(0, 1))

For small errors half the squared Frobenius distance of two rotations is their squared angle, so that the sum is the
negative log-likelihood of a Gaussian error of s_j rad an axis. The encoder is given noisy poses and asked for the clean
ones: what unfolds is a pose people take. With b = 1 the loss is the evidence bound; with fewer recordings than joints
it then uses a number or two and unfolds people not seen badly, so b is small, as VPoser's is, and the latent numbers
are scaled afterwards to a mean square of one over the recordings.

Source: Kingma and Welling, Auto-encoding variational Bayes, 2014, eq. 10; Vincent et al., Extracting and composing
robust features with denoising autoencoders, ICML 2008; Pavlakos et al., SMPLify-X, 2019, supplement (b = 0.005);
Huynh, Metrics for 3D rotations, J. Math. Imaging and Vision 35, 2009, sec. 3 (chordal distance).
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from priors.latent_file import JOINTS
from priors.latent_pose import MATRIX
from priors.layers import Layer
from priors.learning.gather import Gathered, mirrored
from priors.prior_file import TRUNK_AND_LIMBS
from priors.six_numbers import rotation_of
from refine.geometry import rotation

SLOPE = 0.2
"""Of the rectifiers, as VPoser v1's."""
EVERY_S = 120.0
"""Seconds of training that can be lost at most."""
MARK = 500
"""Steps after which a checkpoint is due even so."""
LEAST_RMS = 1e-2
"""Of a latent number the network does not use, so that dividing by it is safe."""
LEGS = tuple(row for row, name in enumerate(TRUNK_AND_LIMBS) if name.split("_")[-1] in ("hip", "knee", "ankle", "foot"))
"""Whose poses may be exchanged with another frame's."""


@dataclass(frozen=True)
class Settings:
    """What is trained, and how.

    Attributes:
        latent: Z.
        width: Of the hidden layers.
        steps: Batches.
        batch: Poses in one.
        rate: Of Adam, falling to zero along a cosine.
        divergence: b.
        noise_rad: Standard deviation per axis of what the encoder's input is disturbed by.
        recombined: Share of poses that have another frame's legs.
        floor_rad: Least s.
        seed: Of weights, order and noise.
    """

    latent: int = 16
    width: int = 128
    steps: int = 20_000
    batch: int = 256
    rate: float = 1e-3
    divergence: float = 0.01
    noise_rad: float = 0.05
    recombined: float = 0.0
    floor_rad: float = 0.05
    seed: int = 0


class Autoencoder(nn.Module):
    """Two networks of two hidden layers, and how well poses are unfolded."""

    def __init__(self, settings: Settings) -> None:
        """Draw the weights."""
        super().__init__()
        width, latent = settings.width, settings.latent
        self.encoder = _network(MATRIX * JOINTS, width, 2 * latent)
        self.decoder = _network(latent, width, 6 * JOINTS)
        self.log_sigma = nn.Parameter(torch.full((JOINTS,), math.log(0.3)))
        self.floor_rad, self.divergence = settings.floor_rad, settings.divergence
        with torch.no_grad():  # at the start every joint unfolds to rest
            last = self.decoder.get_parameter(f"{len(self.decoder) - 1}.bias")
            last.copy_(torch.tensor((1.0, 0, 0, 1.0, 0, 0)).repeat(JOINTS))

    def encode(self, pose: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and logarithm of the standard deviation (B, Z) each, of poses (B, 21, 3, 3)."""
        mean, log_sigma = self.encoder(pose.flatten(1)).chunk(2, 1)
        return mean, log_sigma.clamp(-8, 4)

    def decode(self, latent: Tensor) -> Tensor:
        """Return rotations (B, 21, 3, 3) of latent numbers (B, Z)."""
        return rotation_of(self.decoder(latent).unflatten(1, (JOINTS, 6)))[0]

    def loss(self, given: Tensor, pose: Tensor, noise: Tensor) -> Tensor:
        """Return the loss (B,), nats.

        Args:
            given: (B, 21, 3, 3) what the encoder sees.
            pose: (B, 21, 3, 3) what is to be unfolded.
            noise: (B, Z) standard normal.
        """
        mean, log_sigma = self.encode(given)
        unfolded = self.decode(mean + noise * log_sigma.exp())
        squared = 0.5 * (unfolded - pose).square().sum((2, 3))  # (B, 21) rad²
        variance = (2 * self.log_sigma).exp() + self.floor_rad**2
        error = 0.5 * squared / variance + 1.5 * (2 * math.pi * variance).log()
        divergence = 0.5 * (mean.square() + (2 * log_sigma).exp() - 1) - log_sigma
        return error.sum(1) + self.divergence * divergence.sum(1)

    def layers(self, rms: Tensor) -> tuple[tuple[Layer, ...], tuple[Layer, ...]]:
        """Return the encoder of the mean, and the decoder.

        Args:
            rms: (Z,) by which the latent numbers are divided between them.
        """
        found = []
        for network in (self.encoder, self.decoder):
            linear = [part for part in network if isinstance(part, nn.Linear)]
            slopes = [SLOPE] * (len(linear) - 1) + [1.0]
            found.append(
                [Layer(a.weight.detach(), a.bias.detach(), slope) for a, slope in zip(linear, slopes, strict=True)]
            )
        last = found[0][-1]
        half = len(last.bias) // 2
        encoder = (*found[0][:-1], Layer(last.weight[:half] / rms[:, None], last.bias[:half] / rms))
        first, *others = found[1]
        return encoder, (Layer(first.weight * rms, first.bias, first.slope), *others)


@dataclass(frozen=True)
class Sitting:
    """Where a training is to go on from: step (0: from new weights) and the state of network and optimiser."""

    step: int = 0
    state: Mapping[str, Any] = field(default_factory=dict)


def train(
    gathered: Gathered,
    settings: Settings,
    keep: np.ndarray,
    sitting: Sitting,
    passed: Callable[[Sitting], None] = lambda _: None,
) -> Autoencoder:
    """Train a network, or go on where a training stopped; the numbers are the same.

    Args:
        gathered: Poses.
        settings: What to train.
        keep: (N,) with which of the poses.
        sitting: Where to go on from.
        passed: Given, now and then, what is to go on from if the rest is lost.
    """
    rows = np.flatnonzero(keep)
    torch.manual_seed(settings.seed)
    network = Autoencoder(settings)
    optimizer = torch.optim.Adam(network.parameters(), settings.rate)
    if sitting.step:
        network.load_state_dict(sitting.state["network"])
        optimizer.load_state_dict(sitting.state["optimizer"])
    saved = monotonic()
    for step in range(sitting.step, settings.steps):
        for group in optimizer.param_groups:
            group["lr"] = settings.rate * 0.5 * (1 + math.cos(math.pi * step / settings.steps))
        loss = network.loss(*_batch(gathered, rows, settings, step)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if (step + 1) % MARK == 0 or step + 1 == settings.steps or monotonic() - saved > EVERY_S:
            passed(Sitting(step + 1, {"network": network.state_dict(), "optimizer": optimizer.state_dict()}))
            saved = monotonic()
    return network


@torch.no_grad()
def latent_rms(gathered: Gathered, network: Autoencoder, keep: np.ndarray | None = None) -> Tensor:
    """Return the root mean square (Z,) of latent means over poses (`keep` (N,); None: all), at least `LEAST_RMS`."""
    squared, count = torch.zeros(()), 0
    for chunk in gathered.chunks(keep):
        mean, _ = network.encode(rotation.exp(torch.from_numpy(chunk).float().unflatten(1, (JOINTS, 3))))
        squared, count = squared + mean.square().sum(0), count + len(mean)
    return (squared / count).sqrt().clamp(min=LEAST_RMS)


@torch.no_grad()
def measure(gathered: Gathered, settings: Settings, keep: np.ndarray, network: Autoencoder) -> Tensor:
    """Measure a network on poses it was not trained with, and their mirror images.

    Args:
        gathered: Poses.
        settings: Of the network.
        keep: (N,) which of the poses; the others it was trained with.
        network: Trained.

    Returns:
        (4 + 21,) sums over poses, float64: their number, mean angle per joint (degrees) between pose and what is
        unfolded from its mean, loss (nats), mean square of the scaled latent numbers, and mean square per axis of what
        unfolding loses (rad²), by joint.
    """
    draw = torch.Generator().manual_seed(settings.seed)
    sums, rms = torch.zeros(4 + JOINTS, dtype=torch.float64), latent_rms(gathered, network, ~keep)
    for chunk in gathered.chunks(keep):
        pose = rotation.exp(torch.from_numpy(chunk).float().unflatten(1, (JOINTS, 3)))
        noise = torch.randn(len(pose), settings.latent, generator=draw)
        mean, _ = network.encode(pose)
        away = rotation.log(network.decode(mean).mT @ pose).double()  # (n, 21, 3) rad
        degrees = away.norm(dim=-1).rad2deg().mean(1)
        loss = network.loss(pose, pose, noise).double()
        columns = torch.stack((torch.ones_like(degrees), degrees, loss, (mean / rms).double().square().mean(1)), 1)
        sums += torch.cat((columns, away.square().mean(-1)), 1).sum(0)
    return sums


def _network(given: int, width: int, out: int) -> nn.Sequential:
    rectifier = nn.LeakyReLU(SLOPE)
    return nn.Sequential(nn.Linear(given, width), rectifier, nn.Linear(width, width), rectifier, nn.Linear(width, out))


def _batch(gathered: Gathered, rows: np.ndarray, settings: Settings, step: int) -> tuple[Tensor, Tensor, Tensor]:
    """Draw a step's noisy poses, poses (B, 21, 3, 3) and latent noise (B, Z); the same for the same step."""
    rng = np.random.default_rng((settings.seed, step))
    pose, other = (_drawn(gathered, rows, settings.batch, rng) for _ in range(2))
    recombined = rng.random(settings.batch) < settings.recombined
    legs = np.array([3 * row + axis for row in LEGS for axis in range(3)])
    pose[np.ix_(recombined, legs)] = other[np.ix_(recombined, legs)]
    clean = rotation.exp(torch.from_numpy(pose).unflatten(1, (JOINTS, 3)))
    noise = torch.from_numpy(rng.standard_normal((settings.batch, JOINTS, 3), np.float32))
    latent = torch.from_numpy(rng.standard_normal((settings.batch, settings.latent), np.float32))
    return clean @ rotation.exp(settings.noise_rad * noise), clean, latent


def _drawn(gathered: Gathered, rows: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Draw poses (count, 63), half of them mirrored."""
    pose = np.array(gathered.pose[rows[rng.integers(len(rows), size=count)]])
    other = rng.random(count) < 0.5
    pose[other] = mirrored(pose[other])
    return pose
