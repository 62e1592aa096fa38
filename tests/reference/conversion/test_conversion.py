"""Conversion between body models: exact on our own mesh, millimetres on others, whatever stands beside in the batch."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from scipy.spatial.transform import Rotation

import refine
from refine.body import SkinnedBody, pose_body, surface_points
from refine.errors import InputError
from refine.estimate import Estimate, Source
from refine.evaluate.people import people
from refine.geometry import rotation
from refine.geometry.surface import closest_on_triangles, nearest_on_surface
from refine.solve.autodiff import linearize
from refine.state import Bodies, State, Unknowns
from refine.terms import LeastSquares
from refine.terms.surface3d import Surface3D
from refine.transfer import on_body
from refine.transfer.surface.closed_form import rotation_between
from tests.human_models import human_model
from tests.people import camera, case
from tests.reference.body.official_files import write_npz
from tests.stranger import stranger_mesh

EXACT_MM = 0.01
SURFACE_MM = 15.0


def both_ways(points: torch.Tensor, vertices: torch.Tensor, faces: torch.Tensor) -> tuple[float, float]:
    """Mean distance (mm) of another mesh's vertices from ours, and of our vertices from the other's nearest vertex."""
    there = nearest_on_surface(points, vertices, faces).distance_m.mean()
    back = torch.cdist(vertices[torch.unique(faces)][::7], points).amin(1).mean()
    return 1e3 * float(there), 1e3 * float(back)


def test_points_are_turned_onto_others_as_scipy_turns_them() -> None:
    draw = torch.Generator().manual_seed(0)
    one = torch.randn(5, 8, 3, generator=draw, dtype=torch.float64)
    turn = rotation.exp(torch.randn(5, 3, generator=draw, dtype=torch.float64))
    other = one @ turn.mT + 0.05 * torch.randn(5, 8, 3, generator=draw, dtype=torch.float64)
    found = rotation_between(one, other, turn)
    for row in range(5):
        wanted, _ = Rotation.align_vectors(other[row].numpy(), one[row].numpy())
        angle = rotation.log(found[row].mT @ torch.from_numpy(wanted.as_matrix())).norm()
        assert float(angle) < 5e-3  # the tie pulls a little


def test_points_on_a_line_leave_the_twist_to_the_fallback() -> None:
    one = torch.tensor([[[1.0, 0, 0], [2.0, 0, 0]]])
    fallback = rotation.exp(torch.tensor([[0.4, 0.0, 0.0]]))
    found = rotation_between(one, one, fallback)
    assert torch.allclose(found, fallback, atol=1e-4)


def test_the_nearest_point_of_a_triangle_is_the_best_of_many() -> None:
    draw = torch.Generator().manual_seed(1)
    corners, point = torch.randn(40, 3, 3, generator=draw), torch.randn(40, 3, generator=draw)
    found = closest_on_triangles(point, corners)
    assert bool((found >= 0).all()) and torch.allclose(found.sum(1), torch.ones(40), atol=1e-5)
    away = ((found[:, None] @ corners)[:, 0] - point).norm(dim=1)
    tried = torch.rand(4000, 3, generator=draw)
    tried = tried / tried.sum(1, keepdim=True)
    best = ((tried @ corners) - point[:, None]).norm(dim=2).amin(1)
    assert bool((away <= best + 1e-6).all())


def test_some_vertices_are_those_of_the_whole_mesh(builtin_body: SkinnedBody) -> None:
    posed = pose_body(builtin_body, people(builtin_body, 2).bodies)
    chosen = torch.tensor([3, 13717, 200])
    assert torch.allclose(posed.vertices_at(chosen), posed.vertices[:, chosen], atol=2e-6)


def test_the_surface_terms_jacobian_is_autograds(builtin_body: SkinnedBody) -> None:
    body, draw = builtin_body.to(dtype=torch.float64), torch.Generator().manual_seed(0)
    bodies = people(builtin_body, 2).bodies.to(dtype=torch.float64)
    triangle = torch.randint(len(body.faces), (2, 5), generator=draw)
    points = surface_points(body, triangle, torch.full((2, 5, 3), 1 / 3, dtype=torch.float64))
    rows = torch.randn(2, 5, 1, 3, generator=draw, dtype=torch.float64)
    term = Surface3D(points, torch.randn(2, 5, 3, generator=draw, dtype=torch.float64), rows, LeastSquares())
    state, unknowns = State(bodies, camera(2).to(dtype=torch.float64)), Unknowns((0, 4, 16), shape=3)
    found = term.linearize(state, pose_body(body, bodies), unknowns)

    class Plain:
        kernel = LeastSquares()

        def residual(self, state: State, posed: object) -> torch.Tensor:
            corners = pose_body(body, state.bodies).vertices[torch.arange(2)[:, None, None], body.faces[triangle]]
            return (rows @ (corners.mean(2) - term.target)[..., None])[..., 0]

    wanted = linearize(Plain(), state, pose_body(body, bodies), unknowns)
    assert torch.allclose(found.residual, wanted.residual, atol=1e-10)
    assert torch.allclose(found.jacobian, wanted.jacobian, atol=1e-8)


def test_our_own_vertices_are_found_again_to_a_hundredth_of_a_millimetre(builtin_body: SkinnedBody) -> None:
    true = people(builtin_body, 3).bodies
    far = replace(true, translation=true.translation + torch.tensor([1.0, -2.0, 50.0]))
    vertices = pose_body(builtin_body, far).vertices
    done = refine.convert(vertices, builtin_body)
    assert float(done.distance_m.max()) * 1e3 < EXACT_MM
    again = pose_body(builtin_body, done.bodies).vertices
    assert float((again - vertices).norm(dim=-1).mean()) * 1e3 < EXACT_MM + 1e-2  # float32 at 50 m is 0.004 mm
    assert torch.allclose(done.bodies.shape, true.shape, atol=0.02)


def test_a_mesh_of_another_topology_is_met_to_millimetres_both_ways(builtin_body: SkinnedBody) -> None:
    true = people(builtin_body, 3).bodies
    posed = pose_body(builtin_body, true)
    mesh = stranger_mesh(builtin_body, true)
    done = refine.convert(mesh, joints=posed.joints)
    surface = pose_body(builtin_body, done.bodies).vertices
    for row in range(3):
        there, back = both_ways(mesh[row], surface[row], builtin_body.faces)
        assert there < 6 and back < 15, (there, back)
        assert abs(there - 1e3 * float(done.distance_m[row])) < 1.5  # what is reported is what is


def test_bodies_of_a_batch_share_what_corresponds_and_little_else(builtin_body: SkinnedBody) -> None:
    true = people(builtin_body, 3).bodies
    mesh, joints = stranger_mesh(builtin_body, true), pose_body(builtin_body, true).joints
    together, alone = refine.convert(mesh, joints=joints), refine.convert(mesh[1:2], joints=joints[1:2])
    one, other = (pose_body(builtin_body, done.bodies).vertices for done in (together, alone))
    assert float((one[1] - other[0]).norm(dim=-1).mean()) < 0.010  # along the surface, mostly
    assert abs(float(together.distance_m[1] - alone.distance_m[0])) < 0.001


@pytest.mark.parametrize(("folder", "name"), [("romp_photo", "romp_output.npz"), ("bev_pair", "image_1_0.08.npz")])
def test_real_smpl_bodies_are_met_by_the_built_in_surface(
    folder: str, name: str, real_data: Callable[[str], Path], builtin_body: SkinnedBody
) -> None:
    estimate = refine.read(real_data(folder) / name)
    assert estimate.source.vertices is not None
    done = refine.convert(estimate, builtin_body)
    surface = pose_body(builtin_body, done.bodies).vertices
    for row in range(len(done)):
        there, back = both_ways(estimate.source.vertices[row], surface[row], builtin_body.faces)
        assert there < SURFACE_MM and back < SURFACE_MM, (there, back)
        was, _ = both_ways(estimate.source.vertices[row], estimate.vertices[row], builtin_body.faces)
        assert there < was
    assert done.estimate is not None and done.estimate.source is estimate.source


def test_joints_alone_place_a_body(builtin_body: SkinnedBody) -> None:
    true = people(builtin_body, 3).bodies
    joints = pose_body(builtin_body, true).joints
    done = refine.convert(joints)
    assert float((pose_body(builtin_body, done.bodies).joints - joints).norm(dim=-1).mean()) < 0.012
    assert torch.allclose(done.scale, torch.ones(3))


def test_a_child_is_a_smaller_scene(builtin_body: SkinnedBody) -> None:
    true = people(builtin_body, 1).bodies
    mesh, joints = 0.4 * stranger_mesh(builtin_body, true), 0.4 * pose_body(builtin_body, true).joints
    done = refine.convert(mesh, joints=joints)
    assert float(done.scale) < 0.7 and any("a child's size" in note for note in done.notes)
    there, _ = both_ways(mesh[0], pose_body(builtin_body, done.bodies).vertices[0] * done.scale, builtin_body.faces)
    assert there < 5


@pytest.fixture(scope="module")
def models(builtin_body: SkinnedBody, tmp_path_factory: pytest.TempPathFactory) -> dict[str, SkinnedBody]:
    from refine.body.load import load_body

    folder = tmp_path_factory.mktemp("models")
    found = {}
    for model in ("smpl", "smplh", "smplx"):
        path = write_npz(folder / f"{model.upper()}_NEUTRAL.npz", human_model(model, builtin_body, 10))
        found[model] = load_body(path)
    return found


def told(body: SkinnedBody, vertices: bool) -> Estimate:
    """People of a model as a regressor tells of them, with its vertices or without."""
    true = case(body, count=2, angle=0.0).true
    bodies = true.bodies
    posed = pose_body(body, bodies)
    source = Source(
        "memory", body.model, bodies.pose, bodies.shape, bodies.expression, bodies.translation, posed.joints,
        posed.vertices if vertices else None, hand_mean="flat",
    )  # fmt: skip
    return replace(true, source=source)


@pytest.mark.parametrize("vertices", [True, False])
def test_smpl_and_smplh_share_a_mesh(models: dict[str, SkinnedBody], vertices: bool) -> None:
    for one, other in (("smpl", "smplh"), ("smplh", "smpl")):
        estimate = told(models[one], vertices)
        done = refine.convert(estimate, models[other])
        wanted = pose_body(models[one], estimate.bodies).vertices
        apart = 1e3 * (pose_body(models[other], done.bodies).vertices - wanted).norm(dim=-1).mean(1)
        copied = 1e3 * (on_body(estimate, models[other]).vertices - wanted).norm(dim=-1).mean(1)
        assert (
            bool((apart < copied).all()) and float(apart.max()) < 9
        )  # drawn correctives: noise of 2 mm a joint and vertex
        assert torch.allclose(1e3 * done.distance_m, apart, atol=0.1)


def test_official_models_and_ours_are_converted_into_each_other(
    models: dict[str, SkinnedBody], builtin_body: SkinnedBody
) -> None:
    for model in ("smpl", "smplx"):
        there = refine.convert(told(models[model], vertices=True), builtin_body)
        assert float(there.distance_m.max()) * 1e3 < SURFACE_MM
        assert there.estimate is not None
        back = refine.convert(there.estimate, models[model])
        assert back.body.model == model and bool(back.bodies.pose.isfinite().all())
        apart = (back.estimate.joints - told(models[model], vertices=True).joints)[:, :22] if back.estimate else None
        assert apart is not None and float(apart.norm(dim=-1).mean()) < 0.03


def test_an_estimate_stays_what_it_is_on_its_own_model(models: dict[str, SkinnedBody]) -> None:
    estimate = told(models["smpl"], vertices=True)
    done = refine.convert(estimate, models["smpl"])
    assert done.bodies is estimate.bodies and float(done.distance_m.max()) < 1e-5  # float32 at 5 m


def test_what_was_refined_is_converted_and_not_what_was_stored(
    models: dict[str, SkinnedBody], builtin_body: SkinnedBody
) -> None:
    first = refine.convert(told(models["smpl"], vertices=True), builtin_body).estimate
    assert first is not None
    bodies = Bodies(
        first.bodies.pose,
        first.bodies.shape,
        first.bodies.expression,
        first.bodies.translation + torch.tensor([0.5, 0, 0]),
    )
    moved = replace(first, state=State(bodies, first.camera))
    done = refine.convert(moved, models["smplx"])
    assert done.estimate is not None
    apart = done.estimate.joints[:, 0] - moved.joints[:, 0]
    assert float(apart.norm(dim=1).max()) < 0.03


@pytest.mark.parametrize("count", [77, 6890, 18439])
def test_a_mesh_nobody_knows_asks_for_its_joints(count: int) -> None:
    with pytest.raises(InputError, match="joints"):
        refine.convert(torch.randn(1, count, 3))


@pytest.mark.parametrize("source", [torch.zeros(3, 3), torch.zeros(0, 24, 3), torch.full((1, 24, 3), torch.nan)])
def test_what_cannot_be_converted_is_refused(source: torch.Tensor, unchecked: None) -> None:
    with pytest.raises(InputError):
        refine.convert(source)
