"""Refined values in the kind a format stored them in: tensor or array, shape and type of numbers."""

from typing import Any

import numpy as np

from refine.files.plain_data import TensorArray

__all__ = ["TensorArray", "same_kind"]


def same_kind(values: Any, stored: np.ndarray) -> np.ndarray:
    """Return new values in the shape, dtype and kind (tensor or array) of the stored ones."""
    fresh = np.asarray(values).astype(stored.dtype).reshape(stored.shape)
    return fresh.view(TensorArray) if isinstance(stored, TensorArray) else fresh
