"""Progress on standard error, the table at the end on standard output."""

import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from refine.commands.one_sentence import print_table
from refine.folder.outcome import FAILED, PARTLY, REFINED, UNCHANGED, doubt_lines
from refine.starting import INTERRUPTED

if TYPE_CHECKING:
    from refine.folder.outcome import Summary
    from refine.folder.run import Progress

LISTED = 20
"""Failures that are listed one by one; the log has them all."""


@contextmanager
def progress_bar(words: str) -> Iterator["Progress"]:
    """Show a bar with the rate and the time left."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"),
        TextColumn("left"), TimeRemainingColumn(),
    )  # fmt: skip
    bar = Bar(*columns, console=Console(stderr=True))

    def show(done: int, total: int) -> None:
        if not bar.tasks:  # what was done before does not count into the rate
            bar.add_task(words, total=total, completed=done, rate="")
            bar.start()  # not earlier: a call that is refused shows no bar
            return
        task = bar.tasks[0]
        bar.update(task.id, completed=done)
        bar.update(task.id, rate=f"{task.speed:.1f}/s" if task.speed else "")

    try:
        yield show
    finally:
        if bar.tasks:
            bar.stop()


@contextmanager
def interruption_told() -> Iterator[None]:
    """Say on Ctrl-C that nothing is lost, and end with the status a shell expects of it."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("Interrupted. What is finished is kept; the same command goes on.", err=True)
        raise typer.Exit(INTERRUPTED) from None


def print_summary(summary: "Summary", log: str) -> None:
    """Print the table, and what failed."""
    from rich.table import Table

    files, counts = summary.files, summary.counts
    before, after = (_median(getattr(one, name) for one in files) for name in ("misfit_before_px", "misfit_px"))
    if before == "-" and files:  # track files: their parts hold the numbers
        before, after = (
            _median(getattr(one, name) for one in summary.outcomes) for name in ("misfit_before_px", "misfit_px")
        )
    table = Table(
        "results",
        REFINED,
        UNCHANGED,
        PARTLY,
        FAILED,
        "people",
        "refined",
        "misfit before px",
        "after px",
        "done now",
        "seconds",
    )
    table.add_row(
        str(len(files)), *(str(counts[status]) for status in (REFINED, UNCHANGED, PARTLY, FAILED)),
        str(sum(one.people for one in files)), str(sum(one.refined for one in files)), before, after,
        str(summary.done_now), f"{summary.seconds.get('wall', 0.0):.1f}",
    )  # fmt: skip
    print_table(table)
    print_doubts(summary)
    print_failures(summary, log)


def print_doubts(summary: "Summary") -> None:
    """Say on standard error what looks wrong, once a kind, with the number of results and the first of them."""
    for line in doubt_lines(summary):
        typer.echo(line, err=True)


def print_failures(summary: "Summary", log: str) -> None:
    """Say on standard error which results failed, and where the log is."""
    for one in summary.failed[:LISTED]:
        typer.echo(f"{one.status}: {one.result}: {one.reason.splitlines()[0] if one.reason else ''}", err=True)
    if len(summary.failed) > LISTED:
        typer.echo(f"... and {len(summary.failed) - LISTED} more", err=True)
    typer.echo(f"Log: {log}", err=True)


def print_retry(summary: "Summary") -> None:
    """Say on standard error how results that failed or lacked keypoints are done again."""
    count = sum(one.may_go_better for one in summary.files)
    if count:
        results = "result" if count == 1 else "results"
        advice = "When what was missing is there, run the same command again with --retry-failed."
        typer.echo(f"{count} {results} failed or lacked keypoints. {advice}", err=True)


def _median(rows: Iterator[tuple[float | None, ...]]) -> str:
    """Return the median of all numbers, "-" where there are none."""
    numbers = [value for row in rows for value in row if value is not None]
    return f"{statistics.median(numbers):.1f}" if numbers else "-"
