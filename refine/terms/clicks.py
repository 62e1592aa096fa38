"""Clicks: somebody says where a point of a body lies, in the photo or in space.

    residual = (project(point) - pixel) / sigma_px          or  (point - place) / sigma_m

A click is of one person and one point: a joint, a point of one of the body's keypoint sets, or a vertex. People without
clicks have silent rows. It is not a detector's keypoint: nobody asks whether left and right were taken for each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from refine.body import KeypointSet, PosedBody, SkinnedBody
from refine.check import check_finite, check_shape
from refine.errors import InputError
from refine.geometry.camera import Camera
from refine.state import State, Unknowns
from refine.terms import Huber, Kernel, Linearization
from refine.terms.correlation import INDEPENDENT, Correlation, check_witness
from refine.terms.views import seen_with

CLICK_PX = 3.0
"""Standard deviation per axis of a click on a point one can see, px: a judgement."""
CLICK_M = 0.01
"""The same of a place in space, m."""


@dataclass(frozen=True)
class Click:
    """One click.

    Attributes:
        point: A joint's name, a name of one of the body's keypoint sets, or a vertex's number.
        at: (x, y) px of the photo, or (x, y, z) m in the bodies' frame.
        person: Row of the body, from 0.
        sigma: px or m; None: `CLICK_PX` or `CLICK_M`.

    Raises:
        InputError: It has not two or three finite numbers, or the sigma is not above zero.
    """

    point: str | int
    at: tuple[float, ...]
    person: int = 0
    sigma: float | None = None

    def __post_init__(self) -> None:
        if len(self.at) not in (2, 3) or not all(abs(float(each)) < float("inf") for each in self.at):
            raise InputError("click.at", "(x, y) px or (x, y, z) m, finite", repr(self.at))
        if self.sigma is not None and not 0 < self.sigma < float("inf"):
            raise InputError("click.sigma", "a number above zero, px or m", repr(self.sigma))


@dataclass(frozen=True, eq=False)
class Clicks:
    """The term of clicked points.

    Attributes:
        points: K points of the body.
        pixel: (B, K, 2) px; zero where there is no click in the photo.
        place: (B, K, 3) m; zero where there is no click in space.
        per_px: (B, K) 1/px; zero: no click.
        per_m: (B, K) 1/m; zero: no click.

    Raises:
        InputError: Shapes disagree, or a value is not finite.
    """

    points: KeypointSet
    pixel: Float[Tensor, "B K 2"]
    place: Float[Tensor, "B K 3"]
    per_px: Float[Tensor, "B K"]
    per_m: Float[Tensor, "B K"]
    kernel: Kernel = Huber(scale=3.0)
    """Who clicks means it: beyond 3 sigmas the pull does not vanish."""
    camera: Camera | None = None
    """B fixed cameras of the clicked photo; None: the bodies' own."""
    correlation: Correlation = INDEPENDENT
    """How far its errors hang together over frames and views."""
    share: Float[Tensor, "B"] | None = None
    """Share of an independent observation that each body's rows are (`refine.method.witnesses`); None: one."""

    def __post_init__(self) -> None:
        sizes = check_shape("clicks.pixel", self.pixel, "B K 2", K=len(self.points.names))
        check_shape("clicks.place", self.place, "B K 3", **sizes)
        for name in ("per_px", "per_m"):
            check_shape(f"clicks.{name}", getattr(self, name), "B K", **sizes)
            check_finite(f"clicks.{name}", getattr(self, name))
        check_witness("clicks", self.correlation, self.share, sizes["B"])

    @property
    def informed(self) -> Bool[Tensor, "B"]:
        """(B,) bodies somebody clicked on."""
        return (self.per_px != 0).any(1) | (self.per_m != 0).any(1)

    def linearize(self, state: State, posed: PosedBody, unknowns: Unknowns) -> Linearization:
        """Return residual (B, 2 K, 3), pixels first (their third number is zero), and its Jacobian (B, 2 K, 3, P)."""
        check_shape("Clicks.pixel", self.pixel, "B K 2", B=len(state))
        point, point_by_step = posed.keypoints_with_jacobian(self.points, unknowns)
        camera, column = seen_with(self.camera, state, unknowns)
        pixel, pixel_by_step = camera.project_with_jacobian(point, point_by_step, column)
        in_photo = (pixel - self.pixel) * self.per_px[..., None]
        photo_by_step = pixel_by_step * self.per_px[..., None, None]
        pad = (0, 1)
        residual = torch.cat((torch.nn.functional.pad(in_photo, pad), (point - self.place) * self.per_m[..., None]), 1)
        jacobian = torch.cat(
            (torch.nn.functional.pad(photo_by_step, (0, 0, *pad)), point_by_step * self.per_m[..., None, None]), 1
        )
        return Linearization(residual, jacobian, self.kernel, part=self.share)


