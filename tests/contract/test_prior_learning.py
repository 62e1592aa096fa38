"""Learning priors from motion data: what is read and skipped, killed runs that go on, reports, errors."""

import io
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import typer

from priors.latent_pose import LatentPose
from priors.learning import autoencoder, expectation_runs, latent, mixture
from priors.learning.autoencoder import Settings as LatentSettings
from priors.learning.expectation import Widening, expectation, first_sums, maximisation
from priors.learning.expectation_runs import Settings, learn
from priors.learning.gather import Gathered, LeftOut, fold_of, gather, mirrored
from priors.learning.motion_files import WIDTH, read_motion
from priors.mixture_pose import GaussianMixturePose
from priors.prior_file import TRUNK_AND_LIMBS
from refine.errors import InputError
from tests.conftest import ROOT

FRAMES = 60
FOLDS = 3


def motion(seed: int, frames: int = FRAMES, width: int = 156) -> np.ndarray:
    """Frames around one of two postures: numbers of an AMASS file."""
    draw = np.random.default_rng(seed)
    poses = np.zeros((frames, width))
    posture = 0.3 * np.random.default_rng(seed % 2).standard_normal(WIDTH)
    poses[:, 3 : 3 + WIDTH] = posture + 0.08 * draw.standard_normal((frames, WIDTH))
    for knee in (3, 4):  # knees bend one way, and so do elbows: frames that cannot be would be left out
        poses[:, 3 + 3 * knee : 6 + 3 * knee] = np.abs(poses[:, 3 + 3 * knee : 6 + 3 * knee]) * (1, 0.1, 0.1)
    poses[:, 3 + 3 * 17 : 3 + 3 * 19] *= 0.1
    poses[:, :3] = 3.0  # the root, which does not matter
    return poses


