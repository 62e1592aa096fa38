"""How good the displacement network is on people of the hold-out, what it does to bodies and photos, how fast.

The weights are the catalogue's first, or the file REFINE_WEIGHTS names. The hold-out needs the full base mesh
(REFINE_TRAINING_BODY) and the assets (REFINE_ASSETS, by default `../shared/assets` beside the checkout), real photos
the folder the tests look into (REFINE_REAL_DATA). What is absent is said, its figures are NaN and the gate passes over
them.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

import refine
from displacement_net import catalog
from displacement_net.model import DisplacementNet, fold
from displacement_net.preprocessing import CHANNELS
from displacement_net.training.evaluate import field_of, network_alone, real_photos, refined_of
from displacement_net.training.evaluation.hold_out import HoldOut, hold_out_of
from refine.body import anny
from refine.demo.scene import make_scene
from refine.dense import matcher
from refine.dense.network import NetworkDisplacer
from refine.trust.gate import Gate
from tests.benchmarks.measurement import Measurement, best_seconds

SAMPLES, REFINED = 64, 64
"""Of each strength: under each texture case, and refined."""
STRENGTHS = ("weak", "medium", "near")
ROUNDS, CROP_PX, CORES, RUNS = 3, 256, 2, 8
TOLERANCE = 0.1
"""Accuracy hardly depends on the machine."""
NORMAL_PERCENT = 68.3
"""Of a Gaussian's coordinates within one sigma."""
TARGETS = {
    "share.none": 0.58, "share.other_frames": 0.50, "below_1px": 1.0, "one_sigma_off": 8.0, "two_sigma": 92.0,
    "refined.weak.pve": 75.0, "refined.weak.pa": 80.0, "refined.weak.pixel": 55.0, "refined.weak.worse": 15.0,
    "refined.medium.pve": 75.0, "refined.medium.pa": 80.0, "refined.medium.pixel": 55.0, "refined.medium.worse": 15.0,
    "refined.near.median": 1.5, "refined.near.worse": 35.0,
    "real.misfit": 75.0, "real.worse": 0.0, "real.bev.0": 100.0, "real.bev.1": 100.0,
    "fit.total": 250.0, "network": 80.0,
}  # fmt: skip
CASES = ("none", "part means", "same photo", "other frames", "stale")
HELD_OUT = (
    *(f"share.{case.replace(' ', '_')}" for case in CASES), "below_1px", "one_sigma_off", "two_sigma", "mahalanobis",
    "sparsification",
    *(f"refined.{strength}.{figure}" for strength in ("weak", "medium") for figure in ("pve", "pa", "pixel", "worse")),
    "refined.near.median", "refined.near.worse",
)  # fmt: skip
REAL = ("real.misfit", "real.worse", "real.iou", "real.bev.0", "real.bev.1")
SPEED = ("fit.total", "fit.render", "fit.network", "fit.match", "fit.solve")
ROOT = Path(__file__).parents[2]


def measure() -> list[Measurement]:
    """Return displacement.* figures."""
    threads = torch.get_num_threads()
    torch.set_num_threads(CORES)
    try:
        named = os.environ.get("REFINE_WEIGHTS") or (catalog.WEIGHTS[0].name if catalog.WEIGHTS else None)
        if named is None:
            reason = "no weights: the catalogue is empty and REFINE_WEIGHTS names no file"
            return [_network_speed(fold(DisplacementNet()), "untrained"), *_absent((*SPEED, *HELD_OUT, *REAL), reason)]
        network = catalog.load(named)
        return [_network_speed(network, named), *_fit_speed(network), *_held_out(network), *_real(network)]
    finally:
        torch.set_num_threads(threads)


def _held_out(network: DisplacementNet) -> list[Measurement]:
    """Field and refinement on synthetic people in clothes, places and poses that training does not see."""
    body = os.environ.get("REFINE_TRAINING_BODY")
    if not body or not Path(body).is_file():
        return _absent(HELD_OUT, "no full base mesh: REFINE_TRAINING_BODY names no file")
    assets = Path(os.environ.get("REFINE_ASSETS", ROOT.parent / "shared" / "assets"))
    if not assets.is_dir():
        return _absent(HELD_OUT, f"no assets at {assets}")
    hold_out = hold_out_of(Path(body), assets)
    return [*_field(network, hold_out), *_refined(network, hold_out)]


def _field(network: DisplacementNet, hold_out: HoldOut) -> list[Measurement]:
    found = field_of(network, hold_out, SAMPLES, ("medium",))
    rows = [
        _one(
            f"share.{case.replace(' ', '_')}", found.texture_by_strength[case]["medium"].share, "x",
            f"endpoint error / doing nothing, medium estimates, texture: {case}",
        )
        for case in CASES
    ]  # fmt: skip
    near = found.by_size["0-1 px"]["medium"]
    stated, sparse = found.calibration["medium"], found.sparsification["medium"]
    within = f"{100 * stated.one_sigma:.1f} % of coordinates within one sigma, {NORMAL_PERCENT} wanted"
    certain = " / ".join(f"{share:.2f}" for share in sparse.shares)
    return [
        *rows,
        _one("below_1px", near.share, "x", f"the same, true displacement below 1 px of 256, {near.pixels} pixels"),
        _one("one_sigma_off", abs(100 * stated.one_sigma - NORMAL_PERCENT), "%", within, report=True),
        _one("two_sigma", 100 * stated.two_sigma, "%", "coordinates within two sigma", higher=True),
        _one("mahalanobis", stated.mahalanobis, "x", "mean squared whitened error a coordinate, 1 wanted", report=True),
        _one("sparsification", sparse.area, "x", f"area; oracle {sparse.oracle_area:.2f}; surest: {certain} of all"),
    ]  # fmt: skip


