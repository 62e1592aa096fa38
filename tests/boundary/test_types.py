"""Objects of another type than what is built from them are refused at once, by name."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

import refine
from refine.body import SkinnedBody
from refine.dense.correspondence import Matching
from refine.errors import InputError
from refine.geometry.camera import Camera
from refine.state import Unknowns
from refine.terms.keypoints import DetectorNoise, keypoints_from_sigma

K = np.array([[500.0, 0.0, 320.0], [0.0, 500.0, 240.0], [0.0, 0.0, 1.0]])


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda: Camera.from_opencv(K, ["a"] * 5, size=(480, 640)), "distortion: expected OpenCV's coefficients"),  # type: ignore[arg-type]
        (lambda: Camera.from_opencv(K, size=None), "size: expected"),  # type: ignore[arg-type]
        (lambda: Camera.from_opencv(K, size=5), "size: expected"),  # type: ignore[arg-type]
        (lambda: Camera.from_opencv(K, size=(480, -640)), "size: expected"),
        (lambda: Unknowns(None), "unknowns.joints: expected tuple"),  # type: ignore[arg-type]
        (lambda: Unknowns(55), "core_joints"),  # type: ignore[arg-type]
        (lambda: refine.Refiner(unknowns="all"), "refiner.unknowns: expected Unknowns or None"),  # type: ignore[arg-type]
        (lambda: Matching(correlation=8.0), "matching.correlation: expected Correlation"),  # type: ignore[arg-type]
        (lambda: DetectorNoise(correlation=3.0), "noise.correlation: expected Correlation"),  # type: ignore[arg-type]
    ],
)
def test_what_is_of_another_type_is_refused(build: Callable[[], object], says: str) -> None:
    with pytest.raises(InputError, match=says):
        build()


@pytest.mark.usefixtures("unchecked")
def test_keypoints_of_other_types_are_refused(builtin_body: SkinnedBody) -> None:
    points, pixels, sigma = builtin_body.keypoint_set("coco17"), torch.zeros(1, 17, 2), torch.ones(1, 17)
    for arguments, says in (
        (("coco17", pixels, sigma), "points: expected KeypointSet"),
        ((points, pixels.numpy(), sigma), "pixels: expected a tensor"),
        ((points, pixels, 2.0), "sigma_px: expected a tensor"),
        ((points, pixels, sigma, K), "keypoints.camera: expected Camera"),
    ):
        with pytest.raises(InputError, match=says):
            keypoints_from_sigma(*arguments)  # type: ignore[arg-type]
