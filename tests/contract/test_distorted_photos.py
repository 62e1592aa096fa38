"""`fit` with calibrated intrinsics that distort: the photo stays as it was taken, and so do its pixels."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import refine
from refine.body import SkinnedBody
from refine.geometry.camera import HALF_PIXEL
from refine.inputs.cameras import CameraLike
from refine.keypoints.detections import Detections
from refine.refiner import Refiner
from tests.people import HEIGHT, WIDTH, Case, case

LENS = [-0.45, 0.2, 0.004, -0.003, -0.04]
FOCAL = 480.0
K = [[FOCAL, 0.0, WIDTH / 2 - HALF_PIXEL], [0.0, FOCAL, HEIGHT / 2 - HALF_PIXEL], [0.0, 0.0, 1.0]]
SEEN_PX = 2.0
"""Misfit after refining exact keypoints, most of it the priors'."""


@pytest.fixture(scope="module")
def people(builtin_body: SkinnedBody) -> Case:
    """People near the photo's border, seen through the lens; the estimate is of the camera without it."""
    plain = case(builtin_body, 2, angle=0.1)
    bent = replace(plain.true.camera, distortion=plain.true.camera.focal.new_tensor([LENS]).expand(2, -1))
    bodies = replace(plain.true.bodies, translation=plain.true.bodies.translation + torch.tensor([0.9, 0.3, 0.0]))
    true = replace(plain.true, state=replace(plain.true.state, bodies=bodies, camera=bent))
    aside = plain.estimate.bodies.translation + torch.tensor([0.9, 0.3, 0.0])
    other = replace(plain.estimate.bodies, translation=aside)
    estimate = replace(plain.estimate, state=replace(plain.estimate.state, bodies=other))
    pixel = true.keypoints_2d("body25")
    found = Detections("body25", pixel, torch.ones(pixel.shape[:2]))
    draw = np.random.default_rng(0)
    photos = [draw.integers(0, 255, (HEIGHT, WIDTH, 3)).astype(np.uint8) for _ in range(2)]
    return Case(photos, true, estimate, found)


def test_a_lens_moves_people_by_pixels(people: Case) -> None:
    straight = replace(people.true, state=replace(people.true.state, camera=people.estimate.camera))
    assert (people.detections.pixel - straight.keypoints_2d("body25")).norm(dim=-1).max() > 15


@pytest.mark.parametrize("form", ["file", "mapping", "camera"])
def test_the_photo_stays_as_it_was_taken(people: Case, form: str, tmp_path: Path) -> None:
    intrinsics: CameraLike = {"K": K, "distortion": LENS}
    if form == "file":
        (tmp_path / "K.json").write_text(json.dumps(intrinsics))
        intrinsics = tmp_path / "K.json"
    if form == "camera":
        intrinsics = refine.Camera.from_opencv(np.array(K), np.array(LENS), size=(HEIGHT, WIDTH))
    result = refine.fit(
        people.photos, people.estimate, keypoints=people.detections, camera=intrinsics, refiner=Refiner()
    )
    for kept, given in zip(result.photos, people.photos, strict=True):
        assert np.array_equal(kept.pixels, given)
    assert result.camera.distortion is not None and torch.allclose(result.camera.distortion[0], torch.tensor(LENS))
    assert (result.misfit < SEEN_PX).all() and result.accepted.all()
    apart = (result.keypoints_2d("body25") - people.detections.pixel).norm(dim=-1)
    assert apart.median() < SEEN_PX
    if form != "camera":
        assert any("with its lens' distortion" in note for note in result.notes)


def test_without_its_distortion_the_person_ends_elsewhere(people: Case) -> None:
    found = [
        refine.fit(people.photos, people.estimate, keypoints=people.detections, camera=camera, refiner=Refiner())
        for camera in ({"K": K, "distortion": LENS}, {"K": K})
    ]
    pelvis = people.true.joints[:, 0]
    off = [(one.joints[:, 0] - pelvis).norm(dim=-1) for one in found]  # the lens makes them small, as distance does
    assert (3 * off[0] < off[1]).all()


def test_a_saved_result_keeps_its_lens(people: Case, tmp_path: Path) -> None:
    result = refine.fit(
        people.photos, people.estimate, keypoints=people.detections, camera={"K": K, "distortion": LENS},
        refiner=Refiner(),
    )  # fmt: skip
    result.save(tmp_path / "result.npz")
    back = refine.load(tmp_path / "result.npz")
    assert (back.keypoints_2d("coco17") - result.keypoints_2d("coco17")).abs().max() < 1e-3
    assert torch.equal(back.camera.distortion, result.camera.distortion)  # type: ignore[arg-type]
