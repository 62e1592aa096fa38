"""What the network is taught: the likelihood, its calibration, its balance."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from displacement_net.loss import TAIL, Truth, coverage, loss, negative_log_likelihood
from displacement_net.model import DisplacementNet, Prediction
from displacement_net.training.batches import Batch
from displacement_net.training.holdout import measure
from tests.shifted_discs import SETTINGS, SIDE


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
        # A normal whose variance v is random is hyperbolic if v has density v^½ exp(-(c² v + 1 / v) / 2)
        # (Barndorff-Nielsen).
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
