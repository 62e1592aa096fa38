"""Where tracks begin and end: cuts, exchanged ids, gaps; nothing is solved here."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch

from refine.body import SkinnedBody
from refine.errors import InputError
from refine.estimate import Estimate
from refine.geometry import rotation
from refine.inputs.clip import Clip, clip_of
from tests.moving import RATE, Moving, moving

FRAMES = 12


@pytest.fixture(scope="module")
def person(builtin_body: SkinnedBody) -> Moving:
    return moving(builtin_body, FRAMES)


def clip(estimate: Estimate, cuts: Sequence[int] | None = None, rate: float = RATE, count: int = 200) -> Clip:
    return clip_of(estimate, torch.arange(count).double() / rate, cuts)


def moved(estimate: Estimate, rows: list[int], by: tuple[float, float, float]) -> Estimate:
    """The estimate with some rows elsewhere, m."""
    place = estimate.bodies.translation.clone()
    place[rows] += torch.tensor(by)
    bodies = replace(estimate.bodies, translation=place)
    return replace(estimate, state=replace(estimate.state, bodies=bodies))


def segments(found: Clip) -> list[list[int]]:
    return found.tracks.in_order()


def test_a_person_who_is_always_there_is_one_track(person: Moving) -> None:
    found = clip(person.estimate)
    assert segments(found) == [list(range(FRAMES))] and found.observed.all() and not found.notes


def test_where_everybody_jumps_a_shot_begins_and_one_row_that_is_off_is_none(person: Moving) -> None:
    cut = moved(person.estimate, list(range(5, FRAMES)), (1.5, 0.0, 0.0))
    found = clip(cut)
    assert segments(found) == [list(range(5)), list(range(5, FRAMES))] and "frame 5" in found.notes[0]
    assert found.person.unique().tolist() == [0]  # the same person, with one shape
    assert len(segments(clip(moved(person.estimate, [5], (1.5, 0.0, 0.0))))) == 1
    assert len(segments(clip(cut, cuts=[]))) == 1 and len(segments(clip(person.estimate, cuts=[3, 9]))) == 3


def test_a_body_that_turns_around_in_one_step_is_cut(person: Moving) -> None:
    pose = person.estimate.bodies.pose.clone()
    pose[6:, 0] = pose[6:, 0] @ rotation.exp(torch.tensor([0.0, 3.1, 0.0]))
    bodies = replace(person.estimate.bodies, pose=pose)
    found = clip(replace(person.estimate, state=replace(person.estimate.state, bodies=bodies)))
    assert segments(found) == [list(range(6)), list(range(6, FRAMES))]


def test_ids_that_two_people_exchange_are_noticed_and_nothing_is_carried_across(person: Moving) -> None:
    one = person.estimate
    rows = [row for row in range(FRAMES) for _ in (0, 1)]
    both = moved(one.rows(rows), list(range(1, 2 * FRAMES, 2)), (1.2, 0.0, 0.0))
    names = ["anna", "ben"] * FRAMES
    names[12:] = ["ben", "anna"] * (FRAMES - 6)
    exchanged = replace(both, source=replace(both.source, persons=tuple(names)))
    found = clip(exchanged)
    assert any("frame 6" in note and "exchanged" in note for note in found.notes)
    assert sorted(map(len, segments(found))) == [6, 6, 6, 6]
    apart = replace(both, source=replace(both.source, persons=("anna", "ben") * FRAMES))
    assert len(segments(clip(apart))) == 2 and not clip(apart).notes


def test_gaps_of_less_than_a_second_are_filled_on_the_way_between_and_longer_ones_end_a_track(person: Moving) -> None:
    some = person.estimate.rows([0, 1, 2, 6, 7, 8])
    found = clip(some)
    assert len(found.estimate) == 9 and found.estimate.image_index[6:].tolist() == [3, 4, 5]
    assert segments(found) == [[0, 1, 2, 6, 7, 8, 3, 4, 5]] and found.observed.tolist() == [True] * 6 + [False] * 3
    pose = found.estimate.bodies.pose
    steps = [rotation.log(pose[a].mT @ pose[b]) for a, b in ((2, 6), (6, 7), (7, 8), (8, 3))]
    assert all(torch.allclose(step, steps[0], atol=1e-4) for step in steps)
    assert torch.equal(pose[:6], some.bodies.pose)
    slow = clip(some, rate=2.0)
    assert segments(slow) == [[0, 1, 2], [3, 4, 5]] and any("interrupted 1 times" in note for note in slow.notes)


def test_rows_without_usable_numbers_are_in_no_track(person: Moving) -> None:
    unusable = torch.zeros(FRAMES, dtype=torch.bool)
    unusable[4] = True
    found = clip(replace(person.estimate, source=replace(person.estimate.source, unusable=unusable)))
    assert found.tracks.person[4] == -1 and found.person[4] == -1
    assert found.estimate.image_index[FRAMES:].tolist() == [4] and not found.observed[FRAMES]


def test_times_and_cuts_that_are_not_of_the_frames_are_refused(person: Moving) -> None:
    with pytest.raises(InputError, match="shorter than the track"):
        clip(person.estimate, count=5)
    with pytest.raises(InputError, match="out of order"):
        clip_of(person.estimate, torch.zeros(FRAMES).double())
    with pytest.raises(InputError, match="cuts: expected"):
        clip(person.estimate, cuts=[500])
