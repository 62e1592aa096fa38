"""Whether anybody is where the network puts the person: asked of the network apart, and decisive only where nothing
else speaks."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
import pytest
import torch

import refine
from displacement_net.displacement import Displacement
from refine.body import SkinnedBody
from refine.demo.known import KnownDisplacement
from refine.demo.scene import Scene, make_scene
from refine.dense.correspondence import Matching, correspond
from refine.dense.network import shipped_displacer
from refine.render.view import View, render_view
from refine.solve import Decision
from refine.trust.presence import presence
from tests.reference.dense.test_correspondence import PHOTO_FROM_CROP, field

PEOPLE = 2
MOVED_M = 0.05
"""Most that a body is moved by what is left of the few pixels that look like somebody; towards the person it is ten
times that."""


@pytest.fixture(scope="module")
def scene(builtin_body: SkinnedBody) -> Scene:
    return make_scene(builtin_body, PEOPLE)


@dataclass(frozen=True)
class Seeing:
    """A displacer that knows the way and says how likely somebody is there."""

    known: KnownDisplacement
    person: tuple[float | None, ...]

    def displace(self, view: View) -> Displacement:
        said = self.known.displace(view)
        if self.person[0] is None:
            return said
        share = torch.tensor([each or 0.0 for each in self.person])
        return replace(said, person=share[:, None, None].expand(said.offset.shape[:3]))


def fitted(scene: Scene, person: tuple[float | None, ...], keypoints: bool = False) -> refine.Result:
    refiner = refine.Refiner(displacer=Seeing(KnownDisplacement(scene.true), person), matching=Matching(), crop_px=128)
    points = None
    if keypoints:
        pixel = scene.true.keypoints_2d("coco17")
        points = refine.Detections("coco17", pixel, torch.full(pixel.shape[:2], 0.9))
    photos = [photo.pixels for photo in scene.photos]
    return refine.fit(photos, scene.estimate, keypoints=points, refiner=refiner)


def test_an_update_towards_nobody_is_not_taken(scene: Scene) -> None:
    result = fitted(scene, (0.9, 0.3))
    assert [verdict.decision for verdict in result.judgement] == [Decision.ACCEPTED, Decision.NOBODY]
    assert result.judgement[1].person == pytest.approx(0.3, abs=1e-3)
    assert torch.equal(result.bodies.pose[1], scene.estimate.bodies.pose[1])
    assert "30%" in result.verdict[1] and "of this photo?" in result.verdict[1]


def test_keypoints_beside_the_network_know_better(scene: Scene) -> None:
    assert fitted(scene, (0.9, 0.3), keypoints=True).accepted.all()


def test_who_is_not_asked_says_nothing(scene: Scene) -> None:
    result = fitted(scene, (None, None))
    assert result.accepted.all()
    assert [verdict.person for verdict in result.judgement] == [None, None]
    assert presence(replace(result.rounds[-1], evidence=())).isnan().all()


def test_the_mean_is_over_the_pixels_that_are_seen() -> None:
    fragments, displacement = field(torch.ones(1, 8, 8, dtype=torch.bool))
    root = displacement.sqrt_information.clone()
    root[:, :4] = 0.0
    there = torch.zeros(1, 8, 8)
    there[:, 4:6] = 0.5
    seen = Displacement(displacement.offset, root, there)
    matches = correspond(fragments, seen, PHOTO_FROM_CROP, Matching(count=16))
    assert matches.person is not None and float(matches.person) == pytest.approx(0.25)
    hidden = Displacement(displacement.offset, 0 * root, there)
    nothing = correspond(fragments, hidden, PHOTO_FROM_CROP, Matching(count=16)).person
    assert nothing is not None and bool(nothing.isnan())


def without_people(scene: Scene) -> list[np.ndarray]:
    """The photos with everybody painted over from what is around."""
    told = []
    for row, photo in enumerate(scene.photos):
        one = scene.true.rows(torch.tensor([row]))
        low, high = (
            getattr(one.camera.project(one.vertices), each)(1)[0].round().int().tolist() for each in ("amin", "amax")
        )
        mask = np.zeros(photo.size, np.uint8)
        mask[max(0, low[1] - 8) : high[1] + 8, max(0, low[0] - 8) : high[0] + 8] = 1
        told.append(cv2.inpaint(photo.pixels, mask, 3, cv2.INPAINT_TELEA))
    return told


def test_the_network_sees_people_and_empty_rooms(scene: Scene) -> None:
    displacer = shipped_displacer()
    view = render_view(scene.photos, scene.true)
    said = displacer.displace(view)
    assert said.person is not None and said.person.shape == said.offset.shape[:3]
    assert not said.person[view.fragments.triangle < 0].any()
    result = refine.fit([photo.pixels for photo in scene.photos], scene.estimate)
    assert all((verdict.person or 0) > 0.7 for verdict in result.judgement)
    empty = refine.fit(without_people(scene), scene.estimate)
    moved = (empty.joints - scene.estimate.joints).norm(dim=-1).amax(1)
    assert float(moved.max()) < MOVED_M
