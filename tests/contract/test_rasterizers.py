"""What every rasteriser that is found must do; one whose package is not installed is skipped with a reason."""

import pytest
import torch
from torch import Tensor

from refine.body import SkinnedBody
from refine.errors import MissingExtra
from refine.geometry.camera import NEAR_M, Camera
from refine.render import Rasterizer
from refine.render.plain import PlainRasterizer
from refine.render.rasterize import by_name, names, rasterize
from tests.meshes import blob, camera_of, rectangle

AGREEMENT = 0.999
"""Share of foreground pixels in which a rasteriser must name the same triangle as the plain one."""

QUAD = torch.tensor([[0, 1, 2], [0, 2, 3]])


@pytest.fixture(params=names())
def rasterizer(request: pytest.FixtureRequest) -> Rasterizer:
    try:
        return by_name(request.param)
    except MissingExtra as absent:
        pytest.skip(str(absent))


def every_triangle_against_every_pixel(vertices: Tensor, faces: Tensor, camera: Camera, height: int, width: int):
    """The exhaustive answer, by solving b0 v0 + b1 v1 + b2 v2 = t d for each pair: ids (H, W) of one body."""
    corners = vertices.double()[faces].mT  # (F, 3, 3), a corner a column
    column, row = torch.arange(width) + 0.5, torch.arange(height) + 0.5
    x, y = (column - camera.center[0, 0]) / camera.focal[0, 0], (row - camera.center[0, 1]) / camera.focal[0, 1]
    rays = torch.stack((x.expand(height, -1), y[:, None].expand(-1, width), torch.ones(height, width)), -1).double()
    solved = torch.linalg.solve_ex(corners[:, None], rays.reshape(1, -1, 3, 1)).result[..., 0]  # b / t, (F, H W, 3)
    depth = 1 / solved.sum(-1)
    hit = ((solved * depth[..., None]) >= 0).all(-1) & (depth >= NEAR_M)
    nearest, triangle = torch.where(hit, depth, torch.inf).min(0)
    return torch.where(nearest.isfinite(), triangle, -1).reshape(height, width)


def assert_agree(ids: Tensor, expected: Tensor) -> None:
    foreground = (expected >= 0) | (ids >= 0)
    assert foreground.sum() > 100
    assert (ids == expected)[foreground].float().mean() >= AGREEMENT


def test_it_satisfies_the_protocol(rasterizer: Rasterizer):
    assert isinstance(rasterizer, Rasterizer)


@pytest.mark.parametrize(
    ("height", "width", "focal", "center"),
    [
        (20, 20, (100.0, 100.0), (10.0, 10.0)),
        (16, 40, (90.0, 90.0), (20.0, 8.0)),
        (40, 16, (90.0, 90.0), (8.0, 20.0)),
        (24, 36, (80.0, 130.0), (3.0, 30.0)),
        (30, 20, (150.0, 70.0), (-25.0, 11.0)),
    ],
)
def test_a_rectangle_covers_the_pixels_whose_centres_it_covers(rasterizer: Rasterizer, height, width, focal, center):
    # Edges a little off the centres at x.5: 2.45 takes column 2 in, 9.45 leaves column 9 out.
    camera = camera_of(height, width, focal, center)
    vertices = rectangle(2.45, 3.55, 9.45, 12.55, 2.0, camera)[None]
    fragments = rasterize(rasterizer, vertices, QUAD, camera, height, width)
    expected = torch.zeros(height, width, dtype=torch.bool)
    expected[4:13, 2:9] = True
    assert ((fragments.triangle[0] >= 0) == expected).all()
    assert fragments.triangle.dtype == torch.int64
    assert torch.allclose(fragments.depth[0][expected], torch.tensor(2.0), atol=1e-6)
    assert fragments.depth[0][~expected].isinf().all()
    assert (fragments.barycentric[0][~expected] == 0).all()
    # The surface point each pixel sees is projected back onto that pixel's centre.
    point = (fragments.barycentric[0][expected][..., None] * vertices[0, QUAD[fragments.triangle[0][expected]]]).sum(1)
    row, column = expected.nonzero(as_tuple=True)
    assert torch.allclose(camera.project(point[None])[0], torch.stack((column, row), 1) + 0.5, atol=1e-4)


