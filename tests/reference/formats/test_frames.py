"""NLF, HybrIK and SLAHMR: where their own formulas put people, in all containers, and what is refused."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from refine.errors import InputError
from refine.formats.find import read
from tests.layouts import hybrik, nlf, slahmr
from tests.regressor_files import HEIGHT, WIDTH

SIZES = torch.tensor([[float(HEIGHT), float(WIDTH)]])
MILLIMETRE_PX = 0.2
"""A float32 place of people at 4 m under these lenses, and the rest pelvis rounded to 0.1 mm."""


def test_slahmrs_people_are_seen_where_its_own_projection_puts_them(tmp_path: Path) -> None:
    content = slahmr.world(2)
    estimate = read(slahmr.write(tmp_path / "walk_000060_world_results.npz"))
    people, frames = np.nonzero(content["track_mask"])
    assert estimate.image_index.tolist() == frames.tolist()
    assert estimate.source.persons == tuple(map(str, people))
    pelvis = content["trans"][people, frames] + slahmr.REST_PELVIS
    turn, step = (content[name][people, frames] for name in ("cam_R", "cam_t"))
    seen = np.einsum("bij,bj->bi", turn, pelvis) + step
    fx, fy, cx, cy = content["intrins"]
    wanted = np.stack((fx * seen[:, 0] / seen[:, 2] + cx, fy * seen[:, 1] / seen[:, 2] + cy), 1)
    found = estimate.camera.project(estimate.joints[:, :1])[:, 0].numpy()
    assert np.abs(found - wanted).max() < MILLIMETRE_PX
    root = turn @ Rotation.from_rotvec(content["root_orient"][people, frames]).as_matrix()
    assert np.allclose(estimate.source.pose[:, 0].numpy(), root, atol=1e-5)
    assert estimate.camera.size[0].tolist() == [HEIGHT, WIDTH]


def test_slahmrs_earlier_stages_have_people_in_all_frames(tmp_path: Path) -> None:
    content: dict[str, Any] = {name: value for name, value in slahmr.world(1).items() if name != "track_mask"}
    np.savez(tmp_path / "a.npz", **content)
    assert len(read(tmp_path / "a.npz")) == slahmr.FRAMES
    each = content | {"intrins": np.tile(content["intrins"], (slahmr.FRAMES, 1))}
    np.savez(tmp_path / "b.npz", **each)
    assert torch.equal(read(tmp_path / "b.npz").camera.focal, read(tmp_path / "a.npz").camera.focal)


def test_slahmrs_motion_in_the_priors_frame_is_refused(tmp_path: Path) -> None:
    content: dict[str, Any] = {
        name: value for name, value in slahmr.world(1).items() if not name.startswith(("cam", "intrins"))
    }
    np.savez(tmp_path / "a.npz", **content)
    with pytest.raises(InputError):
        read(tmp_path / "a.npz", sizes=SIZES)


def test_hybriks_people_are_seen_where_its_own_lens_puts_them(tmp_path: Path) -> None:
    content = hybrik.arrays(3)
    estimate = read(hybrik.write(tmp_path / "res.pk", 3))
    box = content["bbox"]
    middle, width = (box[:, :2] + box[:, 2:]) / 2, box[:, 2] - box[:, 0]
    wanted = content["pred_uvd"][:, 0, :2] * width[:, None] + middle  # as its demo draws them
    found = estimate.camera.project(estimate.joints[:, :1])[:, 0].numpy()
    assert np.abs(found - wanted).max() < MILLIMETRE_PX
    assert estimate.image_index.tolist() == [0, 1, 2] and estimate.source.images[2].endswith("000003.png")
    assert not estimate.source.doubts
    assert estimate.source.joints is not None
    bones = (estimate.source.joints[:, 4] - estimate.source.joints[:, 1]).norm(dim=1)
    assert torch.allclose(bones, torch.full((3,), 0.392), atol=2e-3)  # metres: the box's side was told by the file


@pytest.mark.parametrize("side", [2.0, 2.2])
def test_the_side_of_hybriks_box_follows_from_the_file(side: float, tmp_path: Path) -> None:
    content = hybrik.arrays(2)
    scale = side / hybrik.SIDE
    for name in ("pred_xyz_24_struct", "pred_xyz_29", "pred_xyz_17"):
        content[name] = content[name] / np.float32(scale)
    content["pred_uvd"] = content["pred_uvd"] / np.array([1.0, 1.0, scale], np.float32)
    (tmp_path / "res.pk").write_bytes(pickle.dumps(content))
    joints = read(tmp_path / "res.pk").source.joints
    assert joints is not None
    assert torch.allclose((joints[:, 4] - joints[:, 1]).norm(dim=1), torch.full((2,), 0.392), atol=2e-3)


def test_hybriks_joints_that_contradict_its_rotations_are_set_aside(tmp_path: Path) -> None:
    content = hybrik.arrays(3)
    content["pred_xyz_24_struct"] = content["pred_xyz_24_struct"][:, ::-1].copy()
    (tmp_path / "res.pk").write_bytes(pickle.dumps(content))
    assert read(tmp_path / "res.pk").source.doubts


def test_quaternions_of_hybriks_first_versions_are_refused_by_name(tmp_path: Path) -> None:
    content = hybrik.arrays(2) | {"pred_thetas": np.ones((2, 96), np.float32)}
    (tmp_path / "res.pk").write_bytes(pickle.dumps(content))
    with pytest.raises(InputError, match="HybrIK"):
        read(tmp_path / "res.pk")


def as_arrays(content: dict[str, Any]) -> dict[str, Any]:
    """One image's people, without the list around them."""
    return {name: value[0].numpy() for name, value in content.items()}


