"""No LU factorisation of matrices beyond 3 x 3: oneMKL's does not return on some processors, for batches and two
threads.

Read from the sources, not from runs: a call that hangs only elsewhere cannot be found by calling it here.
"""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

FOLDERS = ("refine", "displacement_net", "priors", "examples", "tests")
LU = frozenset(
    "inv inv_ex inverse solve solve_ex det slogdet logdet lu lu_factor lu_factor_ex lu_solve tensorinv tensorsolve".split()  # noqa: E501
)
"""Functions of `torch.linalg`, `numpy.linalg` and `scipy.linalg` that factor by LU."""
TENSOR_METHODS = frozenset("inverse det slogdet logdet lu lu_solve".split())
"""The same as methods of a tensor and functions of torch."""

SMALL = Counter(
    {
        ("refine/transfer/surface/closed_form.py", "det"): 1,  # 3 x 3, a handedness
        ("refine/formats/_fitted_surface.py", "solve"): 1,  # 3 x 3, a blend of rotations
        ("refine/formats/_smpl_parts.py", "det"): 1,  # 3 x 3, a handedness
        ("refine/evaluate/metrics.py", "det"): 1,  # 3 x 3, a handedness
        ("refine/inputs/checks.py", "det"): 1,  # 3 x 3, a handedness
        ("refine/geometry/rotation.py", "det"): 1,  # 3 x 3, a handedness
        ("tests/layouts/cliff.py", "inv"): 1,  # 3 x 3, rotations
        ("tests/layouts/glamr.py", "inv"): 1,  # 4 x 4, camera poses as GLAMR inverts them
        ("tests/contract/test_rasterizers.py", "solve_ex"): 1,  # 3 x 3, a triangle's corners
        ("tests/reference/displacement_net/test_rendered_set.py", "solve"): 1,  # 3 x 3, a triangle's corners
        ("tests/reference/render/test_shade.py", "det"): 1,  # 3 x 3, which side of a triangle
        ("tests/drawn_terms.py", "det"): 1,  # 3 x 3, which side of a triangle
        ("tests/reference/displacement_net/test_loss.py", "det"): 1,  # 2 x 2, a pixel's information
        ("tests/reference/displacement_net/test_loss.py", "inv"): 1,  # 2 x 2, a pixel's information
        ("tests/reference/displacement_net/test_evaluation.py", "inv"): 1,  # 2 x 2, a pixel's information
        ("tests/reference/priors/test_pose_latent.py", "det"): 1,  # 3 x 3, a handedness
        ("tests/benchmarks/_four_cameras.py", "inv"): 1,  # 3 x 3, a point's information
        ("tests/benchmarks/harm/measure_noise.py", "inv"): 1,  # 2 x 2, a pixel's information
        ("tests/properties/test_rotation.py", "det"): 2,  # 3 x 3, a handedness
    }
)
"""The calls there are, by file and function: all of them on matrices of 2 x 2 or 3 x 3, but for the one that says
so."""


def lu_calls(source: str) -> Iterator[str]:
    """The functions that factor by LU and are named in a source."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute):
            owner = node.value
            of_linalg = (isinstance(owner, ast.Attribute) and owner.attr == "linalg") or (
                isinstance(owner, ast.Name) and owner.id == "linalg"
            )
            if (of_linalg and node.attr in LU) or (not of_linalg and node.attr in TENSOR_METHODS):
                yield node.attr
        elif isinstance(node, ast.ImportFrom) and (node.module or "").endswith("linalg"):
            yield from (name.name for name in node.names if name.name in LU)


def sources() -> Iterator[Path]:
    for folder in FOLDERS:
        yield from sorted((ROOT / folder).rglob("*.py"))


def test_matrices_beyond_three_by_three_are_not_factored_by_lu() -> None:
    found = Counter(
        (path.relative_to(ROOT).as_posix(), name) for path in sources() for name in lu_calls(path.read_text("utf-8"))
    )
    more = found - SMALL
    assert not more, f"by Cholesky (`refine.solve.cholesky`), or into the list if the matrix is 3 x 3: {sorted(more)}"
    assert not SMALL - found, f"no longer there, take them off the list: {sorted(SMALL - found)}"


@pytest.mark.parametrize(
    "source",
    [
        "import torch\ntorch.linalg.inv(a)",
        "import numpy as np\nnp.linalg.solve(a, b)",
        "from torch.linalg import slogdet",
        "from scipy import linalg\nlinalg.lu_factor(a)",
        "a.inverse()",
        "import torch\nsolver = torch.linalg.solve_ex",
        "torch.logdet(a)",
    ],
)
def test_every_way_to_name_such_a_function_is_seen(source: str) -> None:
    assert list(lu_calls(source))


def test_cholesky_and_triangular_solves_are_not_taken_for_it() -> None:
    assert not list(lu_calls("torch.linalg.solve_triangular(a, b)\ntorch.cholesky_solve(a, b)\nlm.solve(c)"))
