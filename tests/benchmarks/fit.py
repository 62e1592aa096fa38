"""How much better bodies become: on the demo's people, where the truth is known, and on real photos at hand.

PVE is pelvis-aligned, in mm; estimates are of medium strength. Real photos are looked for where the tests look
(REFINE_REAL_DATA, by default `../shared/data` beside the checkout); without them their figures are NaN and the gate
passes over them.
"""

import os
import time
from pathlib import Path

import numpy as np
import torch

import refine
from priors.default import default_priors
from refine.body import SkinnedBody, anny, pose_body
from refine.demo.known import KnownDisplacement
from refine.demo.run import MATCHING, ROUNDS
from refine.demo.scene import Scene, make_scene
from refine.estimate import Estimate, Source
from refine.evaluate import metrics
from refine.evaluate.disturbance import disturb
from refine.evaluate.people import people
from refine.refiner import Refiner
from tests.benchmarks.measurement import Measurement

PEOPLE = 16
TOGETHER = 32
"""People whose time is measured."""
TIMES = 3
CORES = 2
TOLERANCE = 0.1
"""Accuracy hardly depends on the machine: rounding decides which of two near pixels is matched."""
REAL_KEYS = ("fit.romp.pixels", "fit.romp.joints", "fit.bev.arms.0", "fit.bev.arms.1", "fit.bev.time")
"""What is only reported where the real photos are absent, so that the gate does not miss it."""
ROOT = Path(__file__).parents[2]


def measure() -> list[Measurement]:
    """Return fit.demo.*, fit.keypoints.* and, with real photos, fit.romp.* and fit.bev.*."""
    threads = torch.get_num_threads()
    torch.set_num_threads(CORES)
    try:
        scene = make_scene(anny.load(), PEOPLE)
        return [*_demo(scene), *_keypoints(scene), *_real()]
    finally:
        torch.set_num_threads(threads)


def _demo(scene: Scene) -> list[Measurement]:
    """Dense matches from a displacement that is known, exact and spoiled."""
    kinds = {
        "true": (KnownDisplacement(scene.true), 25.0, "true correspondences"),
        "noise": (KnownDisplacement(scene.true, noise_px=2.0), None, "2 px noise"),
        "outliers": (KnownDisplacement(scene.true, outliers=0.2), None, "20 % outliers"),
        "hidden": (KnownDisplacement(scene.true, hidden=True), 45.0, "half the body hidden"),
    }
    found, priors, before = [], default_priors(scene.estimate), _pve(scene, scene.estimate)
    for name, (displacer, target, words) in kinds.items():
        refiner = Refiner(displacer=displacer, matching=MATCHING, rounds=ROUNDS)
        start = time.perf_counter()
        state = refiner.refine(scene.photos, scene.estimate, (), priors)[-1].state
        seconds = (time.perf_counter() - start) / PEOPLE
        after = _pve(scene, Estimate(scene.true.body, state, scene.true.image_index, scene.true.source))
        found += _figures(f"fit.demo.{name}", before, after, words, target)
        found.append(
            Measurement(
                f"fit.demo.{name}.time", seconds, "s", "lower", 0.5, f"a person, {ROUNDS} rounds, rendering included"
            )
        )
    return found


def _keypoints(scene: Scene) -> list[Measurement]:
    """`refine.fit` with 17 keypoints and nothing else."""
    points = scene.true.keypoints_2d("coco17")
    points = points + 2.0 * torch.randn(points.shape, generator=torch.Generator().manual_seed(0))
    keypoints = torch.cat((points, torch.full_like(points[..., :1], 0.9)), -1).numpy()
    photos = [photo.pixels for photo in scene.photos]
    result = refine.fit(photos, scene.estimate, keypoints=keypoints)
    words = "refine.fit on coco17 with 2 px noise"
    seconds = _seconds_of_keypoints(scene.estimate.body)
    note = f"a person, {words}, gate, {TOGETHER} people together, one core, best of {TIMES}"
    return [
        *_figures("fit.keypoints", _pve(scene, scene.estimate), _pve(scene, result.refined), words, None),
        Measurement("fit.keypoints.time", seconds, "s", "lower", 0.5, note),
    ]


