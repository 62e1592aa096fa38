"""The examples run in a fresh clone, and show what their docstrings say."""

import ast
import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

import refine

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.py"))


def load(number: int) -> ModuleType:
    (path,) = [path for path in EXAMPLES if path.name.startswith(f"{number:02d}_")]
    spec = importlib.util.spec_from_file_location(f"example_{number}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_short_and_opens_with_how_to_run_it(path: Path) -> None:
    text = path.read_text()
    assert 40 <= len(text.splitlines()) <= 100
    assert f"python examples/{path.name}" in (ast.get_docstring(ast.parse(text)) or "")


def test_one_photo_lies_better_and_writes_its_files(tmp_path: Path) -> None:
    result = load(0).main(out=tmp_path / "new")
    assert (result.misfit < 0.2 * result.misfit_before).all()
    assert {path.name for path in (tmp_path / "new").iterdir()} == {
        "overlay.jpg",
        "report.png",
        "mesh.obj",
        "result.npz",
    }
    again = refine.load(tmp_path / "new" / "result.npz")
    torch.testing.assert_close(again.joints, result.joints)


def test_keypoints_are_heard_as_far_as_they_are_sure() -> None:
    off = load(1).main()
    assert off["as detected"] < off["estimate"]
    assert off["a wrong wrist"] < off["estimate"], "one wrong point must not carry the wrist away"
    assert off["a wrong wrist"] < 1.2 * off["its confidence 0"], "and is as good as none"
    assert off["own sigmas"] < off["estimate"]


def test_smpl_parameters_come_back_under_their_names(capsys: pytest.CaptureFixture[str]) -> None:
    refined = load(2).main()
    assert refined["body_pose"].shape == (1, 63)
    np.testing.assert_array_equal(refined["betas"], np.zeros((1, 10)))
    printed = capsys.readouterr().out
    assert "Without a camera: camera: expected" in printed and "diagonal" in printed


def test_the_unseen_ankle_is_less_certain() -> None:
    sigma = load(3).main()  # (4 people, joints): knees and ankles of the last one are hidden
    ankle = 4
    assert sigma.isfinite().all()
    assert sigma[3, ankle] > 1.2 * sigma[:3, ankle].max()


def test_a_term_of_ones_own_is_obeyed() -> None:
    without, with_it = load(4).main()
    assert with_it < 5.0 < without  # sigma is 10 mm


def test_a_texture_from_two_photos_dresses_the_third(tmp_path: Path) -> None:
    away = load(5).main(out=tmp_path / "out")
    assert away["confident"] < 15 and away["confident"] < away["guessed"]  # of 255
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"texture.npz", "texture.png", "worn.jpg"}


def test_photos_of_one_person_agree_on_a_better_shape(capsys: pytest.CaptureFixture[str]) -> None:
    apart, together = load(7).main()
    assert together < apart
    assert "photos differ by 0.00" in capsys.readouterr().out


def test_an_attached_regressor_lies_better_in_its_own_tensors() -> None:
    before, after = load(6).main()
    assert after < 0.35 * before


def test_a_second_camera_says_how_far_away_a_person_is() -> None:
    off = load(8).main()
    assert off["two cameras"] < 0.5 * off["one camera"] < off["estimate"]


def test_lifted_joints_help_alone_beside_keypoints_and_where_one_of_two_is_right() -> None:
    off = load(12).main()
    assert off["3D joints"] < 0.6 * off["estimate"] and off["both"] < off["keypoints"]
    assert off["both, two lifts"] < 1.1 * off["both"]


def test_sensors_say_more_than_a_head_and_a_head_more_than_a_yaw() -> None:
    off = load(13).main()
    assert off["trackers"] < off["yaw and head"] < off["estimate"] + 1.0


def test_a_body_lies_in_its_cloud() -> None:
    off = load(14).main()
    assert off["one view"] < 0.5 * off["estimate"] and off["full scan"] < 0.35 * off["estimate"]


def test_the_best_click_helps_as_foretold() -> None:
    sigma = load(15).main()
    assert sigma["found"] < sigma["before"] and abs(sigma["found"] - sigma["foretold"]) < 0.2 * sigma["before"]
