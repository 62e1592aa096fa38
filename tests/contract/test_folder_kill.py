"""A run that is killed, at any moment and at every step of a commit, ends in the same bytes as one that is not."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from refine.body import SkinnedBody
from tests.conftest import ROOT
from tests.folders import Folder, contents, make_folder
from tests.layouts.prompthmr_video import write as write_prompthmr
from tests.video_folders import make_keypoints, make_video

COUNT, KILLS = 6, 20

# Children of one warm process: a run begins within milliseconds, so that the moments fall into the run and not into
# imports.
PROGRAM = """
import os, random, signal, sys, time
import torch
import refine
from refine.folder.run import run_folder
from refine.folder.settings import Settings
from refine.body import anny
from refine.solve.levenberg_marquardt import LevenbergMarquardt
import scipy.optimize, cv2, refine.keypoints.formats.find, priors.default

torch.set_num_threads(1)
how, root, kills, SOME = sys.argv[1], sys.argv[2], int(sys.argv[3]), 3
quick = refine.Refiner(solver=LevenbergMarquardt(steps=2))

def run(out, limit=None):
    settings = Settings(f"{root}/results", f"{root}/images", f"{root}/keypoints", chunk_size=2, save_npz=True)
    run_folder(settings, f"{root}/{out}", jobs=1, refiner=quick, limit=limit)

def child(work):
    pid = os.fork()
    if pid == 0:
        work()
        os._exit(0)
    return pid

def ended(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

def die_at(number, out):
    passed = [0]
    def counted(function):
        def call(*arguments, **keywords):
            passed[0] += 1
            if passed[0] == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **keywords)
        return call
    for name in ("fsync", "rename", "replace", "mkdir", "rmdir"):
        setattr(os, name, counted(getattr(os, name)))
    run(out, SOME)
    return passed[0]

start = time.perf_counter()
assert ended(child(lambda: run("whole"))) == 0
length = time.perf_counter() - start
draw = random.Random(0)
if how == "moments":
    for number in range(kills):
        pid = child(lambda: run(f"out{number}"))
        time.sleep(draw.uniform(0.02, length))
        os.kill(pid, signal.SIGKILL)
        ended(pid)
        assert ended(child(lambda: run(f"out{number}"))) == 0
else:
    read, write = os.pipe()
    assert ended(child(lambda: os.write(write, str(die_at(0, "some")).encode()))) == 0
    steps = int(os.read(read, 20))
    for number, step in enumerate(sorted(draw.sample(range(1, steps + 1), kills))):
        assert ended(child(lambda: die_at(step, f"step{number}"))) == -signal.SIGKILL
        assert ended(child(lambda: run(f"step{number}", SOME))) == 0
"""


@pytest.fixture(scope="module")
def people(builtin_body: SkinnedBody, tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return make_folder(builtin_body, tmp_path_factory.mktemp("people"), COUNT)


@pytest.fixture(scope="module")
def videos(builtin_body: SkinnedBody, tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """Three videos of two people each, a file a video."""
    folder = Folder(tmp_path_factory.mktemp("videos"), ("walk_0", "walk_1", "walk_2"))
    for place in (folder.results, folder.images):
        place.mkdir()
    for name in folder.names:
        result = write_prompthmr(folder.results / f"{name}.pkl")
        make_video(folder.images / f"{name}.avi", 4)
        make_keypoints(folder.keypoints, result, builtin_body, name)
    return folder


def program(people: Folder, how: str, kills: int = KILLS) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, how, str(people.root), str(kills)],
        env=environment, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]


def assert_as_if_never_killed(out: Path, whole: Path) -> None:
    assert contents(out) == contents(whole)
    state = out / ".refine"
    assert not list((state / "work").iterdir()) and not list(out.rglob("*.part"))
    assert {path.name for path in state.iterdir()} == {"lock", "working", "work", "chunks"}
    assert not list((state / "chunks").glob("*/files"))


@pytest.mark.slow
def test_a_kill_at_any_moment_changes_no_byte(people: Folder) -> None:
    program(people, "moments")
    for number in range(KILLS):
        assert_as_if_never_killed(people.root / f"out{number}", people.root / "whole")


@pytest.mark.slow
def test_a_kill_at_any_step_of_a_commit_changes_no_byte(people: Folder) -> None:
    program(people, "steps")
    for number in range(KILLS):
        assert_as_if_never_killed(people.root / f"step{number}", people.root / "some")


@pytest.mark.slow
def test_a_kill_at_any_moment_changes_no_byte_of_a_track(videos: Folder) -> None:
    program(videos, "moments", KILLS // 2)
    assert {"walk_0.pkl", "walk_0_refine.npz"} <= contents(videos.root / "whole").keys()
    for number in range(KILLS // 2):
        assert_as_if_never_killed(videos.root / f"out{number}", videos.root / "whole")


@pytest.mark.slow
def test_workers_of_a_killed_run_do_not_outlive_it(people: Folder, tmp_path: Path) -> None:
    command = [
        sys.executable, "-m", "refine", "run", str(people.results), "--images", str(people.images), "--keypoints", str(people.keypoints),  # noqa: E501
        "--out", str(tmp_path / "out"), "--jobs", "2", "--chunk-size", "1", "--save-npz",
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    run = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    chunks, end = tmp_path / "out" / ".refine" / "chunks", time.monotonic() + 120
    while run.poll() is None and time.monotonic() < end and not (chunks.is_dir() and list(chunks.iterdir())):
        time.sleep(0.02)
    run.kill()
    run.wait()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "out").rglob("*.npz"))) == 2 * COUNT
