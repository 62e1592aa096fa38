"""People laid over each other: who is in front in a crop, and how near everybody but the estimated person is."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Layer:
    """A people in crops: `color` (A, S, S, 3) sRGB, `covered` (A, S, S) 0..1, `depth` (A, S, S) m or infinite."""

    color: Float[Tensor, "A S S 3"]
    covered: Float[Tensor, "A S S"]
    depth: Float[Tensor, "A S S"]


def slots(photo: Int[np.ndarray, "A"], count: int) -> Int[np.ndarray, "B K"]:
    """Return who is in each photo: the first one, then the others in order, -1 where there are no more.

    Args:
        photo: (A,) the photo each is in; the first `count` are those photos' first people.
        count: B, photos.
    """
    number = np.zeros(len(photo), np.int64)
    for place in range(1, int(np.bincount(photo, minlength=1).max())):
        # Who comes after at least `place` others of the same photo.
        order = np.argsort(photo, kind="stable")
        same = photo[order[place:]] == photo[order[:-place]]
        number[order[place:][same]] = place
    table = np.full((count, int(number.max()) + 1), -1, np.int64)
    table[photo, number] = np.arange(len(photo))
    return table


def compose(layer: Layer, table: Int[np.ndarray, "B K"]) -> Float[Tensor, "B S S 4"]:
    """Lay people over each other.

    Args:
        layer: A people.
        table: (B, K) who is in each photo, see `slots`.

    Returns:
        (B, S, S, 4): colour times opacity, and opacity.
    """
    painted = torch.cat((layer.color * layer.covered[..., None], layer.covered[..., None]), -1)
    first = torch.from_numpy(table[:, 0]).to(painted.device)
    picture, depth = painted[first], layer.depth[first]
    for place in range(1, table.shape[1]):
        rows = np.flatnonzero(table[:, place] >= 0)
        at, who = (torch.from_numpy(each).to(painted.device) for each in (rows, table[rows, place]))
        nearer = (layer.depth[who] < depth[at])[..., None]
        front = torch.where(nearer, painted[who], picture[at])
        back = torch.where(nearer, picture[at], painted[who])
        picture[at] = front + back * (1 - front[..., 3:])
        depth[at] = torch.minimum(depth[at], layer.depth[who])
    return picture


def others_depth(
    layer: Layer, table: Int[np.ndarray, "B K"], photo: Int[np.ndarray, "N"], who: Int[np.ndarray, "N"]
) -> Float[Tensor, "N S S"]:
    """Return how near everybody else is, m, infinite where nobody is.

    Args:
        layer: A people.
        table: (B, K) who is in each photo, see `slots`.
        photo: (N,) photos.
        who: (N,) of A, who does not count.
    """
    depth = layer.depth.new_full((len(who), *layer.depth.shape[1:]), torch.inf)
    for place in range(table.shape[1]):
        actor = table[photo, place]
        rows = np.flatnonzero((actor >= 0) & (actor != who))
        at, other = (torch.from_numpy(each).to(depth.device) for each in (rows, actor[rows]))
        depth[at] = torch.minimum(depth[at], layer.depth[other])
    return depth