def test_both_sides_of_a_triangle_are_seen(rasterizer: Rasterizer):
    camera = camera_of(12, 12)
    vertices = rectangle(2.3, 2.4, 9.3, 9.4, 1.0, camera)[None]
    front = rasterizer.triangles(vertices, QUAD, camera, 12, 12)
    back = rasterizer.triangles(vertices, QUAD.flip(1), camera, 12, 12)
    assert (front >= 0).sum() == 49
    assert (front == back).all()


def test_the_nearer_triangle_hides_the_farther_whatever_their_order(rasterizer: Rasterizer):
    camera = camera_of(16, 16)
    near, far = rectangle(2.3, 2.4, 8.3, 8.4, 1.0, camera), rectangle(4.3, 4.4, 13.3, 13.4, 1.5, camera)
    for first, second, ids in ((near, far, (0, 1)), (far, near, (2, 3))):
        triangle = rasterizer.triangles(torch.cat((first, second))[None], torch.cat((QUAD, QUAD + 4)), camera, 16, 16)
        seen = (triangle[0, 4:8, 4:8, None] == torch.tensor(ids)).any(-1)
        assert seen.all()
        assert (triangle >= 0).sum() == 36 + 81 - 16


def test_of_the_same_triangle_twice_the_first_is_seen(rasterizer: Rasterizer):
    camera = camera_of(12, 12)
    vertices = rectangle(2.3, 2.4, 9.3, 9.4, 1.0, camera)[None]
    triangle = rasterizer.triangles(vertices, torch.cat((QUAD, QUAD)), camera, 12, 12)
    assert triangle.max() == 1


def test_a_wall_through_the_camera_is_cut_at_the_near_plane(rasterizer: Rasterizer):
    # A wall 0.1 m to the right of the camera reaches from 1 m behind it to 3.9 m before it. The pixel with slope s sees
    # it at the
    # depth 0.1 / s: at the right border of this image 0.1 m, inside it up to 3.9 m.
    camera = camera_of(40, 40, focal=(20.0, 20.0))
    vertices = torch.tensor([[[0.1, -9, -1], [0.1, -9, 3.9], [0.1, 9, 3.9], [0.1, 9, -1]]])
    fragments = rasterize(rasterizer, vertices, QUAD, camera, 40, 40)
    slope = (torch.arange(40) + 0.5 - 20) / 20
    depth = (0.1 / slope).expand(40, 40)
    expected = (slope > 0).expand(40, 40) & (depth <= 3.9)
    assert ((fragments.triangle[0] >= 0) == expected).all()
    assert torch.allclose(fragments.depth[0][expected], depth[expected], rtol=1e-4)


def test_what_lies_before_the_near_plane_is_not_seen(rasterizer: Rasterizer):
    # The same wall 0.02 m away: pixels with a slope above 0.4 would see it nearer than the near plane at 0.05 m.
    camera = camera_of(40, 40, focal=(20.0, 20.0))
    vertices = torch.tensor([[[0.02, -9, -1], [0.02, -9, 4.0], [0.02, 9, 4.0], [0.02, 9, -1]]])
    triangle = rasterizer.triangles(vertices, QUAD, camera, 40, 40)
    slope = (torch.arange(40) + 0.5 - 20) / 20
    assert ((triangle[0] >= 0) == ((slope > 0) & (0.02 / slope > NEAR_M)).expand(40, 40)).all()


def test_what_lies_behind_the_camera_is_not_seen(rasterizer: Rasterizer):
    vertices, faces = blob(0)
    behind = vertices - torch.tensor([0.0, 0.0, 3.0])
    assert (rasterizer.triangles(behind[None], faces, camera_of(24, 24), 24, 24) == -1).all()


@pytest.mark.parametrize("distance", [2.0, 0.35, 0.1, 0.0], ids=["in front", "touching", "crossing", "inside"])
def test_it_agrees_with_the_exhaustive_solution(rasterizer: Rasterizer, distance):
    vertices, faces = blob(1, rings=10, spokes=12)
    seen = vertices + torch.tensor([0.05, 0.0, distance])
    camera = camera_of(32, 40, focal=(38.0, 33.0), center=(18.3, 17.1))
    expected = every_triangle_against_every_pixel(seen, faces, camera, 32, 40)
    assert_agree(rasterizer.triangles(seen[None], faces, camera, 32, 40)[0], expected)


