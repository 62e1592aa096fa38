"""Learns a pose mixture: `python -m priors.learning.mixture AMASS_DIR --out mixture.safetensors`; can be resumed.

Beside the file lies `mixture.safetensors.work` (poses read, checkpoint); it can be removed when the file is there.
"""

import json
import math
from pathlib import Path
from typing import Annotated

import typer

from priors.learning.command import bar, command, describe, told, work_folder
from priors.learning.expectation_runs import Learnt, Settings, learn
from priors.learning.gather import Gathered, LeftOut, gather
from priors.mixture_file import write_mixture
from priors.mixture_pose import GaussianMixturePose

DIGITS = 4
"""Of figures that are kept."""


def figures_of(learnt: Learnt, gathered: Gathered) -> dict[str, float]:
    """Return what is said about a mixture, by name with the unit in the name."""
    found = {
        "recordings": len(gathered.recordings),
        "poses": len(gathered.pose),
        "held_out_nats_per_pose": learnt.held_out_nats,
        "one_gaussian_nats_per_pose": learnt.one_gaussian_nats,
        "shrinkage": learnt.widening.shrinkage,
        "scale": learnt.widening.scale,
        "floor_rad": learnt.widening.floor_rad,
    }
    return {name: round(value, DIGITS) for name, value in found.items()}


def main(
    motion: Annotated[Path, typer.Argument(help="Folder of AMASS's .npz files, or a file of recordings together.")],
    out: Annotated[Path, typer.Option(help="The file to write, .safetensors.")],
    components: Annotated[int, typer.Option(min=1, help="Gaussians.")] = 8,
    folds: Annotated[int, typer.Option(min=2, help="Recordings are dealt into; each is left out once.")] = 5,
    leave_out: Annotated[LeftOut, typer.Option(help="What is left out together.")] = LeftOut.RECORDING,
    per_second: Annotated[float, typer.Option(min=0.01, help="Frames kept of every second of motion.")] = 5.0,
    passes: Annotated[int, typer.Option(min=1, help="Over the poses in a run, at most.")] = 60,
    floor_deg: Annotated[float, typer.Option(min=0.1, help="Least standard deviation of a joint's axis.")] = 3.0,
    seed: Annotated[int, typer.Option(min=0, help="Of the start.")] = 0,
    trained_on: Annotated[str, typer.Option(help="Words for the file: which data, whose, under which terms.")] = "",
    licence: Annotated[str, typer.Option(help="Words for the file: under which licence the mixture may be used.")] = "",
) -> None:
    """Learn a Gaussian mixture of body poses and report its likelihood on recordings that were left out."""
    with told():
        work = work_folder(out)
        with bar() as report:
            gathered = gather(motion, work, per_second=per_second, folds=folds, left_out=leave_out, report=report)
            settings = Settings(components, folds, passes, math.radians(floor_deg), seed)
            learnt = learn(gathered, settings, work / "mixture.pt", report)
        describe(gathered)
        found = figures_of(learnt, gathered)
        words = {
            "trained_on": trained_on or f"{len(gathered.recordings)} recordings in {motion.name}",
            "licence": licence or "that of the motion data",
            "command": command("mixture"),
            "figures": json.dumps(found),
        }
        mixture = learnt.mixture
        size = write_mixture(out, GaussianMixturePose(mixture.weight, mixture.mean, mixture.covariance).parts, words)
        gain = found["held_out_nats_per_pose"] - found["one_gaussian_nats_per_pose"]
        typer.echo(
            f"{out}: {components} components, {size} bytes; recordings left out: {found['held_out_nats_per_pose']:.2f} "
            f"nats a pose, {gain:+.2f} against one Gaussian",
            err=True,
        )


if __name__ == "__main__":
    typer.run(main)
