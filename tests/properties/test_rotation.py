"""Rotations: the axioms, SciPy, and derivatives, at angles where formulas usually break (0 and pi) as much as
elsewhere."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from refine.geometry import rotation

EXACT = 1e-12
"""float64: a few roundings."""

NEAR_PI = 1e-7
"""How close to pi the properties go; beyond, the axis' sign is a matter of rounding."""

unit = st.floats(-1.0, 1.0)
angles = st.one_of(
    st.floats(0.0, math.pi - NEAR_PI),
    st.floats(0.0, 1e-6),
    st.floats(rotation.SMALL_ANGLE * 0.99, rotation.SMALL_ANGLE * 1.01),
    st.floats(math.pi - 1e-3, math.pi - NEAR_PI),
)


@st.composite
def vectors(draw: st.DrawFn, angle: st.SearchStrategy[float] = angles) -> Tensor:
    """An axis-angle vector, float64."""
    axis = torch.tensor([draw(unit), draw(unit), draw(unit)], dtype=torch.float64)
    length = axis.norm()
    axis = axis / length if length > 1e-3 else torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
    return axis * draw(angle)


SPECIAL = [
    (0.0, 0.0, 0.0),
    (1e-9, -2e-9, 1e-9),
    (1e-3, 2e-3, -3e-3),
    (0.3, -1.2, 0.7),
    (math.pi - 1e-3, 0.0, 0.0),
    (0.0, -(math.pi - 1e-4), 0.0),
    (1.8, 1.8, -1.81),
]
"""At 0, in the series, ordinary, near pi along an axis and along none."""

special = pytest.mark.parametrize("vector", [torch.tensor(one, dtype=torch.float64) for one in SPECIAL])


@given(vectors())
def test_log_undoes_exp(vector: Tensor) -> None:
    assert (rotation.log(rotation.exp(vector)) - vector).abs().max() < 1e-8 * max(1.0, float(vector.norm()))


@given(vectors(st.floats(0.0, 20.0)))
def test_exp_undoes_log_at_any_angle(vector: Tensor) -> None:
    turn = rotation.exp(vector)
    shortest = rotation.log(turn)
    assert shortest.norm() <= math.pi + EXACT
    assert (rotation.exp(shortest) - turn).abs().max() < 1e-10


@given(vectors(st.floats(0.0, 20.0)))
def test_exp_is_a_rotation(vector: Tensor) -> None:
    turn = rotation.exp(vector)
    assert (turn @ turn.mT - torch.eye(3, dtype=torch.float64)).abs().max() < EXACT
    assert abs(float(torch.linalg.det(turn)) - 1) < EXACT


@given(vectors(), vectors())
def test_a_rotation_does_not_feel_its_batch(first: Tensor, second: Tensor) -> None:
    both = torch.stack((first, second))[None]
    for function in (rotation.exp, rotation.right_jacobian, rotation.right_jacobian_inverse):
        assert torch.allclose(function(both)[0, 1], function(second), rtol=EXACT, atol=EXACT)
    alone = rotation.log(rotation.exp(first))
    assert torch.allclose(rotation.log(rotation.exp(both))[0, 0], alone, rtol=0, atol=NEAR_PI)


@given(vectors(st.floats(0.0, 6.0)))
def test_exp_is_what_scipy_computes(vector: Tensor) -> None:
    from scipy.spatial.transform import Rotation

    expected = Rotation.from_rotvec(vector.numpy()).as_matrix()
    np.testing.assert_allclose(rotation.exp(vector).numpy(), expected, atol=EXACT)


@given(vectors())
def test_log_and_quaternion_are_what_scipy_computes(vector: Tensor) -> None:
    from scipy.spatial.transform import Rotation

    turn = rotation.exp(vector)
    theirs = Rotation.from_matrix(turn.numpy())
    np.testing.assert_allclose(rotation.log(turn).numpy(), theirs.as_rotvec(), atol=1e-8)
    x, y, z, w = theirs.as_quat(canonical=True)
    np.testing.assert_allclose(rotation.to_quaternion(turn).numpy(), [w, x, y, z], atol=1e-9)


