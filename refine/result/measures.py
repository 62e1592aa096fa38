"""Numbers of people, each with its standard deviation: height, lengths, angles of joints, where they face; a sentence.

    sigma² = g C gᵀ,   g = ∂ measure / ∂ joints · ∂ joints / ∂ step,   C: covariance of a step

Bends are of a joint's two bones: 0° straight. Lifts of an arm or thigh are from the trunk: 0° hangs, 90° is level.
`facing` is about the trunk, from the camera: 0° towards it, 90° to the person's left, seen from the front to the right.
The camera is taken to be level for `lean`, the trunk's angle to the vertical.

Source: Delmas et al., PoseScript, ECCV 2022 (codes of a pose in words; the bounds of bends are theirs in spirit).
"""

import csv
import io
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from refine.body import pose_body
from refine.result.known import Known

SIDES = ("left", "right")
LENGTHS = {
    "upper_arm": ("shoulder", "elbow"), "forearm": ("elbow", "wrist"), "thigh": ("hip", "knee"),
    "shank": ("knee", "ankle"),
}  # fmt: skip
BENDS = {"elbow": ("shoulder", "elbow", "wrist"), "knee": ("hip", "knee", "ankle")}
LIFTS = {"arm": ("shoulder", "elbow"), "thigh": ("hip", "knee")}
WORDS = ((25.0, "straight"), (70.0, "slightly bent"), (110.0, "bent at a right angle"), (math.inf, "fully bent"))
"""Bends below so many degrees."""
UNSURE_DEG = 30.0
"""An angle that is not known better is not put into words."""
TOWARDS, SIDEWAYS = 30.0, 120.0
"""Degrees of facing below which somebody faces the camera, and above which away from it."""
LYING, BOWED, SEATED = 60.0, 30.0, 60.0
"""Lean of somebody who lies, or is bowed; lift of both thighs of somebody who sits or crouches."""
RAISED, LEVEL = 110.0, 60.0
"""Lift of an arm above the shoulder, and of one held out."""


@dataclass(frozen=True)
class Number:
    """A measure: `value` and its standard deviation `sigma` (NaN where it is not known), both in `unit` (m or deg)."""

    value: float
    sigma: float
    unit: str

    def __str__(self) -> str:
        digits, unit = (3, " m") if self.unit == "m" else (0, "°")
        known = "" if math.isnan(self.sigma) else f" ± {self.sigma:.{digits}f}"
        return f"{self.value:.{digits}f}{known}{unit}"


@dataclass(frozen=True)
class Description:
    """One person: `numbers` by name, in the order of `names()`, and a `sentence`."""

    numbers: Mapping[str, Number]
    sentence: str

    def __str__(self) -> str:
        width = max(map(len, self.numbers), default=0)
        return "\n".join((self.sentence, *(f"  {name:{width}}  {each}" for name, each in self.numbers.items())))


def names() -> tuple[str, ...]:
    """Return the names of all measures but the height, with sides."""
    sided = [*LENGTHS, *(f"{name}_bend" for name in BENDS), *(f"{name}_lift" for name in LIFTS)]
    return (*(f"{side}_{name}" for name in sided for side in SIDES), "shoulder_width", "lean", "facing")


def describe(result: Known) -> tuple[Description, ...]:
    """Return what can be said of each person in numbers and in a sentence.

    Args:
        result: B people. One that was loaded from a file knows the numbers and not how sure they are.
    """
    body = result.body
    place = {name: number for number, name in enumerate(body.joint_names)}
    values, sigma = _with_sigma(result, place)
    tall, tall_sigma = _height(result)
    people = []
    labels = names()
    for row in range(len(result)):
        numbers = {"height": Number(tall[row], tall_sigma[row], "m")}
        for number, name in enumerate(labels):
            unit = "m" if name.endswith(("arm", "thigh", "shank", "width")) else "deg"
            numbers[name] = Number(float(values[row, number]), float(sigma[row, number]), unit)
        people.append(Description(numbers, _sentence(row, numbers)))
    return tuple(people)


def measured(joints: Float[Tensor, "B J 3"], place: Mapping[str, int]) -> Float[Tensor, "B M"]:
    """Return the measures of `names()` from joints in the camera's frame.

    Args:
        joints: (B, J, 3) m.
        place: Number of each joint, by name.
    """

    def at(name: str) -> Tensor:
        return joints[:, place[name]]

    up = 0.5 * (at("left_shoulder") + at("right_shoulder")) - 0.5 * (at("left_hip") + at("right_hip"))
    left = at("left_hip") - at("right_hip") + at("left_shoulder") - at("right_shoulder")
    front = torch.linalg.cross(left, up)
    found: list[Tensor] = []
    for one, other in LENGTHS.values():
        found += [(at(f"{side}_{other}") - at(f"{side}_{one}")).norm(dim=1) for side in SIDES]
    for first, middle, last in BENDS.values():
        for side in SIDES:
            upper, lower = (
                at(f"{side}_{end}") - at(f"{side}_{begin}") for begin, end in ((first, middle), (middle, last))
            )
            found.append(_angle(upper, lower))
    for begin, end in LIFTS.values():
        found += [_angle(at(f"{side}_{end}") - at(f"{side}_{begin}"), -up) for side in SIDES]
    found.append((at("left_shoulder") - at("right_shoulder")).norm(dim=1))
    found.append(_angle(up, -torch.eye(3).to(up)[1].expand_as(up)))
    # About the vertical: the camera sees a front that points at it as -z.
    found.append(torch.rad2deg(torch.atan2(front[:, 0], -front[:, 2])))
    return torch.stack(found, 1)


