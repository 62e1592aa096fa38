"""`refine diagnose`: seconds for a thousand people, false alarms on clean folders, planted faults named rightly.

    diagnose.seconds    of 1,000 people of one sequence, each in a photo of its own, one core
    diagnose.alarms     clean folders in which something is suspected, of `FOLDERS`
    diagnose.named      planted faults of the keypoints named with the option that undoes them, in three formats

The other faults (order, units, axes, focal rule, frames, hands; in three formats too) are tests: `pytest
tests/contract/test_diagnose.py`.
"""

import os
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from refine.body import anny
from refine.diagnosis.decide import diagnose
from refine.diagnosis.sample import Sample
from tests.benchmarks.measurement import Measurement, best_seconds
from tests.contract.test_diagnose import FORMATS, KEYPOINT_FAULTS, camera, look, made, similar
from tests.faulty_folders import draw_people, noisy

PEOPLE = 1000
FOLDERS = int(os.environ.get("REFINE_BENCHMARK_FOLDERS", "100"))
"""Clean folders: a hundred take four minutes of one core, most of it to write and read them."""


def measure() -> list[Measurement]:
    """Return diagnose.seconds, diagnose.alarms and diagnose.named."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with tempfile.TemporaryDirectory(prefix="refine-benchmark-") as folder:
            root = Path(folder)
            people = draw_people(anny.load(), 3)
            sample, _ = look(made(root / "many", "parameters", people), camera="diagonal")
            seconds = best_seconds(partial(diagnose, _repeated(sample)), 3)
            alarms = sum(_is_suspected(root / f"clean{seed}", seed) for seed in range(FOLDERS))
            named, missed = 0, []
            for format in FORMATS:
                for fault, (change, kind, flag) in KEYPOINT_FAULTS.items():
                    place = root / f"{format} {fault}"
                    _, found = look(
                        made(place, format, people, change(noisy(people.points["coco17"], 1))), **camera(format)
                    )
                    good = [one.fault for one in found] == [kind] and similar(found[0].flag, flag)
                    named += good
                    missed += [] if good else [f"{fault} in {format}"]
    finally:
        torch.set_num_threads(threads)
    total = len(FORMATS) * len(KEYPOINT_FAULTS)
    note = f"{named} of {total}" + (f"; missed: {', '.join(missed)}" if missed else "")
    return [
        Measurement("diagnose.seconds", seconds, "s", "lower", 0.5, f"{PEOPLE} people, after reading, one core", 1.0),
        Measurement(
            "diagnose.alarms", 100 * alarms / FOLDERS, "%", "lower", 0.0, f"{alarms} of {FOLDERS} clean folders", 2.0
        ),
        Measurement("diagnose.named", 100 * named / total, "%", "higher", 0.0, note, 100.0),
    ]


def _repeated(sample: Sample) -> Sample:
    """A thousand people of one sequence, those of a small sample over and over."""
    often = torch.arange(PEOPLE) % len(sample)
    frames = [
        replace(sample.frames[int(sample.frame[row])], sequence="", number=at) for at, row in enumerate(often.tolist())
    ]
    fingers = None if sample.stored_fingers is None else sample.stored_fingers[often]
    return replace(
        sample, points=sample.points[often], root=sample.root[often], camera=sample.camera[often],
        frame=torch.arange(PEOPLE), frames=frames, stored_fingers=fingers,
    )  # fmt: skip


def _is_suspected(root: Path, seed: int) -> bool:
    """Whether something is suspected in a clean folder of people of some strength and number, in one of the formats."""
    strength = ("weak", "medium", "strong", "near")[seed % 4]
    people = draw_people(anny.load(), seed, strength, 16 + seed % 17)
    format = tuple(FORMATS)[seed % 3]
    _, found = look(made(root, format, people, seed=seed), **camera(format))
    return bool(found)
