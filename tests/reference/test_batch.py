"""Rows of dataclasses: every field with one entry a row goes where its rows go, whichever dataclass it is added to."""

import dataclasses
import importlib
import inspect
import pkgutil
from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_type_hints

import pytest
import torch
from jaxtyping import Float
from torch import Tensor

import displacement_net
import priors
import refine
from refine import batch
from refine.body import PosedBody, SkinnedBody
from refine.errors import InputError
from refine.geometry.camera import Camera
from refine.state import State, Unknowns, choose
from refine.terms import LeastSquares, Linearization, Term
from refine.terms.reprojection import Reprojection
from refine.trust.discounted import Discounted
from tests.people import case

ROWS = 5
SIZES = {"B": ROWS}
"""Other letters of a shape are two."""


def dataclasses_with_rows() -> Iterator[type]:
    """Every dataclass of the library that has a field with rows."""
    seen = set()
    for package in (refine, priors, displacement_net):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if found.name.endswith("__main__"):
                continue
            try:
                module = importlib.import_module(found.name)
            except ImportError:  # an optional package that is not here
                continue
            for kind in vars(module).values():
                own = isinstance(kind, type) and dataclasses.is_dataclass(kind) and kind.__module__ == found.name
                if own and kind not in seen and batch.row_fields(kind) and not inspect.isabstract(kind):
                    seen.add(kind)
                    yield kind


KINDS = sorted(dataclasses_with_rows(), key=lambda kind: (kind.__module__, kind.__qualname__))


def tensor(hint: Any, rows: int) -> Tensor | None:
    """A tensor of an annotated shape with rows, every entry another number; None where it is no such shape."""
    axes = hint.dim_str.split()
    if axes[0] != "B":
        return None
    shape = [rows, *(int(axis) if axis.isdigit() else 2 for axis in axes[1:])]
    numbers = torch.randperm(torch.Size(shape).numel()).reshape(shape)
    kinds = " ".join(hint.dtypes)
    if "float" in kinds:
        return 0.1 + numbers.double() / numbers.numel()
    return numbers % 2 == 0 if kinds == "bool" else numbers


def made(kind: type, rows: int) -> Any:
    """An instance with drawn values in all fields with rows, its own checks left out."""
    instance = object.__new__(kind)
    try:
        hints = get_type_hints(kind)
    except NameError:  # a name that is imported for type checkers alone
        hints = {}
    for field in dataclasses.fields(kind):
        hint = hints.get(field.name, field.type)
        members = [hint, *get_args(hint)]
        value: Any = None
        nested = next((each for each in members if dataclasses.is_dataclass(each) and batch.row_fields(each)), None)
        if hint == Term:
            value = made(Reprojection, rows)
        elif "each_has_rows" in field.metadata:
            value = (made(Linearization, rows), made(Linearization, rows))
        elif "per_row" in field.metadata:
            names = tuple(str(number) for number in torch.randperm(100)[:rows].tolist())
            value = {"a": torch.rand(rows, 2)} if Mapping in members or hint.__name__ == "Mapping" else names
        elif nested is not None:
            value = made(nested, rows)
        elif field.name in batch.row_fields(kind):
            drawn = [tensor(each, rows) for each in members if hasattr(each, "dim_str")]
            value = next(each for each in drawn if each is not None)
        object.__setattr__(instance, field.name, value)
    return instance


def leaves(value: Any, kind: type) -> dict[str, list[Any]]:
    """The rows of every field, nested ones too, as lists that can be compared."""
    found: dict[str, list[Any]] = {}
    for name in batch.row_fields(kind):
        part = getattr(value, name)
        if isinstance(part, tuple) and part and dataclasses.is_dataclass(part[0]):
            for number, each in enumerate(part):
                found |= {f"{name}.{number}.{inner}": rows for inner, rows in leaves(each, type(each)).items()}
        elif dataclasses.is_dataclass(part):
            found |= {f"{name}.{inner}": rows for inner, rows in leaves(part, type(part)).items()}
        elif isinstance(part, Mapping):
            found |= {f"{name}.{key}": each.tolist() for key, each in part.items()}
        else:
            found[name] = part.tolist() if isinstance(part, Tensor) else list(part)
    return found


