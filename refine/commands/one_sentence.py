"""Ends commands: what a user can cause is one sentence on standard error, with what to do, and exit status 2.

    a caller's mistake, a disk, a pipe, no memory  ->  "refine: ...", 2        Ctrl-C  ->  "Interrupted. ...", 130

A console that lacks a letter gets its code instead (a photo's name in a narrow code page, an ASCII log). What is left,
a fault of the library's own, keeps its traceback: it is to be reported.
"""

import errno
import functools
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from refine.errors import InputError, MissingExtra
from refine.folder.outcome import BAD_INPUT
from refine.starting import INTERRUPTED

if TYPE_CHECKING:
    import rich.table

PIPE_COLUMNS = 160
"""Width of a table where there is no terminal."""

ADVICE = {
    errno.ENOSPC: "Make room, or name another place.",
    errno.EDQUOT: "Make room, or name another place.",
    errno.EFBIG: "Name a place that takes larger files.",
    errno.EROFS: "Name a place that can be written to.",
    errno.EACCES: "Change its permissions, or name another.",
    errno.EPERM: "Change its permissions, or name another.",
    errno.EMFILE: "Allow more open files (ulimit -n), or give fewer --jobs.",
    errno.ENFILE: "Close other programs, or give fewer --jobs.",
    errno.ENAMETOOLONG: "Use a shorter name.",
}
"""What to do about what the system refused."""

NO_ROOM = "not enough memory. Give smaller photos, fewer --jobs or a smaller --chunk-size."


def in_one_sentence(command: Callable[..., None]) -> Callable[..., None]:
    """Return the command so that it ends as this module says.

    Args:
        command: A typer function.

    Returns:
        A function of the same signature and documentation.
    """

    @functools.wraps(command)
    def told(*arguments: Any, **options: Any) -> None:
        prepare_streams()
        try:
            try:
                command(*arguments, **options)
            finally:
                sys.stdout.flush()  # what is still in the buffer may not fit on the disk either
        except KeyboardInterrupt:
            _end("Interrupted. What is finished is kept.", INTERRUPTED)
        except (InputError, MissingExtra) as error:
            _end(f"refine: {error}")
        except BrokenPipeError:
            _let_go_of_standard_output()
            _end("refine: standard output: whatever read it has ended. Files that were asked for are written.")
        except OSError as error:
            _let_go_of_standard_output()
            _end(f"refine: {about(error)}")
        except (MemoryError, RuntimeError) as error:
            if isinstance(error, typer.Exit) or not _is_of_memory(error):
                raise
            _end(f"refine: {NO_ROOM}")

    return told


def print_table(table: "rich.table.Table") -> None:
    """Print a table on standard output; a file or a pipe has room for what rich would cut to 80 columns."""
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else PIPE_COLUMNS)
    with console.capture() as said:  # by itself rich ends the program where a pipe's reader has ended
        console.print(table)
    sys.stdout.write(said.get())


def about(error: OSError) -> str:
    """Say what the system refused, where, and what to do."""
    place = error.filename2 or error.filename or "standard output"
    return (
        f"{os.fsdecode(place) if isinstance(place, str | bytes | os.PathLike) else place}: {error.strerror or error}. "
        + ADVICE.get(error.errno or 0, "Check the path and the disk.")
    )


def prepare_streams() -> None:
    """Make standard streams that take every letter, also where the console is narrow or there is none."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:  # the shell closed it
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))
        elif mode == "w" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _end(sentence: str, status: int = BAD_INPUT) -> NoReturn:
    try:
        typer.echo(sentence, err=True)
    except OSError:  # there is nowhere to say it
        pass
    raise SystemExit(status) from None


def _let_go_of_standard_output() -> None:
    """Send what is left in the buffer nowhere, or Python tries once more at its end and complains in its own words."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
    except (OSError, ValueError):  # a stream without a file, as tests have
        pass


def _is_of_memory(error: BaseException) -> bool:
    import torch

    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "not enough memory" in str(error)
