"""Runs over results that say who is who over time: people are solved as tracks, each as one problem."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import refine
from refine.body import SkinnedBody
from refine.errors import InputError
from refine.folder import batch, plan
from refine.folder.outcome import Summary
from refine.formats import find
from refine.formats.find import formats, is_one_frame, is_over_time
from refine.solve.levenberg_marquardt import LevenbergMarquardt
from tests.folders import contents, run_over
from tests.layouts.gvhmr import write as write_gvhmr
from tests.layouts.prompthmr_video import write as write_prompthmr
from tests.video_folders import make_keypoints, make_video

FRAMES = 8
QUICK = refine.Refiner(solver=LevenbergMarquardt(steps=3), gate=None)


@pytest.fixture
def track(builtin_body: SkinnedBody, tmp_path: Path) -> Path:
    """`results/walk.pt`, `walk.avi` and a folder of keypoints, a file a frame."""
    (tmp_path / "results").mkdir()
    path = write_gvhmr(tmp_path / "results" / "walk.pt", FRAMES)
    make_video(tmp_path / "walk.avi", FRAMES)
    make_keypoints(tmp_path / "keypoints", path, builtin_body)
    return tmp_path


def run(track: Path, out: str, **options: object) -> Summary:
    settings = {"keypoints": track / "keypoints", "jobs": 1, "refiner": QUICK, **options}
    return run_over(track / "results", track / "walk.avi", track / out, **settings)  # type: ignore[arg-type]


def test_a_track_is_what_fit_video_makes_of_it(track: Path, builtin_body: SkinnedBody) -> None:
    summary = run(track, "out", save_npz=True)
    (one,) = summary.files
    assert one.status == "refined" and one.people == one.refined == FRAMES and len(one.photos) == FRAMES, one.reason
    there = refine.load(track / "out" / "walk_refine.npz")
    files = [str(path) for path in sorted((track / "keypoints").iterdir())]
    own = refine.fit_video(track / "walk.avi", track / "results" / "walk.pt", keypoints=files, refiner=QUICK)
    assert there.tracks is not None and own.tracks is not None
    assert torch.equal(there.tracks.time_s, own.tracks.time_s)
    assert torch.allclose(there.joints, own.joints, atol=1e-4)  # a file is written and read between them
    shape = there.bodies.shape
    assert torch.equal(shape, shape[:1].expand_as(shape))


def test_independent_frames_and_tracks_are_not_the_same(track: Path) -> None:
    run(track, "tracks")
    run(track, "frames", independent=True)
    assert contents(track / "tracks")["walk.pt"] != contents(track / "frames")["walk.pt"]
    with pytest.raises(InputError, match="independent"):  # a run is not gone on with in another way
        run(track, "frames")


def test_a_track_is_not_cut_into_parts(track: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(track, "whole")
    monkeypatch.setattr(plan, "PEEK_BYTES", 1)
    summary = run(track, "large", chunk_size=3)
    assert [one.part for one in summary.outcomes] == [None]
    assert contents(track / "whole")["walk.pt"] == contents(track / "large")["walk.pt"]


def test_a_frame_whose_keypoints_are_broken_is_carried_by_those_around_it_and_named(track: Path) -> None:
    (track / "keypoints" / "walk_000000000002_keypoints.json").write_text("{")
    (one,) = run(track, "out").files
    assert one.status == "partly" and "photo 2" in one.reason and one.refined == FRAMES
    before, after = (find.read(track / name / "walk.pt") for name in ("results", "out"))
    moved = (after.keypoints_2d("coco17") - before.keypoints_2d("coco17")).norm(dim=-1).mean(1)
    assert float(moved[2]) > 0.5 * float(moved[[1, 3]].mean())


def test_a_video_shorter_than_its_track_says_so_and_a_longer_one_is_used(track: Path) -> None:
    make_video(track / "walk.avi", FRAMES - 3)
    (one,) = run(track, "short").files
    assert one.status == "failed" and f"{FRAMES} photos" in one.reason and f"{FRAMES - 3}" in one.reason
    make_video(track / "walk.avi", FRAMES + 3)
    assert run(track, "long").files[0].status == "refined"


def test_a_frame_rate_that_is_said_goes_before_the_videos(track: Path) -> None:
    for rate, step in ((None, 1 / 25), (50.0, 1 / 50)):
        run(track, f"out{rate}", save_npz=True, fps=rate)
        tracks = refine.load(track / f"out{rate}" / "walk_refine.npz").tracks
        assert tracks is not None and torch.allclose(tracks.time_s, step * torch.arange(FRAMES).double(), atol=1e-6)
    with pytest.raises(InputError, match="--fps"):
        run(track, "wrong", fps=0.0)


@pytest.fixture
def people(builtin_body: SkinnedBody, tmp_path: Path) -> Path:
    """The same of a file of two people, of whom one comes later."""
    (tmp_path / "results").mkdir()
    path = write_prompthmr(tmp_path / "results" / "walk.pkl")
    make_video(tmp_path / "walk.avi", 4)
    make_keypoints(tmp_path / "keypoints", path, builtin_body)
    return tmp_path


def test_a_track_that_fails_takes_nobody_with_it(people: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual, calls = batch.fit_clip, []

    def failing(*arguments: object, **keywords: object) -> refine.Result:
        calls.append(1)
        if len(calls) == 1:
            raise ArithmeticError("nothing comes out")
        return usual(*arguments, **keywords)  # type: ignore[arg-type]

    run(people, "whole")
    monkeypatch.setattr(batch, "fit_clip", failing)
    (one,) = run(people, "out").files
    before, after, whole = (find.read(people / name / "walk.pkl") for name in ("results", "out", "whole"))
    persons = before.source.persons
    assert one.status == "partly" and "nothing comes out" in one.reason
    lost = torch.tensor([who == persons[0] for who in persons])
    assert bool(lost.any()) and not bool(lost.all())
    assert torch.equal(before.source.pose[lost], after.source.pose[lost])
    assert torch.equal(whole.source.pose[~lost], after.source.pose[~lost])


def test_what_says_nothing_usable_about_time_is_solved_frame_by_frame_with_a_note(people: Path) -> None:
    def again(path: Path, *arguments: object, **keywords: object) -> object:
        found = read(path, *arguments, **keywords)
        return replace(found, source=replace(found.source, persons=("anna",) * len(found)))

    module = formats()["prompthmr_video"]
    read: Callable[..., refine.Estimate] = module.read
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "read", again)
        (one,) = run(people, "out").files
    assert one.status == "refined" and any("each person once" in note for note in one.notes)


def test_formats_of_videos_say_so_and_those_of_photos_do_not() -> None:
    over_time = {name for name, module in formats().items() if getattr(module, "OVER_TIME", False)}
    assert over_time >= {"phalp", "wham", "gvhmr", "tram", "prompthmr_video", "glamr", "pymafx", "cliff", "easymocap"}
    assert not over_time & {"spin", "agora", "eft", "smplerx", "humandata"}


def test_one_frame_says_nothing_about_time(track: Path) -> None:
    whole = find.read(track / "results" / "walk.pt")
    assert is_over_time(whole) and not is_over_time(whole.rows([3]))
    assert not is_over_time(replace(whole, source=replace(whole.source, format="spin")))
    assert not is_one_frame(track / "results" / "walk.pt")
