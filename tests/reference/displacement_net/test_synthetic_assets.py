"""What synthetic people are made of: base mesh, pieces bound to it, light, camera, and absent or refused assets."""

import logging
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from displacement_net.training.assets import load_assets, read_garment
from displacement_net.training.camera_noise import jpeg, photographed
from displacement_net.training.lighting import read_places, shaded
from displacement_net.training.training_body import (
    load_training_body,
    posed_pieces,
    vertices_of,
)
from displacement_net.training.wardrobe import skin_piece
from refine.body import SkinnedBody, pose_body
from refine.body.build.bake import quantised, write
from refine.errors import InputError
from refine.evaluate import casting
from refine.evaluate.motion import shipped_recordings
from refine.evaluate.truth import body_normals
from refine.render import shade
from tests.base_mesh import stand_in


def test_vertices_by_one_product_are_those_of_the_posed_body(builtin_body: SkinnedBody) -> None:
    scene = casting.cast(builtin_body, shipped_recordings(), 3, np.random.default_rng(2))
    posed = pose_body(builtin_body, scene.bodies)
    assert torch.allclose(vertices_of(builtin_body, posed), posed.vertices, atol=1e-4)
    ours = body_normals(builtin_body)(posed.vertices)
    assert torch.allclose(ours, shade.vertex_normals(posed.vertices, builtin_body.faces), atol=1e-3)


def test_what_is_bound_to_a_vertex_follows_it(builtin_body: SkinnedBody) -> None:
    training = stand_in(builtin_body)
    piece = skin_piece(training, hidden=set())
    scene = casting.cast(builtin_body, shipped_recordings(), 2, np.random.default_rng(0))
    posed = pose_body(builtin_body, scene.bodies)
    vertices, normals = posed_pieces(piece, posed)
    near = torch.cdist(piece.template[::97], builtin_body.template).argmin(1)
    assert torch.allclose(vertices[:, ::97], posed.vertices[:, near], atol=1e-4)
    assert torch.allclose(normals.norm(dim=-1), torch.ones(normals.shape[:2]), atol=1e-4)
    up = posed_pieces(piece, posed, torch.full(vertices.shape[:2], 0.01))[0]
    assert torch.allclose((up - vertices).norm(dim=-1).median(), torch.tensor(0.01), atol=1e-3)


def test_a_uniform_panorama_lights_every_side_alike_and_a_lamp_one_side_more() -> None:
    even = np.ones((64, 128, 3), np.float32)
    lamp = even.copy()
    lamp[30:34, 62:66] = 3000.0  # straight ahead
    places = read_places((even, lamp))
    sides = torch.eye(3)[[0, 1, 2]].repeat(2, 1) * torch.tensor([1.0] * 3 + [-1.0] * 3)[:, None]
    grey = torch.full((6, 3), 0.5)

    def look(place: int) -> torch.Tensor:
        owner = torch.full((6,), place)
        return shaded(grey, sides, places.light, places.sun, places.towards, torch.ones(6), owner).mean(1)

    assert float(look(0).std()) < 0.01 * float(look(0).mean())
    assert int(look(1).argmax()) == 2 and torch.allclose(places.towards[1], torch.tensor([0.0, 0.0, 1.0]), atol=0.1)


@pytest.mark.parametrize("quality", [20, 60, 90])
def test_jpeg_is_that_of_opencv(quality: int) -> None:
    import cv2

    rng = np.random.default_rng(0)
    grey = cv2.GaussianBlur(rng.integers(0, 256, (64, 64)).astype(np.uint8), (5, 5), 2)
    stored = cv2.imdecode(cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_GRAYSCALE)
    picture = torch.from_numpy(grey).float()[None, None].expand(1, 3, -1, -1) / 255
    ours = 255 * jpeg(picture, torch.tensor([float(quality)]))[0, 1]
    assert float((ours - torch.from_numpy(stored).float()).abs().mean()) < 1.0  # one grey level


