"""A regressor's own errors in the harm benchmark: its estimates of people whose truth is known.

    evidence = what a detector and the network would say of the true people, erring as `refine.evaluate.harm.evidence`
               says

Estimates and truths are result files that `refine.read` reads; body k of a file belongs to body k of the other. Both
are brought onto the built-in body, as they are for a refinement without a model's own file: local rotations stay as
they are, shapes follow stored joints.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

from refine import batch
from refine.api import read
from refine.body import SkinnedBody
from refine.errors import InputError
from refine.estimate import Estimate
from refine.evaluate.harm.people import People, others_among
from refine.evaluate.harm.run import Scenes, model
from refine.evaluate.harm.scene import Scene
from refine.state import State

OWN_SET = People("own", 18_000_000, 0, "mixed")
"""Seed and family of the evidence's errors; the family is that of the set that is reported."""
SAME_SIZE_PX = 1.0
"""By how much the two may differ about their photo's height or width."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """B bodies as they are and as a regressor has them, camera frame, each with its own camera.

    Attributes:
        body: The model of both.
        true: B bodies as they are.
        estimate: B bodies as the regressor has them.

    Raises:
        InputError: There are not as many of one as of the other, there are none, or their photos differ in size.
    """

    body: SkinnedBody
    true: State
    estimate: State

    def __post_init__(self) -> None:
        count = len(self.true)
        if len(self.estimate) != count or not count:
            raise _counts_differ(len(self.estimate), count)
        apart = (self.true.camera.size - self.estimate.camera.size).abs().amax(1)
        if bool((apart > SAME_SIZE_PX).any()):
            row = int(apart.argmax())
            size, other = ((each.camera.size[row]).tolist() for each in (self.true, self.estimate))
            advice = "Estimates and truths must be of the same photo."
            raise InputError(
                f"body {row}", "a photo of {:g} x {:g} px".format(*size), "{:g} x {:g} px".format(*other), advice
            )

    def __len__(self) -> int:
        return len(self.true)


def pairs_of(estimate: Estimate, truth: Estimate) -> Pairs:
    """Return estimates with their truths, as `refine.read(..., body_model="anny")` gives them.

    Args:
        estimate: B bodies of the built-in model; those that are not usable are left out, with their truths.
        truth: The same bodies as they are.

    Raises:
        InputError: They are of another model, or do not go together.
    """
    for name, each in (("estimates", estimate), ("truths", truth)):
        if each.body.model != model().model:
            raise InputError(name, f"bodies of the built-in model ({model().model})", f"bodies of {each.body.model}")
    if len(estimate) != len(truth):
        raise _counts_differ(len(estimate), len(truth))
    unusable = (each.source.unusable for each in (estimate, truth))
    usable = torch.ones(len(truth), dtype=torch.bool)
    for rows in unusable:
        usable &= usable if rows is None else ~rows
    return Pairs(model(), truth.state[usable.nonzero()[:, 0]], estimate.state[usable.nonzero()[:, 0]])


def _counts_differ(estimates: int, truths: int) -> InputError:
    advice = "Bodies are paired in the order in which the files hold them."
    return InputError("estimates", f"one body or more, as many as truths ({truths})", str(estimates), advice)


def read_pairs(estimates: str | Path, truths: str | Path) -> Pairs:
    """Read estimates and truths.

    Args:
        estimates: A result file, or a folder of them.
        truths: The same of the truths: a file, or a folder of files with the names (but for the ending) of the
            estimates'.

    Raises:
        InputError: A file is missing, broken or of no known format, states no camera, or the two do not go together.
    """
    own, right = _files("estimates", Path(estimates)), _files("truths", Path(truths))
    if Path(estimates).is_dir() and Path(truths).is_dir():
        if lacking := sorted(own.keys() ^ right.keys()):
            raise InputError(
                "truths",
                "a file for each of the estimates', of the same name",
                f"one side only: {', '.join(lacking[:5])}",
            )
        names = [(own[name], right[name]) for name in sorted(own)]
    elif Path(estimates).is_file() and Path(truths).is_file():
        names = [(Path(estimates), Path(truths))]
    else:
        raise InputError("truths", "a file for a file of estimates, a folder for a folder", str(truths))
    parts = [pairs_of(read(one, body_model=model()), read(other, body_model=model())) for one, other in names]
    return Pairs(model(), batch.cat([part.true for part in parts]), batch.cat([part.estimate for part in parts]))


def _files(name: str, path: Path) -> dict[str, Path]:
    """Return the files of a folder by their names without ending, or the one file."""
    found = sorted(path.iterdir()) if path.is_dir() else [path]
    files = {each.stem: each for each in found if each.is_file()}
    if not files:
        raise InputError(name, "a result file or a folder of them", f"nothing at {path}")
    return files


def own_scenes(pairs: Pairs) -> Scenes:
    """Return what gives people with given estimates in batches.

    Args:
        pairs: Of all.
    """

    @cache
    def others() -> State | None:
        return others_among(pairs.body, pairs.true) if len(pairs) > 1 else None

    def scenes(bodies: int, together: int) -> tuple[Scene, ...]:
        found = []
        for start in range(0, min(bodies, len(pairs)), together):
            here = torch.arange(start, min(start + together, bodies, len(pairs)))
            other = others()
            found.append(
                Scene(pairs.body, OWN_SET, pairs.true[here], start, pairs.estimate[here], other and other[here])
            )
        return tuple(found)

    return scenes
