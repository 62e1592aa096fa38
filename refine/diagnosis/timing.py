"""Keypoints that are some frames early or late: the shift under which moving people fit best.

    d_k(i)  distance of person i of frame t from the keypoints of frame t + k          gain_k(i) = d_0(i) - d_k(i)

Neighbouring frames say the same thing, so that gains are averaged over blocks of a second before their standard error
is taken. People who stand still say nothing about time.
"""

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from refine.diagnosis.candidates import MAD_SIGMA, MEDIAN_SIGMA, Candidate
from refine.diagnosis.sample import Sample
from refine.diagnosis.table import Table

FARTHEST = 15
"""Frames looked at to each side: half a second of video."""
STRIDE = 3
"""Every so many of them first, then those around the best."""
REACH = FARTHEST + STRIDE
"""The farthest frame that may be looked at."""
FEWEST = 20
"""Photos of a sequence from which it is looked at."""
BLOCK = 10
"""Frames whose gains are taken as one."""
MOST = 300
"""People looked at."""
LEAST_GAIN = 0.05
"""Share of the distance that must go."""


def frames(sample: Sample) -> Iterator[Candidate]:
    """Return the best shift, where there are sequences."""
    runs: dict[str, dict[int, int]] = {}
    for index, frame in enumerate(sample.frames):
        if frame.people is not None:
            runs.setdefault(frame.sequence, {})[frame.number] = index
    runs = {name: run for name, run in runs.items() if len(run) >= FEWEST}
    if not runs:
        return
    rows = [row for row, index in enumerate(sample.frame.tolist()) if sample.frames[index].sequence in runs]
    start = max(0, (len(rows) - MOST) // 2)
    rows = rows[start : start + MOST]  # neighbours, not every tenth
    table = Table.of(sample)
    if table is None or not rows:
        return
    near = sorted({index for run in runs.values() for index in run.values()} & _reached(sample, runs, rows))
    table = replace(table, rows=torch.tensor(rows), others=tuple(near))
    left: dict[int, Tensor] = {}

    def look(shift: int) -> float:
        if shift not in left:
            pairs = table.pairs(seen_in=_shifted(runs, shift))
            left[shift] = table.spread_out(pairs, pairs.distance(mean=True))
        return -float(left[shift].nanmean())

    coarse = max(range(-FARTHEST, FARTHEST + 1, STRIDE), key=look)
    for shift in (0, *range(coarse - STRIDE + 1, coarse + STRIDE)):
        look(shift)
    base = left[0]
    mean = {shift: float((base - one).nanmean()) for shift, one in left.items()}
    best = max(mean, key=mean.__getitem__)
    if best == 0:
        return
    gain = base - left[best]
    blocks = torch.stack([part.nanmean() for part in gain.split(BLOCK)])
    blocks = blocks[blocks.isfinite()]
    if len(blocks) < 2 or mean[best] < LEAST_GAIN * float(base.nanmean()):
        return
    middle = blocks.median()
    error = MEDIAN_SIGMA * MAD_SIGMA * (blocks - middle).abs().median() / len(blocks) ** 0.5
    deviations = float(middle / error.clamp(min=1e-6))
    both = gain.isfinite()
    agree, before = float((gain[both] > 0).float().mean()), float(base[both].median())
    word = "late" if best > 0 else "early"
    words = f"the keypoints come {abs(best)} frame{'s' * (abs(best) > 1)} {word}"
    yield Candidate(
        "frames", words, f"--correct keypoints.frames={best}", left[best], 2.0, deviations, 1, agree, before
    )


def _shifted(runs: dict[str, dict[int, int]], shift: int) -> dict[int, int]:
    """Return for each photo of a sequence the one `shift` places on."""
    return {
        index: run[number + shift] for run in runs.values() for number, index in run.items() if number + shift in run
    }


def _reached(sample: Sample, runs: dict[str, dict[int, int]], rows: list[int]) -> set[int]:
    """Return the photos whose keypoints some shift gives to one of the people looked at."""
    found = set()
    for index in {int(sample.frame[row]) for row in rows}:
        frame = sample.frames[index]
        run = runs[frame.sequence]
        found |= {run[number] for number in range(frame.number - REACH, frame.number + REACH + 1) if number in run}
    return found