def _seconds_of_keypoints(body: SkinnedBody) -> float:
    """Seconds a person that `refine.fit` takes with 17 keypoints, all of it but reading photos."""
    true = people(body, TOGETHER)
    state = disturb(body, true, "medium", range(TOGETHER))
    bodies = state.bodies
    source = Source("memory", body.model, bodies.pose, bodies.shape, bodies.expression, bodies.translation)
    estimate = Estimate(body, state, torch.zeros(TOGETHER, dtype=torch.long), source)
    pixel = true.camera.project(pose_body(body, true.bodies).keypoints(body.keypoint_set("coco17")))
    pixel = pixel + 2.0 * torch.randn(pixel.shape, generator=torch.Generator().manual_seed(0))
    seen = refine.Detections("coco17", pixel, torch.full(pixel.shape[:2], 0.9))
    height, width = state.camera.size[0].int().tolist()
    photo = np.zeros((height, width, 3), np.uint8)
    threads, taken = torch.get_num_threads(), []
    torch.set_num_threads(1)
    try:
        for _ in range(1 + TIMES):
            start = time.perf_counter()
            refine.fit(photo, estimate, keypoints=seen)
            taken.append(time.perf_counter() - start)
    finally:
        torch.set_num_threads(threads)
    return min(taken[1:]) / TOGETHER


def _figures(
    key: str, before: torch.Tensor, after: torch.Tensor, words: str, target: float | None
) -> list[Measurement]:
    """PVE after over before, and the share of people made worse."""
    ratio = 100 * float(after.mean() / before.mean())
    note = f"PVE after / before, {float(before.mean()):.1f} -> {float(after.mean()):.1f} mm, {PEOPLE} people, {words}"
    worse = 100 * float((after > before).double().mean())
    return [
        Measurement(f"{key}.ratio", ratio, "%", "lower", TOLERANCE, note, target),
        Measurement(f"{key}.worse", worse, "%", "lower", TOLERANCE, "people whose PVE grew"),
    ]


def _pve(scene: Scene, estimate: Estimate) -> torch.Tensor:
    joints, true = estimate.joints, scene.true.joints
    return metrics.pve(estimate.vertices, scene.true.vertices, joints[:, 0], true[:, 0])


def _real() -> list[Measurement]:
    """A ROMP estimate on the built-in body, and a BEV estimate refined with ViTPose's keypoints."""
    folder = Path(os.environ.get("REFINE_REAL_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        return [Measurement(key, float("nan"), "", "report", note=f"no real photos at {folder}") for key in REAL_KEYS]
    estimate = refine.read(folder / "romp_photo" / "romp_output.npz")
    own = estimate.source
    assert own.joints is not None and own.keypoints_2d is not None
    pixels = (estimate.keypoints_2d("smpl24") - own.keypoints_2d[:, :24]).norm(dim=-1)
    points = estimate.posed.keypoints(estimate.body.keypoint_set("smpl24"))
    apart = metrics.mpjpe(points, own.joints[:, :24])
    words = "24 transferred joints from ROMP's own, romp_photo"
    found = [
        Measurement("fit.romp.pixels", float(pixels.mean()), "px", "lower", TOLERANCE, words, 6.0),
        Measurement("fit.romp.joints", float(apart.mean()), "mm", "lower", TOLERANCE, f"{words}, root-aligned", 25.0),
    ]
    pair = folder / "bev_pair"
    start = time.perf_counter()
    result = refine.fit(pair / "image_1.jpg", pair / "image_1_0.08.npz", keypoints=pair / "image_1_keypoints.json")
    seconds = time.perf_counter() - start
    for row in range(len(result)):
        (before, every_before), (after, every_after) = (
            _arm_misfit(result, each, row) for each in (result.estimate, result.refined)
        )
        note = f"arms of person {row}, was {before:.1f} px; with the border {every_before:.1f} -> {every_after:.1f} px"
        found.append(Measurement(f"fit.bev.arms.{row}", after, "px", "lower", TOLERANCE, note, 10.0))
    note = "refine.fit on the photo of two people, files read, nothing drawn"
    return [*found, Measurement("fit.bev.time", seconds, "s", "lower", 0.5, note)]


def _arm_misfit(result: refine.Result, estimate: Estimate, row: int) -> tuple[float, float]:
    """Mean distance (px) of shoulders, elbows and wrists detected with a confidence of at least a half.

    Without those on the border, which are the detector's guesses at what the photo cuts off; and with them.
    """
    found = result.detections
    assert found is not None
    names = result.body.keypoint_set(found.name).names[:25]
    arm = torch.tensor([name.endswith(("shoulder", "elbow", "wrist")) for name in names])
    sure = arm & (found.confidence[row, :25] >= 0.5)
    extent = result.camera.size[row].flip(-1)
    pixel = found.pixel[row, :25]
    inside = ((pixel > 0.02 * extent) & (pixel < 0.98 * extent)).all(-1)
    apart = (estimate.keypoints_2d(found.name)[row, :25] - pixel).norm(dim=-1)
    return float(apart[sure & inside].mean()), float(apart[sure].mean())
