"""What both commands share: their working folder, a progress bar, the report on the motion, errors in a sentence."""

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from priors.learning.gather import Gathered, Report
from refine.errors import InputError

INTERRUPTED = 130
"""Exit status after Ctrl-C: 128 and the signal's number, as shells have it."""
SKIPPED_LISTED = 10
"""Sentences about files that were skipped; the list in the work folder has them all."""


def work_folder(out: Path) -> Path:
    """Return the folder of a learning that is to end in a file: the file's name and `.work`, beside it.

    Raises:
        InputError: The file is no .safetensors, or its folder does not exist.
    """
    if not out.parent.is_dir() or out.is_dir() or out.suffix != ".safetensors":
        raise InputError("--out", "a .safetensors file in a folder that exists", str(out), "Create the folder first.")
    return out.with_name(out.name + ".work")


def command(name: str) -> str:
    """Return the command line as it was given, without the folders of this machine."""
    words = (Path(word).name if "/" in word and Path(word).exists() else word for word in sys.argv[1:])
    words = (Path(word).name if word.endswith(".safetensors") else word for word in words)
    return shlex.join(["python", "-m", f"priors.learning.{name}", *words])


def describe(gathered: Gathered) -> None:
    """Say on standard error what was read."""
    said = f"{len(gathered.pose)} poses of {len(gathered.recordings)} recordings"
    typer.echo(
        f"{said}; {gathered.impossible} frames left out: a joint far beyond its range, or not a number", err=True
    )
    for sentence in gathered.skipped[:SKIPPED_LISTED]:
        typer.echo(f"skipped: {sentence}", err=True)
    if len(gathered.skipped) > SKIPPED_LISTED:
        typer.echo(f"... and {len(gathered.skipped) - SKIPPED_LISTED} more", err=True)


@contextmanager
def told() -> Iterator[None]:
    """Turn a caller's mistake and Ctrl-C into a sentence and an exit status."""
    try:
        yield
    except InputError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    except KeyboardInterrupt:
        typer.echo("Interrupted. What is learnt so far is kept; the same command goes on.", err=True)
        raise typer.Exit(INTERRUPTED) from None


@contextmanager
def bar() -> Iterator[Report]:
    """Show a bar on standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("left")
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as shown:
        tasks: dict[str, int] = {}

        def report(words: str, done: int, total: int) -> None:
            if words not in tasks:
                tasks[words] = int(shown.add_task(words, total=total))
            shown.update(shown.task_ids[list(tasks).index(words)], completed=done, total=total)

        yield report