@pytest.fixture
def loosely(unchecked: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dataclasses without their checks of values, which drawn numbers do not meet."""
    for kind in KINDS:
        if hasattr(kind, "__post_init__"):
            monkeypatch.setattr(kind, "__post_init__", lambda self: None)


def test_the_walk_finds_what_it_is_about() -> None:
    names = {kind.__name__ for kind in KINDS}
    assert {"Bodies", "Camera", "State", "Estimate", "Source", "Unknowns", "Solution", "Result", "Detections"} <= names
    assert "camera_from_world" in batch.row_fields(Camera) and "free" in batch.row_fields(Unknowns)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__qualname__)
def test_every_field_goes_where_its_rows_go(kind: type, loosely: None) -> None:
    first, second, rows = made(kind, ROWS), made(kind, ROWS), [3, 0]
    take = torch.tensor([True, False, False, True, False])
    one, other = leaves(first, kind), leaves(second, kind)
    assert one
    some, chosen = leaves(batch.rows(first, rows), kind), leaves(batch.where(take, first, second), kind)
    joined = leaves(batch.cat([first, second]), kind)
    put = leaves(batch.put(first, rows, batch.rows(second, [1, 2])), kind)
    for name, mine in one.items():
        its = other[name]
        assert some[name] == [mine[3], mine[0]], name
        assert chosen[name] == [mine[0], its[1], its[2], mine[3], its[4]], name
        assert joined[name] == mine + its, name
        assert put[name] == [its[2], mine[1], mine[2], its[1], mine[4]], name


@pytest.mark.parametrize("index", [slice(1, 3), [1, 2], torch.tensor([1, 2]), torch.arange(ROWS).sub(1.5).abs() < 1])
def test_rows_are_named_as_a_tensors_are(index: batch.Index, builtin_body: SkinnedBody) -> None:
    estimate = case(builtin_body, ROWS).estimate
    assert torch.equal(estimate.rows(index).bodies.pose, estimate.bodies.pose[1:3])
    assert len(estimate.rows([])) == 0


def test_a_world_is_kept_where_bodies_are_chosen_and_put_back(builtin_body: SkinnedBody) -> None:
    estimate = case(builtin_body, 3).estimate
    world = torch.eye(3, 4).repeat(3, 1, 1) + torch.arange(3)[:, None, None]
    plain = estimate.state
    placed = dataclasses.replace(plain, camera=dataclasses.replace(plain.camera, camera_from_world=world))
    other = dataclasses.replace(placed, camera=dataclasses.replace(placed.camera, camera_from_world=-world))
    take = torch.tensor([True, False, True])
    found = choose(take, placed, other).camera.camera_from_world
    assert found is not None and torch.equal(found, torch.stack((world[0], -world[1], world[2])))
    back = dataclasses.replace(estimate, state=placed).with_rows([1], other[[1]]).camera.camera_from_world
    assert back is not None and torch.equal(back, torch.stack((world[0], -world[1], world[2])))


def test_what_some_rows_lack_is_refused(builtin_body: SkinnedBody) -> None:
    state = case(builtin_body, 2).estimate.state
    world = torch.eye(3, 4).repeat(2, 1, 1)
    placed = State(state.bodies, dataclasses.replace(state.camera, camera_from_world=world))
    for call in (lambda: batch.cat([state, placed]), lambda: choose(torch.tensor([True, False]), placed, state)):
        with pytest.raises(InputError, match=r"Camera\.camera_from_world.*all rows or for none"):
            call()


def test_no_row_operation_is_written_by_hand() -> None:
    """A dataclass of the library that is indexed or cut into rows leaves it to `refine.batch`."""
    by_hand = []
    for kind in KINDS:
        for name in ("__getitem__", "rows"):
            method = vars(kind).get(name)
            code = getattr(getattr(method, "__wrapped__", method), "__code__", None)
            if code is not None and "batch" not in code.co_names:
                by_hand.append(f"{kind.__qualname__}.{name}")
    assert by_hand == []


def test_an_object_that_is_no_dataclass_keeps_its_place_in_a_term() -> None:
    class Own:
        kernel = LeastSquares()

        def residual(self, state: State, posed: PosedBody) -> Tensor:
            return state.bodies.translation

    term = Discounted(Own(), torch.ones(3))
    assert batch.rows(term, [2, 0]).term is term.term and len(batch.rows(term, [2, 0]).noise) == 2


@dataclasses.dataclass(frozen=True, eq=False)
class Declared:
    where: Float[Tensor, "B 3"]
    basis: Float[Tensor, "K 3"]
    name: str = ""


@dataclasses.dataclass(frozen=True, eq=False)
class Undeclared:
    where: Tensor


@dataclasses.dataclass(frozen=True, eq=False)
class Inside:
    share: Float[Tensor, "3 B"]


@dataclasses.dataclass(frozen=True, eq=False)
class Around:
    part: Declared


def test_rows_can_be_taken_where_every_tensor_says_its_shape() -> None:
    good = Declared(torch.zeros(2, 3), torch.zeros(4, 3))
    assert batch.declares_rows(good) and batch.declares_rows(Around(good))
    assert not batch.declares_rows(Undeclared(torch.zeros(2, 3))) and not batch.declares_rows(object())
    assert not batch.declares_rows(Inside(torch.zeros(3, 2))) and not batch.declares_rows(Declared)
