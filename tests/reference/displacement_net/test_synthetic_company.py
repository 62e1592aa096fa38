"""Synthetic people in company: who embraces whom, who is in front, what they hold, how photos are developed."""

import math

import numpy as np
import pytest
import torch

from displacement_net.training import camera_noise
from displacement_net.training.assets import procedural_assets
from displacement_net.training.camera_noise import Limb, photographed
from displacement_net.training.layers import Layer, compose, others_depth, slots
from displacement_net.training.objects import HOLDING, hold
from displacement_net.training.samples import Sampler
from displacement_net.training.sources import InTurns
from displacement_net.training.turns import IN_TURN, in_turn
from refine.body import SkinnedBody, pose_body
from refine.errors import InputError
from refine.evaluate import casting
from refine.evaluate.motion import shipped_recordings
from tests.reference.displacement_net.test_synthetic_people import stand_in

COUNT = 400


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_those_who_embrace_touch_and_look_at_each_other(builtin_body: SkinnedBody) -> None:
    draw = rng()
    photo, kind, _ = casting._company(COUNT, rng())
    scene = casting.cast(builtin_body, shipped_recordings(), COUNT, draw)
    assert np.array_equal(scene.photo.numpy(), photo)  # the first draws of both
    joints = pose_body(builtin_body, scene.bodies).joints
    level = scene.camera_from_level[scene.photo]
    look = (level.mT @ scene.bodies.pose[:, 0])[:, (0, 2), 2]  # where pelvises face, seen from above
    look = torch.nn.functional.normalize(look, dim=1)
    for number, facing in ((casting.EMBRACED, -1.0), (casting.ARM_IN_ARM, 1.0)):
        rows = np.flatnonzero(kind == number)
        _, first = np.unique(photo[rows], return_index=True)
        rows = rows[first]
        assert len(rows) > 10
        other = photo[rows]
        apart = (joints[rows, 0] - joints[other, 0]).norm(dim=1)
        assert float(apart.median()) < 0.5
        cosine = (look[rows] * look[other]).sum(1) * facing
        assert float(cosine.median()) > 0.9


def test_rows_stand_side_by_side(builtin_body: SkinnedBody) -> None:
    photo, kind, place = casting._company(COUNT, rng(3))
    rows = kind == casting.IN_ROW
    assert 0.04 * COUNT < len(np.unique(photo[rows])) < 0.16 * COUNT
    for number in np.unique(photo[rows]):
        places = place[rows & (photo == number)].tolist()
        assert 0.0 not in places and len(set(places)) == len(places)


def test_everybody_in_a_photo_has_a_slot() -> None:
    photo = np.array([0, 1, 2, 3, 2, 0, 2, 2])
    table = slots(photo, 4)
    assert table.tolist() == [[0, 5, -1, -1], [1, -1, -1, -1], [2, 4, 6, 7], [3, -1, -1, -1]]


def layer_of(depths: list[float], covered: list[float]) -> Layer:
    """People who fill one pixel each, in colours of their number."""
    color = torch.arange(len(depths)).float()[:, None, None, None].expand(-1, 1, 1, 3) / 10
    return Layer(color, torch.tensor(covered)[:, None, None], torch.tensor(depths)[:, None, None])


def test_the_nearest_is_in_front_and_shines_where_it_is_not_covered() -> None:
    table = np.array([[0, 2], [1, -1]])
    picture = compose(layer_of([3.0, 1.0, 2.0], [1.0, 0.5, 0.75]), table)
    torch.testing.assert_close(picture[0, 0, 0], torch.tensor([0.15, 0.15, 0.15, 1.0]))  # 0.75 of 0.2, a quarter of 0
    torch.testing.assert_close(picture[1, 0, 0], torch.tensor([0.05, 0.05, 0.05, 0.5]))


def test_others_are_all_but_who_is_asked_about() -> None:
    table, layer = np.array([[0, 2, 3], [1, -1, -1]]), layer_of([3.0, 1.0, 2.0, 5.0], [1.0] * 4)
    near = others_depth(layer, table, np.array([0, 0, 1]), np.array([0, 2, 1]))[:, 0, 0]
    assert near.tolist() == [2.0, 3.0, math.inf]


