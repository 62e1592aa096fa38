"""Which capsules of a body can touch, and where two capsules are closest.

    closest    the minimum of |p(s) - q(t)| - r(s) - R(t), convex: where n . u = κ and n . v = -κ', or on an edge of the
               unit square

with u, v the axes' directions, n that of p - q, κ and κ' the growth of the radii along the axes. Without taper (κ = 0)
these are the closest points of two segments.

A pair is kept if its joints are more than `NEIGHBOURS` bones apart, if it comes within `REACH_M` in some pose drawn
within the ranges of `priors.joint_ranges`, and if it overlaps by more than `ALWAYS_M` in none of the `NATURAL` poses:
what overlaps there is no contact but the capsules' coarseness (on the built-in body the upper arms with the chest
beside them and the neck).

Source: Ericson, Real-Time Collision Detection, 2005, sec. 5.1.9 (segments); the tapered case is derived here and tested
against a grid.
"""

import weakref
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from priors.capsules import TINY, Capsules, fit_capsules
from priors.joint_ranges import HUMAN_RANGES
from refine.body import SkinnedBody, pose_body
from refine.geometry import rotation
from refine.state import Bodies

NEIGHBOURS = 2
"""Bones between joints whose capsules overlap by construction: parent and child, siblings, grandchild."""

REACH_M = 0.10
"""Pairs that never come closer than this (m) in the drawn poses are left out; two sigma of shape add at most 4 cm."""

DRAWN = 256
"""Poses drawn, each joint uniformly within its range; joints without a range turn any way."""

ALWAYS_M = 0.005
"""Overlap (m) in a natural pose from which a pair is no pair: a third of the slack of `SelfPenetration`, so that no
natural pose of the mean shape costs anything, by a margin of a centimetre."""

NATURAL: dict[str, dict[str, tuple[float, float, float]]] = {
    "arms out": {},
    "standing": {"shoulder": (0, 0, -80)},
    "arms up": {"collar": (0, 0, 30), "shoulder": (0, 0, 70)},
    "arms forward": {"shoulder": (0, -90, 0), "elbow": (0, -60, 0)},
    "seated": {"hip": (-90, 0, 0), "knee": (90, 0, 0), "shoulder": (0, 0, -70)},
}
"""Poses in which nobody is squeezed, rotation vectors of the left side's joints in degrees, in the frame of
`priors.joint_ranges`."""

STEEPEST = 0.9
"""Most growth of the radius along the axis, m per m: at 1 one end's ball would hold the whole capsule."""


@dataclass(frozen=True, eq=False)
class CapsulePairs:
    """N pairs of a body's capsules that can touch.

    Attributes:
        capsules: The body's C capsules.
        first: (N,) one of the two.
        second: (N,) the other.
        turned: (J, N) how a joint moves the two against each other: 1 where it turns the first alone, -1 the second
            alone, 0 both or none.
    """

    capsules: Capsules
    first: Int[Tensor, "N"]
    second: Int[Tensor, "N"]
    turned: Float[Tensor, "J N"]

    @property
    def names(self) -> tuple[tuple[str, str], ...]:
        """The joints that carry the two capsules of each pair."""
        names = self.capsules.names
        return tuple((names[i], names[j]) for i, j in zip(self.first.tolist(), self.second.tolist(), strict=True))


_FOUND: dict[int, CapsulePairs] = {}


def pairs_of(body: SkinnedBody) -> CapsulePairs:
    """Return a body's capsules and the pairs that can touch; found once, and kept as long as the body lives.

    Args:
        body: Any skinned body.

    Returns:
        The pairs, on its device and of its dtype.
    """
    found = _FOUND.get(id(body))
    if found is None:
        found = _FOUND[id(body)] = find_pairs(body, fit_capsules(body))
        weakref.finalize(body, _FOUND.pop, id(body), None)
    return found


