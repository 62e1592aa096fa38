"""Image terms: silence without information, and the documented sigma of keypoints."""

import math
from dataclasses import dataclass

import jaxtyping
import pytest
import torch

from refine.body import PosedBody, pose_body
from refine.errors import InputError
from refine.geometry.camera import Camera
from refine.solve.autodiff import linearize
from refine.solve.levenberg_marquardt import LevenbergMarquardt
from refine.solve.normal_equations import normal_equations
from refine.state import State, Unknowns
from refine.terms import GemanMcClure, Huber, Kernel, LeastSquares, Term
from refine.terms.correspondences import Correspondences
from refine.terms.keypoints import DetectorNoise, Keypoints, keypoints_from_detections, keypoints_from_sigma
from refine.terms.points3d import Points3D
from refine.terms.reprojection import Reprojection
from refine.terms.whiten import isotropic
from tests.drawn_terms import image_terms
from tests.synthetic import random_body, random_state

BODY = random_body()
STATE = random_state(BODY, 2)
FIVE = BODY.keypoint_set("five")
UNKNOWNS = Unknowns((0, 2, 7), 3, 0, 3, 1)
EXACT = 1e-8


def test_zero_information_silences_a_match_even_with_a_target_that_is_not_a_number() -> None:
    sigma = torch.full((2, 5), math.inf, dtype=torch.float64)
    wild = torch.full((2, 5, 2), math.nan, dtype=torch.float64)
    linear = keypoints_from_sigma(FIVE, wild, sigma).linearize(STATE, pose_body(BODY, STATE.bodies), UNKNOWNS)
    assert (linear.residual == 0).all() and (linear.jacobian == 0).all()
    linear = Points3D(FIVE, torch.full((2, 5, 3), math.nan, dtype=torch.float64), sigma).linearize(
        STATE, pose_body(BODY, STATE.bodies), UNKNOWNS
    )
    assert (linear.residual == 0).all() and (linear.jacobian == 0).all()


@pytest.mark.parametrize("kernel", [LeastSquares(), Huber(1.3), GemanMcClure(2.5)], ids=["squares", "huber", "geman"])
def test_a_kernel_starts_as_squares_and_its_weight_is_its_slope(kernel: Kernel) -> None:
    squared = torch.logspace(-6, 4, 60, dtype=torch.float64).requires_grad_()
    rho = kernel.rho(squared)
    (slope,) = torch.autograd.grad(rho.sum(), squared)
    assert torch.allclose(slope, kernel.weight(squared), atol=1e-10)
    assert torch.allclose(rho[:5], squared[:5], rtol=1e-4)
    assert (kernel.weight(squared) <= 1).all() and (slope[1:] <= slope[:-1] + 1e-12).all()


def sigmas(
    names: tuple[str, ...], pixel: list[list[float]], confidence: list[float], area: float = 10_000.0
) -> torch.Tensor:
    pixels, scores = torch.tensor([pixel]), torch.tensor([confidence])
    return DetectorNoise().sigma_px(names, pixels, scores, torch.tensor([area]), torch.tensor([[480.0, 640.0]]))[0]


def test_sigma_grows_with_the_box_and_falls_with_confidence() -> None:
    names = ("left_elbow", "left_elbow", "left_hip", "left_wrist")
    inside = [[300.0, 200.0]] * 4
    sigma = sigmas(names, inside, [1.0, 0.5, 1.0, 1.0])
    assert sigma[0] == pytest.approx(100 * 0.25 * 0.072, rel=1e-5)
    assert sigma[1] == pytest.approx(2 * float(sigma[0]))
    assert sigma[2] > 2 * sigma[0]
    assert torch.allclose(sigmas(names, inside, [1.0] * 4, area=40_000.0), 2 * sigmas(names, inside, [1.0] * 4))


def test_points_at_the_border_or_without_confidence_carry_no_information() -> None:
    names = ("left_knee",) * 5
    pixel = [[320.0, 479.0], [320.0, 200.0], [5.0, 200.0], [636.0, 200.0], [-30.0, 200.0]]
    sigma = sigmas(names, pixel, [0.9, 0.0, 0.9, 0.9, 0.9])
    assert sigma.isinf().all()


