"""Every regressor's output, in its exact layout: seen where the system sees it, put back in its own type."""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from refine.errors import InputError
from refine.estimate import Estimate
from refine.estimate.pelvis import source_pelvis
from refine.geometry import rotation
from refine.geometry.camera import Camera
from refine.plugin.adapters import Regressor
from refine.plugin.adapters.find import regressor, regressors
from refine.transfer import refined_source, with_camera
from tests.refinements import refined
from tests.regressor_outputs import EXAMPLES
from tests.regressor_people import Example

PX, M = 3e-3, 2e-5
"""Float32 of pixels in the thousands and of tens of metres."""

KNOWS_JOINTS = {"hmr2", "tokenhmr", "poco", "dpose", "multihmr", "perspose", "smplestx"}
GIVEN = {0, 1, 2, 4, 5, 7, 8, 12, 16, 17, 18, 19, 20, 21}
"""SMPL's joints in all of their lists."""


@pytest.fixture(params=list(regressors()))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def example(name: str, count: int = 2) -> Example:
    assert name in EXAMPLES, f"tests/regressor_outputs.py has no example of {name}"
    return EXAMPLES[name](count)


def estimated(name: str, made: Example) -> Estimate:
    return regressor(name).estimate(made.output, made.batch)


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf of nested mappings and sequences, by its place."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from leaves(part, f"{path}/{key}")
    elif isinstance(value, list | tuple):
        for place, part in enumerate(value):
            yield from leaves(part, f"{path}/{place}")
    else:
        yield path, value


def test_every_regressor_keeps_to_the_protocol() -> None:
    wanted = {"spin", "hmr2", "tokenhmr", "camerahmr", "multihmr", "smplestx", "osx", "dpose", "perspose", "poco"}
    assert wanted <= set(regressors())
    for module in regressors().values():
        assert isinstance(module, Regressor)
        assert module.__doc__ and "Source:" in module.__doc__
    with pytest.raises(InputError, match="hmr2"):
        regressor("nobody")


def test_points_are_seen_where_the_system_sees_them(name: str) -> None:
    made = example(name, 3)
    estimate = estimated(name, made)
    points = torch.as_tensor(made.points, dtype=torch.float32)
    if not made.in_camera:
        assert estimate.source.translation is not None
        points = points + estimate.source.translation[:, None]
    seen = estimate.camera.project(points).numpy()
    assert np.abs(seen - made.pixels).max() < PX
    assert len(estimate) == regressor(name).people(made.output) == 3


def test_the_projected_joints_of_an_estimate_are_the_systems_own(name: str) -> None:
    if name not in KNOWS_JOINTS:
        pytest.skip("its output holds no 3D joints")
    made = example(name, 3)
    estimate = estimated(name, made)
    source = estimate.source
    assert source.joints is not None
    seen = estimate.camera.project(source.joints).numpy()
    listed = made.pixels.shape[1]
    if name in ("dpose", "multihmr", "perspose"):
        assert np.abs(seen - made.pixels).max() < PX
    else:
        assert np.abs(seen[:, -listed:] - made.pixels).max() < PX  # behind SMPL's own, the whole list
    own = made.own if made.in_camera else made.own + source.translation[:, None].numpy()  # type: ignore[index]
    for joint in range(22):
        apart = np.linalg.norm(source.joints[:, joint].numpy() - own[:, joint], axis=-1).max()
        assert apart < (30 * M if joint in GIVEN else 0.03), f"joint {joint} is {1000 * apart:.1f} mm off"
    if source.keypoints_2d is not None:
        assert np.abs(seen[:, : source.keypoints_2d.shape[1]] - source.keypoints_2d.numpy()).max() < PX


def test_the_body_on_which_an_output_is_put_has_its_pelvis(name: str) -> None:
    estimate = estimated(name, example(name))
    assert torch.allclose(estimate.joints[:, 0], source_pelvis(estimate.source), rtol=1e-6, atol=1e-4)


def test_what_was_not_refined_comes_back_to_the_bit(name: str) -> None:
    made = example(name)
    again = regressor(name).refined_output(made.output, estimated(name, made))
    assert type(again) is type(made.output)
    before, after = dict(leaves(made.output)), dict(leaves(again))
    assert list(before) == list(after)
    for place, value in before.items():
        assert torch.equal(after[place], value) if isinstance(value, Tensor) else after[place] == value, place


