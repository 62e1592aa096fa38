"""Values of a dictionary that hold people image by image: as one array of all people, and back.

    [(p_1, ...), (p_2, ...)]  or  (p, ...) of one image  or  (I, p, ...)   <->   (B, ...)

Source: derived here; NLF returns such values.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from refine.files.same_kind import same_kind
from refine.formats._smpl_parts import kept


@dataclass(frozen=True, eq=False)
class ImageRows:
    """How a value of the dictionary is one array of all people.

    Attributes:
        counts: People in each image.
        listed: Whether values are lists of one array an image.
    """

    counts: tuple[int, ...]
    listed: bool

    @property
    def index(self) -> Tensor:
        """(B,) the image of each person."""
        return torch.repeat_interleave(torch.arange(len(self.counts)), torch.tensor(self.counts, dtype=torch.long))

    def joined(self, value: Any) -> np.ndarray:
        """Return (B, ...)."""
        if not self.listed:
            array = kept(value)
            return (
                array if len(self.counts) == 1 and len(array) == self.counts[0] else array.reshape(-1, *array.shape[2:])
            )
        parts = [kept(part) for part, count in zip(value, self.counts, strict=True) if count]
        return np.concatenate(parts)

    def put(self, stored: Any, fresh: np.ndarray) -> Any:
        """Return a value like the stored one with new rows (B, ...)."""
        if not self.listed:
            return same_kind(np.asarray(fresh).reshape(np.shape(kept(stored))), kept(stored))
        parts = np.split(fresh, np.cumsum(self.counts)[:-1])
        made = [
            same_kind(part.reshape(np.shape(kept(old))), kept(old)) for part, old in zip(parts, stored, strict=True)
        ]
        return type(stored)(made)
