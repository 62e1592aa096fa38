"""Shading against published constants, numerical integrals, loops written out, and numerical derivatives."""

import math

import numpy as np
import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from refine.body import SkinnedBody
from refine.errors import InputError
from refine.geometry.camera import Camera
from refine.render import Fragments
from refine.render.plain import PlainRasterizer
from refine.render.rasterize import rasterize
from refine.render.shade import (
    compose,
    harmonics,
    interpolate,
    irradiance,
    lit,
    pixel_normals,
    sample_texture,
    texture_colors,
    vertex_ids,
    vertex_normals,
)

EXACT = 1e-12
"""Double precision with a few thousand roundings."""


def sphere_points(rings: int = 60) -> tuple[Tensor, Tensor]:
    """Directions (N, 3) and their solid angles (N,): Gauss-Legendre in z times equal steps around, exact for low
    degrees."""
    z, weight = (torch.from_numpy(part) for part in np.polynomial.legendre.leggauss(rings))
    around = torch.arange(2 * rings, dtype=torch.float64) * (math.pi / rings)
    flat = (1 - z * z).sqrt()[:, None]
    points = torch.stack((flat * around.cos(), flat * around.sin(), z[:, None].expand(-1, 2 * rings)), -1)
    return points.reshape(-1, 3), weight.repeat_interleave(2 * rings) * (math.pi / rings)


def octahedron(center: tuple[float, float, float], dtype=torch.float64) -> tuple[Tensor, Tensor]:
    """Six vertices (1, 6, 3) and eight faces, outwards (counter-clockwise seen from outside)."""
    corners = torch.tensor([[1.0, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], dtype=dtype)
    faces = []
    for x in (0, 1):
        for y in (2, 3):
            for z in (4, 5):
                a, b, c = corners[x], corners[y], corners[z]
                outward = torch.linalg.det(torch.stack((a, b, c))) > 0
                faces.append([x, y, z] if outward else [x, z, y])
    return 0.7 * corners[None] + torch.tensor(center, dtype=dtype), torch.tensor(faces)


def camera_of(height: int, width: int, focal: float, dtype=torch.float64) -> Camera:
    rows = [[focal, 1.1 * focal]], [[width / 2 + 0.3, height / 2 - 0.2]], [[float(height), float(width)]]
    return Camera(*(torch.tensor(row, dtype=dtype) for row in rows))


def test_the_harmonics_are_orthonormal():
    points, area = sphere_points()
    values = harmonics(points)
    assert torch.allclose((values * area[:, None]).T @ values, torch.eye(9, dtype=torch.float64), atol=EXACT)


def test_irradiance_is_the_integral_of_the_light_over_the_hemisphere():
    draw = torch.Generator().manual_seed(0)
    light = torch.randn(1, 9, 3, generator=draw, dtype=torch.float64)
    normals = torch.nn.functional.normalize(torch.randn(1, 2, 3, 3, generator=draw, dtype=torch.float64), dim=-1)
    points, area = sphere_points(400)
    radiance = harmonics(points) @ light[0]  # (N, 3)
    cosine = (points @ normals.reshape(-1, 3).T).clamp(min=0)  # (N, 6)
    expected = (cosine * area[:, None]).T @ radiance
    assert torch.allclose(irradiance(normals, light).reshape(-1, 3), expected, atol=1e-4)


def test_irradiance_is_the_formula_with_the_constants_of_the_paper():
    # Ramamoorthi and Hanrahan 2001, eq. 13, with c1..c5 as printed (six digits).
    c1, c2, c3, c4, c5 = 0.429043, 0.511664, 0.743125, 0.886227, 0.247708
    draw = torch.Generator().manual_seed(1)
    light = torch.randn(1, 9, 3, generator=draw, dtype=torch.float64)
    normal = torch.nn.functional.normalize(torch.randn(3, generator=draw, dtype=torch.float64), dim=0)
    x, y, z = normal
    l00, l1m, l10, l11, l2mm, l2m, l20, l21, l22 = light[0]
    expected = c1 * l22 * (x * x - y * y) + c3 * l20 * z * z + c4 * l00 - c5 * l20
    expected = expected + 2 * c1 * (l2mm * x * y + l21 * x * z + l2m * y * z) + 2 * c2 * (l11 * x + l1m * y + l10 * z)
    assert torch.allclose(irradiance(normal.expand(1, 1, 1, 3), light)[0, 0, 0], expected, atol=1e-5)


def white_light(bodies: int, like: Tensor) -> Float[Tensor, "B 9 3"]:
    """Return coefficients of a uniform light under which a surface shows exactly its albedo.

    Args:
        bodies: B.
        like: A tensor of the wanted device and type.
    """
    light = like.new_zeros(bodies, 9, 3)
    light[:, 0] = math.sqrt(4 * math.pi)
    return light


def test_under_white_light_a_surface_shows_its_albedo():
    albedo = torch.rand(2, 4, 5, 3, generator=torch.Generator().manual_seed(2))
    normals = torch.nn.functional.normalize(albedo - 0.4, dim=-1)
    assert torch.allclose(lit(albedo, normals, white_light(2, albedo)), albedo, atol=1e-6)


def test_light_from_the_left_lights_the_left_side():
    light = white_light(1, torch.zeros(1))
    light[:, 3] = -light[:, 0] / 2  # (1, 1) is x, which points right
    left, right = torch.tensor([-1.0, 0, 0]), torch.tensor([1.0, 0, 0])
    shown = lit(torch.ones(1, 1, 2, 3), torch.stack((left, right))[None, None], light)
    assert (shown[0, 0, 0] > 1.2 * shown[0, 0, 1]).all()


def test_interpolation_is_the_weighted_mean_of_the_corners():
    draw = torch.Generator().manual_seed(3)
    faces = torch.randint(7, (5, 3), generator=draw)
    triangle = torch.randint(-1, 5, (2, 3, 4), generator=draw)
    barycentric = torch.rand(2, 3, 4, 3, generator=draw, dtype=torch.float64) * (triangle >= 0)[..., None]
    values = torch.randn(2, 7, 2, generator=draw, dtype=torch.float64)
    result = interpolate(Fragments(triangle, barycentric, barycentric[..., 0]), faces, values)
    for body, row, column in np.ndindex(2, 3, 4):
        expected = torch.zeros(2, dtype=torch.float64)
        if triangle[body, row, column] >= 0:
            for weight, vertex in zip(barycentric[body, row, column], faces[triangle[body, row, column]], strict=True):
                expected += weight * values[body, vertex]
        assert torch.allclose(result[body, row, column], expected, atol=EXACT)


def test_colour_varies_in_perspective_not_linearly_on_the_screen():
    # A floor strip from depth 1 to depth 3, coloured by its depth: every pixel must show its own depth.
    vertices = torch.tensor([[[-1.0, 0.5, 1], [1, 0.5, 1], [1, 0.5, 3], [-1, 0.5, 3]]])
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]])
    fragments = rasterize(PlainRasterizer(), vertices, faces, camera_of(24, 24, 20.0, torch.float32), 24, 24)
    shown = interpolate(fragments, faces, vertices[..., 2:])[..., 0]
    seen = fragments.triangle >= 0
    assert seen.sum() > 50
    assert torch.allclose(shown[seen], fragments.depth[seen], atol=1e-5)


