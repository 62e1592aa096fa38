"""BVH and AMASS files: another library, and SMPL's own arithmetic, find the joints where they were."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pybvh
import pytest
import torch

import refine
from refine.body import SkinnedBody, pose_body
from refine.errors import InputError
from refine.estimate.pelvis import REST_PELVIS_M
from refine.export.amass import write_amass
from refine.export.bvh import UP, evenly, frames_a_second, write_bvh
from refine.export.figure import Figure, figures
from refine.geometry import rotation
from refine.state import Bodies, Tracks
from tests.people import Case, case

TENTH_MM = 1e-4
FRAMES, FPS = 20, 25.0


@pytest.fixture(scope="module")
def people(builtin_body: SkinnedBody) -> Case:
    return case(builtin_body, count=2, name="coco17")


def moving(bodies: Bodies) -> Bodies:
    """One person who turns wholly round once, all joints moving."""
    draw = torch.Generator().manual_seed(3)
    axis = 0.8 * torch.randn(1, bodies.pose.shape[1], 3, generator=draw)
    axis[:, 0] = torch.tensor([0.0, 1.0, 0.0])
    phase = torch.linspace(0, 1, FRAMES)[:, None, None]
    many = bodies[torch.zeros(FRAMES, dtype=torch.long)]
    turn = torch.where(torch.arange(axis.shape[1])[:, None] == 0, 2 * torch.pi * phase, torch.sin(4 * phase))
    walk = torch.linspace(0, 1, FRAMES)[:, None] * torch.tensor([1.0, 0.1, -0.5])
    return replace(many, pose=many.pose @ rotation.exp(turn * axis), translation=many.translation + walk)


@pytest.fixture(scope="module")
def figure(people: Case) -> Figure:
    tracks = Tracks(torch.zeros(FRAMES, dtype=torch.long), torch.arange(FRAMES, dtype=torch.float64) / FPS)
    return figures(people.estimate.body, moving(people.true.bodies), tracks)[0]


def joints_of(people: Case, figure: Figure, up: str) -> np.ndarray:
    """The joints (T, J, 3), m, in the document's axes."""
    return placed(figure, figure.pose.double(), figure.root.double()).numpy() @ UP[up].T


def placed(figure: Figure, pose: torch.Tensor, root: torch.Tensor) -> torch.Tensor:
    """The joints (T, J, 3) of a figure's skeleton in another pose."""
    skeleton = replace(figure.skeleton, joint=figure.skeleton.joint.double())
    motion = skeleton.motion(pose, root)
    return (motion[..., :3] @ skeleton.joint[:, :, None])[..., 0] + motion[..., 3]


@pytest.mark.parametrize(("unit", "up"), [("cm", "y"), ("m", "y"), ("cm", "z"), ("m", "z")])
def test_another_library_finds_the_joints_of_a_bvh_where_they_were(
    people: Case, figure: Figure, unit: str, up: str, tmp_path: Path
) -> None:
    body = people.estimate.body
    write_bvh(tmp_path / "clip.bvh", body, figure, unit=unit, up=up)
    read = pybvh.read_bvh_file(str(tmp_path / "clip.bvh"))
    names = [node.name for node in read.nodes]
    found = np.asarray(read.node_positions()) / (100.0 if unit == "cm" else 1.0)
    order = [names.index(name) for name in body.joint_names]
    assert np.abs(found[:, order] - joints_of(people, figure, up)).max() < TENTH_MM
    assert read.frame_time == pytest.approx(1 / FPS)


def test_the_rest_of_a_bvh_is_a_true_t_pose(people: Case, figure: Figure, tmp_path: Path) -> None:
    """Arms straight out within three degrees, y up, the person's left on +x."""
    write_bvh(tmp_path / "clip.bvh", people.estimate.body, figure, unit="m")
    words = (tmp_path / "clip.bvh").read_text().split()
    offset = {}
    for place, word in enumerate(words):
        if word in ("JOINT", "ROOT"):
            offset[words[place + 1]] = np.array([float(each) for each in words[place + 4 : place + 7]])
    for name in ("left_elbow", "left_wrist"):
        straight = offset[name] / np.linalg.norm(offset[name])
        assert straight[0] > np.cos(np.deg2rad(7))
        assert (offset[name.replace("left", "right")] * (-1, 1, 1) - offset[name] < 0.02).all()
    assert offset["spine1"][1] > 0 and offset["left_knee"][1] < 0


