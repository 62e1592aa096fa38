"""`refine run --engine ray`: the same chunks on a cluster, the same bytes, also where a worker is killed."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from refine.body import SkinnedBody
from refine.errors import MissingExtra
from refine.folder.run import run_folder
from refine.folder.settings import Settings
from tests.conftest import ROOT
from tests.folders import contents, make_folder

COUNT = 8

# In a process of its own: Ray leaves threads and warnings behind, and its workers import the library without the tests'
# checks.
PROGRAM = """
import os, signal, sys, time
import ray
from ray.cluster_utils import Cluster
from refine.folder.run import run_folder
from refine.folder.settings import Settings

root, kill = sys.argv[1], sys.argv[2] == "kill"
# Two machines, as far as Ray knows, with one CPU each; the driver's has none.
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
ray.init(address=cluster.address, log_to_driver=False, logging_level="error")
seen, killed = [], []

def workers():
    # Processes of the cluster's machines that are making a chunk.
    for node in nodes:
        for info in node.all_processes["raylet"]:
            children = open(f"/proc/{info.process.pid}/task/{info.process.pid}/children").read().split()
            for child in map(int, children):
                if open(f"/proc/{child}/cmdline").read().startswith("ray::make_chunk"):
                    yield child

def kill_one():
    end = time.monotonic() + 60
    while not killed and time.monotonic() < end:
        for pid in workers():
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)
            return
        time.sleep(0.01)

def told(done, total):
    seen.append(done)
    if kill and len(seen) == 2:  # after the first chunk: whoever makes the next one dies
        kill_one()

settings = Settings(f"{root}/results", f"{root}/images", f"{root}/keypoints", chunk_size=1, save_npz=True)
summary = run_folder(settings, f"{root}/ray", engine="ray", progress=told)
assert summary.exit_status == 0 and seen[-1] == summary.done_now == len(summary.files), (summary, seen)
assert len(killed) == kill, killed
ray.shutdown()
cluster.shutdown()
local = run_folder(settings, f"{root}/local", jobs=1)
# The cluster says of each result what one process says: refined, or left as it came because the gate did not believe
# it, and why.
said = [{one.result: (one.status, one.reason) for one in run.files} for run in (summary, local)]
assert said[0] == said[1] and summary.counts == local.counts, said
assert 2 * summary.counts["refined"] > len(summary.files), summary.counts
"""


@pytest.mark.slow
@pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed (pip install refine[ray])")
@pytest.mark.parametrize("how", ["calm", "kill"])
def test_a_cluster_writes_the_same_bytes_also_when_a_worker_is_killed(
    builtin_body: SkinnedBody, tmp_path: Path, how: str
) -> None:
    people = make_folder(builtin_body, tmp_path, COUNT)
    # Ray starts workers with nice 15, by which a busy machine never lets them run.
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "RAY_worker_niceness": "0"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(people.root), how],
        env=environment, capture_output=True, text=True, timeout=580, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert len(contents(tmp_path / "local")) == 2 * COUNT + 2
    assert contents(tmp_path / "ray") == contents(tmp_path / "local")


def test_without_ray_the_way_to_install_it_is_named(
    builtin_body: SkinnedBody, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)  # as where it is not installed
    people = make_folder(builtin_body, tmp_path, 1)
    with pytest.raises(MissingExtra, match=r"refine\[ray\]"):
        run_folder(Settings(people.results, people.images, people.keypoints), tmp_path / "out", engine="ray")
