"""The shipped network on rendered photos: `python -m tests.benchmarks.harm.real_network [--json FILE]`.

Network, keypoints and both see the same people and estimates; the gate is on. They need the full base mesh
(REFINE_TRAINING_BODY) and the assets (REFINE_ASSETS); absent, they are left out with a sentence.

Source: `displacement_net.training.evaluation`, which makes the photos; keypoints: `refine.evaluate.harm.evidence`, kind
"noisy".
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from displacement_net import catalog
from displacement_net.training.evaluation.hold_out import HoldOut, hold_out_of, known_shapes
from displacement_net.training.evaluation.refined import photo_of, through
from displacement_net.training.samples import Samples
from refine import batch
from refine.api import fit_prepared
from refine.body.smpl_joints import BODY_JOINTS
from refine.dense.network import shipped_displacer
from refine.errors import InputError
from refine.evaluate.disturbance import as_estimate
from refine.evaluate.errors import errors_of
from refine.evaluate.harm.evidence import Evidence
from refine.evaluate.harm.figures import Figures, figures_of
from refine.evaluate.harm.ours import accepted_of, mahalanobis
from refine.evaluate.harm.outcome import Outcome
from refine.evaluate.harm.people import REPORT
from refine.evaluate.harm.report import report
from refine.evaluate.harm.scene import Scene
from refine.evaluate.harm.table import Cell, Row, row_of
from refine.evaluate.machine import describe_machine
from refine.inputs.prepared import Prepared
from refine.keypoints.detections import Detections
from refine.photo import Photo
from refine.refiner import Refiner
from refine.state import Unknowns
from refine.trust.uncertainty import MM_PER_M, joint_sigma_mm, posterior

PHOTO_PX = 256
"""Side of the photos, crops around a person."""
PEOPLE = 16
STRENGTHS = ("weak", "medium", "strong", "near")
NETWORK, KEYPOINTS, BOTH = SOURCES = ("network", "keypoints", "both")


@dataclass(frozen=True)
class Cast:
    """The people who are not trained with."""

    hold_out: HoldOut

    @property
    def unknowns(self) -> Unknowns:
        """The columns that are solved for."""
        return Unknowns(tuple(range(BODY_JOINTS)), known_shapes(self.hold_out.training))


def cast() -> tuple[Cast | None, str]:
    """Return the people, or None and why the rows are left out."""
    body_file = os.environ.get("REFINE_TRAINING_BODY")
    if not body_file or not Path(body_file).is_file():
        return None, "The rows of the real network are left out: REFINE_TRAINING_BODY names no full base mesh."
    assets = Path(os.environ["REFINE_ASSETS"])
    if not assets.is_dir():
        return None, f"The rows of the real network are left out: no assets at {assets}."
    return Cast(hold_out_of(Path(body_file), assets)), ""


def network_rows(
    people: Cast, count: int = PEOPLE, strengths: Sequence[str] = STRENGTHS, sources: Sequence[str] = SOURCES
) -> Iterator[Row]:
    """Refine people in rendered photos.

    Args:
        people: Who.
        count: How many of each strength.
        strengths: Of their estimates.
        sources: What is asked: some of `SOURCES`.

    Yields:
        One row a strength and source.

    Raises:
        InputError: There is no such source.
    """
    if not set(sources) <= set(SOURCES):
        raise InputError("sources", f"some of {SOURCES}", str(tuple(sources)))
    for strength in strengths:
        drawn = [samples for samples, _ in people.hold_out.batches("none", PHOTO_PX, count, (strength,))]
        starts = [sum(len(each.estimate) for each in drawn[:number]) for number in range(len(drawn))]
        for source in sources:
            parts = [_refined(people, samples, start, source) for samples, start in zip(drawn, starts, strict=True)]
            note = (
                f"{catalog.DEFAULT} on rendered photos, looks unknown" if source != KEYPOINTS else "of rendered photos"
            )
            yield row_of(Cell(strength, "photos", source), "ours", batch.cat(parts), note)


@torch.no_grad()
def _refined(people: Cast, samples: Samples, first: int, source: str) -> Figures:
    """Refine a batch of people; `first` is the place of its first one, which draws the detector's errors."""
    body, unknowns = people.hold_out.training.body, people.unknowns
    true, estimate = (through(state, samples.crop) for state in (samples.true, samples.estimate))
    asked = as_estimate(body, estimate)
    detections: Detections | None = None
    if source != NETWORK:
        detections = Evidence(Scene(body, REPORT, true, first), "noisy", "keypoints").detections
    refiner = Refiner(displacer=None if source == KEYPOINTS else shipped_displacer(), unknowns=unknowns)
    start = time.perf_counter()
    photos = tuple(Photo(pixels) for pixels in photo_of(samples))
    solution = fit_prepared(Prepared(asked, photos, detections), refiner=refiner).rounds[-1]
    seconds = time.perf_counter() - start
    found = posterior(body, solution)
    outcome = Outcome(
        solution.state,
        accepted_of(solution),
        seconds,
        joint_sigma_mm(body, solution.state, found)[:, :BODY_JOINTS] / MM_PER_M,
        mahalanobis(true, solution.state, found),
    )
    return figures_of(body, true, errors_of(body, estimate, true), outcome)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the rows; exit status 1 where they are left out."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.harm.real_network", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to FILE, after every row")
    file = parser.parse_args(arguments).json
    people, why = cast()
    if people is None:
        print(why, file=sys.stderr)
        return 1
    report(network_rows(people), {"machine": describe_machine(), "set": "hold-out"}, print, file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
