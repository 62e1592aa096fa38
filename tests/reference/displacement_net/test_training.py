"""Training: the likelihood, its calibration, one batch learnt by heart, and runs that are stopped and resumed."""

import csv
import itertools
import math
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from torch import Tensor
from typer.testing import CliRunner

from displacement_net import catalog
from displacement_net.loss import TAIL, Truth, coverage, loss, negative_log_likelihood
from displacement_net.model import DisplacementNet, Prediction, Settings
from displacement_net.training import train as command
from displacement_net.training.assets import procedural_assets
from displacement_net.training.average import follow
from displacement_net.training.batches import Batch, Lots, batch_of, batches, mirrored
from displacement_net.training.checkpoints import NAME, Progress
from displacement_net.training.holdout import calibrated, measure
from displacement_net.training.loop import Schedule, Trained, engine, train
from displacement_net.training.packed import pack, unpack
from displacement_net.training.shown import Crops, SampleSource
from displacement_net.training.split import split
from refine.body import SkinnedBody
from refine.dense.network import view_channels
from refine.errors import InputError
from refine.photo import Photo
from refine.render.view import render_view
from tests.people import case

SIDE = 32
SETTINGS = Settings(widths=(8, 12, 16, 24), crop_px=SIDE)


@dataclass(frozen=True)
class Shifted:
    """Spotted discs: the rendering is the photo's disc, moved by a few pixels; its left quarter is behind a black wall."""

    mean_px: tuple[float, float] = (0.0, 0.0)
    spread_px: float = 2.0

    def batch(self, seed: int, count: int) -> Crops:
        """Return samples, each by a seed of its own."""
        parts = [self._one(seed + number) for number in range(count)]
        photo, known, offset, mask, visible = (torch.stack(each) for each in zip(*parts, strict=True))
        disc = mask[:, None].float()
        return Crops(
            image=photo, normals=disc * torch.tensor([0.0, 0.0, -1.0])[:, None, None], depth=0 * disc,
            colors=disc.expand(-1, 3, -1, -1), texture=known * disc, confidence=disc,
            offset=offset, foreground=mask, visible=visible, person=None,
        )  # fmt: skip

    def _one(self, seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        draw = torch.Generator().manual_seed(seed)
        shift = (torch.tensor(self.mean_px) + self.spread_px * torch.randn(2, generator=draw)).round().clamp(-5, 5)
        spots = torch.rand(1, 3, SIDE // 4, SIDE // 4, generator=draw)
        looks = torch.nn.functional.interpolate(spots, size=(SIDE, SIDE), mode="bilinear")[0]
        line = torch.arange(SIDE) + 0.5 - SIDE / 2
        mask = line[:, None] ** 2 + line**2 < (SIDE / 3) ** 2
        photo = torch.roll(looks, (int(shift[1]), int(shift[0])), (1, 2)) * (line > -SIDE / 6)
        visible = mask & (line > -SIDE / 6)
        return photo, looks, shift.expand(SIDE, SIDE, 2) * mask[..., None], mask, visible


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


def said_about(truth: Tensor, seed: int = 0, requires_grad: bool = False) -> Prediction:
    draw = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=draw, dtype=truth.dtype)

    root = torch.tril(normal(*truth.shape, 2))
    root = root + torch.diag_embed(1 - root.diagonal(dim1=-2, dim2=-1) + normal(*truth.shape).exp())
    parts = truth + normal(*truth.shape), root, normal(*truth.shape[:3])
    return Prediction(*(part.requires_grad_(requires_grad) for part in parts))


def some_truth(dtype: torch.dtype = torch.float32) -> Truth:
    draw = torch.Generator().manual_seed(7)
    offset = 5 * torch.randn(2, 16, 16, 2, generator=draw, dtype=dtype)
    rendered = torch.rand(2, 16, 16, generator=draw) < 0.7
    return Truth(offset, rendered, rendered & (torch.rand(2, 16, 16, generator=draw) < 0.7))


def test_the_likelihood_integrates_to_one_with_unit_variance() -> None:
    line = torch.linspace(-25, 25, 1001, dtype=torch.float64)
    error = torch.stack(torch.meshgrid(line, line, indexing="xy"), -1)
    area = (line[1] - line[0]) ** 2
    density = (-negative_log_likelihood(error, torch.eye(2, dtype=torch.float64).expand(*error.shape, 2))).exp()
    assert float(density.sum() * area) == pytest.approx(1, abs=1e-6)
    assert float((density * error[..., 0] ** 2).sum() * area) == pytest.approx(1, abs=1e-5)
    assert pytest.approx(3 * TAIL + 3) == TAIL**3


def test_the_likelihood_is_a_density_at_every_information() -> None:
    line = torch.linspace(-40, 40, 1601, dtype=torch.float64)
    error = torch.stack(torch.meshgrid(line, line, indexing="xy"), -1)
    root = torch.tensor([[0.7, 0.0], [-0.4, 1.3]], dtype=torch.float64).expand(*error.shape, 2)
    density = (-negative_log_likelihood(error, root)).exp()
    assert float(density.sum() * (line[1] - line[0]) ** 2) == pytest.approx(1, abs=1e-4)


def test_gradients_of_the_loss_are_those_of_differences() -> None:
    truth = some_truth(torch.float64)
    small = Truth(truth.offset[:1, :4, :4], truth.rendered[:1, :4, :4], truth.visible[:1, :4, :4])
    said = said_about(small.offset, requires_grad=True)

    def total(offset: Tensor, root: Tensor, visible: Tensor) -> Tensor:
        parts = loss(Prediction(offset, root, visible), small)
        return parts.likelihood + parts.endpoint + parts.visible

    assert torch.autograd.gradcheck(total, (said.offset, said.sqrt_information, said.visible))


def test_the_balance_scales_each_pixels_pull_by_its_spread() -> None:
    """So what is best for a pixel stays best, and good estimates do not outweigh bad ones."""
    offset = torch.tensor([3.0, -1.0], dtype=torch.float64).expand(1, 16, 16, 2)
    one = torch.zeros(1, 16, 16, dtype=torch.bool)
    one[0, 4, 5] = True
    truth = Truth(offset, one, one)
    said = said_about(offset, requires_grad=True)
    parts = loss(said, truth)
    (pull,) = torch.autograd.grad(parts.total, said.sqrt_information, retain_graph=True)
    (plain,) = torch.autograd.grad(parts.likelihood, said.sqrt_information)
    spread = said.sqrt_information.detach()[0, 4, 5].det().rsqrt()  # a crop of 16 px has units of 1 px
    torch.testing.assert_close(pull, plain * spread)


def test_the_loss_has_finite_gradients_where_all_is_right() -> None:
    truth = some_truth()
    said = replace(said_about(truth.offset, requires_grad=True), offset=truth.offset.clone().requires_grad_())
    loss(said, truth).total.backward()
    assert bool(said.offset.grad.isfinite().all())


def test_what_is_not_rendered_does_not_matter() -> None:
    truth = some_truth()
    said = said_about(truth.offset)
    beside = ~truth.rendered
    other = Truth(truth.offset.masked_fill(beside[..., None], torch.nan), truth.rendered, truth.visible)
    far = replace(said, offset=said.offset + 100 * beside[..., None], visible=said.visible + 9 * beside)
    assert float(loss(far, other).total) == pytest.approx(float(loss(said, truth).total), rel=1e-6)


def test_an_empty_picture_costs_nothing() -> None:
    truth = some_truth()
    nothing = torch.zeros_like(truth.rendered)
    assert float(loss(said_about(truth.offset), Truth(truth.offset, nothing, nothing)).total) == 0


def test_the_loss_has_one_value_at_every_resolution() -> None:
    truth = some_truth()
    said = said_about(truth.offset)

    def twice(picture: Tensor) -> Tensor:
        return picture.repeat_interleave(2, 1).repeat_interleave(2, 2)

    large = Prediction(2 * twice(said.offset), twice(said.sqrt_information) / 2, twice(said.visible))
    large_truth = Truth(2 * twice(truth.offset), twice(truth.rendered), twice(truth.visible))
    assert float(loss(large, large_truth).total) == pytest.approx(float(loss(said, truth).total), rel=1e-5)


@pytest.mark.parametrize("law", ["normal", "hyperbolic"])
def test_the_best_stated_information_is_calibrated(law: str) -> None:
    """Errors with a known covariance: the root that minimises the loss has its inverse as covariance."""
    draw = torch.Generator().manual_seed(1)
    count = 40_000
    white = torch.randn(count, 2, generator=draw, dtype=torch.float64)
    if law == "hyperbolic":
        # A normal whose variance v is random is hyperbolic if v has density v^½ exp(-(c² v + 1 / v) / 2) (Barndorff-Nielsen).
        even = torch.rand(count, generator=draw).double()
        grid = torch.linspace(1e-3, 12, 20_000, dtype=torch.float64)
        weight = grid.sqrt() * (-(TAIL**2 * grid + 1 / grid) / 2).exp()
        variance = grid[torch.searchsorted(weight.cumsum(0) / weight.sum(), even).clamp(max=len(grid) - 1)]
        white = white * variance.sqrt()[:, None]
    mixing = torch.tensor([[2.0, 0.0], [1.5, 0.8]], dtype=torch.float64)
    error = white @ mixing.mT
    numbers = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([numbers], max_iter=60, line_search_fn="strong_wolfe")

    def root() -> Tensor:
        zero = torch.zeros((), dtype=torch.float64)
        return torch.stack((numbers[0].exp(), zero, numbers[2], numbers[1].exp())).reshape(2, 2)

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = negative_log_likelihood(error, root().expand(count, 2, 2)).mean()
        value.backward()
        return value

    optimizer.step(closure)
    stated = root().detach()
    measured = coverage(error, stated.expand(count, 2, 2))
    assert 0.60 <= measured.one_sigma <= 0.76
    assert measured.two_sigma >= 0.92
    if law == "hyperbolic":
        torch.testing.assert_close(torch.linalg.inv(stated.mT @ stated), mixing @ mixing.mT, rtol=0.05, atol=0.05)


@pytest.mark.parametrize(("block", "expected"), [(1, 1.0), (8, 8.0), (64, 64.0)])
def test_how_far_errors_hang_together_is_found_out(block: int, expected: float) -> None:
    """Errors that are alike in squares of `block` pixels; 64 px crops, told in pixels of 256."""
    draw = torch.Generator().manual_seed(block)
    coarse = torch.randn(100, 64 // block, 64 // block, 2, generator=draw).clamp(-3, 3)
    error = coarse.repeat_interleave(block, 1).repeat_interleave(block, 2)
    everywhere = torch.ones(100, 64, 64, dtype=torch.bool)
    batch = Batch(torch.zeros(100, 15, 64, 64), Truth(error, everywhere, everywhere))
    untrained = DisplacementNet(SETTINGS)  # says that nothing moves, everywhere equally sure
    found = measure(untrained, [batch]).correlation_px
    assert found == pytest.approx(4 * expected, rel=0.12)


def test_sharpness_makes_one_sigma_that_of_a_gaussian() -> None:
    draw = torch.Generator().manual_seed(2)
    error = 3 * torch.randn(20_000, 2, generator=draw)
    stated = torch.eye(2).expand(20_000, 2, 2)
    found = coverage(error, stated)
    assert found.sharpness == pytest.approx(1 / 3, rel=0.03)
    assert coverage(error, stated * found.sharpness).one_sigma == pytest.approx(math.erf(0.5**0.5), abs=1e-3)
    assert math.isnan(coverage(error[:0], stated[:0]).one_sigma)


def test_what_the_photo_shows_is_a_lesson_of_its_own() -> None:
    draw = torch.Generator().manual_seed(4)
    person = torch.rand(2, 4, SIDE, SIDE, generator=draw)
    person[:, 0] = (person[:, 0] > 0.5).float()
    person[:, 1:] *= person[:, :1]
    nothing = torch.zeros(2, SIDE, SIDE, dtype=torch.bool)
    zero = torch.zeros(2, SIDE, SIDE, 2)
    said = said_about(zero)
    truth = Truth(zero, nothing, nothing, person)
    right = torch.cat((40 * (person[:, :1] - 0.5), person[:, 1:] - 0.5), 1)
    assert float(loss(replace(said, person=right), truth).total) < 1e-6
    beside = right.clone()
    beside[:, 1:] = torch.where(person[:, :1] > 0, beside[:, 1:], 7.0)
    assert float(loss(replace(said, person=beside), truth).person) < 1e-6  # colours beside the person do not matter
    assert float(loss(replace(said, person=right + 0.1), truth).person) > 0.1
    assert float(loss(said, truth).person) == 0  # not said
    network = DisplacementNet(SETTINGS)
    for mode in (network.train, network.eval):
        shown = mode()(torch.zeros(2, 15, SIDE, SIDE)).person
        assert shown is not None and shown.shape == (2, 4, SIDE, SIDE)


def test_a_mirror_image_of_a_mirror_image_is_the_sample_itself() -> None:
    batch = batch_of(Shifted().batch(3, 2))
    person = torch.rand(2, 4, SIDE, SIDE)
    person[:, 0] = (person[:, 0] > 0.5).float()
    person[:, 1:] *= person[:, :1]
    batch = replace(batch, truth=replace(batch.truth, person=person))
    twice = mirrored(mirrored(batch))
    torch.testing.assert_close(twice.channels, batch.channels)
    torch.testing.assert_close(twice.truth.offset, batch.truth.offset)
    torch.testing.assert_close(twice.truth.person, person)


def test_samples_become_channels_and_truth() -> None:
    samples = Shifted().batch(3, 2)
    batch = batch_of(samples)
    assert batch.channels.shape == (2, 15, SIDE, SIDE)
    torch.testing.assert_close(batch.channels[:, :3], (samples.image - 0.5) / 0.25)
    torch.testing.assert_close(batch.channels[:, 14:], samples.confidence)
    assert bool((batch.truth.visible <= batch.truth.rendered).all())


def test_a_mirror_image_is_what_a_mirrored_person_looks_like(builtin_body: SkinnedBody) -> None:
    """Mirroring a body's vertices left and right mirrors its rendering, rest-pose colours and normals included."""
    people = case(builtin_body, 1, angle=0.0).true
    rest = replace(people.state.bodies, pose=builtin_body.rest_bodies(1).pose)
    people = replace(people, state=replace(people.state, bodies=replace(rest, shape=0 * rest.shape)))
    view = render_view([Photo(np.zeros((480, 400, 3), np.uint8))], people, crop_px=128)
    shown = view_channels(view)
    truth = Truth(torch.zeros(1, 128, 128, 2), view.fragments.triangle >= 0, view.fragments.triangle >= 0)
    other = mirrored(Batch(shown, truth))
    # A body at rest is its own mirror image, up to where the crop's middle lies.
    middle = view.crop.to_crop(people.camera.project(view.vertices))[0, :, 0].aminmax()
    shift = round(float(middle.min + middle.max) - 128)
    moved = torch.roll(other.channels, shift, 3)
    both = torch.roll(other.truth.rendered, shift, 2) & truth.rendered
    assert float(both.sum() / truth.rendered.sum()) > 0.95
    difference = (moved - shown)[:, 3:10].abs().permute(0, 2, 3, 1)[both]
    assert float(difference.mean(0).max()) < 0.1


def test_mirroring_twice_changes_nothing() -> None:
    batch = batch_of(Shifted().batch(0, 2))
    again = mirrored(mirrored(batch))
    torch.testing.assert_close(again.channels, batch.channels)
    torch.testing.assert_close(again.truth.offset, batch.truth.offset)
    assert not torch.equal(mirrored(batch).truth.offset, batch.truth.offset)


def test_processes_share_the_seeds_without_overlap() -> None:
    class Told:
        def __init__(self) -> None:
            self.seeds: list[int] = []

        def batch(self, seed: int, count: int) -> Crops:
            self.seeds.extend(range(seed, seed + count))
            return Shifted().batch(seed, count)

    told = Told()
    for rank in range(2):
        lots = Lots(lambda: told, 3, 10, rank, 2)
        for lot in range(4):
            lots[lot]
    assert isinstance(told, SampleSource)
    assert sorted(told.seeds) == list(range(10, 10 + 4 * 2 * 3))


def test_workers_deliver_what_one_process_would() -> None:
    alone, others = batches(Shifted, 2, first_step=5), batches(Shifted, 2, first_step=5, workers=1)
    for _ in range(3):
        torch.testing.assert_close(next(others).channels, next(alone).channels, rtol=0, atol=0)
    alone.close()
    others.close()


def test_what_is_made_at_once_comes_in_batches_each_once_and_mirrored() -> None:
    made = list(itertools.islice(batches(Shifted, 2, made=6), 12))
    whole = unpack(pack(Shifted().batch(0, 6)))
    photos = [batch.channels[row, :3] for batch in made[0:6:2] for row in range(2)]
    expected = batch_of(whole).channels[:, :3]
    found = [int((expected - photo).flatten(1).abs().amax(1).argmin()) for photo in photos]
    assert sorted(found) == list(range(6)) and found != sorted(found)
    for batch, other in zip(made[0::2], made[1::2], strict=True):
        torch.testing.assert_close(mirrored(batch).channels, other.channels)
    later = next(batches(Shifted, 2, made=6, first_step=9))
    torch.testing.assert_close(later.channels, made[9].channels, rtol=0, atol=0)
    with pytest.raises(InputError, match="made"):
        next(batches(Shifted, 4, made=6))


def test_packed_samples_are_what_they_were_to_a_byte_and_half_precision() -> None:
    samples = Shifted().batch(3, 2)
    again = unpack(pack(samples))
    assert float((again.image - samples.image).abs().max()) <= 0.5 / 255 + 1e-6
    assert float((again.offset - samples.offset).abs().max()) <= 2**-11 * float(samples.offset.abs().max())
    assert torch.equal(again.visible, samples.visible) and again.person is None


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
