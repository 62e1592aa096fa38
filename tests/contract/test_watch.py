"""`refine watch` and `refine fit --stdin`: for regressors that run elsewhere, or still run."""

import io
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import refine
from refine.body import SkinnedBody
from refine.commands.cli import app
from refine.errors import InputError
from refine.folder.pipe import fit_bytes
from refine.folder.watch import watch_folder
from refine.solve.levenberg_marquardt import LevenbergMarquardt
from tests.conftest import ROOT
from tests.folders import Folder, make_folder, settings_of, smplx_translation
from tests.people import case

QUICK = refine.Refiner(solver=LevenbergMarquardt(steps=2))


@pytest.fixture
def people(builtin_body: SkinnedBody, tmp_path: Path) -> Folder:
    return make_folder(builtin_body, tmp_path / "people", 3)


def watch(people: Folder, out: Path, **options: object) -> refine.folder.outcome.Summary:  # type: ignore[name-defined]
    options = {"keypoints": people.keypoints, "refiner": QUICK, **options}
    return watch_folder(settings_of(people.results, people.images, options), out, **options)  # type: ignore[arg-type]


def test_files_are_refined_as_they_appear(people: Folder, tmp_path: Path) -> None:
    late = people.results / "person_00001.npz"
    whole = late.read_bytes()
    late.unlink()

    def regressor() -> None:
        time.sleep(0.4)
        with late.open("wb") as file:  # slowly: it must not be read before it has stopped growing
            for start in range(0, len(whole), len(whole) // 8):
                file.write(whole[start : start + len(whole) // 8])
                file.flush()
                time.sleep(0.1)

    writer = threading.Thread(target=regressor)
    writer.start()
    told: list[str] = []
    summary = watch(people, tmp_path / "out", every=0.5, idle=3.0, told=lambda one: told.append(one.result))
    writer.join()
    assert sorted(told) == [f"{name}.npz" for name in people.names]
    assert summary.counts == {"refined": 3} and summary.done_now == 3


def test_a_second_watch_takes_only_what_is_new_or_changed(people: Folder, tmp_path: Path) -> None:
    assert watch(people, tmp_path / "out", once=True).done_now == 3
    assert watch(people, tmp_path / "out", once=True).done_now == 0
    path = people.results / "person_00000.npz"
    arrays = dict(np.load(path))
    np.savez(path, **arrays, more=np.arange(5))
    shutil.copy(path, people.results / "person_00000_1.npz")
    again = watch(people, tmp_path / "out", once=True)
    assert again.done_now == 2 and len(again.files) == 4
    assert "more" in np.load(tmp_path / "out" / "person_00000.npz").files


def test_a_photo_may_come_after_its_result(people: Folder, tmp_path: Path) -> None:
    photo = people.images / "person_00000.jpg"
    photo.rename(tmp_path / "late.jpg")
    threading.Timer(1.0, lambda: (tmp_path / "late.jpg").rename(photo)).start()
    for path in people.results.rglob("*.npz"):
        os.utime(path)
    summary = watch(people, tmp_path / "out", every=0.3, idle=2.0)
    assert summary.counts == {"refined": 3}


def test_other_settings_are_refused(people: Folder, tmp_path: Path) -> None:
    watch(people, tmp_path / "out", once=True)
    with pytest.raises(InputError, match="save_npz"):
        watch(people, tmp_path / "out", once=True, save_npz=True)
    with pytest.raises(InputError, match="neither"):
        watch(people, tmp_path / "other", keypoints=None)


def test_the_command_prints_what_it_wrote(people: Folder, tmp_path: Path) -> None:
    (people.results / "broken.npz").write_bytes(b"PK")
    named = ["--images", str(people.images), "--keypoints", str(people.keypoints), "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, ["watch", str(people.results), *named, "--once"])
    assert done.exit_code == 3
    assert done.stdout.split() == [str(tmp_path / "out" / f"{name}.npz") for name in sorted(people.names)]
    assert "broken.npz" in done.stderr


@pytest.fixture(scope="module")
def parcel(builtin_body: SkinnedBody) -> dict[str, np.ndarray]:
    """What a regressor would send."""
    from refine.geometry import rotation

    people = case(builtin_body, count=1)
    bodies, found = people.estimate.bodies, people.detections
    return {
        "global_orient": rotation.log(bodies.pose[:, 0]).numpy(),
        "body_pose": rotation.log(bodies.pose[:, 1:22]).flatten(1).numpy(),
        "transl": smplx_translation(people.estimate),
        "focal": np.array([[480.0, 480.0]]),
        "size": np.array([[480.0, 400.0]]),
        "image": people.photos[0],
        "keypoints": np.concatenate((found.pixel.numpy(), found.confidence[..., None].numpy()), -1),
        "track": np.array([7]),
    }


def packed(arrays: dict[str, np.ndarray]) -> bytes:
    memory = io.BytesIO()
    np.savez(memory, **arrays)
    return memory.getvalue()


def test_npz_in_npz_out(parcel: dict[str, np.ndarray], tmp_path: Path) -> None:
    from refine.export.files import write_image

    data, refined = fit_bytes(packed(parcel))
    arrays = np.load(io.BytesIO(data), allow_pickle=False)
    assert refined and bool(arrays["refine_accepted"].all()) and arrays["refine_misfit_px"] < 3
    assert {"image", "keypoints"}.isdisjoint(arrays.files) and arrays["track"].tolist() == [7]
    assert arrays["body_pose"].shape == (1, 63) and arrays["body_pose"].dtype == parcel["body_pose"].dtype
    write_image(tmp_path / "photo.png", parcel["image"])
    by_path = {name: value for name, value in parcel.items() if name != "image"}
    again, _ = fit_bytes(packed(by_path | {"image_path": np.array(str(tmp_path / "photo.png"))}))
    assert again == data


def test_without_keypoints_the_parcel_comes_back_as_it_was(parcel: dict[str, np.ndarray]) -> None:
    data, refined = fit_bytes(packed({name: value for name, value in parcel.items() if name != "keypoints"}))
    arrays = np.load(io.BytesIO(data))
    assert not refined and arrays["refine_stop"].tolist() == ["NO_EVIDENCE"]
    assert (arrays["body_pose"] == parcel["body_pose"]).all()


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (lambda one: b"", "nothing"),
        (lambda one: b"hello", "5 bytes"),
        (lambda one: packed(one)[:500], "npz"),
        (lambda one: packed({"global_orient": one["global_orient"]}), "image"),
        (lambda one: packed(one | {"image_path": np.array("a.jpg")}), "both"),
        (lambda one: packed(one | {"image": np.array({"a": 1}, dtype=object)}), "npz"),
        (lambda one: packed({k: v for k, v in one.items() if k != "body_pose"}), "body_pose"),
    ],
)
def test_a_bad_parcel_is_refused(parcel: dict[str, np.ndarray], spoil: object, word: str) -> None:
    with pytest.raises(InputError, match=word):
        fit_bytes(spoil(parcel))  # type: ignore[operator]


def test_a_parcel_that_unpacks_to_too_much_is_refused(
    parcel: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    from refine.folder import pipe

    monkeypatch.setattr(pipe, "MOST_BYTES", 100_000)
    with pytest.raises(InputError, match="at most"):
        fit_bytes(packed(parcel))


def test_the_pipe_carries_an_npz_and_nothing_else(parcel: dict[str, np.ndarray]) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "refine", "fit", "--stdin"]
    done = subprocess.run(command, input=packed(parcel), capture_output=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert np.load(io.BytesIO(done.stdout), allow_pickle=False)["refine_accepted"].all()
    bad = subprocess.run(command, input=b"", capture_output=True, env=environment, check=False)
    assert bad.returncode == 2 and bad.stdout == b"" and b"Traceback" not in bad.stderr


def test_the_log_of_a_watch_has_one_line_a_result(people: Folder, tmp_path: Path) -> None:
    for _ in range(2):
        watch(people, tmp_path / "out", once=True)
    rows = [json.loads(line) for line in (tmp_path / "out" / "refine_log.jsonl").read_text().splitlines()]
    assert [row["result"] for row in rows] == sorted(f"{name}.npz" for name in people.names)


def halved(people: Folder) -> None:
    """Scale all keypoints to a photo of half the sides."""
    for path in people.keypoints.rglob("*.json"):
        content = json.loads(path.read_text())
        points = np.array(content["people"][0]["pose_keypoints_2d"]).reshape(-1, 3) * [0.5, 0.5, 1.0]
        content["people"][0]["pose_keypoints_2d"] = points.ravel().tolist()
        path.write_text(json.dumps(content))


def test_a_watch_undoes_what_is_systematically_wrong(people: Folder, tmp_path: Path) -> None:
    halved(people)
    plain = watch(people, tmp_path / "plain", once=True)
    summary = watch(people, tmp_path / "out", once=True, correct=("keypoints.size=50%",))
    assert plain.counts != {"refined": 3} and summary.counts == {"refined": 3}


def test_a_fit_undoes_what_is_systematically_wrong(people: Folder, tmp_path: Path) -> None:
    halved(people)
    name, out = people.names[0], tmp_path / "out"
    init = people.results / f"{name}.npz"
    with np.load(init) as stored:
        arrays = {key: stored[key] for key in stored.files}
    np.savez(init, **(arrays | {"transl": 1000 * arrays["transl"]}))
    call = ["fit", str(people.images / f"{name}.jpg"), "--init", str(init), "--out", str(out)]
    call += ["--keypoints", str(people.keypoints / f"{name}_keypoints.json")]
    wrong = CliRunner().invoke(app, call)
    assert wrong.exit_code == 2 and "transl" in wrong.stderr
    undone = ["--correct", "keypoints.size=50%", "--correct", "estimate.units=mm"]
    done = CliRunner().invoke(app, [*call, *undone])
    assert done.exit_code == 0, done.output
    assert 1.0 < float(refine.load(out / f"{name}_refine.npz").joints[0, 0, 2]) < 20.0
    for other, said in (("keypoints.frames=2", "refine run"), ("keypoints.size=half", "WIDTHxHEIGHT")):
        refused = CliRunner().invoke(app, [*call, "--correct", other])
        assert refused.exit_code == 2 and said in refused.stderr, refused.output
    blind = CliRunner().invoke(app, [*call[:6], "--correct", "keypoints.size=50%"])
    assert blind.exit_code == 2 and "--keypoints" in blind.stderr
