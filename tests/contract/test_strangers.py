"""What people try next: each ends in a result that is right, or in one sentence that says what to do."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import refine
from refine.body import SkinnedBody
from refine.commands.cli import app
from refine.errors import InputError
from refine.folder import keypoints as folder_keypoints
from refine.formats.find import read
from refine.inputs import keypoint_files as keypoint_find
from refine.solve.levenberg_marquardt import LevenbergMarquardt
from tests.folders import Folder, make_folder, run_over
from tests.people import HEIGHT, WIDTH, Case, case

QUICK = refine.Refiner(solver=LevenbergMarquardt(steps=2))


@pytest.fixture(scope="module")
def person(builtin_body: SkinnedBody) -> Case:
    return case(builtin_body, count=1)


@pytest.fixture
def people(builtin_body: SkinnedBody, tmp_path: Path) -> Folder:
    return make_folder(builtin_body, tmp_path / "people", 2)


def refusal(path: Path, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        read(path, **options)
    return str(caught.value)


def test_a_file_that_is_no_result_says_what_to_do_and_not_what_formats_there_are(tmp_path: Path) -> None:
    (tmp_path / "empty.npz").write_bytes(b"")
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff\xe0 a photo")
    np.savez(tmp_path / "half.npz", betas=np.zeros(100))
    whole = (tmp_path / "half.npz").read_bytes()
    (tmp_path / "half.npz").write_bytes(whole[: len(whole) // 2])
    for name, advice in (
        ("empty.npz", "run it again"),
        ("photo.jpg", "refine.fit(PHOTO, RESULT)"),
        ("half.npz", "truncated"),
    ):
        said = refusal(tmp_path / name)
        assert advice in said and "Known formats" not in said, said


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"global_orient": np.full((1, 3), 90.0)}, "degrees"),
        ({"body_pose": np.tile([1.0, 0, 0, 0], (1, 21))}, "quaternions"),
        ({"body_pose": np.ones((1, 126))}, "6D"),
    ],
)
def test_rotations_in_other_words_are_named(change: dict[str, Any], words: str, tmp_path: Path) -> None:
    arrays = {"global_orient": np.zeros((1, 3)), "body_pose": np.zeros((1, 63)), "transl": np.array([[0.0, 0.0, 3.0]])}
    np.savez(tmp_path / "a.npz", **(arrays | change))
    assert words in refusal(tmp_path / "a.npz")


def test_photo_and_result_in_the_wrong_order_are_told(people: Folder) -> None:
    name = people.names[0]
    with pytest.raises(InputError, match="The photo comes first"):
        refine.fit(people.results / f"{name}.npz", people.images / f"{name}.jpg")


@pytest.mark.parametrize("names", [("kpts", "conf"), ("points", "scores"), ("kps", "confidence")])
def test_confidences_beside_points_under_other_names_are_not_lost(
    names: tuple[str, str], person: Case, tmp_path: Path
) -> None:
    pixel = person.true.keypoints_2d("coco17").numpy()
    sure = np.linspace(0.1, 0.9, 17)[None]
    path = tmp_path / "points.npz"
    np.savez(path, **dict(zip(names, (pixel, sure), strict=True)))  # type: ignore[arg-type]
    found = refine.read_keypoints(path, size=(HEIGHT, WIDTH))
    assert np.allclose(found.confidence.numpy(), sure) and not found.notes


def test_a_single_result_is_not_put_on_some_photo_of_many(people: Folder, tmp_path: Path) -> None:
    (people.results / f"{people.names[1]}.npz").unlink()
    one = people.results / f"{people.names[0]}.npz"
    one.rename(people.results / "somebody.npz")
    call = ["run", str(people.results), "--images", str(people.images), "--keypoints", str(people.keypoints)]
    dry = CliRunner().invoke(app, [*call, "--out", str(tmp_path / "no"), "--dry-run"])
    assert dry.exit_code == 3 and "a photo named somebody" in dry.stdout
    done = run_over(people.results, people.images, tmp_path / "out", keypoints=people.keypoints, jobs=1, refiner=QUICK)
    (outcome,) = done.files
    assert outcome.status == "failed" and "a photo named somebody" in outcome.reason and "--images" in outcome.reason


def test_a_keypoint_file_about_all_photos_is_parsed_once(
    people: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = []
    for name in people.names:
        one = json.loads((people.keypoints / f"{name}_keypoints.json").read_text())
        entries.append({"image_name": f"{name}.jpg", **one})
    path = tmp_path / "all.json"
    path.write_text(json.dumps(entries))
    parsed: list[Path] = []
    load = keypoint_find.load_keypoints

    def counted(one: Path) -> object:
        parsed.append(one)
        return load(one)

    folder_keypoints._content.cache_clear()
    monkeypatch.setattr(keypoint_find, "load_keypoints", counted)
    done = run_over(people.results, people.images, tmp_path / "out", keypoints=path, jobs=1, refiner=QUICK)
    assert {one.status for one in done.files} <= {"refined", "unchanged"} and len(parsed) == 1


def test_reading_through_a_rule_without_the_photos_size_asks_for_the_photo(tmp_path: Path) -> None:
    arrays = {"global_orient": np.zeros((1, 3)), "body_pose": np.zeros((1, 63)), "transl": np.array([[0.0, 0.0, 3.0]])}
    np.savez(tmp_path / "a.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"^image: expected the photo, whose size") as caught:
        refine.read(tmp_path / "a.npz", camera="fov60")
    assert "image=PHOTO" in str(caught.value)
    photo = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    assert refine.read(tmp_path / "a.npz", camera="fov60", image=photo).camera.size[0].tolist() == [HEIGHT, WIDTH]