def test_detections_of_nobody_are_silent_and_not_an_error() -> None:
    camera = Camera(torch.full((2, 2), 500.0), torch.full((2, 2), 250.0), torch.full((2, 2), 500.0))
    term = keypoints_from_detections(
        FIVE, torch.full((2, 5, 2), math.nan), torch.zeros(2, 5), camera, torch.full((2, 5, 2), 200.0)
    )
    assert (term.sqrt_information == 0).all() and term.target.isfinite().all()


@pytest.mark.parametrize("confidence", [-0.1, math.nan])
def test_a_confidence_that_is_none_is_refused(confidence: float) -> None:
    camera = Camera(torch.full((2, 2), 500.0), torch.full((2, 2), 250.0), torch.full((2, 2), 500.0))
    with pytest.raises(InputError, match="confidence"):
        keypoints_from_detections(
            FIVE, torch.full((2, 5, 2), 200.0), torch.full((2, 5), confidence), camera, torch.full((2, 5, 2), 200.0)
        )


@pytest.mark.parametrize("sigma", [0.0, -1.0])
def test_a_sigma_not_above_zero_is_refused(sigma: float) -> None:
    with pytest.raises(InputError, match=r"sigma_px: expected values above zero"):
        keypoints_from_sigma(FIVE, torch.zeros(2, 5, 2), torch.full((2, 5), sigma))
    with pytest.raises(InputError, match=r"sigma_m: expected values above zero"):
        Points3D(FIVE, torch.zeros(2, 5, 3), torch.full((2, 5), sigma))


def test_a_term_is_a_term() -> None:
    assert all(isinstance(term, Term) for term in image_terms(BODY, 2))
    assert isinstance(pose_body(BODY, STATE.bodies), PosedBody)
    assert isinstance(image_terms(BODY, 2)[1], Keypoints) and isotropic(torch.tensor([2.0]))[0, 0, 0] == 0.5


@dataclass(frozen=True)
class PlainReprojection:
    """The reprojection term without a Jacobian, as a user would first write it."""

    matches: Correspondences
    kernel: Kernel = GemanMcClure(10.0)

    def residual(self, state: State, posed: PosedBody) -> torch.Tensor:
        corner = posed.vertices[torch.arange(len(state))[:, None, None], posed.body.faces[self.matches.triangle]]
        pixel = state.camera.project((self.matches.barycentric[..., None] * corner).sum(2))
        return (self.matches.sqrt_information @ (pixel - self.matches.target)[..., None])[..., 0]


def test_a_term_that_gives_only_its_residual_gets_the_same_jacobian_by_forward_mode() -> None:
    matches = image_terms(BODY, 2)[0].matches
    posed = pose_body(BODY, STATE.bodies)
    with torch.no_grad():
        slow = linearize(PlainReprojection(matches), STATE, posed, UNKNOWNS)
    fast = linearize(Reprojection(matches), STATE, posed, UNKNOWNS)
    assert (slow.residual - fast.residual).abs().max() < EXACT
    assert (slow.jacobian - fast.jacobian).abs().max() < EXACT * float(fast.jacobian.abs().max())
    solution = LevenbergMarquardt(steps=3).solve(BODY, STATE, [PlainReprojection(matches)], UNKNOWNS)
    assert (solution.cost < solution.cost_before).all()


def test_one_persons_evidence_is_not_spread_over_others() -> None:
    matches = image_terms(BODY, 2)[0].matches
    own = Correspondences(
        matches.triangle[1:], matches.barycentric[1:], matches.target[1:], matches.sqrt_information[1:]
    )
    three = random_state(BODY, 3)
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        with pytest.raises(InputError, match="Reprojection"):
            normal_equations(BODY, three, [Reprojection(own)], UNKNOWNS)
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.parametrize("kernel", [Huber, GemanMcClure])
def test_a_kernel_without_width_is_refused(kernel: type) -> None:
    with pytest.raises(InputError, match="above zero"):
        kernel(0.0)
