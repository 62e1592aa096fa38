"""Looks at the places a command is to write to, before the work and not after it."""

import os
from pathlib import Path

from refine.errors import InputError


def check_folder(out: Path) -> None:
    """Look whether the folder for the results can be made.

    Raises:
        InputError: It cannot.
    """
    there = next(place for place in (out.absolute(), *out.absolute().parents) if place.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        got = "a file" if not there.is_dir() else "a folder that cannot be written to"
        raise InputError("--out", "a folder, or a place to make one", f"{out}: {there} is {got}")
