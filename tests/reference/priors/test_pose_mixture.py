"""The pose mixture against its formula: which component pulls and why, files in and out, bad ones refused."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from priors.mixture_file import write_mixture
from priors.mixture_pose import GaussianMixturePose
from priors.prior_file import TRUNK_AND_LIMBS
from refine.body import SkinnedBody, pose_body
from refine.body.keypoint_names import SMPL24
from refine.errors import InputError
from refine.geometry import rotation
from refine.solve.levenberg_marquardt import LevenbergMarquardt
from refine.state import State, Unknowns
from refine.terms import AnalyticTerm, Linearization
from tests.drawn_terms import mixture
from tests.reference.body import official_files as official
from tests.synthetic import random_body, random_state

EXACT = 1e-8
SMPL = replace(random_body(joints=24), joint_names=SMPL24)
TRUNK = replace(random_body(joints=22), joint_names=SMPL24[:22])
UNKNOWNS = Unknowns(joints=(0, 2, 4, 5, 12, 18, 20), shape=4, translation=3, focal=1)
WIDTH = 3 * len(TRUNK_AND_LIMBS)


def linearize(
    prior: GaussianMixturePose, state: State, body: SkinnedBody = TRUNK, unknowns: Unknowns = UNKNOWNS
) -> Linearization:
    return prior.linearize(state, pose_body(body, state.bodies), unknowns)


def cost(found: Linearization) -> torch.Tensor:
    assert found.constant is not None
    return 0.5 * found.residual.square().sum((1, 2)) + found.constant


def posed_at(theta: torch.Tensor, body: SkinnedBody = TRUNK) -> State:
    """Bodies whose joints behind the root are turned by theta (B, 63)."""
    state = random_state(body, len(theta))
    pose = torch.cat((state.bodies.pose[:, :1], rotation.exp(theta.unflatten(1, (-1, 3)))), 1)
    return replace(state, bodies=replace(state.bodies, pose=pose))


def test_the_cost_is_the_negative_log_density_of_the_likeliest_component() -> None:
    prior = mixture()
    theta = 0.5 * torch.randn(50, WIDTH, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    normal = [torch.distributions.MultivariateNormal(m, c) for m, c in zip(prior.mean, prior.covariance, strict=True)]
    density = torch.stack([each.log_prob(theta) for each in normal], 1) + prior.weight.log()
    density = density.amax(1)
    found = cost(linearize(prior, posed_at(theta)))
    difference = found + density  # the same constant for all poses: (2 pi) to the D / 2, and the least constant
    assert (difference - difference[0]).abs().max() < 1e-9 * density.abs().max()


def narrow_and_wide() -> GaussianMixturePose:
    """Both at rest: one of 0.1 rad, one of 1 rad."""
    covariance = torch.stack([sigma**2 * torch.eye(WIDTH, dtype=torch.float64) for sigma in (0.1, 1.0)])
    return GaussianMixturePose(
        torch.tensor([0.5, 0.5], dtype=torch.float64), torch.zeros(2, WIDTH, dtype=torch.float64), covariance
    )


def test_only_with_its_constant_is_the_right_component_chosen() -> None:
    """Near rest the narrow one is likelier, though every pose is nearer to the wide one in sigmas: 63 log 10 decide."""
    theta = torch.stack([torch.full((WIDTH,), each, dtype=torch.float64) for each in (0.1, 0.2, 0.3, 0.5)])
    found = linearize(narrow_and_wide(), posed_at(theta))
    narrow = found.constant == 0
    assert narrow.tolist() == [True, True, False, False]  # they are as likely at 0.2146 rad an axis
    assert found.residual[:, 0, 0].tolist() == pytest.approx([1.0, 2.0, 0.3, 0.5])
    assert (found.constant[2:] - WIDTH * math.log(10)).abs().max() < EXACT
    sigmas_from_wide = theta.norm(dim=1)  # its sigma is 1 rad
    assert (found.residual[narrow].norm(dim=(1, 2)) > sigmas_from_wide[narrow]).all(), "by distance alone: the wide one"


def test_the_cost_is_zero_at_the_likeliest_pose_and_nowhere_below() -> None:
    prior = GaussianMixturePose.shipped()
    states = [random_state(TRUNK, 20, seed=seed, angle=angle) for seed, angle in enumerate((0.01, 0.3, 2.0))]
    assert all((cost(linearize(prior, state)) >= 0).all() for state in states)
    best = cost(linearize(prior, posed_at(prior.mean)))
    assert best.amin() == pytest.approx(0.0, abs=1e-9)


def test_joints_a_body_lacks_are_marginalised_not_conditioned_on() -> None:
    whole = mixture(joints=23)
    cut = GaussianMixturePose(whole.weight, whole.mean[:, :WIDTH], whole.covariance[:, :WIDTH, :WIDTH])
    state = random_state(TRUNK, 5, seed=2)
    ours, theirs = linearize(whole, state), linearize(cut, state)
    assert (ours.residual - theirs.residual).abs().max() < EXACT
    assert (ours.jacobian - theirs.jacobian).abs().max() < EXACT
    assert torch.allclose(ours.constant, theirs.constant, atol=EXACT)


def test_fixed_joints_have_no_columns_but_count() -> None:
    state, prior = random_state(TRUNK, 3), mixture()
    none = Unknowns(joints=(), translation=3)
    found, free = linearize(prior, state, unknowns=none), linearize(prior, state)
    assert torch.equal(found.residual, free.residual) and found.jacobian.abs().max() == 0
    moved = state.bodies.pose.clone()
    moved[:, 7] = rotation.exp(torch.tensor([1.0, 0, 0], dtype=torch.float64))
    other = linearize(prior, replace(state, bodies=replace(state.bodies, pose=moved)), unknowns=none)
    assert (other.residual - found.residual).abs().max() > 1


def test_half_turns_are_safe() -> None:
    state = random_state(TRUNK, 2)
    pose = torch.diag(torch.tensor([-1.0, -1.0, 1.0], dtype=torch.float64)).expand_as(state.bodies.pose).clone()
    found = linearize(mixture(), replace(state, bodies=replace(state.bodies, pose=pose)))
    assert found.residual.isfinite().all() and found.jacobian.isfinite().all()


def test_a_wider_prior_has_smaller_residuals() -> None:
    state, prior = random_state(TRUNK, 2), mixture(components=1)
    assert torch.allclose(
        2 * linearize(replace(prior, sigma_scale=2.0), state).residual, linearize(prior, state).residual
    )


def test_a_solve_ends_at_a_mean() -> None:
    prior = mixture(components=1)
    free = Unknowns(joints=tuple(range(1, 22)), translation=0)
    solution = LevenbergMarquardt(steps=60).solve(TRUNK, random_state(TRUNK, 3, seed=4), [prior], free)
    turn = rotation.log(solution.state.bodies.pose[:, 1:]).flatten(1)
    assert (turn - prior.mean).abs().max() < 1e-3


def test_the_shipped_mixture_holds_ordinary_poses_and_not_impossible_ones(builtin_body: SkinnedBody) -> None:
    prior = GaussianMixturePose.shipped()
    assert isinstance(prior, AnalyticTerm)

    def at(**degrees: tuple[float, float, float]) -> float:
        bodies = builtin_body.rest_bodies(1)
        pose = bodies.pose.clone()
        for name, turn in {"left_shoulder": (0.0, 0.0, -70.0), "right_shoulder": (0.0, 0.0, 70.0), **degrees}.items():
            pose[0, builtin_body.joint_names.index(name)] = rotation.exp(torch.tensor(turn).deg2rad())
        state = State(replace(bodies, pose=pose), random_state(TRUNK, 1).to(dtype=torch.float32).camera)
        return float(cost(linearize(prior, state, builtin_body, Unknowns(joints=(1,)))))

    standing = at()
    seated = at(left_hip=(-85, 0, 0), right_hip=(-85, 0, 0), left_knee=(85, 0, 0), right_knee=(85, 0, 0))
    assert standing < 10 and seated < 30  # of 63 axes: wide, since three people were recorded
    assert at(left_knee=(-60, 0, 0)) > standing + 2
    assert at(left_elbow=(0, 90, 0)) > standing + 5
    assert at(head=(0, 0, 90)) > standing + 5


def test_a_file_comes_back_with_its_provenance(tmp_path: Path) -> None:
    written, path = mixture(), tmp_path / "mixture.safetensors"
    assert write_mixture(path, written.parts, {"trained_on": "numbers that were drawn"}) == path.stat().st_size
    read = GaussianMixturePose.read(path)
    assert torch.allclose(read.covariance, written.covariance, rtol=1e-6) and torch.allclose(read.mean, written.mean)
    data = path.read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
    assert header["trained_on"] == "numbers that were drawn" and json.loads(header["joint_names"])[0] == "left_hip"
    write_mixture(path, read.parts, {"trained_on": "numbers that were drawn"})
    again = path.read_bytes()
    write_mixture(path, GaussianMixturePose.read(path).parts, {"trained_on": "numbers that were drawn"})
    assert path.read_bytes() == again, "the same mixture is the same bytes"


def official_content(**other: Any) -> dict[str, Any]:
    whole = mixture(components=8, joints=23)
    content = {"means": whole.mean.numpy(), "covars": whole.covariance.numpy(), "weights": whole.weight.numpy()}
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(whole.covariance))
    return {**content, "precs": inverse.numpy(), **other}


@pytest.mark.parametrize("write", [official.write_pickle, official.write_python2_pickle])
def test_smplifys_file_is_read(write: Callable[[Path, object], Path], tmp_path: Path) -> None:
    read = GaussianMixturePose.read(write(tmp_path / "gmm_08.pkl", official_content()))
    assert read.joint_names == SMPL24[1:] and read.mean.shape == (8, 69)
    assert torch.equal(read.covariance, mixture(components=8, joints=23).covariance)
    state = random_state(TRUNK, 2)
    assert linearize(read, state).residual.shape == (2, 1, 63)
    assert linearize(read, random_state(SMPL, 2), SMPL).residual.shape == (2, 1, 69)


class Hostile:
    def __reduce__(self) -> tuple[Any, ...]:
        return (eval, ("1/0",))


def test_a_hostile_pickle_is_refused_and_not_run(tmp_path: Path) -> None:
    path = official.write_pickle(tmp_path / "gmm_08.pkl", official_content(means=Hostile()))
    with pytest.raises(InputError, match=r"builtins\.eval.*Nothing was run"):
        GaussianMixturePose.read(path)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        ({"means": np.zeros((8, 72)), "covars": np.zeros((8, 72, 72))}, "means: expected rows of 69 or 63 numbers"),
        ({"covars": np.zeros((8, 69, 69))}, "component 0, which is not positive definite"),
        ({"covars": np.zeros((8, 63, 63))}, r"covars: expected an array of shape \(8, 69, 69\)"),
        ({"weights": np.full(8, 0.5)}, "weight: expected shares that sum to 1, got a sum of 4"),
        ({"weights": np.full(7, 1 / 7)}, "weights: expected an array"),
        ({"weights": np.array([1.5, *[-0.5 / 7] * 7])}, "weight: expected values above zero"),
        ({"means": np.full((8, 69), np.nan)}, "means: expected finite values"),
    ],
)
def test_a_wrong_mixture_is_refused_with_a_sentence(other: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    path = official.write_pickle(tmp_path / "gmm.pkl", official_content(**other))
    with pytest.raises(InputError, match=sentence):
        GaussianMixturePose.read(path)


def test_rounded_weights_are_normalised() -> None:
    prior = mixture()
    rounded = replace(prior, weight=prior.weight * 1.0005)
    state = random_state(TRUNK, 2)
    assert torch.allclose(cost(linearize(rounded, state)), cost(linearize(prior, state)))


@pytest.mark.usefixtures("unchecked")
def test_other_mistakes_are_told(tmp_path: Path) -> None:
    prior = mixture()
    skew = prior.covariance.clone()
    skew[1, 0, 5] += 1
    with pytest.raises(InputError, match="component 1, which is not symmetric"):
        replace(prior, covariance=skew)
    with pytest.raises(InputError, match="joint_names: expected left_hip"):
        replace(prior, joint_names=prior.joint_names[::-1])
    with pytest.raises(InputError, match="mean: expected a tensor of shape"):
        replace(prior, joint_names=SMPL24[1:])
    with pytest.raises(InputError, match="sigma_scale: expected values above zero"):
        replace(prior, sigma_scale=0.0)
    with pytest.raises(InputError, match=r"a body with the joints left_hip.*Leave this prior out"):
        linearize(prior, random_state(TRUNK, 1), random_body(joints=22))
    with pytest.raises(InputError, match="no file at"):
        GaussianMixturePose.read(tmp_path / "none.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"12345678{")
    with pytest.raises(InputError, match="expected a safetensors file"):
        GaussianMixturePose.read(tmp_path / "broken.safetensors")