def _angle(one: Tensor, other: Tensor) -> Tensor:
    """Return the angle between vectors, degrees; its derivative is bounded at 0° and 180° too."""
    across = torch.linalg.cross(one, other)
    across = (across.square().sum(1) + torch.finfo(across.dtype).tiny).sqrt()
    return torch.rad2deg(torch.atan2(across, (one * other).sum(1)))


def _with_sigma(result: Known, place: Mapping[str, int]) -> tuple[Tensor, Tensor]:
    """Return the measures (B, M) and their standard deviations; NaN where nothing is known of them."""
    joints = result.joints.detach().double()
    if result.posterior is None:
        values = measured(joints, place)
        return values, torch.full_like(values, torch.nan)
    unknowns, covariance = result.posterior.unknowns, result.posterior.covariance
    _, by_step = pose_body(result.body, result.state.bodies).joints_with_jacobian(unknowns)  # (B, J, 3, P)
    world = result.camera.camera_from_world
    by_step = (by_step if world is None else world[:, None, :, :3] @ by_step).double()
    with torch.enable_grad():
        moved = joints.clone().requires_grad_()
        values = measured(moved, place)
        slopes = [torch.autograd.grad(each.sum(), moved, retain_graph=True)[0] for each in values.unbind(1)]
    rows = torch.einsum("bmjd,bjdp->bmp", torch.stack(slopes, 1), by_step)
    return values.detach(), _deviation(rows, covariance)


def _height(result: Known) -> tuple[list[float], list[float]]:
    """Return standing heights, m, and their standard deviations."""
    from priors.rest_measures import rest_measures

    tall, by_shape = rest_measures(result.body).height(result.bodies.shape)
    if result.posterior is None:
        return tall.tolist(), [math.nan] * len(tall)
    unknowns = result.posterior.unknowns
    rows = by_shape.new_zeros(len(tall), 1, unknowns.size).double()
    rows[:, 0, unknowns.shape_columns] = by_shape[:, : unknowns.shape].double()
    return tall.tolist(), _deviation(rows, result.posterior.covariance)[:, 0].tolist()


def _deviation(rows: Tensor, covariance: Tensor) -> Tensor:
    """Return standard deviations (B, M) of measures with slopes (B, M, P); infinite where a column's is."""
    endless = covariance.diagonal(dim1=-2, dim2=-1).isinf()
    finite = torch.where(covariance.isfinite(), covariance, 0.0).double()
    found = ((rows @ finite) * rows).sum(-1).clamp(min=0).sqrt()
    return torch.where(((rows != 0) & endless[:, None]).any(-1), torch.inf, found)


def _sentence(row: int, numbers: Mapping[str, Number]) -> str:
    """Return what the numbers say in words; what is not sure is left out."""

    def sure(name: str) -> float:
        one = numbers[name]
        return math.nan if one.sigma > UNSURE_DEG or math.isnan(one.value) else one.value

    if math.isnan(numbers["height"].value):
        return f"Person {row + 1}: nothing is known."
    tall = numbers["height"]
    known = "" if math.isnan(tall.sigma) or math.isinf(tall.sigma) else f" ± {100 * tall.sigma:.0f}"
    parts = [f"{100 * tall.value:.0f}{known} cm tall", _stance(sure)]
    if not math.isnan(facing := sure("facing")):
        side = "left" if facing > 0 else "right"
        parts.append(
            "facing the camera" if abs(facing) < TOWARDS
            else f"turned to their {side}" if abs(facing) < SIDEWAYS else "facing away from the camera"
        )  # fmt: skip
    for name, word in (("elbow", "elbow"), ("knee", "knee")):
        bends = {side: next((said for most, said in WORDS if sure(f"{side}_{name}_bend") < most), "") for side in SIDES}
        if bends["left"] and bends["left"] == bends["right"]:
            parts.append(f"both {word}s {bends['left']}")
        else:
            parts += [f"{side} {word} {said}" for side, said in bends.items() if said]
    for side in SIDES:
        lift = sure(f"{side}_arm_lift")
        if lift > LEVEL:
            parts.append(f"{side} arm {'raised' if lift > RAISED else 'held out'}")
    return f"Person {row + 1}: {', '.join(part for part in parts if part)}."


def _stance(sure: Callable[[str], float]) -> str:
    """Return how somebody is placed: "" where it is not known."""
    lean, thighs = sure("lean"), (sure("left_thigh_lift"), sure("right_thigh_lift"))
    if math.isnan(lean):
        return ""
    if lean > LYING:
        return "lying or bent over"
    if all(lift > SEATED for lift in thighs):
        return "sitting or crouching"
    if any(map(math.isnan, thighs)):
        return "bowed" if lean > BOWED else "upright"
    return "bowed" if lean > BOWED else "standing"


def as_json(people: tuple[Description, ...]) -> str:
    """Return descriptions as JSON; what is not known is null."""

    def known(value: float) -> float | None:
        return value if math.isfinite(value) else None

    content = [
        {
            "sentence": one.sentence,
            "numbers": {
                name: {"value": known(each.value), "sigma": known(each.sigma), "unit": each.unit}
                for name, each in one.numbers.items()
            },
        }
        for one in people
    ]
    return json.dumps(content, indent=1) + "\n"


def as_csv(people: tuple[Description, ...]) -> str:
    """Return descriptions as a table with a line for each person and number; what is not known is empty."""
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("person", "name", "value", "sigma", "unit"))
    for number, one in enumerate(people, 1):
        for name, each in one.numbers.items():
            shown = ("" if not math.isfinite(value) else f"{value:.6g}" for value in (each.value, each.sigma))
            table.writerow((number, name, *shown, each.unit))
    return text.getvalue()
