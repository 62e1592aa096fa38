"""Measures how people accelerate: `python -m priors.learning.motion MOTION --out motion.safetensors`.

For every interval of whole frames, accelerations of all recordings, thinned from each of their first frames; of each
joint's and the translation's, Student's t of 3-vectors by its likelihood: a sigma for each recording (one walks, one
fights), ν in common. The table's sigma is the recordings' geometric mean.

Source: Lange, Little and Taylor, JASA 84(408), 1989, sec. 3 (σ by expectation and maximisation; ν by profile).
"""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import typer
from jaxtyping import Float, Int
from torch import Tensor

from priors.learning.command import bar, command, told, work_folder
from priors.learning.motion_files import Stored, motion_files, stored_motion
from priors.motion import MOST_STEP_RAD
from priors.motion_file import MotionTable, write_motion_table
from refine.body.keypoint_names import SMPL22
from refine.errors import InputError
from refine.geometry import rotation
from refine.terms.student_t import DIMENSIONS

DEGREES = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 10.0, 30.0, 300.0)
"""ν that are tried; the last is a Gaussian."""
INTERVALS_S = (1 / 60, 1 / 30, 1 / 20, 1 / 15, 1 / 10, 1 / 6, 1 / 4, 1 / 2)
"""Intervals that are measured, where a recording's frames fall on them."""
LEAST_TRIPLES = 20
"""Fewer accelerations of a recording say nothing of its sigma."""
STEPS = 60
"""Of expectation and maximisation: σ is settled to a thousandth."""
LEAST = 1e-12
"""Added to squared accelerations: a joint that a recording holds still has none."""
STILL = 1e-3
"""A joint whose sigma is below this at every interval was not recorded (CMU's collars do not move): rad/s²."""
DIGITS = 3


@dataclass(frozen=True, eq=False)
class Fitted:
    """Accelerations of one interval: sigma (N,), ν (N,), spread between recordings, nats a triple above a Gaussian."""

    sigma: Tensor
    degrees: Tensor
    spread: float
    gain: float


def accelerations(recording: Stored, stride: int) -> Iterator[Float[Tensor, "M N 3"]]:
    """Yield accelerations of 22 joints (rad/s²) and the translation (m/s², the last) of frames `stride` apart.

    Steps near π are left out: NaN.
    """
    assert recording.translation is not None
    joints = len(SMPL22)
    pose = rotation.exp(torch.as_tensor(recording.pose[:, : 3 * joints], dtype=torch.float64).unflatten(1, (joints, 3)))
    place, step = torch.as_tensor(recording.translation, dtype=torch.float64), stride / recording.rate
    for first in range(stride):
        turns, there = pose[first::stride], place[first::stride]
        if len(turns) < 3:
            continue
        turned = rotation.log(turns[:-1].mT @ turns[1:])
        fast = (turned.norm(dim=-1) > MOST_STEP_RAD)[..., None]
        speed = torch.cat((torch.where(fast, torch.nan, turned), there.diff(dim=0)[:, None]), 1) / step
        yield speed.diff(dim=0) / step


def log_likelihood(
    squared: Float[Tensor, "M N"], degrees: float
) -> tuple[Float[Tensor, "N"], Float[Tensor, "N"], Int[Tensor, "N"]]:
    """Return the sigma of Student's t that makes 3-vectors likeliest, their log-likelihood there, and their number.

    Args:
        squared: (M, N) squared norms, NaN where there is none.
        degrees: ν.
    """
    there = squared.isfinite()
    count, known = there.sum(0).clamp(min=1), torch.where(there, squared, 0.0) + LEAST
    variance = (torch.where(there, known, torch.nan).nanmedian(0).values / DIMENSIONS).nan_to_num(1.0).clamp(min=LEAST)
    for _ in range(STEPS):
        weight = (degrees + DIMENSIONS) / (degrees + known / variance)
        variance = (weight * known * there).sum(0) / (DIMENSIONS * count)
        variance = variance.clamp(min=LEAST)
    half = (degrees + DIMENSIONS) / 2
    constant = math.lgamma(half) - math.lgamma(degrees / 2) - DIMENSIONS / 2 * math.log(degrees * math.pi)
    each = constant - DIMENSIONS / 2 * variance.log() - half * torch.log1p(known / (degrees * variance))
    return variance.sqrt(), (each * there).sum(0), there.sum(0)


