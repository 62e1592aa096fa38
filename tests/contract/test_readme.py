"""The README's first screen keeps its word."""

import re
import shutil
from pathlib import Path

import cv2
import pytest

from refine.body import SkinnedBody
from tests.folders import make_folder

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_the_readme_is_two_screens() -> None:
    assert len(README.splitlines()) <= 105


def test_the_example_on_a_photo_of_ones_own_runs(
    builtin_body: SkinnedBody, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = make_folder(builtin_body, tmp_path / "people", 1)
    for folder, name in ((people.images, "photo.jpg"), (people.results, "romp.npz")):
        (found,) = (path for path in folder.rglob("*") if path.is_file())
        if found.suffix == Path(name).suffix:
            shutil.copy(found, tmp_path / name)
        else:
            cv2.imwrite(str(tmp_path / name), cv2.imread(str(found)))
    (found,) = people.keypoints.rglob("*.json")
    shutil.copy(found, tmp_path / "photo_keypoints.json")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile(BLOCKS[0], "README.md", "exec"), names)
    result = names["result"]
    assert (result.misfit < 0.5 * result.misfit_before).all()
    assert all((tmp_path / name).stat().st_size for name in ("romp_refined.npz", "people.html", "people.glb"))


def test_the_example_without_files_runs_and_improves_the_body() -> None:
    code = BLOCKS[1]
    assert len(code.splitlines()) <= 10
    names: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), names)
    result = names["result"]
    assert (result.misfit < 0.2 * result.misfit_before).all()


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\((?!https?:)([^)#]+)\)", README))))
def test_a_link_of_the_readme_leads_somewhere(target: str) -> None:
    assert (ROOT / target).exists()


def test_the_picture_is_small() -> None:
    assert (ROOT / "docs" / "before_after.jpg").stat().st_size < 300_000
