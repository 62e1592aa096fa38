"""The latent pose prior against its formula: VPoser's layouts against torch's own layers, files, bad ones refused."""

import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from priors.latent_file import VPOSER_SIGMA_RAD, write_latent
from priors.latent_pose import LatentPose
from priors.six_numbers import rotation_of
from refine.body import SkinnedBody, pose_body
from refine.body.keypoint_names import SMPL24
from refine.errors import InputError
from refine.geometry import rotation
from refine.solve.levenberg_marquardt import LevenbergMarquardt
from refine.state import State, Unknowns
from refine.terms import AnalyticTerm, Linearization
from tests.drawn_terms import latent as prior
from tests.reference.priors.vposer_layouts import LATENT, NEURONS, First, Second
from tests.synthetic import random_body, random_state

EXACT = 1e-8
SINGLE = 1e-5
SMPL = replace(random_body(joints=24), joint_names=SMPL24)
UNKNOWNS = Unknowns(joints=(0, 2, 4, 5, 12, 18, 20, 23), shape=4, translation=3, focal=1)


def linearize(term: LatentPose, state: State, body: SkinnedBody = SMPL, unknowns: Unknowns = UNKNOWNS) -> Linearization:
    return term.linearize(state, pose_body(body, state.bodies), unknowns)


def test_six_numbers_turn_as_their_derivative_says() -> None:
    six = torch.randn(20, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    turned, turn = rotation_of(six)
    assert (turned.mT @ turned - torch.eye(3)).abs().max() < 1e-12 and (turned.det() > 0).all()
    h = 1e-6
    for column, direction in enumerate(torch.eye(6, dtype=torch.float64)):
        ahead, behind = (rotation_of(six + sign * h * direction)[0] for sign in (1, -1))
        slope = rotation.log(behind.mT @ ahead) / (2 * h)
        assert (slope - turn[..., column]).abs().max() < 1e-6 * max(1.0, float(turn.abs().max()))


def test_zeros_of_a_network_give_finite_numbers() -> None:
    turned, turn = rotation_of(torch.zeros(1, 6))
    assert turned.isfinite().all() and turn.isfinite().all()


def test_fixed_joints_have_no_columns_but_count() -> None:
    state, term = random_state(SMPL, 3), prior()
    found = linearize(term, state, unknowns=Unknowns(joints=(), translation=3))
    assert torch.equal(found.residual, linearize(term, state).residual) and found.jacobian.abs().max() == 0


def expected(network: Any, state: State, each: int) -> torch.Tensor:
    """The residual by torch's own layers, in single precision."""
    local = state.bodies.pose[:, 1:22].float()
    network.eval()
    with torch.no_grad():
        latent = network.mean((local if each == 9 else rotation.log(local)).flatten(1))
        columns = network.six(latent).reshape(-1, 21, 3, 2)
    first = nn.functional.normalize(columns[..., 0], dim=-1)
    second = columns[..., 1] - (first * columns[..., 1]).sum(-1, keepdim=True) * first
    second = nn.functional.normalize(second, dim=-1)
    unfolded = torch.stack((first, second, torch.linalg.cross(first, second)), -1)
    away = rotation.log(unfolded.mT @ local) / VPOSER_SIGMA_RAD
    return torch.cat((latent, away.flatten(1)), 1)


@pytest.mark.parametrize("each", [3, 9])
@pytest.mark.parametrize("legacy", [False, True])
def test_vposer_1_is_read(each: int, legacy: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network, state = First(each), random_state(SMPL, 4)
    (tmp_path / "snapshots").mkdir()
    path = tmp_path / "snapshots" / "TR00_E096.pt"
    torch.save(network.state_dict(), path, _use_new_zipfile_serialization=not legacy)
    for given in (path, tmp_path, str(path.parent)):
        found = linearize(LatentPose.read(given), state).residual[:, 0].float()
        assert (found - expected(network, state, each)).abs().max() < 10 * SINGLE / VPOSER_SIGMA_RAD


class EarlyStopping:
    """Lightning before 1.5 keeps its classes as keys of a checkpoint."""


class Options(dict[str, Any]):
    """And its options as a dictionary of its own."""


def lightning(network: nn.Module, **other: Any) -> dict[str, Any]:
    weights = {f"vp_model.{key}": value for key, value in network.state_dict().items()}
    return {"epoch": 13, "state_dict": weights, "optimizer_states": [], "bm_train.faces": torch.zeros(3), **other}


@pytest.mark.parametrize(
    "other", [{}, {"callbacks": {EarlyStopping: {"best": torch.tensor(0.03)}}, "hyper_parameters": Options(width=512)}]
)
def test_vposer_2_is_read_whatever_its_trainer_kept(other: dict[str, Any], tmp_path: Path) -> None:
    torch.manual_seed(1)
    network, old, state = Second(), Second(), random_state(SMPL, 4)
    (tmp_path / "snapshots").mkdir()
    torch.save(lightning(network, **other), tmp_path / "snapshots" / "V02_05_epoch=13_val_loss=0.03.ckpt")
    torch.save(lightning(old, **other), tmp_path / "snapshots" / "V02_05_epoch=08_val_loss=0.03.ckpt")
    found = linearize(LatentPose.read(tmp_path), state).residual[:, 0].float()
    assert (found - expected(network, state, 3)).abs().max() < 10 * SINGLE / VPOSER_SIGMA_RAD


class Hostile:
    ran = False

    def __reduce__(self) -> tuple[Any, ...]:
        return (setattr, (Hostile, "ran", True))


def test_nothing_in_a_checkpoint_is_run(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    torch.save(lightning(Second(), callbacks=Hostile()), path)
    LatentPose.read(path)  # its tensors are fine
    assert not Hostile.ran


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("bodyprior_enc_bn2.running_var", None, r"bodyprior_enc_bn2\.running_var: .*no such tensor"),
        ("bodyprior_dec_fc2.weight", None, r"bodyprior_dec_fc2\.weight: .*no such tensor"),
        (
            "bodyprior_enc_mu.weight",
            torch.zeros(LATENT, NEURONS + 1),
            r"bodyprior_enc_mu\.weight: .*got shape \(8, 25\)",
        ),
        ("bodyprior_dec_out.weight", torch.full((126, NEURONS), torch.nan), "dec_out.weight: expected finite values"),
        ("bodyprior_enc_bn1.running_var", -torch.ones(63), "running_var: expected variances"),
    ],
)
def test_a_wrong_tensor_is_named(key: str, value: torch.Tensor | None, sentence: str, tmp_path: Path) -> None:
    state = dict(First(3).state_dict())
    if value is None:
        del state[key]
    else:
        state[key] = value
    torch.save(state, tmp_path / "last.pt")
    with pytest.raises(InputError, match=sentence):
        LatentPose.read(tmp_path / "last.pt")


@pytest.mark.usefixtures("unchecked")
def test_networks_of_other_models_are_refused(tmp_path: Path) -> None:
    state = dict(First(3).state_dict())
    state["bodyprior_dec_out.weight"], state["bodyprior_dec_out.bias"] = torch.zeros(90, NEURONS), torch.zeros(90)
    torch.save(state, tmp_path / "hand.pt")
    with pytest.raises(InputError, match=r"hand\.pt: decoder: expected .* to 126 .*got one from 8 to 90"):
        LatentPose.read(tmp_path / "hand.pt")
    torch.save({"fc.weight": torch.zeros(3)}, tmp_path / "other.pt")
    with pytest.raises(InputError, match="expected a checkpoint of VPoser v1"):
        LatentPose.read(tmp_path / "other.pt")
    with pytest.raises(InputError, match=r"a body with the joints left_hip.*Leave this prior out"):
        linearize(prior(), random_state(SMPL, 1), random_body(joints=24))
    with pytest.raises(InputError, match="sigma_rad: expected values above zero"):
        replace(prior(), sigma_rad=torch.zeros(21))
    with pytest.raises(InputError, match="encoder, layer 1: weight: expected a tensor of shape"):
        replace(prior(), encoder=prior().encoder[:1] * 2)


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no file or folder at"):
        LatentPose.read(tmp_path / "none")
    with pytest.raises(InputError, match="a folder without any"):
        LatentPose.read(tmp_path)
    whole = tmp_path / "whole.ckpt"
    torch.save(lightning(Second(), callbacks=EarlyStopping()), whole)
    for name, data in (("cut.ckpt", whole.read_bytes()[:2000]), ("text.pt", b"no checkpoint"), ("empty.pt", b"")):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match=f"{name}: expected a checkpoint of torch"):
            LatentPose.read(tmp_path / name)
    with zipfile.ZipFile(tmp_path / "zip.pt", "w") as archive:
        archive.writestr("a.txt", "")
    with pytest.raises(InputError, match=r"zip\.pt: expected a checkpoint of torch"):
        LatentPose.read(tmp_path / "zip.pt")