def fit(parts: Sequence[Float[Tensor, "M N"]]) -> Fitted:
    """Fit Student's t to squared accelerations of recordings, (M, N) each."""
    sigmas, totals, number = [], [], torch.zeros(1)
    for degrees in DEGREES:
        found = [log_likelihood(part, degrees) for part in parts]
        sigmas.append(torch.stack([each[0] for each in found]).log().mean(0))
        totals.append(torch.stack([each[1] for each in found]).sum(0))
        number = torch.stack([each[2] for each in found]).sum(0)
    total = torch.stack(totals)  # (G, N)
    best = total.argmax(0)
    sigma = torch.stack(sigmas).gather(0, best[None])[0].exp()
    moves = sigma > STILL
    own = torch.stack([log_likelihood(part, 2.0)[0][moves].log().mean() for part in parts])
    gain = ((total.amax(0) - total[-1]) / number.clamp(min=1))[moves].mean()
    spread = float(own.std()) if len(own) > 1 else 1.0
    return Fitted(sigma, torch.tensor(DEGREES, dtype=torch.float64)[best], max(spread, 1e-3), float(gain))


def measure(recordings: Sequence[Stored], report: object = None) -> tuple[MotionTable, dict[str, float]]:
    """Return the table of recordings, and nats by which Student's t is likelier than a Gaussian, by interval.

    Raises:
        InputError: No recording has a translation and frames at one of the intervals.
    """
    rows, gains = [], {}
    for number, interval in enumerate(INTERVALS_S):
        if callable(report):
            report("intervals", number, len(INTERVALS_S))
        parts = []
        for each in recordings:
            stride = round(interval * each.rate)
            if stride < 1 or abs(stride / each.rate / interval - 1) > 0.05 or each.translation is None:
                continue
            squared = [part.square().sum(-1) for part in accelerations(each, stride)]
            if sum(map(len, squared)) >= LEAST_TRIPLES:
                parts.append(torch.cat(squared))
        if parts:
            found = fit(parts)
            rows.append((interval, found))
            gains[f"gain_nats_at_{interval:.3f}_s"] = round(found.gain, DIGITS)
    if not rows:
        raise InputError("motion", "recordings with translation at up to 60 frames a second", "none")
    sigma, degrees = (torch.stack([getattr(found, name) for _, found in rows]) for name in ("sigma", "degrees"))
    moves = sigma.amax(0) > STILL
    moves[-1] = True
    table = MotionTable(
        torch.tensor([interval for interval, _ in rows], dtype=torch.float64),
        sigma[:, moves],
        degrees[:, moves],
        torch.tensor([found.spread for _, found in rows], dtype=torch.float64),
        tuple(name for name, each in zip(SMPL22, moves.tolist(), strict=False) if each),
    )
    return table, gains


def main(
    motion: Annotated[Path, typer.Argument(help="Folder of AMASS's .npz files, or a file of recordings together.")],
    out: Annotated[Path, typer.Option(help="The file to write, .safetensors.")],
    trained_on: Annotated[str, typer.Option(help="Words for the file: which data, whose, under which terms.")] = "",
    licence: Annotated[str, typer.Option(help="Words for the file: under which licence it may be used.")] = "",
) -> None:
    """Measure accelerations of joints and pelvis, and how heavy their tails are, over the interval between frames."""
    with told():
        work_folder(out)
        files = motion_files(motion)
        recordings = [each for file in files for each in stored_motion(file, file.stem)]
        with bar() as report:
            table, gains = measure(recordings, report)
        seconds = sum(len(each.pose) / each.rate for each in recordings)
        words = {
            "trained_on": trained_on or f"{len(recordings)} recordings in {motion.name}",
            "licence": licence or "that of the motion data",
            "command": command("motion"),
            "figures": json.dumps({"recordings": len(recordings), "seconds": round(seconds, 1), **gains}),
        }
        size = write_motion_table(out, table, words)
        typer.echo(f"{out}: {len(table.interval_s)} intervals, {size} bytes; {gains}", err=True)


if __name__ == "__main__":
    typer.run(main)
