"""Shading of fragments: colours, light, normals and ids, differentiable in vertices, colours, textures and light.

    pixel value   sum_i b_i value[faces[triangle, i]]
    lit colour    albedo / pi * E(n),   E(n) = sum_lm A_l L_lm Y_lm(n),   A_0 = pi, A_1 = 2 pi / 3, A_2 = pi / 4

with L_lm the nine coefficients of the light around the body and Y_lm the real spherical harmonics of the camera's axes.

Source: Ramamoorthi and Hanrahan, An Efficient Representation for Irradiance Environment Maps, SIGGRAPH 2001, eq. 3, 8
and 11.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from refine.check import check_shape
from refine.errors import InputError
from refine.render import Fragments


def interpolate(
    fragments: Fragments, faces: Int[Tensor, "F 3"], values: Float[Tensor, "B V C"]
) -> Float[Tensor, "B H W C"]:
    """Interpolate values at the corners of triangles to the pixels.

    Args:
        fragments: (B, H, W) the visible surface.
        faces: (F, 3) into values: the body's faces for vertices, its `uv_faces` for texture coordinates.
        values: (B, V, C); for values all bodies share, `values.expand(B, -1, -1)`.

    Returns:
        (B, H, W, C), zero on the background. `body.vertex_colors` give the unique colours, vertices their positions.

    Raises:
        InputError: The number of bodies differs.
    """
    check_shape("values", values, "B V C", B=len(fragments.triangle))
    where = (fragments.triangle >= 0).nonzero(as_tuple=True)
    corners = values[where[0][:, None], faces[fragments.triangle[where]]]  # (N, 3, C)
    value = (fragments.barycentric[where][..., None] * corners).sum(1)
    return value.new_zeros(*fragments.triangle.shape, values.shape[2]).index_put(where, value)


def vertex_normals(vertices: Float[Tensor, "B V 3"], faces: Int[Tensor, "F 3"]) -> Float[Tensor, "B V 3"]:
    """Return the mean normal of the triangles around each vertex, weighted by their area.

    Args:
        vertices: (B, V, 3) m, any frame.
        faces: (F, 3), counter-clockwise seen from outside.

    Returns:
        (B, V, 3) unit vectors outwards in the frame of vertices; zeros at a vertex that has no triangle with an area.
    """
    a, b, c = vertices[:, faces].unbind(2)
    normal = (b - a).cross(c - a, dim=2).mT  # (B, 3, F), twice the area long
    # Added along the last axis, plane by plane, which takes a fifteenth of the time of rows of three.
    total = torch.zeros_like(vertices.mT, memory_format=torch.contiguous_format)
    for corner in faces.unbind(1):
        total = total.index_add(2, corner, normal)
    return _unit(total.mT)


def pixel_normals(
    fragments: Fragments, faces: Int[Tensor, "F 3"], vertices: Float[Tensor, "B V 3"]
) -> Float[Tensor, "B H W 3"]:
    """Return the smooth surface normal at each pixel.

    Args:
        fragments: (B, H, W) the visible surface.
        faces: (F, 3), counter-clockwise seen from outside.
        vertices: (B, V, 3) m; in the camera frame, a normal with negative z faces the camera.

    Returns:
        (B, H, W, 3) unit vectors outwards, in the frame of vertices; zeros on the background.
    """
    return _unit(interpolate(fragments, faces, vertex_normals(vertices, faces)))


def sample_texture(texture: Float[Tensor, "B Y X C"], uv: Float[Tensor, "B H W 2"]) -> Float[Tensor, "B H W C"]:
    """Sample a texture bilinearly.

    Args:
        texture: (B, Y, X, C), channels last; `texture.expand(B, -1, -1, -1)` where bodies share one.
        uv: (B, H, W, 2) from the texture's top-left corner, u right, v down, in 0..1; beyond the border the border's
            colour holds.

    Returns:
        (B, H, W, C); on the background (uv of zero) the texture's first texel.
    """
    grid = 2 * uv - 1
    sampled = torch.nn.functional.grid_sample(
        texture.permute(0, 3, 1, 2), grid.to(texture), mode="bilinear", padding_mode="border", align_corners=False
    )
    return sampled.permute(0, 2, 3, 1)


def texture_colors(
    fragments: Fragments, uv: Float[Tensor, "T 2"], uv_faces: Int[Tensor, "F 3"], texture: Float[Tensor, "B Y X C"]
) -> Float[Tensor, "B H W C"]:
    """Return the texture's colour at each pixel.

    Args:
        fragments: (B, H, W) the visible surface.
        uv: (T, 2), see `SkinnedBody.uv`.
        uv_faces: (F, 3) into uv, one row a face of the body.
        texture: (B, Y, X, C).

    Returns:
        (B, H, W, C), zero on the background.

    Raises:
        InputError: The body has no texture coordinates.
    """
    if not len(uv_faces):
        raise InputError(
            "uv_faces", "texture coordinates", "a body without any", "Use vertex colours (interpolate) for this body."
        )
    coordinates = interpolate(fragments, uv_faces, uv.expand(len(fragments.triangle), -1, -1))
    return sample_texture(texture, coordinates) * (fragments.triangle >= 0)[..., None]


def harmonics(direction: Float[Tensor, "*N 3"]) -> Float[Tensor, "*N 9"]:
    """Return the nine real spherical harmonics Y_lm, l <= 2, of unit directions.

    Args:
        direction: (..., 3) unit vectors.

    Returns:
        (..., 9), unitless, by l, then m from -l to l.
    """
    x, y, z = direction.unbind(-1)
    y_00 = math.sqrt(1 / (4 * math.pi))
    y_1 = math.sqrt(3 / (4 * math.pi))
    y_2 = math.sqrt(15 / (4 * math.pi))
    y_20 = math.sqrt(5 / (16 * math.pi))
    terms = (
        torch.full_like(x, y_00), y_1 * y, y_1 * z, y_1 * x,
        y_2 * x * y, y_2 * y * z, y_20 * (3 * z * z - 1), y_2 * x * z, y_2 / 2 * (x * x - y * y),
    )  # fmt: skip
    return torch.stack(terms, -1)


def irradiance(normals: Float[Tensor, "B H W 3"], light: Float[Tensor, "B 9 3"]) -> Float[Tensor, "B H W 3"]:
    """Return the light that falls on surfaces of the given normals.

    Args:
        normals: (B, H, W, 3) unit vectors; zeros on the background.
        light: (B, 9, 3) coefficients L_lm of the radiance around the body, RGB, in the order of `harmonics` and the
            frame of normals.

    Returns:
        (B, H, W, 3); divided by pi it multiplies the albedo. May be negative where nine coefficients cannot follow the
        light.
    """
    cosine = normals.new_tensor((math.pi, *[2 * math.pi / 3] * 3, *[math.pi / 4] * 5))
    return torch.einsum("bhwk,bkc->bhwc", harmonics(normals) * cosine, light)


def lit(
    albedo: Float[Tensor, "B H W 3"], normals: Float[Tensor, "B H W 3"], light: Float[Tensor, "B 9 3"]
) -> Float[Tensor, "B H W 3"]:
    """Return the colour of a matt surface under a light.

    Args:
        albedo: (B, H, W, 3) RGB, linear, zero on the background.
        normals: (B, H, W, 3), see `pixel_normals`.
        light: (B, 9, 3), see `irradiance`.

    Returns:
        (B, H, W, 3) RGB, at least zero, above one where the light is bright.
    """
    return albedo * irradiance(normals, light).clamp(min=0) / math.pi


def vertex_ids(fragments: Fragments, faces: Int[Tensor, "F 3"]) -> Int[Tensor, "B H W"]:
    """Return the corner nearest to each pixel in barycentrics.

    Args:
        fragments: (B, H, W) the visible surface.
        faces: (F, 3).

    Returns:
        (B, H, W) index into vertices, -1 on the background; `vertex_parts[ids]` are body parts.
    """
    seen = fragments.triangle >= 0
    if not len(faces):
        return torch.full_like(fragments.triangle, -1)
    corner = fragments.barycentric.argmax(-1, keepdim=True)
    vertex = faces[fragments.triangle.clamp(min=0)].gather(-1, corner)[..., 0]
    return torch.where(seen, vertex, -1)


def compose(
    color: Float[Tensor, "B H W C"],
    depth: Float[Tensor, "B H W"],
    background: Float[Tensor, "I H W C"],
    image_index: Int[Tensor, "B"] | None = None,
) -> Float[Tensor, "I H W C"]:
    """Composite bodies over backgrounds, the nearer ones in front.

    Args:
        color: (B, H, W, C) each body's colours.
        depth: (B, H, W) m, infinite on the background (`Fragments.depth`).
        background: (I, H, W, C).
        image_index: (B,) the background each body belongs to; None: one each, in order.

    Returns:
        (I, H, W, C).

    Raises:
        InputError: Shapes disagree, or there are not as many backgrounds as bodies and image_index is missing.
    """
    sizes = check_shape("color", color, "B H W C")
    check_shape("depth", depth, "B H W", **sizes)
    images = check_shape("background", background, "I H W C", H=sizes["H"], W=sizes["W"], C=sizes["C"])["I"]
    if image_index is None:
        check_shape("background", background, "B H W C", **sizes)
        return torch.where(depth.isfinite()[..., None], color, background)
    check_shape("image_index", image_index, "B", B=sizes["B"])
    pictures, nearest = list(background.unbind(0)), [torch.full_like(background[0, ..., 0], torch.inf)] * images
    for body, image in enumerate(image_index.tolist()):
        in_front = depth[body] < nearest[image]
        pictures[image] = torch.where(in_front[..., None], color[body], pictures[image])
        nearest[image] = torch.where(in_front, depth[body], nearest[image])
    return torch.stack(pictures) if pictures else background


def _unit(vector: Tensor) -> Tensor:
    """Return vectors (..., 3) of length one; zero for zero, with a zero gradient."""
    square = (vector * vector).sum(-1, keepdim=True)
    return torch.where(square > 0, vector, 0) * torch.where(square > 0, square, 1).rsqrt()
