"""`refine inspect`: what a file is, lacks and what looks wrong, for every layout; what an unknown file nearly is."""

import importlib
import json
import pickle
import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

import tests.layouts
from refine.commands.cli import app
from refine.errors import InputError
from refine.formats import find
from refine.inspection.result_file import inspect
from tests.layouts.parameters import smpl_parameters

LAYOUTS = [module.name for module in pkgutil.iter_modules(tests.layouts.__path__) if not module.name.startswith("_")]


def said(path: Path, **arguments: Any) -> str:
    """Everything an inspection says, in one string."""
    found = inspect(path, **arguments)
    facts = [f"{name}: {words}" for name, words in found.facts]
    return "\n".join(
        [*facts, *(f"lacks {words}" for words in found.missing), *(f"wrong: {words}" for words in found.suspicious)]
    )


def parameters(path: Path, **changes: Any) -> Path:
    np.savez(path, **{name: value for name, value in (smpl_parameters() | changes).items() if value is not None})
    return path


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_format_can_be_inspected_with_no_more_than_its_file(name: str, tmp_path: Path) -> None:
    layout = importlib.import_module(f"tests.layouts.{name}")
    if getattr(layout, "CAMERA", None) is not None:
        pytest.skip("no camera but the caller's fits it")
    path = layout.write(tmp_path / f"estimate{layout.SUFFIX}")
    words = said(path)
    assert f"format: {getattr(layout, 'FORMAT', name)}" in words
    assert "camera: focal" in words and "rotations: root" in words
    assert ("size is not known" in words) <= (getattr(layout, "SIZES", None) is not None)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"betas": np.array([[0.0] * 9 + [7.0], [0.0] * 10])}, "Person 1: a shape coefficient beyond 5"),
        ({"transl": np.array([[0.0, 0.0, -3.0], [0.3, 0.2, 4.0]]), "joints": None}, "Person 1: the pelvis lies behind the camera"),  # noqa: E501
        ({"transl": np.array([[30.0, 0.0, 3.0], [0.3, 0.2, 4.0]]), "joints": None}, "Person 1: the whole body lies outside the photo"),  # noqa: E501
        ({"transl": np.array([[0.0, 0.2, 300.0], [0.3, 0.2, 4.0]]), "joints": None}, "Person 1: less than 20 px tall"),
        ({"body_pose": np.zeros((2, 69))}, "Person 1, 2: no joint of the body is turned at all"),
        ({"body_pose": np.eye(69)[:2] * 3.0}, "turned by more than 150"),
        ({"focal": None}, "focal length is guessed"),
        ({"focal": np.array([100.0, 100.0])}, "a fisheye's"),
    ],
)  # fmt: skip
def test_what_looks_wrong_is_told(change: dict[str, Any], words: str, tmp_path: Path) -> None:
    assert "wrong" not in said(parameters(tmp_path / "fine.npz"))
    assert words in said(parameters(tmp_path / "wrong.npz", **change))


def test_a_file_with_nan_is_told_so(tmp_path: Path) -> None:
    path = parameters(tmp_path / "nan.npz", transl=np.full((2, 3), np.nan))
    done = CliRunner().invoke(app, ["inspect", str(path)])
    assert done.exit_code == 0 and "2 people (1, 2) have no usable numbers (NaN or infinite)" in done.stdout


def test_twins_and_a_wrong_camera_are_told(tmp_path: Path) -> None:
    from tests.layouts.bev import write

    path = write(tmp_path / "bev.npz")
    content = np.load(path, allow_pickle=True)["results"][()]
    double = {
        key: np.concatenate((value[:1], value[:1])) if len(value) == 2 else value for key, value in content.items()
    }
    np.savez(tmp_path / "twins.npz", results=double)
    assert "Persons 1 and 2 are the same body" in said(tmp_path / "twins.npz")


