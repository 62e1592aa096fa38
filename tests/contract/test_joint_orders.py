"""The joints of every format and adapter are held against its rotations."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import refine.transfer
from refine.body import SkinnedBody, pose_body
from refine.body.keypoint_names import SMPL22, SMPL24
from refine.estimate import Estimate, Source
from refine.formats.find import formats, read, write
from refine.geometry.camera import Camera
from refine.inspection.result_file import inspect
from refine.plugin.adapters.find import regressor, regressors
from refine.transfer.agreement import agreeing
from refine.transfer.joint_fit import MISFIT_M, fit
from refine.transfer.joint_orders import HMR2_44, ORDERS, OWN, names_of, posed_points
from tests import joblib_layout
from tests.contract.test_formats import LAYOUTS, example, refined
from tests.layouts import phalp
from tests.layouts.bev import bev_results
from tests.layouts.cliff import arrays as cliff_arrays
from tests.layouts.parameters import smpl_parameters
from tests.layouts.romp import romp_results
from tests.regressor_files import HEIGHT, PARENTS, WIDTH, skeleton
from tests.regressor_outputs import EXAMPLES

MOVED_M = 0.1
"""A permutation must be noticed that moves a joint farther than this."""

STORING = {
    "bev", "bev_flat", "cliff", "hybrik", "multihmr_humans", "nlf", "parameters", "phalp", "prompthmr", "pymafx",
    "refine_npz", "romp", "romp_flat",
    "romp_video", "sam3dbody", "sam3dbody_people", "spin", "vibe",
}  # fmt: skip
"""Formats whose files hold joints beside rotations, or (SAM 3D Body) beside a surface."""

RETURNING = {"dpose", "hmr2", "multihmr", "perspose", "poco", "smplestx", "tokenhmr"}
"""Adapters whose outputs hold joints."""


@dataclass
class Handed:
    """What a reader handed over before anything was looked at."""

    source: Source
    camera: Camera
    estimate: Estimate


def handed(make: Callable[[], Estimate], monkeypatch: pytest.MonkeyPatch) -> Handed:
    """Read or adapt something, and keep what it handed to `to_body` first."""
    seen: list[tuple[Source, Camera]] = []

    def watched(source: Source, camera: Camera, body: SkinnedBody) -> Source:
        seen.append((source, camera))
        return agreeing(source, camera, body)

    with monkeypatch.context() as patch:
        patch.setattr(refine.transfer, "agreeing", watched)
        estimate = make()
    return Handed(*seen[-1], estimate)


def of_format(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, people: int = 2) -> Handed:
    return handed(example(name, folder, people).read, monkeypatch)


def of_adapter(name: str, monkeypatch: pytest.MonkeyPatch, people: int = 2) -> Handed:
    made = EXAMPLES[name](people)
    return handed(lambda: regressor(name).estimate(made.output, made.batch), monkeypatch)


@pytest.fixture(params=[*LAYOUTS, *(f"adapter {name}" for name in regressors())])
def found(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, Handed]:
    name = str(request.param)
    if name.startswith("adapter "):
        return name, of_adapter(name.removeprefix("adapter "), monkeypatch)
    return name, of_format(name, tmp_path, monkeypatch)


def named(source: Source) -> tuple[str, ...]:
    assert source.joints is not None
    return source.joint_names or names_of(source.model, source.joints.shape[1])


def permutations(source: Source, count: int, seed: int) -> Iterator[Tensor]:
    """Orders (L,) that move a known joint far: all shuffled, two or three exchanged, shifted, left for right."""
    assert source.joints is not None
    names, draw = named(source), torch.Generator().manual_seed(seed)
    length, known = len(names), set(posed_points(source.pose[:1], source.model)[0])
    places = [place for place, name in enumerate(names) if name in known]
    tried = 0
    while tried < count:
        order = torch.arange(length)
        kind = tried % 4
        if kind == 0:
            order = torch.randperm(length, generator=draw)
        elif kind == 3:
            order = order.roll(int(torch.randint(1, length, (), generator=draw)))
        else:
            chosen = torch.tensor(places)[torch.randperm(len(places), generator=draw)[: kind + 1]]
            order[chosen] = order[chosen.roll(1)]
        moved = (source.joints[:, order] - source.joints).norm(dim=2)[:, places]
        if float(moved.amax(1).min()) > MOVED_M:
            tried += 1
            yield order
        elif kind == 3:
            tried += 1
    yield torch.tensor([_other_side(names, place) for place in range(length)])


def _other_side(names: tuple[str, ...], place: int) -> int:
    """Where a list has the same joint of the other side: the n-th of that name for the n-th."""
    side, _, part = names[place].partition("_")
    other = {"left": "right", "right": "left"}.get(side)
    same, there = ([n for n, name in enumerate(names) if name == f"{one}_{part}"] for one in (side, other))
    return there[same.index(place)] if other and len(same) == len(there) else place


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


def permuted_file(name: str, path: Path, order: np.ndarray) -> dict[str, Any]:
    """Write a file with joints and their pixels in another order; returns what is needed to read it."""
    if name in ("romp", "bev"):
        content = (romp_results if name == "romp" else bev_results)(2)
        content |= {key: content[key][:, order] for key in ("joints", "pj2d_org")}
        np.savez(path, results=content)
        return {}
    if name == "cliff":
        content = cliff_arrays(2)
        np.savez(path, **content | {"pred_joints": content["pred_joints"][:, order]})
        return {"sizes": torch.tensor([[float(HEIGHT), float(WIDTH)]])}
    if name == "parameters":
        content = smpl_parameters(2)
        np.savez(path, **content | {"joints": content["joints"][:, order]})
        return {}
    frames = phalp.frames(2)
    for lists in frames.values():
        for place in range(len(lists["tid"])):
            lists["3d_joints"][place] = lists["3d_joints"][place][order]
            lists["2d_joints"][place] = lists["2d_joints"][place].reshape(45, 2)[order].reshape(-1)
    joblib_layout.dump(frames, path, 3)
    return {}


WIDTHS = {"romp": (24, 71), "bev": (24, 71), "cliff": (24, 45), "parameters": (24, 24), "phalp": (44, 45)}
"""How many of a file's joints are exchanged here, and how many it has."""


