"""Handles Ctrl-C while the command line loads its packages: one sentence and exit status 130, no traceback.

Importing this module sets the handler, so it precedes all other imports; `started` restores the signal. Programs that
import the library, and worker processes, are not affected.
"""

import os
import signal
import sys
import threading
from pathlib import PurePath
from types import FrameType

INTERRUPTED = 130
"""Exit status after Ctrl-C: 128 plus the signal's number, as in shells."""


def is_command_line() -> bool:
    """Return whether this process was started as `refine` or `python -m refine`."""
    first = sys.argv[0] if getattr(sys, "argv", None) else ""
    module = first == "-m" and "refine" in sys.orig_argv  # what argv holds while the package of `-m` is imported
    return (module or PurePath(first).stem == "refine") and "--multiprocessing-fork" not in sys.orig_argv


def started() -> None:
    """Restore Ctrl-C as an exception: from here on there may be work to finish."""
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(number: int, frame: FrameType | None) -> None:
    """Exit at once: nothing was begun, and half-loaded packages would print tracebacks of their own."""
    os.write(2, b"Interrupted. Nothing was begun.\n")
    os._exit(INTERRUPTED)


# A shell's background jobs ignore the signal, and continue to.
_ours_to_take = threading.current_thread() is threading.main_thread() and is_command_line()
if _ours_to_take and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, _end)
