"""Which of a file's images is a photo: path tails of any system, file names, stems, numbers."""

import pytest

from refine.errors import InputError
from refine.keypoints.formats import Wanted
from refine.keypoints.formats._images import Key, find_image, nth_image, path_parts

FOUND: list[tuple[list[Key], str | int, Key]] = [
    (["a.jpg", "b.jpg"], "b.jpg", "b.jpg"),
    (["/data/set/a.jpg", "/data/set/b.jpg"], "photos/b.jpg", "/data/set/b.jpg"),
    (["D:\\data\\photo.jpg", "D:\\data\\b.jpg"], "/elsewhere/photo.jpg", "D:\\data\\photo.jpg"),
    (["photo.jpg", "b.jpg"], "C:\\Users\\me\\photo.jpg", "photo.jpg"),
    (["cam1/0.jpg", "cam2/0.jpg"], "x/cam2/0.jpg", "cam2/0.jpg"),
    (["set/cam1/0.jpg", "set/cam2/0.jpg"], "E:\\other\\CAM1\\0.jpg", "set/cam1/0.jpg"),
    (["photo.png", "b.png"], "photo.jpg", "photo.png"),
    (["PHOTO.JPG", "b.jpg"], "photo.jpg", "PHOTO.JPG"),
    (["a.JPG", "a.jpg"], "a.jpg", "a.jpg"),
    (["0.jpg", "1.jpg", "2.jpg"], 1, "1.jpg"),
    (["0.jpg", "1.jpg", "2.jpg"], "frame_000002.jpg", "2.jpg"),
    (["000000.jpg", "000001.jpg"], 1, "000001.jpg"),
    (["frame_000000.jpg", "frame_000001.jpg"], 1, "frame_000001.jpg"),
    (["frame_000000.jpg", "frame_000001.jpg"], "0001.png", "frame_000001.jpg"),
    ([785, 40083], "COCO_val2014_000000040083.jpg", 40083),
    ([785, 40083], 785, 785),
    (["only.jpg"], "dir\\only.jpg", "only.jpg"),
]


@pytest.mark.parametrize("case", range(len(FOUND)))
def test_the_image_of_a_photo_is_found(case: int) -> None:
    known, image, key = FOUND[case]
    assert find_image(known, Wanted("x", image)) == key
    assert find_image(known[::-1], Wanted("x", image)) == key


REFUSED: list[tuple[list[Key], str | int | None, str]] = [
    (["a.jpg", "b.jpg"], "c.jpg", "got images a.jpg, b.jpg"),
    (["a.jpg", "b.jpg"], None, "expected one image, got images a.jpg, b.jpg"),
    (["cam1/0.jpg", "cam2/0.jpg"], "0.jpg", "that may be it"),
    (["cam1/0.jpg", "cam2/0.jpg"], 0, "the image 0"),
    (["a1.jpg", "b1.jpg"], "c1.jpg", "the image 'c1.jpg'"),
    (["a1.jpg", "b2.jpg"], 1, "the image 1"),
    (["a.jpg", "1.jpg"], "x_1.jpg", "the image"),
    (["7.jpg", "8.jpg"], "photo.jpg", "the image"),
    ([785, 40083], "000000000786.jpg", "images 785, 40083"),
    ([], "a.jpg", "got no image"),
]


@pytest.mark.parametrize("case", range(len(REFUSED)))
def test_what_is_not_certain_is_refused_and_says_what_there_is(case: int) -> None:
    known, image, words = REFUSED[case]
    with pytest.raises(InputError, match="Name the image by its file name, id or frame number") as error:
        find_image(known, Wanted("x", image))
    assert words in str(error.value)


def test_a_frame_missing_among_a_videos_is_one_with_nobody() -> None:
    known: list[Key] = ["0.jpg", "1.jpg", "4.jpg"]
    for image in (2, 3, 5, "frame_000003.jpg"):
        assert find_image(known, Wanted("x", image)) is None
    with pytest.raises(InputError):  # a photo behind them is not theirs
        find_image(known, Wanted("x", "frame_000009.jpg"))


def test_as_many_photos_with_other_numbers_are_not_shifted_onto_each_other() -> None:
    known: list[Key] = ["0.jpg", "1.jpg", "2.jpg"]
    assert find_image(known, Wanted("x", "f_1.jpg", place=(1, 3))) == "1.jpg"
    with pytest.raises(InputError):  # photos counted from 1
        find_image(known, Wanted("x", "f_1.jpg", place=(0, 3)))
    assert find_image(known, Wanted("x", "f_1.jpg", place=(0, 2))) == "1.jpg"


def test_images_without_names_go_by_their_place() -> None:
    assert nth_image(1, Wanted("x", "any.jpg")) == 0
    assert nth_image(5, Wanted("x", 3)) == 3
    assert nth_image(5, Wanted("x", "b.jpg", place=(1, 5))) == 1
    for wanted in (Wanted("x", "b.jpg"), Wanted("x", 5), Wanted("x", "b.jpg", place=(1, 4))):
        with pytest.raises(InputError, match=r"5 frames without names.*from 0 on"):
            nth_image(5, wanted)


def test_paths_of_all_systems_come_apart_alike() -> None:
    assert path_parts("D:\\a b\\c.jpg") == path_parts("/a b/c.jpg") == path_parts("./a b//c.jpg") == ("a b", "c.jpg")
    assert path_parts("\\\\server\\share\\c.jpg") == ("server", "share", "c.jpg")
    assert path_parts("") == ()
