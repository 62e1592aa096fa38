"""`refine run`, called again: it goes on where it was ended, under the same settings, and writes the same bytes."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import refine
from refine.body import SkinnedBody
from refine.errors import InputError
from refine.folder.outcome import Summary
from refine.solve.levenberg_marquardt import LevenbergMarquardt
from tests.folders import Folder, contents, copy_of, make_folder, run_over, runner
from tests.layouts.romp import write as write_romp

COUNT = 5
QUICK = refine.Refiner(solver=LevenbergMarquardt(steps=2))
"""Where a test is not about how well bodies fit."""


@pytest.fixture(scope="module")
def people(builtin_body: SkinnedBody, tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return make_folder(builtin_body, tmp_path_factory.mktemp("people"), COUNT)


@pytest.fixture
def folder(people: Folder, tmp_path: Path) -> Folder:
    return copy_of(people, tmp_path / "people")


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Summary]:
    return runner(tmp_path, chunk_size=2, refiner=QUICK)


def test_chunks_and_processes_change_no_byte(people: Folder, run: Callable[..., Summary], tmp_path: Path) -> None:
    run(people, "first")
    run(people, "second")
    assert contents(tmp_path / "first") == contents(tmp_path / "second")


@pytest.mark.slow
def test_two_processes_write_the_same_bytes_as_one(people: Folder, run: Callable[..., Summary], tmp_path: Path) -> None:
    run(people, "one")
    run(people, "two", jobs=2)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_a_second_run_does_nothing_again(people: Folder, run: Callable[..., Summary], tmp_path: Path) -> None:
    first = run(people)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.npz")}
    second = run(people)
    assert (first.done_now, second.done_now) == (COUNT, 0)
    assert second.outcomes == first.outcomes
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.npz")} == before


def test_a_file_that_was_deleted_is_made_again(people: Folder, run: Callable[..., Summary], tmp_path: Path) -> None:
    run(people)
    before = contents(tmp_path / "out")
    (tmp_path / "out" / f"{people.names[0]}.npz").unlink()
    assert run(people).done_now == 2  # its chunk
    assert contents(tmp_path / "out") == before


def test_a_folder_in_which_nothing_is_done_yet_may_be_begun_otherwise(
    people: Folder, run: Callable[..., Summary], tmp_path: Path
) -> None:
    class Ended(Exception):
        pass

    def end_at_once(done: int, total: int) -> None:
        raise Ended

    with pytest.raises(Ended):
        run(people, progress=end_at_once)
    assert (tmp_path / "out" / "refine_manifest.json").is_file()
    assert run(people, chunk_size=3, limit=1).done_now == 1


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"chunk_size": 3}, "chunk_size was 2, is 3"),
        ({"threads": 2}, "threads was 1, is 2"),
        ({"camera": "diagonal"}, "camera was not given, is diagonal"),
        ({"limit": 2}, "3 result(s) gone or left out: person_00003.npz"),
        ({"save_npz": True}, "save_npz was False, is True"),
        ({"refiner": refine.Refiner(rounds=2)}, "refiner rounds was 3, is 2"),
    ],
)
def test_other_settings_in_the_same_folder_are_refused_and_named(
    people: Folder, run: Callable[..., Summary], change: dict[str, object], word: str
) -> None:
    run(people)
    with pytest.raises(InputError, match="--no-resume") as error:
        run(people, **change)
    assert word in str(error.value)


def test_new_and_changed_results_are_refused_and_named(folder: Folder, run: Callable[..., Summary]) -> None:
    run(folder)
    shutil.copy(folder.results / f"{folder.names[0]}.npz", folder.results / "newcomer.npz")
    write_romp(folder.results / f"{folder.names[1]}.npz", 1)
    with pytest.raises(InputError) as error:
        run(folder)
    assert "1 result(s) new: newcomer.npz" in str(error.value)
    assert f"1 result(s) changed since: {folder.names[1]}.npz" in str(error.value)


def test_chunk_size_and_threads_are_those_the_folder_was_begun_with(
    people: Folder, run: Callable[..., Summary], tmp_path: Path
) -> None:
    run(people, chunk_size=3)
    again = run_over(people.results, people.images, tmp_path / "out", keypoints=people.keypoints, jobs=1, refiner=QUICK)
    assert again.done_now == 0


def test_beginning_anew_leaves_nothing_of_the_old_run(
    people: Folder, run: Callable[..., Summary], tmp_path: Path
) -> None:
    run(people, save_npz=True)
    run(people, resume=False, limit=2)
    names = {name for name in contents(tmp_path / "out") if name.endswith(".npz")}
    assert names == {"person_00000.npz", "person_00001.npz"}


def test_nobody_elses_file_is_written_over(people: Folder, run: Callable[..., Summary], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "person_00001.npz").write_text("mine")
    with pytest.raises(InputError, match="person_00001"):
        run(people)
    assert (tmp_path / "out" / "person_00001.npz").read_text() == "mine"
    with pytest.raises(InputError, match="another folder"):
        run_over(people.results, people.images, people.results, keypoints=people.keypoints)


def test_results_of_an_earlier_run_below_the_input_are_not_inputs(folder: Folder, run: Callable[..., Summary]) -> None:
    settings = {"keypoints": folder.keypoints, "jobs": 1, "refiner": QUICK}
    for _ in range(2):
        summary = run_over(folder.results, folder.images, folder.results / "refined", **settings)  # type: ignore[arg-type]
        assert len(summary.files) == COUNT


def test_two_runs_do_not_work_in_one_folder(people: Folder, run: Callable[..., Summary], tmp_path: Path) -> None:
    from refine.folder.store import Store

    with Store(tmp_path / "out"), pytest.raises(InputError, match="no other run"):
        run(people)


def test_failed_results_are_tried_again_when_asked(folder: Folder, run: Callable[..., Summary], tmp_path: Path) -> None:
    photo = folder.images / f"{folder.names[1]}.jpg"
    photo.rename(tmp_path / "away.jpg")
    assert run(folder).exit_status == 3
    (tmp_path / "away.jpg").rename(photo)
    assert run(folder).exit_status == 3
    again = run(folder, retry_failed=True)
    assert again.exit_status == 0 and again.done_now == 2
    run(folder, "never")
    assert contents(tmp_path / "out") == contents(tmp_path / "never")