def _refined(network: DisplacementNet, hold_out: HoldOut) -> list[Measurement]:
    found, rows = refined_of(network, hold_out, REFINED, STRENGTHS), []
    for strength in ("weak", "medium"):
        change = found[strength]
        for figure, name, unit in (("pve", "pve", "mm"), ("pa_mpjpe", "pa", "mm"), ("pixel", "pixel", "px of 256")):
            before, after = change.before[figure], change.after[figure]
            words = f"{figure} after / before, {before:.1f} -> {after:.1f} {unit}, network alone"
            rows.append(_one(f"refined.{strength}.{name}", 100 * after / before, "%", words))
        rows.append(_one(f"refined.{strength}.worse", change.worse_percent, "%", "bodies whose PVE grew by over 1 mm"))
    near = found["near"]
    return [
        *rows,
        _one("refined.near.median", near.median_pve_change_mm, "mm", "median change of PVE, estimates of 10 mm"),
        _one("refined.near.worse", near.worse_percent, "%", "bodies whose PVE grew by over 1 mm"),
    ]


def _real(network: DisplacementNet) -> list[Measurement]:
    """Annotated people, and the BEV pair."""
    folder = Path(os.environ.get("REFINE_REAL_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        return _absent(REAL, f"no real photos at {folder}")
    found, _ = real_photos(network, folder)
    every = found["summary"]["all"]
    before, after = every["misfit"]
    words = f"keypoints of coco's people, disturbed and refined, {before:.1f} -> {after:.1f} px"
    overlap = f"mask IoU, was {every['iou'][0]:.3f}"
    arms = found["arms"]
    return [
        _one("real.misfit", 100 * after / before, "%", words),
        _one("real.worse", every["worse"], "x", f"of {every['people']} people and strengths, up by 10 % or 1 px"),
        _one("real.iou", every["iou"][1], "x", overlap, higher=True),
        *(
            _one(
                f"real.bev.{row}", 100 * arm["after_px"] / arm["before_px"], "%",
                f"arms after / before, {arm['before_px']:.1f} -> {arm['after_px']:.1f} px",
            )
            for row, arm in enumerate(arms)
        ),
    ]  # fmt: skip


def _network_speed(network: DisplacementNet, words: str) -> Measurement:
    crop = torch.rand(1, len(CHANNELS), CROP_PX, CROP_PX).contiguous(memory_format=torch.channels_last)
    seconds = best_seconds(lambda: network.displacement(crop), 10)
    count = sum(parameter.numel() for parameter in network.parameters()) / 1e6
    return _one("network", 1000 * seconds, "ms", f"one {CROP_PX} px crop, {CORES} cores, {count:.1f}M, {words}", 0.5)


def _fit_speed(network: DisplacementNet) -> list[Measurement]:
    """`refine.fit` of one person: the shortest of some runs and its parts; what is no other part counts as solve."""
    scene = make_scene(anny.load(), 1)
    refiner = network_alone(network, ROUNDS, Gate())
    photo = scene.photos[0].pixels

    def whole() -> int:
        return len(refine.fit(photo, scene.estimate, refiner=refiner).rounds)

    rounds = whole()
    runs = []
    for _ in range(RUNS):
        with timed() as spent:
            start = time.perf_counter()
            refine.fit(photo, scene.estimate, refiner=refiner)
            runs.append((time.perf_counter() - start, dict(spent)))
    seconds, parts = min(runs, key=lambda run: run[0])
    parts["solve"] = seconds - sum(parts.values())
    words = f"one person, {rounds} rounds, {CORES} cores"
    return [
        _one("fit.total", 1000 * seconds, "ms", words, 0.5),
        *(_one(f"fit.{name}", 1000 * part, "ms", f"of it, {words}", 0.5) for name, part in parts.items()),
    ]


PARTS: dict[str, tuple[Any, str]] = {
    "render": (matcher, "render_view"),
    "network": (NetworkDisplacer, "displace"),
    "match": (matcher, "correspond"),
}
"""What a fit with the network spends its time on, beside the solver."""


@contextmanager
def timed() -> Iterator[dict[str, float]]:
    """Add up the time that fits spend on `PARTS`, while it lasts."""
    spent = dict.fromkeys(PARTS, 0.0)
    originals = {name: getattr(owner, function) for name, (owner, function) in PARTS.items()}

    def watched(name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            start = time.perf_counter()
            value = originals[name](*arguments, **named)
            spent[name] += time.perf_counter() - start
            return value

        return call

    try:
        for name, (owner, function) in PARTS.items():
            setattr(owner, function, watched(name))
        yield spent
    finally:
        for name, (owner, function) in PARTS.items():
            setattr(owner, function, originals[name])


def _one(
    key: str, value: float, unit: str, note: str, tolerance: float = TOLERANCE, higher: bool = False,
    report: bool = False,
) -> Measurement:  # fmt: skip
    direction = "report" if report else "higher" if higher else "lower"
    return Measurement(f"displacement.{key}", value, unit, direction, tolerance, note, TARGETS.get(key))


def _absent(keys: tuple[str, ...], reason: str) -> list[Measurement]:
    return [Measurement(f"displacement.{key}", float("nan"), "", "report", note=reason) for key in keys]