def test_refined_outputs_keep_types_and_leave_the_original_alone(name: str) -> None:
    made = example(name)
    untouched = copy.deepcopy(made.output)
    again = regressor(name).refined_output(made.output, refined(estimated(name, made)))
    for (place, was), (_, now) in zip(leaves(untouched), leaves(made.output), strict=True):
        assert torch.equal(was, now) if isinstance(was, Tensor) else was == now, place
    assert type(again) is type(made.output)
    before, after = dict(leaves(made.output)), dict(leaves(again))
    gone = {place.rsplit("/", 1)[-1] for place in set(before) - set(after)}
    assert gone <= {
        "pred_vertices",
        "smpl_vertices",
        "vertices",
        "v3d",
        "smplx_mesh_cam",
        "smplx_joint_proj",
        "smplx_joint_cam",
    }
    notes = [value for place, value in after.items() if place.endswith("refine_note")]
    assert bool(notes) == bool(gone) and all("left out" in note for note in notes)
    changed = 0
    for place, value in after.items():
        if place in before and isinstance(value, Tensor):
            assert value.shape == before[place].shape and value.dtype == before[place].dtype, place
            assert not value.requires_grad
            changed += not torch.equal(value, before[place])
    assert changed >= 2


def test_a_refined_output_is_read_back_as_it_was_written(name: str) -> None:
    made = example(name)
    estimate = refined(estimated(name, made))
    module = regressor(name)
    again = module.estimate(module.refined_output(made.output, estimate), made.batch)
    said = refined_source(estimate)
    assert torch.allclose(again.source.pose, said.pose, atol=3e-6)
    pixels = again.camera.project(again.joints[:, :1]) - estimate.camera.project(estimate.joints[:, :1])
    assert float(pixels.abs().max()) < 0.02
    size, other = (e.camera.focal[:, 0] / e.joints[:, 0, 2] for e in (again, estimate))
    assert torch.allclose(size, other, rtol=1e-4)


def test_what_a_refined_output_derives_agrees_with_the_systems_formulas(name: str) -> None:
    made = example(name)
    again = regressor(name).refined_output(made.output, refined(estimated(name, made)))
    for was, should in [*made.check(made.output), *made.check(again)]:
        np.testing.assert_allclose(was, should, rtol=2e-5, atol=2e-3)


def test_a_body_that_was_not_refined_keeps_its_numbers_beside_one_that_was(name: str) -> None:
    made = example(name)
    again = regressor(name).refined_output(made.output, refined(estimated(name, made), slice(0, 1)))
    after = dict(leaves(again))
    for place, value in leaves(made.output):
        if place not in after or not isinstance(value, Tensor):
            continue
        if name == "multihmr":
            assert not place.startswith("/1") or torch.equal(after[place], value), place
        elif value.dim() and len(value) == 2:
            assert torch.equal(after[place][1], value[1]), place


def test_an_estimate_seen_through_another_camera_is_put_back_in_the_regressors_own(name: str) -> None:
    made = example(name)
    estimate = estimated(name, made)
    size = estimate.camera.size
    other = Camera(1.5 * estimate.camera.focal, size.flip(1) / 2, size)
    through = refined(with_camera(estimate, other))
    module = regressor(name)
    again = with_camera(module.estimate(module.refined_output(made.output, through), made.batch), other)
    pixel, wanted = (e.camera.project(e.joints[:, :1]) for e in (again, through))
    assert torch.allclose(pixel, wanted, atol=0.05)


def test_half_precision_comes_back_in_half_precision() -> None:
    made = example("hmr2")
    made.output["pred_cam"] = made.output["pred_cam"].half()
    again = regressor("hmr2").refined_output(made.output, refined(estimated("hmr2", made)))
    assert again["pred_cam"].dtype == torch.float16


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("hmr2", "box_center"),
        ("cliff", "img_size"),
        ("camerahmr", "cam_int"),
        ("poco", "scale"),
        ("dpose", "img_w"),
        ("osx", "bbox"),
        ("multihmr", "K"),
        ("perspose", "cam_intrinsics"),
    ],
)
def test_a_batch_that_lacks_something_is_told_so(name: str, missing: str) -> None:
    made = example(name)
    batch = {key: value for key, value in made.batch.items() if key != missing}
    with pytest.raises(InputError, match=missing):
        regressor(name).estimate(made.output, batch)


