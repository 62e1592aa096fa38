"""The runs that learn a mixture: one for each fold left out, to choose the widening, then one over everything.

    for fold, for 1 and K components:  learn without the fold;
        log-likelihood of the fold under every candidate widening
    choose the candidate with the largest sum over folds;  learn K components from all recordings with it

A run is a list of passes; after each, what the next needs is on disk, so that a run that was killed goes on with the
same numbers.
"""

import itertools
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch

from priors.learning.checkpoint import Checkpoint
from priors.learning.expectation import Mixture, Sums, Widening, expectation, first_sums, maximisation
from priors.learning.gather import Gathered, Report, folds_of, mirrored

SHRINKAGES = (0.05, 0.1, 0.3, 0.5, 0.7, 0.9)
SCALES = (1.0, 1.25, 1.5, 2.0)
"""What is tried: from a component's own covariance to nearly that of all poses, and up to twice the width."""
WHILE_LEARNING = 0.1
"""Shrinkage of the passes without a fold, before one is chosen."""
SAMPLE = 20_000
"""Poses k-means starts from."""
LEAST_GAIN = 1e-3
"""Nats per pose; a pass that gains less is the last."""


@dataclass(frozen=True)
class Settings:
    """What is learnt.

    Attributes:
        components: K.
        folds: Recordings are dealt into; each is left out once.
        passes: At most, in a run.
        floor_rad: Least standard deviation of an axis.
        seed: Of the start.
    """

    components: int = 8
    folds: int = 5
    passes: int = 60
    floor_rad: float = 0.05
    seed: int = 0


@dataclass(frozen=True)
class Learnt:
    """A mixture of all recordings, and what it is worth on recordings that were left out.

    Attributes:
        mixture: K components.
        widening: Chosen.
        held_out_nats: Mean log-likelihood of a left-out pose, nats.
        one_gaussian_nats: The same of a single Gaussian, with the widening best for it.
        poses: That were left out once, mirror images included.
    """

    mixture: Mixture
    widening: Widening
    held_out_nats: float
    one_gaussian_nats: float
    poses: int


@dataclass(frozen=True, eq=False)
class _Progress:
    """Where a learning is: `results` of the runs that are over, and the sums and passes of the one that is not."""

    results: list[list[float]] = field(default_factory=list)
    passes: int = 0
    sums: dict[str, torch.Tensor] | None = None


def learn(gathered: Gathered, settings: Settings, checkpoint: Path, report: Report = lambda *_: None) -> Learnt:
    """Learn a mixture, or go on where a learning stopped.

    Args:
        gathered: Poses.
        settings: What to learn.
        checkpoint: File of what was learnt so far.
        report: Told of every pass.

    Raises:
        InputError: There are too few recordings, or the checkpoint is of other settings.
    """
    folds = folds_of(gathered)
    counts = sorted({1, settings.components})
    candidates = [Widening(a, s, settings.floor_rad) for a, s in itertools.product(SHRINKAGES, SCALES)]
    runs = list(itertools.product(counts, folds))
    saved = Checkpoint(checkpoint, settings, gathered.fold)
    progress = _Progress(**saved.load())
    results = list(progress.results)

    def passed(run: int, sums: Sums, passes: int) -> None:
        saved.save(asdict(_Progress(results, passes, sums.tensors())))
        report("learning", run * settings.passes + passes, (len(runs) + 1) * settings.passes)

    for run, (components, fold) in enumerate(runs):
        if run < len(results):
            continue
        begun = progress if run == len(progress.results) else None
        keep = gathered.fold != fold
        widening = Widening(WHILE_LEARNING, 1.0, settings.floor_rad)
        sums = _run(gathered, keep, components, widening, settings, begun, partial(passed, run))
        tried = [maximisation(sums, candidate) for candidate in candidates]
        found = np.zeros(len(tried))
        for chunk in gathered.chunks(~keep):
            pose = torch.from_numpy(chunk)
            found += [float(mixture.log_density(pose).logsumexp(1).sum()) for mixture in tried]
        results.append(found.tolist())
        saved.save(asdict(_Progress(results)))
    by_count = {count: np.zeros(len(candidates)) for count in counts}
    for (components, _), result in zip(runs, results, strict=False):
        by_count[components] += result
    chosen = candidates[int(by_count[settings.components].argmax())]
    begun = progress if len(progress.results) == len(runs) else None
    whole = Widening(chosen.shrinkage, 1.0, chosen.floor_rad)  # widening twice would be none: the scale comes last
    everything = np.ones(len(gathered.pose), bool)
    sums = _run(gathered, everything, settings.components, whole, settings, begun, partial(passed, len(runs)))
    poses = 2 * len(gathered.pose)
    nats = {count: float(by_count[count].max()) / poses for count in counts}
    return Learnt(maximisation(sums, chosen), chosen, nats[settings.components], nats[1], poses)


def _run(
    gathered: Gathered,
    keep: np.ndarray,
    components: int,
    widening: Widening,
    settings: Settings,
    begun: _Progress | None,
    passed: Callable[[Sums, int], None],
) -> Sums:
    """Make passes until they gain nothing, and return the last one's sums."""
    if begun is not None and begun.sums is not None:
        sums, passes = Sums.of(begun.sums), begun.passes
    else:
        rows = np.flatnonzero(keep)
        rng = np.random.default_rng(settings.seed)
        rows = np.sort(rng.choice(rows, min(SAMPLE, len(rows)), replace=False))
        sample = np.asarray(gathered.pose[rows])
        other = rng.random(len(sample)) < 0.5
        sample[other] = mirrored(sample[other])
        sums, passes = first_sums(sample.astype(np.float64), components, settings.seed), 0
    poses = 2 * int(keep.sum())
    while passes < settings.passes:
        before = float(sums.log_likelihood)
        sums, passes = expectation(maximisation(sums, widening), gathered.chunks(keep)), passes + 1
        ended = float(sums.log_likelihood) - before < LEAST_GAIN * poses
        passed(sums, settings.passes if ended else passes)  # a run that has ended does not go on
        if ended:
            break
    return sums
