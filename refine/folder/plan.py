"""What there is to do: the results found, long track files cut into parts, all of it in a manifest."""

import os
from dataclasses import replace
from pathlib import Path, PurePosixPath

from refine.detectors.find import detector
from refine.errors import InputError
from refine.folder.batch import check_evidence
from refine.folder.bodies import BodyShelf
from refine.folder.frames import Opener
from refine.folder.locate import STAND_IN, Locator
from refine.folder.manifest import Item, Manifest, stored_choices
from refine.folder.photos import PhotoFile, Photos, find_photos, first_frame, frame_number
from refine.folder.results import Results, find_results
from refine.folder.settings import CHUNK_SIZE, Settings, described
from refine.folder.store import Store
from refine.formats.find import is_one_frame, is_over_time
from refine.geometry.intrinsics import check_intrinsics_file
from refine.inputs.estimates import camera_of
from refine.refiner import Refiner

PEEK_BYTES = 2**20
"""Files from this size on are read while planning, to see whether they hold the frames of a video."""


def check_settings(settings: Settings) -> None:
    """Refuse, before anything is read or written, what would fail for every result alike.

    Args:
        settings: The format, camera, detector and body model that were asked for.

    Raises:
        InputError: One of them is not known here, or its file is not there.
        MissingExtra: The detector is not installed.
    """
    from refine.formats.find import formats

    known = formats()
    if settings.format is not None and settings.format not in known:
        advice = "Leave it out to have each file recognised by its content."
        raise InputError("--format", f"one of {', '.join(known)}", repr(settings.format), advice)
    camera = settings.camera
    if camera is not None and Path(camera).suffix.lower() != ".json":
        camera_of(camera, (STAND_IN,))
    elif camera is not None and not Path(camera).is_file():
        raise InputError("--camera", "a focal rule or a K.json file", f"{camera}, which is no file", "Check the path.")
    elif camera is not None:
        check_intrinsics_file(camera, *_some_size(settings))
    if settings.detector is not None:
        _ = detector(settings.detector)
    if settings.body_model is not None:
        _ = BodyShelf(settings.body_model).given  # loads it


def _some_size(settings: Settings) -> list[tuple[int, int]]:
    """Return the (height, width) px of the first photo; none where it cannot be opened, told when its turn comes."""
    photos = find_photos(settings.images)
    try:
        return [Opener().open(PhotoFile(photos.root / name, name)).size for name in photos.images[:1]]
    except InputError:
        return []


def find_inputs(results: str | Path, out: Path, limit: int | None = None) -> Results:
    """List the results of a run.

    Args:
        results: File, folder or pattern.
        out: The output folder; results below it are those of earlier runs, and left out.
        limit: Most results, the first ones.

    Raises:
        InputError: There are none, or what comes out would overwrite what goes in.
    """
    found = find_results(results)
    if out.resolve() == found.root.resolve():
        advice = "Results are written under the same names: name another folder."
        raise InputError("--out", "another folder than that of the results", str(out), advice)
    names = found.names
    if out.resolve().is_relative_to(found.root.resolve()):
        below = out.resolve().relative_to(found.root.resolve()).as_posix() + "/"
        names = tuple(name for name in names if not name.startswith(below))
    if not names:
        raise InputError("RESULTS", "result files outside of --out", "none", "Name the folder the regressor wrote to.")
    return replace(found, names=names[:limit])


def settle(settings: Settings, found: Results, old: Manifest | None = None) -> Settings:
    """Return the settings with what was left open: by what an earlier run chose, and by what only the inputs tell.

    Args:
        settings: As asked for.
        found: The results: one alone belongs to the only photo, and their numbers tell which a video's first frame has.
        old: The manifest of an earlier run in the same folder, whose threads and chunk size are kept.

    Raises:
        InputError: The frame numbers may count from 0 or from 1.
    """
    photos = find_photos(settings.images)
    settings = replace(settings, only_result=len(found.names) == 1)
    known = {} if old is None else stored_choices(old)
    return settings.settled(**known, **_first_frame(settings, found, photos))


