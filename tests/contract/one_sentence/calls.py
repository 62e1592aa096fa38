"""Calls of the command line, and how they end."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class Ended:
    """How a call ended."""

    status: int
    out: str
    said: str


Call = Callable[..., Ended]


def check_told(ended: Ended, status: int = 2) -> None:
    """One sentence, which says something, and no traceback."""
    assert ended.status == status, ended.said
    assert "Traceback" not in ended.said and "Traceback" not in ended.out
    if status == 2 and "Usage:" not in ended.said:  # a misspelt option is typer's to explain
        assert sum(line.startswith("refine: ") for line in ended.said.splitlines()) == 1, ended.said
    assert len(ended.said.strip()) > 20


FIT = {"photo": "photo.png", "--init": "estimate.npz", "--keypoints": "keypoints.json", "--out": "out"}
RUN = {"results": "results", "--images": "images", "--keypoints": "keypoints", "--out": "out", "--jobs": "1"}
INSPECT, CONVERT = {"file": "estimate.npz"}, {"file": "estimate.npz", "--to": "anny"}
WATCH = {"results": "results", "--images": "images", "--out": "out", "--once": None}
CALLS: dict[str, dict[str, str | None]] = {
    "fit": FIT, "run": RUN, "inspect": INSPECT, "convert": CONVERT, "watch": WATCH, "demo": {"--out": "out", "--people": "1"},  # noqa: E501
}  # fmt: skip


def words(command: str, changed: dict[str, str | None]) -> list[str]:
    """The words of a call: bare values first, then options."""
    options = CALLS[command] | changed
    bare = [value for name, value in options.items() if not name.startswith("--") and value is not None]
    named = [
        part for name, value in options.items() if name.startswith("--") for part in (name, value) if part is not None
    ]
    return [command, *bare, *named]