def find_pairs(body: SkinnedBody, capsules: Capsules) -> CapsulePairs:
    """Find the pairs that can touch, by the rule above, for the mean shape.

    Args:
        body: Any skinned body.
        capsules: Its capsules.

    Returns:
        The pairs, on its device and of its dtype.
    """
    below = body.descendants  # (J, J)
    carried = below[:, capsules.joint]  # (J, C): one where the joint turns the capsule
    depth = carried.sum(0)
    bones = depth[:, None] + depth - 2 * carried.mT @ carried
    first, second = torch.triu(bones > NEIGHBOURS, 1).nonzero().unbind(1)
    pose = torch.cat((_natural_poses(body.joint_names), _drawn_poses(body.joint_names))).to(body.template)
    still = body.rest_bodies(len(pose))
    ends, radius = capsules.placed(pose_body(body, Bodies(pose, still.shape, still.expression, still.translation)))
    over = overlap(ends[:, first], radius[:, first], ends[:, second], radius[:, second])
    kept = (over.amax(0) > -REACH_M) & (over[: len(NATURAL)].amax(0) <= ALWAYS_M)
    first, second = first[kept], second[kept]
    return CapsulePairs(capsules, first, second, carried[:, first] - carried[:, second])


def _natural_poses(joint_names: tuple[str, ...]) -> Tensor:
    """Local rotations (len(NATURAL), J, 3, 3) of the natural poses; the right side mirrors the left."""
    turn = torch.zeros(len(NATURAL), len(joint_names), 3, dtype=torch.float64)
    for row, pose in enumerate(NATURAL.values()):
        for joint, name in enumerate(joint_names):
            side = torch.tensor([1.0, -1.0, -1.0]) if name.startswith("right_") else torch.ones(3)
            turn[row, joint] = side * torch.tensor(pose.get(_word(name), (0.0, 0.0, 0.0)))
    return rotation.exp(turn.deg2rad())


def _drawn_poses(joint_names: tuple[str, ...]) -> Tensor:
    """Local rotations (`DRAWN`, J, 3, 3) within the ranges, always the same."""
    draw = torch.Generator().manual_seed(0)
    swing = torch.zeros(DRAWN, len(joint_names), 3, dtype=torch.float64)
    twist = torch.zeros_like(swing)
    for joint, name in enumerate(joint_names):
        share = torch.rand(DRAWN, 3, generator=draw, dtype=torch.float64)
        found = HUMAN_RANGES.get(_word(name))
        if found is None:
            swing[:, joint] = torch.pi * (2 * share - 1)
            continue
        found = found.mirrored() if name.startswith("right_") else found
        low, high = torch.tensor((found.x, found.y, found.z), dtype=torch.float64).deg2rad().unbind(1)
        swing[:, joint] = low + share * (high - low)
        twist[:, joint, found.bone] = swing[:, joint, found.bone]
        swing[:, joint, found.bone] = 0.0
    return rotation.exp(swing) @ rotation.exp(twist)


def _word(name: str) -> str:
    return name.removeprefix("left_").removeprefix("right_")


def overlap(
    first: Float[Tensor, "B N 2 3"],
    first_radius: Float[Tensor, "B N 2"],
    second: Float[Tensor, "B N 2 3"],
    second_radius: Float[Tensor, "B N 2"],
) -> Float[Tensor, "B N"]:
    """Return how deep capsules lie in each other.

    Args:
        first: (B, N, 2, 3) m, ends of the first axis.
        first_radius: (B, N, 2) m.
        second: (B, N, 2, 3) m, ends of the second axis.
        second_radius: (B, N, 2) m.

    Returns:
        (B, N) m, below zero the gap between them.
    """
    share, other = closest(first, first_radius, second, second_radius)
    between = along(first, share) - along(second, other)
    return (
        along(first_radius[..., None], share)[..., 0]
        + along(second_radius[..., None], other)[..., 0]
        - between.norm(dim=-1)
    )


def along(ends: Float[Tensor, "B N 2 D"], share: Float[Tensor, "B N"]) -> Float[Tensor, "B N D"]:
    """Return the point (B, N, D) that far, from 0 to 1, from the first end (B, N, 2, D) to the second."""
    return torch.lerp(ends[:, :, 0], ends[:, :, 1], share[..., None])