def test_normals_of_a_sphere_point_away_from_its_centre(builtin_body: SkinnedBody):
    vertices, faces = octahedron((0.1, 0.2, 3.0))
    normals = vertex_normals(vertices, faces)
    away = torch.nn.functional.normalize(vertices - vertices.mean(1, keepdim=True), dim=-1)
    assert torch.allclose(normals, away, atol=EXACT)
    # The built-in body's faces are wound outwards too: along its normals its volume grows.
    body = builtin_body.template[None].double()
    a, b, c = body[0][builtin_body.faces].unbind(1)
    flux = (vertex_normals(body, builtin_body.faces)[0][builtin_body.faces].mean(1) * (b - a).cross(c - a, dim=1)).sum()
    assert flux > 0
    assert (a * b.cross(c, dim=1)).sum() / 6 == pytest.approx(0.07, abs=0.05)  # m^3, positive for outward faces


def test_a_wall_facing_the_camera_has_a_normal_towards_it():
    vertices = torch.tensor([[[-1.0, -1, 2], [1, -1, 2], [1, 1, 2], [-1, 1, 2]]])
    faces = torch.tensor(
        [[0, 2, 1], [0, 3, 2]]
    )  # counter-clockwise seen from the camera, which looks along +z with y down
    fragments = rasterize(PlainRasterizer(), vertices, faces, camera_of(8, 8, 8.0, torch.float32), 8, 8)
    seen = fragments.triangle >= 0
    normal = pixel_normals(fragments, faces, vertices)
    assert torch.allclose(normal[seen], torch.tensor([0.0, 0, -1]).expand(int(seen.sum()), 3), atol=1e-6)
    assert (normal[~seen] == 0).all()


def test_a_vertex_without_a_triangle_has_no_normal_and_a_zero_gradient():
    vertices = torch.rand(1, 4, 3, dtype=torch.float64).requires_grad_()
    normals = vertex_normals(vertices, torch.tensor([[0, 1, 2]]))
    assert (normals[0, 3] == 0).all()
    (gradient,) = torch.autograd.grad(normals.sum(), vertices)
    assert gradient.isfinite().all()


