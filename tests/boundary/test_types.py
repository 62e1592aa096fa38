"""Objects of another type than what is built from them are refused at once, by name."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

import refine
from priors import WhiteAcceleration
from refine.body import SkinnedBody
from refine.dense.correspondence import Matching
from refine.errors import InputError
from refine.geometry.camera import Camera
from refine.state import Groups, Tracks, Unknowns, one_shape
from refine.terms.correlation import Correlation
from refine.terms.keypoints import DetectorNoise, keypoints_from_sigma

TRACKS = Tracks(torch.zeros(1, dtype=torch.long), torch.zeros(1))
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
        (lambda: Unknowns((0.0, 1.0)), "unknowns: expected whole numbers"),  # type: ignore[arg-type]
        (lambda: Unknowns((0,), constants=3.0), "unknowns: expected whole numbers"),  # type: ignore[arg-type]
        (lambda: Groups(couplings=WhiteAcceleration()), "groups.couplings: expected tuple"),  # type: ignore[arg-type]
        (lambda: Groups(tracks=TRACKS, couplings=(WhiteAcceleration,)), "objects with couple"),  # type: ignore[arg-type]
        (lambda: Groups(tracks=(0, 1)), "groups.tracks: expected Tracks or None"),  # type: ignore[arg-type]
        (lambda: Groups(shape=torch.ones(3)), "groups.shape: expected whole numbers"),
        (lambda: Tracks(torch.tensor([True]), torch.zeros(1)), "tracks.person: expected whole numbers"),
        (lambda: one_shape("anna"), "a label or name of each row"),
        (lambda: WhiteAcceleration(sigma_rad="a"), "sigma_rad: expected"),  # type: ignore[arg-type]
        (lambda: WhiteAcceleration(sigma_m=torch.ones(3)), "sigma_m: expected"),  # type: ignore[arg-type]
        (lambda: Correlation(time_s="a"), "correlation: expected"),  # type: ignore[arg-type]
        (lambda: Correlation(constant=1.0), "correlation: expected"),
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
        ((points, pixels, sigma, None, 0.3), "keypoints.correlation: expected Correlation"),
    ):
        with pytest.raises(InputError, match=says):
            keypoints_from_sigma(*arguments)  # type: ignore[arg-type]
    term = keypoints_from_sigma(points, pixels, sigma)
    for share in (torch.ones(2), torch.ones(1, 17), torch.zeros(1), torch.full((1,), 2.0), [1.0], 0.5):
        with pytest.raises(InputError, match=r"keypoints\.share"):
            replace(term, share=share)  # type: ignore[arg-type]


def test_whole_numbers_of_any_kind_are_labels_and_names_of_any_kind_are_names() -> None:
    for person in (np.array(["a", "b", "a"]), ["a", "b", "a"], np.array([4, 7, 4])):
        shape = one_shape(person).shape
        assert shape is not None and shape[0] == shape[2] != shape[1]
    negative = one_shape(list(np.array([-1, -1, 0]))).shape
    assert negative is not None and negative.tolist()[:2] == [-1, -1]


def test_whole_numbers_in_a_matrix_lose_no_lens() -> None:
    matrix = torch.tensor([[900, 0, 256], [0, 900, 320], [0, 0, 1]])
    camera = Camera.from_opencv(matrix, torch.tensor([-0.25, 0.1, 0, 0]), size=(640, 512))
    assert camera.distortion is not None and camera.distortion[0, 0] == -0.25 and camera.focal.is_floating_point()