def test_a_camera_keeps_most_of_the_picture() -> None:
    line = torch.linspace(0.1, 0.9, 64)
    picture = line.expand(16, 3, 64, -1).contiguous()
    seen = photographed(picture, np.random.default_rng(0))
    assert seen.shape == picture.shape and bool(((seen >= 0) & (seen <= 1)).all())
    for each in seen:
        assert float(torch.corrcoef(torch.stack((each.mean(0).flatten(), picture[0, 0].flatten())))[0, 1]) > 0.8


def test_without_assets_people_are_procedural_and_a_line_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assets = load_assets(tmp_path / "nothing")
    assert "procedural" in caplog.text
    assert assets.skins and assets.panoramas and not assets.outfits


def test_an_incomplete_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "makehuman/clothes").mkdir(parents=True)
    with pytest.raises(InputError, match="hdri"):
        load_assets(tmp_path)


@pytest.mark.parametrize("text", ["", "obj_file a.obj\nverts 0\n1\n", "x_scale 1 2\n"])
def test_a_broken_garment_is_refused(tmp_path: Path, text: str) -> None:
    folder = tmp_path / "a"
    folder.mkdir()
    (folder / "a.mhclo").write_text(text)
    (folder / "a.obj").write_text("v 0 0 0\n")
    with pytest.raises(InputError, match="assets"):
        read_garment(folder)


def test_a_missing_or_foreign_base_mesh_is_refused(builtin_body: SkinnedBody, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"refine\.body\.build"):
        load_training_body(builtin_body, tmp_path / "none.safetensors")
    (tmp_path / "other").write_bytes(b"nothing")
    with pytest.raises(InputError, match="training body"):
        load_training_body(builtin_body, tmp_path / "other")


def stored_base_mesh(body: SkinnedBody, path: Path, wrong_m: float, wrong_basis_m: float = 0.0) -> Path:
    """A file as the build writes it, of the stand-in, whose vertices lie elsewhere by so much."""
    whole = stand_in(body)
    draw = torch.Generator().manual_seed(0)
    noise = 2 * torch.rand(whole.template.shape, generator=draw) - 1
    basis, scale = quantised(whole.shape_basis + wrong_basis_m * noise[..., None])
    values, joints = whole.weights.topk(8, 1)
    tensors = {
        "template": whole.template + wrong_m * noise, "shape_basis": basis, "shape_basis_scale": scale,
        "weight_joints": joints.to(torch.uint8), "weight_values": (values * 32767).round().to(torch.int16),
        "base_vertices": whole.base_vertices.to(torch.int16),
    }  # fmt: skip
    write(path, tensors, {"name": "stand-in"})
    return path


@pytest.mark.parametrize("wrong_m", [0.0, 2e-19, 1e-7])
def test_a_base_mesh_of_another_machine_is_taken_and_agrees_with_the_built_in_body_to_the_bit(
    builtin_body: SkinnedBody, tmp_path: Path, wrong_m: float
) -> None:
    loaded = load_training_body(builtin_body, stored_base_mesh(builtin_body, tmp_path / "mesh", wrong_m))
    assert torch.equal(loaded.template[loaded.base_vertices], builtin_body.template)
    assert torch.equal(loaded.shape_basis[loaded.base_vertices], builtin_body.shape_basis)


@pytest.mark.parametrize(("wrong_m", "wrong_basis_m", "what"), [(0.003, 0.0, "template"), (0.0, 0.003, "shape basis")])
def test_the_base_mesh_of_another_body_is_refused_and_the_advice_is_not_to_build_the_same_again(
    builtin_body: SkinnedBody, tmp_path: Path, wrong_m: float, wrong_basis_m: float, what: str
) -> None:
    path = stored_base_mesh(builtin_body, tmp_path / "mesh", wrong_m, wrong_basis_m)
    version = re.escape(builtin_body.provenance["anny_version"])
    with pytest.raises(InputError, match=rf"{what}.* m apart.*anny {version}"):
        load_training_body(builtin_body, path)
