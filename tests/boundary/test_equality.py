"""Dataclasses of tensors are equal to themselves only: `==` over tensors has no single answer, and from Python 3.13 on
it raises."""

import ast
import re
from collections.abc import Iterator

import pytest
import torch

from refine.state import Bodies
from tests.conftest import ROOT

TENSORS = re.compile(r"\b(Tensor|ndarray|NDArray)\b")


def compared_by_value(source: str) -> Iterator[str]:
    """The dataclasses of a source that hold tensors or arrays and would compare them."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.ClassDef):
            continue
        made = [ast.unparse(decorator) for decorator in node.decorator_list]
        words = next((text for text in made if re.match(r"(dataclasses\.)?dataclass\b", text)), None)
        fields = [ast.unparse(field.annotation) for field in node.body if isinstance(field, ast.AnnAssign)]
        if words and "eq=False" not in words and any(TENSORS.search(text) for text in fields):
            yield node.name


def test_no_dataclass_compares_its_tensors() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {name}"
        for folder in ("refine", "displacement_net", "priors")
        for path in sorted((ROOT / folder).rglob("*.py"))
        for name in compared_by_value(path.read_text("utf-8"))
    ]
    assert not found, (
        f"@dataclass(frozen=True, eq=False), so that `==` and `in` ask whether it is the same object: {found}"
    )


@pytest.mark.parametrize(
    "source",
    [
        "@dataclass(frozen=True)\nclass A:\n    one: Tensor",
        "@dataclass\nclass A:\n    one: 'Float[Tensor, \"B 3\"] | None' = None",
        "@dataclasses.dataclass(slots=True)\nclass A:\n    one: dict[str, np.ndarray]",
    ],
)
def test_such_a_dataclass_is_found(source: str) -> None:
    assert list(compared_by_value(source)) == ["A"]
    assert not list(compared_by_value(source.replace("Tensor", "int").replace("ndarray", "int_")))


def test_bodies_can_be_compared_and_looked_for() -> None:
    def bodies() -> Bodies:
        return Bodies(torch.eye(3).expand(2, 4, 3, 3), torch.zeros(2, 10), torch.zeros(2, 0), torch.zeros(2, 3))

    one, other = bodies(), bodies()
    assert one == one and one != other and [other, one].index(one) == 1 and one not in [other]
    assert len({one, other}) == 2
