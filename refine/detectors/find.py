"""Which detectors there are, which of them work here, and the one a name means.

"auto"          the first of `ORDER` that is ready here, then those of other packages
"NAME"          that one, with the model its package brings along or the user's own download
"NAME=MODEL"    that one, with the model in a file or folder
"""

from functools import cache
from pathlib import Path
from types import ModuleType

from refine.detectors import Detector
from refine.discover import modules
from refine.errors import InputError, MissingExtra

ENTRY_POINTS = "refine.detectors"
"""The entry-point group of other packages' detectors."""

AUTO = "auto"

ORDER = ("vitpose", "rtmlib", "torchvision", "mediapipe")
"""What "auto" asks, in this order: who has downloaded one of the larger networks wants it."""


def detectors() -> dict[str, ModuleType]:
    """Return all detectors by name, ours and other packages', whether or not they work here."""
    return dict(modules("refine.detectors", ENTRY_POINTS, having="is_ready"))


def available() -> tuple[str, ...]:
    """Return the names of the detectors that work here without a further file, in the order "auto" asks them."""
    known = detectors()
    names = [name for name in ORDER if name in known] + [name for name in known if name not in ORDER]
    return tuple(name for name in names if known[name].is_ready())


def is_asked(asked: str) -> bool:
    """Say whether text asks for a detector, and is not a file's name.

    Args:
        asked: "auto", "NAME" or "NAME=MODEL"; a file of a detector's name is "./NAME".
    """
    return asked == AUTO or asked.partition("=")[0] in detectors()


def settled_name(asked: str) -> str:
    """Return a name that means the same detector tomorrow: "auto" becomes the name of the one it takes here.

    Raises:
        InputError: There is no detector of the name.
        MissingExtra: None works here ("auto").
    """
    name = asked.partition("=")[0]
    if name == AUTO:
        ready = available()
        if not ready:
            raise MissingExtra("A 2D detector", 'for "auto"', _installs())
        return ready[0]
    if name not in detectors():
        advice = "A detector of your own: give the function itself, or an entry point in the group refine.detectors."
        raise InputError("detector", f"auto or one of {', '.join(detectors())}", repr(asked), advice)
    return asked


def detector(asked: str) -> Detector:
    """Return the detector that text asks for; the same object for the same text, which keeps its network loaded.

    Args:
        asked: "auto", "NAME" or "NAME=MODEL".

    Raises:
        InputError: There is no detector of the name, or its model is missing or of another kind.
        MissingExtra: What it needs is not installed; the message names the command.
    """
    return _loaded(settled_name(asked))


@cache
def _loaded(asked: str) -> Detector:
    name, given, model = asked.partition("=")
    found: Detector = detectors()[name].load(Path(model).expanduser() if given else None)
    return found


def _installs() -> str:
    """Return what installs each detector that "auto" could take, those first that need the least."""
    known = detectors()
    return "; or ".join(known[name].INSTALL for name in reversed(ORDER) if name in known)
