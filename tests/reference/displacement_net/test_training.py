"""Training: one batch learnt by heart, and runs that are stopped and resumed."""

import csv
import math
from collections.abc import Callable, Generator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
import typer
from typer.testing import CliRunner

from displacement_net import catalog
from displacement_net.loss import loss
from displacement_net.model import DisplacementNet
from displacement_net.training import train as command
from displacement_net.training.assets import procedural_assets
from displacement_net.training.average import follow
from displacement_net.training.batches import Batch, batch_of, batches
from displacement_net.training.checkpoints import NAME, Progress
from displacement_net.training.holdout import calibrated, measure
from displacement_net.training.loop import Schedule, Trained, engine, train
from displacement_net.training.shown import SampleSource
from displacement_net.training.split import split
from refine.errors import InputError
from tests.shifted_discs import SETTINGS, Shifted


def held(count: int = 8) -> list[Batch]:
    return command.held_out(Shifted(), count, 4)


def stream(first_step: int, count: int = 4) -> Generator[Batch, None, None]:
    return batches(Shifted, count, first_step=first_step)


def _batches_of(source: SampleSource, first_step: int) -> Generator[Batch, None, None]:
    return batches(lambda: source, 4, first_step=first_step)


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Trained]:
    """Trains a small network in the folder `name` for some steps."""
    pytest.importorskip("lightning_fabric", reason="training needs lightning-fabric")
    monotone = partial(train, engine(), SETTINGS)

    def go(name: str, steps: int, of: int | None = None, resume: bool = False, **settings: float) -> Trained:
        schedule = Schedule(steps=of or steps, warmup=5, log_steps=2, **settings)
        if of is None:
            return monotone(schedule, tmp_path / name, stream, held(), resume=resume)
        return monotone(schedule, tmp_path / name, partial(_until, steps), held(), resume=resume)

    return go


class StoppedError(Exception):
    """The machine went down."""


def _until(last: int, first_step: int) -> Generator[Batch, None, None]:
    """Batches up to a step, then the machine goes down."""
    for number, batch in enumerate(stream(first_step)):
        if first_step + number == last:
            raise StoppedError
        yield batch


def test_one_batch_is_learnt_by_heart() -> None:
    batch = batch_of(Shifted().batch(0, 4))
    torch.manual_seed(0)
    network = DisplacementNet(SETTINGS)
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    before = measure(network, [batch])
    for _ in range(150):
        optimizer.zero_grad()
        loss(network(batch.channels), batch.truth).total.backward()
        optimizer.step()
    for module in network.modules():  # statistics of this batch alone, since it is all there is
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
            module.reset_running_stats()
    network(batch.channels)
    after = measure(network, [batch])
    assert before.share == pytest.approx(1)
    assert after.share < 0.25
    assert after.visible_right > after.visible_share + 0.03, "better than calling everything visible"


def test_the_average_follows_and_ends_where_the_network_stays() -> None:
    torch.manual_seed(0)
    network, average = DisplacementNet(SETTINGS), DisplacementNet(SETTINGS)
    for step in range(200):
        follow(average, network, step, decay=0.9)
    for kept, own in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        torch.testing.assert_close(kept, own)


def test_the_rate_rises_then_falls_to_its_floor() -> None:
    schedule = Schedule(steps=1000, peak=1.0, warmup=10)
    rates = [schedule.rate(Progress(step)) for step in (0, 9, 500, 1000)]
    assert rates == pytest.approx([0.1, 1.0, 0.505, 0.01], rel=0.01)
    assert Schedule(minutes=2.0).spent(Progress(seconds=30.0)) == 0.25


@pytest.mark.parametrize("budget", [{}, {"minutes": 0.0}, {"steps": -1}])
def test_a_run_without_a_budget_is_refused(budget: dict[str, float]) -> None:
    with pytest.raises(InputError, match="budget"):
        Schedule(**budget)


def test_a_resumed_run_equals_one_that_was_not_stopped(run: Callable[..., Trained], tmp_path: Path) -> None:
    whole = run("whole", 12)
    with pytest.raises(StoppedError):
        run("parts", 7, of=12, checkpoint_minutes=0.0)
    resumed = run("parts", 12, resume=True)
    assert resumed.progress.step == whole.progress.step == 12
    assert repr(resumed.figures) == repr(whole.figures)
    for name, value in whole.network.state_dict().items():
        torch.testing.assert_close(resumed.network.state_dict()[name], value, rtol=0, atol=0)


