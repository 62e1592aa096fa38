"""`refine convert`: another body model, another file, and files of our own as input."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import refine
from refine.body import SkinnedBody
from refine.commands.cli import app
from tests.human_models import human_model
from tests.layouts import bev, multihmr, refine_npz
from tests.reference.body.official_files import write_npz
from tests.regressor_files import HEIGHT, WIDTH


def run(*arguments: object) -> str:
    done = CliRunner().invoke(app, ["convert", *map(str, arguments)])
    assert done.exit_code == 0, (done.output, done.exception)
    return done.stdout


def test_a_file_becomes_parameters_of_its_own_model(tmp_path: Path) -> None:
    path = bev.write(tmp_path / "bev.npz")
    assert run(path, "--to", "parameters", "--out", tmp_path / "out.npz") == ""
    before, after = refine.read(path), refine.read(tmp_path / "out.npz")
    assert after.source.format == "parameters" and after.source.model == "smpl"
    assert torch.allclose(after.source.pose, before.source.pose, atol=2e-6)
    assert torch.allclose(after.source.betas, before.source.betas)
    assert torch.allclose(after.joints, before.joints, atol=2e-5)
    assert torch.allclose(after.camera.focal, before.camera.focal)


def test_a_file_becomes_refines_own_and_that_is_read_again(tmp_path: Path) -> None:
    path = bev.write(tmp_path / "bev.npz")
    run(path, "--to", "refine", "--out", tmp_path / "own.npz")
    own, before = refine.read(tmp_path / "own.npz"), refine.read(path)
    assert own.source.format == "refine_npz"
    assert torch.equal(own.bodies.pose, before.bodies.pose) and torch.equal(own.bodies.shape, before.bodies.shape)
    assert refine.load(tmp_path / "own.npz").source.format == "bev"
    run(tmp_path / "own.npz", "--to", "parameters", "--out", tmp_path / "parameters.npz")
    again = refine.read(tmp_path / "parameters.npz")
    assert torch.allclose(again.joints[:, 0], own.joints[:, 0], atol=1e-4)
    assert torch.allclose(again.bodies.pose, own.bodies.pose, atol=2e-6)


def test_people_are_put_on_a_model_file_and_back(tmp_path: Path, builtin_body: SkinnedBody) -> None:
    model = write_npz(tmp_path / "SMPLX_NEUTRAL.npz", human_model("smplx", builtin_body, 10))
    path = refine_npz.write(tmp_path / "own.npz")
    said = run(path, "--to", model, "--to", "parameters", "--out", tmp_path / "out.npz")
    rows = [line.split() for line in said.splitlines()]
    assert [row[0] for row in rows] == ["1", "2"] and all(row[2] == "mm" and float(row[1]) < 15 for row in rows)
    with np.load(tmp_path / "out.npz") as arrays:
        assert arrays["vertices"].shape == (2, 10475, 3) and arrays["body_pose"].shape == (2, 63)
    there = refine.read(tmp_path / "out.npz", body_model=model)
    with np.load(tmp_path / "out.npz") as arrays:
        assert np.abs(there.vertices.numpy() - arrays["vertices"]).max() < 1e-4
    run(path, "--to", model, "--out", tmp_path / "result.npz")
    assert refine.load(tmp_path / "result.npz").body.model == "smplx"
    assert refine.read(tmp_path / "result.npz").body.model == "smplx"


def test_the_photo_tells_the_size_a_file_lacks(tmp_path: Path) -> None:
    from refine.export.files import write_image

    path = multihmr.write(tmp_path / "photo.npy", 1)
    write_image(tmp_path / "photo.png", np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    run(path, "--to", "refine", "--image", tmp_path / "photo.png", "--out", tmp_path / "own.npz")
    assert refine.read(tmp_path / "own.npz").camera.size.tolist() == [[HEIGHT, WIDTH]]


@pytest.mark.parametrize("to", [("smpl", "smplx"), ("refine", "parameters"), ("nothing.npz",)])
def test_a_mistake_is_refused_and_nothing_written(to: tuple[str, ...], tmp_path: Path) -> None:
    path = bev.write(tmp_path / "bev.npz")
    options = [part for name in to for part in ("--to", name)]
    done = CliRunner().invoke(app, ["convert", str(path), *options, "--out", str(tmp_path / "out.npz")])
    assert done.exit_code == 2 and not (tmp_path / "out.npz").exists()


def test_a_file_does_not_overwrite_itself(tmp_path: Path) -> None:
    path = bev.write(tmp_path / "bev.npz")
    done = CliRunner().invoke(app, ["convert", str(path), "--to", "refine", "--out", str(path)])
    assert done.exit_code == 2 and refine.read(path).source.format == "bev"


def test_a_real_file_is_converted_to_millimetres(tmp_path: Path, real_data: Callable[[str], Path]) -> None:
    said = run(real_data("romp_photo") / "romp_output.npz", "--to", "anny", "--out", tmp_path / "out.npz")
    assert float(said.split()[1]) < 15


def test_a_regressors_format_is_refused_with_what_writes_it(tmp_path: Path) -> None:
    path = bev.write(tmp_path / "bev.npz")
    done = CliRunner().invoke(app, ["convert", str(path), "--to", "romp"])
    assert done.exit_code == 2 and "refine run" in done.stderr


def test_the_folder_of_the_file_is_made(tmp_path: Path) -> None:
    run(bev.write(tmp_path / "bev.npz"), "--to", "parameters", "--out", tmp_path / "new" / "out.npz")
    assert (tmp_path / "new" / "out.npz").is_file()
