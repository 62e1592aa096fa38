"""Batches of samples: channels, mirror images, seeds shared by processes, what travels between them."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from displacement_net.loss import Truth
from displacement_net.training.batches import Batch, Lots, batch_of, batches, mirrored
from displacement_net.training.packed import pack, unpack
from displacement_net.training.shown import Crops, SampleSource
from refine.body import SkinnedBody
from refine.dense.network import view_channels
from refine.errors import InputError
from refine.photo import Photo
from refine.render.view import render_view
from tests.people import case
from tests.shifted_discs import SIDE, Shifted


def test_a_mirror_image_of_a_mirror_image_is_the_sample_itself() -> None:
    batch = batch_of(Shifted().batch(3, 2))
    person = torch.rand(2, 4, SIDE, SIDE)
    person[:, 0] = (person[:, 0] > 0.5).float()
    person[:, 1:] *= person[:, :1]
    batch = replace(batch, truth=replace(batch.truth, person=person))
    twice = mirrored(mirrored(batch))
    torch.testing.assert_close(twice.channels, batch.channels)
    torch.testing.assert_close(twice.truth.offset, batch.truth.offset)
    torch.testing.assert_close(twice.truth.person, person)


def test_samples_become_channels_and_truth() -> None:
    samples = Shifted().batch(3, 2)
    batch = batch_of(samples)
    assert batch.channels.shape == (2, 15, SIDE, SIDE)
    torch.testing.assert_close(batch.channels[:, :3], (samples.image - 0.5) / 0.25)
    torch.testing.assert_close(batch.channels[:, 14:], samples.confidence)
    assert bool((batch.truth.visible <= batch.truth.rendered).all())


def test_a_mirror_image_is_what_a_mirrored_person_looks_like(builtin_body: SkinnedBody) -> None:
    """Mirroring a body's vertices left and right mirrors its rendering, rest-pose colours and normals included."""
    people = case(builtin_body, 1, angle=0.0).true
    rest = replace(people.state.bodies, pose=builtin_body.rest_bodies(1).pose)
    people = replace(people, state=replace(people.state, bodies=replace(rest, shape=0 * rest.shape)))
    view = render_view([Photo(np.zeros((480, 400, 3), np.uint8))], people, crop_px=128)
    shown = view_channels(view)
    truth = Truth(torch.zeros(1, 128, 128, 2), view.fragments.triangle >= 0, view.fragments.triangle >= 0)
    other = mirrored(Batch(shown, truth))
    # A body at rest is its own mirror image, up to where the crop's middle lies.
    middle = view.crop.to_crop(people.camera.project(view.vertices))[0, :, 0].aminmax()
    shift = round(float(middle.min + middle.max) - 128)
    moved = torch.roll(other.channels, shift, 3)
    both = torch.roll(other.truth.rendered, shift, 2) & truth.rendered
    assert float(both.sum() / truth.rendered.sum()) > 0.95
    difference = (moved - shown)[:, 3:10].abs().permute(0, 2, 3, 1)[both]
    assert float(difference.mean(0).max()) < 0.1


def test_mirroring_twice_changes_nothing() -> None:
    batch = batch_of(Shifted().batch(0, 2))
    again = mirrored(mirrored(batch))
    torch.testing.assert_close(again.channels, batch.channels)
    torch.testing.assert_close(again.truth.offset, batch.truth.offset)
    assert not torch.equal(mirrored(batch).truth.offset, batch.truth.offset)


def test_processes_share_the_seeds_without_overlap() -> None:
    class Told:
        def __init__(self) -> None:
            self.seeds: list[int] = []

        def batch(self, seed: int, count: int) -> Crops:
            self.seeds.extend(range(seed, seed + count))
            return Shifted().batch(seed, count)

    told = Told()
    for rank in range(2):
        lots = Lots(lambda: told, 3, 10, rank, 2)
        for lot in range(4):
            lots[lot]
    assert isinstance(told, SampleSource)
    assert sorted(told.seeds) == list(range(10, 10 + 4 * 2 * 3))


def test_workers_deliver_what_one_process_would() -> None:
    alone, others = batches(Shifted, 2, first_step=5), batches(Shifted, 2, first_step=5, workers=1)
    for _ in range(3):
        torch.testing.assert_close(next(others).channels, next(alone).channels, rtol=0, atol=0)
    alone.close()
    others.close()


def test_what_is_made_at_once_comes_in_batches_each_once_and_mirrored() -> None:
    made = list(itertools.islice(batches(Shifted, 2, made=6), 12))
    whole = unpack(pack(Shifted().batch(0, 6)))
    photos = [batch.channels[row, :3] for batch in made[0:6:2] for row in range(2)]
    expected = batch_of(whole).channels[:, :3]
    found = [int((expected - photo).flatten(1).abs().amax(1).argmin()) for photo in photos]
    assert sorted(found) == list(range(6)) and found != sorted(found)
    for batch, other in zip(made[0::2], made[1::2], strict=True):
        torch.testing.assert_close(mirrored(batch).channels, other.channels)
    later = next(batches(Shifted, 2, made=6, first_step=9))
    torch.testing.assert_close(later.channels, made[9].channels, rtol=0, atol=0)
    with pytest.raises(InputError, match="made"):
        next(batches(Shifted, 4, made=6))


def test_packed_samples_are_what_they_were_to_a_byte_and_half_precision() -> None:
    samples = Shifted().batch(3, 2)
    again = unpack(pack(samples))
    assert float((again.image - samples.image).abs().max()) <= 0.5 / 255 + 1e-6
    assert float((again.offset - samples.offset).abs().max()) <= 2**-11 * float(samples.offset.abs().max())
    assert torch.equal(again.visible, samples.visible) and again.person is None
