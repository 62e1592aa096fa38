"""Samples as they travel between processes: photos and colours in bytes, lengths in half precision, in ordinary memory.

A worker makes samples where its device is, and hands on 31 bytes a pixel instead of 100. Photos are stored in bytes
everywhere else too.

    |byte - value| <= 1 / 510,     |half - value| <= value / 2048
"""

from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from displacement_net.training.shown import Crops, Shown
from refine import batch

BYTES = ("image", "texture", "confidence", "person")
"""What is stored in bytes: values 0..1."""
HALVES = ("normals", "depth", "colors", "offset")
"""What is stored in half precision."""
FARTHEST_PX = 60000.0
"""Offsets and depths beyond are cut: a half's range."""


@dataclass(frozen=True, eq=False)
class Samples:
    """B samples (`displacement_net.training.shown.Shown`), packed."""

    image: UInt8[Tensor, "B 3 S S"]
    normals: Float[Tensor, "B 3 S S"]
    depth: Float[Tensor, "B 1 S S"]
    colors: Float[Tensor, "B 3 S S"]
    texture: UInt8[Tensor, "B 3 S S"]
    confidence: UInt8[Tensor, "B 1 S S"]
    offset: Float[Tensor, "B S S 2"]
    foreground: Bool[Tensor, "B S S"]
    visible: Bool[Tensor, "B S S"]
    person: UInt8[Tensor, "B 4 S S"] | None

    def __len__(self) -> int:
        return len(self.image)

    def pin_memory(self) -> "Samples":
        """Return the samples in memory a GPU reads by itself."""
        return self._each(lambda part: part.pin_memory())

    def to(self, device: torch.device) -> "Samples":
        """Return the samples on a device."""
        return self._each(lambda part: part.to(device, non_blocking=True))

    def __getitem__(self, rows: Tensor | slice) -> "Samples":
        return batch.rows(self, rows)

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Samples":
        """Return the samples with every tensor changed."""
        return Samples(*(None if part is None else change(part) for part in _parts(self).values()))  # type: ignore[arg-type]


def pack(samples: Shown) -> Samples:
    """Return samples as they travel, in ordinary memory.

    Args:
        samples: B samples on any device.
    """
    parts: dict[str, Tensor | None] = {}
    for field in fields(Samples):
        part = getattr(samples, field.name)
        if part is None:
            told = None
        elif field.name in BYTES:
            told = (255 * part.clamp(0, 1)).round().to(torch.uint8)
        elif field.name in HALVES:
            told = part.clamp(-FARTHEST_PX, FARTHEST_PX).half()
        else:
            told = part
        parts[field.name] = None if told is None else told.cpu()
    return Samples(**parts)  # type: ignore[arg-type]


def unpack(samples: Samples) -> Crops:
    """Return samples in single precision, where they are."""
    parts: dict[str, Tensor | None] = {}
    for name, part in _parts(samples).items():
        if part is None:
            parts[name] = None
        elif name in BYTES:
            parts[name] = part.float() / 255
        else:
            parts[name] = part.float() if name in HALVES else part
    return Crops(**parts)  # type: ignore[arg-type]


def _parts(samples: Samples) -> dict[str, Tensor | None]:
    """Return the tensors by name."""
    return {field.name: getattr(samples, field.name) for field in fields(samples)}
