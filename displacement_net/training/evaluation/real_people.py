"""Annotated people of real photos: disturbed, refined with the network alone, and judged in the photo.

    misfit      mean |projected keypoint - annotated one|, px of the photo, visible keypoints
    PCK@t       share of visible keypoints within t times the longer side of the annotated box
    mask IoU    rendered silhouette against annotated mask

A person of a strength counts as worse if the mean over seeds of the misfit grew by more than `WORSE_SHARE` or by more
than `WORSE_PX`.

Source: `displacement_net.training.evaluation.fit_annotated` (the undisturbed bodies); PCK: `refine.evaluate.metrics`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from displacement_net.training.evaluation.annotated import BODY, Annotated
from displacement_net.training.evaluation.fit_annotated import SET
from priors.default import default_priors
from refine import batch
from refine.body import SkinnedBody, pose_body
from refine.estimate import Estimate
from refine.evaluate import metrics
from refine.evaluate.disturbance import disturb
from refine.refiner import Refiner
from refine.render.rasterize import default_rasterizer
from refine.state import State

STRENGTHS = ("weak", "medium", "strong")
SEEDS = 5
SMALL_PX = 100.0
"""People whose box is no taller stand beside the table, not in it."""
WORSE_SHARE, WORSE_PX = 0.10, 1.0
THRESHOLDS = (0.05, 0.1)
TOGETHER = 36
"""Bodies refined together: memory grows with them."""


@dataclass(frozen=True, eq=False)
class InPhoto:
    """Of N bodies: `misfit` px, `pck` (N, 2) at `THRESHOLDS`, mask `iou`."""

    misfit: Float[Tensor, "N"]
    pck: Float[Tensor, "N T"]
    iou: Float[Tensor, "N"]

    def of(self, rows: Tensor) -> "InPhoto":
        """Return the means over some rows, one row."""
        return InPhoto(*(each[rows].mean(0, keepdim=True) for each in (self.misfit, self.pck, self.iou)))


@dataclass(frozen=True)
class PersonRow:
    """One person under one strength, means over seeds.

    Attributes:
        name: Photo and annotation.
        strength: Of the estimate.
        small: Not in the table, see `SMALL_PX`.
        misfit: px of the photo, before and after; `pck_05`, `pck_10` and `iou` likewise, 0..1.
        worse: See the module.
    """

    name: str
    strength: str
    small: bool
    misfit: tuple[float, float]
    pck_05: tuple[float, float]
    pck_10: tuple[float, float]
    iou: tuple[float, float]

    @property
    def worse(self) -> bool:
        """Whether the misfit grew by more than `WORSE_SHARE` or `WORSE_PX`."""
        before, after = self.misfit
        return after > before * (1 + WORSE_SHARE) or after > before + WORSE_PX


@dataclass(frozen=True, eq=False)
class Trial:
    """All bodies of a trial: `person` (N,), `strength` (N,) indices, the disturbed `estimate` and the `refined` one."""

    person: Tensor
    strength: Tensor
    estimate: Estimate
    refined: Estimate

    def first_of(self, strength: int) -> "Trial":
        """Return everybody's first draw of a strength."""
        rows = (self.strength == strength).nonzero()[:, 0]
        own = self.person[rows]
        first = rows[torch.cat((own.new_ones(1, dtype=torch.bool), own[1:] != own[:-1]))]
        estimate, refined = (
            replace(each, state=each.state[first], image_index=each.image_index[first])
            for each in (self.estimate, self.refined)
        )
        return Trial(self.person[first], self.strength[first], estimate, refined)


