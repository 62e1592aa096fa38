"""What the benchmark of detectors holds each view against: points triangulated from the other three."""

import numpy as np
import pytest

from refine.geometry import rotation
from tests.benchmarks._four_cameras import View, errors
from tests.benchmarks.detectors import measure

FOCAL = 1200.0


def around(count: int = 4) -> list[View]:
    """Cameras on a circle of four metres about the origin, y down, looking at it."""
    import torch

    found = []
    for turn in torch.arange(count) * 2 * torch.pi / count:
        away = rotation.exp(torch.tensor([0.0, float(turn), 0.0])).double().numpy()
        matrix = np.array([[FOCAL, 0, 540.0], [0, FOCAL, 960.0], [0, 0, 1.0]])
        found.append(View(away, np.array([0.0, 0.0, 4.0]), matrix, np.array([-0.1, 0.05, 0.001, -0.001])))
    return found


def seen(points: np.ndarray, cameras: list[View]) -> np.ndarray:
    """Where points (T, K, 3) m are in the views, (T, 4, K, 2) px from pixel centres."""
    import cv2

    pixels = [
        cv2.projectPoints(points.reshape(-1, 3), cv2.Rodrigues(one.turn)[0], one.place, one.matrix, one.lens)[0]
        for one in cameras
    ]
    return np.stack([each.reshape(*points.shape[:2], 2) for each in pixels], 1)


def test_views_that_agree_have_no_error() -> None:
    cameras, points = around(), np.random.default_rng(0).uniform(-0.8, 0.8, (5, 10, 3))
    error, sigma = errors(seen(points, cameras), np.ones((5, 4, 10)), cameras)
    assert np.abs(error).max() < 0.02 and (sigma > 1).all()  # px; the lens' inverse is iterated


def test_the_stated_sigma_is_that_of_view_and_triangulation_together() -> None:
    draw = np.random.default_rng(1)
    cameras, points = around(), draw.uniform(-0.8, 0.8, (100, 20, 3))
    sigma = draw.uniform(2, 20, (100, 4, 20))
    error, stated = errors(seen(points, cameras) + sigma[..., None] * draw.normal(size=(100, 4, 20, 2)), sigma, cameras)
    off = np.abs(error) / stated
    assert (off < 1).mean() == pytest.approx(0.683, abs=0.02) and (off < 2).mean() == pytest.approx(0.954, abs=0.01)
    assert stated.mean() > 1.1 * sigma.mean()


def test_a_point_that_one_view_lacks_is_left_out() -> None:
    cameras, points = around(), np.random.default_rng(2).uniform(-0.8, 0.8, (3, 4, 3))
    pixels = seen(points, cameras)
    pixels[1, 2, 3] = np.nan
    error, _ = errors(pixels, np.ones((3, 4, 4)), cameras)
    assert np.isnan(error[1, :, 3]).all() and np.isnan(error).sum() == 8


def test_what_is_not_here_is_not_a_figure(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFINE_REAL_DATA", str(tmp_path))
    found = measure()
    assert len(found) > 5 and all(np.isnan(one.value) and one.direction == "report" for one in found)
