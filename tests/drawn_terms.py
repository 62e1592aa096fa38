"""One of every term, drawn, with bodies at which it has something to say."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import scipy.spatial
import torch
from torch import Tensor

from priors import (
    BendingLimits,
    FixedShape,
    GaussianMixturePose,
    GaussianShape,
    GroundPlane,
    GroundPoints,
    HandPose,
    JointLimits,
    KnownMeasurements,
    LatentPose,
    NearEstimate,
    NearExpression,
    NearFocal,
    NearShape,
    NearTranslation,
    SelfPenetration,
)  # fmt: skip
from priors.known_measurements import DENSITY
from priors.layers import Layer
from priors.rest_measures import rest_measures
from refine.body import SkinnedBody, surface_points
from refine.body.keypoint_names import SMPL24, SMPLX55
from refine.geometry import rotation
from refine.geometry.camera import Camera
from refine.state import State, Unknowns
from refine.terms import AnalyticTerm, LeastSquares
from refine.terms.constants import ConstantPart, UnitConstants
from refine.terms.correspondences import Correspondences
from refine.terms.keypoints import keypoints_from_sigma
from refine.terms.points3d import Points3D
from refine.terms.reprojection import Reprojection
from refine.terms.surface3d import Surface3D
from tests.squeezed import squeezed
from tests.synthetic import random_body, random_state

COUNT, SHAPES, MATCHES, HIDDEN, LATENT = 3, 5, 8, 12, 4
LENS = (-0.25, 0.08, 0.002, -0.003, 0.01, 0.02, 0.01, 0.004, 0.001, 0.0005, -0.001, 0.0002, 0.02, -0.03)
"""Coefficients of OpenCV's whole model."""
RADII_M = (0.135, 0.85, 0.135)


def person_sized(vertices: int = 120) -> SkinnedBody:
    """A random body with SMPL-X's joint names, whose mesh is an egg as tall and as heavy as a person."""
    draw = torch.Generator().manual_seed(0)
    ball = torch.nn.functional.normalize(torch.randn(vertices, 3, generator=draw, dtype=torch.float64), dim=1)
    corner = torch.from_numpy(scipy.spatial.ConvexHull(ball.numpy()).simplices.astype(np.int64))
    outward = torch.linalg.det(ball[corner]) > 0
    faces = torch.where(outward[:, None], corner, corner.flip(1))
    body = random_body(joints=55, vertices=vertices, shapes=SHAPES)
    return replace(body, joint_names=SMPLX55, template=ball * ball.new_tensor(RADII_M), faces=faces)


PERSON = person_sized()
SMPL = replace(random_body(joints=24), joint_names=SMPL24)
FACED = random_body(expressions=6)
FINGERS = tuple(j for j, name in enumerate(SMPLX55) if name.endswith(("index1", "thumb2")))
UNKNOWNS = Unknowns(joints=(0, 2, 4, 5, 7, 12, 16, 18, 19, 20, *FINGERS), shape=4, translation=3, focal=1)
OPEN = replace(UNKNOWNS, constants=11)
POINTS = GroundPoints(torch.arange(0, 60, 5), torch.full((12, 3), 1 / 3, dtype=torch.float64), ("body",) * 12)


@dataclass(frozen=True)
class Situation:
    """A term, bodies it speaks of, and columns."""

    term: AnalyticTerm
    body: SkinnedBody = PERSON
    state: State | None = None
    unknowns: Unknowns = UNKNOWNS

    @property
    def bodies(self) -> State:
        """The bodies, drawn where none are given."""
        return self.state or random_state(self.body, COUNT, seed=1, angle=0.8)