def test_the_log_of_a_resumed_run_has_no_step_twice(run: Callable[..., Trained], tmp_path: Path) -> None:
    with pytest.raises(StoppedError):
        run("parts", 7, of=12, checkpoint_minutes=0.0)
    run("parts", 12, resume=True)
    with (tmp_path / "parts" / "training.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [2, 4, 6, 8, 10, 12]
    assert all(math.isfinite(float(row["total"])) for row in rows)


def test_training_lowers_the_share_of_the_hold_out(run: Callable[..., Trained], tmp_path: Path) -> None:
    """Where all people are displaced alike, a minute's training finds out how."""
    alike = Shifted(mean_px=(0.0, 3.0), spread_px=0.5)
    schedule = Schedule(steps=100, peak=3e-3, warmup=5)
    shown = partial(_batches_of, alike)
    trained = train(engine(), SETTINGS, schedule, tmp_path / "alike", shown, command.held_out(alike, 8, 4))
    assert trained.figures.share < 0.5
    assert trained.progress.samples == 400


def test_mixed_precision_trains_too(run: Callable[..., Trained], tmp_path: Path) -> None:
    mixed = train(engine(precision="bf16-mixed"), SETTINGS, Schedule(steps=6), tmp_path / "mixed", stream, held())
    single = run("single", 6)
    assert mixed.figures.share == pytest.approx(single.figures.share, abs=0.05)
    assert all(value.dtype != torch.bfloat16 for value in mixed.network.state_dict().values())


def test_a_folder_with_a_checkpoint_is_not_trained_over(run: Callable[..., Trained]) -> None:
    run("once", 2)
    with pytest.raises(InputError, match="--resume"):
        run("once", 2)


def test_nothing_to_resume_is_said(run: Callable[..., Trained]) -> None:
    with pytest.raises(InputError, match="a folder with a checkpoint"):
        run("never", 2, resume=True)


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04 cut short"])
def test_a_damaged_checkpoint_is_refused(run: Callable[..., Trained], tmp_path: Path, content: bytes) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / NAME).write_bytes(content)
    with pytest.raises(InputError, match="a checkpoint"):
        run("broken", 2, resume=True)


def test_a_checkpoint_of_another_network_is_refused(run: Callable[..., Trained], tmp_path: Path) -> None:
    run("small", 2)
    other = replace(SETTINGS, widths=(8, 12, 16, 32))
    with pytest.raises(InputError, match="Give the options"):
        train(engine(), other, Schedule(steps=3), tmp_path / "small", stream, held(), resume=True)


def test_a_run_ends_with_a_calibrated_file(run: Callable[..., Trained], tmp_path: Path) -> None:
    trained = run("run", 60, peak=3e-3)
    kept = held(16)  # four batches: the first and third calibrate, the others measure
    figures = command.export(tmp_path / "run", trained, kept, "a test")
    assert figures.one_sigma == pytest.approx(math.erf(0.5**0.5), abs=0.08)
    network = catalog.load(tmp_path / "run" / "network.safetensors")
    assert measure(network, kept[1::2]).share == pytest.approx(figures.share, abs=0.02)
    assert calibrated(trained.network, kept[::2]).sharpness == pytest.approx(1, abs=0.01)
    assert float(network.correlation_px) == pytest.approx(float(trained.network.correlation_px))


def test_training_goes_on_from_weights_of_an_earlier_sitting(run: Callable[..., Trained], tmp_path: Path) -> None:
    trained = run("first", 40, peak=3e-3)
    command.export(tmp_path / "first", trained, held(), "a test")
    start = catalog.load_trainable(tmp_path / "first" / "network.safetensors")
    before = measure(trained.network, held()).share
    again = train(engine(), SETTINGS, Schedule(steps=1, peak=1e-6), tmp_path / "second", stream, held(), start=start)
    assert again.figures.share == pytest.approx(before, abs=0.02)
    assert float(again.network.sharpness) == 1


def test_a_comparison_of_textures_is_added_to_weights_without_one(tmp_path: Path) -> None:
    torch.manual_seed(1)
    first = DisplacementNet(replace(SETTINGS, correlation_radius=2, correlation_features=8))
    torch.nn.init.normal_(first.head.weight, std=0.1)
    wider, few = replace(first.settings, texture_radius=2), Schedule(steps=1, peak=1e-9)
    again = train(engine(), wider, few, tmp_path / "run", stream, held(), start=first)
    assert again.figures.share == pytest.approx(measure(first, held()).share, abs=0.02)


def test_the_hold_out_wears_what_training_never_sees() -> None:
    assets = procedural_assets(8)
    for kind in ("skins", "panoramas"):
        kept, shown = getattr(split(assets, True), kind), getattr(split(assets, False), kind)
        everything = getattr(assets, kind)
        assert len(kept) + len(shown) == len(everything)
        assert len(kept) >= 1
        assert not {id(thing) for thing in kept} & {id(thing) for thing in shown}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--minutes", "1", "--size", "100"], "--size: expected a multiple of 32"),
        (["--size", "64"], "budget: expected minutes or steps"),
        (["--steps", "0"], "budget: expected minutes or steps"),
        (["--steps", "1"], "training body: expected the full base mesh"),
    ],
)
def test_the_command_says_what_is_wrong(tmp_path: Path, options: list[str], message: str) -> None:
    pytest.importorskip("lightning_fabric", reason="training needs lightning-fabric")
    app = typer.Typer()
    app.command()(command.main)
    needed = ["--out", str(tmp_path / "run"), "--training-body", str(tmp_path / "none.safetensors")]
    said = CliRunner().invoke(app, [*needed, *options])
    assert said.exit_code == 2
    assert message in said.stderr
    assert not (tmp_path / "run").exists()
