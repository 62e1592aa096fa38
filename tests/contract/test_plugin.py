"""`refine.attach`: a regressor that returns refined output of its own type, and is otherwise what it was."""

import copy
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import refine
from displacement_net.displacement import Displacement
from refine.body import SkinnedBody
from refine.demo.scene import Scene, make_scene
from refine.estimate import Estimate
from refine.geometry import rotation
from refine.plugin.adapters import spin
from refine.refiner import Refiner
from refine.render.view import View
from tests.regressor_outputs import hmr2

SIDE = 400.0


class Regressor(nn.Module):
    """Returns SPIN's three tensors, whatever it is shown; they go through a parameter, so that they carry a
    gradient."""

    def __init__(self, rotations: Tensor, betas: Tensor, camera: Tensor) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(1))
        self.norm = nn.BatchNorm1d(3)
        self.register_buffer("rotations", rotations)
        self.register_buffer("betas", betas)
        self.register_buffer("camera", camera)

    def forward(self, images: Tensor, **_: Any) -> tuple[Tensor, Tensor, Tensor]:
        few = slice(0, len(images))
        return self.rotations[few] * self.gain, self.betas[few] * self.gain, self.camera[few] * self.gain  # type: ignore[index]


@dataclass(frozen=True)
class Setting:
    """A disturbed person as SPIN would return them, where they were cut out, and the keypoints they have in truth."""

    scene: Scene
    model: Regressor
    call: dict[str, Tensor]


@pytest.fixture(scope="module")
def scene(builtin_body: SkinnedBody) -> Scene:
    return make_scene(builtin_body, count=1)


@pytest.fixture
def setting(scene: Scene) -> Setting:
    estimate = scene.estimate
    size = estimate.camera.size
    pose = torch.cat((estimate.bodies.pose[:, :22], torch.eye(3).expand(1, 2, 3, 3)), 1)
    # The crop camera at which CLIFF's formula gives the body's place: the pelvis stands for SMPL's translation and its
    # rest pelvis.
    box = size.flip(1) / 2 + torch.tensor([[10.0, -5.0]])
    focal = 5000.0
    pelvis = estimate.joints[:, 0]
    ratio = focal / float(estimate.camera.focal[0, 0])
    place = torch.cat((pelvis[:, :2], pelvis[:, 2:] * ratio), 1) - torch.tensor([[-0.0018, -0.2233, 0.0282]])
    s = 2 * focal / (SIDE * place[:, 2])
    weak = torch.stack((s, *(place[:, :2] - 2 * (box - size.flip(1) / 2) / (SIDE * s)[:, None]).unbind(1)), 1)
    keypoints = torch.cat((scene.true.keypoints_2d("coco17"), torch.full((1, 17, 1), 0.9)), -1)
    call = {"box_center": box, "box_size": torch.tensor([SIDE]), "img_size": size, "keypoints": keypoints}
    return Setting(scene, Regressor(pose, torch.zeros(1, 10), weak).eval(), call)


IMAGES = torch.zeros(1, 3, 224, 224)


def misfit(setting: Setting, output: Any) -> float:
    """Mean distance (px) of the estimate an output means from the true keypoints."""
    estimate = spin.estimate(output, setting.call)
    return float((estimate.keypoints_2d("coco17") - setting.call["keypoints"][..., :2]).norm(dim=-1).mean())


def test_an_attached_regressor_returns_refined_output_of_its_own_type(setting: Setting) -> None:
    plain = setting.model(IMAGES)
    model = refine.attach(setting.model, "spin")
    assert model is setting.model
    output = model(IMAGES, **setting.call)
    assert type(output) is tuple and [part.shape for part in output] == [part.shape for part in plain]
    assert misfit(setting, output) < 0.35 * misfit(setting, plain)
    assert not torch.equal(output[0], plain[0]) and torch.equal(output[1], plain[1])


def test_parameters_state_dict_device_and_mode_of_the_model_stay(setting: Setting) -> None:
    model = setting.model
    before = {name: value.clone() for name, value in model.state_dict().items()}
    refine.attach(model, "spin")
    model(IMAGES, **setting.call)
    after = model.state_dict()
    assert list(after) == list(before) and all(torch.equal(after[name], before[name]) for name in before)
    assert [name for name, _ in model.named_parameters()] == ["gain", "norm.weight", "norm.bias"]
    assert not model.training and [name for name, _ in model.named_modules()] == ["", "norm"]
    assert next(model.parameters()).requires_grad


