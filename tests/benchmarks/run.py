"""A folder at scale: what `refine run` takes beyond reading and solving, and whether its memory stays flat.

    run.folder.wall = wall / (reading + decoding + solving)
    run.folder.memory = peak of the large folder / peak of a tenth of it

of results of one person each, photos of `SCALE` times 480 x 400 px and OpenPose's keypoints, one process on two cores.
The run is a process of its own. Runs on keypoints decode no photo: reading
checks that it is whole. Where other work keeps the cores busy, the stages take longer too, and the share says less.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from refine.body import anny
from tests.benchmarks.measurement import Measurement
from tests.folders import make_folder

ITEMS = int(os.environ.get("REFINE_BENCHMARK_ITEMS", "2000"))
"""Results of the large folder; the small one has a tenth."""

SCALE = 3
GIB = 2**30

# The peak is that of this process alone (VmHWM).
PROGRAM = """
import sys
from refine.folder.run import run_folder
from refine.folder.settings import Settings
root, out = sys.argv[1:3]
settings = Settings(f"{root}/results", f"{root}/images", f"{root}/keypoints")
summary = run_folder(settings, out, jobs=1, limit=int(sys.argv[3]))
rows = open("/proc/self/status").read().splitlines()
peak = 1024 * next(int(row.split()[1]) for row in rows if row.startswith("VmHWM"))
seconds = summary.seconds
print(summary.counts["refined"], seconds["wall"], seconds["solving"], seconds["decoding"], seconds["reading"],
    seconds["writing"], peak)
"""


def measure() -> list[Measurement]:
    """Return run.folder.wall, run.folder.rate and run.folder.memory."""
    with tempfile.TemporaryDirectory(prefix="refine-benchmark-") as folder:
        root = Path(folder)
        make_folder(anny.load(), root, ITEMS, scale=SCALE)
        *_, small = _run(root, root / "small", max(ITEMS // 10, 1))
        done, wall, solving, decoding, reading, writing, large = _run(root, root / "large", ITEMS)
    share = 100 * wall / (reading + decoding + solving)
    took = f"{solving:.0f} s solving, {decoding:.0f} decoding, {reading:.0f} reading, {writing:.0f} writing, overlapped"
    memory = f"{max(ITEMS // 10, 1)} -> {ITEMS} results: {small / GIB:.2f} -> {large / GIB:.2f} GiB peak"
    return [
        Measurement("run.folder.wall", share, "%", "lower", 0.2, f"{done:.0f} results in {wall:.0f} s: {took}", 115.0),
        Measurement("run.folder.rate", done / wall, "/s", "higher", 0.5, "people, 25 keypoints, one process"),
        Measurement("run.folder.memory", 100 * large / small, "%", "lower", 0.1, memory, 110.0),
    ]


def _run(root: Path, out: Path, count: int) -> tuple[float, ...]:
    command = [sys.executable, "-c", PROGRAM, str(root), str(out), str(count)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return tuple(map(float, done.stdout.split()))
