"""Bodies are rendered where a lens that distorts shows them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from refine.body import SkinnedBody
from refine.photo import Photo
from refine.render.rasterize import by_name, rasterize
from refine.render.view import render_view
from refine.viz.layers import layers, meshes_of, whole_view
from tests.people import HEIGHT, WIDTH, case

LENS = (-0.35, 0.15, 0.003, -0.002, -0.03)
SEEN_PX = 0.02
"""Between a pixel's middle and the point shown there: flat triangles of a lens' curved picture, a few px wide."""
PARTS = ["scatter", "warp"]


@pytest.mark.parametrize("name", PARTS)
def test_a_pixel_shows_the_point_that_is_projected_to_it(builtin_body: SkinnedBody, name: str) -> None:
    people = case(builtin_body, 1).true.to(dtype=torch.float64)
    focal = people.camera.focal * 0.9
    world = torch.eye(3, 4, dtype=torch.float64)[None].clone()
    world[:, :, 3] = torch.tensor([0.7, -0.4, -1.6])  # near the corner, where the lens bends most
    camera = replace(people.camera, focal=focal, distortion=focal.new_tensor([LENS]), camera_from_world=world)
    vertices = people.posed.vertices
    seen = rasterize(by_name(name), vertices, builtin_body.faces, camera, HEIGHT, WIDTH)
    _, row, column = (seen.triangle >= 0).nonzero(as_tuple=True)
    assert len(row) > 2000
    corner = vertices[0, builtin_body.faces[seen.triangle[0, row, column]]]
    point = (corner * seen.barycentric[0, row, column][..., None]).sum(1)
    pixel = torch.stack((column, row), 1) + 0.5
    away = (camera.project(point[None])[0] - pixel).norm(dim=1)
    straight = (replace(camera, distortion=None).project(point[None])[0] - pixel).norm(dim=1)
    assert away.max() < SEEN_PX and straight.median() > 5


def test_views_and_pictures_lie_on_the_distorted_person(builtin_body: SkinnedBody) -> None:
    people = case(builtin_body, 1).true
    bent = replace(people.camera, distortion=people.camera.focal.new_tensor([LENS]))
    people = replace(people, state=replace(people.state, camera=bent))
    photo = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
    view = render_view((Photo(photo),), people)
    assert view.camera.distortion is not None
    shown = view.crop.to_image((view.fragments.triangle[0] >= 0).nonzero().flip(-1)[None].float() + 0.5)[0]
    expected = people.camera.project(people.vertices)[0]
    assert (shown.amin(0) - expected.amin(0)).abs().max() < 2 and (shown.amax(0) - expected.amax(0)).abs().max() < 2
    picture = layers(meshes_of(people, photo, 0), whole_view(photo, HEIGHT, HEIGHT))
    y, x = np.nonzero(picture.person >= 0)
    assert abs(x.min() - float(expected[:, 0].min())) < 2 and abs(y.max() - float(expected[:, 1].max())) < 2
