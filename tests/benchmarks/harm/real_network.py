"""The one row of the real thing: the shipped network on rendered photos of people it was not trained with, gate included.

It needs the full base mesh (REFINE_TRAINING_BODY) and the assets (REFINE_ASSETS); absent, the row is left out with a sentence.

Source: `displacement_net.training.evaluation`, which makes the photos.
"""

import os
import time
from pathlib import Path

import torch

from displacement_net import catalog
from displacement_net.training.evaluation.hold_out import hold_out_of, known_shapes
from displacement_net.training.evaluation.refined import photo_of, through
from priors.default import default_priors
from refine.bodies import BODY_JOINTS, Unknowns
from refine.network import NetworkDisplacer
from refine.photo import Photo
from refine.refiner import Refiner
from refine.trust.uncertainty import MM_PER_M, joint_sigma_mm, posterior
from tests.benchmarks.harm.figures import errors_of, figures_of, joined
from tests.benchmarks.harm.ours import accepted_of, mahalanobis
from tests.benchmarks.harm.outcome import Outcome
from tests.benchmarks.harm.people import assets
from tests.benchmarks.harm.scene import as_estimate
from tests.benchmarks.harm.table import Cell, Row, row_of

PHOTO_PX = 256
"""Side of the photos, crops around a person."""
PEOPLE = 16
CELL = Cell("medium", "photos", "network")


@torch.no_grad()
def network_row(people: int = PEOPLE) -> tuple[Row | None, str]:
    """Refine medium estimates of people in rendered photos.

    Args:
        people: How many.

    Returns:
        The row, or None and why it is left out.
    """
    body_file = os.environ.get("REFINE_TRAINING_BODY")
    if not body_file or not Path(body_file).is_file():
        return None, "The row of the real network is left out: REFINE_TRAINING_BODY names no full base mesh."
    if not assets().is_dir():
        return None, f"The row of the real network is left out: no assets at {assets()}."
    hold_out = hold_out_of(Path(body_file), assets())
    network = catalog.load(catalog.DEFAULT)
    displacer = NetworkDisplacer(network)
    body = hold_out.training.body
    unknowns = Unknowns(tuple(range(BODY_JOINTS)), known_shapes(hold_out.training))
    refiner = Refiner(displacer=displacer, unknowns=unknowns)
    parts = []
    for samples, _ in hold_out.batches("none", PHOTO_PX, people, (CELL.estimate,)):
        true, estimate = (through(state, samples.crop) for state in (samples.true, samples.estimate))
        asked = as_estimate(body, estimate)
        start = time.perf_counter()
        photos = [Photo(pixels) for pixels in photo_of(samples)]
        solution = refiner.refine(photos, asked, (), default_priors(asked, unknowns))[-1]
        seconds = (time.perf_counter() - start) / len(asked)
        found = posterior(body, solution)
        outcome = Outcome(
            solution.state,
            accepted_of(solution),
            seconds * len(asked),
            joint_sigma_mm(body, solution.state, found)[:, :BODY_JOINTS] / MM_PER_M,
            mahalanobis(true, solution.state, found),
        )
        parts.append(figures_of(body, true, errors_of(body, estimate, true), outcome))
    note = f"{catalog.DEFAULT} on rendered photos, looks unknown"
    return row_of(CELL, "ours", joined(parts), note), ""