@pytest.mark.parametrize("axis", [(1.0, 0.0, 0.0), (0.0, -1.0, 0.0), (0.6, 0.0, -0.8), (-2 / 3, 1 / 3, 2 / 3)])
def test_at_pi_one_of_the_two_axes_comes_back(axis: tuple[float, float, float]) -> None:
    n = torch.tensor(axis, dtype=torch.float64)
    turn = 2 * torch.outer(n, n) - torch.eye(3, dtype=torch.float64)  # exactly pi
    vector = rotation.log(turn)
    assert min(float((vector - math.pi * n).norm()), float((vector + math.pi * n).norm())) < 1e-9


@given(vectors(st.floats(0.0, 3.0)), vectors(st.just(1e-6)))
def test_right_jacobian_is_the_finite_difference(vector: Tensor, step: Tensor) -> None:
    forth, back = rotation.exp(vector + step), rotation.exp(vector - step)
    turned = rotation.log(back.mT @ forth) / 2  # second order: the error is of the size of step³
    assert (turned - rotation.right_jacobian(vector) @ step).norm() < 1e-8 * step.norm() + 1e-15


@given(vectors(st.one_of(angles, st.floats(math.pi, 2 * math.pi - 0.1))))
def test_the_inverse_jacobian_inverts(vector: Tensor) -> None:
    product = rotation.right_jacobian(vector) @ rotation.right_jacobian_inverse(vector)
    assert (product - torch.eye(3, dtype=torch.float64)).abs().max() < 1e-9


@special
def test_right_jacobian_is_what_autograd_says(vector: Tensor) -> None:
    turn = rotation.exp(vector)
    slope = torch.autograd.functional.jacobian(rotation.exp, vector)  # (3, 3, 3), d turn / d vector
    spin = torch.einsum("ji,jkp->ikp", turn, slope)  # turnᵀ d turn = [Jr dv]x
    columns = torch.stack((spin[2, 1], spin[0, 2], spin[1, 0]))
    assert (columns - rotation.right_jacobian(vector)).abs().max() < 1e-9


@special
def test_inverse_jacobian_is_what_autograd_says(vector: Tensor) -> None:
    turn = rotation.exp(vector)

    def walk(step: Tensor) -> Tensor:
        return rotation.log(turn @ rotation.exp(step))

    slope = torch.autograd.functional.jacobian(walk, torch.zeros(3, dtype=torch.float64))
    assert (slope - rotation.right_jacobian_inverse(vector)).abs().max() < 1e-7


@special
def test_gradients_are_right_at_zero_and_near_pi(vector: Tensor) -> None:
    def there_and_back(vector: Tensor) -> Tensor:
        return rotation.log(rotation.exp(vector))

    for function in (rotation.exp, there_and_back, rotation.right_jacobian, rotation.right_jacobian_inverse):
        assert torch.autograd.gradcheck(function, vector.clone().requires_grad_(), atol=1e-6)


@special
def test_gradients_are_finite_in_single_precision(vector: Tensor) -> None:
    single = vector.float().requires_grad_()
    back = rotation.log(rotation.exp(single))
    (slope,) = torch.autograd.grad(back.sum(), single)
    assert slope.isfinite().all()
    assert (back - single).abs().max() < 1e-5


@given(vectors(), st.floats(0.1, 10.0))
def test_nearest_gives_a_scaled_rotation_back_and_never_a_mirror(vector: Tensor, scale: float) -> None:
    turn = rotation.exp(vector)
    assert (rotation.nearest(scale * turn) - turn).abs().max() < 1e-10
    assert torch.linalg.det(rotation.nearest(-scale * turn)) > 0


@given(vectors(), vectors())
def test_cross_matrix_is_the_cross_product(first: Tensor, second: Tensor) -> None:
    product = rotation.cross_matrix(first) @ second
    assert (product - torch.linalg.cross(first, second)).abs().max() < EXACT
