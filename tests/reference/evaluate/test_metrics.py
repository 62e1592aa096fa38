"""Metrics against obvious twins: loops in numpy, and scipy's rotation fit."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from refine.evaluate import metrics
from refine.geometry import rotation


def points(count: int, *, seed: int) -> torch.Tensor:
    return torch.randn(3, count, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def fitted(mine: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Similarity fit of one body: scipy finds the rotation, least squares the scale."""
    a, b = mine - mine.mean(0), true - true.mean(0)
    turn, _ = Rotation.align_vectors(b, a)
    turned = turn.apply(a)
    return (turned * b).sum() / (turned**2).sum() * turned + true.mean(0)


def test_mpjpe_is_the_mean_over_joints_of_pelvis_aligned_distances_in_millimetres() -> None:
    mine, true = points(24, seed=0), points(24, seed=1)
    found = metrics.mpjpe(mine, true)
    for body in range(3):
        total = 0.0
        for joint in range(24):
            gap = (mine[body, joint] - mine[body, 0]) - (true[body, joint] - true[body, 0])
            total += float(np.sqrt((gap.numpy() ** 2).sum()))
        assert float(found[body]) == pytest.approx(1000 * total / 24, rel=1e-12)


def test_pve_does_not_feel_where_the_body_stands() -> None:
    mine, true = points(50, seed=2), points(50, seed=3)
    pelvis, true_pelvis = points(1, seed=4)[:, 0], points(1, seed=5)[:, 0]
    found = metrics.pve(mine, true, pelvis, true_pelvis)
    by_hand = 1000 * np.linalg.norm((mine - pelvis[:, None] - true + true_pelvis[:, None]).numpy(), axis=-1).mean(1)
    assert np.allclose(found, by_hand, rtol=1e-12)
    shift = torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64)
    assert torch.allclose(metrics.pve(mine + shift, true, pelvis + shift, true_pelvis), found)


def test_pa_mpjpe_equals_scipys_fit() -> None:
    mine, true = points(24, seed=6), points(24, seed=7)
    by_hand = [
        1000 * np.linalg.norm(fitted(a, b) - b, axis=1).mean() for a, b in zip(mine.numpy(), true.numpy(), strict=True)
    ]
    assert np.allclose(metrics.pa_mpjpe(mine, true), by_hand, rtol=1e-9)


def test_pa_mpjpe_does_not_feel_a_similarity() -> None:
    true = points(24, seed=8)
    turn = rotation.exp(torch.tensor([[0.3, -2.0, 1.0]], dtype=torch.float64))
    assert metrics.pa_mpjpe(1.7 * true @ turn.mT + 5.0, true).max() < 1e-9


def test_a_mirrored_body_is_not_taken_for_the_true_one() -> None:
    true = points(24, seed=9)
    assert metrics.pa_mpjpe(true * torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64), true).min() > 100


def test_pa_mpjpe_is_finite_where_all_joints_coincide() -> None:
    true = points(24, seed=10)
    assert torch.allclose(
        metrics.pa_mpjpe(torch.zeros_like(true), true), 1000 * (true - true.mean(1, keepdim=True)).norm(dim=-1).mean(1)
    )


def test_pck_counts_points_within_the_threshold_inclusive() -> None:
    true = torch.zeros(1, 4, 2)
    mine = torch.tensor([[[0.0, 0.0], [3.0, 4.0], [0.0, 5.1], [-5.0, 0.0]]])
    assert float(metrics.pck(mine, true, 5.0)) == 0.75
