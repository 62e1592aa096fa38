"""Broken, foreign and hostile result and keypoint files: an error says what to do, nothing runs."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from refine.errors import InputError
from refine.formats.find import read, write
from refine.formats.parameters import read_parameters
from refine.inputs.keypoint_files import read_keypoints
from tests.layouts import bev, romp
from tests.layouts.bev import bev_results
from tests.layouts.parameters import smpl_parameters
from tests.layouts.romp import romp_results


def saved(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


KNOWN = r"Known formats:.*  bev: .*  parameters: .*  romp: "
NO_RESULT = {
    b"": "an empty file.*run it again on this photo",
    b"not a result": KNOWN,
    b"PK\x03\x04 and then nothing": "a truncated zip or npz file.*copy it again",
}


@pytest.mark.parametrize("bytes_", NO_RESULT)
def test_an_unknown_file_is_told_what_it_may_be(bytes_: bytes, tmp_path: Path) -> None:
    path = tmp_path / "estimate.npz"
    path.write_bytes(bytes_)
    with pytest.raises(InputError, match=f"(?s)a file of a known format.*{NO_RESULT[bytes_]}"):
        read(path)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.npz: expected a regressor's result file, got no such file"):
        read(tmp_path / "absent.npz")
    with pytest.raises(InputError, match=r"got a folder.*refine run"):
        read(tmp_path)


def test_an_npz_of_other_arrays_lists_what_it_has(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="an npz file with places, turns"):
        read(saved(tmp_path / "others.npz", turns=np.zeros((3, 72)), places=np.zeros((3, 3))))


@pytest.mark.parametrize("writer", [romp.write, bev.write])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_truncated_file_is_refused(writer: Callable[[Path], Path], share: float, tmp_path: Path) -> None:
    path = writer(tmp_path / "estimate.npz")
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(InputError, match="truncated"):
        read(path)


def test_a_file_with_flipped_bytes_is_refused_or_read_but_never_crashes(tmp_path: Path) -> None:
    path = romp.write(tmp_path / "estimate.npz")
    data = bytearray(path.read_bytes())
    draw = np.random.default_rng(0)
    refused = 0
    for _ in range(30):
        hurt = bytearray(data)
        for place in draw.integers(0, 2000, 5):
            hurt[place] = draw.integers(0, 256)
        path.write_bytes(bytes(hurt))
        try:
            read(path)
        except InputError:
            refused += 1
    assert refused >= 25  # the archive's checksum finds them


class Hostile:
    """Unpickled by numpy, it would create a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.mark,))


@pytest.mark.parametrize("where", ["the whole", "a value"])
def test_a_hostile_pickle_is_refused_and_nothing_runs(where: str, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    hostile = Hostile(mark)
    pickle.loads(pickle.dumps(hostile))
    assert mark.exists()  # it works where pickle is let
    mark.unlink()
    stored = np.array(hostile, dtype=object) if where == "the whole" else romp_results() | {"extra": hostile}
    path = saved(tmp_path / "estimate.npz", results=stored)
    with pytest.raises(InputError, match=r"pathlib.*Nothing in it was run"):
        read(path)
    assert not mark.exists()


def test_pickled_objects_among_parameters_are_refused(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    path = saved(tmp_path / "estimate.npz", **smpl_parameters(), extra=np.array(Hostile(mark), dtype=object))
    with pytest.raises(InputError, match="plain arrays"):
        read(path)
    assert not mark.exists()


@pytest.mark.parametrize("results", [romp_results, bev_results])
@pytest.mark.parametrize("name", ["smpl_thetas", "joints", "cam_trans", "pj2d_org"])
def test_nan_in_a_result_of_one_names_the_array(
    results: Callable[[int], dict[str, np.ndarray]], name: str, tmp_path: Path
) -> None:
    content = results(1)
    if name == "cam_trans" and "global_orient" in content:
        pytest.skip("ROMP's cam_trans is not used")
    content[name] = content[name].copy()
    content[name].reshape(-1)[2] = np.nan
    with pytest.raises(InputError, match=rf"{name}'\]: expected finite values, got 1 NaN"):
        read(saved(tmp_path / "estimate.npz", results=content))


@pytest.mark.parametrize("results", [romp_results, bev_results])
def test_wrong_shapes_and_missing_arrays_are_named(
    results: Callable[[], dict[str, np.ndarray]], tmp_path: Path
) -> None:
    content = results()
    with pytest.raises(InputError, match=r"smpl_betas'\]: expected shape"):
        read(saved(tmp_path / "one.npz", results=content | {"smpl_betas": np.zeros((2, 7), np.float32)}))
    with pytest.raises(InputError, match=r"joints'\]: expected shape"):
        read(saved(tmp_path / "two.npz", results=content | {"joints": content["joints"][:1]}))
    with pytest.raises(InputError, match="an array 'smpl_thetas'"):
        read(saved(tmp_path / "three.npz", results={n: v for n, v in content.items() if n != "smpl_thetas"}))
    assert not len(read(saved(tmp_path / "four.npz", results={name: value[:0] for name, value in content.items()})))


@pytest.mark.parametrize("results", [romp_results, bev_results])
def test_pixels_that_do_not_follow_from_the_joints_are_refused(
    results: Callable[[], dict[str, np.ndarray]], tmp_path: Path
) -> None:
    content = results()
    content["pj2d_org"] = content["pj2d_org"] + np.random.default_rng(0).normal(0, 5, content["pj2d_org"].shape)
    with pytest.raises(InputError, match="px apart"):
        read(saved(tmp_path / "estimate.npz", results=content))


def test_a_video_of_other_dictionaries_is_refused_by_its_frame(tmp_path: Path) -> None:
    frames = {f"frame{n}.jpg": romp_results(1, n) if n == 0 else {"cam": np.ones((1, 3))} for n in range(3)}
    with pytest.raises(InputError, match=r"results\['frame1.jpg'\]: expected ROMP's or BEV's names"):
        read(saved(tmp_path / "video_results.npz", results=frames))


def test_parameters_without_a_camera_list_the_focal_rules(tmp_path: Path) -> None:
    values = {name: value for name, value in smpl_parameters().items() if name != "focal"}
    with pytest.raises(InputError, match=r'camera="diagonal"(.|\n)*camera="hmr2"'):
        read(saved(tmp_path / "estimate.npz", **values))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"body_pose": np.zeros((2, 70))},
            r"body_pose: expected 23 \(SMPL\) or 21 \(SMPL-X\) joints, got shape \(2, 70\)",
        ),
        ({"body_pose": None}, "body_pose is missing"),
        ({"global_orient": np.zeros((2, 4))}, "global_orient: expected 3"),
        ({"transl": np.zeros((3, 3))}, "transl: expected shape"),
        ({"betas": np.zeros((3, 10))}, "betas: expected shape"),
        ({"transl": None, "joints": None}, "a translation or joints"),
        ({"joints": np.zeros((2, 24, 3))}, "a pelvis within 1 m of transl"),
        ({"focal": np.array([-800.0, 800.0])}, "focal: expected values above zero"),
        ({"body_pose": np.zeros((2, 23, 3, 3))}, "rotation matrices"),
    ],
)
def test_parameters_that_make_no_sense_are_named(change: dict[str, Any], message: str) -> None:
    values = {name: value for name, value in (smpl_parameters() | change).items() if value is not None}
    with pytest.raises(InputError, match=message):
        read_parameters(values)


