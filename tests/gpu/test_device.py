"""What must hold where there is a GPU: rasteriser, network, samples and the whole method there say what they say on the
CPU."""

import pytest
import torch

from displacement_net.training.assets import procedural_assets
from displacement_net.training.samples import Sampler
from priors.default import default_priors
from refine.body import SkinnedBody, pose_body
from refine.body.anny import load
from refine.demo.scene import make_scene
from refine.dense.network import shipped_displacer
from refine.photo import Photo
from refine.refiner import Refiner
from refine.render.plain import PlainRasterizer
from refine.render.scatter import ScatterRasterizer
from refine.render.view import render_view
from tests.meshes import blob, camera_of
from tests.people import Case, case
from tests.reference.displacement_net.test_synthetic_people import stand_in

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]
FAR_PX = 0.05
"""How far offsets may differ: convolutions of a GPU round to ten bits of a product (TF32)."""
FAR_SHARE = 0.05
"""How far refined joints may differ, of the way they went: what offsets differ by is carried through three rounds."""


@pytest.fixture(scope="module")
def body() -> SkinnedBody:
    return load()


@pytest.mark.parametrize("distance", [2.5, 0.2], ids=["in front", "crossing"])
def test_triangles_are_those_of_the_plain_rasteriser(distance: float) -> None:
    vertices, faces = blob(2, rings=60, spokes=60)
    seen = (vertices + torch.tensor([0.1, 0.0, distance]))[None]
    camera = camera_of(64, 48, focal=(60.0, 66.0), center=(25.0, 30.0))
    expected = PlainRasterizer().triangles(seen, faces, camera, 64, 48)
    told = ScatterRasterizer().triangles(seen.cuda(), faces.cuda(), camera.to("cuda"), 64, 48).cpu()
    assert float((told == expected).float().mean()) >= 0.999


def test_samples_are_those_of_the_cpu(body: SkinnedBody) -> None:
    here, there = (
        Sampler(
            stand_in(body), procedural_assets(), size=64, looks=3, device=device, rasterizer=ScatterRasterizer()
        ).batch(5, 8)
        for device in ("cpu", "cuda")
    )
    moved = there.offset.cpu()
    both = here.visible & there.visible.cpu()
    assert float(both.sum()) >= 0.99 * float(here.visible.sum())
    assert float((moved - here.offset)[both].abs().max()) < FAR_PX
    assert float((there.image.cpu() - here.image).abs().mean()) < 0.02  # the grain of the film is another


def people_in_noise(body: SkinnedBody) -> tuple[Case, list[Photo]]:
    people, draw = case(body), torch.Generator().manual_seed(0)
    height, width = people.photos[0].shape[:2]
    return people, [
        Photo(torch.randint(0, 256, (height, width, 3), generator=draw, dtype=torch.uint8).numpy())
        for _ in people.photos
    ]


def test_the_network_follows_the_estimate(body: SkinnedBody) -> None:
    people, photos = people_in_noise(body)
    displacer = shipped_displacer()
    told, same = (
        displacer.displace(render_view(photos, people.estimate.to(device), ScatterRasterizer()))
        for device in ("cpu", "cuda")
    )
    assert same.offset.is_cuda
    apart = (same.offset.cpu() - told.offset).norm(dim=-1)
    assert float(apart.median()) < FAR_PX
    assert displacer.network.sharpness.device.type == "cpu"


def test_the_whole_method_ends_where_it_ends_on_the_cpu(body: SkinnedBody) -> None:
    scene = make_scene(body, 4, rasterizer=ScatterRasterizer())
    refiner = Refiner(displacer=shipped_displacer(), rasterizer=ScatterRasterizer())
    ends = []
    for device in ("cpu", "cuda"):
        asked = scene.estimate.to(device)
        state = refiner.refine(scene.photos, asked, (), default_priors(asked, None))[-1].state
        assert state.bodies.pose.device.type == device
        ends.append(pose_body(asked.body, state.bodies).joints.cpu())
    before = pose_body(body, scene.estimate.bodies).joints
    moved = (ends[0] - before).norm(dim=-1).mean()
    assert float((ends[0] - ends[1]).norm(dim=-1).mean()) < FAR_SHARE * float(moved)
