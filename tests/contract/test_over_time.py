"""What one looks at of a track: table, page and video, of a short made clip whose motion is known."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import refine
from refine.body import SkinnedBody
from refine.errors import InputError
from refine.evaluate.disturbance import as_estimate, disturb
from refine.evaluate.people import SIZE, people
from refine.photo.clip import open_clip
from refine.result.over_time import COLUMNS, OverTime, people_over_time, times_of_frames
from refine.result.track_report import chosen_frames
from refine.state import State, Tracks
from refine.viz.film import film
from refine.viz.track_page import Curve, TrackPage, track_page
from tests.video_files import picture

FRAMES = 7
PUSH_M_S3 = 6.0
"""Jerk of the made motion: x = t³, along the camera's x."""
FPS = 10.0


@pytest.fixture(scope="module")
def clip(builtin_body: SkinnedBody) -> State:
    """One person who glides to the right ever faster."""
    state = people(builtin_body, 1)[torch.zeros(FRAMES, dtype=torch.long)]
    time = torch.arange(FRAMES) / FPS
    bodies = state.bodies
    shift = torch.stack((time**3, 0 * time, 0 * time), 1)
    return State(replace(bodies, translation=bodies.translation + shift), state.camera)


@pytest.fixture(scope="module")
def result(builtin_body: SkinnedBody, clip: State) -> refine.Result:
    estimate = as_estimate(builtin_body, disturb(builtin_body, clip, "strong", [3] * FRAMES))
    estimate = replace(estimate, source=replace(estimate.source, persons=("anna",) * FRAMES))
    points = as_estimate(builtin_body, clip).keypoints_2d("coco17")
    keypoints = torch.cat((points, torch.full_like(points[..., :1], 0.9)), -1).numpy()
    photos = [np.full((*SIZE, 3), 90 + 10 * number, np.uint8) for number in range(FRAMES)]
    return refine.fit(photos, estimate, keypoints=keypoints)


def tracks(time_s: list[float]) -> Tracks:
    return Tracks(torch.full((len(time_s),), 5), torch.tensor(time_s, dtype=torch.float64))


def test_the_jitter_of_a_known_motion_is_its_jerk_at_any_rate(result: refine.Result) -> None:
    (anna,) = people_over_time(result, fps=FPS)
    assert anna.person == "anna" and anna.frame.tolist() == list(range(FRAMES))
    assert np.allclose(anna.jitter_before[1:-2], PUSH_M_S3, rtol=1e-2)
    assert np.isnan(anna.jitter_before[[0, -2, -1]]).all()
    (slow,) = people_over_time(result, fps=FPS / 2)
    assert np.allclose(slow.jitter_before[1:-2], PUSH_M_S3 / 8, rtol=1e-2)
    (same,) = people_over_time(result, tracks=tracks([number / FPS for number in range(FRAMES)]))
    assert same.person == "5"
    assert np.allclose(same.jitter_before, anna.jitter_before, equal_nan=True)


def test_figures_over_time_are_the_results_own(result: refine.Result) -> None:
    (anna,) = people_over_time(result)
    assert np.allclose(anna.misfit, result.misfit) and np.allclose(anna.misfit_before, result.misfit_before)
    assert (anna.accepted == result.accepted.numpy()).all() and anna.observed.all()
    assert np.allclose(anna.pelvis, result.joints[:, 0]) and (anna.moved > 0).all() and np.isfinite(anna.sigma).all()
    assert np.allclose(np.diff(anna.time_s), 1 / 30)


def test_rows_in_any_order_are_put_in_the_order_of_their_times(result: refine.Result) -> None:
    (anna,) = people_over_time(result)
    mixed = torch.tensor([4, 0, 6, 2, 1, 5, 3])
    shuffled = replace(
        result, estimate=result.estimate.rows(mixed), state=result.state[mixed], misfit=result.misfit[mixed],
        misfit_before=result.misfit_before[mixed], stop=tuple(result.stop[row] for row in mixed.tolist()),
        judgement=tuple(result.judgement[row] for row in mixed.tolist()), rounds=(), detections=None,
        stored_sigma_mm=result.sigma_mm[mixed],
    )  # fmt: skip
    (again,) = people_over_time(shuffled)
    assert np.allclose(again.jitter, anna.jitter, equal_nan=True) and np.allclose(again.misfit, anna.misfit)
    assert mixed.numpy()[again.row].tolist() == list(range(FRAMES))


