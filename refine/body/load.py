"""Loads a body by name or path: the built-in one, an official SMPL-family file, or a third party's.

    "anny"                      the built-in body
    "smplx"                     an official file, found by `find_model`
    "…/SMPLX_FEMALE.npz"        that file; family and gender by its name, or the family by its number of joints
    "…/models/smplx"            a folder that holds one family's file

A family is a module of this folder with `load`, or a third party's in the entry point group `refine.body_models`. With
a `LAYOUT`, `load(path, *, gender, betas, expressions, flat_hand_mean, kid_template)` reads a model file; without one,
`load()` has its own data.
"""

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from refine.ambient import usual_torch
from refine.body.find_model import GENDERS, find_model, gender_in_name
from refine.body.official_body import Layout
from refine.body.official_file import read_official_file
from refine.body.skinned_body import SkinnedBody
from refine.discover import modules
from refine.errors import InputError


def families() -> Mapping[str, ModuleType]:
    """Return the modules that load body models, by name."""
    return modules("refine.body", "refine.body_models", having="load")


def _layouts() -> dict[str, Layout]:
    found = {name: getattr(module, "LAYOUT", None) for name, module in families().items()}
    return {name: layout for name, layout in found.items() if isinstance(layout, Layout)}


def _family_in(path: Path) -> str:
    """Return a file's family by its name, or else by its number of joints."""
    for name, layout in _layouts().items():
        if path.stem.lower().startswith(f"{layout.model}_"):
            return name
    kintree = read_official_file(path, ("kintree_table",)).take("kintree_table", 2, None)
    for name, layout in _layouts().items():
        if len(layout.joint_names) == kintree.shape[1]:
            return name
    known = ", ".join(f"{layout.title} ({len(layout.joint_names)} joints)" for layout in _layouts().values())
    raise InputError(path.name, f"a model file of {known}", f"one with {kintree.shape[1]} joints")


def _file_in(folder: Path, gender: str) -> tuple[str, Path]:
    """Return a folder's only family, and its file."""
    found, missing = {}, None
    for name, layout in _layouts().items():
        try:
            found[name] = find_model(layout, gender, [folder])
        except InputError as error:
            missing = error
    if missing and not found:
        pages = ", ".join(layout.page for layout in _layouts().values())
        expected = f"a {gender} model file such as SMPLX_{gender.upper()}.npz in {folder}"
        raise InputError("body model", expected, "none", f"Register and download at one of {pages}.")
    if len(found) > 1:
        names = ", ".join(path.name for path in found.values())
        raise InputError(
            "body model", "a folder with the files of one family", f"{folder} with {names}", "Give the file's path."
        )
    return next(iter(found.items()))


def _checked_gender(path: Path, gender: str) -> str:
    """Return the gender in a file's name; refuse another one from the caller."""
    stated = gender_in_name(path)
    if stated and gender not in ("neutral", stated):
        raise InputError(
            "gender",
            f"{stated!r}, as the file {path.name} is called",
            repr(gender),
            "Leave gender out, or give the other file.",
        )
    return stated or gender


@usual_torch()
def load_body(
    name_or_path: str | Path,
    *,
    gender: str = "neutral",
    betas: int | None = None,
    expressions: int | None = None,
    flat_hand_mean: bool = True,
    kid_template: str | Path | None = None,
) -> SkinnedBody:
    """Load a body model.

    Args:
        name_or_path: A family's name ("anny", "smpl", "smplh", "smplx"), a model file, or a folder that holds one.
        gender: "neutral", "female" or "male"; a file's own name overrides the default.
        betas: Number of shape coefficients, without age; None: all of the body's, 10 of an official file's.
        expressions: Number of expression coefficients; None likewise.
        flat_hand_mean: Whether a zero hand pose means a flat hand; False: the official file's mean hand.
        kid_template: SMPL+A's child template (.npy) for the family; adds the age as last shape coefficient, 0 adult to
            1 child.

    Returns:
        The body, float32 on the CPU (`.to(...)` moves it).

    Raises:
        InputError: There is no such body; a model file is missing (the message lists the folders searched and the page
            where to register), damaged, hostile, or holds fewer coefficients than asked for; an option the body does
            not have.
    """
    if gender not in GENDERS:
        raise InputError("gender", f"one of {', '.join(GENDERS)}", repr(gender))
    name, path = str(name_or_path), Path(name_or_path).expanduser()
    if name not in families():
        if path.is_dir():
            name, path = _file_in(path, gender)
        elif path.is_file():
            name = _family_in(path)
        else:
            known = ", ".join(families())
            raise InputError(
                "body model", f"one of {known}, or the path of a model file or its folder", repr(str(name_or_path))
            )
        gender = _checked_gender(path, gender)
    elif name in _layouts():
        path = find_model(_layouts()[name], gender)
    if name not in _layouts():
        if (
            gender != "neutral"
            or betas is not None
            or expressions is not None
            or kid_template is not None
            or not flat_hand_mean
        ):
            raise InputError(
                "body model",
                f"{name!r} without gender, betas, expressions, flat_hand_mean and kid_template",
                "one of them",
            )
        return _body(families()[name].load())
    kid = None if kid_template is None else Path(kid_template).expanduser()
    load = families()[name].load
    options = {
        "gender": gender,
        "betas": betas,
        "expressions": expressions,
        "flat_hand_mean": flat_hand_mean,
        "kid_template": kid,
    }
    return _body(load(path, **options))


def _body(loaded: object) -> SkinnedBody:
    """Return a third party's body; refuse anything else from its loader."""
    if not isinstance(loaded, SkinnedBody):
        raise InputError("body model", "a SkinnedBody from its loader", type(loaded).__name__)
    return loaded
