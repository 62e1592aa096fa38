"""What people hand over in memory that is nearly right: the message says whose it is and what to rename, cut out or
convert."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

import refine
from refine.body.keypoint_names import SETS
from refine.formats import hybrik, wham
from refine.formats.parameters import read_parameters
from tests.layouts.parameters import smpl_parameters
from tests.regressor_files import HEIGHT, WIDTH

PHOTO = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
PEOPLE = smpl_parameters(2)
CAMERA = {name: PEOPLE[name] for name in ("focal", "size")}
TURNS = Rotation.from_rotvec(np.concatenate((PEOPLE["global_orient"], PEOPLE["body_pose"]), 1).reshape(-1, 3))
MATRICES = TURNS.as_matrix().reshape(2, 24, 3, 3)
K = np.array([[800.0, 0.0, WIDTH / 2], [0.0, 810.0, HEIGHT / 2], [0.0, 0.0, 1.0]])


def refused(init: dict[str, Any], **options: Any) -> str:
    """What is said of people that are refused."""
    with pytest.raises(refine.InputError) as error:
        refine.fit(PHOTO, init, **options)
    return str(error.value)


@pytest.mark.parametrize(
    ("init", "words"),
    [
        ({"pred_theta_mats": MATRICES.reshape(2, -1), "pred_betas": PEOPLE["betas"], "cam_root": PEOPLE["transl"]},
         ("HybrIK", "global_orient", "split into 1 and 23", "cam_root as joints")),
        ({"pred_theta_mats": TURNS.as_quat().reshape(2, 96), "pred_shape": PEOPLE["betas"]}, ("HybrIK", "quaternions")),
        ({"pred_thetas": MATRICES, "pred_cam_root": PEOPLE["transl"], "bbox": np.ones((2, 4))}, ("HybrIK", "pred_betas as betas")),  # noqa: E501
        ({name: np.zeros(2) for name in hybrik.KEYS}, ("HybrIK", "res.pk")),
        ({"pose": np.zeros((2, 72)), "betas": PEOPLE["betas"], "trans": PEOPLE["transl"], "vertices3d": np.zeros((2, 9, 3))},  # noqa: E501
         ("NLF", "torch.save", "joints3d / 1000")),
        ({"pose": np.zeros((2, 72)), "betas": PEOPLE["betas"], "trans": PEOPLE["transl"], "joints3d": PEOPLE["joints"]}, ("NLF",)),  # noqa: E501
        ({"pred_rotmat": MATRICES, "pred_betas": PEOPLE["betas"], "pred_cam": np.ones((2, 3))}, ("pred_rotmat", "split into 1 and 23")),  # noqa: E501
        ({0: {name: np.zeros(2) for name in wham.KEYS}}, ("wham", "give the file")),
    ],
    ids=["HybrIK", "HybrIK, quaternions", "HybrIK, a file's names", "HybrIK, a file", "NLF", "NLF's joints", "HMR", "WHAM's file"],  # noqa: E501
)  # fmt: skip
def test_a_systems_own_output_is_told_by_name_and_what_to_do(init: dict[Any, Any], words: tuple[str, ...]) -> None:
    said = refused({**init, **CAMERA} if all(isinstance(name, str) for name in init) else init)
    for word in words:
        assert word in said, said
    assert "global_orient is missing" not in said


def test_what_is_told_to_be_done_about_hybriks_output_works() -> None:
    done = {
        "global_orient": MATRICES[:, :1],
        "body_pose": MATRICES[:, 1:],
        "betas": PEOPLE["betas"],
        "joints": PEOPLE["joints"][:, :1],
    }
    estimate = read_parameters(done | CAMERA)
    assert float((estimate.joints[:, 0] - torch.as_tensor(PEOPLE["joints"][:, 0])).norm(dim=1).max()) < 1e-3


@pytest.mark.parametrize("flat", [True, False])
@pytest.mark.parametrize(("each", "words"), [(4, "from_quat"), (6, "6D")])
def test_quaternions_and_6d_rotations_are_told_how_to_become_matrices(each: int, words: str, flat: bool) -> None:
    turns = TURNS.as_quat() if each == 4 else MATRICES[..., :2].reshape(-1, 6)
    turns = turns.reshape(2, 24, each)
    body = turns[:, 1:].reshape(2, -1) if flat else turns[:, 1:]
    said = refused(PEOPLE | {"global_orient": turns[:, 0], "body_pose": body})
    assert words in said and "axis-angle" in said


@pytest.mark.parametrize("turn", [50.0, 180.0])
@pytest.mark.parametrize("name", ["global_orient", "body_pose"])
def test_angles_in_degrees_are_told_so(name: str, turn: float) -> None:
    angles = np.zeros_like(PEOPLE[name])
    angles[0, 0] = turn
    said = refused(PEOPLE | {name: angles})
    assert "degrees" in said and "pi / 180" in said and name in said


@pytest.mark.parametrize("rows", [3, 4])
@pytest.mark.parametrize("way", ["camera", "camera's K", "K beside people"])
def test_wider_intrinsics_are_told_what_to_cut_out(way: str, rows: int) -> None:
    wide = np.eye(4)[:rows]
    wide[:3, :3] = K
    people = {name: value for name, value in PEOPLE.items() if name not in CAMERA}
    ways: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "camera": (people, {"camera": wide}),
        "camera's K": (people, {"camera": {"K": wide.tolist()}}),
        "K beside people": (people | {"K": wide}, {}),
    }
    init, options = ways[way]
    said = refused(init, **options)
    assert "K[:3, :3]" in said and "decompose" not in said
    projection = wide.copy()
    projection[0, 3] = 300.0
    init, options = {"camera": (people, {"camera": projection}), "camera's K": (people, {"camera": {"K": projection}}),
                     "K beside people": (people | {"K": projection}, {})}[way]  # fmt: skip
    assert "decomposeProjectionMatrix" in refused(init, **options)


@pytest.mark.parametrize(("name", "points", "meant"), [
    ("coco", 17, "coco17"), ("COCO17", 17, "coco17"), ("coco_17", 17, "coco17"), ("coco", 133, "coco133"), ("body_25", 25, "body25"),  # noqa: E501
    ("openpose", 137, "openpose137"), ("smpl", 24, "smpl24"),
])  # fmt: skip
def test_a_keypoint_sets_name_that_is_nearly_right_is_refused_at_once(name: str, points: int, meant: str) -> None:
    with pytest.raises(refine.InputError, match=f"coco17, .*Did you mean {meant}"):
        refine.Detections(name, torch.zeros(1, points, 2), torch.ones(1, points))


def test_sets_of_the_library_and_of_ones_own_body_are_taken() -> None:
    for name, names in {**SETS, "my markers": ("a",) * 5}.items():
        assert refine.Detections(name, torch.zeros(1, len(names), 2), torch.ones(1, len(names))).name == name
    with pytest.raises(refine.InputError, match="None of these has 18 points"):
        refine.Detections("coco18", torch.zeros(1, 18, 2), torch.ones(1, 18))


@pytest.mark.parametrize("columns", [2, 3])
@pytest.mark.parametrize("count", [17, 25, 133])
@pytest.mark.parametrize("photos", [1, 2])
def test_no_rows_of_points_are_nobody_detected(photos: int, count: int, columns: int) -> None:
    init = PEOPLE | ({} if photos == 1 else {"image_index": np.array([0, 1])})
    result = refine.fit([PHOTO] * photos, init, keypoints=np.zeros((0, count, columns)))
    assert [note for note in result.notes if "keypoints" in note] == [
        f"Person {person}: nobody was detected in the call, so there are no keypoints." for person in (1, 2)
    ]
    assert result.stop == (refine.StopReason.NO_EVIDENCE,) * 2 and not result.accepted.any()


@pytest.mark.parametrize("pair", [False, True], ids=["array", "points and scores"])
@pytest.mark.parametrize("place", [(1, 3, 0), (0, 16, 1)])
def test_an_infinite_point_is_named_and_what_to_write(place: tuple[int, int, int], pair: bool) -> None:
    points = np.full((2, 17, 3), 50.0)
    points[..., 2] = 1.0
    points[place] = np.inf
    said = refused(PEOPLE, keypoints=(points[..., :2], points[..., 2]) if pair else points)
    assert f"point {place[1]} (counted from 0)" in said and "Write NaN, or confidence 0" in said
    assert pair or f"row {place[0]}" in said
