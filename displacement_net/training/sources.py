"""What is trained with: synthetic people, a set with ground truth, or both.

batch = round((1 - share) B) synthetic samples, then round(share B) of the set
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from displacement_net.training.assets import load_assets
from displacement_net.training.backgrounds import read_backgrounds
from displacement_net.training.mixed import mixed
from displacement_net.training.rendered_set import RenderedSet
from displacement_net.training.samples import Sampler
from displacement_net.training.shown import SampleSource, Shown
from displacement_net.training.split import split
from displacement_net.training.training_body import load_training_body
from refine.body import anny
from refine.errors import InputError
from refine.render.rasterize import by_name


def make_people(
    training_body: Path,
    assets: Path | None,
    size: int,
    device: str,
    hold_out: bool,
    backgrounds: Path | None = None,
    rasterizer: str | None = None,
    larger: tuple[int, ...] = (),
    share: float = 0.25,
) -> SampleSource:
    """Return the synthetic people.

    Args:
        training_body: What `python -m refine.body.build --training FILE` wrote.
        assets: Folder of clothes, hair, skins, panoramas and motion; None: procedural ones.
        size: Side of the crops, px.
        device: Where they are made.
        hold_out: Whether they wear what is kept from training (else only what is not).
        backgrounds: Folder of the user's photos, or None.
        rasterizer: Name of what finds triangles; None: the fastest on a CPU.
        larger: Further sides of crops, px, that whole lots have.
        share: Of those lots, all further sides together.

    Raises:
        InputError: A file is missing or damaged.
    """
    body = load_training_body(anny.load(), training_body)
    photos = () if backgrounds is None else read_backgrounds(backgrounds, size)
    found = None if rasterizer is None else by_name(rasterizer)
    people = Sampler(
        body, split(load_assets(assets), hold_out), size=size, device=device, seed=int(hold_out), backgrounds=photos,
        rasterizer=found,
    )  # fmt: skip
    if not larger:
        return people
    shares = (1 - share, *(share / len(larger),) * len(larger))
    return InTurns((people, *(people.sized(side) for side in larger)), shares)


@dataclass(frozen=True)
class InTurns:
    """A source that asks one of several, by the seed: its batches differ in the crops' side.

    Attributes:
        sources: Several.
        shares: How often each is asked, summing to one.
    """

    sources: tuple[SampleSource, ...]
    shares: tuple[float, ...]

    def batch(self, seed: int, count: int) -> Shown:
        """Return `count` samples of one of the sources."""
        which = np.random.default_rng((seed, len(self.sources))).choice(len(self.sources), p=self.shares)
        return self.sources[int(which)].batch(seed, count)


def make_source(
    people: Callable[[], SampleSource], labels: Path | None, images: Path | None, share: float, size: int, device: str
) -> SampleSource:
    """Return what is trained with: synthetic people, a set with ground truth, or both.

    Args:
        people: Makes the synthetic people.
        labels: npz in BEDLAM's layout (docs/training_data.md); None: synthetic people only.
        images: Folder its `imgname` starts from.
        share: Of the set in every batch.
        size: Side of the crops, px.
        device: Where samples are made.

    Raises:
        InputError: Labels come without images, or a file is missing or damaged.
    """
    if labels is None:
        return people()
    if images is None:
        raise InputError("--images", "the folder --set's imgname starts from", "none")
    labelled = RenderedSet(labels, images, size=size, device=device)
    return labelled if share == 1 else mixed((people(), labelled), (1 - share, share))
