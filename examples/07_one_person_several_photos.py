"""One person in several photos: one shape for all of them.

    python examples/07_one_person_several_photos.py

A regressor guesses a person's shape anew in every photo. Who knows that photos show the same person says so with
labels: rows of one label are solved together, with one shape that all their photos agree on. Poses and places stay each
photo's own. `covariance` says how much surer the shape is for it.
"""

from dataclasses import replace

import torch

import refine
from refine.body import anny, pose_body
from refine.demo.scene import as_estimate
from refine.evaluate.disturbance import disturb
from refine.evaluate.people import people
from refine.state import State, Unknowns, one_shape

PHOTOS = 4


def main() -> tuple[float, float]:
    """Refine four photos of a person each for itself and together; return the shape's error of both in mm."""
    body = anny.load()
    drawn = people(body, PHOTOS)
    person = drawn.bodies.shape[:1].expand(PHOTOS, -1)  # four poses, one shape
    true = State(replace(drawn.bodies, shape=person), drawn.camera)
    estimate = as_estimate(body, disturb(body, true, "medium", range(PHOTOS)), "medium estimate")
    photos = [torch.full((640, 512, 3), 128, dtype=torch.uint8).numpy()] * PHOTOS  # keypoints are the only evidence

    noise = 2.0 * torch.randn(PHOTOS, 25, 2, generator=torch.Generator().manual_seed(0))
    points = as_estimate(body, true, "truth").keypoints_2d("body25") + noise
    keypoints = refine.Detections("body25", points, torch.full((PHOTOS, 25), 0.9))

    columns = Unknowns(body.anatomy.core_joints, shape=body.shape_basis.shape[2])
    together = replace(columns, groups=one_shape(["anna"] * PHOTOS))
    error = []
    for name, unknowns in (("each photo for itself", columns), ("one shape for all", together)):
        refiner = refine.Refiner(unknowns=unknowns)
        result = refine.fit(photos, estimate, keypoints=keypoints, refiner=refiner)
        shape = result.bodies.shape
        rest = body.rest_bodies(PHOTOS)
        away = [pose_body(body, replace(rest, shape=each)).vertices for each in (shape, person)]
        error.append(1e3 * float((away[0] - away[1]).norm(dim=-1).mean()))
        sure = result.rounds[-1].solution.covariance().diagonal(dim1=1, dim2=2)[:, columns.shape_columns].sqrt().mean()
        spread = float((shape - shape.mean(0)).norm(dim=1).max())
        print(f"{name:22} {error[-1]:5.1f} mm off, {float(sure):.2f} sigma left, photos differ by {spread:.2f}")
    return error[0], error[1]


if __name__ == "__main__":
    main()
