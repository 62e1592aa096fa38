"""Measures how far an update moves and enlarges a person in the picture, to detect evidence of another photo or person.

    stature = extent of the template · (Σ |bone|² / Σ |bone of the template|²)^½          m, in any pose
    scale   = focal / depth of the trunk                                                  px/m
    shift   = |pixel of the trunk's middle, after - before| / (scale · stature, before)   heights of the person
    growth  = log (scale · stature, after) / (scale · stature, before)

All from two states, before and after, without a solve and whatever the evidence is. The trunk, since limbs turn. A
lens' distortion counts in the pixels; the scale is the pinhole's, before and after.

Causes, by what remains of (shift / most shift)² + (growth / most growth)² when each is undone:

    a crop's corner that was not added, a neighbour    a shift without growth:                growth
    a photo resized by s about its corner              x comes to s x, growth to log s:       |s x - x'|, growth - log s
    anything else                                      both leave more than an estimate may err by

s is the least squares solution for both, growth linearised where it was found.

Source: derived here; the pinhole: Hartley and Zisserman, Multiple View Geometry, 2nd ed., sec. 6.1.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from refine import batch
from refine.body import SkinnedBody, pose_body
from refine.solve import Decision
from refine.state import State


@dataclass(frozen=True, eq=False)
class Move:
    """The displacement and growth of B people in the picture.

    Attributes:
        start: (B, 2) px, middle of the trunk before.
        way: (B, 2) px, its displacement to the right and down.
        height: (B,) px, height of an upright person in the picture, before.
        growth: (B,) logarithm of the size in the picture, after over before.
        photo: (B, 2) px, height and width of the photo.
    """

    start: Float[Tensor, "B 2"]
    way: Float[Tensor, "B 2"]
    height: Float[Tensor, "B"]
    growth: Float[Tensor, "B"]
    photo: Float[Tensor, "B 2"]

    @property
    def shift(self) -> Float[Tensor, "B"]:
        """Length (B,) of the displacement in heights of the person."""
        return self.way.norm(dim=1) / self.height

    def excess(self, most_shift: float, most_growth: float) -> Float[Tensor, "B"]:
        """Return the larger (B,) of shift and growth over their bounds; zero where it is not known.

        Args:
            most_shift: Heights of the person.
            most_growth: Of the logarithm.
        """
        return torch.maximum(self.shift / most_shift, self.growth.abs() / most_growth).nan_to_num(0.0, posinf=0.0)

    def resized(self, most_shift: float, most_growth: float) -> tuple[Float[Tensor, "B"], Float[Tensor, "B"]]:
        """Return the factor (B,) by which the photo seems resized, and what remains (B,) over the bounds without it.

        Args:
            most_shift: Heights of the person.
            most_growth: Of the logarithm.
        """
        place, size = self.height * most_shift, self.growth.exp() * most_growth  # scales of the two residuals
        end = self.start + self.way
        weight = self.start.square().sum(1) / place**2 + 1 / size**2
        factor = ((self.start * end).sum(1) / place**2 + self.growth.exp() / size**2) / weight
        off = (end - factor[:, None] * self.start).norm(dim=1) / place
        rest = (self.growth - factor.clamp(min=1e-6).log()) / most_growth
        return factor, (off.square() + rest.square()).sqrt()


@dataclass(frozen=True, eq=False)
class Place:
    """The judgement of B people's moves: within the errors of estimates, or the likeliest cause.

    Attributes:
        cause: B decisions, None where the move is within the bounds.
        numbers: (B,) each, by their names in a `Verdict`; NaN where not known.
    """

    cause: tuple[Decision | None, ...]
    numbers: Mapping[str, Float[Tensor, "B"]]


def place_of(moves: Sequence[Move], most_shift: float, most_growth: float) -> Place:
    """Judge the places people were moved to.

    Args:
        moves: Of the same B people, one or more; the farthest one of each counts.
        most_shift: How far an estimate may err in the picture, heights of the person.
        most_growth: How much in size, of the logarithm.
    """
    move = moves[0]
    for other in moves[1:]:
        farther = other.excess(most_shift, most_growth) > move.excess(most_shift, most_growth)
        move = batch.where(farther, other, move)
    factor, left = move.resized(most_shift, most_growth)
    aside = move.growth.abs() / most_growth  # what remains of a pure shift
    by_body = zip(move.excess(most_shift, most_growth).tolist(), left.tolist(), aside.tolist(), strict=True)
    cause = tuple(_cause(*each) for each in by_body)
    resized = torch.tensor([each is Decision.RESIZED for each in cause], dtype=torch.bool, device=factor.device)
    photo = torch.where(resized[:, None], factor[:, None] * move.photo, torch.nan)
    numbers = {
        "shift": move.shift, "right": move.way[:, 0], "down": move.way[:, 1], "enlarged": move.growth.exp(),
        "photo_width": photo[:, 1], "photo_height": photo[:, 0],
    }  # fmt: skip
    return Place(cause, numbers)


def _cause(excess: float, resized: float, aside: float) -> Decision | None:
    """Return the likeliest cause by what remains of each; None where nothing is beyond its bound."""
    if excess <= 1:
        return None
    if resized <= 1 and resized < aside:
        return Decision.RESIZED
    return Decision.BESIDE if aside <= 1 else Decision.ELSEWHERE


def move_of(body: SkinnedBody, before: State, after: State) -> Move:
    """Measure how people moved in the picture.

    Args:
        body: The model.
        before: B people.
        after: The same people, moved.

    Returns:
        The moves; numbers of a body that is not in front of the camera are not finite.
    """
    (start, tall), (end, grown) = (_seen(body, each) for each in (before, after))
    return Move(start, end - start, tall, (grown / tall).log(), before.camera.size)


def _seen(body: SkinnedBody, state: State) -> tuple[Tensor, Tensor]:
    """Return the pixel (B, 2) of the trunk's middle, and the height (B,) px of people who stand upright there."""
    joints = pose_body(body, state.bodies).joints
    middle = joints[:, body.anatomy.trunk].mean(1, keepdim=True)  # (B, 1, 3) m
    depth = state.camera.transform(middle)[:, 0, 2]
    child = (body.parents >= 0).nonzero()[:, 0]
    parent = body.parents[child]
    length = (joints[:, child] - joints[:, parent]).square().sum((1, 2)).sqrt()
    usual = (body.joint_template[child] - body.joint_template[parent]).square().sum().sqrt()
    extent = (body.template.amax(0) - body.template.amin(0)).amax()
    scale = state.camera.focal.mean(1) / torch.where(depth > 0, depth, torch.nan)  # (B,) px/m
    return state.camera.project(middle)[:, 0], scale * extent * length / usual
