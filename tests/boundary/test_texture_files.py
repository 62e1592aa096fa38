"""Saved textures come back as they were; what is none is refused."""

import io
import math
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from refine.body import SkinnedBody
from refine.errors import InputError
from refine.texture.atlas import Atlas, uv_atlas, uv_layout
from refine.texture.bake import bake
from refine.texture.file import load_texture, save_texture
from refine.texture.fill import (
    filled_by_part_means,
    filled_by_symmetry,
)
from refine.texture.texture import concatenate, render_texture, texture_of
from tests.textures import SIDE, patterned, turned_frames


def test_a_saved_texture_comes_back_as_it_was(builtin_body: SkinnedBody, atlas: Atlas, tmp_path: Path) -> None:
    baked = bake(turned_frames(builtin_body, patterned(atlas)), atlas)
    full = filled_by_symmetry(baked, atlas)
    files = save_texture(full, tmp_path / "someone.npz")
    assert sorted(tmp_path.iterdir()) == sorted(files)
    for name in ("someone.npz", "someone.png", "someone"):
        again = load_texture(tmp_path / name, builtin_body)
        for part in ("pixels", "confidence", "filled"):
            assert torch.equal(getattr(again, part), getattr(full, part))
        assert again.layout == full.layout
    picture = cv2.imread(str(files[1]))[..., ::-1].astype(np.float32) / 255
    assert np.abs(picture - full.pixels[0].numpy()).max() <= 0.5 / 255 + 1e-6


def test_a_texture_of_another_layout_is_refused(builtin_body: SkinnedBody, atlas: Atlas, tmp_path: Path) -> None:
    other = replace(builtin_body, uv=1 - builtin_body.uv)
    assert uv_layout(other) != uv_layout(builtin_body)
    assert uv_layout(builtin_body.to(dtype=torch.float64)) == uv_layout(builtin_body)
    worn = patterned(atlas)
    frames = turned_frames(builtin_body, worn)
    with pytest.raises(InputError, match="UV layout"):
        render_texture(frames.fragments, other, worn)
    save_texture(worn, tmp_path / "worn.npz")
    with pytest.raises(InputError, match="UV layout"):
        load_texture(tmp_path / "worn.npz", other)
    with pytest.raises(InputError, match="atlas"):
        filled_by_symmetry(worn, uv_atlas(other, (SIDE, SIDE)))
    with pytest.raises(InputError, match="atlas"):
        filled_by_part_means(worn, uv_atlas(builtin_body, (64, 64)))
    with pytest.raises(InputError, match=r"textures\[1\]"):
        concatenate([worn, replace(worn, layout="other")])
    bare = replace(builtin_body, uv=builtin_body.uv[:0], uv_faces=builtin_body.uv_faces[:0])
    with pytest.raises(InputError, match="texture coordinates"):
        uv_atlas(bare)


def test_files_that_are_no_textures_are_refused(
    builtin_body: SkinnedBody, atlas: Atlas, tmp_path: Path, unchecked: None
) -> None:
    with pytest.raises(InputError, match="path"):
        load_texture(tmp_path / "none.npz", builtin_body)
    (files, _) = save_texture(patterned(atlas), tmp_path / "worn")
    content = files.read_bytes()
    for broken in (b"", content[: len(content) // 2], b"no zip at all"):
        files.write_bytes(broken)
        with pytest.raises(InputError, match="texture npz"):
            load_texture(files, builtin_body)
    with np.load(io.BytesIO(content)) as stored:
        arrays = {name: stored[name] for name in stored.files}
    for changed, match in (
        ({"version": np.array(99)}, "version"),
        ({"pixels": arrays["pixels"] + 2}, "0..1"),
        ({"pixels": (255 * arrays["pixels"]).astype(np.uint8)}, "floating-point"),
        ({"pixels": arrays["pixels"] * np.nan}, "finite"),
        ({"confidence": arrays["confidence"][:-1]}, "shape"),
        ({"filled": arrays["filled"] + np.uint8(9)}, "marks"),
        ({"layout": arrays["pixels"]}, "layout"),
    ):
        np.savez(files, **{**arrays, **changed})
        with pytest.raises(InputError, match=match):
            load_texture(files, builtin_body)
    with pytest.raises(InputError, match="one map"):
        save_texture(patterned(atlas)[[0, 0]], tmp_path / "two")
    with pytest.raises(InputError, match="folder"):
        save_texture(patterned(atlas), tmp_path / "nowhere" / "worn")


def test_bad_frames_and_maps_are_refused(builtin_body: SkinnedBody, atlas: Atlas, unchecked: None) -> None:
    worn = patterned(atlas)
    frames = turned_frames(builtin_body, worn, (0.0, 1.0))
    with pytest.raises(InputError, match="at least one frame"):
        frames[:0]
    with pytest.raises(InputError, match=r"frames\.fragments"):
        replace(frames, pixels=frames.pixels[:, ::2])
    with pytest.raises(InputError, match=r"frames\.vertices"):
        replace(frames, vertices=frames.vertices[:1])
    with pytest.raises(InputError, match=r"frames\.trust"):
        replace(frames, trust=torch.ones(2, 4, 4))
    with pytest.raises(InputError, match=r"frames\.sigma_m"):
        replace(frames, sigma_m=torch.ones(2, 4))
    with pytest.raises(InputError, match=r"frames\.vertices"):
        bake(replace(frames, vertices=frames.vertices[:, :-1]), atlas)
    with pytest.raises(InputError, match=r"frames\.pixels"):
        bake(replace(frames, pixels=frames.pixels * math.nan), atlas)
    with pytest.raises(InputError, match=r"frames\.vertices"):
        bake(replace(frames, vertices=frames.vertices * math.nan), atlas)
    for person in ([0], [0, 2], [-1, 0]):
        with pytest.raises(InputError, match="person"):
            bake(frames, atlas, torch.tensor(person))
    for size in ((4, 64), (64, 9000)):
        with pytest.raises(InputError, match="size"):
            uv_atlas(builtin_body, size)
    with pytest.raises(InputError, match=r"texture\.confidence"):
        replace(worn, confidence=worn.confidence[:, 1:])
    with pytest.raises(InputError, match=r"0\.\.1"):
        texture_of(builtin_body, torch.full((1, 8, 8, 3), 255.0))
    with pytest.raises(InputError, match="at least one texture"):
        concatenate([])
