"""3D joints and clouds from the files that people have, each written by the layout of its tool."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from refine.body import SkinnedBody
from refine.errors import InputError
from refine.files.ply import read_ply_points
from refine.inputs.points3d import Cloud, Poses, evidence_of, read_points3d
from refine.keypoints.joints3d import ORDERS, definition_sigma_m, point_set
from refine.solve.linearized import linearized
from refine.solve.normal_equations import costs
from refine.terms.alternatives import Alternatives
from refine.terms.joints3d import Joints3D
from refine.terms.point_cloud import PointCloud
from tests.people import Case, case

COUNT = 3
FAR = np.array([0.3, -0.2, 4.0])


@pytest.fixture(scope="module")
def people(builtin_body: SkinnedBody) -> Case:
    return case(builtin_body, count=COUNT, name="coco17", angle=0.2)


def joints(people: Case, order: str) -> np.ndarray:
    return people.true.posed.keypoints(point_set(people.true.body, order)).numpy().astype(np.float64)


def cost(people: Case, terms: tuple[object, ...]) -> torch.Tensor:
    from refine.state import Unknowns

    state = people.true.state
    return costs(linearized(people.true.body, state, terms, Unknowns((0,)))).sum(1)  # type: ignore[arg-type]


def test_every_order_names_joints_that_the_body_has_where_its_name_says(people: Case) -> None:
    for order in (*ORDERS, "coco17", "smpl24"):
        points = point_set(people.true.body, order)
        place = people.true.posed.keypoints(points)
        assert place.isfinite().all() and len(set(points.names)) == len(points.names)
        assert (definition_sigma_m(points.names) > 0).all()
        for left, right in points.pairs:
            apart = (place[:, left] - place[:, right]).norm(dim=-1)
            assert (apart > 0.02).all(), points.names[left]
    h36m = dict(zip(ORDERS["h36m17"], joints(people, "h36m17")[0], strict=True))
    body = people.true.body
    rest = body.rest_bodies()
    from refine.body import pose_body

    top = pose_body(body, rest).keypoints(point_set(body, "h36m17"))[0, ORDERS["h36m17"].index("head_top")]
    assert float(top[1]) > float(body.template[:, 1].amax()) - 1e-3 and abs(float(top[0])) < 0.03
    assert np.allclose(h36m["pelvis"], (h36m["left_hip"] + h36m["right_hip"]) / 2, atol=1e-5)


def test_videopose3d_and_motionbert_leave_place_and_size_open(people: Case, tmp_path: Path) -> None:
    place = joints(people, "h36m17")
    relative = place - place[:, :1]
    for name, array in (("videopose3d.npy", 0.9 * relative + FAR), ("X3D.npy", (0.55 * relative).astype(np.float32))):
        np.save(tmp_path / name, array)
        found = read_points3d(tmp_path / name)
        assert isinstance(found, Poses) and found.order == "h36m17" and found.scale
        terms = evidence_of(found, people.true)
        assert isinstance(terms[0], Joints3D) and terms[0].shift and terms[0].scale
        assert (cost(people, terms) < 1e-3).all()


def test_metrabs_is_metric_and_says_which_photo(people: Case, tmp_path: Path) -> None:
    for order, folder in (("mupots17", "mupots/TS1/img_{}.jpg"), ("metrabs17", "h36m/S9/frame_{}.jpg")):
        names = np.array([folder.format(n) for n in range(COUNT)])
        np.savez(tmp_path / "m.npz", image_path=names, coords3d_pred_world=1000 * joints(people, order) + 50)
        found = read_points3d(tmp_path / "m.npz")
        assert isinstance(found, Poses) and found.order == order and not found.scale
        assert found.images == tuple(names) and found.of([2]).images == (names[2],)
        assert (cost(people, evidence_of(found, people.true)) < 1e-3).all()
    with (tmp_path / "p.pkl").open("wb") as file:
        pickle.dump({"poses3d": 1000 * joints(people, "smpl24"), "boxes": np.zeros((COUNT, 5))}, file)
    found = read_points3d(tmp_path / "p.pkl")
    assert isinstance(found, Poses) and found.order == "smpl24" and np.ptp(found.joints[:, 0], axis=1).max() < 3


def test_several_readings_are_alternatives_and_a_missing_joint_is_silent(people: Case, tmp_path: Path) -> None:
    place = joints(people, "h36m17")
    both = np.stack((place, place * [1, 1, -1]), 1)
    both[0, :, 3] = np.nan
    (tmp_path / "r.json").write_text(json.dumps({"joints3d": both.tolist()}))
    found = read_points3d(tmp_path / "r.json")
    (term,) = evidence_of(found, people.true)
    assert isinstance(term, Alternatives) and len(term.readings) == 2
    reading = term.readings[0]
    assert isinstance(reading, Joints3D)
    assert (reading.sqrt_information[0, 3] == 0).all() and (reading.sqrt_information[1, 3] != 0).any()


def test_in_a_world_the_axes_are_still_the_cameras(people: Case, tmp_path: Path) -> None:
    from dataclasses import replace

    from refine.geometry import rotation
    from refine.geometry.camera import Camera

    turn = rotation.exp(torch.tensor([[0.2, 0.7, -0.1]])).expand(COUNT, 3, 3)
    world = torch.cat((turn, torch.tensor([[0.3], [0.1], [0.5]]).expand(COUNT, 3, 1)), 2)
    np.save(tmp_path / "v.npy", joints(people, "h36m17"))
    own: Camera = people.true.camera
    there = replace(people.true, state=replace(people.true.state, camera=replace(own, camera_from_world=world)))
    bodies = people.true.bodies
    pose = bodies.pose.clone()
    pose[:, 0] = turn.mT @ pose[:, 0]
    moved = replace(bodies, pose=pose)
    there = replace(there, state=replace(there.state, bodies=moved))
    (term,) = evidence_of(read_points3d(tmp_path / "v.npy"), there)
    from refine.state import Unknowns

    found = costs(linearized(there.body, there.state, (term,), Unknowns((0,)))).sum(1)
    assert (found < 1e-3).all()


PLY = "ply\nformat {}\nelement vertex {}\nproperty float x\nproperty float y\nproperty double z\n{}end_header\n"
NORMALS = "property float nx\nproperty float ny\nproperty float nz\n"


@pytest.mark.parametrize("kind", ["ascii 1.0", "binary_little_endian 1.0", "binary_big_endian 1.0"])
@pytest.mark.parametrize("normals", [False, True])
def test_a_ply_file_is_read_in_all_its_forms(kind: str, normals: bool, tmp_path: Path) -> None:
    points = np.random.default_rng(0).normal(size=(60, 6 if normals else 3)).astype(np.float32)
    head = PLY.format(kind, 60, NORMALS if normals else "").encode()
    if kind.startswith("ascii"):
        data = head + "\n".join(" ".join(map(repr, map(float, row))) for row in points).encode() + b"\n3 0 1 2\n"
    else:
        order = "<" if "little" in kind else ">"
        fields = [("x", order + "f4"), ("y", order + "f4"), ("z", order + "f8")]
        fields += [(name, order + "f4") for name in ("nx", "ny", "nz")] if normals else []
        table = np.zeros(60, np.dtype(fields))
        for place, (name, _) in enumerate(fields):
            table[name] = points[:, place]
        data = head + table.tobytes() + b"\x03\x00\x00"
    (tmp_path / "c.ply").write_bytes(data)
    found, way = read_ply_points(tmp_path / "c.ply")
    assert np.allclose(found, points[:, :3], atol=1e-6) and (way is None) is (not normals)
    if way is not None:
        assert np.allclose(way, points[:, 3:], atol=1e-6)
    (tmp_path / "c.ply").write_bytes(data[: len(head) + 40])
    with pytest.raises(InputError, match=r"truncated|other lines"):
        read_ply_points(tmp_path / "c.ply")


def test_clouds_of_every_file_are_one_term_around_each_body(people: Case, tmp_path: Path) -> None:
    cloud = people.true.vertices[1].numpy()
    np.save(tmp_path / "a.npy", np.concatenate((cloud, np.zeros_like(cloud)), 1))
    np.savez(tmp_path / "b.npz", points=cloud)
    for name in ("a.npy", "b.npz"):
        found = read_points3d(tmp_path / name)
        assert isinstance(found, Cloud) and (found.normals is not None) is (name == "a.npy")
    from refine.estimate import Estimate

    one: Estimate = people.true.rows([1])
    (term,) = evidence_of(read_points3d(tmp_path / "b.npz"), one)
    assert isinstance(term, PointCloud) and term.cloth is not None


@pytest.mark.usefixtures("unchecked")
def test_what_is_neither_joints_nor_cloud_is_refused(people: Case, tmp_path: Path) -> None:
    np.save(tmp_path / "odd.npy", np.zeros((4, 13, 3)))
    np.save(tmp_path / "flat.npy", np.zeros((4, 17, 2)))
    np.savez(tmp_path / "other.npz", nothing=np.zeros(3))
    np.save(tmp_path / "few.npy", np.zeros((2, 17, 3)))
    np.save(tmp_path / "object.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    (tmp_path / "no.ply").write_bytes(b"solid")
    (tmp_path / "faces.ply").write_bytes(b"ply\nformat ascii 1.0\nelement face 1\nend_header\n")
    (tmp_path / "list.ply").write_bytes(
        b"ply\nformat ascii 1.0\nelement vertex 1\nproperty list uchar int x\nend_header\n"
    )
    for name, message in (
        ("odd.npy", "Name their order"), ("flat.npy", "P, K, 3"), ("other.npz", "one of"), ("none.npy", "nothing at"),
        ("object.npy", "array of numbers"), ("no.ply", "a PLY file"), ("faces.ply", "vertices"),
        ("list.ply", "plain numbers"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=message):
            read_points3d(tmp_path / name)
    with pytest.raises(InputError, match="3 poses, one a body"):
        evidence_of(read_points3d(tmp_path / "few.npy"), people.true)
    np.save(tmp_path / "three.npy", np.zeros((3, 17, 3)))
    with pytest.raises(InputError, match="24 joints"):
        evidence_of(read_points3d(f"{tmp_path / 'three.npy'}=smpl24"), people.true)
    with pytest.raises(InputError, match="order: expected one of"):
        evidence_of(read_points3d(f"{tmp_path / 'three.npy'}=h36m18"), people.true)
    far = Cloud(people.true.vertices[0].numpy() + 9, None, "far")
    with pytest.raises(InputError, match="another frame"):
        evidence_of(far, people.true.rows([0]))
