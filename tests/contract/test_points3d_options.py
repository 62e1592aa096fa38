"""`--points3d`: 3D joints and clouds on the command line and in folders."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import refine
from refine.body import SkinnedBody
from refine.commands.cli import app
from refine.keypoints.joints3d import point_set
from tests.folders import Folder, make_folder
from tests.people import case

COUNT = 3


@pytest.fixture(scope="module")
def people(builtin_body: SkinnedBody, tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return make_folder(builtin_body, tmp_path_factory.mktemp("people"), COUNT)


@pytest.fixture(scope="module")
def lifted(people: Folder, builtin_body: SkinnedBody) -> np.ndarray:
    """What a network lifts of the people of the photos, in the photos' order: relative to the pelvis."""
    true = case(builtin_body, count=COUNT).true
    place = true.posed.keypoints(point_set(builtin_body, "h36m17")).numpy()
    return place - place[:, :1]


def folder_name(people: Folder, name: str) -> Path:
    return next(iter(people.images.rglob(f"{Path(name).name}.*")))


def test_fit_takes_joints_where_there_are_no_keypoints(people: Folder, lifted: np.ndarray, tmp_path: Path) -> None:
    name = people.names[0]
    np.save(tmp_path / "X3D.npy", lifted[:1])
    arguments = ["fit", str(folder_name(people, name)), "--init", str(people.results / f"{name}.npz")]
    done = CliRunner().invoke(
        app, [*arguments, "--points3d", str(tmp_path / "X3D.npy"), "--out", str(tmp_path / "out")]
    )
    assert done.exit_code == 0, done.output
    result = refine.load(next((tmp_path / "out").glob("*_refine.npz")))
    assert bool(result.accepted.all()) and float(result.turned.nan_to_num().max()) > 1


def test_a_mistake_is_one_message(people: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "two.npy", np.zeros((2, 17, 3)))
    name = people.names[0]
    for given, word in (("none.npy", "nothing at"), (str(tmp_path / "two.npy"), "one a body")):
        done = CliRunner().invoke(
            app,
            ["fit", str(folder_name(people, name)), "--init", str(people.results / f"{name}.npz"), "--points3d", given,
             "--out", str(tmp_path / "out")],
        )  # fmt: skip
        assert done.exit_code != 0 and word in done.output + str(done.exception) and not (tmp_path / "out").exists()


def run(people: Folder, points: Path, out: Path) -> list[dict[str, object]]:
    done = CliRunner().invoke(
        app, ["run", str(people.results), "--images", str(people.images), "--points3d", str(points), "--out", str(out),
              "--jobs", "1", "--save-npz"],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    return [json.loads(line) for line in (out / "refine_log.jsonl").read_text().splitlines()]


def test_a_folder_of_joints_and_one_file_about_all_photos_give_the_same(
    people: Folder, lifted: np.ndarray, tmp_path: Path
) -> None:
    folder = tmp_path / "each"
    folder.mkdir()
    for place, name in enumerate(people.names):
        np.save(folder / f"{Path(name).name}.npy", lifted[place : place + 1])
    ordered = sorted(range(COUNT), key=lambda place: folder_name(people, people.names[place]).as_posix())
    np.save(tmp_path / "all.npy", lifted[ordered])
    one, other = run(people, folder, tmp_path / "a"), run(people, tmp_path / "all.npy", tmp_path / "b")
    assert [row["status"] for row in one] == [row["status"] for row in other] == ["refined"] * COUNT
    for name in people.names:
        first, second = (refine.load(tmp_path / out / f"{name}_refine.npz") for out in ("a", "b"))
        assert torch.allclose(first.bodies.pose, second.bodies.pose, atol=1e-3)


def test_a_photo_without_joints_is_left_as_it_came(people: Folder, lifted: np.ndarray, tmp_path: Path) -> None:
    folder = tmp_path / "each"
    folder.mkdir()
    np.save(folder / f"{Path(people.names[1]).name}.npy", lifted[1:2])
    done = CliRunner().invoke(
        app, ["run", str(people.results), "--images", str(people.images), "--points3d", str(folder), "--out",
              str(tmp_path / "out"), "--jobs", "1"],
    )  # fmt: skip
    rows = [json.loads(line) for line in (tmp_path / "out" / "refine_log.jsonl").read_text().splitlines()]
    refined = {str(row["result"]): row["status"] for row in rows}
    assert refined[f"{people.names[1]}.npz"] == "refined" and list(refined.values()).count("refined") == 1, done.output
