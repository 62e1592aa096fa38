"""What refinement with the network alone does to hold-out people: no keypoints, no detector, no gate.

The photo is the sample's own crop of the photo, seen by the crop's camera; how a person looks is not known.
Figures are before and after, pelvis-aligned, means over people; a body is worse if its PVE grew by more than
`WORSE_MM`.

Source: the figures are `refine.evaluate.metrics`'.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from displacement_net.training.samples import Samples
from priors.default import default_priors
from refine import batch
from refine.body import SkinnedBody
from refine.body.smpl_joints import BODY_JOINTS
from refine.evaluate.disturbance import as_estimate
from refine.evaluate.errors import WORSE_MM, Errors, errors_of
from refine.geometry.camera import Camera
from refine.geometry.crop import Crop
from refine.photo import Photo
from refine.refiner import Refiner
from refine.state import State, Unknowns


@dataclass(frozen=True, eq=False)
class Refined:
    """N bodies before and after, and the strength of their estimates, an index."""

    before: Errors
    after: Errors
    strength: Int[Tensor, "N"]


@dataclass(frozen=True)
class Change:
    """One strength: means before and after, relative changes in per cent, and who got worse.

    Attributes:
        before: `pve`, `pa_mpjpe`, `mpjpe` (mm), `pixel` (px of a 256 crop).
        after: The same.
        change_percent: From before to after; negative is better.
        worse_percent: Of bodies whose PVE grew by more than `WORSE_MM`.
        median_pve_change_mm: Median over bodies of PVE after less before.
        bodies: How many.
    """

    before: dict[str, float]
    after: dict[str, float]
    change_percent: dict[str, float]
    worse_percent: float
    median_pve_change_mm: float
    bodies: int


@torch.no_grad()
def refine_samples(
    body: SkinnedBody, refiner: Refiner, batches: Iterable[tuple[Samples, np.ndarray]], known_shapes: int
) -> Refined:
    """Refine the estimates of samples.

    Args:
        body: The people's model.
        refiner: The method; its displacer sees the samples' photos.
        batches: B samples each, with (B,) the strength of each.
        known_shapes: Shape coefficients that are solved for, the first ones.
    """
    unknowns = refiner.unknowns or Unknowns(tuple(range(BODY_JOINTS)), known_shapes)
    refiner = replace(refiner, unknowns=unknowns)
    before, after, index = [], [], []
    for samples, strength in batches:
        photos = [Photo(pixels) for pixels in photo_of(samples)]
        true, estimate = (through(state, samples.crop) for state in (samples.true, samples.estimate))
        asked = as_estimate(body, estimate)
        state = refiner.refine(photos, asked, (), default_priors(asked, unknowns))[-1].state
        side = true.camera.size.amax(1)
        before.append(errors_of(body, estimate, true, side))
        after.append(errors_of(body, state, true, side))
        index.append(torch.from_numpy(strength))
    return Refined(batch.cat(before), batch.cat(after), torch.cat(index))


def photo_of(samples: Samples) -> np.ndarray:
    """Return the crops of the photos, (B, S, S, 3) uint8 RGB."""
    return np.asarray((255 * samples.image.clamp(0, 1)).round().byte().permute(0, 2, 3, 1).cpu().numpy())


def changes(refined: Refined, strengths: Sequence[str]) -> dict[str, Change]:
    """Summarise by strength.

    Args:
        refined: N bodies.
        strengths: The names their indices mean.
    """
    found = {}
    for number, name in enumerate(strengths):
        own = refined.strength == number
        if not bool(own.any()):
            continue
        before, after = (
            {figure: float(value[own].nanmean()) for figure, value in vars(side).items()}
            for side in (refined.before, refined.after)
        )
        gained = refined.after.pve[own] - refined.before.pve[own]
        change = {
            figure: 100 * (after[figure] / value - 1) if value > 1e-3 else float("nan")
            for figure, value in before.items()
        }
        worse = 100 * float((gained > WORSE_MM).double().mean())
        found[name] = Change(before, after, change, worse, float(gained.median()), int(own.sum()))
    return found


def through(state: State, crop: Crop) -> State:
    """Return the bodies as the crops' cameras see them."""
    own = state.camera
    return State(state.bodies, crop.camera(Camera(own.focal, own.center, own.size)))