def test_the_first_estimate_is_of_the_first_person_and_others_have_their_turn() -> None:
    table = np.stack((np.arange(500), np.arange(500, 1000)), 1)
    pelvis = np.full((1000, 2), 0.5)
    pelvis[500:600] = (0.5, 1.2)  # outside the crop
    photo = np.arange(1000) % 500
    who = in_turn(photo, table, pelvis, rng())
    assert np.array_equal(who[:500], table[:, 0])
    assert np.array_equal(who[500:600], table[:100, 0])
    turned = who[600:] == table[100:, 1]
    assert np.array_equal(who[600:][~turned], table[100:, 0][~turned])
    assert abs(turned.mean() - IN_TURN) < 0.08


def test_each_sample_shows_the_person_it_asks_about(builtin_body: SkinnedBody) -> None:
    def as_they_are(body: SkinnedBody, true: object, draw: object) -> object:
        return true

    sampler = Sampler(
        stand_in(builtin_body), procedural_assets(), size=64, looks=3, estimates=as_they_are, children=0.0
    )
    samples = sampler.batch(5, 32)
    shown = samples.person[:, 0] > 0
    hidden = samples.visible & ~shown
    assert float(hidden.sum()) < 0.05 * float(samples.visible.sum())
    assert float(samples.offset[samples.visible].abs().max()) < 0.02


def test_things_are_held_in_hands() -> None:
    count, side = 600, 32
    color, opacity = torch.zeros(count, side, side, 3), torch.zeros(count, side, side)
    hands = np.full((count, 2, 2), 0.25)
    hands[:, 1] = 0.75
    hold(torch.zeros(4, 8, 8), color, opacity, hands, np.full(count, 0.15), rng())
    holding = opacity.flatten(1).amax(1) > 0
    assert abs(float(holding.float().mean()) - HOLDING) < 0.06
    row, column = torch.meshgrid(*(torch.arange(side) + 0.5,) * 2, indexing="ij")
    mass = opacity[holding].flatten(1)
    middle = torch.stack([(mass * each.flatten()).sum(1) / mass.sum(1) / side for each in (column, row)], 1)
    near = torch.minimum((middle - 0.25).norm(dim=1), (middle - 0.75).norm(dim=1))
    assert float(near.median()) < 0.1


def test_a_moving_limb_is_blurred_across_and_the_rest_is_sharp(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BLURRED", "MOVED", "COARSE", "NOISY", "COMPRESSED", "GREYSCALE", "GRADED"):
        monkeypatch.setattr(camera_noise, name, 0.0)
    for name in ("EXPOSURE_STOPS", "BALANCE", "CONTRAST"):
        monkeypatch.setattr(camera_noise, name, 0.0)
    picture = 0.2 + 0.6 * (torch.arange(128) // 4 % 2).float().expand(8, 3, 128, 128)  # upright stripes
    limb = Limb(np.full((8, 2), 32.0), np.full(8, 12.0), np.full(8, np.pi / 2))  # upright, moves across the stripes
    monkeypatch.setattr(camera_noise, "WAVED", 1.0)
    moved = photographed(picture, rng(), limb)
    monkeypatch.setattr(camera_noise, "WAVED", 0.0)
    still = photographed(picture, rng(), limb)
    contrast = [part[:, :, 26:38, 26:38].std(dim=(1, 2, 3)) for part in (moved, still)]
    assert float((contrast[0] / contrast[1]).median()) < 0.8
    assert torch.allclose(moved[:, :, 80:, 80:], still[:, :, 80:, 80:], atol=1e-5)


def test_developed_photos_keep_their_edges(monkeypatch: pytest.MonkeyPatch) -> None:
    step = torch.full((16, 3, 32, 32), 0.25)
    step[..., 16:] = 0.7
    graded = camera_noise._graded(step, np.arange(16), rng())
    assert not torch.allclose(graded, step, atol=0.02)
    assert float((graded[..., 17:].mean((1, 2, 3)) - graded[..., :15].mean((1, 2, 3))).min()) > 0.1
    grey = camera_noise._grey(graded, rng())
    assert torch.equal(grey[:, 0], grey[:, 1]) and float(grey.min()) >= 0 and float(grey.max()) <= 1
    monkeypatch.setattr(camera_noise, "GRADED", 0.0)
    assert camera_noise._graded(step, np.zeros(0, int), rng()) is step


def test_lots_come_in_several_sizes(builtin_body: SkinnedBody) -> None:
    small = Sampler(stand_in(builtin_body), procedural_assets(), size=32, looks=2)
    large = small.sized(48)
    sides = [InTurns((small, large), (0.5, 0.5)).batch(seed, 2).image.shape[-1] for seed in range(8)]
    assert set(sides) == {32, 48} and small.size == 32
    with pytest.raises(InputError, match="size"):
        small.sized(20)