@pytest.mark.parametrize("change", [{"transl": np.full((2, 3), np.nan)}, {"betas": np.full((2, 10), np.inf)}])
def test_parameters_that_are_finite_for_nobody_are_people_without_numbers(change: dict[str, Any]) -> None:
    estimate = read_parameters(smpl_parameters() | change)
    assert estimate.source.without_numbers is not None and estimate.source.without_numbers.tolist() == [True, True]
    assert estimate.notes == ("2 people (1, 2) have no usable numbers (NaN or infinite): left as they came.",)


def test_what_is_no_estimate_at_all_is_told_what_would_be_one() -> None:
    with pytest.raises(InputError, match="an output of the smplx package"):
        read_parameters(object())


def test_a_file_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    estimate = read(bev.write(tmp_path / "estimate.npz"))
    with pytest.raises(InputError):
        write(estimate, tmp_path / "no" / "such" / "folder.npz")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["estimate.npz"]


PERSON = {"pose_keypoints_2d": [100.0, 50.0, 0.9] * 25}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected JSON"),
        ('{"people": [', "expected JSON"),
        ("[" * 100_000, "JSON"),
        ("[1, 2]", "a known layout .*openpose.* got a list of int"),
        ('{"persons": []}', "keys persons"),
        ('{"people": [3]}', "people"),
        ('{"people": [{"pose_keypoints_2d": [1, 2, 3]}]}', "75 or 54 numbers"),
        ('{"people": [{"pose_keypoints_2d": "abc"}]}', "numbers"),
        (json.dumps({"people": [{"pose_keypoints_2d": [["a"]] * 75}]}), "finite numbers"),
        (json.dumps({"people": [{"pose_keypoints_2d": [float("inf")] * 75}]}), "finite numbers"),
        (json.dumps({"people": [PERSON | {"face_keypoints_2d": [0.0] * 7}]}), "0 or 210 numbers"),
    ],
)
def test_a_malformed_keypoint_file_is_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "keypoints.json"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_keypoints(path)


def test_a_missing_keypoint_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.json"):
        read_keypoints(tmp_path / "absent.json")


def test_keypoints_of_an_image_of_another_size_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "keypoints.json"
    person = {"pose_keypoints_2d": torch.cat((1000 * torch.rand(25, 2), torch.ones(25, 1)), 1).reshape(-1).tolist()}
    path.write_text(json.dumps({"people": [person]}))
    file = read_keypoints(path)
    assert file.checked((1000, 1000)) is file
    with pytest.raises(InputError, match="points in an image of 320 x 240 px"):
        file.checked((240, 320))
