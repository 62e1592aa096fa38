"""Finds the format of a file, reads it, and writes a refined estimate back in its source's own.

read(path) = the one format that recognises the file . read(path)
"""

from pathlib import Path
from types import ModuleType

from refine.body import SkinnedBody
from refine.check import check_local
from refine.discover import modules
from refine.errors import InputError, MissingExtra
from refine.estimate import Estimate
from refine.estimate.nobody import Nobody, holds_nobody
from refine.files.unpacked import TRUNCATED_ADVICE
from refine.formats import Sizes
from refine.formats._beside import absence_note
from refine.formats._nearly import levels, looks_like, what_it_is
from refine.formats._renames import renames, without_root
from refine.formats.nobody import estimate_of_nobody
from refine.geometry.camera import Camera
from refine.transfer import in_camera, refined_source

UNFORESEEN = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RuntimeError)
"""What numbers of another kind or count end in, once they are reckoned with; the cause stays attached."""

OWN = "refine_npz"
"""This library's own format, whose bodies may be in a world."""

GAP_ADVICE = "Run the regressor again; if the file is as it wrote it, this is a gap in the reader: please report it."


def formats() -> dict[str, ModuleType]:
    """Return the known formats by name, ours and those of third parties (entry points `refine.formats`)."""
    return dict(modules("refine.formats", "refine.formats", having="recognises"))


SEEN = frozenset(".jpg .jpeg .png .webp .bmp .tif .tiff .gif .heic .mp4 .avi .mov .mkv .webm".split())
"""Endings of photos and videos."""


def read(
    path: str | Path,
    body: SkinnedBody | None = None,
    *,
    camera: Camera | None = None,
    format: str | None = None,
    sizes: Sizes = None,
) -> Estimate:
    """Read what a regressor stored.

    Args:
        path: The file.
        body: The model to put the estimate on; None: the built-in body, to which an SMPL-family pose is transferred.
        camera: One camera, or one a body, that replaces the file's; the bodies' places in the photo stay.
        format: The format's name, where the file should not be asked.
        sizes: (I, 2) px, height and width of the photos by image index, or of one photo for all, for files that do not
            know them.

    Returns:
        The estimate, camera frame of the photo, m and px; without people where the file has none, of whatever format
        (`nobody`).

    Raises:
        InputError: The file is missing, broken or of no known format, or it holds no camera and none is given.
    """
    path = Path(path)
    if not path.is_file():
        check_local("init", path)
        got = "a folder" if path.is_dir() else "no such file"
        advice = "A folder of results is what `refine run` is for." if path.is_dir() else "Check the path."
        raise InputError(str(path), "a regressor's result file", got, advice)
    known = formats()
    if holds_nobody(path):
        return estimate_of_nobody(path, body)
    if format is not None:
        return _read(format, _named(format), path, body, camera, sizes)
    for name, module in known.items():
        if module.recognises(path):
            return _read(name, module, path, body, camera, sizes)
    raise InputError(str(path), "a file of a known format", what_it_is(path), _advice(known, path))


def write(refined: Estimate, path: str | Path) -> None:
    """Write an estimate in the layout of the file it was read from.

    Args:
        refined: The estimate, after refinement or as it was, in the camera's frame or in a world's.
        path: Where to; an existing file is replaced, whole or not at all.

    Raises:
        InputError: The source's format is not known here, or the file cannot be written.
    """
    source = refined.source
    in_both = source.camera_from_world is not None or source.format == OWN
    _named(source.format).write(refined if in_both else in_camera(refined), Path(path))


def written_note(refined: Estimate) -> str:
    """Return what reading a written estimate on its source's own model costs, in mm and px; empty where nothing."""
    return absence_note(refined, refined_source(refined))


def is_over_time(estimate: Estimate) -> bool:
    """Say whether the format of an estimate tells who is who over several frames."""
    module, source, frames = formats().get(estimate.source.format), estimate.source, estimate.image_index.unique()
    told = bool(source.persons) or bool(getattr(module, "ONE_PERSON", False))
    return bool(getattr(module, "OVER_TIME", False)) and told and len(frames) > 1


def is_one_frame(path: str | Path, format: str | None = None) -> bool:
    """Say whether a file is one frame of a video in which the files beside it are the others, by its format.

    Args:
        path: The file.
        format: The format's name, where the file should not be asked.
    """
    for name, module in formats().items():
        if getattr(module, "OVER_TIME", False) and getattr(module, "ONE_FRAME", False):
            if format == name or (format is None and module.recognises(Path(path))):
                return True
    return False


def _read(
    name: str, module: ModuleType, path: Path, body: SkinnedBody | None, camera: Camera | None, sizes: Sizes
) -> Estimate:
    """Read a file of a format; content that no check foresaw raises as every other mistake does."""
    try:
        estimate: Estimate = module.read(path, body, camera, sizes)
    except Nobody:
        return estimate_of_nobody(path, body)
    except (InputError, MissingExtra):
        raise
    except UNFORESEEN as error:
        got = f"one in which something does not fit ({type(error).__name__}: {str(error)[:160]})"
        raise InputError(str(path), f"a {name} file as the regressor writes it", got, GAP_ADVICE) from error
    return estimate


def _named(name: str) -> ModuleType:
    """Return a format by name."""
    known = formats()
    if name not in known:
        raise InputError(
            "format", f"one of {', '.join(known)}", repr(name), "A third party's format is found by its entry point."
        )
    return known[name]


def _advice(known: dict[str, ModuleType], path: Path) -> str:
    """Say which format the file nearly is, and what each format looks like: the first sentence of its module."""
    if not path.stat().st_size:
        return "The regressor was stopped before it wrote it, or its disk is full: run it again on this photo."
    if path.suffix.lower() in SEEN:
        return "That is what a regressor looks at. Give the file it wrote about it: refine.fit(PHOTO, RESULT)."
    if what_it_is(path).startswith("a truncated"):
        return TRUNCATED_ADVICE
    found = levels(path)
    near = renames(found) or looks_like(known, found) or without_root(found)
    if near:
        return f"{near} Formats: docs/formats.md."
    lines = [
        f"  {name}: {(module.__doc__ or '').strip().splitlines()[0]}"
        for name, module in known.items()
        if module.__doc__
    ]
    return "\n".join(["Known formats:", *lines])
