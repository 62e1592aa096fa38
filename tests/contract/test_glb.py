"""People as glTF: read again by other programs, the vertices lie where the bodies' do."""

import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import refine
from refine.body import SkinnedBody, pose_body
from refine.errors import InputError
from refine.export.figure import INFLUENCES, figures
from refine.export.glb import write_glb
from refine.export.glb_person import whole_weights
from refine.geometry import rotation
from refine.result import Result
from refine.state import Bodies, Tracks
from tests.browser import drawn_vertices, validated
from tests.people import Case, case

STILL_M, MEGABYTE = 1e-3, 2**20
TURNED = torch.tensor([1.0, -1.0, -1.0])
"""From the camera's axes to the document's."""


@pytest.fixture(scope="module")
def people(builtin_body: SkinnedBody) -> Case:
    return case(builtin_body, count=2, name="coco17")


@pytest.fixture(scope="module")
def result(people: Case) -> Result:
    return refine.fit(people.photos, people.estimate, keypoints=people.detections)


@pytest.fixture(scope="module")
def stiff(builtin_body: SkinnedBody) -> SkinnedBody:
    """A body as others are: pose correctives, and eight joints that move every vertex."""
    draw = torch.Generator().manual_seed(0)
    count, joints = len(builtin_body.template), len(builtin_body.joint_names)
    basis = 1e-3 * torch.randn(count, 3, 9 * (joints - 1), generator=draw)
    values = builtin_body.weight_values + 0.02
    return replace(builtin_body, pose_basis=basis, weight_values=values / values.sum(1, keepdim=True))


def clip(bodies: Bodies, frames: int) -> tuple[Bodies, Tracks]:
    """One person who moves all joints to and fro, thirty frames a second."""
    phase = torch.linspace(0, 0.2 * frames, frames)[:, None, None]
    axis = torch.randn(1, bodies.pose.shape[1], 3, generator=torch.Generator().manual_seed(1))
    many = bodies[torch.zeros(frames, dtype=torch.long)]
    moved = replace(many, pose=many.pose @ rotation.exp(0.2 * torch.sin(phase) * axis))
    return moved, Tracks(torch.zeros(frames, dtype=torch.long), torch.arange(frames) / 30)


def test_the_validator_of_the_format_finds_nothing(result: Result, people: Case, tmp_path: Path) -> None:
    body, (moved, tracks) = people.estimate.body, clip(people.true.bodies, 5)
    named = {name: tmp_path / f"{name}.glb" for name in ("plain", "coloured", "textured", "clip")}
    result.write_glb(named["plain"], ground=True)
    result.write_glb(named["coloured"], colors=[body.vertex_colors] * 2)
    result.write_glb(named["textured"], texture=result.textures())
    write_glb(named["clip"], body, figures(body, moved, tracks), camera=people.true.camera[torch.zeros(5).long()])
    for path, said in validated(*named.values()).items():
        assert said["errors"] == said["warnings"] == 0, (path, said["messages"])


@pytest.mark.parametrize("textured", [False, True])
def test_a_browser_draws_stills_where_the_bodies_are(result: Result, textured: bool, tmp_path: Path) -> None:
    path = tmp_path / "people.glb"
    result.write_glb(path, texture=result.textures() if textured else None)
    drawn = drawn_vertices(path)
    assert list(drawn) == ["person_1", "person_2"]
    for row, points in enumerate(drawn.values()):
        true = (result.vertices[row] * TURNED).numpy()
        if textured:  # a vertex for each of its texture coordinates
            body = result.body
            pairs = torch.stack((body.faces, body.uv_faces), 2).flatten(0, 1).unique(dim=0)
            true = true[pairs[:, 0].numpy()]
        assert np.abs(points - true).max() < STILL_M


def test_a_browser_plays_a_clip_as_it_was(people: Case, tmp_path: Path) -> None:
    """At a frame's time; and the file says how far its mesh is off the bodies'."""
    body, (moved, tracks) = people.estimate.body, clip(people.true.bodies, 30)
    found = figures(body, moved, tracks)
    write_glb(tmp_path / "clip.glb", body, found)
    assert float(found[0].loss_m.max()) < 0.01
    for frame in (7, 22):
        points = drawn_vertices(tmp_path / "clip.glb", time_s=float(tracks.time_s[frame]))["person_1"]
        true = (pose_body(body, moved[[frame]]).vertices[0] * TURNED).numpy()
        assert np.abs(points - true).max() < float(found[0].loss_m[frame]) + 1e-4


def test_of_a_still_correctives_and_lost_influences_are_in_the_mesh(stiff: SkinnedBody, people: Case) -> None:
    for person in figures(stiff, people.true.bodies):
        assert float(person.loss_m.max()) < STILL_M
        plain = person.skeleton.skin(pose_body(stiff, stiff.rest_bodies(1)).vertices[0], person.pose, person.root)
        row = int(person.rows[0])
        far = (plain[0] - pose_body(stiff, people.true.bodies[[row]]).vertices[0]).norm(dim=1).max()
        assert far > 0.01, "without them it would be off"


