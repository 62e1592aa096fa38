"""Where a track breaks: cuts of the film, and ids that two people exchange.

From one row of a track to the next, dt later, people move and turn no faster than people and cameras do:

    shift  = distance of the pelvis in the picture over the body's height there  <= 0.35 + 6 / s dt
    growth = |log of the ratio of those heights|                                 <= 0.25 + 1.5 / s dt
    turn   = angle of the root's turn                                            <= 2.6 rad

A cut is where most of those who are in both frames do otherwise; one row that is off, with those beside it agreeing, is
none. Two people have exchanged their ids where both lie nearer to where the other one was.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from refine.estimate import Estimate
from refine.geometry import rotation

SHIFT, SHIFT_PER_S = 0.35, 6.0
"""Heights: a sprinter runs six of his own a second, and so does what a turning camera sees; the rest is the regressor's
jitter."""
GROWTH, GROWTH_PER_S = 0.25, 1.5
TURN_RAD = 2.6
"""As `priors.motion.MOST_STEP_RAD`."""
EXCHANGED = 0.5
"""Two people's steps, each to the other's place, over their own steps: below, ids were exchanged."""


@dataclass(frozen=True, eq=False)
class Places:
    """Where B bodies are in the picture.

    Attributes:
        pixel: (B, 2) px, of the pelvis.
        height: (B,) px, diagonal of the box around the joints.
        root: (B, 3, 3) rotation of the pelvis.
    """

    pixel: np.ndarray
    height: np.ndarray
    root: Tensor


def places_of(estimate: Estimate) -> Places:
    """Return where the bodies of an estimate are."""
    pixel = estimate.camera.local.project(estimate.joints)
    extent = (pixel.amax(1) - pixel.amin(1)).norm(dim=1).clamp(min=1.0)
    pose = estimate.bodies.pose[:, 0]
    world = estimate.camera.camera_from_world
    root = pose if world is None else world[:, :, :3].to(pose) @ pose
    return Places(pixel[:, 0].double().cpu().numpy(), extent.double().cpu().numpy(), root.double().cpu())


def jumps(places: Places, pairs: Int[Tensor, "M 2"], apart_s: Float[Tensor, "M"]) -> Bool[Tensor, "M"]:
    """Say which steps from one row to another are no motion.

    Args:
        places: Of B rows.
        pairs: M pairs of rows.
        apart_s: (M,) s between them.
    """
    one, other = pairs[:, 0].numpy(), pairs[:, 1].numpy()
    size = np.sqrt(places.height[one] * places.height[other])
    shift = np.linalg.norm(places.pixel[other] - places.pixel[one], axis=1) / size
    growth = np.abs(np.log(places.height[other] / places.height[one]))
    turn = rotation.log(places.root[pairs[:, 0]].mT @ places.root[pairs[:, 1]]).norm(dim=-1).numpy()
    time = apart_s.numpy()
    wrong = (shift > SHIFT + SHIFT_PER_S * time) | (growth > GROWTH + GROWTH_PER_S * time) | (turn > TURN_RAD)
    return torch.from_numpy(wrong)


def find_cuts(
    places: Places, frame: Int[Tensor, "B"], pairs: Int[Tensor, "M 2"], apart_s: Float[Tensor, "M"]
) -> list[int]:
    """Return the frames at which a new shot begins.

    Args:
        places: Of B rows.
        frame: (B,) of each row.
        pairs: Rows that follow each other in a track.
        apart_s: (M,) s between them.
    """
    if not len(pairs):
        return []
    wrong = jumps(places, pairs, apart_s)
    # One row that is off: the rows before and after it agree with each other.
    after = {int(one): (n, int(other)) for n, (one, other) in enumerate(pairs.tolist())}
    for n, (one, other) in enumerate(pairs.tolist()):
        following = after.get(other)
        if wrong[n] and following is not None and wrong[following[0]]:
            over = jumps(places, torch.tensor([[one, following[1]]]), apart_s[[n]] + apart_s[[following[0]]])
            if not bool(over[0]):
                wrong[n] = wrong[following[0]] = False
    ends = frame[pairs[:, 1]]
    votes: dict[int, list[bool]] = {}
    for end, bad in zip(ends.tolist(), wrong.tolist(), strict=True):
        votes.setdefault(end, []).append(bad)
    return sorted(end for end, said in votes.items() if 2 * sum(said) > len(said))


def exchanged(places: Places, frame: Int[Tensor, "B"], pairs: Int[Tensor, "M 2"]) -> list[tuple[int, int, int]]:
    """Return where two people seem to have exchanged their ids: the frame, and a row of each of them there.

    Args:
        places: Of B rows.
        frame: (B,) of each row.
        pairs: Rows that follow each other in a track.
    """
    steps: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for one, other in pairs.tolist():
        steps.setdefault((int(frame[one]), int(frame[other])), []).append((one, other))
    found = []
    for (_, end), together in sorted(steps.items()):
        for number, (a, after_a) in enumerate(together):
            for b, after_b in together[number + 1 :]:
                own = _apart(places, a, after_a) + _apart(places, b, after_b)
                other = _apart(places, a, after_b) + _apart(places, b, after_a)
                size = min(places.height[[a, b]])
                if other < EXCHANGED * own and own > SHIFT * size:
                    found.append((end, after_a, after_b))
    return found


def _apart(places: Places, one: int, other: int) -> float:
    """Return the distance of two rows in the picture, px."""
    return float(np.linalg.norm(places.pixel[one] - places.pixel[other]))
