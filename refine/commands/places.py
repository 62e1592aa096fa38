"""Looks at the places a command is to write to, before the work and not after it."""

import os
from pathlib import Path

from refine.errors import InputError


def make_folder_of(file: Path) -> None:
    """Make the folder of a file that is to be written.

    Raises:
        InputError: It cannot be made, or the file's name is a folder's.
    """
    if file.is_dir():
        raise InputError("--out", "the name of a file", f"{file}, which is a folder", "Name a file in it.")
    check_folder(file.absolute().parent)
    file.absolute().parent.mkdir(parents=True, exist_ok=True)


def check_folder(out: Path) -> None:
    """Look whether the folder for the results can be made.

    Raises:
        InputError: It cannot.
    """
    there = next(place for place in (out.absolute(), *out.absolute().parents) if place.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        got = "a file" if not there.is_dir() else "a folder that cannot be written to"
        raise InputError("--out", "a folder, or a place to make one", f"{out}: {there} is {got}")
