"""Writes the built-in body's file: quantised tensors, vertices within 0.1 mm, and metadata.

    shape_basis = scale_s * integer / 32767      scale_s: largest value of component s; error below 3e-5 of it

`content_sha256` covers every tensor (name, type, shape, bytes, in order of name), to verify a file.

Source: the file format: huggingface.co/docs/safetensors.
"""

import hashlib
import json
import struct
from pathlib import Path

import torch
from torch import Tensor

from refine.files.atomic import write_bytes

LARGEST = 32767.0
"""Largest 16-bit integer."""
TYPE_NAMES = {torch.float32: "F32", torch.int32: "I32", torch.int16: "I16", torch.uint8: "U8", torch.float16: "F16"}
"""Safetensors' names of the types used."""


def quantised(basis: Tensor) -> tuple[Tensor, Tensor]:
    """Store a basis (..., S) as 16-bit integers and a scale (S,) per component."""
    scale = basis.flatten(0, -2).abs().amax(0).clamp_min(1e-12)
    return (basis / scale * LARGEST).round().to(torch.int16), (scale / LARGEST).float()


def indices(values: Tensor) -> Tensor:
    """Store indices in 8 or 16 bits where they fit."""
    highest = int(values.max())
    return values.to(torch.uint8 if highest < 256 else torch.int16 if highest <= LARGEST else torch.int32)


def content_sha256(tensors: dict[str, Tensor]) -> str:
    """Return the hash of all tensors."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def write(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write the file atomically, byte for byte the same for the same content.

    (`safetensors.torch.save_file` orders the metadata at random, so the layout is written here: eight bytes with the
    header's length, a JSON header padded to a multiple of eight, the tensors one after the other.)

    Args:
        path: The file.
        tensors: Tensors by name, of any shape.
        metadata: Texts by key; the content's hash is added.
    """
    header: dict[str, object] = {
        "__metadata__": dict(sorted({**metadata, "content_sha256": content_sha256(tensors)}.items()))
    }
    data = bytearray()
    for name in sorted(
        tensors, key=lambda name: (-tensors[name].element_size(), name)
    ):  # wide types first: all stay aligned
        block = tensors[name].contiguous().numpy().tobytes()
        header[name] = {
            "dtype": TYPE_NAMES[tensors[name].dtype],
            "shape": list(tensors[name].shape),
            "data_offsets": [len(data), len(data) + len(block)],
        }
        data += block
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    write_bytes(path, struct.pack("<Q", len(text)) + text + bytes(data))
