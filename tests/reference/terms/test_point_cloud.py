"""Clouds: nearest points, who is silent, and what is refused."""

import pytest
import torch

from refine.body import SkinnedBody, pose_body
from refine.body.nearest import coarse_surface, nearest_on_surface, on_triangle
from refine.errors import InputError
from refine.render import shade
from refine.solve.normal_equations import normal_equations
from refine.state import Unknowns
from refine.terms import LeastSquares
from refine.terms.clouds import found_normals, point_cloud
from refine.terms.point_cloud import Cloth
from tests.people import Case, case

MM = 1e-3


@pytest.fixture(scope="module")
def people(builtin_body: SkinnedBody) -> Case:
    return case(builtin_body, count=2, name="coco17", angle=0.1)


def skin(people: Case) -> torch.Tensor:
    return pose_body(people.true.body, people.true.bodies).vertices


def outward(people: Case) -> torch.Tensor:
    return shade.vertex_normals(skin(people), people.true.body.faces)


def test_the_nearest_point_of_a_triangle_is_that_of_many_tried() -> None:
    draw = torch.Generator().manual_seed(0)
    corner = torch.randn(50, 3, 3, generator=draw, dtype=torch.float64)
    query = 2 * torch.randn(50, 3, generator=draw, dtype=torch.float64)
    weights, squared = on_triangle(query, corner)
    assert (weights >= 0).all() and torch.allclose(weights.sum(1), torch.ones(50).double())
    tried = torch.distributions.Dirichlet(torch.ones(3, dtype=torch.float64)).sample((20_000,))
    apart = ((tried @ corner) - query[:, None]).square().sum(-1).amin(1)
    assert (squared <= apart + 1e-12).all() and (squared.sqrt() > apart.sqrt() - 0.1).all()


def test_on_the_body_the_coarse_surface_is_millimetres_off(people: Case) -> None:
    body = people.true.body
    surface, vertices = coarse_surface(body), skin(people)
    corners = vertices[:, surface.vertex]
    fingers = torch.tensor([n for n, name in enumerate(body.part_names) if "finger" in name or "eye" in name])
    chosen = (~torch.isin(body.vertex_parts, fingers)).nonzero()[:, 0][::17]
    triangle, weights = nearest_on_surface(surface, corners, vertices[:, chosen])
    rows = torch.arange(2)[:, None, None]
    found = (weights[..., None] * corners[rows, surface.faces[triangle]]).sum(2)
    off = (found - vertices[:, chosen]).norm(dim=2)
    assert off.mean() < 3.5 * MM and off.quantile(0.95) < 10 * MM


def test_a_body_lies_in_its_own_scan(people: Case) -> None:
    posed = pose_body(people.true.body, people.true.bodies)
    term = point_cloud(list(skin(people)), normals=list(outward(people)), joints=posed.joints, viewpoint=None)
    unknowns = Unknowns((0,), translation=3)
    there = term.linearize(people.true.state, posed, unknowns)
    assert (there.residual[..., 0] / term.root[:, None]).abs().mean() < 0.3  # of the term's centimetre
    moved = people.true.state.retract(unknowns, torch.tensor([[0.0, 0, 0, 0.03, 0, 0.02]]).expand(2, -1))
    here = term.linearize(moved, pose_body(people.true.body, moved.bodies), unknowns)
    assert (here.residual.square().sum((1, 2)) > 4 * there.residual.square().sum((1, 2))).all()


def test_a_view_says_nothing_of_the_side_it_does_not_show(people: Case) -> None:
    posed, body = pose_body(people.true.body, people.true.bodies), people.true.body
    ahead = [skin(people)[row][outward(people)[row, :, 2] < -0.3] for row in range(2)]
    term = point_cloud(ahead, joints=posed.joints, viewpoint=(0.0, 0.0, 0.0))
    linear = term.linearize(people.true.state, posed, Unknowns((0,)))
    surface = coarse_surface(body)
    normals = surface.normals(skin(people)[:, surface.vertex])[:, surface.sample]
    from_body = linear.residual[:, term.target.shape[1] :, 0] != 0
    assert not from_body[normals[..., 2] > 0.6].any() and from_body[normals[..., 2] < -0.6].double().mean() > 0.5


