"""What a file that no format recognises nearly is: its names, held against the names each format is recognised by.

    share(format) = |KEYS ∩ names| / |KEYS|,
    at least 0.7 and four names; most names · share, over the levels of the file (a frame, a person, a member)

A format offers its names as `KEYS`, or as the keys of `SHAPES`; one that has neither is not compared.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from refine.errors import InputError
from refine.files.npz import member_names, read_object
from refine.files.pickled import kind, read_json, read_pickled
from refine.keypoints.formats.find import content_of, recognised

ENOUGH = 0.7
"""Share of a format's names from which a file is said to look like it."""

TELLING = 4
"""Names that must be there: pose and betas alone are everybody's."""

DEPTH = 4
"""Levels that are looked at: GLAMR's people lie in the second, PromptHMR's cameras in the third."""

SHOWN = 8
"""Names listed of a file."""


def names_of(module: ModuleType) -> frozenset[str]:
    """Return the names a format is recognised by; empty where it does not say."""
    found = getattr(module, "KEYS", None) or getattr(module, "SHAPES", None) or ()
    return frozenset(str(name) for name in found)


def levels(path: Path) -> list[frozenset[str]]:
    """Return the names on each level of a file, the outermost first; empty where it has none or cannot be read.

    Args:
        path: The file.
    """
    what = kind(path)
    try:
        if what == "npz":
            members = member_names(path)
            inner = read_object(path, members[0]) if len(members) == 1 else None
            return [frozenset(members), *_names(inner, DEPTH)]
        content = read_json(path) if what == "json" else read_pickled(path) if what else None
    except InputError:
        return []
    return names_within(content)


def names_within(content: object) -> list[frozenset[str]]:
    """Return the names on each level of a content in memory, the outermost first; empty where it has none."""
    return list(_names(content, DEPTH))


def looks_like(known: Mapping[str, ModuleType], found: list[frozenset[str]]) -> str:
    """Say which format a file nearly is and what it lacks, in a sentence; empty where it is near none.

    Args:
        known: The formats.
        found: The file's names by level.
    """
    best: tuple[float, str, frozenset[str]] | None = None
    for name, module in known.items():
        wanted = names_of(module)
        for names in found:
            share = len(wanted & names) / len(wanted) if wanted else 0.0
            score = share * len(wanted & names)  # six names of seven tell more than two of two
            if (
                share >= ENOUGH
                and len(wanted & names) >= min(TELLING, len(wanted))
                and (best is None or score > best[0])
            ):
                best = (score, name, wanted - names)
    if best is None:
        return ""
    _, name, missing = best
    if missing:
        return f"It looks like {name}, but lacks {', '.join(sorted(missing))}."
    return (
        f"It has all the names of {name}, but not its layout: it was stored by another program or in another container."
    )


def what_it_is(path: Path) -> str:
    """Say in words what an unrecognised file is.

    Args:
        path: An existing file.
    """
    if not path.stat().st_size:
        return "an empty file"
    words = {
        "npz": "an npz file",
        "npy": "an npy file",
        "torch": "a torch file",
        "joblib": "a joblib file",
        "pickle": "a pickle",
        "json": "a JSON file",
    }
    found = kind(path)
    if not found:
        with path.open("rb") as file:
            zipped = file.read(4) == b"PK\x03\x04"
        return (
            "a truncated zip or npz file"
            if zipped
            else f"a {path.suffix or 'nameless'} file of {path.stat().st_size} bytes"
        )
    if found == "json" and (detector := _keypoints(path)):
        return f"2D keypoints ({detector}), which belong to `keypoints`"
    names = next((level for level in levels(path) if level), None)
    return words[found] + (f" with {', '.join(sorted(names)[:SHOWN])}" if names else _without_names(path, found))


def _without_names(path: Path, found: str) -> str:
    """Say what a file without names holds: an array's shape, or the kind of what was stored."""
    try:
        content = read_json(path) if found == "json" else read_pickled(path)
    except InputError as error:
        return f" that cannot be read: {error.got}"
    shape = getattr(content, "shape", None)
    return f" of one array, shape {tuple(shape)}" if shape is not None else f" of one {type(content).__name__}"


def _names(content: Any, depth: int) -> Iterator[frozenset[str]]:
    """Yield the names of a mapping and of the first mapping below each of its kind, breadth first."""
    below = [content]
    for _ in range(depth):
        here = [part for part in below if isinstance(part, Mapping)]
        for part in here:
            yield frozenset(str(name) for name in part)
        below = [item for part in below for item in _inside(part)]


def _inside(value: Any) -> list[Any]:
    """Return what stands for the content of a container: its mappings and lists, of many alike the first."""
    parts = (
        list(value.values())
        if isinstance(value, Mapping)
        else list(value[:1])
        if isinstance(value, list | tuple)
        else []
    )
    return [part for part in parts if isinstance(part, Mapping | list | tuple)][:SHOWN]


def _keypoints(path: Path) -> str:
    """Return the name of the detector's layout a JSON file is in, empty where it is none."""
    try:
        found = recognised(content_of(path))
    except InputError:
        return ""
    return "" if found is None else found.__name__.rsplit(".", 1)[-1]
