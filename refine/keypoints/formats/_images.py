r"""Which of a file's images is a photo: by the tail of its path, by its file name, its stem, or the number in it.

    int             the image of that id or frame number; else the one whose name is that number ("12.jpg",
                    "000012.jpg")
    "a/b/c.jpg"     the images whose path has the longest common tail with it, of those with the same file name; else
                    the same stem
    "x_000012.jpg"  number 12, where the file's images are numbers throughout and no name did; each number once

Paths are taken apart at / and \\, so those of Windows and their drives are found on other systems, and the other way
round.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import PurePosixPath

from refine.errors import InputError
from refine.keypoints.formats import Wanted

SHOWN = 3
"""How many images' names a message lists."""

Key = str | int
"""An image's name, id or frame number."""

FRAME_KEYS = (
    "frame_id", "frame", "frame_idx", "frame_index", "frame_number", "frame_num", "image_id", "image", "image_name",
    "img_name", "imgname",
    "file_name", "filename", "image_path", "img_path", "path",
)  # fmt: skip
"""Names under which the frame or image of an entry stands."""

NUMBER = re.compile(r"(\d+)$")


def find_image(known: Sequence[Key], wanted: Wanted, names: Mapping[Key, str] | None = None) -> Key | None:
    """Return the key of the photo's image.

    Args:
        known: The images' keys: names, ids or frame numbers.
        wanted: The photo.
        names: File names by key, where ids and names are kept apart (COCO).

    Returns:
        The key; None where the images are a video's frames by number and the photo's is not among them: nobody was
        found in it.

    Raises:
        InputError: None of them is it, or several may be.
    """
    names = {key: key for key in known if isinstance(key, str)} if names is None else names
    found = _found(known, wanted, names)
    if len(found) == 1:
        return found[0]
    if not found and _in_a_gap(known, wanted, names):
        return None
    listed = [names.get(key) or str(key) for key in (found or known)]
    more = f" and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
    advice = "Name the image by its file name, id or frame number: refine.read_keypoints(FILE, image=...)."
    asked = "one image" if wanted.image is None else f"the image {wanted.image!r}"
    got = f"images {', '.join(listed[:SHOWN])}{more}" if listed else "no image"
    raise InputError(
        f"keypoints of {wanted.origin}", asked, f"{got}{' that may be it' if found and wanted.image else ''}", advice
    )


def in_order(entries: object) -> bool:
    """Say whether it is a list of objects that know each other only by their order: none says which frame it is."""
    if not isinstance(entries, list) or not entries:
        return False
    return not any(isinstance(entry, dict) and set(FRAME_KEYS) & set(entry) for entry in entries)


def nth_image(count: int, wanted: Wanted) -> int:
    """Return the photo's place among images that have no names, only an order.

    Args:
        count: How many there are.
        wanted: The photo: a frame number, or its place among as many photos.

    Raises:
        InputError: Its place is not known.
    """
    if count == 1:
        return 0
    if isinstance(wanted.image, int) and 0 <= wanted.image < count:
        return wanted.image
    index, photos = wanted.place
    if photos == count:
        return index
    asked = f"frame {wanted.image}" if isinstance(wanted.image, int) else f"frames of {photos} photo(s)"
    advice = "Name the frame by its place from 0 on: refine.read_keypoints(FILE, image=NUMBER)."
    raise InputError(f"keypoints of {wanted.origin}", asked, f"{count} frames without names", advice)


@lru_cache(maxsize=1 << 16)
def path_parts(path: str) -> tuple[str, ...]:
    """Return a path's folders and file name, whichever system's it is, without root and drive."""
    parts = re.split(r"[\\/]+", path)
    return tuple(part for part in parts if part not in ("", ".") and not part.endswith(":"))


def _found(known: Sequence[Key], wanted: Wanted, names: Mapping[Key, str]) -> list[Key]:
    if wanted.image is None:
        return list(known)
    if isinstance(wanted.image, int):
        by_id: list[Key] = [key for key in known if key == wanted.image]
        return by_id or [key for key, number in _numbers(known, names).items() if number == wanted.image]
    photo = path_parts(wanted.image)
    same = _by_path(photo, names)
    if same or not photo:
        return same
    own = [key for key in known if str(key) in (wanted.image, photo[-1], _stem(photo[-1]))]
    if own:
        return own
    number = NUMBER.search(_stem(photo[-1]))
    if number is None:
        return []
    ids: list[Key] = [key for key in known if isinstance(key, int) and key == int(number.group())]
    numbers = {} if ids else _numbers(known, names)
    by_number = ids or [key for key, one in numbers.items() if one == int(number.group())]
    return [] if by_number and _another_count(by_number[0], known, numbers, wanted) else by_number


def _by_path(photo: tuple[str, ...], names: Mapping[Key, str]) -> list[Key]:
    """Return the keys of the same file name that share the longest tail of the path; else those of its stem."""
    if not photo:
        return []
    parts = {key: path_parts(name) for key, name in names.items() if name}
    for last in (lambda part: part, lambda part: part.lower(), lambda part: _stem(part).lower()):
        alike = {key: path for key, path in parts.items() if path and last(path[-1]) == last(photo[-1])}
        if alike:
            tails = {key: _common_tail(path[:-1], photo[:-1]) for key, path in alike.items()}
            longest = max(tails.values())
            return [key for key, tail in tails.items() if tail == longest]
    return []


def _common_tail(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    """Return how many of the last folders of two paths are the same."""
    count = 0
    while count < min(len(one), len(other)) and one[-1 - count].lower() == other[-1 - count].lower():
        count += 1
    return count


def _numbers(known: Sequence[Key], names: Mapping[Key, str]) -> dict[Key, int]:
    """Return each image's number where all are numbered, alike and each once; else nothing."""
    return _numbers_of(tuple((key, names.get(key, "")) for key in known))


@lru_cache(maxsize=4)
def _numbers_of(named: tuple[tuple[Key, str], ...]) -> dict[Key, int]:
    """Return `_numbers` of keys with their names; every photo of a file asks for the same."""
    stems = {key: _stem((path_parts(name) or (str(key),))[-1]) for key, name in named}
    found = {key: NUMBER.search(stem) for key, stem in stems.items()}
    numbers = {key: int(match.group()) for key, match in found.items() if match is not None}
    before = {stems[key][: match.start()] for key, match in found.items() if match is not None}
    unique = len(set(numbers.values())) == len(numbers) == len(named)
    return numbers if unique and len(before) == 1 else {}


def _another_count(key: Key, known: Sequence[Key], numbers: Mapping[Key, int], wanted: Wanted) -> bool:
    """Say whether file and photos, being as many, begin with another number: each would get its neighbour's."""
    index, photos = wanted.place
    return bool(numbers) and photos == len(known) > 1 and sorted(numbers.values()).index(numbers[key]) != index


def _in_a_gap(known: Sequence[Key], wanted: Wanted, names: Mapping[Key, str]) -> bool:
    """Say whether the images are frames named by nothing but numbers, and the photo is another frame of that video."""
    if not all(isinstance(key, str) and _stem(path_parts(key)[-1]).isdigit() for key in known if path_parts(str(key))):
        return False
    numbers = _numbers(known, names).values()
    if not numbers or isinstance(wanted.image, int):
        return bool(numbers)
    parts = path_parts(wanted.image or "")
    match = NUMBER.search(_stem(parts[-1])) if parts else None
    return match is not None and min(numbers) < int(match.group()) < max(numbers) and int(match.group()) not in numbers


@lru_cache(maxsize=1 << 16)
def _stem(name: str) -> str:
    return PurePosixPath(name).stem
