"""Depth maps: exact derivatives, what is open, who is silent, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

import refine
from refine.body import SkinnedBody, pose_body
from refine.dense.depth_map import DepthMap, Space
from refine.dense.depth_maps import GRID, depth_map
from refine.errors import InputError
from refine.estimate import Estimate
from refine.evaluate.disturbance import as_estimate
from refine.render.rasterize import default_rasterizer, rasterize
from refine.solve.levenberg_marquardt import LevenbergMarquardt
from refine.solve.linearized import linearized
from refine.solve.normal_equations import costs, normal_equations
from refine.state import State, Unknowns
from refine.terms.correlation import Correlation
from tests.people import Case, case

ALIKE = Correlation(pixels=12.0)
PLACE = Unknowns((0,), translation=3)


@pytest.fixture(scope="module")
def people(builtin_body: SkinnedBody) -> Case:
    return case(builtin_body, count=2, name="coco17", angle=0.1)


def maps_of(state: State, body: SkinnedBody, behind_m: float = 2.0) -> list[Tensor]:
    """What a perfect sensor says of each body, in a photo of its own, before a wall."""
    width, height = (int(each) for each in state.camera.size[0].flip(0).tolist())
    side = max(width, height)
    shown = rasterize(
        default_rasterizer(), pose_body(body, state.bodies).vertices, body.faces, state.camera, side, side
    )
    depth = shown.depth[:, :height, :width]
    wall = torch.where(depth.isfinite(), depth, 0.0).amax((1, 2), keepdim=True) + behind_m
    return list(torch.where(depth.isfinite(), depth, wall))


def estimate(people: Case) -> Estimate:
    return as_estimate(people.true.body, people.true.state)


def cost(term: DepthMap, people: Case, state: State, unknowns: Unknowns = PLACE) -> Tensor:
    return costs(linearized(people.true.body, state, [term], unknowns))[:, 0]


@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("space", ["depth", "inverse"])
def test_the_derivative_is_that_of_the_residual(builtin_body: SkinnedBody, space: Space, affine: bool) -> None:
    """The residual moves as the Jacobian says; where scale and shift are found anew at each state, the cost does."""
    single = case(builtin_body, count=2, name="coco17", angle=0.1).true.state
    maps = [each.double() for each in maps_of(single, builtin_body)]
    body, true = builtin_body.to(dtype=torch.float64), single.to(dtype=torch.float64)
    said = [each if space == "depth" else 1 / each for each in maps]
    term = depth_map(said, as_estimate(body, true), correlation=ALIKE, space=space, affine=affine, sigma_m=0.05)
    unknowns = Unknowns((0, 1, 16), shape=2, translation=3, focal=1)
    draw = torch.Generator().manual_seed(3)
    away = 0.02 * torch.randn(2, unknowns.size, generator=draw, dtype=torch.float64)
    state = true.retract(unknowns, away)
    step = torch.randn(2, unknowns.size, generator=draw, dtype=torch.float64)

    def at(size: float) -> tuple[Tensor, Tensor]:
        moved = state.retract(unknowns, size * step)
        linear = term.linearize(moved, pose_body(body, moved.bodies), unknowns)
        return linear.residual[..., 0], (linear.jacobian[:, :, 0] @ step[..., None])[..., 0]

    size = 1e-6
    if affine:
        low, high = (
            costs(linearized(body, state.retract(unknowns, sign * size * step), [term], unknowns))[:, 0]
            for sign in (-1, 1)
        )
        gradient = normal_equations(body, state, [term], unknowns).gradient
        assert torch.allclose((high - low) / (2 * size), (gradient * step).sum(1), rtol=2e-3)
        return
    (before, _), (here, slope), (after, _) = at(-size), at(0.0), at(size)
    found = (after - before) / (2 * size)
    same = ((after != 0) == (before != 0)) & (here != 0)
    apart = (found - slope).abs()[same]
    assert same.sum() > 60
    # A pixel on an edge between two triangles has another derivative on each side.
    assert apart.quantile(0.97) < 1e-4 * slope.abs().max() and slope.abs().max() > 1e-2


def test_a_map_of_unknown_scale_and_shift_says_the_same_in_any_unit(people: Case) -> None:
    maps = maps_of(people.true.state, people.true.body)
    moved = people.true.state.retract(PLACE, torch.tensor([[0.05, 0.1, 0, 0.02, 0, 0.1]]).expand(2, -1))
    found = [
        cost(depth_map(said, estimate(people), correlation=ALIKE, affine=True), people, moved)
        for said in (maps, [7.0 * each - 3.0 for each in maps])
    ]
    assert torch.allclose(found[0], found[1], rtol=2e-2) and (found[0] > 0).all()
    right, mirrored = (
        cost(depth_map(said, estimate(people), correlation=ALIKE, affine=True), people, people.true.state)
        for said in (maps, [-each for each in maps])
    )
    assert (mirrored > 2 * right).all(), "a map that runs the other way is no scale above zero"


def test_metric_depth_puts_a_body_where_it_stands(people: Case) -> None:
    body = people.true.body
    term = depth_map(maps_of(people.true.state, body), estimate(people), correlation=ALIKE, sigma_m=0.02)
    away = torch.tensor([[0.0, 0, 0, 0, 0, 0.12]]).expand(2, -1)
    only_far = Unknowns((), translation=3)
    start = people.true.state.retract(only_far, away[:, 3:])
    found = LevenbergMarquardt().solve(body, start, [term], only_far)
    off = (found.state.bodies.translation - people.true.bodies.translation)[:, 2].abs()
    assert off.max() < 0.01, off


def test_pixels_that_are_alike_are_few_witnesses(people: Case) -> None:
    maps = maps_of(people.true.state, people.true.body)
    moved = people.true.state.retract(PLACE, torch.tensor([[0.0, 0, 0, 0, 0, 0.03]]).expand(2, -1))
    one, four = (
        cost(depth_map(maps, estimate(people), correlation=Correlation(pixels=side)), people, moved)
        for side in (60.0, 120.0)
    )
    assert torch.allclose(one, 4 * four, rtol=1e-3)


def test_holes_and_what_lies_behind_say_nothing(people: Case) -> None:
    maps = maps_of(people.true.state, people.true.body)
    term = depth_map([maps[0], None], estimate(people), correlation=ALIKE)
    assert term.informed.tolist() == [True, False]
    assert cost(term, people, people.true.state)[1] == 0
    holes = [torch.where(each > 0, torch.nan, each) for each in maps]
    assert not depth_map(holes, estimate(people), correlation=ALIKE).informed.any()
    assert depth_map(maps, estimate(people), correlation=ALIKE).value.shape == (2, GRID, GRID)


def test_the_whole_fit_takes_it(people: Case) -> None:
    body = people.true.body
    away = people.true.state.retract(PLACE, torch.tensor([[0.0, 0.15, 0, 0.0, 0, 0.1]]).expand(2, -1))
    start = as_estimate(body, away)
    term = depth_map(maps_of(people.true.state, body), start, correlation=ALIKE, sigma_m=0.02)
    size = [int(each) for each in people.true.state.camera.size[0].tolist()]
    photos = [np.zeros((*size, 3), np.uint8)] * 2
    found = refine.fit(photos, start, evidence=[term])

    def error(state: State) -> float:
        far = pose_body(body, state.bodies).vertices - pose_body(body, people.true.bodies).vertices
        return float(far.norm(dim=-1).mean())

    assert error(found.state) < 0.5 * error(away)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (lambda maps: [1000 * each for each in maps], "metres"),
        (lambda maps: [each[:, : each.shape[1] // 2] for each in maps], "a map of the photo"),
        (lambda maps: maps[:1], "one a body"),
        (lambda maps: [each[0].numpy() for each in maps], "a map"),
    ],
)
def test_what_is_no_map_of_the_photo_is_refused(people: Case, given: object, expected: str) -> None:
    assert callable(given)
    with pytest.raises(InputError, match=expected):
        depth_map(given(maps_of(people.true.state, people.true.body)), estimate(people), correlation=ALIKE)


def test_numbers_out_of_range_are_refused(people: Case) -> None:
    maps = maps_of(people.true.state, people.true.body)
    with pytest.raises(InputError, match="sigma_m"):
        depth_map(maps, estimate(people), correlation=ALIKE, sigma_m=0.0)
    term = depth_map(maps, estimate(people), correlation=ALIKE)
    with pytest.raises(InputError, match="inverse_sigma"):
        replace(term, inverse_sigma=-term.inverse_sigma - 1)