def test_a_file_comes_back_in_half_precision(tmp_path: Path) -> None:
    written, path, state = prior(), tmp_path / "latent.safetensors", random_state(SMPL, 3)
    assert write_latent(path, written.parts, {"licence": "none"}) == path.stat().st_size
    found = linearize(LatentPose.read(path), state).residual
    assert (found - linearize(written, state).residual).abs().max() < 0.1
    data = path.read_bytes()
    assert json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]["licence"] == "none"


def test_the_shipped_network_pulls_disturbed_poses_back(builtin_body: SkinnedBody) -> None:
    from refine.evaluate.people import poses

    term = LatentPose.shipped()
    assert isinstance(term, AnalyticTerm)
    recorded = rotation.exp(poses()[:32].float())
    bodies = builtin_body.rest_bodies(len(recorded))
    pose = bodies.pose.clone()
    pose[:, : recorded.shape[1]] = recorded
    noise = torch.randn(*pose[:, 1:22].shape[:2], 3, generator=torch.Generator().manual_seed(0))
    disturbed = pose.clone()
    disturbed[:, 1:22] = disturbed[:, 1:22] @ rotation.exp(0.3 * noise)
    camera = random_state(SMPL, len(pose)).to(dtype=torch.float32).camera
    states = [State(replace(bodies, pose=each), camera) for each in (pose, disturbed)]
    free = Unknowns(joints=tuple(range(1, 22)), translation=0)
    costs = [0.5 * linearize(term, state, builtin_body, free).residual.square().sum((1, 2)) for state in states]
    assert (costs[1] > costs[0]).float().mean() > 0.9
    solution = LevenbergMarquardt(steps=10).solve(builtin_body, states[1], [term], free)
    assert (solution.cost < solution.cost_before).all()