def test_training_mode_passes_through_with_its_gradients(setting: Setting) -> None:
    model = refine.attach(setting.model, "spin").train()
    output = model(IMAGES, **setting.call)
    assert torch.equal(output[0], model.rotations)
    output[0].sum().backward()
    assert model.gain.grad is not None


def test_nobody_found_passes_through(setting: Setting) -> None:
    output = refine.attach(setting.model, "spin")(IMAGES[:0], **setting.call)
    assert len(output[0]) == 0
    assert refine.attach(nn.Identity().eval(), "multihmr", batch=lambda found: {})([]) == []


def test_refinement_builds_no_graph_and_works_in_inference_mode(setting: Setting) -> None:
    plain = setting.model(IMAGES)
    model = refine.attach(setting.model, "spin")
    output = model(IMAGES, **setting.call)
    assert plain[0].requires_grad and not output[0].requires_grad
    with torch.inference_mode():
        images, call = IMAGES.clone(), {name: value.clone() for name, value in setting.call.items()}
        inside = model(images, **call)
    for one, other in zip(inside, output, strict=True):
        assert torch.equal(one, other)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        again = model(IMAGES, **setting.call)
    assert torch.allclose(again[0], output[0], atol=1e-5)
    torch.set_default_dtype(torch.float64)
    try:
        again = model(IMAGES, **setting.call)
    finally:
        torch.set_default_dtype(torch.float32)
    assert again[0].dtype == output[0].dtype and torch.allclose(again[0], output[0], atol=1e-5)
    with torch.device("meta"):
        again = model(IMAGES, **setting.call)
    assert again[0].device == output[0].device and torch.allclose(again[0], output[0], atol=1e-5)


def test_without_keypoints_the_output_comes_back_as_it_is(setting: Setting) -> None:
    plain = setting.model(IMAGES)
    model = refine.attach(setting.model, "spin")
    call = {name: value for name, value in setting.call.items() if name != "keypoints"}
    for was, now in zip(plain, model(IMAGES, **call), strict=True):
        assert torch.equal(was, now)
    silent = refine.attach(refine.detach(model), "spin", keypoints=None)(IMAGES, **setting.call)
    assert torch.equal(silent[0], plain[0])


def test_keypoints_may_come_from_a_function_of_the_batch(setting: Setting) -> None:
    seen: list[Estimate] = []

    def detect(batch: Mapping[str, Any], estimate: Estimate) -> refine.Detections:
        seen.append(estimate)
        points = setting.call["keypoints"]
        return refine.Detections("coco17", points[..., :2], points[..., 2])

    call = {name: value for name, value in setting.call.items() if name != "keypoints"}
    output = refine.attach(setting.model, "spin", keypoints=detect)(IMAGES, **call)
    assert len(seen) == 1 and misfit(setting, output) < 20
    whole = refine.attach(refine.detach(setting.model), "spin", batch=lambda images: setting.call | {"img": images})(
        IMAGES
    )
    assert torch.equal(whole[0], output[0])


def test_a_mapping_among_the_arguments_is_the_batch() -> None:
    made = hmr2()
    made.batch["keypoints"] = torch.cat((torch.zeros(2, 17, 2), torch.zeros(2, 17, 1)), -1)

    class Hmr2(nn.Module):
        def forward(self, batch: dict[str, Any]) -> dict[str, Any]:
            return dict(made.output)

    output = refine.attach(Hmr2().eval(), "hmr2")(made.batch)
    assert list(output) == list(made.output) and torch.equal(output["pred_cam"], made.output["pred_cam"])


@dataclass(frozen=True)
class Shift:
    """A displacer that wants everything a few pixels to the right, and remembers the photo it was shown."""

    seen: list[np.ndarray]

    def displace(self, view: View) -> Displacement:
        rendered = view.fragments.triangle >= 0
        self.seen.append(view.pixels())
        offset = torch.zeros(*rendered.shape, 2)
        offset[..., 0] = 6.0
        root = torch.eye(2).expand(*rendered.shape, 2, 2) * rendered[..., None, None]
        return Displacement(offset * rendered[..., None], root)