def try_people(
    people: Annotated, fitted: Estimate, refiner: Refiner, strengths: Sequence[str] = STRENGTHS, seeds: int = SEEDS
) -> Trial:
    """Disturb and refine everybody.

    Args:
        people: N annotated people.
        fitted: N bodies that lie on them.
        refiner: The method.
        strengths: Of the disturbance.
        seeds: Draws of each.
    """
    body, count = fitted.body, len(people)
    person = torch.arange(count).repeat_interleave(seeds)
    true = fitted.state[person]
    states = [
        disturb(body, true, strength, range(1000 * number, 1000 * number + len(true)))
        for number, strength in enumerate(strengths)
    ]
    everybody = person.repeat(len(strengths))
    estimate = replace(fitted, state=batch.cat(states), image_index=people.image_index[everybody])
    strength = torch.arange(len(strengths)).repeat_interleave(len(true))
    return Trial(everybody, strength, estimate, refine_all(people, estimate, refiner))


def refine_all(people: Annotated, estimate: Estimate, refiner: Refiner) -> Estimate:
    """Refine the bodies of an estimate with the refiner's displacer and the default priors alone."""
    states = []
    for rows in torch.arange(len(estimate)).split(TOGETHER):
        part = replace(estimate, state=estimate.state[rows], image_index=estimate.image_index[rows])
        states.append(refiner.refine(people.photos, part, (), default_priors(part, refiner.unknowns))[-1].state)
    return replace(estimate, state=batch.cat(states))


def rows_of(people: Annotated, trial: Trial, strengths: Sequence[str] = STRENGTHS) -> tuple[PersonRow, ...]:
    """Measure a trial person by person."""
    before, after = (in_photo(people, trial.person, each) for each in (trial.estimate, trial.refined))
    found = []
    for person, name in enumerate(people.names):
        for number, strength in enumerate(strengths):
            rows = ((trial.person == person) & (trial.strength == number)).nonzero()[:, 0]
            one, other = before.of(rows), after.of(rows)
            found.append(
                PersonRow(
                    name, strength, bool(people.box[person, 3] <= SMALL_PX),
                    (float(one.misfit), float(other.misfit)),
                    (float(one.pck[0, 0]), float(other.pck[0, 0])),
                    (float(one.pck[0, 1]), float(other.pck[0, 1])),
                    (float(one.iou), float(other.iou)),
                )
            )  # fmt: skip
    return tuple(found)


def in_photo(people: Annotated, person: Tensor, estimate: Estimate) -> InPhoto:
    """Judge bodies in their photos.

    Args:
        people: The annotation.
        person: (N,) whom each body is meant to be.
        estimate: N bodies.
    """
    projected = estimate.keypoints_2d(SET)[:, :BODY]
    misfit, right = [], []
    for row, own in enumerate(person.tolist()):
        seen, side = people.visible[own], people.box_side[own]
        pixel, wanted = projected[row, seen], people.pixel[own, :BODY][seen]
        misfit.append((pixel - wanted).norm(dim=-1).mean())
        right.append(torch.stack([metrics.pck(pixel[None], wanted[None], float(side) * t)[0] for t in THRESHOLDS]))
    masks = silhouettes(estimate)
    iou = [_iou(mask, people.masks[own]) for mask, own in zip(masks, person.tolist(), strict=True)]
    return InPhoto(torch.stack(misfit), torch.stack(right), torch.tensor(iou))


def silhouettes(estimate: Estimate) -> list[np.ndarray]:
    """Render each body by itself: (H, W) of its photo, true where it covers a pixel."""
    finder, body = default_rasterizer(), estimate.body
    masks = []
    for row in range(len(estimate)):
        part = _one(body, estimate.state, row)
        height, width = (int(side) for side in part.camera.size[0])
        triangle = finder.triangles(pose_body(body, part.bodies).vertices, body.faces, part.camera, height, width)
        masks.append((triangle[0] >= 0).cpu().numpy())
    return masks


def _one(body: SkinnedBody, state: State, row: int) -> State:
    return state[slice(row, row + 1)]


def _iou(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union of two masks; zero if both are empty."""
    return float((one & other).sum() / max(int((one | other).sum()), 1))
