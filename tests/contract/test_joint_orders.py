"""The joints of every format and adapter are held against its rotations."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from refine.body.keypoint_names import SMPL22, SMPL24
from refine.estimate import Estimate
from refine.formats.find import formats, read
from refine.plugin.adapters.find import regressors
from refine.transfer.agreement import agreeing
from refine.transfer.joint_fit import MISFIT_M, fit
from refine.transfer.joint_orders import ORDERS, OWN, posed_points
from tests.format_examples import LAYOUTS
from tests.handed_joints import Handed, handed, named, of_adapter, of_format, permutations
from tests.layouts.parameters import smpl_parameters
from tests.regressor_files import PARENTS

STORING = {
    "bev", "bev_flat", "cliff", "hybrik", "multihmr_humans", "nlf", "parameters", "phalp", "prompthmr", "pymafx",
    "refine_npz", "romp", "romp_flat",
    "romp_video", "sam3dbody", "sam3dbody_people", "spin", "vibe",
}  # fmt: skip
"""Formats whose files hold joints beside rotations, or (SAM 3D Body) beside a surface."""

RETURNING = {"dpose", "hmr2", "multihmr", "perspose", "poco", "smplestx", "tokenhmr"}
"""Adapters whose outputs hold joints."""


@pytest.fixture(params=[*LAYOUTS, *(f"adapter {name}" for name in regressors())])
def found(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, Handed]:
    name = str(request.param)
    if name.startswith("adapter "):
        return name, of_adapter(name.removeprefix("adapter "), monkeypatch)
    return name, of_format(name, tmp_path, monkeypatch)


def test_what_stores_joints_hands_them_over_and_says_what_they_are(found: tuple[str, Handed]) -> None:
    name, one = found
    stores = STORING | {"multihmr"} | {f"adapter {adapter}" for adapter in RETURNING}
    if name not in stores:
        assert one.source.joints is None, f"add {name} to those that store joints"
        return
    assert one.source.joints is not None
    names = named(one.source)
    assert len(names) == one.source.joints.shape[1]
    assert sum(map(bool, names)) > 12
    settled = one.estimate.source
    assert settled.joint_names[:22] == SMPL22
    assert settled.joints is not None and len(settled.joint_names) == settled.joints.shape[1]


def test_an_example_agrees_with_itself(found: tuple[str, Handed]) -> None:
    source = found[1].estimate.source
    assert source.doubts == ()
    if source.joints is not None:
        assert not fit(source.joints, source.joint_names, source).wrong.any()


def test_every_permutation_that_moves_a_joint_is_noticed(found: tuple[str, Handed]) -> None:
    name, one = found
    if one.source.joints is None:
        pytest.skip("no joints are stored")
    for number, order in enumerate(permutations(one.source, 16, seed=len(name))):
        permuted = replace(one.source, joints=one.source.joints[:, order], keypoints_2d=None)
        assert agreeing(permuted, one.camera).doubts, f"permutation {number}: {order.tolist()}"


def test_joints_of_one_person_in_another_order_are_noticed_and_the_others_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = of_format("romp", tmp_path, monkeypatch, people=3)
    assert one.source.joints is not None
    for order in permutations(one.source, 12, seed=3):
        joints = one.source.joints.clone()
        joints[1] = joints[1, order]
        settled = agreeing(replace(one.source, joints=joints), one.camera)
        assert any("Person 2" in doubt for doubt in settled.doubts)
        assert settled.joints is not None
        assert torch.equal(settled.joints[[0, 2], :24], one.source.joints[[0, 2], :24])
        assert float((settled.joints[1, :22] - one.source.joints[1, :22]).norm(dim=1).mean()) < 0.15


@pytest.mark.parametrize(
    "words", ["BODY_25", "BODY_25 and 19 regressed joints", "SPIN's 49", "Human3.6M's 17", "COCO's 17"]
)
def test_joints_in_another_known_order_are_taken_as_that(words: str) -> None:
    parameters = smpl_parameters(3)
    plain = to_body_of(parameters)
    names, points = posed_points(plain.source.pose, "smpl")
    listed = points[:, [names.index(name) if name in names else names.index("pelvis") for name in ORDERS[words]]]
    content = parameters | {"joints": (1.03 * listed + plain.source.joints[:, :1]).numpy()}  # type: ignore[index]
    source = replace(plain.source, joints=torch.as_tensor(content["joints"]).float(), joint_names=())
    if source.joints.shape[1] < 22:  # the model's own first: nothing else is known of a short list
        source = replace(source, joint_names=SMPL24[: source.joints.shape[1]])
    settled = agreeing(source)
    assert any(f"another order, {words}" in doubt for doubt in settled.doubts), settled.doubts
    assert settled.joints is not None and settled.joint_names[:24] == SMPL24
    apart = (settled.joints[:, :22] - plain.source.joints[:, :22]).norm(dim=2)  # type: ignore[index]
    assert float(apart.mean()) < 0.03


def to_body_of(parameters: dict[str, np.ndarray]) -> Estimate:
    from refine.formats.parameters import read_parameters

    return read_parameters(parameters)


def test_points_a_little_off_are_right_and_points_far_off_are_not() -> None:
    source = to_body_of(smpl_parameters(1)).source
    assert source.joints is not None
    for joint in range(1, 22):
        for direction in torch.eye(3):
            near, far = source.joints.clone(), source.joints.clone()
            near[0, joint] += (MISFIT_M - 0.03) * direction
            far[0, joint] += (MISFIT_M + 0.04) * direction
            assert not agreeing(replace(source, joints=near)).doubts
            assert agreeing(replace(source, joints=far)).doubts


def test_size_and_place_are_nobodys_business() -> None:
    source = to_body_of(smpl_parameters(2)).source
    assert source.joints is not None
    for scale in (0.4, 1.3):
        joints = scale * (source.joints - source.joints[:, :1]) + torch.tensor([3.0, -2.0, 7.0])
        assert not agreeing(replace(source, joints=joints)).doubts
    mirrored = source.joints * torch.tensor([1.0, -1.0, 1.0])
    assert agreeing(replace(source, joints=mirrored)).doubts, "a point reflection or a turned frame is no size"


def test_a_surface_of_another_side_is_set_aside() -> None:
    from refine.body.landmarks_smpl import SMPL_VERTICES

    source = to_body_of(smpl_parameters(2)).source
    names, points = posed_points(source.pose, "smpl")
    surface = torch.zeros(2, 6890, 3)
    for name, vertex in SMPL_VERTICES.items():
        if name in names:
            surface[:, vertex] = points[:, names.index(name)]
    surface[:, [SMPL_VERTICES["left_pupil"], SMPL_VERTICES["right_pupil"]]] = points[
        :, [names.index("left_eye"), names.index("right_eye")]
    ]
    right = agreeing(replace(source, vertices=surface))
    assert right.vertices is not None and not right.doubts
    swapped = surface.clone()
    for name, vertex in SMPL_VERTICES.items():
        if name.startswith("left_"):
            swapped[:, vertex] = surface[:, SMPL_VERTICES[name.replace("left", "right")]]
            swapped[:, SMPL_VERTICES[name.replace("left", "right")]] = surface[:, vertex]
    wrong = agreeing(replace(source, vertices=swapped))
    assert wrong.vertices is None and any("vertices" in doubt for doubt in wrong.doubts)


@pytest.mark.parametrize(
    "name",
    [
        "romp_photo/romp_output.npz",
        "bev_pair/image_1_0.08.npz",
        "sam3d_body/img_subj00.npz",
        "sam3d_body/img_subj01.npz",
    ],
)
def test_real_files_agree_with_themselves_and_every_permutation_of_theirs_is_noticed(
    name: str, real_data: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, file = name.split("/")
    path = real_data(folder) / file
    if not path.is_file():
        pytest.skip(f"{name} is not there")
    one = handed(lambda: read(path), monkeypatch)
    assert one.estimate.source.doubts == ()
    for order in permutations(one.source, 30, seed=1):
        permuted = replace(one.source, joints=one.source.joints[:, order], keypoints_2d=None)  # type: ignore[index]
        assert agreeing(permuted, one.camera).doubts


def test_every_order_names_only_what_is_known_somewhere() -> None:
    known = set(posed_points(torch.eye(3).expand(1, 24, 3, 3), "smpl")[0])
    known |= set(posed_points(torch.eye(3).expand(1, 55, 3, 3), "smplx")[0])
    for words, names in ORDERS.items():
        unknown = {name for name in names if name and name not in known}
        assert not unknown, (words, unknown)
    assert set(OWN) == {"smpl", "smplh", "smplx", "anny"} and len(PARENTS) == 24
    assert {*formats(), *LAYOUTS} >= STORING and set(regressors()) >= RETURNING
