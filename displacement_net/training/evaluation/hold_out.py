"""The hold-out: people in outfits, skins, places and poses that training never sees, with estimates of known strength.

For each texture case the same people come again, so that cases differ in nothing else. All are adults, for whom
strengths are defined.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from displacement_net.training.assets import Assets, load_assets
from displacement_net.training.batches import HOLDOUT_SEED
from displacement_net.training.samples import TEXTURE_CASES, Sampler, Samples
from displacement_net.training.split import split
from displacement_net.training.training_body import TrainingBody, load_training_body
from refine.body import anny
from refine.errors import InputError
from refine.evaluate.strengths import STRENGTHS, InTurn

TOGETHER = 8
"""Samples of each strength in a batch."""
LOOKS_SEED = 1
"""Of the hold-out's looks, as in training's own measurements."""


@dataclass(frozen=True)
class HoldOut:
    """Where hold-out samples come from.

    Attributes:
        training: The base mesh.
        assets: Clothes, skins, places and poses that are kept from training.

    Raises:
        InputError: The seed is negative.
    """

    training: TrainingBody
    assets: Assets
    seed: int = 0
    """Which people."""
    device: torch.device | str = "cpu"
    """Where they are made."""
    looks: int = 40
    """How many combinations of garments."""

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise InputError("--seed", "0 or more", str(self.seed))

    def batches(
        self, case: str, size: int, each: int, strengths: tuple[str, ...] = STRENGTHS
    ) -> Iterator[tuple[Samples, np.ndarray]]:
        """Make samples.

        Args:
            case: The texture case all have.
            size: Side of the crops, px.
            each: Samples of each strength.
            strengths: Which.

        Yields:
            B samples, and (B,) the strength of each, an index into `strengths`.
        """
        estimates = InTurn(strengths, known_shapes(self.training))
        sampler = Sampler(
            self.training, self.assets, size=size, device=self.device, looks=self.looks,
            seed=LOOKS_SEED, per_photo=1, children=0.0, estimates=estimates,
            cases=tuple(float(name == case) for name in TEXTURE_CASES),
        )  # fmt: skip
        first = HOLDOUT_SEED * (1 + self.seed)
        for start in range(0, each, TOGETHER):
            count = min(TOGETHER, each - start) * len(strengths)
            yield sampler.batch(first + start, count), estimates.of_rows(count)


def hold_out_of(training_body: Path, assets: Path | None, seed: int = 0, device: torch.device | str = "cpu") -> HoldOut:
    """Read what the hold-out is made of.

    Args:
        training_body: What `python -m refine.body.build --training FILE` wrote.
        assets: Folder of clothes, skins, panoramas and motion; absent: procedural ones.
        seed: Which people.
        device: Where they are made.

    Raises:
        InputError: A file is missing or damaged.
    """
    return HoldOut(load_training_body(anny.load(), training_body), split(load_assets(assets), True), seed, device)


def known_shapes(training: TrainingBody) -> int:
    """Return how many shape coefficients the built-in body has; the people of the training may have more."""
    return min(anny.load().shape_basis.shape[2], training.body.shape_basis.shape[2])