def test_turns_do_not_jump_from_frame_to_frame(people: Case, figure: Figure, tmp_path: Path) -> None:
    """Also of somebody who turns wholly round: 20 frames of 19 degrees, and limbs that bend by less."""
    write_bvh(tmp_path / "clip.bvh", people.estimate.body, figure)
    text = (tmp_path / "clip.bvh").read_text().split("Frame Time:")[1].splitlines()[1:]
    values = np.array([[float(word) for word in row.split()] for row in text])[:, 3:]
    assert np.abs(np.diff(values, axis=0)).max() < 60


def test_uneven_times_are_interpolated_and_even_ones_are_kept(people: Case, figure: Figure) -> None:
    turn, root = evenly(figure, FPS)
    assert np.abs(turn - figure.pose.numpy()).max() < 1e-6 and len(root) == FRAMES
    kept = torch.tensor([each for each in range(FRAMES) if each not in (5, 6, 11)])
    gaps = replace(
        figure, rows=kept, pose=figure.pose[kept], root=figure.root[kept], time_s=figure.time_s[kept],
        loss_m=figure.loss_m[kept],
    )  # fmt: skip
    turn, root = evenly(gaps, FPS)
    assert len(turn) == FRAMES
    assert np.abs(turn[kept.numpy()] - gaps.pose.numpy()).max() < 1e-5
    assert np.abs(root - figure.root.numpy()).max() < 0.02, "a walk at an even pace is found again"
    assert frames_a_second(gaps) < FPS


def test_a_still_is_one_frame(people: Case, tmp_path: Path) -> None:
    result = refine.fit(people.photos, people.estimate, keypoints=people.detections)
    result.write_bvh(tmp_path / "still.bvh", person=1)
    assert "Frames: 1\n" in (tmp_path / "still.bvh").read_text()
    with pytest.raises(InputError, match="person: expected one of 0, 1"):
        result.write_bvh(tmp_path / "nobody.bvh", person=2)
    for words, wrong in (("unit", {"unit": "mm"}), ("up", {"up": "x"})):
        with pytest.raises(InputError, match=words):
            result.write_bvh(tmp_path / "nobody.bvh", **wrong)  # type: ignore[arg-type]
    assert not (tmp_path / "nobody.bvh").exists()


def test_amass_numbers_put_smpls_joints_where_the_bodys_are(people: Case, figure: Figure, tmp_path: Path) -> None:
    """By SMPL's own arithmetic: the pelvis is at rest pelvis + trans, rotations run down the tree; z is up."""
    body = people.estimate.body
    write_amass(tmp_path / "clip.npz", body, figure)
    with np.load(tmp_path / "clip.npz") as file:
        stored = {name: file[name] for name in file.files}
    assert stored["poses"].shape == (FRAMES, 165) and stored["mocap_frame_rate"] == pytest.approx(FPS)
    assert stored["betas"].shape == (16,) and not stored["betas"].any() and str(stored["surface_model_type"]) == "smplx"
    turns = rotation.exp(torch.from_numpy(stored["poses"]).unflatten(1, (55, 3)))
    pelvis = torch.from_numpy(stored["trans"]) + torch.tensor(REST_PELVIS_M["smplx"], dtype=torch.float64)
    place = placed(figure, turns, pelvis)
    assert np.abs(place.numpy() - joints_of(people, figure, "z")).max() < TENTH_MM
    upright = place[:, body.joint_names.index("head"), 2] > place[:, body.joint_names.index("left_ankle"), 2]
    assert bool(upright.all())


def test_a_result_writes_what_its_bodies_are(people: Case, tmp_path: Path) -> None:
    result = refine.fit(people.photos, people.estimate, keypoints=people.detections)
    tracks = Tracks(torch.zeros(2, dtype=torch.long), torch.tensor([0.0, 0.5]))
    result.write_amass(tmp_path / "clip.npz", tracks=tracks)
    result.write_bvh(tmp_path / "clip.bvh", tracks=tracks, unit="m")
    with np.load(tmp_path / "clip.npz") as file:
        assert len(file["poses"]) == 2 and file["mocap_frame_rate"] == pytest.approx(2.0)
    read = pybvh.read_bvh_file(str(tmp_path / "clip.bvh"))
    names = [node.name for node in read.nodes]
    own = pose_body(result.body, result.bodies).joints[1].numpy() * (1, -1, -1)
    mean = np.asarray(read.node_positions())[1][[names.index(name) for name in result.body.joint_names]]
    assert np.abs(own[0] - mean[0]).max() < TENTH_MM, "the root is where it was, whatever the mean shape"