def test_an_output_that_is_not_finite_or_of_another_shape_is_refused() -> None:
    made = example("hmr2")
    made.output["pred_cam"][1, 0] = torch.nan
    with pytest.raises(InputError, match=r"pred_cam.*finite"):
        estimated("hmr2", made)
    with pytest.raises(InputError, match="three tensors"):
        regressor("spin").estimate(example("spin").output[:2], {})
    with pytest.raises(InputError, match="at least one person"):
        regressor("multihmr").estimate([], {})
    with pytest.raises(InputError, match="tensor of numbers"):
        regressor("multihmr").estimate(example("multihmr").output, example("multihmr").batch | {"K": "none"})


def test_one_failed_body_comes_to_lie_behind_the_camera_and_stays_as_it_was() -> None:
    made = example("hmr2")
    made.output["pred_cam"][1, 0] *= -0.5
    made.output["pred_cam_t"][1, 2] /= -0.5
    estimate = estimated("hmr2", made)
    assert float(estimate.joints[1, 0, 2]) < 0 < float(estimate.joints[0, 0, 2])
    again = regressor("hmr2").refined_output(made.output, refined(estimate, slice(0, 1)))
    assert torch.equal(again["pred_cam"][1], made.output["pred_cam"][1])


def test_spin_without_boxes_takes_each_crop_for_a_photo() -> None:
    made = example("spin")
    estimate = regressor("spin").estimate(made.output, {"img": made.batch["img"]})
    place = np.stack((made.output[2][:, 1], made.output[2][:, 2], 2 * 5000 / (224 * made.output[2][:, 0])), 1)
    np.testing.assert_allclose(estimate.source.translation.numpy(), place, rtol=1e-6)  # type: ignore[union-attr]
    assert estimate.camera.size.tolist() == [[224.0, 224.0]] * 2 and estimate.image_index.tolist() == [0, 1]


def test_pocos_variance_is_a_scale_of_matrix_entries_and_becomes_radians() -> None:
    made = example("poco")
    source = estimated("poco", made).source
    assert torch.equal(source.evidence["var_pose"], made.output["var_pose"])
    assert source.sigma_rad is not None
    # Turns whose coordinates have that deviation move a matrix's entries, on average over the nine, by var_pose.
    sigma = source.sigma_rad[0, 3]
    turn = rotation.exp(0.01 * sigma * torch.randn(20000, 3, generator=torch.Generator().manual_seed(0)))
    entry = (turn - torch.eye(3)).pow(2).mean().sqrt() / 0.01
    assert float(entry / made.output["var_pose"][0, 3]) == pytest.approx(1.0, abs=0.02)
    made.output["var_pose"] = torch.full((2, 24, 3, 3), 0.1)
    assert estimated("poco", made).source.sigma_rad is None


def test_dposes_depth_and_segmentation_are_carried_as_evidence() -> None:
    made = example("dpose")
    evidence = estimated("dpose", made).source.evidence
    assert torch.equal(evidence["depth_normalized"], made.output[1][:, 0])
    assert torch.equal(evidence["parts"], made.output[4].argmax(1))
    alone = regressor("dpose").estimate(made.output[0], made.batch)
    assert not alone.source.evidence
    assert isinstance(regressor("dpose").refined_output(made.output[0], refined(alone)), dict)


class Layer(nn.Module):
    """Stands for an SMPL layer: vertices and joints that depend on every parameter."""

    def forward(self, **parts: Any) -> Any:
        total = sum(part.flatten(1).sum(1) for part in parts.values() if isinstance(part, Tensor))
        out = nn.Module()
        count = len(total)
        out.vertices = total[:, None, None] * torch.ones(count, 30, 3)  # type: ignore[assignment]
        out.joints = total[:, None, None] * torch.linspace(0, 0.01, 44)[:, None] * torch.ones(3)  # type: ignore[assignment]
        return out


def test_the_models_own_layer_makes_vertices_of_refined_parameters() -> None:
    made, model = example("hmr2"), nn.Module()
    model.smpl = Layer()
    again = regressor("hmr2").refined_output(made.output, refined(estimated("hmr2", made), slice(0, 1)), model=model)
    assert "refine_note" not in again and list(again) == list(made.output)
    parts = again["pred_smpl_params"]
    total = sum(part.flatten(1).sum(1) for part in parts.values())
    assert torch.allclose(again["pred_vertices"][0], total[0] * torch.ones(30, 3))
    assert torch.equal(again["pred_vertices"][1], made.output["pred_vertices"][1])
    for was, should in made.check(again):
        np.testing.assert_allclose(was[:1], should[:1], rtol=1e-4, atol=2e-3)
