"""`refine harm`: drawn estimates, and a regressor's own ones with their truths."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from refine.body import SkinnedBody
from refine.body.smpl_joints import BODY_JOINTS
from refine.commands.cli import app
from refine.errors import InputError
from refine.evaluate.disturbance import as_estimate, disturb
from refine.evaluate.errors import errors_of
from refine.evaluate.harm.own import Pairs, own_scenes, pairs_of, read_pairs
from refine.evaluate.people import people
from refine.geometry import rotation
from refine.state import State

COUNT = 3
RAD = 0.25
"""By how much the made regressor bends every left elbow too far."""
ROUND_TRIP_RAD = 1e-4
"""Single precision through a file and a change of body model."""


def write(path: Path, state: State) -> None:
    """Write bodies as a file of SMPL-X parameters, one photo, without shape."""
    turns = rotation.log(state.bodies.pose[:, :BODY_JOINTS]).numpy()
    camera = state.camera
    np.savez(
        path, global_orient=turns[:, 0], body_pose=turns[:, 1:].reshape(len(turns), -1),
        betas=np.zeros((len(turns), 10), np.float32),
        transl=state.bodies.translation.numpy(), focal=camera.focal[0].numpy(), center=camera.center[0].numpy(),
        size=camera.size[0].numpy(),
        model="smplx",
    )  # fmt: skip


@pytest.fixture
def own(builtin_body: SkinnedBody, tmp_path: Path) -> tuple[Path, Path]:
    """Folders of one file of three people each: estimates with a systematic error, and truths."""
    true = people(builtin_body, COUNT)
    elbow = builtin_body.joint_names.index("left_elbow")
    wrong = true.bodies.pose.clone()
    wrong[:, elbow] = wrong[:, elbow] @ rotation.exp(torch.tensor([0.0, RAD, 0.0]))
    estimates, truths = tmp_path / "estimates", tmp_path / "truths"
    for folder, pose in ((estimates, wrong), (truths, true.bodies.pose)):
        folder.mkdir()
        write(folder / "photo.npz", State(type(true.bodies)(pose, *list(vars(true.bodies).values())[1:]), true.camera))
    return estimates, truths


def test_one_command_prints_the_table(tmp_path: Path) -> None:
    file = tmp_path / "harm.json"
    done = CliRunner().invoke(app, ["harm", "near.clean.keypoints", "--bodies", "2", "--json", str(file)])
    assert done.exit_code == 0, done.output
    assert "| near.clean.keypoints | ours | 2 |" in done.stdout and "| ours, no gate |" in done.stdout
    assert done.stdout.startswith("| cell |") and "hardware" in done.stderr
    assert json.loads(file.read_text())["set"] == "report"


def test_own_errors_are_measured_and_refined(own: tuple[Path, Path]) -> None:
    estimates, truths = own
    call = [
        "harm",
        "own.clean.keypoints",
        "own.other.keypoints",
        "--estimates",
        str(estimates),
        "--truths",
        str(truths),
    ]
    done = CliRunner().invoke(app, call)
    assert done.exit_code == 0, done.output
    assert f"| own.clean.keypoints | ours | {COUNT} |" in done.stdout
    assert f"| own.other.keypoints | ours, no gate | {COUNT} |" in done.stdout


def test_a_regressors_own_error_reaches_the_benchmark_unchanged(own: tuple[Path, Path]) -> None:
    pairs = read_pairs(*own)
    apart = rotation.log(pairs.true.bodies.pose.mT @ pairs.estimate.bodies.pose)
    elbow = pairs.body.joint_names.index("left_elbow")
    wanted = torch.zeros_like(apart)
    wanted[:, elbow, 1] = RAD
    torch.testing.assert_close(apart[:, :BODY_JOINTS], wanted[:, :BODY_JOINTS], rtol=0, atol=ROUND_TRIP_RAD)
    (scene,) = own_scenes(pairs)(COUNT, 50)
    case = scene.case("own")
    assert float(errors_of(pairs.body, case.estimate.state, case.true).mpjpe.min()) > 1.0
    assert float(errors_of(pairs.body, scene.other, case.true).mpjpe.min()) > 20.0


def test_batches_of_own_people_are_parts_of_the_whole(builtin_body: SkinnedBody) -> None:
    true = people(builtin_body, 5)
    pairs = Pairs(builtin_body, true, disturb(builtin_body, true, "strong", range(5)))
    whole, parts = own_scenes(pairs)(5, 5)[0], own_scenes(pairs)(5, 2)
    assert [len(part) for part in parts] == [2, 2, 1]
    joined = torch.cat([part.other.bodies.pose for part in parts])
    torch.testing.assert_close(joined, whole.other.bodies.pose, rtol=0, atol=0)
    assert [part.seed for part in parts] == [whole.seed, whole.seed + 2, whole.seed + 4]


def test_pairs_that_do_not_go_together_are_refused(
    builtin_body: SkinnedBody, own: tuple[Path, Path], tmp_path: Path
) -> None:
    true = people(builtin_body, 3)
    estimate = as_estimate(builtin_body, true)
    with pytest.raises(InputError, match="as many as truths"):
        pairs_of(estimate.rows([0, 1]), estimate)
    larger = State(true.bodies, type(true.camera)(true.camera.focal, true.camera.center, 2 * true.camera.size))
    with pytest.raises(InputError, match="same photo"):
        Pairs(builtin_body, true, larger)
    (own[1] / "photo.npz").rename(own[1] / "other.npz")
    with pytest.raises(InputError, match="one side only: other, photo"):
        read_pairs(*own)
    with pytest.raises(InputError, match="a folder for a folder"):
        read_pairs(own[0], own[1] / "other.npz")
    with pytest.raises(InputError, match="nothing at"):
        read_pairs(tmp_path / "nowhere", own[1])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--estimates", "x"], "estimates and truths together"),
        (["--set", "mine"], "one of tune, report"),
        (["--against", "nobody"], "some of SPIN-SMPLify"),
        (["best.clean.both"], "weak, medium"),
    ],
)
def test_a_wrong_call_is_said_in_one_sentence(arguments: list[str], sentence: str) -> None:
    done = CliRunner().invoke(app, ["harm", *arguments])
    assert done.exit_code == 2
    assert sentence in done.stderr.replace("\n", " ")
