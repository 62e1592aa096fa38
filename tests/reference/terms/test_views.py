"""Terms with a camera of their own: a body seen by two calibrated cameras."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from refine import batch
from refine.body import KeypointSet, SkinnedBody, pose_body
from refine.errors import InputError
from refine.geometry import rotation
from refine.geometry.camera import Camera
from refine.solve import Solution
from refine.solve.levenberg_marquardt import LevenbergMarquardt
from refine.state import State, Unknowns
from refine.terms import LeastSquares, Term
from refine.terms.correspondences import Correspondences
from refine.terms.keypoints import Keypoints, keypoints_from_sigma
from refine.terms.reprojection import Reprojection
from refine.terms.whiten import isotropic
from tests.drawn_terms import COUNT, PERSON, UNKNOWNS, image_terms, turned_camera
from tests.synthetic import random_state

LIMBS = (0, 1, 2, 4, 5, 16, 17, 18, 19)
"""Pelvis, hips, knees, shoulders and elbows of SMPL's first 22 joints."""
SHAPES = 4
FREE = Unknowns(joints=LIMBS, shape=SHAPES, translation=3)
"""34 numbers: the 32 of sixteen marks in one camera do not determine them, the 64 of two do."""
AT = (0, 0, 4, 4, 5, 5, 7, 8, 16, 17, 18, 19, 20, 20, 21, 21)
"""The joint each mark is near."""
EXACT_MM, APART_MM = 0.1, 5.0
LENS = (-0.3, 0.12, 0.002, -0.001, -0.02)


def marks(body: SkinnedBody) -> KeypointSet:
    """Triangles of the surface about the limbs' joints."""
    corner = body.template[body.faces].mean(1)  # (F, 3) m
    aside = 0.07 * torch.randn(len(AT), 3, generator=torch.Generator().manual_seed(0)).to(corner)
    triangle = torch.cdist(body.joint_template[list(AT)] + aside, corner).argmin(1)
    names, weights = tuple(f"mark {n}" for n in range(len(AT))), corner.new_zeros(len(AT), len(body.joint_names))
    return KeypointSet(names, weights, triangle, corner.new_full((len(AT), 3), 1 / 3))


def cameras(count: int) -> tuple[Camera, Camera]:
    """One in front, with a lens that distorts, and one from the left, both in a world that is neither's."""
    double = torch.float64
    size = torch.tensor([[480.0, 640.0]], dtype=double).expand(count, 2)
    still = Camera(torch.full((count, 2), 520.0, dtype=double), size.flip(-1) / 2, size)

    def looking(yaw: float, pitch: float) -> Tensor:
        turn = rotation.exp(torch.tensor([pitch, 0.0, 0.0], dtype=double)) @ rotation.exp(
            torch.tensor([0.0, yaw, 0.0], dtype=double)
        )
        there = torch.tensor([0.0, 0.0, 4.0], dtype=double) - turn @ torch.tensor([1.0, -0.5, 2.0], dtype=double)
        return torch.cat((turn, there[:, None]), 1).expand(count, 3, 4)

    front = replace(
        still, camera_from_world=looking(0.3, 0.1), distortion=still.focal.new_tensor(LENS).expand(count, -1)
    )
    return front, replace(still, camera_from_world=looking(-1.1, 0.2))


def person(body: SkinnedBody, count: int) -> tuple[State, State]:
    """People in the middle of that world, and estimates of them."""
    draw = torch.Generator().manual_seed(3)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=draw, dtype=torch.float64)

    rest, place = body.rest_bodies(count), torch.tensor([1.0, -0.4, 2.0], dtype=torch.float64)
    turn = torch.zeros(count, len(body.joint_names), 3, dtype=torch.float64)
    turn[:, 1:22] = 0.2 * normal(count, 21, 3)
    pose = rest.pose @ rotation.exp(turn)
    pose[:, 0] = rotation.exp(torch.tensor([torch.pi, 0.0, 0.0], dtype=torch.float64))
    true = replace(rest, pose=pose, shape=0.5 * normal(*rest.shape.shape), translation=place.expand(count, 3))
    step = torch.zeros(count, FREE.size, dtype=torch.float64)
    step[:, FREE.pose_columns] = 0.2 * normal(count, 3 * len(LIMBS))
    step[:, FREE.shape_columns] = 0.3 * normal(count, SHAPES)
    step[:, FREE.translation_columns] = 0.05 * normal(count, 3)
    state = State(true, cameras(count)[0])
    return state, state.retract(FREE, step)


