"""Comparing nested plain data: keys in order, kinds of containers, shapes, dtypes and values."""

from typing import Any

import numpy as np


def assert_same(got: Any, wanted: Any, where: str = "content") -> None:
    """Fail unless two structures are the same in everything a reader of the file could notice."""
    if isinstance(wanted, dict):
        assert isinstance(got, dict), where
        assert list(got) == list(wanted), where
        for name in wanted:
            assert_same(got[name], wanted[name], f"{where}[{name!r}]")
    elif isinstance(wanted, list | tuple):
        assert type(got) is type(wanted) and len(got) == len(wanted), where
        for place, (one, other) in enumerate(zip(got, wanted, strict=True)):
            assert_same(one, other, f"{where}[{place}]")
    elif isinstance(wanted, np.ndarray | np.generic):
        assert isinstance(got, np.ndarray) == isinstance(wanted, np.ndarray), where
        assert got.dtype == wanted.dtype and got.shape == wanted.shape, f"{where}: {got.dtype} {got.shape}"
        if wanted.dtype == object:
            for place in np.ndindex(*wanted.shape):
                assert_same(got[place], wanted[place], f"{where}{list(place)}")
        else:
            assert np.asarray(got).tobytes() == np.asarray(wanted).tobytes(), where
    else:
        assert type(got) is type(wanted) and (got == wanted or (got != got and wanted != wanted)), f"{where}: {got!r}"
