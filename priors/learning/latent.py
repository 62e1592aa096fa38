"""Trains a latent pose prior: `python -m priors.learning.latent AMASS_DIR --out latent.safetensors`; can be resumed.

Beside the file lies `latent.safetensors.work` (poses read, checkpoint); it can be removed when the file is there.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from priors.latent_file import write_latent
from priors.latent_pose import LatentPose
from priors.learning.autoencoder import Settings, Sitting, latent_rms, measure, train
from priors.learning.checkpoint import Checkpoint
from priors.learning.command import bar, command, describe, told, work_folder
from priors.learning.gather import Gathered, LeftOut, Report, folds_of, gather

DIGITS = 4
"""Of figures that are kept."""


@dataclass(frozen=True)
class Learnt:
    """A prior of all recordings, and how the same training does on recordings left out (see `measure`)."""

    prior: LatentPose
    poses: int
    degrees: float
    loss_nats: float
    latent_rms: float


def learn(gathered: Gathered, settings: Settings, checkpoint: Path, report: Report = lambda *_: None) -> Learnt:
    """Train a network without each fold and one with everything, or go on where that stopped.

    Args:
        gathered: Poses.
        settings: What to train.
        checkpoint: File of what was trained so far.
        report: Told of the steps.

    Raises:
        InputError: There are too few recordings, or the checkpoint is of other settings.
    """
    folds = folds_of(gathered)
    saved = Checkpoint(checkpoint, settings, gathered.fold)
    begun = saved.load()
    results, under_way = list(begun.get("results", [])), Sitting(begun.get("step", 0), begun.get("state", {}))

    def passed(sitting: Sitting) -> None:
        saved.save({"results": results, "step": sitting.step, "state": sitting.state})
        report("training", len(results) * settings.steps + sitting.step, (len(folds) + 1) * settings.steps)

    for fold in folds[len(results) :]:
        keep = gathered.fold != fold
        network = train(gathered, settings, keep, under_way, passed)
        results, under_way = [*results, measure(gathered, settings, ~keep, network)], Sitting()
        saved.save({"results": results})
    network = train(gathered, settings, np.ones(len(gathered.pose), bool), under_way, passed)
    sums = torch.stack(results).sum(0)
    mean = sums / sums[0]
    sigma_rad = (mean[4:] + settings.floor_rad**2).sqrt()
    prior = LatentPose(*network.layers(latent_rms(gathered, network)), sigma_rad)
    return Learnt(prior, int(sums[0]), float(mean[1]), float(mean[2]), float(mean[3].sqrt()))


def figures_of(learnt: Learnt, gathered: Gathered) -> dict[str, float]:
    """Return what is said about a network, by name with the unit in the name."""
    found = {
        "recordings": len(gathered.recordings),
        "poses": len(gathered.pose),
        "held_out_degrees": learnt.degrees,
        "held_out_loss_nats_per_pose": learnt.loss_nats,
        "held_out_latent_rms": learnt.latent_rms,
    }
    return {name: round(value, DIGITS) for name, value in found.items()}


def main(
    motion: Annotated[Path, typer.Argument(help="Folder of AMASS's .npz files, or a file of recordings together.")],
    out: Annotated[Path, typer.Option(help="The file to write, .safetensors.")],
    latent: Annotated[int, typer.Option(min=1, help="Numbers a pose is squeezed into.")] = 16,
    width: Annotated[int, typer.Option(min=1, help="Of the hidden layers.")] = 128,
    steps: Annotated[int, typer.Option(min=1, help="Batches, over all sittings.")] = 20_000,
    batch: Annotated[int, typer.Option(min=1, help="Poses in one.")] = 256,
    rate: Annotated[float, typer.Option(min=1e-8, help="Of the optimiser, at the start.")] = 1e-3,
    divergence: Annotated[float, typer.Option(min=0.0, help="Weight of staying near a standard normal.")] = 0.01,
    noise_deg: Annotated[float, typer.Option(min=0.0, help="What the network learns to take off, per axis.")] = 3.0,
    recombined: Annotated[float, typer.Option(min=0.0, max=1.0, help="Share with another frame's legs.")] = 0.0,
    floor_deg: Annotated[float, typer.Option(min=0.1, help="Least standard deviation of a joint's axis.")] = 3.0,
    folds: Annotated[int, typer.Option(min=2, help="Recordings are dealt into; each is left out once.")] = 3,
    leave_out: Annotated[LeftOut, typer.Option(help="What is left out together.")] = LeftOut.RECORDING,
    per_second: Annotated[float, typer.Option(min=0.01, help="Frames kept of every second of motion.")] = 5.0,
    seed: Annotated[int, typer.Option(min=0, help="Of weights, order and noise.")] = 0,
    trained_on: Annotated[str, typer.Option(help="Words for the file: which data, whose, under which terms.")] = "",
    licence: Annotated[str, typer.Option(help="Words for the file: under which licence the network may be used.")] = "",
) -> None:
    """Train a small autoencoder of body poses and report how it does on recordings that were left out."""
    with told():
        work = work_folder(out)
        settings = Settings(
            latent=latent, width=width, steps=steps, batch=batch, rate=rate, divergence=divergence,
            noise_rad=math.radians(noise_deg),
            recombined=recombined, floor_rad=math.radians(floor_deg), seed=seed,
        )  # fmt: skip
        with bar() as report:
            gathered = gather(motion, work, per_second=per_second, folds=folds, left_out=leave_out, report=report)
            learnt = learn(gathered, settings, work / "latent.pt", report)
        describe(gathered)
        found = figures_of(learnt, gathered)
        words = {
            "trained_on": trained_on or f"{len(gathered.recordings)} recordings in {motion.name}",
            "licence": licence or "that of the motion data",
            "command": command("latent"),
            "figures": json.dumps(found),
        }
        size = write_latent(out, learnt.prior.parts, words)
        typer.echo(
            f"{out}: {latent} numbers, {size} bytes; recordings left out: unfolded within {learnt.degrees:.1f} degrees "
            f"a joint, loss {learnt.loss_nats:.2f} nats a pose",
            err=True,
        )


if __name__ == "__main__":
    typer.run(main)
