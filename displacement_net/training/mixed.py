"""Several sources of samples as one: every batch holds each source's share, one source after the other.

    count_k = floor(share_k count) or one more, drawn so that the mean is exact (systematic sampling)

Source: Madow, Ann. Math. Stat. 20(3), 1949 (systematic sampling).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from displacement_net.training.shown import Crops, SampleSource, Shown
from refine.errors import InputError

_ALWAYS = tuple(name for name in Crops.__dataclass_fields__ if name != "person")


@dataclass(frozen=True)
class Mixed:
    """A source made of sources; `mixed` checks what it is given.

    Attributes:
        sources: Two or more, whose samples have one size and device.
        shares: How much of each, above zero, summing to one.
    """

    sources: tuple[SampleSource, ...]
    shares: tuple[float, ...]

    def batch(self, seed: int, count: int) -> Shown:
        """Make a batch.

        Args:
            seed: Handed on to each source; draws which source gets what is left over.
            count: B.

        Raises:
            InputError: The sources' samples differ in size.
        """
        parts = [
            source.batch(seed, wanted)
            for source, wanted in zip(self.sources, self.counts(seed, count), strict=True)
            if wanted
        ]
        sizes = {part.image.shape[-1] for part in parts}
        if len(sizes) > 1:
            raise InputError("sources", "samples of one size", f"{' and '.join(map(str, sorted(sizes)))} px")
        known = {name: torch.cat([getattr(part, name) for part in parts]) for name in _ALWAYS}
        people = [part.person for part in parts if part.person is not None]
        return Crops(person=torch.cat(people) if len(people) == len(parts) else None, **known)

    def counts(self, seed: int, count: int) -> list[int]:
        """Return how many samples of a batch come from each source, `count` in all."""
        ends = np.cumsum(np.array(self.shares)) * count
        ends[-1] = count
        start = np.random.default_rng((seed, count, len(ends))).random()
        taken = np.ceil(ends - start).clip(0, count).astype(int)
        taken[-1] = count
        return np.diff(taken, prepend=0).tolist()


def mixed(sources: Sequence[SampleSource], shares: Sequence[float]) -> SampleSource:
    """Return one source made of several.

    Args:
        sources: One or more.
        shares: How much of each batch comes from each; they sum to one.

    Returns:
        The source; one that gets everything is returned as it is.

    Raises:
        InputError: There is not one share a source, one is negative, or they do not sum to one.
    """
    if not sources or len(sources) != len(shares):
        raise InputError("shares", f"one for each of {len(sources)} sources", str(len(shares)))
    if not all(math.isfinite(share) and share >= 0 for share in shares) or abs(sum(shares) - 1) > 1e-6:
        raise InputError("shares", "numbers of 0 or more that sum to 1", ", ".join(f"{share:g}" for share in shares))
    used = [(source, share) for source, share in zip(sources, shares, strict=True) if share]
    if len(used) == 1:
        return used[0][0]
    return Mixed(tuple(source for source, _ in used), tuple(share for _, share in used))
