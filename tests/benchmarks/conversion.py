"""Conversion between body models: bodies a second, and how far the surfaces lie apart."""

from functools import partial

import torch
from torch import Tensor

from refine.body import SkinnedBody, anny, pose_body
from refine.conversion import convert
from refine.estimate import Estimate, Source
from refine.evaluate.people import people
from refine.geometry.camera import Camera
from refine.transfer import to_body
from tests.benchmarks.measurement import Measurement, best_seconds
from tests.stranger import stranger_mesh

BATCH = 64
CORES = 2


def measure() -> list[Measurement]:
    """Return conversion.surface.*, conversion.points.* and conversion.same.*."""
    threads = torch.get_num_threads()
    torch.set_num_threads(CORES)
    try:
        body = anny.load()
        bodies = people(body, BATCH).bodies
        estimate = _stored(body, bodies.pose, pose_body(body, bodies).joints, stranger_mesh(body, bodies))
        vertices = pose_body(body, bodies).vertices_at(torch.arange(len(body.template)))
        return [
            *_measured(
                "surface", partial(convert, estimate, body), 200.0, "stored mesh of another topology, pose known"
            ),
            *_measured("points", partial(convert, estimate.source.joints), None, "55 joints, no surface"),
            *_measured("same", partial(convert, vertices), None, "vertices of the model's own mesh, all joints free"),
        ]
    finally:
        torch.set_num_threads(threads)


def _stored(body: SkinnedBody, pose: Tensor, joints: Tensor, vertices: Tensor) -> Estimate:
    """Return what a regressor stores of these people: SMPL-X's pose, joints and a mesh, but no model file."""
    none = torch.zeros(len(pose), 0)
    source = Source("memory", "smplx", pose, none, none, joints=joints, vertices=vertices)
    camera = Camera(torch.full((1, 2), 1000.0), torch.full((1, 2), 500.0), torch.full((1, 2), 1000.0))
    return to_body(source, camera, body)


def _measured(name: str, run: "partial[object]", target: float | None, note: str) -> list[Measurement]:
    seconds = best_seconds(run, 5)
    done = run()
    apart = 1e3 * float(done.distance_m.mean())  # type: ignore[attr-defined]
    words = f"{note}; batch {BATCH}, {CORES} cores"
    return [
        Measurement(f"conversion.{name}.rate", BATCH / seconds, "1/s", "higher", 0.5, words, target),
        Measurement(f"conversion.{name}.error", apart, "mm", "lower", 0.2, note),
    ]