def solved(body: SkinnedBody, start: State, terms: list[Term]) -> Solution:
    return LevenbergMarquardt(steps=100, cost_tolerance=0.0).solve(body, start, terms, FREE)


def apart_mm(body: SkinnedBody, one: State, other: State) -> Tensor:
    """Largest distance (B,) of a vertex."""
    vertices = (pose_body(body, each.bodies).vertices for each in (one, other))
    first, second = vertices
    return 1000 * (first - second).norm(dim=-1).amax(1)


@pytest.fixture(scope="module")
def body(builtin_body: SkinnedBody) -> SkinnedBody:
    return builtin_body.to(dtype=torch.float64)


def test_two_calibrated_cameras_determine_a_body_that_one_does_not(body: SkinnedBody) -> None:
    true, start = person(body, 2)
    points, both = marks(body), cameras(2)
    there = pose_body(body, true.bodies).keypoints(points)
    sigma = torch.ones(2, len(points.names), dtype=torch.float64)
    terms = [keypoints_from_sigma(points, each.project(there), sigma, each) for each in both]
    terms = [replace(term, kernel=LeastSquares()) for term in terms]
    assert (apart_mm(body, start, true) > 50).all()
    assert (apart_mm(body, solved(body, start, list(terms)).state, true) < EXACT_MM).all()
    for one in terms:
        alone = solved(body, start, [one])
        assert (alone.cost < 1e-6).all() and (apart_mm(body, alone.state, true) > APART_MM).all()


def test_the_bodies_camera_and_a_terms_own_are_the_same_to_it(body: SkinnedBody) -> None:
    true, start = person(body, 2)
    points, (front, _) = marks(body), cameras(2)
    pixel = front.project(pose_body(body, true.bodies).keypoints(points))
    sigma = torch.ones(2, len(points.names), dtype=torch.float64)
    own, shared = keypoints_from_sigma(points, pixel, sigma, front), keypoints_from_sigma(points, pixel, sigma)
    posed = pose_body(body, start.bodies)
    one, other = (term.linearize(start, posed, FREE) for term in (own, shared))
    assert torch.equal(one.residual, other.residual) and torch.equal(one.jacobian, other.jacobian)


@pytest.mark.parametrize("which", [0, 1], ids=["Reprojection", "Keypoints"])
def test_a_free_focal_length_is_the_bodies_cameras(which: int) -> None:
    state = random_state(PERSON, COUNT, seed=1, angle=0.8)
    shared = image_terms(PERSON, COUNT)[which]
    own = replace(shared, camera=turned_camera())  # type: ignore[type-var]
    posed = pose_body(PERSON, state.bodies)
    column = UNKNOWNS.focal_column
    assert shared.linearize(state, posed, UNKNOWNS).jacobian[..., column].abs().max() > 1
    assert not own.linearize(state, posed, UNKNOWNS).jacobian[..., column].any()
    longer = replace(state, camera=replace(state.camera, focal=2 * state.camera.focal))
    first, second = (own.linearize(each, posed, UNKNOWNS).residual for each in (state, longer))
    assert torch.equal(first, second)


def test_rows_of_a_term_keep_the_rows_of_its_camera() -> None:
    first = replace(image_terms(PERSON, COUNT)[1], camera=turned_camera())  # type: ignore[type-var]
    assert isinstance(first, Keypoints) and first.camera is not None and first.camera.distortion is not None
    some, chosen = batch.rows(first, [2, 0]).camera, first.camera[[2, 0]]
    for part in ("focal", "camera_from_world", "distortion"):
        assert torch.equal(getattr(some, part), getattr(chosen, part))
    other = replace(first, camera=replace(first.camera, focal=2 * first.camera.focal))
    take = torch.tensor([True, False, True])
    mixed = batch.where(take, other, first).camera
    assert mixed is not None and torch.equal(
        mixed.focal[:, 0] / first.camera.focal[:, 0], torch.where(take, 2.0, 1.0).double()
    )
    with pytest.raises(InputError, match="camera"):
        batch.where(take, first, replace(first, camera=None))


def test_a_camera_of_other_rows_is_refused() -> None:
    pixel, root = torch.zeros(2, 5, 2), isotropic(torch.ones(2, 5))
    points, one = PERSON.keypoint_set("five"), turned_camera()
    with pytest.raises(InputError, match="camera"):
        Keypoints(points, pixel, root, camera=one)
    matches = Correspondences(torch.zeros(2, 5, dtype=torch.long), torch.full((2, 5, 3), 1 / 3), pixel, root)
    with pytest.raises(InputError, match="camera"):
        Reprojection(matches, camera=one)