def test_texels_are_found_at_their_centres_and_mixed_between_them():
    texture = torch.arange(12.0, dtype=torch.float64).reshape(1, 3, 4, 1)  # 3 rows, 4 columns
    rows, columns = torch.meshgrid(torch.arange(3), torch.arange(4), indexing="ij")
    centres = torch.stack(((columns.double() + 0.5) / 4, (rows.double() + 0.5) / 3), -1)[None]
    assert torch.allclose(sample_texture(texture, centres), texture, atol=EXACT)
    between = torch.tensor([[[[0.5, 0.5], [0.25, 1 / 3]]]], dtype=torch.float64)  # (1, 1, 2, 2)
    assert torch.allclose(
        sample_texture(texture, between)[0, 0, :, 0], torch.tensor([5.5, 2.5], dtype=torch.float64), atol=EXACT
    )
    corners = torch.tensor([[[[0.0, 0.0], [1.0, 1.0]]]], dtype=torch.float64)
    assert sample_texture(texture, corners)[0, 0, :, 0].tolist() == [0.0, 11.0]


def test_a_texture_lies_upright_on_a_wall():
    # The wall's top-left corner has uv (0, 0): the picture appears as it is.
    texture = torch.rand(1, 16, 16, 3, generator=torch.Generator().manual_seed(4))
    camera = Camera(torch.full((1, 2), 16.0), torch.full((1, 2), 8.0), torch.full((1, 2), 16.0))
    vertices = torch.tensor([[[-1.0, -1, 2], [1, -1, 2], [1, 1, 2], [-1, 1, 2]]])
    uv = torch.tensor([[0.0, 0], [1, 0], [1, 1], [0, 1]])
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]])
    fragments = rasterize(PlainRasterizer(), vertices, faces, camera, 16, 16)
    assert torch.allclose(texture_colors(fragments, uv, faces, texture), texture, atol=1e-4)
    with pytest.raises(InputError, match="uv_faces"):
        texture_colors(fragments, uv[:0], faces[:0], texture)


def test_the_nearest_corner_names_the_part():
    vertices, faces = octahedron((0.0, 0, 3))
    fragments = rasterize(PlainRasterizer(), vertices, faces, camera_of(32, 32, 40.0), 32, 32)
    ids = vertex_ids(fragments, faces)
    assert set(ids.unique().tolist()) == {-1, 0, 1, 2, 3, 5}  # vertex 4 lies behind
    assert (ids[0, 16, 24], ids[0, 16, 8], ids[0, 24, 16], ids[0, 7, 16], ids[0, 16, 16]) == (0, 1, 2, 3, 5)


def test_bodies_are_laid_over_their_photo_nearest_first():
    color = torch.tensor([1.0, 2, 3]).reshape(3, 1, 1, 1).expand(3, 1, 4, 1)
    inf = torch.inf
    depth = torch.tensor([[[2.0, 2, inf, inf]], [[1.0, 3, 3, inf]], [[5.0, inf, inf, inf]]])
    background = torch.tensor([7.0, 8]).reshape(2, 1, 1, 1).expand(2, 1, 4, 1)
    pictures = compose(color, depth, background, torch.tensor([0, 0, 1]))
    assert pictures[..., 0].tolist() == [[[2, 1, 2, 7]], [[3, 8, 8, 8]]]
    each = compose(color[:2], depth[:2], background)
    assert each[..., 0].tolist() == [[[1, 1, 7, 7]], [[2, 2, 2, 8]]]
    with pytest.raises(InputError, match="background"):
        compose(color, depth, background)


@pytest.mark.parametrize("distance", [2.5, 0.4, 0.0], ids=["in front", "crossing", "inside"])
def test_derivatives_of_every_picture_are_right(distance):
    draw = torch.Generator().manual_seed(5)
    vertices, faces = octahedron((0.05, -0.03, distance))
    vertices = (vertices + 0.05 * torch.randn(1, 6, 3, generator=draw, dtype=torch.float64)).requires_grad_()
    texture = torch.rand(1, 3, 4, 3, generator=draw, dtype=torch.float64, requires_grad=True)
    colors = torch.rand(1, 6, 3, generator=draw, dtype=torch.float64, requires_grad=True)
    light = white_light(1, texture) + 0.1 * torch.randn(1, 9, 3, generator=draw, dtype=torch.float64)
    uv = torch.rand(6, 2, generator=draw, dtype=torch.float64)
    camera = camera_of(5, 6, 5.0)

    def pictures(vertices: Tensor, texture: Tensor, colors: Tensor, light: Tensor) -> tuple[Tensor, ...]:
        fragments = rasterize(PlainRasterizer(), vertices, faces, camera, 5, 6)
        assert (fragments.triangle >= 0).sum() >= 4
        normals = pixel_normals(fragments, faces, vertices)
        shaded = lit(texture_colors(fragments, uv, faces, texture), normals, light)
        return (
            shaded,
            normals,
            interpolate(fragments, faces, colors),
            compose(shaded, fragments.depth, 0.5 * torch.ones_like(shaded)),
        )

    assert torch.autograd.gradcheck(pictures, (vertices, texture, colors, light.requires_grad_()), atol=1e-5, rtol=1e-4)