@pytest.mark.parametrize("name", WIDTHS)
def test_a_file_in_an_unknown_order_is_read_without_its_joints_and_written_back(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    few, whole = WIDTHS[name]
    order = np.concatenate((np.random.default_rng(4).permutation(few), np.arange(few, whole)))
    path = tmp_path / f"x{LAYOUTS[name].SUFFIX}"
    known = permuted_file(name, path, order)
    estimate = read(path, **known)
    assert estimate.source.joints is None
    assert any("set aside" in note for note in estimate.notes)
    assert any("set aside" in record.message and path.name in record.message for record in caplog.records)
    straight = read(LAYOUTS[name].write(tmp_path / f"straight{LAYOUTS[name].SUFFIX}"), **known)
    seen, meant = (one.camera.project(one.joints[:, :1]) for one in (estimate, straight))
    assert float((seen - meant).abs().max()) < 0.2 * float(
        (meant - straight.camera.project(straight.joints[:, 15:16])).norm(dim=-1).max()
    )
    (tmp_path / "out").mkdir()
    write(refined(estimate), tmp_path / "out" / path.name)
    again = read(tmp_path / "out" / path.name, **known)
    assert torch.allclose(again.source.pose, refine.transfer.refined_source(refined(estimate)).pose, atol=2e-6)
    pelvis, wanted = (one.camera.project(one.joints[:, :1]) for one in (again, refined(estimate)))
    assert float((pelvis - wanted).abs().max()) < 3.0  # the place is the middle of what was stored


def test_inspect_calls_a_contradiction_suspicious(tmp_path: Path) -> None:
    order = np.concatenate((np.random.default_rng(4).permutation(24), np.arange(24, 71)))
    permuted_file("romp", tmp_path / "x.npz", order)
    assert any("do not follow from the stored rotations" in line for line in inspect(tmp_path / "x.npz").suspicious)


def test_phalps_joints_are_in_the_order_of_its_smpl_wrapper(tmp_path: Path) -> None:
    estimate = read(phalp.write(tmp_path / "x.pkl"))
    source = estimate.source
    assert source.joints is not None and source.keypoints_2d is not None and not source.doubts
    assert source.joint_names == SMPL24 + HMR2_44
    rows = [(number, frame) for frame in range(3) for number in range(2) if (number, frame) != (0, 2)]
    for row, (number, frame) in enumerate(rows):
        pose = np.asarray(phalp.random_pose(1, 10 * number + frame))
        joints, _ = skeleton(pose, 1.0 + 0.04 * number)
        assert source.translation is not None
        apart = np.linalg.norm(
            source.joints[row, :22].numpy() - source.translation[row].numpy() - joints[0, :22], axis=1
        )
        assert apart.max() < 0.03, SMPL22[int(apart.argmax())]
        listed = [SMPL22.index(name) for name in HMR2_44[:15] if name in SMPL22]
        assert apart[listed].max() < 1e-4
    assert float((estimate.camera.project(source.joints) - source.keypoints_2d).abs().max()) < 0.05


def test_phalps_people_are_of_their_own_size_and_lie_on_their_joints(tmp_path: Path) -> None:
    estimate = read(phalp.write(tmp_path / "x.pkl"))
    assert estimate.source.joints is not None
    apart = (estimate.joints[:, :22] - estimate.source.joints[:, :22]).norm(dim=2)
    assert float(apart.mean()) < 0.03
    assert not any("times as large" in note for note in estimate.notes)
    vertices = estimate.vertices
    rest = replace(estimate.bodies, pose=torch.eye(3).expand_as(estimate.bodies.pose))
    tall = pose_body(estimate.body, rest).vertices[..., 1]
    height = tall.amax(1) - tall.amin(1)
    assert vertices.isfinite().all() and float(height.min()) > 1.5 and float(height.max()) < 2.0


def test_phalps_joints_in_smpls_own_order_are_known_for_that(tmp_path: Path) -> None:
    content = phalp.frames(2)
    for lists in content.values():
        for place in range(len(lists["tid"])):
            pose = lists["smpl"][place]
            local = np.concatenate((pose["global_orient"], pose["body_pose"]))
            from scipy.spatial.transform import Rotation

            joints, _ = skeleton(Rotation.from_matrix(local).as_rotvec()[None])
            listed = np.concatenate((joints[0], np.repeat(joints[0, :1], 20, 0), np.zeros((1, 3))))
            seen = listed + lists["camera"][place]
            lists["3d_joints"][place] = listed.astype(np.float32)
            lists["2d_joints"][place] = (5000 / 256 * seen[:, :2] / seen[:, 2:] + 0.5).reshape(-1).astype(np.float32)
    joblib_layout.dump(content, tmp_path / "x.pkl", 3)
    source = read(tmp_path / "x.pkl").source
    assert any("another order, SMPL:" in doubt for doubt in source.doubts)
    assert source.joints is not None and source.joint_names[:24] == SMPL24


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
