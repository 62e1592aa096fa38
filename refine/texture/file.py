"""Reads and writes a person's texture: `NAME.npz`, and `NAME.png` with the same colours for other programs.

version, layout (fingerprint of the UV layout)
pixels (H, W, 3) 0..1   confidence (H, W) 0..1   filled (H, W) marks of `Fill`

Nothing is pickled. Files are written atomically.
"""

import io
import zipfile
from pathlib import Path

import numpy as np
import torch

from refine.body import SkinnedBody
from refine.errors import InputError
from refine.estimate import as_array
from refine.files.atomic import write_bytes
from refine.texture.texture import Texture, check_layout

VERSION = 1
KEYS = ("version", "layout", "pixels", "confidence", "filled")


def save_texture(texture: Texture, path: str | Path) -> tuple[Path, Path]:
    """Write one person's texture.

    Args:
        texture: One map; of several, `texture[b : b + 1]` is one.
        path: The file; its ending is replaced by .npz and .png.

    Returns:
        The two files.

    Raises:
        InputError: There is not exactly one map, a value is not in 0..1, or the folder does not exist.
    """
    import cv2

    if len(texture) != 1:
        raise InputError(
            "texture", "one map", f"{len(texture)}", "Save texture[b : b + 1] for each b under its own name."
        )
    texture.checked()
    arrays = {name: as_array(getattr(texture, name)[0]) for name in ("pixels", "confidence", "filled")}
    memory = io.BytesIO()
    stored = {"version": np.array(VERSION), "layout": np.array(texture.layout), **arrays}
    np.savez_compressed(memory, **stored)  # type: ignore[arg-type]
    picture = np.rint(255 * arrays["pixels"].astype(np.float64)).astype(np.uint8)
    coded, png = cv2.imencode(".png", np.ascontiguousarray(picture[..., ::-1]))
    assert coded  # an array of this type always can be
    files = Path(path).with_suffix(".npz"), Path(path).with_suffix(".png")
    write_bytes(files[0], memory.getvalue())
    write_bytes(files[1], png.tobytes())
    return files


def load_texture(path: str | Path, body: SkinnedBody) -> Texture:
    """Read a texture written by `save_texture`.

    Args:
        path: The npz file, or its picture.
        body: The model it is for.

    Returns:
        One map, on the body's device.

    Raises:
        InputError: The file is missing, broken, of another kind or of a later version, or was made for another UV
            layout.
    """
    path = Path(path).with_suffix(".npz")
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            arrays = {key: file[key] for key in KEYS}
        version, layout = int(arrays["version"]), str(arrays["layout"])
    except (OSError, ValueError, EOFError, KeyError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise InputError("path", "a texture npz written by refine", f"{path} ({error})") from error
    if version > VERSION:
        raise InputError("path", f"a texture of version {VERSION} or earlier", f"version {version}", "Update refine.")
    pixels, confidence, filled = arrays["pixels"], arrays["confidence"], arrays["filled"]
    kinds = [part.dtype.kind for part in (pixels, confidence)]
    if kinds != ["f", "f"] or filled.dtype != np.uint8:
        raise InputError(
            "path", "floating-point colours and 8-bit marks", f"{pixels.dtype} and {filled.dtype} in {path}"
        )
    maps = [torch.from_numpy(part)[None].to(body.uv.device) for part in (pixels, confidence, filled)]
    texture = Texture(maps[0], maps[1], maps[2], layout).checked()
    check_layout(texture, body)
    return texture