def normal(*shape: int, seed: int = 3) -> Tensor:
    """Standard normal numbers in double precision."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def with_constants() -> State:
    """Bodies with eleven numbers that terms leave open."""
    return replace(random_state(PERSON, COUNT, seed=1, angle=0.8), constants=normal(COUNT, OPEN.constants))


def image_terms(body: SkinnedBody, count: int) -> tuple[Reprojection, AnalyticTerm, Points3D]:
    """Matches, keypoints of which one is not seen, and points in space."""
    triangle = torch.randint(0, len(body.faces), (count, MATCHES), generator=torch.Generator().manual_seed(3))
    barycentric = torch.full((count, MATCHES, 3), 1 / 3, dtype=torch.float64)
    root = torch.tensor([[0.5, 0.0], [0.2, 0.25]], dtype=torch.float64).repeat(count, MATCHES, 1, 1)
    pixel = 200 + 50 * normal(count, MATCHES, 2)
    sigma = torch.tensor([[3.0, 4.0, 5.0, math.inf, 2.0]], dtype=torch.float64).repeat(count, 1)
    five = body.keypoint_set("five")
    return (
        Reprojection(Correspondences(triangle, barycentric, pixel, root)),
        keypoints_from_sigma(five, pixel[:, :5], sigma),
        Points3D(five, normal(count, 5, 3), sigma / 100),
    )


def surface_term() -> Surface3D:
    """Points of the surface, pulled to planes."""
    triangle = torch.randint(len(PERSON.faces), (COUNT, 5), generator=torch.Generator().manual_seed(0))
    points = surface_points(PERSON, triangle, torch.full((COUNT, 5, 3), 1 / 3, dtype=torch.float64))
    return Surface3D(points, normal(COUNT, 5, 3), normal(COUNT, 5, 1, 3, seed=4), LeastSquares())


def mixture(components: int = 3, joints: int = 21, seed: int = 0) -> GaussianMixturePose:
    """Components of very different width and weight."""
    draw = torch.Generator().manual_seed(seed)
    width = 3 * joints
    factor = torch.randn(components, width, width, generator=draw, dtype=torch.float64) / math.sqrt(width)
    size = torch.linspace(0.1, 0.6, components, dtype=torch.float64)[:, None, None]
    covariance = size**2 * (factor @ factor.mT + 0.1 * torch.eye(width, dtype=torch.float64))
    weight = torch.linspace(1, 2, components, dtype=torch.float64)
    mean = 0.4 * torch.randn(components, width, generator=draw, dtype=torch.float64)
    return GaussianMixturePose(weight / weight.sum(), mean, covariance, SMPL24[1 : 1 + joints])


def latent(each: int = 9, seed: int = 0) -> LatentPose:
    """A drawn network from `each` numbers a joint."""
    draw = torch.Generator().manual_seed(seed)

    def layer(given: int, out: int, slope: float) -> Layer:
        weight = torch.randn(out, given, generator=draw, dtype=torch.float64) / given**0.5
        return Layer(weight, 0.1 * torch.randn(out, generator=draw, dtype=torch.float64), slope)

    encoder = layer(21 * each, HIDDEN, 0.2), layer(HIDDEN, HIDDEN, 0.2), layer(HIDDEN, LATENT, 1.0)
    decoder = layer(LATENT, HIDDEN, 0.2), layer(HIDDEN, HIDDEN, 0.2), layer(HIDDEN, 126, 1.0)
    return LatentPose(encoder, decoder, torch.linspace(0.1, 0.3, 21, dtype=torch.float64))


def ground() -> GroundPlane:
    """A plane some points are in contact with."""
    up = torch.nn.functional.normalize(random_state(PERSON, COUNT, seed=7).bodies.translation - 1.0, dim=1)
    contact = torch.zeros(COUNT, 12, dtype=torch.bool)
    contact[:, ::3] = True
    return GroundPlane(POINTS, up, -3.0 * up[:, 2], contact)


def measurements() -> KnownMeasurements:
    """What slightly other shapes measure; the second body's height and the third's weight are not known."""
    measures = rest_measures(PERSON)
    shape = 0.8 * random_state(PERSON, COUNT, seed=4).bodies.shape
    height, weight = measures.height(shape)[0], DENSITY * measures.volume(shape)[0]
    height[1], weight[2] = math.nan, math.nan
    return KnownMeasurements(PERSON, height, weight)


def penetrating(body: SkinnedBody) -> Situation:
    """People who lie in themselves."""
    double = body.to(dtype=torch.float64)
    free = Unknowns((0, 1, 9, 16, 17, 18), 3, min(2, double.expression_basis.shape[2]), translation=3, focal=1)
    return Situation(SelfPenetration(), double, squeezed(double, COUNT), free)


def turned_camera() -> Camera:
    """A camera that stands elsewhere, each body's in another place, with a lens that distorts."""
    turn, still = rotation.exp(0.15 * normal(COUNT, 3, seed=8)), random_state(PERSON, COUNT).camera
    world = torch.cat((turn, 0.2 * normal(COUNT, 3, 1, seed=9) + turn.new_tensor([[0.0], [0.0], [1.0]])), 2)
    return replace(still, camera_from_world=world, distortion=turn.new_tensor(LENS).expand(COUNT, -1))


