"""Modules found by file name, third parties' by entry point."""

import logging
from importlib import metadata
from pathlib import Path
from types import ModuleType

import pytest

from refine.discover import modules
from refine.errors import InputError


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    folder = tmp_path / "some_formats"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "one.py").write_text("def read(): ...")
    (folder / "two.py").write_text("x = 1")
    (folder / "needs.py").write_text("import a_package_nobody_has")
    (folder / "_private.py").write_text("def read(): ...")
    monkeypatch.syspath_prepend(tmp_path)
    modules.cache_clear()
    return "some_formats"


def test_files_are_found_by_name_private_ones_are_not(package: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert list(modules(package, "nobody.offers")) == ["one", "two"]
    assert "needs is left out" in caplog.text
    assert list(modules(package, "nobody.offers", having="read")) == ["one"]


def test_third_parties_are_found_and_replace_nothing_of_ours(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def offered(group: str) -> list[metadata.EntryPoint]:
        names = {"json": "json", "one": "json", "broken": "a_package_nobody_has"}
        return [metadata.EntryPoint(name, value, group) for name, value in names.items()]

    monkeypatch.setattr(metadata, "entry_points", offered)
    found = modules(package, "refine.formats")
    assert list(found) == ["one", "two", "json"]
    assert isinstance(found["json"], ModuleType) and found["one"].__name__ == "some_formats.one"


def test_a_name_that_is_no_package_is_refused() -> None:
    with pytest.raises(InputError, match="a folder of modules"):
        modules("json.decoder", "nobody.offers")