def closest(
    first: Float[Tensor, "B N 2 3"],
    first_radius: Float[Tensor, "B N 2"],
    second: Float[Tensor, "B N 2 3"],
    second_radius: Float[Tensor, "B N 2"],
) -> tuple[Float[Tensor, "B N"], Float[Tensor, "B N"]]:
    """Return where along their axes two capsules overlap most, or come closest.

    At these two numbers, held fixed, the derivative of the overlap is that of the overlap itself (envelope theorem).

    Args:
        first: (B, N, 2, 3) m, ends of the first axis; they may coincide.
        first_radius: (B, N, 2) m.
        second: (B, N, 2, 3) m, ends of the second axis.
        second_radius: (B, N, 2) m.

    Returns:
        Two shares (B, N) of the way from the first end to the second, without a gradient.
    """
    first, first_radius = first.detach(), first_radius.detach()
    second, second_radius = second.detach(), second_radius.detach()
    length, along = _axis(first)
    other_length, other = _axis(second)
    grow, other_grow = _growth(first_radius, length), _growth(second_radius, other_length)
    between = first[..., 0, :] - second[..., 0, :]
    # Everything is a function of these six: |p - q|² = bb + x² + y² + 2 x bu - 2 y bv - 2 x y c.
    bb, bu, bv = (between * between).sum(-1), (between * along).sum(-1), (between * other).sum(-1)
    c = (along * other).sum(-1)
    across = torch.linalg.cross(along, other)
    squared_sine = (across * across).sum(-1).clamp(min=TINY)
    height = (between * across).sum(-1).abs() / squared_sine.sqrt()

    # Inside both: n = (α, β in the axes' plane) + rest across it.
    in_plane = (grow * grow + other_grow * other_grow + 2 * c * grow * other_grow) / squared_sine
    far = height / (1 - in_plane).clamp(min=TINY).sqrt()
    a, b = far * grow - bu, -far * other_grow - bv
    inner_x, inner_y = (a - c * b) / squared_sine, (c * a - b) / squared_sine

    zero = torch.zeros_like(length)
    candidates = [(inner_x, inner_y)]
    for y in (zero, other_length):  # an end of the second against the first
        foot = y * c - bu
        candidates.append((foot + _lean(grow, bb + y * y - 2 * y * bv - foot * foot), y))
    for x in (zero, length):  # an end of the first against the second
        foot = bv + x * c
        candidates.append((x, foot + _lean(other_grow, bb + x * x + 2 * x * bu - foot * foot)))
    x = torch.stack([one for one, _ in candidates]).clamp(min=zero, max=length)  # (5, B, N) m
    y = torch.stack([two for _, two in candidates]).clamp(min=zero, max=other_length)
    apart = (bb + x * x + y * y + 2 * x * bu - 2 * y * bv - 2 * x * y * c).clamp(min=0).sqrt()
    best = (apart - grow * x - other_grow * y).argmin(0, keepdim=True)
    x, y = x.gather(0, best)[0], y.gather(0, best)[0]
    return x / length.clamp(min=TINY), y / other_length.clamp(min=TINY)


def _axis(ends: Tensor) -> tuple[Tensor, Tensor]:
    """Length (B, N) m and direction (B, N, 3) of an axis; the direction is zero where the ends coincide."""
    axis = ends[..., 1, :] - ends[..., 0, :]
    length = axis.norm(dim=-1)
    return length, axis / length.clamp(min=TINY)[..., None]


def _growth(radius: Tensor, length: Tensor) -> Tensor:
    """Growth of the radius along the axis, m per m, zero for balls."""
    grow = ((radius[..., 1] - radius[..., 0]) / length.clamp(min=TINY)).clamp(-STEEPEST, STEEPEST)
    return torch.where(length > TINY, grow, torch.zeros_like(grow))


def _lean(grow: Tensor, squared: Tensor) -> Tensor:
    """How far beyond its foot on the axis (m) a point at this squared distance from it meets a tapered capsule."""
    return grow * squared.clamp(min=0).sqrt() / (1 - grow * grow).sqrt()