def through_a_lens() -> State:
    """Bodies before a lens that distorts."""
    state = random_state(PERSON, COUNT, seed=1, angle=0.8)
    bent = replace(state.camera, distortion=state.camera.focal.new_tensor(LENS).expand(COUNT, -1))
    return replace(state, camera=bent)


NEAR = random_state(PERSON, COUNT, seed=5).bodies
PLAIN: dict[str, Callable[[], Situation]] = {
    "Reprojection": lambda: Situation(image_terms(PERSON, COUNT)[0]),
    "Keypoints": lambda: Situation(image_terms(PERSON, COUNT)[1]),
    "Keypoints: a camera of its own": lambda: Situation(
        replace(image_terms(PERSON, COUNT)[1], camera=turned_camera())  # type: ignore[type-var]
    ),
    "Reprojection: a camera of its own": lambda: Situation(
        replace(image_terms(PERSON, COUNT)[0], camera=turned_camera())
    ),
    "Keypoints: a lens that distorts": lambda: Situation(image_terms(PERSON, COUNT)[1], state=through_a_lens()),
    "Reprojection: a lens that distorts": lambda: Situation(image_terms(PERSON, COUNT)[0], state=through_a_lens()),
    "Keypoints: a constant part": lambda: Situation(
        replace(image_terms(PERSON, COUNT)[1], constant=ConstantPart(1, 5, 0.4)),
        PERSON,
        with_constants(),
        OPEN,  # type: ignore[type-var]
    ),
    "UnitConstants": lambda: Situation(UnitConstants(), PERSON, with_constants(), OPEN),
    "Points3D": lambda: Situation(image_terms(PERSON, COUNT)[2]),
    "Surface3D": lambda: Situation(surface_term()),
    "NearEstimate": lambda: Situation(NearEstimate(NEAR.pose)),
    "NearEstimate: sigmas of each body": lambda: Situation(NearEstimate(NEAR.pose, normal(COUNT, 55).abs() + 0.1)),
    "NearTranslation": lambda: Situation(NearTranslation(NEAR.translation)),
    "NearTranslation: in the world": lambda: Situation(
        NearTranslation(NEAR.translation), state=replace(through_a_lens(), camera=turned_camera())
    ),
    "NearShape": lambda: Situation(NearShape(NEAR.shape)),
    "NearFocal": lambda: Situation(NearFocal(torch.full((COUNT, 2), 400.0, dtype=torch.float64))),
    "NearExpression": lambda: Situation(
        NearExpression(normal(COUNT, 6), sigma=0.5), FACED, unknowns=Unknowns((0, 3), 2, 4)
    ),
    "GaussianShape": lambda: Situation(GaussianShape()),
    "GaussianShape: means": lambda: Situation(GaussianShape(sigma=0.5, mean=NEAR.shape)),
    "FixedShape": lambda: Situation(FixedShape(NEAR.shape[0], sigma=0.1)),
    "FixedShape: of each": lambda: Situation(FixedShape(NEAR.shape, sigma=0.1)),
    "KnownMeasurements": lambda: Situation(measurements()),
    "JointLimits": lambda: Situation(JointLimits()),
    "BendingLimits": lambda: Situation(BendingLimits()),
    "HandPose": lambda: Situation(HandPose()),
    "GroundPlane": lambda: Situation(ground()),
    "GaussianMixturePose": lambda: Situation(mixture()),
    "GaussianMixturePose: 23 joints": lambda: Situation(
        mixture(joints=23), SMPL, unknowns=Unknowns((0, 2, 4, 23), 4, focal=1)
    ),
    "GaussianMixturePose: of 23 joints 21": lambda: Situation(mixture(joints=23)),
    "LatentPose: axis-angles": lambda: Situation(latent(3)),
    "LatentPose: matrices": lambda: Situation(latent(9)),
}
"""By the term's class, and what is special about it: those that need no human body."""
