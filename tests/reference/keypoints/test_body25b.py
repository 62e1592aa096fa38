"""OpenPose's two orders of 25 points, which its files do not tell apart."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from refine.body import SkinnedBody
from refine.inputs.keypoint_files import read_keypoints
from refine.keypoints.body25b import ORDER, POINTS, in_body25, is_body25b
from refine.keypoints.formats import Wanted
from refine.keypoints.formats.find import layout_of
from tests.people import case


def both_orders(body: SkinnedBody, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The same people's points in BODY_25's order and in BODY_25B's, whose upper neck lies above the shoulders."""
    people = case(body, count=4, seed=seed)
    points = torch.cat((people.detections.pixel, people.detections.confidence[..., None]), -1).double().numpy()
    noise = np.random.default_rng(seed).normal(0, 1.0, (4, POINTS, 2))
    points[..., :2] += noise
    points[:, 1, :2] = (points[:, 2, :2] + points[:, 5, :2]) / 2 + noise[:, 1]
    points[:, 8, :2] = (points[:, 9, :2] + points[:, 12, :2]) / 2 + noise[:, 8]
    other = np.zeros_like(points)
    for ours, theirs in enumerate(ORDER):
        if theirs >= 0:
            other[:, theirs] = points[:, ours]
    other[:, 17] = points[:, 1] - [0, 12, 0]
    other[:, 18] = points[:, 0] - [0, 30, 0]
    return points, other


@pytest.mark.parametrize("seed", range(5))
def test_the_two_orders_are_told_apart_and_put_in_order(seed: int, builtin_body: SkinnedBody) -> None:
    usual, other = both_orders(builtin_body, seed)
    assert not is_body25b(usual) and is_body25b(other)
    back = in_body25(other)
    there = [place for place, theirs in enumerate(ORDER) if theirs >= 0]
    assert np.allclose(back[:, there], usual[:, there]) and (back[:, [1, 8], 2] == 0).all()
    found = layout_of(other, "the call").read(other, Wanted("the call", None, (480, 400)))
    assert found.name == "body25" and any("BODY_25B" in note for note in found.notes)
    assert torch.allclose(found.pixel[:, there].double(), torch.from_numpy(usual[:, there, :2]), atol=1e-3)
    kept = layout_of(usual, "the call").read(usual, Wanted("the call", None, (480, 400)))
    assert not any("BODY_25B" in note for note in kept.notes)


def test_what_is_not_sure_decides_nothing(builtin_body: SkinnedBody) -> None:
    _, other = both_orders(builtin_body, 0)
    other[..., 2] = 0.2
    assert (
        not is_body25b(other)
        and not is_body25b(np.zeros((0, POINTS, 3)))
        and not is_body25b(np.full((1, 25, 3), np.nan))
    )


def test_real_files_of_both_orders_are_read_right(real_data: Callable[[str], Path]) -> None:
    """Four cameras by BODY_25B, whatever their text says; two photos by BODY_25."""
    for camera in (1, 2, 3, 4):
        found = read_keypoints(real_data("four_cameras") / f"keypoints/cam0{camera}/cam0{camera}.0020.json")
        assert any("BODY_25B" in note for note in found.notes), camera
    assert not any(
        "BODY_25B" in note for note in read_keypoints(real_data("bev_pair") / "image_1_keypoints.json").notes
    )
