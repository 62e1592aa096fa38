"""`refine run`: what comes out of a folder, what is said of it, and how it ends."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import refine
from refine.body import SkinnedBody
from refine.commands.cli import app
from refine.errors import InputError
from refine.folder.outcome import Summary, reason_of
from refine.formats import find
from refine.solve.levenberg_marquardt import LevenbergMarquardt
from tests.folders import Folder, copy_of, make_folder, run_over, runner
from tests.layouts.bev import write as write_bev
from tests.layouts.romp import write as write_romp

COUNT = 5
QUICK = refine.Refiner(solver=LevenbergMarquardt(steps=2))
"""Where a test is not about how well bodies fit."""


@pytest.fixture(scope="module")
def people(builtin_body: SkinnedBody, tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return make_folder(builtin_body, tmp_path_factory.mktemp("people"), COUNT)


@pytest.fixture
def folder(people: Folder, tmp_path: Path) -> Folder:
    return copy_of(people, tmp_path / "people")


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Summary]:
    return runner(tmp_path, chunk_size=2, refiner=QUICK)


def log(out: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (out / "refine_log.jsonl").read_text().splitlines()]


def test_every_result_comes_out_under_its_name_and_reads_as_before(
    people: Folder, run: Callable[..., Summary], tmp_path: Path
) -> None:
    summary = run(people, refiner=refine.Refiner(gate=None))
    assert summary.exit_status == 0 and summary.counts == {"refined": COUNT}
    for name in people.names:
        before, after = (np.load(root / f"{name}.npz") for root in (people.results, tmp_path / "out"))
        assert set(before.files) <= set(after.files)
        assert all(before[key].dtype == after[key].dtype and before[key].shape == after[key].shape for key in before)
        assert (before["somebody_elses"] == after["somebody_elses"]).all()
        assert (before["body_pose"] != after["body_pose"]).any()
    rows = log(tmp_path / "out")
    assert [row["result"] for row in rows] == sorted(f"{name}.npz" for name in people.names)
    assert all(row["misfit_px"][0] < 3 < row["misfit_before_px"][0] for row in rows)  # type: ignore[index]


def test_a_folder_gives_what_fit_gives(people: Folder, run: Callable[..., Summary], tmp_path: Path) -> None:
    run(people, save_npz=True, refiner=refine.Refiner())
    for name in people.names[:2]:
        alone = refine.fit(
            people.images / f"{name}.jpg",
            people.results / f"{name}.npz",
            keypoints=people.keypoints / f"{name}_keypoints.json",
        )
        together = refine.load(tmp_path / "out" / f"{name}_refine.npz")
        assert torch.allclose(together.bodies.pose, alone.bodies.pose, atol=1e-2)
        assert torch.allclose(together.misfit, alone.misfit, atol=0.05)
        alone.write_source(tmp_path / "alone.npz")
        one, other = (
            find.read(path).keypoints_2d("coco17")
            for path in (tmp_path / "alone.npz", tmp_path / "out" / f"{name}.npz")
        )
        assert float((one - other).abs().max()) < 1.0


@pytest.mark.parametrize(
    "wrong",
    [
        {"format": "rmop"}, {"camera": "fov61"}, {"camera": "gone.json"}, {"device": "gpu"}, {"keypoints": "gone"},
        {"body_model": "gone.npz"},
    ],
)  # fmt: skip
def test_what_would_fail_for_every_result_is_refused_before_the_folder_is_made(
    people: Folder, run: Callable[..., Summary], tmp_path: Path, wrong: dict[str, object]
) -> None:
    with pytest.raises(InputError):
        run(people, **wrong)
    assert not (tmp_path / "out").exists()


def test_a_reason_is_one_line_and_does_not_name_its_result_again() -> None:
    listing = InputError("/a/b/c.npz", "a known format", "words", "Nearly bev: no cam.\nKnown formats:\n  agora: ...")
    assert reason_of(listing, "b/c.npz") == "expected a known format, got words. Nearly bev: no cam."
    assert (
        reason_of(InputError("camera", "one", "none", "Give it."), "c.npz")
        == "camera: expected one, got none. Give it."
    )
    assert reason_of(ValueError("a\nb"), "c.npz") == "ValueError: a b"


def test_ctrl_c_says_that_nothing_is_lost(people: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("refine.folder.run.run_folder", interrupted)
    done = CliRunner().invoke(app, arguments(people, tmp_path / "out"))
    assert done.exit_code == 130 and "the same command goes on" in done.stderr


def test_bad_files_stop_nobody_and_are_listed(folder: Folder, run: Callable[..., Summary], tmp_path: Path) -> None:
    results, images = folder.results, folder.images
    first, second, third = (f"{name}.npz" for name in folder.names[:3])
    (results / first).write_bytes((results / first).read_bytes()[:200])
    (images / second).with_suffix(".jpg").unlink()
    photo = (images / third).with_suffix(".jpg")
    photo.write_bytes(photo.read_bytes()[:-200])
    (results / "empty.npz").touch()
    (results / "words.json").write_text('{"hello": 1}')
    (results / "notes.txt").write_text("not a result")
    summary = run(folder)
    assert summary.exit_status == 3
    failed = {one.result: one.reason for one in summary.failed}
    assert set(failed) == {first, second, third, "empty.npz", "words.json"}
    assert "person_00001" in failed[second] and "breaks off" in failed[third]
    assert summary.counts["refined"] == COUNT - 3
    assert not any((tmp_path / "out" / name).exists() for name in failed)
    assert {row["result"] for row in log(tmp_path / "out") if row["status"] == "failed"} == set(failed)


def test_a_photo_without_keypoints_leaves_its_result_as_it_came(
    folder: Folder, run: Callable[..., Summary], tmp_path: Path
) -> None:
    name = folder.names[0]
    (folder.keypoints / f"{name}_keypoints.json").unlink()
    summary = run(folder)
    kept = next(one for one in summary.files if one.status == "unchanged")
    assert kept.result == f"{name}.npz" and "no keypoints" in kept.reason and summary.exit_status == 0
    before, after = (np.load(root / f"{name}.npz") for root in (folder.results, tmp_path / "out"))
    assert set(before.files) == set(after.files) and all((before[key] == after[key]).all() for key in before)


def test_formats_may_be_mixed(folder: Folder, run: Callable[..., Summary], tmp_path: Path) -> None:
    for name, writer in (("romp", write_romp), ("bev", write_bev)):
        writer(folder.results / f"{name}.npz", 2)
        cv2.imwrite(str(folder.images / f"{name}.png"), np.full((480, 640, 3), 90, np.uint8))
    summary = run(folder)
    assert {one.format for one in summary.files} == {"parameters", "romp", "bev"} and summary.exit_status == 0
    for name in ("romp", "bev"):
        assert find.read(tmp_path / "out" / f"{name}.npz").source.format == name
    only = run(folder, "romp_only", format="romp")
    assert only.exit_status == 1 and only.counts["failed"] == COUNT + 1 and only.counts["unchanged"] == 1


def test_a_photo_belongs_to_several_results(folder: Folder, run: Callable[..., Summary]) -> None:
    source = folder.results / f"{folder.names[0]}.npz"
    for number in range(2):
        shutil.copy(source, folder.results / f"{folder.names[0]}_{number}.npz")
    summary = run(folder)
    photos = [one.photos for one in summary.files if one.result.startswith("person_00000")]
    assert photos == [("person_00000.jpg",)] * 3 and summary.exit_status == 0


def test_without_evidence_nothing_is_begun(people: Folder, run: Callable[..., Summary], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--keypoints: expected a folder of 2D keypoints, or a refiner"):
        run(people, keypoints=None)
    assert not (tmp_path / "out" / "refine_manifest.json").exists()


def test_a_refiner_with_a_network_needs_no_keypoints(builtin_body: SkinnedBody, tmp_path: Path) -> None:
    from displacement_net.displacement import Displacement
    from refine.render.view import View

    class Silent:
        name = "silent"

        def displace(self, view: View) -> Displacement:
            height, width = view.fragments.triangle.shape[1:]
            count = len(view.fragments.triangle)
            return Displacement(torch.zeros(count, height, width, 2), torch.zeros(count, height, width, 2, 2))

    people = make_folder(builtin_body, tmp_path / "people", 2)
    refiner = refine.Refiner(displacer=Silent(), rounds=1, crop_px=32)
    summary = run_over(people.results, people.images, tmp_path / "out", refiner=refiner, jobs=1)
    assert summary.counts == {"unchanged": 2}
    assert json.loads((tmp_path / "out" / "refine_manifest.json").read_text())["refiner"]["displacer"].endswith(
        "silent"
    )


def arguments(folder: Folder, out: Path, *more: str) -> list[str]:
    named = ["--images", str(folder.images), "--keypoints", str(folder.keypoints), "--out", str(out), "--jobs", "1"]
    return ["run", str(folder.results), *named, *more]


def test_the_command_prints_the_table_and_nothing_else(people: Folder, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, arguments(people, tmp_path / "out", "--chunk-size", "2"))
    assert done.exit_code == 0, done.output
    assert "refined" in done.stdout and "refine run" not in done.stdout and "Log:" in done.stderr


def test_a_dry_run_lists_pairs_and_writes_nothing(folder: Folder, tmp_path: Path) -> None:
    (folder.images / f"{folder.names[0]}.jpg").unlink()
    done = CliRunner().invoke(app, arguments(folder, tmp_path / "out", "--dry-run"))
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert done.exit_code == 3 and rows[0][0] == "result" and len(rows) == COUNT + 1
    good = next(row for row in rows if row[0] == "person_00001.npz")
    assert good[1:] == ["parameters", "1", "person_00001.jpg", "person_00001_keypoints.json", "", ""]
    assert "photo" in next(row for row in rows if row[0] == "person_00000.npz")[5]
    assert not (tmp_path / "out").exists()


def test_a_limit_takes_the_first(people: Folder, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, arguments(people, tmp_path / "out", "--limit", "2"))
    assert done.exit_code == 0
    assert sorted(path.name for path in (tmp_path / "out").glob("*.npz")) == ["person_00000.npz", "person_00001.npz"]


def test_a_single_file_and_a_pattern_are_folders_too(people: Folder, tmp_path: Path) -> None:
    one, photo = people.results / "person_00001.npz", people.images / "person_00001.jpg"
    shutil.copy(photo, tmp_path / "another name.jpg")
    keypoints = people.keypoints / "person_00001_keypoints.json"
    refiner = refine.Refiner(gate=None)
    single = run_over(
        one, tmp_path / "another name.jpg", tmp_path / "one", keypoints=keypoints, jobs=1, refiner=refiner
    )
    several = run_over(
        people.results / "*.npz", people.images / "**/*.jpg", tmp_path / "many", keypoints=people.keypoints, jobs=1
    )
    assert single.counts == {"refined": 1} and len(several.files) == 4  # those of sub/ are not in the pattern
