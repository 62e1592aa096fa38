"""Batches: what the network is shown at each step and the truth about it, made where they are needed, in order.

    lot m on process r of R   <-  source.batch(seed = first + (m R + r) made, made), shuffled by its seed
    steps of a lot            <-  its first batch, that batch's mirror image, its second batch, ...
        made / count batches a lot

A mirrored photo of a person is a photo of a mirrored person, and bodies are symmetric, so that the second batch costs
nothing to make; its seeds say all, so that a run that was stopped sees exactly what it would have seen. A GPU makes
many samples at once in hardly more time than few. Anything with `batch(seed, count) -> Shown` is a source: the
synthetic people of this package, or a rendered or real set with ground truth.
"""

import itertools
from collections.abc import Callable, Generator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from displacement_net.loss import Truth
from displacement_net.preprocessing import CHANNELS, network_input
from displacement_net.training import packed
from displacement_net.training.shown import SampleSource, Shown
from refine import batch
from refine.errors import InputError

HOLDOUT_SEED = 2**40
"""First seed of the hold-out, which no training reaches."""


@dataclass(frozen=True, eq=False)
class Batch:
    """What the network is shown, (B, 15, S, S), and what is true of it."""

    channels: Float[Tensor, "B C S S"]
    truth: Truth

    def to(self, device: torch.device) -> "Batch":
        """Move to a device."""
        truth = self.truth
        person = None if truth.person is None else truth.person.to(device)
        moved = Truth(truth.offset.to(device), truth.rendered.to(device), truth.visible.to(device), person)
        return Batch(self.channels.to(device), moved)

    def __getitem__(self, rows: Tensor | slice) -> "Batch":
        return batch.rows(self, rows)


def batch_of(samples: Shown) -> Batch:
    """Return samples as the network sees them.

    Args:
        samples: B samples.
    """
    last = (0, 2, 3, 1)
    channels = network_input(
        samples.image.permute(last),
        samples.normals.permute(last),
        samples.depth[:, 0],
        samples.colors.permute(last),
        samples.foreground,
        torch.cat((samples.texture, samples.confidence), 1).permute(last),
    )
    return Batch(channels, Truth(samples.offset, samples.foreground, samples.visible, samples.person))


def mirrored(batch: Batch) -> Batch:
    """Return the batch seen in a mirror that swaps left and right.

    Args:
        batch: B crops of a body whose rest-pose colours are symmetric: what is x on one side is 1 - x on the other.
    """
    sign = torch.ones(len(CHANNELS))
    sign[[CHANNELS.index("normal_x"), CHANNELS.index("rest_x")]] = -1  # the colour is centred, see `preprocessing`
    truth = batch.truth
    return Batch(
        (batch.channels * sign.to(batch.channels)[:, None, None]).flip(3),
        Truth(
            truth.offset.flip(2) * truth.offset.new_tensor((-1.0, 1.0)),
            truth.rendered.flip(2),
            truth.visible.flip(2),
            None if truth.person is None else _mirrored_person(truth.person),
        ),
    )


def _mirrored_person(person: Tensor) -> Tensor:
    """Return what the photo's pixels show, (B, 4, S, S), in the mirror."""
    there, x, y, z = person.flip(3).split(1, 1)
    return torch.cat((there, there - x, y, z), 1)  # zero stays zero beside the person


class Lots(Dataset["packed.Samples"]):
    """Lots of samples; the source is made on first use, by the process that asks: a worker need not be sent it."""

    def __init__(self, make_source: Callable[[], SampleSource], made: int, first_seed: int, rank: int, world: int):
        self.make_source, self.made, self.first_seed = make_source, made, first_seed
        self.rank, self.world = rank, world
        self._source: SampleSource | None = None

    def seed(self, lot: int) -> int:
        """Return the seed of a lot."""
        return self.first_seed + (lot * self.world + self.rank) * self.made

    def __getitem__(self, lot: int) -> "packed.Samples":
        """Return the samples of a lot."""
        self._source = self._source or self.make_source()
        return packed.pack(self._source.batch(self.seed(lot), self.made))


def batches(
    make_source: Callable[[], SampleSource],
    count: int,
    *,
    made: int | None = None,
    first_step: int = 0,
    first_seed: int = 0,
    rank: int = 0,
    world: int = 1,
    workers: int = 0,
    device: torch.device | str = "cpu",
) -> Generator[Batch, None, None]:
    """Return batches without end, those of `first_step` and after.

    Args:
        make_source: Makes the source; must be importable by name if there are workers.
        count: B.
        made: Samples that are made at once, a multiple of B; None: B.
        first_step: Where to begin.
        first_seed: Which people.
        rank: This process among those that train together.
        world: How many these are.
        workers: Processes that make samples ahead; 0: they are made in between, by this one.
        device: Where batches are wanted.

    Raises:
        InputError: `made` is no multiple of B.
    """
    made = made or count
    if made < count or made % count:
        raise InputError("made", f"a multiple of a batch's {count} samples", str(made))
    steps = 2 * made // count
    lots = Lots(make_source, made, first_seed, rank, world)
    # A fresh interpreter for each worker: a fork would inherit the threads and the device of this one.
    loader = DataLoader(
        lots,
        batch_size=None,
        sampler=itertools.count(first_step // steps),
        num_workers=workers,
        multiprocessing_context="spawn" if workers else None,
        pin_memory=torch.device(device).type == "cuda",
    )
    every = itertools.chain.from_iterable(
        _steps(lot, count, lots.seed(number), torch.device(device))
        for number, lot in enumerate(loader, first_step // steps)
    )
    yield from itertools.islice(every, first_step % steps, None)


def _steps(lot: "packed.Samples", count: int, seed: int, device: torch.device) -> Generator[Batch, None, None]:
    """Return the batches of a lot, each followed by its mirror image; estimates of one photo are spread over them."""
    order = torch.randperm(len(lot), generator=torch.Generator().manual_seed(seed)).to(device)
    here = lot.to(device)
    for rows in order.split(count):
        batch = batch_of(packed.unpack(here[rows]))
        yield batch
        yield mirrored(batch)
