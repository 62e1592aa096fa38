"""Training, one step after the other: batch, loss, gradient, step, average; figures and checkpoints by the clock.

    rate(p) = peak min(1, n / warm-up) (floor + (1 - floor) (1 + cos(pi p)) / 2)     step n, share p of the budget spent

A budget is a number of steps (then a run is the same however often it is stopped and resumed, on a CPU to the last bit)
or of minutes, over all sittings. One device or many: the engine (Lightning Fabric) carries gradients between them, each
makes its own samples.

Source: Loshchilov and Hutter, SGDR, ICLR 2017 (cosine) and Decoupled Weight Decay Regularization, ICLR 2019.
"""

import copy
import math
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from displacement_net.catalog import save
from displacement_net.loss import Truth, loss
from displacement_net.model import DisplacementNet, Settings
from displacement_net.training.average import follow
from displacement_net.training.batches import Batch
from displacement_net.training.checkpoints import NAME, Progress, load_checkpoint, save_checkpoint
from displacement_net.training.holdout import Figures, measure
from displacement_net.training.run_log import Losses, RunLog
from displacement_net.trunk import PhotoTrunk, fill
from refine.errors import InputError, MissingExtra

if TYPE_CHECKING:
    from lightning_fabric import Fabric

FLOOR = 0.01
"""Of the rate at the end, against its peak."""
CLIP = 5.0
"""Longest gradient; longer ones are shortened (a few times a healthy one's length after the first hundred steps)."""
AVERAGE = "average.safetensors"
"""Written with each checkpoint: the average so far, as `displacement_net.catalog` reads it, not calibrated."""
PARTS = ("total", "likelihood", "endpoint", "visible", "person")


@dataclass(frozen=True)
class Schedule:
    """How long and how fast.

    Raises:
        InputError: There is no budget, or it is not above zero.
    """

    minutes: float | None = None
    """Budget of time, over all sittings."""
    steps: int | None = None
    """Budget of steps, over all sittings."""
    peak: float = 1e-3
    """Largest rate of the optimiser (AdamW's own default)."""
    warmup: int = 100
    """Steps over which the rate rises."""
    weight_decay: float = 1e-4
    """AdamW's; small, since samples do not repeat."""
    checkpoint_minutes: float = 5.0
    """Time between checkpoints: what an interruption loses at most."""
    holdout_minutes: float = 2.5
    """Time between measurements on the hold-out."""
    log_steps: int = 20
    """Steps a row of the log is the mean of."""

    def __post_init__(self) -> None:
        budgets = [budget for budget in (self.minutes, self.steps) if budget is not None]
        if not budgets or min(budgets) <= 0:
            raise InputError("budget", "minutes or steps above zero", f"{self.minutes} and {self.steps}")

    def spent(self, progress: Progress) -> float:
        """Return the share of the budget that is spent, 0..1."""
        by_time = progress.seconds / (60 * self.minutes) if self.minutes else 0.0
        by_steps = progress.step / self.steps if self.steps else 0.0
        return min(1.0, max(by_time, by_steps))

    def rate(self, progress: Progress) -> float:
        """Return the optimiser's rate."""
        cosine = FLOOR + (1 - FLOOR) * (1 + math.cos(math.pi * self.spent(progress))) / 2
        return self.peak * min(1.0, (progress.step + 1) / self.warmup) * cosine


@dataclass(frozen=True)
class Trained:
    """What a run ends with.

    Attributes:
        network: The average, normalisations not folded.
        figures: Of the average, on the hold-out.
        progress: Over all sittings.
    """

    network: DisplacementNet
    figures: Figures
    progress: Progress


class Objective(nn.Module):
    """The network and its loss as one module, so that many devices share one backward pass."""

    def __init__(self, network: DisplacementNet) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, channels: Tensor, offset: Tensor, rendered: Tensor, visible: Tensor, person: Tensor | None
    ) -> Tensor:
        """Return the parts of the loss, `PARTS`, as one tensor: the engine passes on tensors, not dataclasses."""
        parts = loss(self.network(channels), Truth(offset, rendered, visible, person))
        return torch.stack([getattr(parts, name) for name in PARTS])


def engine(devices: str = "auto", precision: str | None = None) -> "Fabric":
    """Return the engine that spreads training over devices.

    Args:
        devices: How many ("auto": all there are).
        precision: Fabric's name; None: "bf16-mixed" on CUDA, single precision elsewhere.

    Raises:
        MissingExtra: Lightning Fabric is not installed.
    """
    try:
        from lightning_fabric import Fabric
    except ImportError as error:
        raise MissingExtra("lightning_fabric", "for training", "pip install lightning-fabric") from error
    chosen: Any = precision or ("bf16-mixed" if torch.cuda.is_available() else "32-true")
    # On a CPU several processes would share what one can have.
    return Fabric(devices=devices if torch.cuda.is_available() else 1, precision=chosen)