def test_a_person_twice_in_a_photo_is_no_track(result: refine.Result) -> None:
    twice = replace(result.estimate, image_index=torch.tensor([0, 1, 1, 2, 3, 4, 5]))
    with pytest.raises(InputError, match="anna twice at that of photo 1"):
        people_over_time(replace(result, estimate=twice))
    nameless = replace(twice, source=replace(twice.source, persons=()))
    first, second = people_over_time(replace(result, estimate=nameless))
    assert len(first.frame) == 6 and second.frame.tolist() == [1]


def test_the_table_has_a_line_for_each_frame(result: refine.Result, tmp_path: Path) -> None:
    result.write_csv(tmp_path / "anna.csv", fps=FPS)
    with (tmp_path / "anna.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert tuple(lines[0]) == COLUMNS and len(lines) == FRAMES
    assert [float(line["time_s"]) for line in lines] == [number / FPS for number in range(FRAMES)]
    assert float(lines[2]["misfit_px"]) == pytest.approx(float(result.misfit[2]), rel=1e-4)
    assert lines[0]["jitter_m_s3"] == "" and float(lines[1]["jitter_before_m_s3"]) == pytest.approx(PUSH_M_S3, rel=0.01)
    assert lines[3]["verdict"] == result.verdict[3] and lines[3]["person"] == "anna"


def test_times_that_do_not_fit_are_refused(result: refine.Result) -> None:
    with pytest.raises(InputError, match="twice at that of photo 0"):
        people_over_time(result, tracks=tracks([0.0] * FRAMES))
    with pytest.raises(InputError, match=f"each body, {FRAMES}"):
        people_over_time(result, tracks=tracks([0.0, 0.1]))
    with pytest.raises(InputError, match="one of them"):
        people_over_time(result, tracks=tracks(list(range(FRAMES))), fps=3.0)
    for fps in (0.0, -3.0, float("nan")):
        with pytest.raises(InputError, match="fps"):
            people_over_time(result, fps=fps)


def test_frames_without_people_have_times_between_theirs(result: refine.Result) -> None:
    sparse = replace(result, estimate=replace(result.estimate, image_index=torch.tensor([2, 3, 4, 8, 9, 10, 11])))
    images, times = times_of_frames(sparse, fps=FPS)
    assert images == list(range(2, 12)) and np.allclose(times, np.arange(2, 12) / FPS)
    assert np.allclose(times_of_frames(sparse, fps=FPS, frames=[0, 6, 13])[1], [0.0, 0.6, 1.3])
    for frames in ([], [3, 3], [4, 2]):
        with pytest.raises(InputError, match="frames"):
            times_of_frames(sparse, frames=frames)


@pytest.mark.parametrize("name", ["anna.mp4", "anna.webm"])
def test_the_video_has_a_picture_a_frame_at_its_time(result: refine.Result, tmp_path: Path, name: str) -> None:
    pytest.importorskip("av", reason="the package av, an extra of the tests, is not installed")
    times = [0.0, 0.1, 0.15, 0.3, 0.35, 0.6, 0.7]
    result.write_video(tmp_path / name, tracks=tracks(times), max_side=320)
    found = open_clip(tmp_path / name)
    assert np.abs(found.time_s - times).max() < 2e-3 and found.notes == ()
    grounds = [float(np.median(photo.pixels[60:100, 4:12])) for photo in found.photos]
    assert np.abs(np.array(grounds) - (90 + 10 * np.arange(FRAMES))).max() < 4  # each over its own photo
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_result_without_photos_is_drawn_on_grey_and_one_frame_differs_from_the_next(result: refine.Result) -> None:
    bare = replace(result, photos=())
    drawn = list(film((), bare.estimate, bare.refined, [0, 6], [0.0, 0.6], max_side=320))
    assert drawn[0].shape == drawn[1].shape and not np.array_equal(*drawn)
    assert (drawn[0][60:100, 4:12] == 150).all()


def test_a_frame_that_cannot_be_decoded_is_drawn_on_grey_and_says_so(result: refine.Result) -> None:
    from refine.photo import Photo
    from refine.photo.photo import Undecoded

    def broken() -> Photo:
        raise InputError("video", "a frame 1", "one that cannot be decoded")

    photos = [result.photos[0], Photo(Undecoded(SIZE, broken))]
    whole, lost = film(photos, result.estimate, result.refined, [0, 1], [0.0, 0.1], max_side=320)
    assert abs(float(np.median(whole[60:100, 4:12])) - 90) < 2 and float(np.median(lost[60:100, 4:12])) == 150
    with pytest.raises(InputError, match="indices below 2"):
        list(film(photos, result.estimate, result.refined, [4], [0.0]))


def test_a_frame_without_people_is_the_photo_alone(result: refine.Result) -> None:
    sparse = replace(result.estimate, image_index=torch.tensor([0, 2, 3, 4, 5, 6, 7]))
    after = replace(sparse, state=result.state)
    photos = [*result.photos, result.photos[0]]
    (alone,) = film(photos, sparse, after, [1], [0.1], max_side=320)
    assert (np.abs(alone[42:356, :200].astype(int) - 100) < 3).all()


def test_the_page_of_a_track_shows_its_frames_and_curves(result: refine.Result) -> None:
    page = result.track_report("anna", fps=FPS)
    assert page.shape[1] == 1600 and page.shape[0] > 1000
    assert np.array_equal(page, result.track_report(0, fps=FPS))
    with pytest.raises(InputError, match="one of anna"):
        result.track_report("ben")


def test_the_worst_frames_are_among_those_shown() -> None:
    count = 40
    misfit, moved = np.ones(count), np.ones(count)
    misfit[17], moved[22], moved[5] = 9.0, 9.0, 99.0
    accepted = np.ones(count, bool)
    accepted[5] = False
    nothing, place = np.full(count, np.nan), np.arange(count)
    one = OverTime(
        "x", place, place, place / 30, accepted, accepted, misfit, misfit, nothing, nothing, moved, nothing,
        np.zeros((count, 3)),
    )  # fmt: skip
    chosen = dict(chosen_frames(one))
    assert chosen[17] == "largest misfit" and chosen[22] == "moved most" and 0 in chosen and count - 1 in chosen


def test_a_curve_is_drawn_where_its_numbers_are() -> None:
    time, count = np.arange(50) / 25, 50
    flat, none = np.full(count, 3.0), np.zeros(count, bool)

    def drawn(values: np.ndarray, rejected: np.ndarray = none) -> np.ndarray:
        return track_page(TrackPage("x", "", time, (Curve("figure, px", values),), rejected, none))

    blue = (drawn(flat) == (60, 190, 255)).all(-1)
    rows, columns = np.nonzero(blue[86:290, 130:])
    assert len(rows) and np.ptp(rows) <= 4 and np.ptp(columns) > 1400
    half = flat.copy()
    half[25:] = np.nan
    columns_of_half = np.nonzero((drawn(half) == (60, 190, 255)).all(-1)[86:290, 130:])[1]
    assert 600 < np.ptp(columns_of_half) < 800
    off = none.copy()
    off[10:20] = True
    shaded = (drawn(flat, off) == (240, 224, 214)).all(-1)[150]
    assert 200 < shaded.sum() < 400 and not (drawn(flat) == (240, 224, 214)).all(-1)[150].any()
    nothing = drawn(np.full(count, np.nan))
    assert not (nothing == (60, 190, 255)).all(-1)[86:290, 130:].any()
    with pytest.raises(InputError, match="one a frame, 50"):
        track_page(TrackPage("x", "", time, (Curve("figure", flat[:4]),), none, none))


def test_pictures_that_are_no_video_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    from refine.export.video import write_video

    pytest.importorskip("av", reason="the package av, an extra of the tests, is not installed")
    path, frames = tmp_path / "a.mp4", [picture(number) for number in range(3)]
    refused = [
        ("a name ending", tmp_path / "a.gif", frames, [0.0, 0.1, 0.2]),
        ("a folder that exists", tmp_path / "no" / "a.mp4", frames, [0.0, 0.1, 0.2]),
        ("ascend", path, frames, [0.0, 0.1, 0.1]),
        ("one a time", path, frames, [0.0, 0.1]),
        ("one a time", path, frames, [0.0, 0.1, 0.2, 0.3]),
        ("one a time", path, [], []),
        ("of one size", path, [*frames[:2], picture(2, 50)], [0.0, 0.1, 0.2]),
    ]
    for words, where, pictures, times in refused:
        with pytest.raises(InputError, match=words):
            write_video(where, pictures, times)
    assert list(tmp_path.iterdir()) == []


def test_without_pyav_a_webm_is_written_and_an_mp4_asks_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    from refine.export.video import write_video

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    frames = [picture(number, 49, 63) for number in range(3)]
    with pytest.raises(refine.MissingExtra, match=r"refine\[video\]"):
        write_video(tmp_path / "a.mp4", frames, [0.0, 0.1, 0.2])
    write_video(tmp_path / "a.webm", frames, [0.0, 0.1, 0.2])
    monkeypatch.undo()
    found = open_clip(tmp_path / "a.webm")
    assert len(found) == 3 and found.size == (50, 64) and abs(found.fps - 10) < 0.2
