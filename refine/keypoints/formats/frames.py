"""Several images in one file, each in a known layout: objects by image name, lists with a key for the frame.

    {"<image name or number>": content, ...}
    PoseFlow, AlphaPose's `open` and `cmu`, own scripts
    [{"frame": n, ...content}, ...], [{"frame": n, "landmarks": content}, ...]
    MediaPipe and others, one entry a frame
    {"frames": [...]}                                                     either of these

The key of a frame is one of `_images.FRAME_KEYS`; content that is null or empty is a photo in which nobody was found.
Points by number without more ({0: (17, 3), 1: ...}) may be people or frames, and are refused.

Pixels: those of the layout inside.

Source: MVIG-SJTU/AlphaPose@c60106d19a `alphapose/utils/pPose_nms.py` write_json,
`trackers/PoseFlow/poseflow_infer.py`; scripts have no source.
"""

from collections.abc import Sequence
from functools import lru_cache
from types import ModuleType

from refine.keypoints.detections import DetectedPeople
from refine.keypoints.formats import Wanted
from refine.keypoints.formats._images import FRAME_KEYS, Key, find_image, path_parts
from refine.keypoints.numbers import shape_of
from refine.keypoints.sets import people_of

ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")

LOOKED_AT = 8
"""How many entries are looked at to recognise the layout inside."""

NAMED = True
"""A photo is looked for by its name or number also where the content is about one image only."""


def recognises(content: object) -> bool:
    """Say whether it is entries by frame or image that another layout recognises one by one, and none as a whole."""
    pages = _pages(content)
    if not pages or _inside(content) is not None:
        return False
    shown = 0
    for _, entry in pages:
        inner = _without_key(entry)
        if _is_nobody(inner):
            continue
        if _inside(inner) is None:
            return False
        shown += 1
        if shown == LOOKED_AT:
            break
    return shown > 0


def images(content: object) -> int:
    """Return the number of entries."""
    return len(_pages(content) or [])


def read(content: object, wanted: Wanted) -> DetectedPeople:
    """Read the people of a photo.

    Returns:
        The people, as the layout inside gives them.

    Raises:
        InputError: The photo is not among the entries, or its content is broken.
    """
    pages = _pages(content) or []
    keys = [key for key, _ in pages]
    index, photos = wanted.place
    by_place = (
        photos == len(keys) > 1 and all(isinstance(key, int) for key in keys) and not isinstance(wanted.image, int)
    )
    chosen = keys[index] if by_place else find_image(keys, wanted)
    inner = _without_key(pages[keys.index(chosen)][1]) if chosen is not None else None
    module = _inside(inner)
    if module is None:
        return people_of([], "coco17", wanted.origin)
    return module.read(inner, Wanted(wanted.origin, None, wanted.size))


def _pages(content: object) -> list[tuple[Key, object]] | None:
    """Return the entries by key, None where this is something else."""
    if isinstance(content, dict) and isinstance(content.get("frames"), list | dict):
        content = content["frames"]
    if isinstance(content, dict):
        return _by_name(content)
    return (
        _by_key(content)
        if isinstance(content, list) and content and all(isinstance(e, dict) for e in content)
        else None
    )


def _by_name(content: dict[object, object]) -> list[tuple[Key, object]] | None:
    keys = list(content)
    if not keys or not all(_names_image(key) for key in keys):
        return None
    numbered = not any(str(key).lower().endswith(ENDINGS) for key in keys)
    if numbered and any(len(shape_of(value)) == 2 for value in list(content.values())[:LOOKED_AT]):
        return None  # a person or a frame each: nobody can tell
    return [(int(str(key)) if numbered else str(key), value) for key, value in content.items()]


@lru_cache(maxsize=1 << 16)
def _names_image(key: object) -> bool:
    if isinstance(key, int):
        return True
    return isinstance(key, str) and (key.isdigit() or key.lower().endswith(ENDINGS))


def _by_key(content: Sequence[dict[str, object]]) -> list[tuple[Key, object]] | None:
    frame = next((key for key in FRAME_KEYS if all(key in entry for entry in content)), None)
    if frame is None:
        return None
    pages: list[tuple[Key, object]] = []
    for entry in content:
        key = entry[frame]
        if isinstance(key, float) and key == int(key):
            key = int(key)
        if not isinstance(key, int | str) or (isinstance(key, str) and not path_parts(key)):
            return None
        pages.append((key, entry))
    return pages if len({key for key, _ in pages}) == len(pages) else None


def _without_key(entry: object) -> object:
    """Return an entry without its frame: the rest, or the one part of it that another layout recognises."""
    if not isinstance(entry, dict) or not set(FRAME_KEYS) & set(entry):
        return entry
    rest = {key: value for key, value in entry.items() if key not in FRAME_KEYS}
    if _inside(rest) is not None:
        return rest
    parts = [value for value in rest.values() if isinstance(value, list | dict) or value is None]
    known = [part for part in parts if not _is_nobody(part) and _inside(part) is not None]
    if len(known) == 1:
        return known[0]
    return [] if parts and all(_is_nobody(part) for part in parts) else rest


def _is_nobody(content: object) -> bool:
    return content is None or (isinstance(content, list | dict | tuple) and not content)


def _inside(content: object) -> ModuleType | None:
    """Return the other format that recognises content."""
    from refine.keypoints.formats.find import keypoint_formats

    if _is_nobody(content):
        return None
    others = (module for name, module in keypoint_formats().items() if name != "frames")
    return next((module for module in others if module.recognises(content)), None)
