"""Who is kept from training: clothes, shoes, hair, skins and places that appear in the hold-out only.

    hold-out  <-  every fifth of each kind, at least one;   training  <-  the others;
              of a kind with a single one both have it

Recordings of motion are split likewise, whole recordings and not frames: neighbouring frames are alike.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from displacement_net.training.assets import Assets
from refine.evaluate.motion import Recordings

EVERY = 5
"""Of each kind, this many make one for the hold-out."""
T = TypeVar("T")


def split(assets: Assets, hold_out: bool) -> Assets:
    """Return the part of the assets that is for training, or the part that is for the hold-out.

    Args:
        assets: All.
        hold_out: Which part.
    """
    return replace(
        assets,
        outfits=_part(assets.outfits, hold_out),
        shoes=_part(assets.shoes, hold_out),
        hair=_part(assets.hair, hold_out),
        skins=_part(assets.skins, hold_out),
        panoramas=_part(assets.panoramas, hold_out),
        recordings=_recordings(assets.recordings, hold_out),
    )


def _recordings(recordings: Recordings, hold_out: bool) -> Recordings:
    names = tuple(np.unique(recordings.sequence).tolist())
    chosen = np.isin(recordings.sequence, _part(names, hold_out))
    return Recordings(recordings.pose[chosen], recordings.sequence[chosen])


def _part(things: Sequence[T], hold_out: bool) -> tuple[T, ...]:
    if len(things) < 2:
        return tuple(things)
    kept = set(range(EVERY - 1, len(things), EVERY)) or {len(things) - 1}
    return tuple(thing for index, thing in enumerate(things) if (index in kept) == hold_out)
