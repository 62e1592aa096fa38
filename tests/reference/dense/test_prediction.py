"""What a displacer said, in numbers and in the report's pictures, with a displacer that knows the truth."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

import refine
from displacement_net.displacement import Displacement
from refine.body import SkinnedBody
from refine.dense.prediction import Prediction, predict
from refine.estimate import Estimate
from refine.photo import Photo
from refine.refiner import Refiner
from refine.render.view import View
from refine.result import Result
from refine.viz.field import GAP_PX, SILENT, field_row
from refine.viz.ramp import viridis
from tests.oracle import Oracle
from tests.people import Case, case

SIGMA_PX, SILENT_SHARE, WIDTH = 2.0, 0.4, 1544


@pytest.fixture(scope="module")
def people(builtin_body: SkinnedBody) -> Case:
    return case(builtin_body, 2, angle=0.15)


@pytest.fixture(scope="module")
def oracle(people: Case) -> Oracle:
    return Oracle(people.true.state, SIGMA_PX, SILENT_SHARE)


@pytest.fixture(scope="module")
def photos(people: Case) -> list[Photo]:
    return [Photo(pixels) for pixels in people.photos]


@pytest.fixture(scope="module")
def ask(photos: list[Photo], oracle: Oracle) -> Callable[[Estimate], Prediction]:
    return partial(predict, photos, displace=oracle.displace, crop_px=128)


@pytest.fixture(scope="module")
def result(people: Case, oracle: Oracle, ask: Callable[[Estimate], Prediction]) -> Result:
    fitted = refine.fit(people.photos, people.estimate, refiner=Refiner(displacer=oracle, rounds=2))
    return replace(fitted, predict=ask)


def test_a_look_says_pixels_of_the_photo_and_standard_deviations(
    people: Case, ask: Callable[[Estimate], Prediction]
) -> None:
    seen = ask(people.estimate)
    scale = seen.crop.scale[:, 0]
    for body in range(2):
        informed = seen.informed[body]
        assert 0 < int(informed.sum()) < int(seen.rendered[body].sum())
        offset = seen.displacement.offset[body][informed]
        torch.testing.assert_close(seen.offset_px[body][informed], offset / scale[body])
        torch.testing.assert_close(seen.residual[body][informed], offset.norm(dim=-1) / SIGMA_PX)
        torch.testing.assert_close(seen.sigma_px[body][informed], (SIGMA_PX / scale[body]).expand(int(informed.sum())))
        assert bool(seen.sigma_px[body][~informed].isinf().all())
        assert float(seen.residual[body][~informed].abs().max()) == 0


def test_an_uncertainty_of_two_axes_is_their_geometric_mean(people: Case, photos: list[Photo]) -> None:
    root = torch.tensor([[1 / 3, 0.0], [0.2, 1 / 12]])

    def say(view: View) -> Displacement:
        shape = view.fragments.triangle.shape
        return Displacement(torch.ones(*shape, 2), root.expand(*shape, 2, 2))

    seen = predict(photos, people.estimate, say, crop_px=64)
    inside = seen.sigma_px[0][seen.rendered[0]] * seen.crop.scale[0, 0]
    torch.testing.assert_close(inside, torch.full_like(inside, 6.0))


def test_at_the_truth_nothing_is_left(people: Case, ask: Callable[[Estimate], Prediction]) -> None:
    seen, wrong = ask(people.true), ask(people.estimate)
    assert float(seen.residual.max()) < 0.05
    assert float(wrong.residual.max()) > 3


def test_a_result_asks_of_the_estimate_and_of_itself_and_only_once(
    result: Result, ask: Callable[[Estimate], Prediction]
) -> None:
    asked: list[Estimate] = []

    def counted(estimate: Estimate) -> Prediction:
        asked.append(estimate)
        return ask(estimate)

    again = replace(result, predict=counted)
    again.report(0)
    again.report(1)
    assert [torch.equal(each.state.bodies.pose, result.bodies.pose) for each in asked] == [False, True]
    before, after = again.predictions
    assert float(after.residual.sum()) < 0.3 * float(before.residual.sum())


def test_the_report_shows_a_row_more_for_each_person_who_was_looked_at(result: Result) -> None:
    plain, whole = replace(result, predict=None).report(), result.report()
    row = field_row(result.photos[0].pixels, *result.predictions, 0, WIDTH)
    assert whole.shape[1] == plain.shape[1]
    assert row.shape[0] < whole.shape[0] - plain.shape[0] < row.shape[0] + 60
    found = [
        y
        for y in range(whole.shape[0] - row.shape[0])
        if (whole[y : y + row.shape[0] : 40, 28 : 28 + WIDTH] == row[::40]).all()
    ]
    assert len(found) == 1


def test_the_report_of_a_second_photo_shows_the_person_in_it(result: Result) -> None:
    page, row = result.report(1), field_row(result.photos[1].pixels, *result.predictions, 1, WIDTH)
    other = field_row(result.photos[0].pixels, *result.predictions, 0, WIDTH)

    def holds(part: np.ndarray) -> bool:
        spread = slice(None, None, 40)
        tops = range(page.shape[0] - len(part))
        return any((page[y : y + len(part), 28 : 28 + WIDTH][spread] == part[spread]).all() for y in tops)

    assert holds(row)
    assert not holds(other)


def panels(row: np.ndarray) -> list[np.ndarray]:
    side = (WIDTH - 3 * GAP_PX) // 4
    return [row[30 : 30 + side, n * (side + GAP_PX) : n * (side + GAP_PX) + side].astype(int) for n in range(4)]


def share_of(panel: np.ndarray, color: tuple[int, int, int], photo: int = 120) -> float:
    """Share of pixels in a colour of the heat map over a photo of one grey."""
    mixed = 0.25 * int(0.4 * photo) + 0.75 * np.array(color)
    return float((np.abs(panel - mixed).max(-1) < 3).mean())


def test_pixels_of_which_nothing_is_said_are_grey_and_bear_no_arrow(result: Result) -> None:
    arrows, unsure, _, _ = panels(field_row(result.photos[0].pixels, *result.predictions, 0, WIDTH))
    assert share_of(unsure, SILENT) > 0.005
    assert share_of(unsure[:, int(0.45 * unsure.shape[1]) :], SILENT) == 0
    right = arrows[:, int(0.5 * arrows.shape[1]) :]
    green = (right[..., 1] > 100) & (right[..., 0] < 0.8 * right[..., 1])
    assert green.any()


def test_residuals_are_bright_before_and_dark_after(result: Result) -> None:
    row = field_row(result.photos[0].pixels, *result.predictions, 0, WIDTH)
    bright, dark = (tuple(viridis(np.array([share]))[0].tolist()) for share in (1.0, 0.0))
    _, _, before, after = panels(row)
    assert share_of(before, bright) > 0.01
    assert share_of(after, bright) < 0.2 * share_of(before, bright)
    assert share_of(after, dark) >= share_of(before, dark)


@pytest.mark.parametrize("width", [400, 1001, 1544])
def test_a_row_fits_any_width_and_says_so_where_nothing_is_said(people: Case, photos: list[Photo], width: int) -> None:
    def silent(view: View) -> Displacement:
        shape = view.fragments.triangle.shape
        return Displacement(torch.zeros(*shape, 2), torch.zeros(*shape, 2, 2))

    seen = predict(photos, people.estimate, silent, crop_px=64)
    assert field_row(photos[1].pixels, seen, seen, 1, width).shape[1] == width


def test_people_behind_the_camera_or_beside_the_photo_are_left_out(
    people: Case, photos: list[Photo], result: Result, ask: Callable[[Estimate], Prediction]
) -> None:
    for away in ((0.0, 0.0, -9.0), (50.0, 0.0, 0.0)):
        bodies = people.estimate.bodies
        moved = replace(bodies, translation=bodies.translation + torch.tensor(away))
        lost = replace(people.estimate, state=replace(people.estimate.state, bodies=moved))
        nowhere = replace(result, estimate=lost, state=lost.state)
        assert nowhere.report().shape == replace(nowhere, predict=None).report().shape


def test_looks_are_not_saved(result: Result, tmp_path: Path) -> None:
    result.save(tmp_path / "result.npz")
    loaded = refine.load(tmp_path / "result.npz")
    assert loaded.predict is None
    assert loaded.predictions is None
