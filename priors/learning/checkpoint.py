"""Checkpoints of a learning: what the rest needs, in one file that is there whole or not at all.

checkpoint = the options and the dealing of poses into folds it belongs to, what is done, what is under way
"""

import hashlib
import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from refine.errors import InputError
from refine.files.atomic import write_bytes
from refine.files.checkpoint import read_checkpoint


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A file that belongs to certain settings and a certain dealing of poses into folds.

    Attributes:
        path: The file.
        settings: A dataclass of numbers.
        folds: (N,) of every pose.
    """

    path: Path
    settings: Any
    folds: np.ndarray

    def save(self, content: Mapping[str, Any]) -> None:
        """Replace the file's content: tensors, numbers, text, lists and dictionaries of them."""
        buffer = io.BytesIO()
        torch.save({"belongs": self._belongs(), "content": dict(content)}, buffer)
        write_bytes(self.path, buffer.getvalue())

    def load(self) -> dict[str, Any]:
        """Return the file's content, empty where there is no file; only tensors and plain values are read from it.

        Raises:
            InputError: It is damaged, or belongs to other settings or poses.
        """
        if not self.path.is_file():
            return {}
        advice = "Give the options the learning was started with, remove the folder, or name another --out."
        try:
            stored = read_checkpoint(self.path)
            belongs, content = stored["belongs"], stored["content"]
        except (InputError, TypeError, KeyError) as error:
            raise InputError(str(self.path), "a checkpoint of a learning", "a damaged file", advice) from error
        if belongs != self._belongs():
            wanted = f"a checkpoint of {self.settings} with these {len(self.folds)} poses"
            raise InputError(str(self.path), wanted, f"one of {belongs['settings']}", advice)
        return content

    def _belongs(self) -> dict[str, Any]:
        digest = hashlib.sha256(self.folds.astype(np.int64).tobytes()).hexdigest()
        return {"settings": asdict(self.settings), "folds": digest}
