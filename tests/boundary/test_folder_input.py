"""What `refine run` is given: folders that are none, names that want out, images that are too large, disks that are full."""

import errno
import io
import os
import resource
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

import refine
from refine.body import SkinnedBody
from refine.errors import InputError
from refine.folder.keypoints import find_keypoints
from refine.folder.photos import PhotoFile, Photos, find_photos, first_frame
from refine.folder.results import find_results
from refine.photo import read_photo
from refine.photo.header import Header, read_header, upright_size
from refine.solve.levenberg_marquardt import LevenbergMarquardt
from tests.folders import Folder, contents, make_folder, run_over

QUICK = refine.Refiner(solver=LevenbergMarquardt(steps=2))


@pytest.fixture(scope="module")
def people(builtin_body: SkinnedBody, tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return make_folder(builtin_body, tmp_path_factory.mktemp("people"), 4)


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


@pytest.mark.parametrize("kind", ["missing", "empty", "others"])
def test_a_folder_without_results_is_refused(tmp_path: Path, kind: str) -> None:
    given = tmp_path / "results"
    if kind != "missing":
        given.mkdir()
    if kind == "others":
        touch(given, "notes.txt", "a_keypoints.json")
    with pytest.raises(InputError, match="RESULTS"):
        find_results(given)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    folder = touch(tmp_path / "results", "sub/a.npz").joinpath("sub")
    folder.chmod(0)
    try:
        with pytest.raises(InputError, match="Permission denied"):
            find_results(tmp_path / "results")
    finally:
        folder.chmod(0o755)


def test_a_folder_that_cannot_be_listed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "a.npz")

    def refuse(path: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(InputError, match="Permission denied"):
        find_results(tmp_path)


@pytest.mark.parametrize(
    ("images", "keypoints", "word"),
    [("none", "keypoints", "--images"), ("results", "keypoints", "--images"), ("images", "none", "--keypoints")],
)
def test_folders_that_hold_nothing_of_use_are_refused(
    people: Folder, tmp_path: Path, images: str, keypoints: str, word: str
) -> None:
    with pytest.raises(InputError, match=word):
        run_over(people.results, people.root / images, tmp_path / "out", keypoints=people.root / keypoints, jobs=1)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"engine": "cloud"}, "--engine"),
        ({"device": "cuda:77"}, "--device"),
        ({"chunk_size": -1}, "--chunk-size"),
        ({"camera": "fisheye"}, "fisheye"),
        ({"body_model": "no/such/SMPL.npz"}, "body model"),
        ({"format": "nonsense"}, "format"),
    ],
)
def test_options_that_cannot_be_are_refused_or_fail_every_result(
    people: Folder, tmp_path: Path, options: dict[str, object], word: str
) -> None:
    try:
        summary = run_over(
            people.results, people.images, tmp_path / "out", keypoints=people.keypoints, jobs=1, refiner=QUICK, **options  # type: ignore[arg-type]
        )  # fmt: skip
        said = summary.failed[0].reason
        assert summary.exit_status == 1 and len(summary.failed) == 4
    except InputError as error:
        said = str(error)
    assert word in said


