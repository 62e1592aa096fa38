"""What holds of fragments for any scene: geometry, invariances, and independence of the order of things."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from refine.geometry import rotation
from refine.geometry.camera import NEAR_M, Camera
from refine.render import Fragments
from refine.render.plain import PlainRasterizer
from refine.render.rasterize import fragments_of, rasterize
from refine.render.warp import WarpRasterizer

TIGHT = 1e-9
"""Double precision, divided by triangles seen nearly edge on."""

ODD = 2
"""Pixels that may lie on a line in which two triangles cut each other, or on an edge: rounding decides whose they
are."""

SEEDS = st.integers(0, 10_000)
HEIGHT, WIDTH = 15, 18


def scene(seed: int, bodies: int = 2) -> tuple[Tensor, Tensor, Camera]:
    """A soup of triangles around and before the camera: vertices (B, 20, 3) m, faces (16, 3), cameras."""
    draw = torch.Generator().manual_seed(seed)
    vertices = torch.randn(bodies, 20, 3, generator=draw, dtype=torch.float64) + torch.tensor([0, 0, 1.0])
    faces = torch.combinations(torch.arange(20), 3)[torch.randperm(1140, generator=draw)[:16]]  # no two alike
    focal = 8 + 8 * torch.rand(bodies, 2, generator=draw, dtype=torch.float64)
    center = torch.tensor([9.0, 7.5]) + torch.randn(bodies, 2, generator=draw, dtype=torch.float64)
    return vertices, faces, Camera(focal, center, torch.tensor([[HEIGHT, WIDTH]]).expand(bodies, 2).double())


def drawn(vertices: Tensor, faces: Tensor, camera: Camera, height: int = HEIGHT, width: int = WIDTH) -> Fragments:
    return rasterize(WarpRasterizer(), vertices, faces, camera, height, width)


def assert_same_view(here: Fragments, there: Fragments) -> None:
    """Equal, but for the odd pixel on a line in which two triangles cut each other, at equal depth in single
    precision."""
    assert torch.allclose(here.depth, there.depth, rtol=1e-6)
    same = here.triangle == there.triangle
    assert (~same).sum() <= ODD
    assert torch.allclose(here.barycentric[same], there.barycentric[same], atol=1e-6)


@given(SEEDS)
def test_the_seen_point_lies_on_the_pixels_ray_inside_the_triangle(seed):
    vertices, faces, camera = scene(seed)
    fragments = drawn(vertices, faces, camera)
    body, row, column = (fragments.triangle >= 0).nonzero(as_tuple=True)
    weight = fragments.barycentric[body, row, column]
    depth = fragments.depth[body, row, column]
    assert (weight >= -TIGHT).all() and (weight <= 1 + TIGHT).all()
    assert torch.allclose(weight.sum(1), torch.ones_like(depth), atol=TIGHT)
    assert (depth >= NEAR_M - TIGHT).all()
    point = (weight[..., None] * vertices[body[:, None], faces[fragments.triangle[body, row, column]]]).sum(1)
    pixel = torch.stack((column, row), 1) + 0.5
    ray = torch.cat(((pixel - camera.center[body]) / camera.focal[body], torch.ones_like(depth)[:, None]), 1)
    assert torch.allclose(point, depth[:, None] * ray, atol=1e-7)


@given(SEEDS)
def test_moving_camera_and_world_together_changes_nothing(seed):
    vertices, faces, camera = scene(seed)
    draw = torch.Generator().manual_seed(seed)
    turn = rotation.exp(torch.randn(2, 3, generator=draw, dtype=torch.float64))
    shift = torch.randn(2, 3, 1, generator=draw, dtype=torch.float64)
    world = (vertices - shift.mT) @ turn  # camera = turn world + shift
    moved = Camera(camera.focal, camera.center, camera.size, torch.cat((turn, shift), 2))
    assert_same_view(drawn(vertices, faces, camera), drawn(world, faces, moved))


@given(SEEDS, st.integers(-6, 6), st.integers(-6, 6))
def test_moving_the_centre_by_whole_pixels_moves_the_picture(seed, right, down):
    vertices, faces, camera = scene(seed)
    # A larger image around the same view, against the view itself.
    shift = torch.tensor([10.0 + right, 10.0 + down], dtype=torch.float64)
    larger = drawn(vertices, faces, Camera(camera.focal, camera.center + shift, camera.size), HEIGHT + 20, WIDTH + 20)
    top, left = 10 + down, 10 + right
    view = larger.triangle[:, top : top + HEIGHT, left : left + WIDTH]
    assert (view != drawn(vertices, faces, camera).triangle).sum() <= ODD


@given(SEEDS)
def test_the_order_of_faces_and_of_their_corners_does_not_matter(seed):
    vertices, faces, camera = scene(seed)
    order = torch.randperm(len(faces), generator=torch.Generator().manual_seed(seed))
    shuffled = drawn(vertices, faces[order].roll(1, 1), camera)
    restored = torch.where(shuffled.triangle >= 0, order[shuffled.triangle], -1)
    there = Fragments(restored, shuffled.barycentric.roll(-1, 3), shuffled.depth)
    assert_same_view(drawn(vertices, faces, camera), there)


@given(SEEDS)
def test_permuting_bodies_permutes_pictures(seed):
    vertices, faces, camera = scene(seed, bodies=3)
    order = torch.tensor([1, 2, 0])
    here, there = drawn(vertices, faces, camera), drawn(vertices[order], faces, camera[order])
    assert_same_view(Fragments(here.triangle[order], here.barycentric[order], here.depth[order]), there)


@given(SEEDS)
def test_warp_sees_what_plain_sees(seed):
    vertices, faces, camera = scene(seed)
    plain = rasterize(PlainRasterizer(), vertices, faces, camera, HEIGHT, WIDTH)
    assert_same_view(plain, drawn(vertices, faces, camera))


@settings(max_examples=15)
@given(SEEDS, st.integers(1, 40), st.sampled_from([1, 64, 4096]))
def test_plain_does_not_depend_on_its_chunks(seed, block, tests):
    vertices, faces, camera = scene(seed)
    whole = PlainRasterizer().triangles(vertices, faces, camera, HEIGHT, WIDTH)
    chunks = PlainRasterizer(block, tests).triangles(vertices, faces, camera, HEIGHT, WIDTH)
    assert (chunks != whole).sum() <= ODD


@given(SEEDS)
def test_single_precision_suffices_for_a_small_distant_triangle(seed):
    # A millimetre at five metres: two centimetres of a body are a pixel there.
    draw = torch.Generator().manual_seed(seed)
    corners = torch.tensor([0.3, -0.7, 5.0]) + 1e-3 * torch.randn(1, 3, 3, generator=draw).double()
    camera = Camera(
        *(torch.tensor([row], dtype=torch.float64) for row in ((5e4, 5e4), (-2992.0, 7008.0), (16.0, 16.0)))
    )
    faces, triangle = torch.tensor([[0, 1, 2]]), torch.zeros(1, 16, 16, dtype=torch.int64)
    area = (corners[0, 1] - corners[0, 0]).cross(corners[0, 2] - corners[0, 0], dim=0)
    if abs(area[2]) < 0.3e-6:
        return  # seen edge on, where no precision suffices
    single, double = (
        fragments_of(triangle, corners.to(t), faces, camera.to(dtype=t)) for t in (torch.float32, torch.float64)
    )
    rounded = fragments_of(triangle, corners.float().double(), faces, camera)
    assert torch.allclose(single.barycentric.double(), rounded.barycentric, atol=0.1)
    assert torch.allclose(single.depth.double(), double.depth, atol=1e-4)