def test_cloth_lies_outside_the_skin_and_hardly_inside(people: Case) -> None:
    posed = pose_body(people.true.body, people.true.bodies)
    costs = {}
    for far in (-0.012, 0.0, 0.012, 0.024):
        cloud = list(skin(people) + far * outward(people))
        term = point_cloud(cloud, normals=list(outward(people)), joints=posed.joints, viewpoint=None, cloth=Cloth())
        linear = term.linearize(people.true.state, posed, Unknowns((0,)))
        costs[far] = float(linear.residual.square().sum())
    assert costs[0.012] < costs[0.024] < costs[-0.012] and costs[0.012] < costs[0.0]


def test_normals_are_those_of_the_surface_and_point_outward(people: Case) -> None:
    body = people.true.body
    inner = torch.tensor([n for n, name in enumerate(body.part_names) if name in ("head", "left_eye", "right_eye")])
    some = (~torch.isin(body.vertex_parts, inner)).nonzero()[:, 0]  # a mouth and eyes lie inside the skin
    points, right = skin(people)[0, some].double(), outward(people)[0, some].double()
    found = found_normals(points, None)
    cosine = (found * right).sum(1)
    assert (cosine.abs() > 0.7).double().mean() > 0.8 and (cosine > 0).double().mean() > 0.9
    front = found_normals(points, (0.0, 0.0, 0.0))
    assert ((front * -points).sum(1) >= 0).all()


def test_a_person_without_a_cloud_is_told_nothing(people: Case) -> None:
    posed = pose_body(people.true.body, people.true.bodies)
    wild = torch.full((500, 3), torch.nan)
    for nothing in (None, wild, torch.zeros(0, 3)):
        term = point_cloud([nothing, skin(people)[1]], joints=posed.joints)
        linear = term.linearize(people.true.state, posed, Unknowns((0,)))
        assert (linear.residual[0] == 0).all() and (linear.jacobian[0] == 0).all()
        assert (linear.residual[1] != 0).any() and linear.jacobian.isfinite().all()


def test_more_points_are_not_more_witnesses(people: Case) -> None:
    posed = pose_body(people.true.body, people.true.bodies)
    few, many = (
        point_cloud([skin(people)[0][::step], skin(people)[1][::step]], joints=posed.joints) for step in (8, 1)
    )
    unknowns = Unknowns((0,))
    one, other = (
        normal_equations(people.true.body, people.true.state, [term], unknowns).information.diagonal(dim1=1, dim2=2)
        for term in (few, many)
    )
    ratio = other.sum(1) / one.sum(1)
    assert (ratio < 2).all() and (ratio > 0.5).all()


def test_the_farthest_rows_do_not_count(people: Case) -> None:
    from dataclasses import replace

    posed = pose_body(people.true.body, people.true.bodies)
    cloud = skin(people).clone()
    cloud[:, ::20] += 0.2 * outward(people)[:, ::20]
    term = point_cloud(list(cloud), normals=list(outward(people)), joints=posed.joints, viewpoint=None)
    whole = replace(term, kept=1.0, kernel=LeastSquares())
    trimmed = replace(whole, kept=0.9)
    far, near = (
        each.linearize(people.true.state, posed, Unknowns((0,))).residual.abs().amax() for each in (whole, trimmed)
    )
    assert near < far


@pytest.mark.usefixtures("unchecked")
def test_clouds_that_are_none_are_refused(people: Case) -> None:
    joints = people.estimate.joints
    cloud = skin(people)[0]
    for wrong, message in (
        ([cloud * 1000, None], "millimetres"), ([cloud + 5.0, None], "another frame"), ([cloud[:, :2], None], "N, 3"),
        ([], "one a body"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=message):
            point_cloud(wrong, joints=joints)
    with pytest.raises(InputError, match="Divide millimetres"):
        point_cloud([cloud * 1000, None])
    with pytest.raises(InputError, match="one a point"):
        point_cloud([cloud, None], normals=[cloud[:5], None], joints=joints)
    with pytest.raises(InputError, match="sigma_m"):
        point_cloud([cloud, None], joints=joints, sigma_m=0.0)
    with pytest.raises(InputError, match="alike_m"):
        point_cloud([cloud, None], joints=joints, alike_m=0.0)
    with pytest.raises(InputError, match="cloth"):
        Cloth(0.0)


def test_a_million_points_are_thinned_out(people: Case) -> None:
    draw = torch.Generator().manual_seed(0)
    cloud = skin(people)[0][torch.randint(0, 13_000, (1_000_000,), generator=draw)]
    term = point_cloud([cloud, None], joints=people.true.joints)
    assert term.target.shape[1] <= 256 and term.dense.shape[1] <= 2048