@pytest.mark.parametrize("distance", [2.5, 0.2], ids=["in front", "crossing"])
def test_it_agrees_with_plain_on_a_fine_mesh(rasterizer: Rasterizer, distance):
    vertices, faces = blob(2, rings=60, spokes=60)
    seen = (vertices + torch.tensor([0.1, 0.0, distance]))[None]
    camera = camera_of(64, 48, focal=(60.0, 66.0), center=(25.0, 30.0))
    expected = PlainRasterizer().triangles(seen, faces, camera, 64, 48)
    assert_agree(rasterizer.triangles(seen, faces, camera, 64, 48), expected)


def test_it_agrees_with_plain_on_the_built_in_body(rasterizer: Rasterizer, builtin_body: SkinnedBody):
    half_turn = torch.tensor([[-1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, 1.0]])
    seen = (builtin_body.template - builtin_body.template.mean(0)) @ half_turn + torch.tensor([0.0, 0.0, 2.6])
    camera = camera_of(80, 80, focal=(100.0, 100.0))
    expected = PlainRasterizer().triangles(seen[None], builtin_body.faces, camera, 80, 80)
    assert_agree(rasterizer.triangles(seen[None], builtin_body.faces, camera, 80, 80), expected)


def test_no_background_shines_through_between_triangles(rasterizer: Rasterizer):
    vertices, faces = blob(3, rings=80, spokes=80)
    triangle = rasterizer.triangles(
        vertices[None] + torch.tensor([0, 0, 2.5]), faces, camera_of(96, 96, (130.0, 130.0)), 96, 96
    )
    seen = triangle[0] >= 0
    surrounded = seen[:-2, 1:-1] & seen[2:, 1:-1] & seen[1:-1, :-2] & seen[1:-1, 2:]
    assert surrounded.sum() > 1000
    assert seen[1:-1, 1:-1][surrounded].all()


def test_a_body_does_not_feel_its_batch(rasterizer: Rasterizer):
    bodies, faces = zip(*(blob(seed) for seed in range(3)), strict=True)
    vertices = torch.stack(bodies) + torch.tensor([[[0.0, 0, 2]], [[0.2, 0, 0.3]], [[0, 0.4, 4]]])
    camera = Camera(
        torch.tensor([[40.0, 44], [30, 30], [80, 70]]),
        torch.tensor([[16.0, 16], [12, 20], [15, 17]]),
        torch.full((3, 2), 32.0),
    )
    together = rasterizer.triangles(vertices, faces[0], camera, 32, 28)
    singles = [rasterizer.triangles(vertices[b : b + 1], faces[0], camera[b : b + 1], 32, 28) for b in range(3)]
    assert (together == torch.cat(singles)).double().mean() > AGREEMENT
    order = torch.tensor([2, 0, 1])
    shuffled = rasterizer.triangles(vertices[order], faces[0], camera[order], 32, 28)
    assert (shuffled == together[order]).double().mean() > AGREEMENT
    assert (together >= 0).flatten(1).any(1).all()


def test_nothing_is_seen_of_nothing(rasterizer: Rasterizer):
    camera = camera_of(5, 7)
    no_faces, one = torch.zeros(0, 3, dtype=torch.int64), torch.rand(1, 4, 3) + 1
    assert (rasterizer.triangles(one, no_faces, camera, 5, 7) == -1).all()
    assert rasterizer.triangles(one[:0], QUAD, camera[:0], 5, 7).shape == (0, 5, 7)
    assert rasterizer.triangles(one, QUAD, camera, 0, 7).shape == (1, 0, 7)
    fragments = rasterize(rasterizer, one, no_faces, camera, 5, 7)
    assert fragments.depth.isinf().all()


def test_triangles_without_area_are_ignored(rasterizer: Rasterizer):
    camera = camera_of(12, 12)
    corners = rectangle(2.3, 2.4, 9.3, 9.4, 1.0, camera)
    middle = (corners[:1] + corners[2:3]) / 2
    faces = torch.tensor([[0, 0, 0], [0, 0, 2], [0, 4, 2], [1, 1, 3], [0, 1, 2], [0, 2, 3]])
    triangle = rasterizer.triangles(torch.cat((corners, middle))[None], faces, camera, 12, 12)
    assert set(triangle.unique().tolist()) == {-1, 4, 5}