def train(
    fabric: "Fabric",
    settings: Settings,
    schedule: Schedule,
    folder: Path,
    batches: Callable[[int], Generator[Batch, None, None]],
    hold_out: Sequence[Batch],
    *,
    resume: bool = False,
    report: Callable[[Progress, float, float, Figures | None], None] | None = None,
    seed: int = 0,
    start: DisplacementNet | None = None,
    trunk: Path | None = None,
) -> Trained:
    """Train a network.

    Args:
        fabric: The engine, launched.
        settings: Shape of the network.
        schedule: How long and how fast.
        folder: Where log and checkpoint go; made if it is not there.
        batches: Gives this process's batches from a step on.
        hold_out: Batches to be measured on, on this process's device.
        resume: Go on from the folder's checkpoint.
        report: Called on the first process after each step with the progress, the share of the budget spent, the last
            loss looked at, and the figures where they were measured.
        seed: Of the first weights.
        trunk: The published weights of the settings' trunk, if it has one and nothing to start from; None: those of the
            installed package.
        start: First weights in their place: a network that was trained before, of the same shape, or without its
            comparison of textures or its finer correlation.

    Returns:
        The averaged network with its figures; the same lies in the folder's checkpoint.

    Raises:
        InputError: The folder holds a checkpoint and `resume` is not asked for, or the other way round.
        FloatingPointError: The loss is not finite, which is looked at now and then; the last checkpoint stands.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = DisplacementNet(settings)
    if settings.trunk and (start is None or not start.settings.trunk):
        assert isinstance(network.photo, PhotoTrunk)
        fill(network.photo.trunk, trunk)
    network.to(fabric.device)
    if start is not None:
        network.load_state_dict(network.state_dict() | start.state_dict())  # what it lacks begins anew
        network.sharpness.fill_(1.0)
    average = copy.deepcopy(network)
    optimizer = _optimizer(network, schedule)
    progress = _begin(folder, network, average, optimizer, resume)
    objective, stepper = fabric.setup(Objective(network), optimizer)
    log = RunLog(folder, progress.step) if fabric.is_global_zero else None

    stream = batches(progress.step)
    # The first batch waits for its source to be made, which may take a minute: that is not training.
    ahead: Batch | None = next(stream)
    save_due, measure_due = _Clock(schedule.checkpoint_minutes), _Clock(schedule.holdout_minutes)
    recent = Losses(len(PARTS))
    sitting = _Clock(0.0, already=progress.seconds)
    network.train()
    while schedule.spent(progress) < 1:
        batch, ahead = (ahead or next(stream)).to(fabric.device), None
        rate = schedule.rate(progress)
        for group in optimizer.param_groups:
            group["lr"] = rate
        truth = batch.truth
        parts = objective(batch.channels, truth.offset, truth.rendered, truth.visible, truth.person)
        recent.add(parts)
        fabric.backward(parts[0])
        fabric.clip_gradients(objective, stepper, max_norm=CLIP)
        stepper.step()
        stepper.zero_grad()
        follow(average, network, progress.step)

        # One process's clock is everyone's, so that all stop at the same step.
        seconds = fabric.broadcast(sitting.seconds())
        progress = Progress(progress.step + 1, progress.samples + len(batch.channels) * fabric.world_size, seconds)
        if not log:
            continue
        figures = None
        if progress.step % schedule.log_steps == 0:
            words = {"samples": progress.samples, "seconds": progress.seconds, "rate": rate}
            mean = dict(zip(PARTS, recent.mean(progress.step), strict=True))
            log.write("training", progress.step, words | mean)
        if measure_due.rings():
            figures = measure(average, hold_out)
            log.write("holdout", progress.step, {"samples": progress.samples} | asdict(figures))
        if save_due.rings():
            recent.check(progress.step)
            save_checkpoint(folder, network, average, optimizer, progress)
            save(folder / AVERAGE, average, {"trained_on": f"{progress.samples} samples so far, not calibrated"})
        if report:
            report(progress, schedule.spent(progress), recent.last, figures)
    recent.check(progress.step)
    stream.close()

    figures = measure(average, hold_out)
    if log:
        save_checkpoint(folder, network, average, optimizer, progress)
        log.write("holdout", progress.step, {"samples": progress.samples} | asdict(figures))
        log.close()
    return Trained(average, figures, progress)


def _optimizer(network: DisplacementNet, schedule: Schedule) -> torch.optim.Optimizer:
    """Return AdamW; biases and normalisations do not decay."""
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    decayed = [parameter for parameter in learning if parameter.dim() > 1]
    others = [parameter for parameter in learning if parameter.dim() <= 1]
    groups = [{"params": decayed, "weight_decay": schedule.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=schedule.peak, fused=learning[0].is_cuda)


class _Clock:
    """Rings at most once every so many minutes, and tells the seconds since it was made."""

    def __init__(self, minutes: float, already: float = 0.0) -> None:
        self._every, self._began = 60 * minutes, time.monotonic() - already
        self._last = time.monotonic()

    def seconds(self) -> float:
        return time.monotonic() - self._began

    def rings(self) -> bool:
        due = time.monotonic() - self._last >= self._every
        if due:
            self._last = time.monotonic()
        return due


def _begin(
    folder: Path, network: DisplacementNet, average: DisplacementNet, optimizer: torch.optim.Optimizer, resume: bool
) -> Progress:
    """Take up the folder's checkpoint, or begin anew where there is none.

    Raises:
        InputError: See `train`.
    """
    if resume:
        return load_checkpoint(folder, network, average, optimizer)
    if (folder / NAME).exists():
        raise InputError(
            "--out", "a folder without a checkpoint", str(folder), "Add --resume to go on, or name another folder."
        )
    return Progress()