def test_a_displacer_is_shown_what_the_network_was_shown_or_the_photos(setting: Setting) -> None:
    mean = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
    std = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    grey = ((torch.full((1, 3, 224, 224), 0.5) - mean) / std).contiguous()
    call = {name: value for name, value in setting.call.items() if name != "keypoints"}
    plain = spin.estimate(setting.model(grey), setting.call)
    moved = []
    for images in (None, lambda batch: [setting.scene.photos[0].pixels]):
        displacer = Shift([])
        refiner = Refiner(displacer=displacer, rounds=1, crop_px=64)
        model = refine.attach(refine.detach(setting.model), "spin", refiner, images=images)
        output = model(grey, **call)
        after = spin.estimate(output, setting.call)
        moved.append(float((after.keypoints_2d("coco17") - plain.keypoints_2d("coco17"))[..., 0].mean()))
        if images is None:
            inside = displacer.seen[0][0, 20:44, 24:40]
            assert abs(inside.astype(float) - 127.5).max() < 2
    assert all(20 < shift < 90 for shift in moved), "6 px of a 64 px crop around a person of 500 px"


def test_an_attachment_is_copied_stored_and_taken_off(setting: Setting) -> None:
    plain = setting.model(IMAGES)
    model = refine.attach(setting.model, "spin")
    output = model(IMAGES, **setting.call)
    twin = copy.deepcopy(model)
    assert torch.equal(twin(IMAGES, **setting.call)[0], output[0])
    (hook,) = model._forward_hooks.values()
    again = pickle.loads(pickle.dumps(hook))
    assert again.adapter is spin
    assert torch.allclose(again(model, (IMAGES,), setting.call, plain)[0], output[0], atol=1e-3)
    for one in (twin, model):
        assert torch.equal(refine.detach(one)(IMAGES, **setting.call)[0], plain[0])
        assert refine.detach(one) is one


@pytest.mark.usefixtures("unchecked")
def test_what_is_not_of_its_kind_is_refused(setting: Setting) -> None:
    for arguments, words in (
        (("no model", "spin"), "model: expected a torch.nn.Module"),
        ((setting.model, "nobody"), "one of"),
        ((setting.model, object()), "people, estimate and refined_output"),
        ((setting.model, "spin", "fast"), "refine.Refiner"),
    ):
        with pytest.raises(refine.InputError, match=words):
            refine.attach(*arguments)  # type: ignore[arg-type]
    with pytest.raises(refine.InputError, match="images"):
        refine.attach(setting.model, "spin", images=["photo.jpg"])  # type: ignore[arg-type]
    refine.attach(setting.model, "spin")
    with pytest.raises(refine.InputError, match="detach"):
        refine.attach(setting.model, "spin")


def test_a_call_that_lacks_what_the_adapter_needs_is_told_so(setting: Setting) -> None:
    model = refine.attach(setting.model, "cliff")
    with pytest.raises(refine.InputError, match="img_size"):
        model(IMAGES)


def test_the_estimate_is_turned_back_into_the_output_to_float_precision(setting: Setting) -> None:
    model = refine.attach(setting.model, "spin")
    output = model(IMAGES, **setting.call)
    estimate = spin.estimate(output, setting.call)
    error = estimate.source.pose @ estimate.source.pose.mT - torch.eye(3)
    assert float(error.abs().max()) < 1e-5
    assert float(rotation.log(output[0]).norm(dim=-1).max()) < 4
    assert replace(estimate, notes=()).source.format == "spin"


def test_an_attached_regressor_voices_each_kind_of_doubt_once(
    setting: Setting, caplog: pytest.LogCaptureFixture
) -> None:
    refine.attach(setting.model, "spin")
    with caplog.at_level("WARNING", logger="refine"):
        setting.model(IMAGES, **setting.call)
    assert not caplog.records  # nothing is wrong
    beyond = setting.call["keypoints"].clone()
    height, width = (float(side) for side in setting.call["img_size"][0])
    assert height != width
    long, short = (1, 0) if width < height else (0, 1)  # the axis along which a turned photo is longer
    beyond[..., short] = torch.linspace(0.5, 0.95, 17) * max(height, width)
    beyond[..., long] = torch.linspace(0.1, 0.9, 17) * min(height, width)
    with caplog.at_level("WARNING", logger="refine"):
        for _ in range(2):
            setting.model(IMAGES, **{**setting.call, "keypoints": beyond})
    said = [record.message for record in caplog.records]
    assert len(said) == 1 and "turned by a quarter" in said[0], said