def pelves(path: Path, **options: Any) -> torch.Tensor:
    return read(path, **options).joints[:, 0]


def test_nlfs_people_are_read_from_every_container(tmp_path: Path) -> None:
    estimate = read(nlf.write(tmp_path / "a.pt", 3))
    assert estimate.image_index.tolist() == [0, 0, 2]
    assert torch.allclose(estimate.camera.focal, torch.full((3, 2), float(nlf.FOCAL)), rtol=1e-4)
    assert estimate.camera.size[0].tolist() == [HEIGHT, WIDTH] and not estimate.source.doubts
    content = nlf.prediction(3)
    (tmp_path / "b.pkl").write_bytes(
        pickle.dumps({name: [one.numpy() for one in value] for name, value in content.items()})
    )
    assert torch.allclose(pelves(tmp_path / "b.pkl"), estimate.joints[:, 0])
    np.savez(tmp_path / "c.npz", **as_arrays(content))
    assert torch.allclose(pelves(tmp_path / "c.npz"), estimate.joints[:2, 0])
    torch.save({name: value[0][None] for name, value in content.items()}, tmp_path / "d.pt")  # an axis of images
    assert torch.allclose(pelves(tmp_path / "d.pt"), estimate.joints[:2, 0])
    torch.save({name: tuple(value) for name, value in content.items()}, tmp_path / "e.pt")
    assert torch.allclose(pelves(tmp_path / "e.pt"), estimate.joints[:, 0])


def test_nlfs_joints_say_the_place_and_the_unit(tmp_path: Path) -> None:
    content = as_arrays(nlf.prediction(3))
    np.savez(tmp_path / "a.npz", **content)
    np.savez(tmp_path / "b.npz", **(content | {"trans": 0 * content["trans"]}))  # 0.2.0 stored it without the place
    np.savez(tmp_path / "c.npz", **(content | {"joints3d": content["joints3d"] / 1000}))
    there = pelves(tmp_path / "a.npz")
    assert torch.allclose(pelves(tmp_path / "b.npz"), there) and torch.allclose(pelves(tmp_path / "c.npz"), there)
    np.savez(tmp_path / "d.npz", **(content | {"joints3d": 10 * content["joints3d"]}))
    with pytest.raises(InputError, match="mm or m"):
        read(tmp_path / "d.npz")


def test_nlf_without_pixels_needs_the_photos_size_and_says_what_lens_it_takes(tmp_path: Path) -> None:
    content = {name: value for name, value in as_arrays(nlf.prediction(2)).items() if name != "joints2d"}
    np.savez(tmp_path / "a.npz", **content)
    with pytest.raises(InputError, match="size"):
        read(tmp_path / "a.npz")
    estimate = read(tmp_path / "a.npz", sizes=SIZES)
    assert torch.allclose(estimate.camera.focal, torch.full((1, 2), float(nlf.FOCAL)), rtol=1e-4)
    assert "assumed" in estimate.source.focal_rule


def test_nlfs_joints_in_a_world_are_refused(tmp_path: Path) -> None:
    content = as_arrays(nlf.prediction(3))
    turn = Rotation.from_euler("y", 0.4).as_matrix()
    np.savez(tmp_path / "a.npz", **(content | {"joints3d": (content["joints3d"] @ turn.T).astype(np.float32)}))
    with pytest.raises(InputError, match="extrinsic_matrix"):
        read(tmp_path / "a.npz")


def test_nobody_in_nlfs_images_is_nobody(tmp_path: Path) -> None:
    nobody = {name: [value[1]] for name, value in nlf.prediction(2).items()}
    torch.save(nobody, tmp_path / "a.pt")
    assert len(read(tmp_path / "a.pt")) == 0
