"""What belongs to what in a folder, by names: photos of results, frames of videos, keypoints of photos."""

from pathlib import Path

import pytest

from refine.errors import InputError
from refine.folder.keypoints import find_keypoints
from refine.folder.photos import PhotoFile, find_photos, first_frame
from tests.folders import touch


@pytest.mark.parametrize(
    "name",
    ["../secret.jpg", "../../secret.jpg", "/etc/secret.jpg", "sub/../../secret.jpg", "C:\\secret.jpg", "..\\secret.jpg", "~/secret.jpg", "..", "/", "", "file:///etc/secret.jpg", "//host/share/secret.jpg"],  # noqa: E501
)  # fmt: skip
def test_a_stored_name_never_leaves_the_image_folder(tmp_path: Path, name: str) -> None:
    touch(tmp_path, "secret.jpg", "images/a.jpg")
    assert find_photos(tmp_path / "images").stored(name) is None
    inside = find_photos(touch(tmp_path / "images", "secret.jpg")).stored(name)
    assert inside is None or inside.path == (tmp_path / "images" / "secret.jpg").absolute()


@pytest.mark.parametrize(
    ("result", "photo"),
    [
        ("a.npz", "a.jpg"),
        ("sub/a.npz", "sub/a.png"),
        ("other/b.npz", "sub/b.jpg"),
        ("b_0.08.npz", "sub/b.jpg"),
        ("b_2.json", "sub/b_2.jpg"),
        ("elsewhere/c_person-3.pkl", "c.jpeg"),
        ("d.npz", None),
        ("ab.npz", None),
    ],
)
def test_a_result_finds_its_photo_by_name(tmp_path: Path, result: str, photo: str | None) -> None:
    photos = find_photos(touch(tmp_path, "a.jpg", "sub/a.png", "sub/b.jpg", "sub/b_2.jpg", "c.jpeg", "c.txt", ".d.jpg"))
    assert [one.name for one in photos.of_result(result)] == ([photo] if photo else [])


def test_two_photos_of_a_name_are_not_guessed_between(tmp_path: Path) -> None:
    photos = find_photos(touch(tmp_path, "one/a.jpg", "two/a.jpg"))
    with pytest.raises(InputError, match=r"one/a\.jpg, two/a\.jpg"):
        photos.of_result("a.npz")
    assert photos.of_result("two/a.npz")[0].name == "two/a.jpg"


def test_a_stored_name_is_found_by_its_longest_tail(tmp_path: Path) -> None:
    photos = find_photos(touch(tmp_path, "cam1/000001.jpg", "cam2/000001.jpg", "cam2/000002.jpg"))
    assert photos.stored("/home/somebody/data/cam2/000001.jpg") == PhotoFile(
        tmp_path.absolute() / "cam2/000001.jpg", "cam2/000001.jpg"
    )
    assert photos.stored("000001.jpg") is None
    found = photos.stored("000002.jpg")
    assert found is not None and found.name == "cam2/000002.jpg"


def test_a_result_of_many_photos_has_the_folder_of_its_name(tmp_path: Path) -> None:
    photos = find_photos(touch(tmp_path, "walk/2.jpg", "walk/1.jpg", "run/1.jpg"))
    assert [one.name for one in photos.of_result("walk.pkl")] == ["walk/1.jpg", "walk/2.jpg"]


@pytest.mark.parametrize(("numbers", "count", "first"), [([0, 3], 9, 0), ([1, 9], 9, 1), ([], 9, 0)])
def test_frame_numbers_tell_where_they_begin(numbers: list[int], count: int, first: int) -> None:
    assert first_frame(numbers, count) == first
    with pytest.raises(InputError, match="--first-frame"):
        first_frame([2, 5], 9)


def test_keypoint_files_are_found_by_their_photo(tmp_path: Path) -> None:
    touch(
        tmp_path, "a_keypoints.json", "sub/a.json", "b.jpg.json", "v_000000000012_keypoints.json", "v_000000000013.json",  # noqa: E501
        "p.jpg.predictions.json", "q_result.json",
    )  # fmt: skip
    files = find_keypoints(tmp_path)

    def name(photo: str, frame: int | None = None) -> str | None:
        found = files.of_photo(PhotoFile(Path(photo.partition("#")[0]), photo, frame))
        return None if found is None else found.relative_to(tmp_path.absolute()).as_posix()

    assert (name("a.jpg"), name("sub/a.jpg"), name("b.jpg")) == ("a_keypoints.json", "sub/a.json", "b.jpg.json")
    assert (name("p.jpg"), name("q.jpg")) == ("p.jpg.predictions.json", "q_result.json")
    assert name("v.mp4#12", 12) == "v_000000000012_keypoints.json" and name("v.mp4#13", 13) == "v_000000000013.json"
    assert name("c.jpg") is None
    with pytest.raises(InputError, match="one file of that name"):
        name("elsewhere/a.jpg")
