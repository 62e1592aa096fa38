"""Height and weight: measures against mesh and autograd, a solution against measurements, impossible ones."""

import math
from dataclasses import replace

import pytest
import torch

from priors import GaussianShape, KnownMeasurements
from priors.known_measurements import DENSITY
from priors.rest_measures import rest_measures
from refine.body import SkinnedBody, pose_body
from refine.errors import InputError
from refine.solve.levenberg_marquardt import LevenbergMarquardt
from refine.state import State, Unknowns
from tests.synthetic import random_body, random_state

SAME = 1e-12


def test_the_polynomial_of_the_volume_is_that_of_the_mesh(builtin_body: SkinnedBody) -> None:
    measures = rest_measures(builtin_body)
    shape = random_state(builtin_body, 3).bodies.shape.double()
    for fast, slow in zip(measures.volume(shape), measures.volume_of_mesh(shape), strict=True):
        assert (fast - slow).abs().max() < SAME
    shape.requires_grad_()
    vertices = builtin_body.template.double() + torch.einsum("vks,bs->bvk", builtin_body.shape_basis.double(), shape)
    first, second, third = vertices[:, builtin_body.faces].unbind(2)
    volume = (first * torch.linalg.cross(second, third)).sum((1, 2)) / 6
    assert (volume - measures.volume(shape.detach())[0]).abs().max() < 1e-10
    slope = torch.autograd.grad(volume.sum(), shape)[0]
    assert (slope - measures.volume(shape.detach())[1]).abs().max() < 1e-10


def test_an_open_mesh_is_closed_before_it_is_weighed() -> None:
    cube = torch.tensor([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], dtype=torch.float64)
    faces = torch.tensor(
        [
            [0, 1, 3],
            [0, 3, 2],
            [4, 6, 7],
            [4, 7, 5],
            [0, 4, 5],
            [0, 5, 1],
            [2, 3, 7],
            [2, 7, 6],
            [0, 2, 6],
            [0, 6, 4],
            [1, 5, 7],
            [1, 7, 3],
        ]
    )
    for kept in (faces, faces[2:], faces[4:]):  # whole, without one side, without two opposite ones
        box = replace(
            random_body(joints=4, vertices=8, faces=4, shapes=2),
            template=cube,
            shape_basis=torch.stack((torch.zeros_like(cube), cube), 2),
            faces=kept,
        )
        volume, slope = rest_measures(box).volume(torch.tensor([[0.0, 0.0], [0.0, 1.0]], dtype=torch.float64))
        assert volume.tolist() == pytest.approx([1.0, 8.0])
        assert slope[:, 1].tolist() == pytest.approx([3.0, 12.0])


def test_the_average_body_is_an_adults(builtin_body: SkinnedBody) -> None:
    measures = rest_measures(builtin_body)
    zero = torch.zeros(1, 16, dtype=torch.float64)
    assert 1.6 < float(measures.height(zero)[0]) < 1.8
    assert 55 < DENSITY * float(measures.volume(zero)[0]) < 70


def test_a_solution_has_the_height_and_weight_that_were_measured(builtin_body: SkinnedBody) -> None:
    height, weight = torch.tensor([1.85, 1.6, math.nan]), torch.tensor([95.0, math.nan, 50.0])
    term = KnownMeasurements(builtin_body, height, weight)
    state = random_state(builtin_body, 3)
    state = State(replace(state.bodies, shape=torch.zeros(3, 16)), state.camera)
    unknowns = Unknowns(joints=(), shape=16, translation=0)
    solved = LevenbergMarquardt().solve(builtin_body, state, [term, GaussianShape()], unknowns).state.bodies.shape
    found, _ = term.of(solved)
    known = ~term.measured.isnan()
    off = ((found - term.measured) / torch.tensor([0.02, 3.0]))[known]
    assert off.abs().max() < 0.5, "the average person pulls too, by less than half a sigma"
    silent = term.linearize(state, pose_body(builtin_body, state.bodies), unknowns)
    assert silent.residual[1, 1] == 0 and silent.jacobian[1, 1].abs().max() == 0


@pytest.mark.parametrize(
    ("height", "weight", "sentence"),
    [
        (175.0, 70.0, "height_m: expected 0.25 to 2.72 m, got 175 in row 1. Is it in m"),
        (1.75, 7000.0, "weight_kg: expected 0.5 to 635 kg, got 7000 in row 1"),
        (2.0, 25.0, "weight_kg / height_m²: expected 9 to 190 kg/m², got 6.25 in row 1. The two contradict each other"),
        (
            1.5,
            250.0,
            "measurements: expected measurements that a shape of anny55 within 8 standard deviations has, got 1.5 m "
            "and 250 kg",
        ),
    ],
)
def test_measurements_that_contradict_people_are_refused(
    builtin_body: SkinnedBody, height: float, weight: float, sentence: str
) -> None:
    with pytest.raises(InputError) as refused:
        KnownMeasurements(builtin_body, torch.tensor([1.7, height]), torch.tensor([70.0, weight]))
    assert sentence in str(refused.value)


@pytest.mark.usefixtures("unchecked")
def test_measurements_must_be_given_for_each_body(builtin_body: SkinnedBody) -> None:
    with pytest.raises(InputError, match="measurements: expected height_m, weight_kg or both, got neither"):
        KnownMeasurements(builtin_body)
    with pytest.raises(InputError, match="weight_kg: expected a tensor of shape"):
        KnownMeasurements(builtin_body, torch.tensor([1.7]), torch.tensor([70.0, 60.0]))
    with pytest.raises(InputError, match="height_sigma_m: expected values above zero"):
        KnownMeasurements(builtin_body, torch.tensor([1.7]), height_sigma_m=0.0)