def clicks(body: SkinnedBody, state: State, given: Sequence[Click], camera: Camera | None = None) -> Clicks:
    """Build the term from clicks.

    Args:
        body: The model.
        state: The B bodies that were clicked on.
        given: The clicks, at least one.
        camera: B fixed cameras of the clicked photo; None: the bodies' own.

    Raises:
        InputError: There are none, a person or point does not exist, or a pixel lies outside the photo.
    """
    if not given:
        raise InputError("clicks", "at least one", "none")
    like, people = state.bodies.translation, len(state)
    size = (camera or state.camera).size
    points = clicked_points(body, [each.point for each in given])
    pixel, place = like.new_zeros(people, len(given), 2), like.new_zeros(people, len(given), 3)
    per_px, per_m = like.new_zeros(people, len(given)), like.new_zeros(people, len(given))
    for number, click in enumerate(given):
        row = click.person
        if not 0 <= row < people:
            raise InputError("click.person", f"a row from 0 to {people - 1}", str(row))
        if len(click.at) == 3:
            place[row, number] = like.new_tensor(click.at)
            per_m[row, number] = 1 / (click.sigma or CLICK_M)
            continue
        height, width = size[row].tolist()
        if not (0 <= click.at[0] <= width and 0 <= click.at[1] <= height):
            advice = "Pixels are those of the photo the body is seen in."
            raise InputError("click.at", f"a pixel of a photo of {width:g} x {height:g}", repr(click.at), advice)
        pixel[row, number] = like.new_tensor(click.at)
        per_px[row, number] = 1 / (click.sigma or CLICK_PX)
    return Clicks(points, pixel, place, per_px, per_m, camera=camera)


def clicked_points(body: SkinnedBody, names: Sequence[str | int]) -> KeypointSet:
    """Return points of a body by joints' names, names of its keypoint sets, or vertices' numbers.

    Args:
        body: The model.
        names: K of them.

    Raises:
        InputError: There is no such point.
    """
    weights = body.template.new_zeros(len(names), len(body.joint_names))
    triangle = torch.zeros(len(names), dtype=torch.long, device=weights.device)
    barycentric = weights.new_zeros(len(names), 3)
    for place, name in enumerate(names):
        if isinstance(name, int):
            if not 0 <= name < len(body.template):
                raise InputError("click.point", f"a vertex from 0 to {len(body.template) - 1}", str(name))
            corner = (body.faces == name).nonzero()[0]
            triangle[place], barycentric[place, corner[1]] = corner[0], 1.0
        elif name in body.joint_names:
            weights[place, body.joint_names.index(name)] = 1.0
        else:
            own = next((each for each in body.keypoint_sets.values() if name in each.names), None)
            if own is None:
                known = ", ".join(body.joint_names[:22])
                raise InputError("click.point", f"a joint ({known}, ...), a keypoint or a vertex", repr(name))
            number = own.names.index(name)
            weights[place] = own.joint_weights[number]
            triangle[place], barycentric[place] = own.triangle[number], own.barycentric[number]
    return KeypointSet(tuple(map(str, names)), weights, triangle, barycentric)
