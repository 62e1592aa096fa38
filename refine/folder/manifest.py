"""What a run has to do, written down: sorted inputs cut into chunks, and all that decides the bytes that come out."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from refine.errors import InputError
from refine.folder.outcome import json_text
from refine.folder.settings import CONTENT

VERSION = 1
NAMED = 3
"""Inputs that a message lists before it only counts."""


@dataclass(frozen=True)
class Item:
    """One result file, or some photos of a long track file."""

    result: str
    """Name below the results' root, parts joined by "/"."""
    size: int = 0
    """Bytes, with `modified_ns` the file's stamp: what `make` and `rsync` go by."""
    modified_ns: int = 0
    first: int = 0
    """First photo of the part."""
    last: int = -1
    """One behind the last photo of the part; -1: the file is taken as a whole."""
    clip: str = ""
    """The clip of which the file is one frame; its files are one chunk, solved as tracks. "": it is none."""

    @property
    def is_part(self) -> bool:
        """Whether it is a part of a file."""
        return self.last >= 0

    @property
    def label(self) -> str:
        """The name, with the photos of a part."""
        return f"{self.result}[{self.first}:{self.last}]" if self.is_part else self.result


@dataclass(frozen=True)
class Task:
    """One chunk: the unit that is done whole or not at all."""

    chunk: int
    items: tuple[Item, ...]

    @property
    def clip(self) -> bool:
        """Whether the items are the frames of one clip."""
        return bool(self.items) and bool(self.items[0].clip)


@dataclass(frozen=True)
class Manifest:
    """What a run does."""

    kind: str
    """"run" or "watch"."""
    described: Mapping[str, object]
    """Settings, refiner and versions (`settings.described`)."""
    items: tuple[Item, ...] = ()
    chunk_size: int = 1

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The chunks: so many items one after the other; a part of a track file, and the frames of a clip, are one."""
        chunks: list[list[Item]] = []
        for item in self.items:
            last = chunks[-1][-1] if chunks else item
            full = not chunks or len(chunks[-1]) >= self.chunk_size or item.is_part or last.is_part
            if item.clip != last.clip or (full and not (chunks and item.clip)):
                chunks.append([])
            chunks[-1].append(item)
        return tuple(Task(number, tuple(items)) for number, items in enumerate(chunks))

    def text(self) -> str:
        """Return the manifest as JSON, one line an item."""
        head = {"version": VERSION, "kind": self.kind, "chunk_size": self.chunk_size, **self.described}
        rows = ",\n  ".join(json_text(asdict(item)) for item in self.items)
        inside = json_text(head, indent=1)[:-2]
        return f'{inside},\n "items": [\n  {rows}\n ]\n}}\n'


def read_manifest(path: Path) -> Manifest:
    """Read a manifest.

    Raises:
        InputError: It is damaged, or of a later version.
    """
    advice = "Name another --out, or start anew with --no-resume."
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if int(data["version"]) > VERSION:
            raise InputError(str(path), f"a manifest of version {VERSION}", f"version {data['version']}", advice)
        items = tuple(Item(**item) for item in data["items"])
        described = {key: data[key] for key in ("settings", "refiner", "versions")}
        return Manifest(str(data["kind"]), described, items, int(data["chunk_size"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(str(path), "a manifest written by refine", str(error), advice) from error


def differences(old: Manifest, new: Manifest) -> list[str]:
    """Say in what two manifests differ, a sentence each; empty where they are the same."""
    found = [f"made by refine {old.kind}, now refine {new.kind}"] if old.kind != new.kind else []
    plain = json.loads(json.dumps(new.described))
    found += _differing(dict(old.described), plain)
    before, now = ({(item.result, item.first): item for item in one.items} for one in (old, new))
    changed = [name for name in before.keys() & now.keys() if before[name] != now[name]]
    for names, words in (
        (now.keys() - before.keys(), "new"),
        (before.keys() - now.keys(), "gone or left out"),
        (changed, "changed since"),
    ):
        if names:
            found.append(f"{len(names)} result(s) {words}: {listed(sorted(name for name, _ in names))}")
    return found


def stored_choices(manifest: Manifest) -> dict[str, int]:
    """Return the thread count and the chunk size that a manifest was made with."""
    stored = manifest.described.get("settings")
    choices = stored if isinstance(stored, dict) else {}
    return {name: int(choices[name]) for name in ("threads", "chunk_size") if name in choices}


def _differing(old: Mapping[str, object], new: Mapping[str, object], prefix: str = "") -> list[str]:
    found = []
    for key in sorted(old.keys() | new.keys()):
        one, other = old.get(key), new.get(key)
        if isinstance(one, dict) and isinstance(other, dict):
            found += _differing(one, other, f"{prefix}{key} ")
        elif key.endswith(CONTENT):  # absent: written before it was looked at, or told by the file's name
            if one and other and one != other:
                name = key.removesuffix(CONTENT)
                found.append(f"the content of {new.get(name)} (--{name.replace('_', '-')}) has changed since")
        elif one != other:
            found.append(f"{prefix}{key} was {_said(one)}, is {_said(other)}")
    return found


def _said(value: object) -> object:
    return "not given" if value is None else value


def listed(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are."""
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")