def write(path: Path, **arrays: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return path


@pytest.fixture(scope="module")
def amass(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in AMASS's layout: subjects' folders, both keys of the frame rate, and files that are no motion."""
    folder = tmp_path_factory.mktemp("amass")
    for number in range(8):
        name = folder / f"CMU/{number % 4:02}/{number:02}_poses.npz"
        key, width = ("mocap_framerate", 156) if number % 2 else ("mocap_frame_rate", 165)
        write(name, poses=motion(number, width=width), trans=np.zeros((FRAMES, 3)), gender="male", **{key: 10.0})
    write(folder / "CMU/00/shape.npz", betas=np.zeros(16))
    write(folder / "CMU/01/hands_poses.npz", poses=np.zeros((5, 45)), mocap_framerate=30.0)
    write(folder / "CMU/02/objects_poses.npz", poses=np.array([{"a": 1}], dtype=object), mocap_framerate=30.0)
    (folder / "CMU/03/broken_poses.npz").write_bytes(b"PK\x03\x04 but not for long")
    return folder


def gathered(amass: Path, work: Path) -> Gathered:
    return gather(amass, work, per_second=10.0, folds=FOLDS)


def test_motion_is_read_without_root_and_hands_and_foreign_files_are_skipped(amass: Path, tmp_path: Path) -> None:
    found = gathered(amass, tmp_path)
    assert len(found.recordings) == 8 and len(found.pose) + found.impossible == 8 * FRAMES
    assert len(found.pose) > 7 * FRAMES
    assert np.abs(found.pose[0] - motion(0)[0, 3:66]).max() < 1e-6
    assert len(found.skipped) == 4
    said = "\n".join(found.skipped)
    for word in ("shape.npz: expected a motion file", "hands_poses.npz: poses: expected numbers", "objects_poses.npz"):
        assert word in said
    assert "broken_poses.npz: expected an .npz of arrays" in said


def test_motion_is_thinned_out_in_time(tmp_path: Path) -> None:
    path = write(tmp_path / "a.npz", poses=motion(0, frames=120), mocap_framerate=120.0)
    (recording,) = read_motion(path, "a", per_second=5.0)
    assert len(recording.pose) + recording.impossible == 5


def test_recordings_put_together_are_read_one_by_one(tmp_path: Path) -> None:
    pose = motion(0, frames=20, width=66).reshape(20, 22, 3)
    path = write(
        tmp_path / "all.npz", pose=pose, sequence=np.repeat([0, 1], 10), names=np.array(["01_01", "02_01"]), fps=12.0
    )
    found = list(read_motion(path, "all", per_second=12.0))
    assert [each.name for each in found] == ["01_01", "02_01"]
    by_person = gather(path, tmp_path / "work", per_second=12.0, folds=50, left_out=LeftOut.PERSON)
    assert set(by_person.fold.tolist()) == {fold_of("01", 50), fold_of("02", 50)}


def test_frames_that_cannot_be_are_left_out(tmp_path: Path) -> None:
    poses = motion(0)
    poses[7, 3 + 3 * TRUNK_AND_LIMBS.index("left_knee")] = -2.0
    poses[9, 20] = np.nan
    (recording,) = read_motion(write(tmp_path / "a.npz", poses=poses, mocap_framerate=10.0), "a", per_second=10.0)
    (clean,) = read_motion(write(tmp_path / "b.npz", poses=motion(0), mocap_framerate=10.0), "b", per_second=10.0)
    assert recording.impossible == clean.impossible + 2


def test_a_pose_mirrored_twice_is_the_pose_and_mirrored_once_has_sides_exchanged() -> None:
    pose = np.random.default_rng(0).standard_normal((3, WIDTH)).astype(np.float32)
    assert np.array_equal(mirrored(mirrored(pose)), pose)
    left, right = (3 * TRUNK_AND_LIMBS.index(f"{side}_elbow") for side in ("left", "right"))
    assert np.array_equal(mirrored(pose)[:, left : left + 3], pose[:, right : right + 3] * (1, -1, -1))


def test_a_gathering_that_was_killed_goes_on_behind_what_its_list_knows(amass: Path, tmp_path: Path) -> None:
    whole = gathered(amass, tmp_path / "whole")
    gathered(amass, tmp_path / "cut")
    listed = tmp_path / "cut" / "gathered.json"
    state = json.loads(listed.read_text())
    state |= {"done": 5, "recordings": state["recordings"][:4], "skipped": state["skipped"][:1]}
    done = sum(count for _, count in state["recordings"])
    state["impossible"] = 0
    listed.write_text(json.dumps(state))
    with (tmp_path / "cut" / "poses.f32").open("ab") as rows:
        rows.write(b"rows the list does not know")
    again = gathered(amass, tmp_path / "cut")
    assert 0 < done < len(whole.pose) and again.recordings == whole.recordings
    assert np.array_equal(again.pose, whole.pose) and np.array_equal(again.fold, whole.fold)


def two_clusters(amass: Path, work: Path) -> tuple[Gathered, Settings]:
    return gathered(amass, work), Settings(components=2, folds=FOLDS, passes=8)


def test_expectation_maximisation_finds_what_was_drawn() -> None:
    draw = np.random.default_rng(0)
    points = np.concatenate((draw.normal(-2, 0.3, (3000, 4)), draw.normal(1, 0.6, (1000, 4))))
    sums = first_sums(points, 2, seed=0)
    exact, likelihoods = Widening(0.0, 1.0, 1e-6), []
    for _ in range(20):
        sums = expectation(maximisation(sums, exact), [points[:1234], points[1234:]])
        likelihoods.append(float(sums.log_likelihood))
    found = maximisation(sums, exact)
    order = found.mean[:, 0].argsort()
    assert (found.mean[order] - torch.tensor([[-2.0], [1.0]])).abs().max() < 0.1
    assert torch.allclose(found.weight[order], torch.tensor([0.75, 0.25], dtype=torch.float64), atol=0.01)
    spread = found.covariance.diagonal(dim1=1, dim2=2).sqrt()[order]
    assert (spread - torch.tensor([[0.3], [0.6]])).abs().max() < 0.05
    assert all(later >= earlier - 1e-6 for earlier, later in itertools.pairwise(likelihoods))


class Killed(Exception):
    pass


@pytest.mark.parametrize("after", [1, 6, 14])
def test_a_mixture_whose_learning_was_killed_is_the_same(amass: Path, tmp_path: Path, after: int) -> None:
    poses, settings = two_clusters(amass, tmp_path)
    whole = learn(poses, settings, tmp_path / "whole.pt")
    passes = 0

    def kill(*_: object) -> None:
        nonlocal passes
        passes += 1
        if passes == after:
            raise Killed

    with pytest.raises(Killed):
        learn(poses, settings, tmp_path / "cut.pt", kill)
    again = learn(poses, settings, tmp_path / "cut.pt")
    assert torch.equal(again.mixture.covariance, whole.mixture.covariance)
    assert again.held_out_nats == whole.held_out_nats and again.widening == whole.widening
    assert np.isfinite([whole.held_out_nats, whole.one_gaussian_nats]).all()
    assert whole.held_out_nats > whole.one_gaussian_nats, "two postures are not one Gaussian"


def test_a_network_whose_training_was_killed_is_the_same(
    amass: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(autoencoder, "MARK", 3)
    poses, settings = gathered(amass, tmp_path), LatentSettings(latent=3, width=8, steps=7, batch=16, recombined=0.3)
    whole = latent.learn(poses, settings, tmp_path / "whole.pt")
    marks = 0

    def kill(*_: object) -> None:
        nonlocal marks
        marks += 1
        if marks == 5:
            raise Killed

    with pytest.raises(Killed):
        latent.learn(poses, settings, tmp_path / "cut.pt", kill)
    again = latent.learn(poses, settings, tmp_path / "cut.pt")
    for ours, theirs in zip(again.prior.decoder, whole.prior.decoder, strict=True):
        assert torch.equal(ours.weight, theirs.weight)
    assert torch.equal(again.prior.sigma_rad, whole.prior.sigma_rad) and again.loss_nats == whole.loss_nats


def test_training_lowers_the_loss_on_recordings_left_out(amass: Path, tmp_path: Path) -> None:
    poses = gathered(amass, tmp_path)
    short, longer = (
        latent.learn(poses, LatentSettings(latent=4, width=16, steps=steps, batch=64), tmp_path / f"{steps}.pt")
        for steps in (5, 150)
    )
    assert longer.loss_nats < short.loss_nats and longer.degrees < short.degrees
    assert np.isfinite([longer.loss_nats, longer.degrees, longer.latent_rms]).all()


def run(module: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", f"priors.learning.{module}", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


@pytest.mark.slow
def test_the_mixture_command_writes_a_prior_and_a_report(amass: Path, tmp_path: Path) -> None:
    out = tmp_path / "mixture.safetensors"
    ended = run("mixture", amass, "--out", out, "--components", 2, "--folds", FOLDS, "--passes", 5, "--per-second", 10)
    assert ended.returncode == 0, ended.stderr
    assert "recordings left out:" in ended.stderr and "skipped: " in ended.stderr and not ended.stdout
    assert GaussianMixturePose.read(out).weight.shape == (2,)
    data = out.read_bytes()
    words = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
    assert str(tmp_path) not in json.dumps(words) and json.loads(words["figures"])["recordings"] == 8
    again = run("mixture", amass, "--out", out, "--components", 3, "--folds", FOLDS, "--passes", 5, "--per-second", 10)
    assert again.returncode == 2 and "Give the options the learning was started with" in again.stderr


@pytest.mark.slow
def test_the_latent_command_goes_on_after_it_was_killed(amass: Path, tmp_path: Path) -> None:
    options = ["--latent", "3", "--width", "8", "--steps", "505", "--batch", "8", "--per-second", "10"]
    out = tmp_path / "latent.safetensors"
    command = [sys.executable, "-m", "priors.learning.latent", str(amass), "--out", str(out), *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        while not (tmp_path / "latent.safetensors.work" / "latent.pt").is_file() and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    assert not out.exists()
    ended = run("latent", amass, "--out", out, *options)
    assert ended.returncode == 0, ended.stderr
    assert len(LatentPose.read(out).encoder[-1].bias) == 3


@pytest.mark.parametrize("command", [mixture.main, latent.main])
def test_a_folder_without_motion_is_told(
    command: Callable[..., None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "foreign" / "shape.npz", betas=np.zeros(16))
    for folder, out, sentence in (
        ("none", "a.safetensors", "motion: expected a folder with AMASS's .npz files"),
        ("foreign", "b.safetensors", "got none of 1 in"),
        ("foreign", "absent/c.safetensors", "--out: expected a .safetensors file in a folder that exists"),
    ):
        with pytest.raises(typer.Exit) as ended:
            command(tmp_path / folder, out=tmp_path / out)
        assert ended.value.exit_code == 2 and sentence in capsys.readouterr().err


def test_one_recording_cannot_be_left_out(tmp_path: Path) -> None:
    write(tmp_path / "in" / "a.npz", poses=motion(0), mocap_framerate=10.0)
    poses = gather(tmp_path / "in", tmp_path / "work", per_second=10.0, folds=FOLDS)
    with pytest.raises(InputError, match="recordings in at least two folds"):
        learn(poses, Settings(), tmp_path / "a.pt")


def test_checkpoints_of_other_settings_and_damaged_ones_are_refused(amass: Path, tmp_path: Path) -> None:
    poses, settings = two_clusters(amass, tmp_path)
    path = tmp_path / "a.pt"
    learn(poses, settings, path)
    with pytest.raises(InputError, match="a checkpoint of Settings"):
        learn(poses, expectation_runs.Settings(components=3), path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match="a damaged file"):
        learn(poses, settings, path)
    buffer = io.BytesIO()
    torch.save([1, 2], buffer)
    path.write_bytes(buffer.getvalue())
    with pytest.raises(InputError, match="a damaged file"):
        learn(poses, settings, path)


def test_other_motion_or_other_options_do_not_go_on_from_this_one(amass: Path, tmp_path: Path) -> None:
    gathered(amass, tmp_path / "work")
    write(tmp_path / amass.name / "00_poses.npz", poses=motion(0), mocap_framerate=10.0)
    with pytest.raises(InputError, match="Were files added"):
        gathered(tmp_path / amass.name, tmp_path / "work")
    with pytest.raises(InputError, match="Remove the folder"):
        gather(amass, tmp_path / "work", per_second=5.0, folds=FOLDS)
