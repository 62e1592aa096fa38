"""Every term of `refine.terms` and `priors`: its Jacobian is its residual's derivative, bodies are independent."""

import importlib
import inspect
import pkgutil
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor

import priors
import refine.terms
from refine import batch
from refine.body import SkinnedBody, jacobian, pose_body
from refine.body.load import load_body
from refine.state import State, Unknowns
from refine.terms import AnalyticTerm, Linearization
from tests.drawn_points import IN_SPACE
from tests.drawn_terms import COUNT, PLAIN, Situation, penetrating
from tests.human_models import human_model
from tests.reference.body.official_files import write_npz

EXACT = 1e-8
"""Between a Jacobian and autograd's, of its largest entry: rounding in double precision."""
STEP = 1e-5
SLOPE = 1e-6
"""Between a Jacobian and central differences of this step: truncation goes with its square."""
SAME = 1e-9
"""Between a body among others and alone, of the largest number: rounding."""
MODELS = ("SelfPenetration", "SelfPenetration: SMPL-X")
DRAWN = {**PLAIN, **IN_SPACE}
NAMES = (*DRAWN, *MODELS)


@pytest.fixture(scope="module")
def smplx(builtin_body: SkinnedBody, tmp_path_factory: pytest.TempPathFactory) -> SkinnedBody:
    path: Path = tmp_path_factory.mktemp("smplx") / "SMPLX_NEUTRAL.npz"
    write_npz(path, human_model("smplx", builtin_body, shapes=20))
    found = load_body(path)
    path.unlink()
    return found


@pytest.fixture(params=NAMES)
def situation(request: pytest.FixtureRequest) -> Situation:
    name: str = request.param
    if name in DRAWN:
        return drawn(name)
    return penetrating(request.getfixturevalue("smplx" if name.endswith("SMPL-X") else "builtin_body"))


@cache
def drawn(name: str) -> Situation:
    return DRAWN[name]()


def linearize(situation: Situation, state: State, unknowns: Unknowns | None = None) -> Linearization:
    posed = pose_body(situation.body, state.bodies)
    return situation.term.linearize(state, posed, situation.unknowns if unknowns is None else unknowns)


def residual(situation: Situation, step: Tensor) -> Tensor:
    return linearize(situation, situation.bodies.retract(situation.unknowns, step)).residual


def nothing(product: jacobian.PointJacobian, rows: Tensor) -> Tensor:
    """In place of the points' Jacobian where the residual alone is wanted: written in place, autograd cannot follow."""
    return rows.new_zeros(*rows.shape[:3], product.unknowns.size)


def cross(lever: Tensor, rows: Tensor) -> Tensor:
    """Lever x row, (B, K, 3, N) and (B, D, 3, N) -> (B, K, 3, D, N), likewise."""
    return torch.linalg.cross(lever[:, :, :, None], rows.transpose(1, 2)[:, None], dim=2)


def modules(package: ModuleType) -> list[ModuleType]:
    found = pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
    return [package, *(importlib.import_module(each.name) for each in found if not each.ispkg)]


def test_every_term_is_looked_at() -> None:
    there = {
        name
        for module in (*modules(refine.terms), *modules(priors))
        for name, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, AnalyticTerm) and not getattr(kind, "_is_protocol", False)
    }
    assert there and there == {name.partition(":")[0] for name in NAMES}


def test_a_jacobian_is_the_derivative_of_the_residual(situation: Situation, monkeypatch: pytest.MonkeyPatch) -> None:
    """By autograd, a number of all bodies at a time, and by central differences, a column of all bodies at a time."""
    unknowns = situation.unknowns
    found = linearize(situation, situation.bodies)
    assert found.residual.abs().max() > 0.1, "the test must look at residuals that are not zero"
    scale = max(1.0, float(found.jacobian.abs().max()))
    zero = torch.zeros(COUNT, unknowns.size, dtype=torch.float64)

    step = zero.clone().requires_grad_()
    with monkeypatch.context() as patched:
        patched.setattr(jacobian, "_cross", cross)
        patched.setattr(jacobian.PointJacobian, "times", nothing)
        moved = residual(situation, step)
    numbers = moved.sum(0).flatten()  # bodies are independent: the gradient of a sum is each body's own
    rows = [
        torch.autograd.grad(number, step, retain_graph=True, allow_unused=True, materialize_grads=True)[0]
        for number in numbers
    ]
    slow = torch.stack(rows, 1).reshape(found.jacobian.shape)
    assert (found.residual - moved).abs().max() < EXACT * scale
    assert (found.jacobian - slow).abs().max() < EXACT * scale

    for column in range(unknowns.size):
        walk = zero.clone()
        walk[:, column] = STEP
        slope = (residual(situation, walk) - residual(situation, -walk)) / (2 * STEP)
        assert (slope - found.jacobian[..., column]).abs().max() < SLOPE * scale


def test_a_body_does_not_feel_its_batch(situation: Situation) -> None:
    state = situation.bodies
    together = linearize(situation, state)
    scale = max(1.0, float(together.jacobian.abs().max()))
    others = batch.cat([state[[0]], state[[2]], state[[1]]])
    changed = linearize(situation, others)
    assert (together.residual[0] - changed.residual[0]).abs().max() < SAME * scale
    assert (together.jacobian[0] - changed.jacobian[0]).abs().max() < SAME * scale
    if type(situation.term).__name__ != "Surface3D":  # its points are gathered with the bodies as the second axis
        alone = Situation(batch.rows(situation.term, [1]), situation.body, state[[1]], situation.unknowns)
        found = linearize(alone, alone.bodies)
        assert (together.residual[1] - found.residual[0]).abs().max() < SAME * scale
        assert (together.jacobian[1] - found.jacobian[0]).abs().max() < SAME * scale


def test_without_unknowns_there_are_no_columns(situation: Situation) -> None:
    found = linearize(situation, situation.bodies, Unknowns(joints=(), translation=0))
    assert found.jacobian.shape == (*found.residual.shape, 0) and len(found.residual) == COUNT
