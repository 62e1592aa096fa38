"""Ctrl-C while the command line is still loading its packages, which takes seconds: one sentence and exit status 130, no traceback.

Importing this module is what does it, so it stands before all other imports; `started` gives the signal back. A program
that imports the library is left alone, and so are worker processes.
"""

import os
import signal
import sys
import threading
from pathlib import PurePath
from types import FrameType

INTERRUPTED = 130
"""Exit status after Ctrl-C: 128 and the signal's number, as shells have it."""


def is_command_line() -> bool:
    """Say whether this process was started as `refine` or `python -m refine`."""
    first = sys.argv[0] if getattr(sys, "argv", None) else ""
    module = first == "-m" and "refine" in sys.orig_argv  # what argv holds while the package of `-m` is imported
    return (module or PurePath(first).stem == "refine") and "--multiprocessing-fork" not in sys.orig_argv


def started() -> None:
    """Let Ctrl-C be an exception again: from here on there may be something to finish."""
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(number: int, frame: FrameType | None) -> None:
    """End at once: nothing was begun, and half-loaded packages would answer an exception in their own words."""
    os.write(2, b"Interrupted. Nothing was begun.\n")
    os._exit(INTERRUPTED)


# A shell's background jobs ignore the signal, and go on doing so.
_ours_to_take = threading.current_thread() is threading.main_thread() and is_command_line()
if _ours_to_take and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, _end)
