"""Files of SMPL's parameters in any container and spelling: recognised, read by public names, written back.

Source: `_spelling` (names), `refine.files.pickled` (containers).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from refine.errors import InputError
from refine.files.json_head import begins_with
from refine.files.npz import member_names, read_arrays, read_object, write_arrays
from refine.files.pickled import (
    kind,
    read_json,
    read_pickled,
    write_joblib,
    write_json,
    write_object_npy,
    write_pickle,
    write_torch,
)
from refine.formats._spelling import FILE, WORLD, Piece, put_back, spelled

JSON_NAMES = ("body_pose", "pose_body", "poses", "pose", "thetas", "smpl_thetas")
"""One of these stands in the head of every JSON file of parameters."""

MOST_MEMBERS = 200
"""Arrays of an npz file that is looked into."""


def holds_parameters(path: Path) -> bool:
    """Say whether a file holds SMPL's parameters in some spelling; it may still be a file of another format."""
    what = kind(path)
    if what == "json" and not any(begins_with(path, mark, (name,)) for mark in ("{", "[") for name in JSON_NAMES):
        return False
    members = member_names(path)
    if {"global_orient", "body_pose"} <= set(members):
        return True  # whatever else is wrong with it, reading says
    if not what or len(members) > MOST_MEMBERS:
        return False
    try:
        return spelled(file_content(path)) is not None
    except InputError:
        return False


def read_named(path: Path) -> dict[str, Any]:
    """Read a file's arrays by their public names.

    What is needed to write them again stands under `FILE`, but for an npz that has these names.

    Raises:
        InputError: It cannot be read, or its people are in a world's frame.
    """
    if {"global_orient", "body_pose"} <= set(member_names(path)):
        arrays: dict[str, Any] = read_arrays(path)
        found = spelled(arrays)
        if found is None or all(piece.path == (piece.public,) for piece in found[1]):
            return arrays
    return named(file_content(path), str(path), path)


def named(content: object, where: str, path: Path | None = None) -> dict[str, Any]:
    """Return a content's arrays by their public names.

    Args:
        content: A dictionary, or a list of one a person.
        where: The file, for messages.
        path: The file, whose kind is remembered; None: it came from memory.

    Raises:
        InputError: Its people are in a world's frame.
    """
    refuse_world(where, content)
    found = spelled(content)
    if found is None:
        return {str(name): value for name, value in content.items()} if isinstance(content, Mapping) else {}
    arrays, pieces = found
    if path is None:
        return arrays
    what = kind(path)
    members = member_names(path) if what == "npz" else ()
    plain = isinstance(content, Mapping) and set(members) == set(content)
    rows = [[one.public, list(one.path), one.start, one.stop, one.width] for one in pieces]
    single = members[0] if members and not plain else ""
    return arrays | {FILE: {"content": content, "kind": what, "pieces": rows, "single": single}}


def write_named(
    path: Path,
    stored: Mapping[str, Any],
    fresh: Mapping[str, Any] | None,
    left_out: set[str],
    extra: Mapping[str, object],
) -> None:
    """Write a file as it was read, with refined parameters in their places.

    Args:
        path: Where to.
        stored: What `read_named` kept under `FILE`.
        fresh: Refined parameters by public name; None: nothing was refined.
        left_out: Names of what a refined file does not hold.
        extra: What stands beside (`_beside.beside`).
    """
    content = stored["content"]
    if fresh is not None:
        pieces = tuple(Piece(public, tuple(keys), *columns) for public, keys, *columns in stored["pieces"])
        content = put_back(content, pieces, fresh, left_out, extra)
    write_content(path, stored["kind"], content, stored["single"])


def file_content(path: Path) -> object:
    """Return what a file holds, of any container; an object member of an npz file alone is the content.

    Raises:
        InputError: It cannot be read.
    """
    what = kind(path)
    if what == "npz":
        members = {name: read_object(path, name) for name in member_names(path)}
        inner = next(iter(members.values())) if len(members) == 1 else None
        return inner if isinstance(inner, dict | list) else members
    return read_json(path) if what == "json" else read_pickled(path)


def write_content(path: Path, what: str, content: Any, single: str = "") -> None:
    """Write a content into a container of the kind it was read from.

    Args:
        path: Where to.
        what: The kind, as `files.pickled.kind` says it.
        content: What.
        single: Name of the one object member of an npz file; empty: it has plain ones.
    """
    writers: dict[str, Any] = {
        "torch": write_torch, "npy": write_object_npy, "json": write_json, "pickle": write_pickle,
        "joblib": lambda place, value: write_joblib(place, value, compress=0),
        "npz": lambda place, value: write_arrays(place, {single: value} if single else value),
    }  # fmt: skip
    writers[what](path, content)


def refuse_world(where: str, content: object) -> None:
    """Refuse GVHMR's copy for Blender, whose `smpl_params_incam` holds the world's numbers.

    Raises:
        InputError: It does.
    """
    if not isinstance(content, Mapping):
        return
    incam, world = content.get("smpl_params_incam"), content.get(WORLD)
    if not isinstance(incam, Mapping) or not isinstance(world, Mapping):
        return
    names = ("global_orient", "transl")
    if all(
        name in incam and name in world and np.array_equal(np.asarray(incam[name]), np.asarray(world[name]))
        for name in names
    ):
        raise InputError(
            f"{where}: smpl_params_incam", "the people in the camera's frame",
            "the same numbers as smpl_params_global, which are in a world with y up (a script for Blender stores them "
            "so)",
            "Give GVHMR's own hmr4d_results.pt, or store pred['smpl_params_incam'] of it under this name.",
        )  # fmt: skip