@pytest.mark.parametrize(
    "name",
    ["../secret.jpg", "../../secret.jpg", "/etc/secret.jpg", "sub/../../secret.jpg", "C:\\secret.jpg", "..\\secret.jpg", "~/secret.jpg", "..", "/", "", "file:///etc/secret.jpg", "//host/share/secret.jpg"],
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
        tmp_path, "a_keypoints.json", "sub/a.json", "b.jpg.json", "v_000000000012_keypoints.json", "v_000000000013.json",
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


def png(width: int, height: int) -> bytes:
    """A PNG that is small on disk and states any size."""

    def part(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = part(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + part(b"IDAT", zlib.compress(bytes(100))) + part(b"IEND", b"")


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp", ".tif", ".ppm"])
def test_the_size_of_an_image_is_read_from_its_header(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"photo{suffix}"
    cv2.imwrite(str(path), np.zeros((37, 53, 3), np.uint8))
    data = path.read_bytes()
    assert read_header(io.BytesIO(data), "x") == Header((37, 53)) and upright_size(path) == (37, 53)
    for length in range(len(data)):
        assert read_header(io.BytesIO(data[:length]), "x") in (None, Header((37, 53)))


@pytest.mark.parametrize(
    ("width", "height", "says"),
    [
        (100_000, 10, "100000 x 10 px"), (10, 100_000, "10 x 100000 px"), (30_000, 30_000, "900000000 pixels.*MAX_IMAGE_PIXELS"),
        (0, 10, "PNG"), (2**31 - 1, 2**31 - 1, "million px"),
    ],
)  # fmt: skip
def test_an_image_that_is_too_large_is_refused_before_it_is_decoded(
    tmp_path: Path, width: int, height: int, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(cv2, "imdecode", never)
    path = tmp_path / "photo.png"
    path.write_bytes(png(width, height))
    for attempt in (lambda: read_photo(path), lambda: upright_size(path)):
        with pytest.raises(InputError, match=says):
            attempt()


def test_a_huge_photo_fails_alone(people: Folder, tmp_path: Path) -> None:
    images = tmp_path / "images"
    (images / "sub").mkdir(parents=True)
    for name in people.names:
        (images / f"{name}.jpg").write_bytes((people.images / f"{name}.jpg").read_bytes())
    (images / f"{people.names[0]}.jpg").unlink()
    (images / f"{people.names[0]}.png").write_bytes(png(100_000, 100))
    summary = run_over(people.results, images, tmp_path / "out", keypoints=people.keypoints, jobs=1, refiner=QUICK)
    assert summary.exit_status == 3 and len(summary.failed) == 1 and "100000 x 100" in summary.failed[0].reason


def test_files_of_unknown_size_are_not_decoded_in_folders(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"something else entirely")
    with pytest.raises(InputError, match="cannot be read"):
        upright_size(path)


@pytest.mark.parametrize("how", ["fsync", "limit"])
def test_a_full_disk_ends_the_run_and_leaves_nothing_half_written(
    people: Folder, tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"keypoints": people.keypoints, "jobs": 1, "chunk_size": 2, "refiner": QUICK}
    out = tmp_path / "out"
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    whole = os.fsync

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def fill(done: int, total: int) -> None:
        if done != 2:
            return
        if how == "fsync":
            monkeypatch.setattr(os, "fsync", full)
        else:
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, unlimited[1]))

    try:
        with pytest.raises(InputError, match="a place that can be written to"):
            run_over(people.results, people.images, out, progress=fill, **settings)  # type: ignore[arg-type]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
        monkeypatch.setattr(os, "fsync", whole)
    assert sorted(name for name in contents(out) if name.endswith(".npz")) == ["person_00000.npz", "person_00001.npz"]
    assert not list((out / ".refine" / "work").iterdir())
    assert run_over(people.results, people.images, out, **settings).done_now == 2  # type: ignore[arg-type]
    run_over(people.results, people.images, tmp_path / "never", **settings)  # type: ignore[arg-type]
    assert contents(out) == contents(tmp_path / "never")


def test_a_damaged_manifest_is_told(people: Folder, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "refine_manifest.json").write_text('{"version": 1, "kind"')
    with pytest.raises(InputError, match="--no-resume"):
        run_over(people.results, people.images, tmp_path / "out", keypoints=people.keypoints, jobs=1)


def test_frames_are_read_in_order_and_counted(tmp_path: Path) -> None:
    from refine.folder.video import VideoFrames, count_frames, frame_size

    path = tmp_path / "walk.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (64, 48))
    for number in range(6):
        writer.write(np.full((48, 64, 3), 40 * number, np.uint8))
    writer.release()
    frames = VideoFrames(path)
    assert [round(float(frames.read(number).mean()) / 40) for number in (1, 4, 2, 5)] == [1, 4, 2, 5]
    assert count_frames(path) == 6 and frame_size(path) == (48, 64)
    with pytest.raises(InputError, match="frame"):
        frames.read(6)
    photos = find_photos(path)
    assert isinstance(photos, Photos) and len(photos.of_result("walk.pkl")) == 6
    assert photos.of_result("frame_0003.npz")[0].frame == 3
    with pytest.raises(InputError, match="which has 6"):
        photos.of_result("frame_0006.npz")
