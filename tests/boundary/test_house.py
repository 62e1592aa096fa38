"""How the code is laid out: few modules at the root, no circles, every package in the import contract, short files."""

import ast
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("refine", "displacement_net", "priors")
LONGEST = 300
LONGER = {"displacement_net/model.py": 480}
"""The network is one thing."""
LIMITS = {**LONGER, "refine/refiner.py": 150}
"""The whole method is one page."""
MOST_AT_THE_ROOT = 10


def sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sources(*PACKAGES)
}


def imported(path: Path) -> Iterator[str]:
    """Return the modules a file imports, within functions and for type checking too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            while name and name not in MODULES:
                name = name.rpartition(".")[0]
            if name:
                yield name


IMPORTS = {name: sorted(set(imported(path)) - {name}) for name, path in MODULES.items()}


def circle_among(arrows: dict[str, list[str]]) -> list[str]:
    """Return a circle of a graph, empty where there is none."""
    done: set[str] = set()

    def walk(node: str, way: list[str]) -> list[str]:
        if node in way:
            return [*way[way.index(node) :], node]
        if node in done:
            return []
        for after in arrows.get(node, []):
            if found := walk(after, [*way, node]):
                return found
        done.add(node)
        return []

    return next((found for node in sorted(arrows) if (found := walk(node, []))), [])


def test_a_circle_is_found() -> None:
    assert circle_among({"a": ["b"], "b": ["c"], "c": ["b"]}) == ["b", "c", "b"]
    assert not circle_among({"a": ["b", "c"], "b": ["c"]})


def test_no_module_imports_itself_by_way_of_others() -> None:
    assert not circle_among(IMPORTS)


def test_packages_know_each_other_one_way() -> None:
    def package(module: str) -> str:
        return ".".join(module.split(".")[:2]) if module.startswith("refine.") else module.split(".")[0]

    arrows: dict[str, list[str]] = defaultdict(list)
    for name, others in IMPORTS.items():
        if "displacement_net" not in name and name != "refine":
            arrows[package(name)] += [
                package(other) for other in others if package(other) not in (package(name), "displacement_net")
            ]
    assert not circle_among(dict(arrows))


def test_no_private_module_is_imported_from_another_package() -> None:
    strangers = [
        (name, other)
        for name, others in IMPORTS.items()
        for other in others
        if "._" in other and name.rpartition(".")[0] != other.rpartition(".")[0]
    ]
    assert not strangers


def test_every_package_is_named_in_the_contract() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    named = {name for line in layers for name in line.replace("|", " ").replace(":", " ").split()}
    missing = [
        name
        for name in MODULES
        if name.count(".") == 1
        and name != "refine.__main__"
        and not any(name == n or name.startswith(f"{n}.") for n in named)
    ]
    assert not missing


def test_the_root_holds_what_a_newcomer_reads_first() -> None:
    assert len(list((ROOT / "refine").glob("*.py"))) <= MOST_AT_THE_ROOT


@pytest.mark.parametrize("path", sources(*PACKAGES, "tests", "examples"), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_is_about_one_thing(path: Path) -> None:
    name = path.relative_to(ROOT).as_posix()
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LIMITS.get(name, LONGEST)
