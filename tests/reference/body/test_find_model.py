"""Where model files are looked for, and what is said when they are not there."""

from pathlib import Path

import pytest
import torch

from refine.body import SkinnedBody
from refine.body.find_model import find_model, gender_in_name
from refine.body.load import families, load_body
from refine.body.smplh import LAYOUT as SMPLH
from refine.errors import InputError


def test_the_layout_of_amass_is_found(tmp_path: Path) -> None:
    path = tmp_path / "smplh" / "female" / "model.npz"
    path.parent.mkdir(parents=True)
    path.touch()
    assert find_model(SMPLH, "female", [tmp_path]) == find_model(SMPLH, "female", [tmp_path / "smplh"]) == path
    assert gender_in_name(path) == "female"


def test_a_missing_model_names_the_folders_and_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFINE_BODY_MODELS", str(tmp_path / "licensed"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"licensed.*\.refine.body_models.*https://smpl-x\.is\.tue\.mpg\.de"):
        load_body("smplx")


def test_the_families_are_the_modules_of_the_folder() -> None:
    assert {"smpl", "smplh", "smplx"} <= set(families())
    with pytest.raises(InputError, match="smplx"):
        load_body("smplz")


def test_the_built_in_body_is_loaded_by_name(builtin_body: SkinnedBody) -> None:
    torch.testing.assert_close(load_body("anny").template, builtin_body.template)
    with pytest.raises(InputError, match="'anny' without gender"):
        load_body("anny", betas=10)
