"""What evidence in space costs: milliseconds a body and step, residual and Jacobian, at batch 32 on one core.

Clouds have 256 points that look for the body, 256 points of it that look for 2048 of theirs; the search is part of it.
"""

from collections.abc import Callable

import torch

from refine.body import anny, pose_body
from refine.evaluate.disturbance import disturb
from refine.evaluate.people import people
from refine.keypoints.joints3d import point_set
from refine.state import Unknowns
from refine.terms import AnalyticTerm
from refine.terms.clicks import Click, clicks
from refine.terms.clouds import point_cloud
from refine.terms.joints3d import joints3d
from refine.terms.lifted import joints25d
from refine.terms.orientation import Facing, orientation
from refine.terms.trackers import trackers
from tests.benchmarks.measurement import Measurement, best_seconds

BATCH, REPEATS = 32, 10
TARGET_MS, CLOUD_MS = 1.0, 3.0
TRACKED = ("head", "left_wrist", "right_wrist")


def measure() -> list[Measurement]:
    """Return points.* figures."""
    body = anny.load()
    true = people(body, BATCH, 0)
    state = disturb(body, true, "medium", list(range(BATCH)))
    unknowns = Unknowns(body.anatomy.core_joints, body.shape_basis.shape[2], 0, 3)
    there = pose_body(body, true.bodies)
    points = point_set(body, "h36m17")
    place, one = there.keypoints(points), torch.ones(BATCH, 17)
    seen = torch.cat((true.camera.project(place), place[..., 2:] - place[:, :1, 2:]), -1)
    numbers = [body.joint_names.index(name) for name in TRACKED]
    turned = there.rotations[:, numbers]
    pixels = true.camera.project(there.joints[:, numbers])
    given = [
        Click(name, tuple(pixels[row, each].clamp(1, 300).tolist()), row)
        for row in range(BATCH) for each, name in enumerate(TRACKED)
    ][:8]  # fmt: skip
    terms: dict[str, tuple[AnalyticTerm, float]] = {
        "joints3d": (joints3d(points, place, 0.03 * one), TARGET_MS),
        "joints3d.relative": (joints3d(points, place, 0.03 * one, shift=True), TARGET_MS),
        "joints3d.scale": (joints3d(points, place, 0.03 * one, shift=True, scale=True), TARGET_MS),
        "joints25d": (joints25d(points, seen, 5 * one, 0.05 * one), TARGET_MS),
        "orientation": (orientation("head", turned[:, 0], 0.1 * one[:, 0]), TARGET_MS),
        "facing": (Facing(one[:, 0], 0.2 * one[:, 0]), TARGET_MS),
        "trackers": (trackers(TRACKED, position=there.joints[:, numbers], rotation=turned), TARGET_MS),
        "clicks": (clicks(body, state, given), TARGET_MS),
        "cloud": (point_cloud(list(there.vertices), joints=there.joints, viewpoint=None), CLOUD_MS),
    }

    def timed(term: AnalyticTerm) -> Callable[[], object]:
        return lambda: term.linearize(state, pose_body(body, state.bodies), unknowns)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        posing = best_seconds(lambda: pose_body(body, state.bodies), REPEATS)
        taken = {name: best_seconds(timed(term), REPEATS) - posing for name, (term, _) in terms.items()}
    finally:
        torch.set_num_threads(threads)
    words = f"a body and step at batch {BATCH}, one thread"
    return [
        Measurement(f"points.{name}", 1000 * seconds / BATCH, "ms", "lower", 0.5, words, terms[name][1])
        for name, seconds in taken.items()
    ]
