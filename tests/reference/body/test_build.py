"""The build of the built-in body: quads are split by a rule that rounding does not feel, and it makes the file that
ships."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import Tensor

from refine.body import anny
from refine.body.build.quads import TIE, along_first, split
from refine.body.build.surface import first_of_the_largest, seen_from
from refine.body.build.weights import by_size, strongest
from refine.geometry import rotation
from tests.built_body import BuiltBody

SAME_M = 1e-6
"""m by which two machines may make a vertex or a joint otherwise: float32 rounds to 1e-7."""
LEVEL = 1
"""Levels of 16 bits by which they may quantise a number otherwise that lies between two."""
SQUARE = torch.tensor([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], dtype=torch.float64)


def rounded(points: Tensor, seed: int) -> Tensor:
    """The points anywhere in the room, with the rounding of a turn and a shift: of the size machines differ by."""
    draw = torch.Generator().manual_seed(seed)
    turn = rotation.exp(torch.randn(3, generator=draw, dtype=torch.float64))
    return points @ turn.mT + torch.randn(3, generator=draw, dtype=torch.float64)


@given(st.integers(0, 10_000))
def test_a_square_is_split_the_same_way_wherever_it_lies(seed: int) -> None:
    quads = torch.tensor([[0, 1, 2, 3], [1, 2, 3, 0], [3, 2, 1, 0]])
    assert not along_first(rounded(SQUARE, seed), quads).any()


@given(st.integers(0, 10_000))
def test_the_shorter_diagonal_decides_where_there_is_one(seed: int) -> None:
    kite = SQUARE * torch.tensor([1 - 10 * TIE, 1.0, 1.0]) + torch.tensor(
        [[0, 0, 0], [0, 0, 0], [-1e-3, 0, 0], [0, 0, 0]]
    )
    quads = torch.tensor([[0, 1, 2, 3], [1, 2, 3, 0]])
    assert along_first(rounded(kite, seed), quads).tolist() == [True, False]


def test_two_triangles_cover_a_quad_and_keep_its_side() -> None:
    quads = torch.tensor([[0, 1, 2, 3], [0, 1, 2, 3]])
    faces = split(quads, torch.tensor([True, False]))
    assert faces.tolist() == [[0, 1, 2], [2, 3, 0], [0, 1, 3], [3, 1, 2]]
    a, b, c = SQUARE[faces].unbind(1)
    assert torch.linalg.cross(b - a, c - a)[:, 2].tolist() == [1.0] * 4


def test_of_places_that_are_equal_up_to_rounding_the_first_is_taken() -> None:
    assert first_of_the_largest(torch.tensor([0.0, 1.0, 1.0 + 1e-16, 1.0 + 1e-12, 0.5], dtype=torch.float64)) == 1
    # A line through the edge of two triangles, the second of which lies nearer by less than rounding.
    vertices = torch.tensor([[0.0, -1, 0], [0, 1, 0], [1, 0, 0], [-1, 0, 1e-13]], dtype=torch.float64)
    faces = torch.tensor([[0, 1, 2], [1, 0, 3]])
    assert seen_from(vertices, faces, torch.zeros(3, dtype=torch.float64), 2, 1.0).triangle == 0


def test_of_equal_weights_the_first_joints_comes_first() -> None:
    weights = torch.zeros(1, 55, dtype=torch.float64)
    weights[0, :3] = torch.tensor([0.25, 0.5, 0.25 + 1e-12], dtype=torch.float64)
    assert by_size(weights)[0, :3].tolist() == [1, 0, 2]
    joints, values = strongest(weights)
    assert joints[0, :3].tolist() == [1, 0, 2] and values.sum() == pytest.approx(1.0)


@pytest.mark.slow
def test_the_build_makes_the_file_that_ships(built_body: BuiltBody) -> None:
    """On any machine: the same triangles, points and joints; numbers to rounding."""
    built, shipped = load_file(built_body.body), load_file(anny.DATA)
    assert built.keys() == shipped.keys()
    for name, ours in shipped.items():
        theirs = built[name]
        assert theirs.dtype == ours.dtype and theirs.shape == ours.shape, name
        apart = float((theirs.double() - ours.double()).abs().max())
        if name in ("shape_basis", "weight_values"):
            assert apart <= LEVEL, name
        else:  # indices are equal
            assert apart <= (SAME_M if ours.is_floating_point() else 0), f"{name}: {apart}"