def _first_frame(settings: Settings, found: Results, photos: Photos) -> dict[str, int]:
    """Return the number of a video's first frame as results tell it; nothing without a video or where it was said."""
    if photos.video is None or settings.first_frame is not None:
        return {}
    names = _stored_images(settings, found.names[0]) if len(found.names) == 1 else found.names
    numbers = [number for number in map(frame_number, names) if number is not None]
    return {"first_frame": first_frame(numbers, len(photos.frames(photos.video)))}


def make_manifest(kind: str, settings: Settings, refiner: Refiner, found: Results, old: Manifest | None) -> Manifest:
    """Return what a run is to do.

    Args:
        kind: "run" or "watch".
        settings: How, settled.
        refiner: The method.
        found: The results.
        old: An earlier manifest: files that did not change since are cut as they were, without being read again.

    Raises:
        InputError: There is neither evidence nor a network.
    """
    check_evidence(refiner, settings.evidence)
    locator: Locator | None = None
    known: dict[tuple[str, int, int], list[Item]] = {}
    size = settings.chunk_size or CHUNK_SIZE
    if old is not None and old.chunk_size == size:
        for item in old.items:
            known.setdefault((item.result, item.size, item.modified_ns), []).append(item)
    items: list[Item] = []
    clips = {} if settings.independent else _clips(settings, found)
    for name in found.names:
        stat = os.stat(Path(settings.results) / name)
        stamp = (name, stat.st_size, stat.st_mtime_ns)
        if stamp in known:
            items += known[stamp]
        elif clip := clips.get(name):
            items.append(Item(*stamp, clip=clip))
        elif stat.st_size < PEEK_BYTES:
            items.append(Item(*stamp))
        else:
            locator = locator or Locator(settings)
            items += _cut(Item(*stamp), locator, size)
    items.sort(key=lambda item: item.clip)  # stable: those of a clip stand together, in the order of their names
    return Manifest(kind, described(settings, refiner), tuple(items), size)


def check_nothing_is_there(manifest: Manifest, settings: Settings, store: Store) -> None:
    """Refuse to write over files that no run of ours has written.

    Raises:
        InputError: A file of a result's name is there.
    """
    from refine.folder.write import file_names

    for item in manifest.items:
        for name in file_names(item, settings):
            if (store.out / name).exists():
                advice = "Name an empty folder, or move the file away."
                raise InputError("--out", "a folder without files of the results' names", f"{store.out / name}", advice)


def _clips(settings: Settings, found: Results) -> dict[str, str]:
    """Return of the results that are one frame of a video each the clip they are of: their folder.

    The first file of a folder and suffix tells for all of them.
    """
    beside: dict[tuple[str, str], list[str]] = {}
    for name in found.names:
        place = PurePosixPath(name)
        beside.setdefault((str(place.parent), place.suffix), []).append(name)
    clips: dict[str, str] = {}
    for (folder, suffix), names in beside.items():
        try:
            one = len(names) > 1 and is_one_frame(Path(settings.results) / names[0], settings.format)
        except InputError:  # broken: told when its turn comes
            continue
        clips |= dict.fromkeys(names, f"{folder}/*{suffix}") if one else {}
    return clips


def _cut(item: Item, locator: Locator, size: int) -> list[Item]:
    """Return a long track file as its parts, another as it is; why one cannot be read is told when its turn comes."""
    try:
        estimate = locator.locate(item.result).estimate
    except Exception:
        return [item]
    if not locator.settings.independent and is_over_time(estimate):  # its tracks are solved as one
        return [item]
    index = estimate.image_index
    count = int(index.max()) + 1 if len(index) else 0
    if count <= size:
        return [item]
    return [replace(item, first=start, last=min(start + size, count)) for start in range(0, count, size)]


def _stored_images(settings: Settings, result: str) -> tuple[str, ...]:
    """Return the photo names that a result stores; none where it cannot be read, which is told when its turn comes."""
    try:
        return Locator(settings).stored_images(result)
    except Exception:
        return ()
