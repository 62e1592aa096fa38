"""Finds a licensed model file on this machine; nothing is downloaded.

    roots    the folder given, else each of $REFINE_BODY_MODELS, ~/.refine/body_models, ./body_models
    folders  root/<family>, root/<family>_*, root/models/<family>, root
    files    SMPLX_NEUTRAL.npz, .pkl, and the names the families' own pages and AMASS use, in letters of any case

Source: folder layout of the package smplx (`models/smplx/SMPLX_NEUTRAL.npz`) and of AMASS (`smplh/male/model.npz`).
"""

import os
import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from refine.body.official_body import Layout
from refine.errors import InputError

ENVIRONMENT = "REFINE_BODY_MODELS"
"""One folder or several, separated as in PATH."""

GENDERS = {"neutral": "neutral", "female": "f", "male": "m"}
"""Letter in SMPL's own file names by gender."""

SUFFIXES = (".npz", ".pkl")
"""In order of preference: an .npz holds plain arrays."""


def search_roots() -> list[Path]:
    """Return the folders that are searched when none is given, best first, whether they exist or not."""
    named = [Path(folder).expanduser() for folder in os.environ.get(ENVIRONMENT, "").split(os.pathsep) if folder]
    return [*named, Path.home() / ".refine" / "body_models", Path("body_models")]


def gender_in_name(path: Path) -> str | None:
    """Return the gender in a file's name (for AMASS's `male/model.npz` in its folder's), None where there is none.

    Args:
        path: The file.
    """
    name = path.parent.name if path.stem.lower() == "model" else path.stem
    parts = re.split(r"[^a-z]+", name.lower())
    return next((gender for gender, letter in GENDERS.items() if gender in parts or letter in parts), None)


def _folders(root: Path, model: str) -> list[Path]:
    """Return the folders of a root that may contain the family's files."""
    if not root.is_dir():
        return []
    children = sorted(child for child in root.iterdir() if child.is_dir())
    own = [child for child in children if child.name.lower() == model]
    near = [child for child in children if child.name.lower().startswith(f"{model}_")]
    return [folder for folder in (*own, *near, root / "models" / model, root) if folder.is_dir()]


def _files(folder: Path, layout: Layout, gender: str) -> list[Path]:
    """Return a folder's files with the family's name for a gender, best first."""
    found = []
    for name in layout.file_names:
        name = name.format(GENDER=gender, small=gender, letter=GENDERS[gender]).lower()
        inside, _, stem = name.rpartition("/")
        if inside and not folder.name.lower().startswith(layout.model):
            continue  # the family of `male/model.npz` is the name of its folder's folder
        place = folder / inside
        here = sorted(place.iterdir()) if place.is_dir() else []
        for suffix in SUFFIXES:
            found += [file for file in here if file.is_file() and fnmatchcase(file.name.lower(), stem + suffix)]
    return found


def find_model(layout: Layout, gender: str = "neutral", roots: Sequence[Path] | None = None) -> Path:
    """Find a family's model file.

    Args:
        layout: The family.
        gender: "neutral", "female" or "male".
        roots: Folders to search; None: `search_roots()`.

    Returns:
        The first file found.

    Raises:
        InputError: There is none; the message lists the folders searched, other genders found, and the page where to
            register.
    """
    if gender not in GENDERS:
        raise InputError("gender", "one of neutral, female, male", repr(gender))
    roots = search_roots() if roots is None else roots
    for root in roots:
        for folder in _folders(root, layout.model):
            for file in _files(folder, layout, gender):
                return file
    others = [
        other
        for other in GENDERS
        if any(_files(folder, layout, other) for root in roots for folder in _folders(root, layout.model))
    ]
    example = f"{layout.model}/{layout.file_names[0].format(GENDER=gender.upper())}.npz"
    raise InputError(
        f"{layout.title} model, {gender}",
        f"a file such as {example} (or .pkl) in one of {', '.join(str(root) for root in roots)}",
        f"only {' and '.join(others)}" if others else "none",
        f"Register at {layout.page}, download the model and put it there, set {ENVIRONMENT} to its folder, or give its "
        'path. The built-in body ("anny") needs no registration.',
    )
