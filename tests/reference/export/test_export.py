"""Files that other programs open: whole or not at all, and right when they are read back."""

from pathlib import Path

import numpy as np
import pytest
import torch

from refine.errors import InputError
from refine.files.atomic import write_bytes
from refine.viz import write_image, write_obj, write_ply

HEIGHT, WIDTH = 480, 640


@pytest.fixture
def photo() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)


POINTS = torch.tensor([[[0.1, -0.2, 3.0], [0.4, 0.5, 3.1], [-0.6, 0.7, 3.2], [0.0, 0.0, 2.9]]]).repeat(
    2, 1, 1
) + torch.tensor([0.0, 1.0]).reshape(2, 1, 1)
FACES = torch.tensor([[0, 1, 2], [0, 2, 3]])
OPENGL = torch.tensor([1.0, -1.0, -1.0])


def read_obj(path: Path) -> dict[str, list[list[str]]]:
    rows: dict[str, list[list[str]]] = {}
    for line in path.read_text().splitlines():
        key, *words = line.split()
        rows.setdefault(key, []).append(words)
    return rows


def test_an_obj_holds_every_body_as_an_object(tmp_path: Path) -> None:
    write_obj(tmp_path / "two.obj", POINTS, FACES)
    rows = read_obj(tmp_path / "two.obj")
    assert rows["o"] == [["person_1"], ["person_2"]]
    assert torch.allclose(
        torch.tensor([[float(w) for w in row] for row in rows["v"]]), (POINTS * OPENGL).reshape(-1, 3), atol=1e-6
    )
    assert [[int(w) for w in row] for row in rows["f"]] == [[1, 2, 3], [1, 3, 4], [5, 6, 7], [5, 7, 8]]


def test_camera_axes_leave_the_vertices_as_they_are(tmp_path: Path) -> None:
    write_obj(tmp_path / "two.obj", POINTS, FACES, axes="camera")
    rows = read_obj(tmp_path / "two.obj")
    assert torch.allclose(
        torch.tensor([[float(w) for w in row] for row in rows["v"]]), POINTS.reshape(-1, 3), atol=1e-6
    )


def test_a_textured_obj_brings_its_material_and_picture(tmp_path: Path) -> None:
    import cv2

    uv = torch.tensor([[0.0, 0.0], [1.0, 0.25], [0.5, 1.0]])
    uv_faces = torch.tensor([[0, 1, 2], [2, 1, 0]])
    texture = np.zeros((4, 4, 3), np.uint8)
    texture[0, 0] = (255, 0, 0)
    write_obj(tmp_path / "a.obj", POINTS, FACES, uv=uv, uv_faces=uv_faces, texture=texture)
    rows = read_obj(tmp_path / "a.obj")
    assert [[float(w) for w in row] for row in rows["vt"]] == [[0.0, 1.0], [1.0, 0.75], [0.5, 0.0]]  # OBJ's v goes up
    assert rows["f"][2] == ["5/1", "6/2", "7/3"]
    assert rows["mtllib"] == [["a.mtl"]] and "map_Kd a.png" in (tmp_path / "a.mtl").read_text()
    assert cv2.imread(str(tmp_path / "a.png"))[0, 0].tolist() == [0, 0, 255]


def test_a_ply_holds_vertices_bodies_colours_and_triangles(tmp_path: Path) -> None:
    colors = torch.tensor([[0.0, 0.5, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    write_ply(tmp_path / "two.ply", POINTS, FACES, colors=colors)
    header, content = (tmp_path / "two.ply").read_bytes().split(b"end_header\n", 1)
    words = header.decode().split("\n")
    assert words[:2] == ["ply", "format binary_little_endian 1.0"]
    assert "element vertex 8" in words and "element face 4" in words
    vertex = np.frombuffer(content, [("xyz", "<f4", 3), ("body", "<i4"), ("rgb", "u1", 3)], 8)
    face = np.frombuffer(content, [("count", "u1"), ("corner", "<i4", 3)], offset=vertex.nbytes)
    assert np.allclose(vertex["xyz"], (POINTS * OPENGL).reshape(-1, 3).numpy())
    assert vertex["body"].tolist() == [0] * 4 + [1] * 4
    assert vertex["rgb"][4].tolist() == [0, 128, 255]
    assert (face["count"] == 3).all() and face["corner"].tolist() == [[0, 1, 2], [0, 2, 3], [4, 5, 6], [4, 6, 7]]


def test_a_picture_comes_back_as_it_was_written(tmp_path: Path, photo: np.ndarray) -> None:
    import cv2

    write_image(tmp_path / "a.png", photo)
    assert (cv2.imread(str(tmp_path / "a.png"))[..., ::-1] == photo).all()


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_bytes(tmp_path / "a.bin", b"old")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(InputError, match=r"disk full.*Nothing was written"):
        write_bytes(tmp_path / "a.bin", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]
    assert (tmp_path / "a.bin").read_bytes() == b"old"


def test_files_that_cannot_be_written_are_refused(tmp_path: Path, photo: np.ndarray) -> None:
    with pytest.raises(InputError, match="folder"):
        write_bytes(tmp_path / "absent" / "a.bin", b"")
    with pytest.raises(InputError, match=r"\.png"):
        write_image(tmp_path / "a.xyz", photo)
    with pytest.raises(InputError, match="axes"):
        write_ply(tmp_path / "a.ply", POINTS, FACES, axes="blender")
    with pytest.raises(InputError, match="uv_faces"):
        write_obj(tmp_path / "a.obj", POINTS, FACES, uv=torch.zeros(3, 2))
    with pytest.raises(InputError, match="uv_faces"):
        write_obj(tmp_path / "a.obj", POINTS, FACES, uv=torch.zeros(3, 2), uv_faces=FACES[:1])
    with pytest.raises(InputError, match="names"):
        write_obj(tmp_path / "a.obj", POINTS, FACES, names=["only one"])
    with pytest.raises(InputError, match="faces"):
        write_obj(tmp_path / "a.obj", POINTS, FACES + 9)
    assert list(tmp_path.iterdir()) == []
