"""Rows without usable numbers, and people where no camera can see anybody: refused where they are all, left as they
came where they are some."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import refine
from refine.formats.find import read, write
from tests import joblib_layout
from tests.folders import run_over
from tests.layouts import romp, vibe, wham
from tests.layouts.parameters import smpl_parameters
from tests.regressor_files import HEIGHT, WIDTH

FAR = {"near": [0.0, 0.0, 0.1], "in millimetres": [0.0, 200.0, 3000.0], "behind": [0.0, 0.0, -3.0]}


def placed(*places: list[float], focal: float = 800.0) -> dict[str, Any]:
    """Parameters of people at these translations, without joints."""
    people = smpl_parameters(len(places)) | {"transl": np.array(places), "focal": np.array([focal, focal])}
    return {name: value for name, value in people.items() if name != "joints"}


@pytest.mark.parametrize("place", FAR.values(), ids=FAR)
def test_people_no_camera_can_see_are_refused_by_the_key_that_places_them(place: list[float], tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **placed(place, place))
    with pytest.raises(refine.InputError, match=r"a\.npz: transl: .* z = "):
        read(tmp_path / "a.npz")


@pytest.mark.parametrize("place", FAR.values(), ids=FAR)
def test_one_such_person_of_two_stays_as_they_came(place: list[float]) -> None:
    init = placed(place, [0.3, 0.2, 4.0])
    photo = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    other = refine.fit(photo, init, refiner=refine.Refiner()).estimate.keypoints_2d("coco17")[1]
    keypoints = torch.stack((other, other))  # whoever stands where nobody can see them, points are given for
    seen = torch.cat((keypoints + 3.0, torch.ones(2, 17, 1)), 2)
    result = refine.fit(photo, init, keypoints=seen)
    assert result.stop[0] == refine.StopReason.UNUSABLE and not result.accepted[0]
    assert torch.equal(result.bodies.translation[0], result.estimate.bodies.translation[0])
    assert result.stop[1] != refine.StopReason.UNUSABLE
    assert any(note.startswith("Person 1 is") for note in result.notes)


def test_root_relative_joints_are_no_joints_of_the_camera(tmp_path: Path) -> None:
    people = smpl_parameters(2)
    relative = people["joints"] - people["transl"][:, None]
    np.savez(tmp_path / "a.npz", **{n: v for n, v in people.items() if n != "transl"} | {"joints": relative})
    with pytest.raises(refine.InputError, match=r"joints: .*relative to the root.*store transl"):
        read(tmp_path / "a.npz")


@pytest.mark.parametrize(("focal", "depth"), [(5000.0, 60.0), (20000.0, 400.0), (300.0, 0.8)])
def test_long_lenses_and_near_people_are_ordinary(focal: float, depth: float) -> None:
    photo = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    result = refine.fit(photo, placed([0.0, 0.2, depth], focal=focal), refiner=refine.Refiner())
    assert result.estimate.source.unusable is None


def nan_row(content: dict[Any, Any], row: int) -> dict[Any, Any]:
    """The content, every person's floating-point arrays NaN in a row."""
    fresh: dict[Any, Any] = {}
    for key, person in content.items():
        fresh[key] = {}
        for name, value in person.items():
            if isinstance(value, np.ndarray) and value.dtype.kind == "f":
                value = value.copy()
                value[row] = np.nan
            fresh[key][name] = value
    return fresh


TRACKS: dict[str, tuple[Callable[[int], dict[str, Any]], Any]] = {
    "wham": (wham.person, wham.SIZES),
    "vibe": (vibe.person, (HEIGHT, WIDTH)),
}


@pytest.mark.parametrize("name", TRACKS)
def test_a_frame_of_nan_in_a_track_stays_and_the_others_are_refined(name: str, tmp_path: Path) -> None:
    person, size = TRACKS[name]
    content = nan_row({0: person(0)}, 1)
    joblib_layout.dump(content, tmp_path / "a.pkl")
    estimate = read(tmp_path / "a.pkl", sizes=torch.tensor([size], dtype=torch.float32))
    assert estimate.source.unusable is not None and estimate.source.unusable.tolist() == [False, True, False]
    assert bool(estimate.joints.isfinite().all()) and float(estimate.joints[1, 0, 2]) < 0
    bodies = estimate.bodies
    moved = bodies.translation * torch.tensor([[1.1], [1.0], [1.1]])
    changed = refine.Estimate(
        estimate.body,
        type(estimate.state)(type(bodies)(bodies.pose, bodies.shape, bodies.expression, moved), estimate.camera),
        estimate.image_index,
        estimate.source,
    )
    write(changed, tmp_path / "out.pkl")
    after = read(tmp_path / "out.pkl", sizes=torch.tensor([size], dtype=torch.float32))
    stored: Any = after.source.arrays["content"]
    assert np.isnan(stored[0]["pose"][1]).all() and np.isnan(stored[0]["betas"][1]).all()
    assert torch.allclose(after.joints[[0, 2], 0], changed.joints[[0, 2], 0], rtol=1e-3, atol=1e-2)


def test_a_person_of_nan_beside_another_is_left_out_of_rompss_camera(tmp_path: Path) -> None:
    whole = romp.romp_results(2)
    np.savez(tmp_path / "whole.npz", results=np.array(whole, object))
    broken = {name: value.copy() for name, value in whole.items()}
    for value in broken.values():
        if value.dtype.kind == "f":
            value[1] = np.nan
    np.savez(tmp_path / "broken.npz", results=np.array(broken, object))
    one, other = read(tmp_path / "whole.npz"), read(tmp_path / "broken.npz")
    assert other.source.unusable is not None and other.source.unusable.tolist() == [False, True]
    assert torch.equal(other.camera.size[0], one.camera.size[0])
    assert torch.equal(other.bodies.pose[0], one.bodies.pose[0])


def test_a_run_with_a_frame_of_nan_is_partly_done(tmp_path: Path) -> None:
    for folder in ("res", "img", "kp"):
        (tmp_path / folder).mkdir()
    content = nan_row({0: wham.person(0)}, 1)
    joblib_layout.dump(content, tmp_path / "res" / "wham_output.pkl")
    sizes = torch.tensor([wham.SIZES], dtype=torch.float32)
    seen = read(tmp_path / "res" / "wham_output.pkl", sizes=sizes).keypoints_2d("body25")
    for n in range(3):
        Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).save(tmp_path / "img" / f"{n:06d}.png")
        flat = np.concatenate((seen[n].numpy() + 2.0, np.ones((25, 1))), 1).reshape(-1)
        person = f'{{"people": [{{"pose_keypoints_2d": {flat.tolist() if n != 1 else [0.0] * 75}}}]}}'
        (tmp_path / "kp" / f"{n:06d}_keypoints.json").write_text(person)
    summary = run_over(tmp_path / "res", images=tmp_path / "img", keypoints=tmp_path / "kp", out=tmp_path / "out")
    (one,) = summary.files
    assert (one.status, one.people, one.refined) == ("partly", 3, 2) and "1 of 3 people" in one.reason
    stored: Any = read(tmp_path / "out" / "wham_output.pkl", sizes=sizes).source.arrays["content"]
    assert np.isnan(stored[0]["trans"][1]).all() and not np.isnan(stored[0]["trans"][[0, 2]]).any()


def test_numbers_no_camera_has_are_the_callers_mistake() -> None:
    photo = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    with pytest.raises(refine.InputError, match="finite"):
        refine.fit(photo, placed([0.0, 0.2, 3.0], focal=float("nan")))