def test_over_a_clip_the_mesh_is_the_best_there_is(stiff: SkinnedBody, people: Case) -> None:
    moved, tracks = clip(people.true.bodies, 12)
    found = figures(stiff, moved, tracks)[0]
    true = pose_body(stiff, moved).vertices

    def off(mesh: torch.Tensor) -> float:
        return float((found.skeleton.skin(mesh, found.pose, found.root) - true).square().sum())

    draw = torch.Generator().manual_seed(2)
    assert all(
        off(found.mesh) < off(found.mesh + 1e-3 * torch.randn(found.mesh.shape, generator=draw)) for _ in range(3)
    )
    wrong = (found.skeleton.skin(found.mesh, found.pose, found.root) - true).norm(dim=2).amax(1)
    assert torch.allclose(found.loss_m, wrong, atol=1e-6)


def test_three_hundred_frames_of_a_textured_person_fit_in_three_megabytes(people: Case, tmp_path: Path) -> None:
    body, (moved, tracks) = people.estimate.body, clip(people.true.bodies, 300)
    noise = np.random.default_rng(0).integers(0, 255, (512, 512, 3), dtype=np.uint8)
    write_glb(tmp_path / "long.glb", body, figures(body, moved, tracks), textures=[noise])
    assert (tmp_path / "long.glb").stat().st_size < 3 * MEGABYTE


def test_four_joints_at_most_move_a_vertex_and_their_weights_are_whole(stiff: SkinnedBody, people: Case) -> None:
    found = figures(stiff, people.true.bodies)[0].skeleton
    assert found.weight_values.shape[1] == INFLUENCES and bool((found.weight_values.sum(1) - 1).abs().max() < 1e-6)
    whole = whole_weights(found.weight_values.numpy())
    assert (whole.sum(1) == 65535).all() and (whole >= 0).all()


def test_the_first_camera_is_where_the_document_begins(people: Case, tmp_path: Path) -> None:
    """Bodies in a world come out as the same bodies in the camera's frame do."""
    turn = rotation.exp(torch.tensor([[0.2, 0.4, -0.1]]))[0]
    shift = torch.tensor([0.5, -0.3, 1.0])
    bodies, body = people.true.bodies, people.estimate.body
    joints = pose_body(body, bodies).joints
    pose = bodies.pose.clone()
    pose[:, 0] = turn.mT @ pose[:, 0]
    root = (joints[:, 0] - shift) @ turn
    placed = replace(bodies, pose=pose)
    placed = replace(placed, translation=placed.translation + root - pose_body(body, placed).joints[:, 0])
    motion = torch.cat((turn, shift[:, None]), 1).expand(2, 3, 4)
    seen = replace(people.true.camera, camera_from_world=motion)
    write_glb(tmp_path / "world.glb", body, figures(body, placed, camera=seen), camera=seen)
    for row, points in enumerate(drawn_vertices(tmp_path / "world.glb").values()):
        assert np.abs(points - (people.true.vertices[row] * TURNED).numpy()).max() < STILL_M


def test_people_are_tracked_by_their_labels_and_in_the_order_of_their_times(people: Case) -> None:
    bodies, tracks = (
        people.true.bodies[[0, 1, 0, 1, 0]],
        Tracks(torch.tensor([7, 3, 7, -1, -1]), torch.tensor([2.0, 1.0, 1.0, 0.0, 0.0])),
    )
    found = figures(people.estimate.body, bodies, tracks)
    assert [one.rows.tolist() for one in found] == [[2, 0], [1], [3], [4]]
    assert found[0].time_s.tolist() == [1.0, 2.0] and [one.name for one in found][-1] == "person_4"


def test_a_body_without_numbers_is_left_out(people: Case, tmp_path: Path) -> None:
    bodies = people.true.bodies
    pose = bodies.pose.clone()
    pose[0, 3] = torch.nan
    found = figures(people.estimate.body, replace(bodies, pose=pose))
    assert [one.name for one in found] == ["person_2"]


def test_what_cannot_be_drawn_is_refused_and_nothing_is_written(result: Result, people: Case, tmp_path: Path) -> None:
    body, path = people.estimate.body, tmp_path / "people.glb"
    maps, colours = [np.zeros((8, 8, 3), np.uint8)], [body.vertex_colors] * 2
    some = figures(body, people.true.bodies)
    for people_, others, words in (
        ((), {}, "nobody"),
        (some, {"textures": maps * 2, "colors": colours}, "both"),
        (some, {"textures": maps}, "2, one a person"),
        (some, {"colors": colours[:1]}, "2, one a person"),
        (some, {"colors": [body.vertex_colors[:-1]] * 2}, "colors"),
    ):
        with pytest.raises(InputError, match=words):
            write_glb(path, body, people_, **others)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="tracks"):
        result.write_glb(path, tracks=Tracks(torch.zeros(3, dtype=torch.long), torch.arange(3.0)))
    with pytest.raises(InputError, match="different times"):
        result.write_glb(path, tracks=Tracks(torch.zeros(2, dtype=torch.long), torch.zeros(2)))
    with pytest.raises(InputError, match="layout"):
        result.write_glb(path, texture=replace(result.textures(), layout="another"))
    assert not path.exists()


def test_the_file_is_a_binary_gltf_of_version_two(result: Result, tmp_path: Path) -> None:
    result.write_glb(tmp_path / "people.glb")
    data = (tmp_path / "people.glb").read_bytes()
    assert struct.unpack("<4sII", data[:12]) == (b"glTF", 2, len(data))
