"""`refine run` on a folder whose photos and keypoints have changed: told, or done again, never passed over."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

import refine
from refine.body import SkinnedBody
from refine.commands.cli import app
from refine.errors import InputError
from refine.folder.outcome import Summary
from refine.solve.levenberg_marquardt import LevenbergMarquardt
from tests.folders import HEIGHT, WIDTH, Folder, contents, make_folder, run_over

COUNT = 3
QUICK = refine.Refiner(solver=LevenbergMarquardt(steps=2))
"""No test here is about how well bodies fit."""


@pytest.fixture(scope="module")
def finished(builtin_body: SkinnedBody, tmp_path_factory: pytest.TempPathFactory) -> Folder:
    root = tmp_path_factory.mktemp("finished") / "here"
    folder = make_folder(builtin_body, root, COUNT)
    focal, center = [[480.0, 0.0, WIDTH / 2], [0.0, 480.0, HEIGHT / 2], [0.0, 0.0, 1.0]], root / "K.json"
    center.write_text(json.dumps({"K": focal}))
    return folder


@pytest.fixture
def folder(finished: Folder, tmp_path: Path) -> Folder:
    """A copy that a test may spoil."""
    shutil.copytree(finished.root, tmp_path / "people")
    return Folder(tmp_path / "people", finished.names)


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Summary]:
    def call(folder: Folder, **options: object) -> Summary:
        settings = {"keypoints": folder.keypoints, "jobs": 1, "chunk_size": 1, "refiner": QUICK, **options}
        return run_over(folder.results, folder.images, tmp_path / "out", **settings)  # type: ignore[arg-type]

    return call


def keypoint_file(folder: Folder, index: int) -> Path:
    return folder.keypoints / f"{folder.names[index]}_keypoints.json"


def photo(folder: Folder, index: int) -> Path:
    return folder.images / f"{folder.names[index]}.jpg"


def empty_people(folder: Folder) -> Path:
    path = keypoint_file(folder, 1)
    path.write_text(json.dumps({"version": 1.3, "people": []}))
    return path


def moved_points_of_the_same_length(folder: Folder) -> Path:
    path = keypoint_file(folder, 1)
    text = path.read_text()
    path.write_text(text.replace("1", "2", 1) if text.count("1") else text[::-1])
    assert len(path.read_text()) == len(text)
    return path


def photo_of_another_size(folder: Folder) -> Path:
    cv2.imwrite(str(photo(folder, 1)), np.zeros((HEIGHT * 2, WIDTH, 3), np.uint8))
    return photo(folder, 1)


def photo_gone(folder: Folder) -> Path:
    photo(folder, 1).unlink()
    return photo(folder, 1)


@pytest.mark.parametrize("spoil", [empty_people, moved_points_of_the_same_length, photo_of_another_size, photo_gone])
def test_a_changed_photo_or_keypoint_file_is_refused_and_named(
    folder: Folder, run: Callable[..., Summary], spoil: Callable[[Folder], Path], tmp_path: Path
) -> None:
    assert run(folder).counts == {"refined": COUNT}
    before = contents(tmp_path / "out")
    path = spoil(folder)
    with pytest.raises(InputError, match="--no-resume") as told:
        run(folder)
    assert str(path) in str(told.value) and "1 photo(s) or keypoint file(s) changed" in str(told.value)
    assert contents(tmp_path / "out") == before


def test_one_file_about_all_photos_is_an_input_of_every_result(folder: Folder, run: Callable[..., Summary]) -> None:
    images = [
        {"id": n, "file_name": f"{name}.jpg", "width": WIDTH, "height": HEIGHT} for n, name in enumerate(folder.names)
    ]
    found = []
    for number in range(COUNT):
        points = json.loads(keypoint_file(folder, number).read_text())["people"][0]["pose_keypoints_2d"]
        coco = np.array(points).reshape(25, 3)[[0, 16, 15, 18, 17, 5, 2, 6, 3, 7, 4, 12, 9, 13, 10, 14, 11]]
        coco[:, 2] = 2
        found.append({"id": number, "image_id": number, "category_id": 1, "keypoints": coco.ravel().tolist()})
    path = folder.root / "coco.json"
    path.write_text(json.dumps({"images": images, "annotations": found}))
    assert run(folder, keypoints=path).counts == {"refined": COUNT}
    assert run(folder, keypoints=path).done_now == 0
    found[0]["keypoints"] = (np.array(found[0]["keypoints"]) * 0.9).tolist()
    path.write_text(json.dumps({"images": images, "annotations": found}))
    with pytest.raises(InputError, match=r"coco\.json"):
        run(folder, keypoints=path)


def test_a_changed_camera_file_is_refused_in_words(folder: Folder, run: Callable[..., Summary]) -> None:
    camera = folder.root / "K.json"
    run(folder, camera=camera)
    camera.write_text(camera.read_text().replace("480.0", "490.0"))
    with pytest.raises(InputError, match=r"K\.json \(--camera\) has changed") as told:
        run(folder, camera=camera)
    assert "sha256" not in str(told.value)


def test_copied_and_touched_files_are_the_same_ones(folder: Folder, run: Callable[..., Summary]) -> None:
    run(folder)
    for path in (photo(folder, 0), keypoint_file(folder, 1)):
        data = path.read_bytes()
        path.unlink()
        path.write_bytes(data)
        os.utime(path, (1, 1))
    assert run(folder).done_now == 0


def test_content_is_read_again_only_where_size_or_time_changed(
    folder: Folder, run: Callable[..., Summary], monkeypatch: pytest.MonkeyPatch
) -> None:
    from refine.folder import inputs

    run(folder)
    read = list[str]()
    digest = inputs._digest.__wrapped__

    def seen(path: str, size: int, modified_ns: int) -> str:
        read.append(path)
        return str(digest(path, size, modified_ns))

    monkeypatch.setattr(inputs, "_digest", seen)
    run(folder)
    assert read == []
    os.utime(photo(folder, 2), (1, 1))
    run(folder)
    assert read == [str(photo(folder, 2))]


def test_beginning_anew_takes_the_changed_file(folder: Folder, run: Callable[..., Summary]) -> None:
    run(folder)
    empty_people(folder)
    assert run(folder, resume=False).done_now == COUNT
    assert run(folder).done_now == 0


def test_a_failed_result_is_done_again_when_its_photo_was_replaced(folder: Folder, run: Callable[..., Summary]) -> None:
    whole = photo(folder, 0).read_bytes()
    photo(folder, 0).write_bytes(whole[:30])
    assert run(folder).counts == {"refined": COUNT - 1, "failed": 1}
    assert run(folder).done_now == 0
    photo(folder, 0).write_bytes(whole)
    summary = run(folder)
    assert summary.counts == {"refined": COUNT} and summary.done_now == 1


def test_a_failed_result_is_done_again_when_its_keypoints_were_mended(
    folder: Folder, run: Callable[..., Summary]
) -> None:
    path = keypoint_file(folder, 0)
    whole = path.read_text()
    path.write_text(whole[:40])
    assert run(folder).counts == {"refined": COUNT - 1, "failed": 1}
    path.write_text(whole)
    assert run(folder).counts == {"refined": COUNT}


def test_keypoints_that_come_later_are_taken(folder: Folder, run: Callable[..., Summary]) -> None:
    path = keypoint_file(folder, 0)
    kept = path.read_text()
    path.unlink()
    assert run(folder).counts == {"refined": COUNT - 1, "unchanged": 1}
    assert run(folder).done_now == 0
    path.write_text(kept)
    summary = run(folder)
    assert summary.counts == {"refined": COUNT} and summary.done_now == 1


def test_a_photo_that_comes_later_is_asked_for_with_retry_failed(
    folder: Folder, run: Callable[..., Summary], tmp_path: Path
) -> None:
    kept = photo(folder, 0).read_bytes()
    photo(folder, 0).unlink()
    call = ["run", str(folder.results), "--images", str(folder.images), "--keypoints", str(folder.keypoints),
            "--out", str(tmp_path / "out"), "--jobs", "1", "--chunk-size", "1"]  # fmt: skip
    first = CliRunner().invoke(app, call)
    assert first.exit_code == 3 and "again with --retry-failed" in first.stderr
    photo(folder, 0).write_bytes(kept)
    assert "again with --retry-failed" in CliRunner().invoke(app, call).stderr
    last = CliRunner().invoke(app, [*call, "--retry-failed"])
    assert last.exit_code == 0 and "--retry-failed" not in last.stderr


def test_a_folder_without_a_list_of_inputs_goes_on(folder: Folder, run: Callable[..., Summary], tmp_path: Path) -> None:
    run(folder)
    lists = list((tmp_path / "out" / ".refine").rglob("inputs.jsonl"))
    assert len(lists) == COUNT
    for path in lists:
        path.unlink()
    empty_people(folder)
    assert run(folder).done_now == 0
