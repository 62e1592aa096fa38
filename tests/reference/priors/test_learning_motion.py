"""Accelerations measured on motion whose accelerations are known."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import typer

from priors.learning import motion
from priors.learning.motion_files import stored_motion
from priors.motion_file import read_motion_table

FRAMES, RATE, DEGREES = 4000, 60.0, 3.0
TURN, MOVE = 4.0, 1.5
"""rad/s² and m/s² per axis at every frame."""


def recorded(path: Path, people: int = 2) -> Path:
    """Motion in which one joint trembles and the translation's accelerations are Student's t.

    The second difference of white noise has six times its variance; small rotations add up like vectors.
    """
    draw = np.random.default_rng(0)
    heavy = draw.standard_normal((people * FRAMES, 3)) / np.sqrt(
        draw.chisquare(DEGREES, (people * FRAMES, 1)) / DEGREES
    )
    speed = (MOVE / RATE * heavy).reshape(people, FRAMES, 3).cumsum(1)
    place = (speed / RATE).cumsum(1).reshape(-1, 3)
    pose = np.zeros((people * FRAMES, 22, 3))
    pose[:, 4] = TURN / (6**0.5 * RATE**2) * draw.standard_normal((people * FRAMES, 3))
    np.savez(
        path, pose=pose, translation=place, sequence=np.repeat(np.arange(people), FRAMES), fps=RATE,
        names=np.array([f"{n:02}_01" for n in range(people)]),
    )  # fmt: skip
    return path


def test_sigma_and_tail_are_found_again(tmp_path: Path) -> None:
    out = tmp_path / "motion.safetensors"
    motion.main(recorded(tmp_path / "made.npz"), out, licence="of the test")
    found = read_motion_table(out)
    first = float(found.interval_s[0])
    assert first == pytest.approx(1 / RATE, rel=1e-6)
    assert found.joint_names == ("left_knee",)  # nothing else moves
    assert float(found.sigma[0, -1]) == pytest.approx(MOVE, rel=0.05)
    assert abs(float(found.degrees[0, -1]) - DEGREES) <= 1.0
    assert float(found.sigma[0, 0]) == pytest.approx(TURN, rel=0.05)
    assert float(found.degrees[0, 0]) >= 30  # a Gaussian
    data = out.read_bytes()
    words = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
    assert words["licence"] == "of the test" and json.loads(words["figures"])["gain_nats_at_0.017_s"] > 0


def test_a_turn_by_nearly_pi_is_no_acceleration(tmp_path: Path) -> None:
    (first, *_) = stored_motion(recorded(tmp_path / "made.npz"), "made")
    pose = first.pose.copy()
    pose[100:, 4 * 3] += 3.0
    broken = type(first)(first.name, first.rate, pose, first.translation)
    (found,) = motion.accelerations(broken, 1)
    assert found[:, 4].isnan().all(1).nonzero()[:, 0].tolist() == [98, 99]
    assert torch.isfinite(found[:, -1]).all()


def test_motion_that_says_nothing_of_where_people_are_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = tmp_path / "poses.npz"
    np.savez(path, poses=np.zeros((100, 66)), mocap_framerate=60.0)
    with pytest.raises(typer.Exit):
        motion.main(path, tmp_path / "motion.safetensors")
    assert "translation" in capsys.readouterr().err
