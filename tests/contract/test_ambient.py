"""What torch is set to around a call changes nothing of what comes out of it, and is as before when the call
returns."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import refine
from refine.ambient import usual_torch
from refine.body import SkinnedBody
from refine.conversion.as_parameters import body_words
from refine.files.npz import write_arrays
from tests.folders import Folder, make_folder, run_over
from tests.people import Case, case

NEAR_M, NEAR_PX = 1e-5, 1e-2
"""float32 in another order of summation, where a setting changes only that."""


@contextmanager
def the_default(what: str, value: Any, was: Any) -> Iterator[None]:
    getattr(torch, f"set_{what}")(value)
    try:
        yield
    finally:
        getattr(torch, f"set_{what}")(was)


SETTINGS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "autocast to bfloat16": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "default float64": lambda: the_default("default_dtype", torch.float64, torch.float32),
    "default float16": lambda: the_default("default_dtype", torch.float16, torch.float32),
    "a device around": lambda: torch.device("meta"),
    "default device": lambda: the_default("default_device", "meta", None),
    "inference mode": torch.inference_mode,
    "gradients": torch.enable_grad,
    "no gradients": torch.no_grad,
    "deterministic": lambda: the_default("deterministic_debug_mode", "error", "default"),
    "products in bfloat16": lambda: the_default("float32_matmul_precision", "medium", "highest"),
}


def state() -> tuple[object, ...]:
    made = torch.empty(0)
    return (
        torch.get_default_dtype(), made.device, made.is_inference(), torch.is_grad_enabled(), torch.is_inference_mode_enabled(),  # noqa: E501
        torch.is_autocast_enabled("cpu"), torch.get_float32_matmul_precision(), torch.are_deterministic_algorithms_enabled(),  # noqa: E501
    )  # fmt: skip


@pytest.fixture(scope="module")
def people(builtin_body: SkinnedBody) -> Case:
    return case(builtin_body, 1)


@pytest.fixture(scope="module")
def file(people: Case, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("estimate") / "estimate.npz"
    camera = people.estimate.camera
    write_arrays(path, body_words(people.estimate) | {"focal": camera.focal.numpy(), "size": camera.size.numpy()})
    return path


@pytest.fixture(scope="module")
def folder(builtin_body: SkinnedBody, tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return make_folder(builtin_body, tmp_path_factory.mktemp("folder"), 1)


def numbers(result: refine.Result) -> dict[str, Any]:
    return {
        "vertices": result.vertices, "joints": result.joints, "pixel": result.keypoints_2d("coco17"), "misfit": result.misfit,  # noqa: E501
        "sigma_mm": result.sigma_mm, "pose": result.bodies.pose, "turned": result.turned,
        "smplx": result.smplx()["body_pose"],
    }  # fmt: skip


MOST_TELLING = ("autocast to bfloat16", "default float64", "a device around", "inference mode")
"""Settings under which every door is opened; the others meet the doors where numbers are made."""


def of_one_call(people: Case, file: Path) -> dict[str, Any]:
    """What reading and fitting give."""
    return numbers(refine.fit(people.photos, people.estimate, keypoints=people.detections)) | {
        "read": refine.read(file).joints
    }


def everything(people: Case, file: Path, folder: Folder, out: Path) -> dict[str, Any]:
    """What every door gives, as numbers."""
    result = refine.fit(people.photos, people.estimate, keypoints=people.detections)
    rounds = refine.Refiner().refine((), people.estimate, (), ())
    read = refine.read(file)
    other = refine.read(file, camera="fov60")
    from_file = refine.fit(people.photos[0], str(file), keypoints=people.detections)
    result.save(out / "result.npz")
    loaded = refine.load(out / "result.npz")
    pictures = [result.overlay(), result.report()]
    result.write_obj(out / "result.obj")
    summary = run_over(folder.results, folder.images, out / "run", keypoints=folder.keypoints, jobs=1)
    assert summary.exit_status == 0
    again = refine.read(next(path for path in (out / "run").rglob("person_*.npz") if ".refine" not in path.parts))
    converted = refine.convert(people.estimate, "anny")
    assert converted.estimate is not None
    return {
        **numbers(result), **{f"file {name}": value for name, value in numbers(from_file).items()}, "loaded": loaded.vertices,  # noqa: E501
        "rounds": rounds[-1].state.bodies.pose, "read": read.joints, "focal": other.camera.focal, "overlay": pictures[0],  # noqa: E501
        "report": pictures[1], "run": again.joints, "converted": converted.estimate.joints,
    }  # fmt: skip


@pytest.fixture(scope="module")
def usual(people: Case, file: Path, folder: Folder, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return everything(people, file, folder, tmp_path_factory.mktemp("usual"))


@pytest.mark.parametrize("setting", SETTINGS)
def test_every_door_gives_the_same_numbers_whatever_torch_is_set_to(
    setting: str, people: Case, file: Path, folder: Folder, usual: dict[str, Any], tmp_path: Path
) -> None:
    with SETTINGS[setting]():
        before = state()
        found = everything(people, file, folder, tmp_path) if setting in MOST_TELLING else of_one_call(people, file)
        assert state() == before
    for name, value in found.items():
        expected = usual[name]
        if isinstance(value, np.ndarray):
            value, expected = torch.from_numpy(value).float(), torch.from_numpy(expected).float()
        assert value.dtype == expected.dtype and value.device == expected.device and not value.is_inference(), name
        if name in ("overlay", "report"):  # a pixel on an edge may fall to the other side
            assert (value != expected).float().mean() < 1e-3, name
            continue
        near = NEAR_PX if name.endswith(("pixel", "misfit", "focal", "sigma_mm", "turned")) else NEAR_M
        torch.testing.assert_close(
            value, expected, atol=near, rtol=1e-4, equal_nan=True, msg=lambda said, name=name: f"{name}: {said}"
        )


@pytest.mark.parametrize("inside", ["inference mode", "default float64", "autocast to bfloat16"])
def test_what_was_made_inside_a_setting_can_be_used_outside_it(
    inside: str, people: Case, usual: dict[str, Any]
) -> None:
    """An estimate, a camera and keypoints whose tensors are of inference mode; a body that is loaded there."""
    with SETTINGS[inside]():
        bodies = replace(
            people.estimate.bodies,
            pose=people.estimate.bodies.pose.clone(),
            translation=people.estimate.bodies.translation.clone(),
        )
        camera = replace(people.estimate.camera, focal=people.estimate.camera.focal.clone())
        estimate = replace(people.estimate, state=replace(people.estimate.state, bodies=bodies, camera=camera))
        seen = replace(people.detections, pixel=people.detections.pixel.clone())
        body = refine.body.anny.load()
    for again in (estimate, replace(estimate, body=body)):
        result = refine.fit(people.photos, again, keypoints=seen)
        assert not result.vertices.is_inference() and not result.bodies.pose.is_inference()
        torch.testing.assert_close(result.vertices, usual["vertices"], atol=NEAR_M, rtol=0)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, torch.float64])
def test_numbers_of_another_precision_are_worth_what_they_are_precise_to(
    kind: torch.dtype, people: Case, file: Path, usual: dict[str, Any]
) -> None:
    """The same call with the rounded numbers in float32 gives the same result."""
    with np.load(file) as stored:
        content = {name: torch.from_numpy(stored[name]) for name in stored.files if stored[name].dtype.kind == "f"}
    keypoints = torch.cat((people.detections.pixel, people.detections.confidence[..., None]), -1)
    given = {name: value.to(kind) for name, value in content.items()} | {
        "size": torch.tensor(people.photos[0].shape[:2])
    }
    rounded = {name: value.to(kind).float() for name, value in content.items()} | {"size": given["size"]}
    expected = refine.fit(people.photos[0], rounded, keypoints=keypoints.to(kind).float())
    for points in (
        keypoints.to(kind),
        replace(people.detections, pixel=keypoints[..., :2].to(kind), confidence=keypoints[..., 2].to(kind)),
    ):
        found = refine.fit(people.photos[0], given, keypoints=points)
        torch.testing.assert_close(found.vertices, expected.vertices, atol=NEAR_M, rtol=0)
        torch.testing.assert_close(found.misfit, expected.misfit, atol=NEAR_PX, rtol=0)


def test_calls_in_several_threads_put_the_settings_of_the_process_back_together() -> None:
    inside, seen = threading.Barrier(2, timeout=60), list[torch.dtype]()

    def work(first: bool) -> None:
        with usual_torch():
            inside.wait()
            if first:
                inside.wait()
            seen.append(torch.get_default_dtype())
        if not first:
            inside.wait()

    with SETTINGS["default float64"]():
        threads = [threading.Thread(target=work, args=(first,)) for first in (True, False)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert seen == [torch.float32] * 2 and torch.get_default_dtype() == torch.float64


def test_what_goes_wrong_inside_leaves_the_settings_as_they_were(tmp_path: Path) -> None:
    for setting in SETTINGS.values():
        with setting():
            before = state()
            with pytest.raises(refine.InputError):
                refine.read(tmp_path / "nothing.npz")
            assert state() == before


def test_a_file_is_read_with_whatever_camera_fit_takes(people: Case, file: Path, tmp_path: Path) -> None:
    as_fit = refine.fit(people.photos[0], file, keypoints=people.detections, camera="hmr2").estimate
    intrinsics = tmp_path / "K.json"
    intrinsics.write_text('{"focal": [700, 710], "center": [200, 240]}')
    assert torch.equal(refine.read(file, camera="hmr2").camera.focal, as_fit.camera.focal)
    for image in (None, people.photos[0]):
        assert refine.read(file, camera=intrinsics, image=image).camera.focal.tolist() == [[700.0, 710.0]]
    with np.load(file) as stored:
        write_arrays(
            tmp_path / "bare.npz", {name: stored[name] for name in stored.files if name not in ("focal", "size")}
        )
    with pytest.raises(refine.InputError, match="Give the photo too"):
        refine.read(tmp_path / "bare.npz", camera="hmr2")
    found = refine.read(tmp_path / "bare.npz", camera="hmr2", image=people.photos[0])
    assert torch.equal(found.camera.focal, as_fit.camera.focal)
    with pytest.raises(refine.InputError, match="a focal rule"):
        refine.read(file, camera="telephoto")