def test_triangles_seen_edge_on_are_ignored(rasterizer: Rasterizer):
    # Corners on the rays of three pixels in one diagonal: each plane contains the camera and the centres of the pixels
    # between.
    draw = torch.Generator().manual_seed(7)
    camera = camera_of(16, 16, (13.7, 13.7), (7.3, 7.9)).to(dtype=torch.float64)
    pixel = torch.randint(0, 16, (300, 1), generator=draw).repeat(1, 3)
    pixel[:, 1:] = torch.randint(0, 16, (300, 2), generator=draw)
    slope = (pixel[..., None] + 0.5 - camera.center[0]) / camera.focal[0]
    ray = torch.cat((slope, torch.ones_like(slope[..., :1])), 2)
    corners = ray * (1 + torch.rand(300, 3, 1, generator=draw, dtype=torch.float64))
    faces = torch.arange(900).reshape(300, 3)
    assert (rasterizer.triangles(corners.reshape(1, -1, 3), faces, camera, 16, 16) == -1).all()


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_body_that_is_not_finite_is_not_seen_and_not_felt(rasterizer: Rasterizer, value):
    vertices, faces = blob(4)
    scene = (vertices + torch.tensor([0.0, 0, 2])).repeat(3, 1, 1)
    camera = camera_of(24, 24, (24.0, 24.0), count=3)
    sound = rasterize(rasterizer, scene, faces, camera, 24, 24)
    broken = scene.clone()
    broken[1, 7, 1] = value
    fragments = rasterize(rasterizer, broken.requires_grad_(), faces, camera, 24, 24)
    assert (fragments.triangle[1] == -1).all()
    assert (sound.triangle[1] >= 0).any()
    for body in (0, 2):
        assert (fragments.triangle[body] == sound.triangle[body]).all()
    (gradient,) = torch.autograd.grad(fragments.depth[fragments.depth.isfinite()].sum(), broken)
    assert gradient.isfinite().all()
    assert gradient[0].abs().sum() > 0

    focal = camera.focal.clone()
    focal[2, 0] = value
    fragments = rasterize(rasterizer, scene, faces, Camera(focal, camera.center, camera.size), 24, 24)
    assert (fragments.triangle[2] == -1).all()
    assert (fragments.triangle[:2] == sound.triangle[:2]).all()


def test_huge_and_tiny_scenes_are_seen_alike(rasterizer: Rasterizer):
    vertices, faces = blob(5)
    scene = (vertices + torch.tensor([0.0, 0, 2]))[None]
    camera = camera_of(24, 24, (24.0, 24.0))
    assert_agree(
        rasterizer.triangles(1000 * scene, faces, camera, 24, 24), rasterizer.triangles(scene, faces, camera, 24, 24)
    )


@pytest.mark.parametrize("distance", [2.0, 0.1, 0.0], ids=["in front", "crossing", "inside"])
def test_derivatives_are_right(rasterizer: Rasterizer, distance):
    vertices, faces = blob(6, rings=5, spokes=6)
    vertices = (vertices + torch.tensor([0.02, 0.0, distance]))[None].double().requires_grad_()
    camera = camera_of(9, 8, focal=(9.0, 8.0), center=(4.2, 4.4)).to(dtype=torch.float64)
    focal, center = camera.focal.requires_grad_(), camera.center.requires_grad_()
    fixed = rasterizer.triangles(vertices, faces, camera, 9, 8)
    assert (fixed >= 0).sum() >= 10

    def outputs(vertices: Tensor, focal: Tensor, center: Tensor) -> tuple[Tensor, Tensor]:
        fragments = rasterize(rasterizer, vertices, faces, Camera(focal, center, camera.size), 9, 8)
        assert (
            fragments.triangle == fixed
        ).all()  # the step of the numerical derivative moves no outline over a centre
        return fragments.barycentric, torch.where(fragments.triangle >= 0, fragments.depth, 0)

    assert torch.autograd.gradcheck(outputs, (vertices, focal, center), atol=1e-5, rtol=1e-4)
