"""What `refine run` is given: folders that are none, images that are too large, disks that are full."""

import errno
import os
import resource
from pathlib import Path

import cv2
import numpy as np
import pytest

import refine
from refine.body import SkinnedBody
from refine.errors import InputError
from refine.folder.photos import Photos, find_photos
from refine.folder.results import find_results
from refine.solve.levenberg_marquardt import LevenbergMarquardt
from tests.folders import Folder, contents, make_folder, png, run_over, touch

QUICK = refine.Refiner(solver=LevenbergMarquardt(steps=2))


@pytest.fixture(scope="module")
def people(builtin_body: SkinnedBody, tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return make_folder(builtin_body, tmp_path_factory.mktemp("people"), 4)


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
            people.results, people.images, tmp_path / "out", keypoints=people.keypoints, jobs=1, refiner=QUICK, **options  # type: ignore[arg-type]  # noqa: E501
        )  # fmt: skip
        said = summary.failed[0].reason
        assert summary.exit_status == 1 and len(summary.failed) == 4
    except InputError as error:
        said = str(error)
    assert word in said


def test_a_huge_photo_fails_alone(people: Folder, tmp_path: Path) -> None:
    images = tmp_path / "images"
    (images / "sub").mkdir(parents=True)
    for name in people.names:
        (images / f"{name}.jpg").write_bytes((people.images / f"{name}.jpg").read_bytes())
    (images / f"{people.names[0]}.jpg").unlink()
    (images / f"{people.names[0]}.png").write_bytes(png(100_000, 100))
    summary = run_over(people.results, images, tmp_path / "out", keypoints=people.keypoints, jobs=1, refiner=QUICK)
    assert summary.exit_status == 3 and len(summary.failed) == 1 and "100000 x 100" in summary.failed[0].reason


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
    from refine.photo.video import VideoFrames, count_frames, frame_size

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
