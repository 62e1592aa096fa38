"""The result files of a run, sorted: one file, those below a folder, or those of a pattern."""

import glob
import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from refine.check import check_local
from refine.errors import InputError

SUFFIXES = (".npz", ".npy", ".pkl", ".pickle", ".pk", ".p", ".json", ".pt", ".pth", ".joblib", ".data")
"""What regressors' files are called; other files of a folder are left alone and counted."""

KEYPOINT_ENDINGS = ("_keypoints.json",)
"""OpenPose's files, which people keep beside the results."""


@dataclass(frozen=True)
class Results:
    """Result files below one root.

    Attributes:
        root: The folder their names are relative to.
        names: Their names, sorted, parts joined by "/".
        ignored: How many other files lay there.
    """

    root: Path
    names: tuple[str, ...]
    ignored: int = 0


def find_results(given: str | Path) -> Results:
    """List result files.

    Args:
        given: A file, a folder (searched with all its folders; hidden ones left out), or a pattern with `*`, `?` or
            `**`.

    Returns:
        The files; a file or pattern is taken at its word, whatever the files are called.

    Raises:
        InputError: There is no such file or folder, it cannot be read, or there is no result in it.
    """
    path = Path(given).expanduser()
    if path.is_file():
        return Results(path.parent.absolute(), (path.name,))
    if path.is_dir():
        every = files_below(path, "RESULTS")
        names = tuple(name for name in every if may_be_result(name))
        if not names:
            got = f"{len(every)} other file(s)" if every else "an empty folder"
            wanted = f"result files ({', '.join(SUFFIXES)}) in {path}"
            raise InputError("RESULTS", wanted, got, "Name the folder the regressor wrote to.")
        return Results(path.absolute(), names, len(every) - len(names))
    check_local("RESULTS", path)
    root, matches = match_pattern(path)
    if not matches:
        raise InputError("RESULTS", "a file, a folder or a pattern that fits files", str(given), "Check the path.")
    return Results(root, matches)


def files_below(folder: Path, name: str) -> tuple[str, ...]:
    """Return the names of all files below a folder, sorted, parts joined by "/"; hidden files and folders are left out.

    Raises:
        InputError: A folder cannot be read.
    """

    def refuse(error: OSError) -> None:
        got = f"{error.filename}: {error.strerror or error}"
        raise InputError(name, "a folder that can be read", got, "Change its permissions, or name another.")

    found = []
    for place, folders, files in os.walk(folder, onerror=refuse, followlinks=False):
        folders[:] = sorted(one for one in folders if not one.startswith("."))
        below = Path(place).relative_to(folder).as_posix()
        prefix = "" if below == "." else f"{below}/"
        found += [prefix + one for one in files if not one.startswith(".")]
    return tuple(sorted(found))


def match_pattern(pattern: Path) -> tuple[Path, tuple[str, ...]]:
    """Return the folder in front of a pattern's first wildcard, and the files that fit, relative to it."""
    parts = pattern.absolute().parts
    fixed = next((count for count, part in enumerate(parts) if glob.has_magic(part)), len(parts) - 1)
    root = Path(*parts[:fixed])
    rest = str(PurePosixPath(*parts[fixed:]))
    matches = glob.glob(rest, root_dir=root, recursive=True)
    return root, tuple(sorted(Path(one).as_posix() for one in matches if (root / one).is_file()))


def may_be_result(name: str) -> bool:
    """Say whether a file is called as regressors' files are."""
    return name.lower().endswith(SUFFIXES) and not name.lower().endswith(KEYPOINT_ENDINGS)
