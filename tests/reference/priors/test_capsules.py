"""Capsules of a body against the mesh they were fitted to, closest points against a grid."""

import gc
import weakref
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from priors.capsule_pairs import closest, overlap, pairs_of
from priors.capsules import Capsules, _carriers, _distance, _vertex_areas, fit_capsules
from refine.body import SkinnedBody, pose_body
from refine.body.load import load_body
from tests.human_models import human_model
from tests.reference.body.official_files import write_npz

GRID = 201
PARTS = 18


@pytest.fixture(scope="module")
def body(builtin_body: SkinnedBody) -> SkinnedBody:
    return builtin_body.to(dtype=torch.float64)


@pytest.fixture(scope="module")
def smplx(builtin_body: SkinnedBody, tmp_path_factory: pytest.TempPathFactory) -> SkinnedBody:
    path = tmp_path_factory.mktemp("smplx") / "SMPLX_NEUTRAL.npz"
    write_npz(path, human_model("smplx", builtin_body, shapes=20))
    found = load_body(path).to(dtype=torch.float64)
    path.unlink()
    return found


def drawn_capsules(count: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Pairs of capsules, half of them deep in each other."""
    draw = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=draw, dtype=torch.float64)

    radii = 0.02 + 0.1 * torch.rand(2, 1, count, 2, generator=draw, dtype=torch.float64)
    return 0.2 * normal(1, count, 2, 3), radii[0], 0.2 * normal(1, count, 2, 3), radii[1]


def on_a_grid(first: Tensor, first_radius: Tensor, second: Tensor, second_radius: Tensor) -> Tensor:
    """The largest overlap over a grid of both axes."""
    share = torch.linspace(0, 1, GRID, dtype=first.dtype)

    def spread(ends: Tensor) -> Tensor:
        return torch.lerp(ends[0, :, :1], ends[0, :, 1:], share.reshape(1, -1, *[1] * (ends.dim() - 3)))

    reach = spread(first_radius)[:, :, None] + spread(second_radius)[:, None]
    return (reach - torch.cdist(spread(first), spread(second))).amax((1, 2))


def test_two_tapered_capsules_are_closest_where_a_grid_says() -> None:
    pair = drawn_capsules(300)
    found, wanted = overlap(*pair)[0], on_a_grid(*pair)
    assert (found - wanted).min() > -1e-6, "no point of the grid overlaps more"
    assert (found - wanted).max() < 1e-2, "and the grid is nearly as good"
    share = torch.cat(closest(*pair))
    assert 0.1 < ((share > 0) & (share < 1)).double().mean() < 0.9, "the test must meet insides and ends"


@pytest.mark.parametrize("kind", ["parallel", "in line", "balls", "a ball", "crossing", "the same"])
def test_degenerate_capsules_have_the_overlap_a_grid_says(kind: str) -> None:
    first, first_radius, second, second_radius = drawn_capsules(20, seed=1)
    if kind == "parallel":
        second = first + torch.tensor([0.1, 0.05, 0.0], dtype=torch.float64)
    if kind == "in line":
        second = first + 1.5 * (first[:, :, 1:] - first[:, :, :1])
    if kind in ("balls", "a ball"):
        first = first[:, :, :1].expand(-1, -1, 2, -1)
    if kind == "balls":
        second = second[:, :, :1].expand(-1, -1, 2, -1)
    if kind == "crossing":
        second = second - second.mean(2, keepdim=True) + first.mean(2, keepdim=True)
    if kind == "the same":
        second, second_radius = first, first_radius
    if kind in ("balls", "a ball"):
        first_radius = first_radius[..., :1].expand(-1, -1, 2)
    if kind == "balls":
        second_radius = second_radius[..., :1].expand(-1, -1, 2)
    pair = first, first_radius, second, second_radius
    found = overlap(*pair)[0]
    assert found.isfinite().all()
    assert ((found - on_a_grid(*pair)) > -1e-6).all() and ((found - on_a_grid(*pair)) < 1e-2).all()


def test_the_capsules_are_as_large_as_the_parts(body: SkinnedBody) -> None:
    capsules = fit_capsules(body)
    assert len(capsules.names) == PARTS
    assert (capsules.radius > 0.02).all() and (capsules.radius < 0.15).all()
    assert (capsules.error_m < 0.02).all() and capsules.error_m.median() < 0.012
    by_name = dict(zip(capsules.names, capsules.radius, strict=True))
    for limb in ("left_shoulder", "left_elbow", "left_hip", "left_knee"):
        assert by_name[limb].max() > 1.3 * by_name[limb].min(), f"the {limb}'s limb tapers"


def test_left_and_right_are_alike(body: SkinnedBody) -> None:
    capsules = fit_capsules(body)
    for part, name in enumerate(capsules.names):
        if name.startswith("left_"):
            other = capsules.names.index(name.replace("left_", "right_"))
            assert (capsules.radius[part].sort().values - capsules.radius[other].sort().values).abs().max() < 1e-3


def misfit(body: SkinnedBody, shape: Tensor, capsules: Capsules) -> Tensor:
    """Root mean square distance (C,) m of each part's vertices from its capsule, for a shape (S,) at rest."""
    bodies = replace(body.rest_bodies(1), shape=shape[None])
    posed = pose_body(body, bodies)
    ends, radius = capsules.placed(posed)
    owner = torch.tensor(_carriers(body))[body.dense_weights.argmax(1)]
    weight = _vertex_areas(posed.vertices[0], body.faces)
    found = []
    for part, joint in enumerate(capsules.joint.tolist()):
        mine = owner == joint
        distance, _, _ = _distance(posed.vertices[0, mine], torch.cat((ends[0, part].flatten(), radius[0, part])))
        found.append((weight[mine] @ distance.square() / weight[mine].sum()).sqrt())
    return torch.stack(found)


@pytest.mark.parametrize("coefficient", range(4))
@pytest.mark.parametrize("amount", [-2.0, 2.0])
def test_the_capsules_follow_the_shape_as_well_as_a_new_fit_would(
    body: SkinnedBody, coefficient: int, amount: float
) -> None:
    capsules = fit_capsules(body)
    shape = body.rest_bodies(1).shape[0]
    shape[coefficient] = amount
    joints = body.joint_template + body.joint_basis @ shape
    grown = fit_capsules(replace(body, template=body.template + body.shape_basis @ shape, joint_template=joints))
    followed = misfit(body, shape, capsules)
    still = replace(capsules, radius_basis=0 * capsules.radius_basis, offset_basis=0 * capsules.offset_basis)
    assert (followed - grown.error_m).max() < 0.003
    assert followed.mean() < misfit(body, shape, still).mean()


def test_official_layouts_have_the_built_in_bodys_pairs(body: SkinnedBody, smplx: SkinnedBody) -> None:
    """The stand-in has the built-in body's points, no surface worth the name: areas, and so radii, differ a little."""
    ours, theirs = set(pairs_of(body).names), set(pairs_of(smplx).names)
    assert len(ours & theirs) > 0.9 * len(ours | theirs)
    assert pairs_of(smplx).capsules.names == pairs_of(body).capsules.names


def test_capsules_are_found_once_per_body_and_go_with_it(builtin_body: SkinnedBody) -> None:
    another = replace(builtin_body, name="another")
    found = pairs_of(another)
    assert pairs_of(another) is found
    seen = weakref.ref(found)
    del found, another
    gc.collect()
    assert seen() is None
