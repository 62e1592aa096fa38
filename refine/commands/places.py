"""Looks at the places a command is to write to, before the work and not after it."""

import tempfile
from pathlib import Path

from refine.errors import InputError


def check_file(file: Path) -> None:
    """Look whether a file can be written.

    Raises:
        InputError: Its folder cannot be made or written to, or the file's name is a folder's.
    """
    if file.is_dir():
        raise InputError("--out", "the name of a file", f"{file}, which is a folder", "Name a file in it.")
    check_folder(file.absolute().parent)


def make_folder_of(file: Path) -> None:
    """Make the folder of a file that is to be written.

    Raises:
        InputError: It cannot be made, or the file's name is a folder's.
    """
    check_file(file)
    file.absolute().parent.mkdir(parents=True, exist_ok=True)


def check_folder(out: Path) -> None:
    """Look whether results can be written to a folder: make it, write a letter in it, and take both away again.

    Permissions alone do not tell: a file system may be read-only, full, or of a kind that takes no files.

    Raises:
        InputError: They cannot.
    """
    place = out.absolute()
    missing = [folder for folder in (place, *place.parents) if not folder.exists()]
    try:
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(b"x")
    except OSError as error:
        where = next((folder for folder in (place, *place.parents) if folder.exists()), place)
        got = "a file" if not where.is_dir() else f"a folder that cannot be written to ({error.strerror or error})"
        advice = "Name another, or make room there."
        raise InputError("--out", "a folder, or a place to make one", f"{out}: {where} is {got}", advice) from error
    finally:
        for folder in missing:
            try:
                folder.rmdir()
            except OSError:  # never made, or somebody else has put something there
                break
