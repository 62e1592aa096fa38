"""People look like themselves where they are, and less so where they are not."""

import pytest
import torch

from refine.body import SkinnedBody
from refine.demo.scene import Scene, make_scene
from refine.texture.atlas import uv_atlas
from refine.texture.personal import bake_textures
from refine.trust.appearance import unexplained, unexplained_before_and_after
from refine.trust.gate import Gate


@pytest.fixture(scope="module")
def scene(builtin_body: SkinnedBody) -> Scene:
    return make_scene(builtin_body, count=2)


@pytest.fixture(scope="module")
def texture(scene: Scene) -> torch.Tensor:
    baked = bake_textures(scene.photos, scene.true, uv_atlas(scene.true.body))
    return torch.cat((baked.pixels, baked.confidence[..., None]), -1).float()


def test_a_person_looks_like_himself_where_he_stands(scene: Scene, texture: torch.Tensor) -> None:
    right, wrong = (unexplained(scene.photos, each, texture) for each in (scene.true, scene.estimate))
    assert bool((right < 0.3).all())
    assert bool((wrong > right + 0.1).all())


def test_an_update_away_from_the_person_is_refused_and_one_towards_him_is_not(
    scene: Scene, texture: torch.Tensor
) -> None:
    class Dressed:
        def __init__(self) -> None:
            self.texture = texture

    away = unexplained_before_and_after(scene.photos, scene.true, scene.estimate.state, Dressed())
    towards = unexplained_before_and_after(scene.photos, scene.estimate, scene.true.state, Dressed())
    assert away is not None
    assert towards is not None
    gate = Gate()
    assert all(after - before > gate.most_stranger for before, after in away.tolist())
    assert all(after - before < 0 for before, after in towards.tolist())


def test_without_a_texture_nothing_is_said(scene: Scene, texture: torch.Tensor) -> None:
    assert unexplained_before_and_after(scene.photos, scene.true, scene.estimate.state, object()) is None
    unknown = torch.cat((texture[..., :3], torch.zeros_like(texture[..., 3:])), -1)
    assert bool(unexplained(scene.photos, scene.true, unknown).isnan().all())