def test_the_command_prints_facts_and_draws_on_grey_or_on_the_photo(tmp_path: Path) -> None:
    path = parameters(tmp_path / "people.npz")
    grey, on_photo = tmp_path / "grey.png", tmp_path / "photo_seen.png"
    cv2.imwrite(str(tmp_path / "photo.png"), np.full((480, 640, 3), (0, 0, 200), np.uint8))
    for arguments, picture in (([], grey), (["--image", str(tmp_path / "photo.png")], on_photo)):
        done = CliRunner().invoke(app, ["inspect", str(path), "--out", str(picture), *arguments])
        assert done.exit_code == 0, done.output
        assert "people        2 bodies in 1 image" in done.stdout and "Written" not in done.stdout
    corners = [cv2.imread(str(picture))[5, 5].tolist() for picture in (grey, on_photo)]
    assert corners == [[150, 150, 150], [0, 0, 200]]
    wrong = CliRunner().invoke(app, ["inspect", str(path), "--out", str(grey), "--frame", "3"])
    assert wrong.exit_code == 2 and "--frame" in wrong.stderr


def test_real_files_have_the_right_people(real_data: Callable[[str], Path]) -> None:
    folder = real_data("bev_pair")
    found = inspect(folder / "image_1_0.08.npz")
    assert dict(found.facts)["people"] == "2 bodies in 1 image" and not found.suspicious and found.size == (971, 1457)
    romp = inspect(real_data("romp_photo") / "romp_output.npz")
    assert dict(romp.facts)["camera"].endswith("photo 1280x720 px (w x h)") and not romp.suspicious
    body = inspect(real_data("sam3d_body") / "img_subj00.npz")
    assert dict(body.facts)["people"].startswith("1 body") and not body.suspicious
    track = inspect(real_data("glamr") / "running_seed1.pkl")
    assert dict(track.facts)["people"] == "203 bodies in 203 images, 1 identity"


@pytest.mark.parametrize(
    ("name", "content", "got", "near"),
    [
        ("a.npz", {"pose": 1, "shape": 2, "global_t": 3, "pred_joints": 4}, "an npz file with", "It looks like cliff, but lacks focal_l."),  # noqa: E501
        ("b.npz", {"results": {"cam": 1, "smpl_thetas": 1, "smpl_betas": 1, "joints": 1, "global_orient": 1, "body_pose": 1}}, "results", "It looks like romp, but lacks pj2d_org."),  # noqa: E501
        ("c.pkl", {3: {"pose": 1, "trans": 1, "betas": 1, "pose_world": 1, "trans_world": 1}}, "a pickle with 3", "It looks like wham, but lacks frame_ids."),  # noqa: E501
        ("d.json", {"root_pose": 1, "body_pose": 1, "lhand_pose": 1, "rhand_pose": 1, "shape": 1}, "a JSON file", "It looks like hand4whole, but lacks expr, jaw_pose."),  # noqa: E501
        ("e.npz", {"body_pose": 1}, "an npz file with body_pose", "body_pose is SMPL's, but global_orient is missing"),
        ("f.json", {"something": {"else": 1}}, "a JSON file with something", "Known formats"),
        ("g.json", {"people": [{"pose_keypoints_2d": [0.0] * 75}]}, "2D keypoints (openpose)", "Known formats"),
        ("h.npy", np.zeros((8, 165)), "an npy file of one array, shape (8, 165)", "Known formats"),
    ],
)  # fmt: skip
def test_an_unknown_file_is_told_what_it_nearly_is(
    name: str, content: Any, got: str, near: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    if path.suffix == ".npz":
        np.savez(path, **content)
    elif path.suffix == ".npy":
        np.save(path, content)
    else:
        path.write_bytes(pickle.dumps(content) if path.suffix == ".pkl" else json.dumps(content).encode())
    with pytest.raises(InputError) as caught:
        find.read(path)
    assert got in caught.value.got
    assert caught.value.advice.startswith(near)
    assert caught.value.expected == "a file of a known format" and (
        "\n  romp: " in caught.value.advice
    ) == near.startswith("Known")


def test_a_photo_of_another_size_is_suspicious(tmp_path: Path) -> None:
    path = parameters(tmp_path / "estimate.npz")
    height, width = (round(float(side)) for side in inspect(path).estimate.camera.size[0])
    assert "the file is about one of" not in said(path, size=(height, width))
    assert f"the file is about one of {width}x{height} px" in said(path, size=(height, width + 100))
