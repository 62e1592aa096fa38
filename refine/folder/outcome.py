"""What became of each result: one line of the log, the summary's counts, the exit status."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from refine.errors import InputError

ALL_DONE, NOTHING_REFINED, BAD_INPUT, SOME_FAILED = 0, 1, 2, 3
"""Exit statuses."""

REFINED, UNCHANGED, PARTLY, FAILED = "refined", "unchanged", "partly", "failed"
"""Somebody moved; nobody did, and the file is written as it came; some photos failed; nothing is written."""

NO_KEYPOINTS = "no keypoints for its photo"
"""Why nobody moved where the only evidence is missing."""

DIGITS = 3
"""Decimals of pixels in the log."""


@dataclass(frozen=True)
class Outcome:
    """What became of a result, or of some photos of a long one."""

    result: str
    status: str
    reason: str = ""
    """Why it failed, or why nobody moved."""
    format: str = ""
    photos: tuple[str, ...] = ()
    people: int = 0
    refined: int = 0
    stop: tuple[str, ...] = ()
    """Why the solver stopped at each body (names of `refine.solve.StopReason`)."""
    verdict: tuple[str, ...] = ()
    """What was decided about each body's update (names of `refine.solve.Decision`); empty without a gate."""
    misfit_before_px: tuple[float | None, ...] = ()
    misfit_px: tuple[float | None, ...] = ()
    notes: tuple[str, ...] = ()
    written: tuple[str, ...] = ()
    """Files in the output folder."""
    doubts: Mapping[str, str] = field(default_factory=dict)
    """What looks wrong: a sentence by kind (`refine.inputs.camera_doubts`); the sentences are among the notes too."""
    part: tuple[int, int] | None = None
    """Photos of a part of a track file; its file is written when all parts are done."""
    stamp: tuple[int, int] | None = field(default=None)
    """Size and time of change of the result, where `refine watch` must know whether it saw this file."""

    @property
    def label(self) -> str:
        """The result's name, with the photos of a part (`manifest.Item.label`)."""
        return f"{self.result}[{self.part[0]}:{self.part[1]}]" if self.part else self.result

    @property
    def may_go_better(self) -> bool:
        """Whether it failed or lacked keypoints: another try may go better when its inputs do."""
        return self.status in (FAILED, PARTLY) or (self.status == UNCHANGED and self.reason == NO_KEYPOINTS)

    def line(self) -> str:
        """Return the outcome as one line of JSON, without what is empty."""
        content = {name: value for name, value in vars(self).items() if value not in ("", (), None, {})}
        return json_text(content)


def read_line(line: str) -> Outcome:
    """Read a line of the log."""
    content: dict[str, Any] = json.loads(line)
    return Outcome(**content | {name: tuple(value) for name, value in content.items() if isinstance(value, list)})


def reason_of(error: Exception, result: str) -> str:
    """Return why a result failed, in one line that does not name it again.

    Args:
        error: What befell it.
        result: Its name below the results' folder.
    """
    if not isinstance(error, InputError):
        return " ".join(f"{type(error).__name__}: {error}".split())
    name = "" if error.name == result or error.name.endswith(f"/{result}") else f"{error.name}: "
    lines = error.advice.splitlines()
    lists = [
        number for number, line in enumerate(lines) if line.endswith(":")
    ]  # what follows is a list for who asks for one file
    advice = " ".join(lines[: lists[0]] if lists else lines)
    return " ".join(f"{name}expected {error.expected}, got {error.got}. {advice}".split())


def rounded(value: float) -> float | None:
    """Return pixels for the log; None for what is not a number."""
    return round(value, DIGITS) if value == value else None


@dataclass(frozen=True)
class Summary:
    """A run's outcomes, counted."""

    outcomes: tuple[Outcome, ...]
    seconds: dict[str, float] = field(default_factory=dict)
    """Wall-clock time of this call, and what reading, decoding, solving and writing took, which overlap."""
    done_now: int = 0
    """Results that this call did; the others were there before."""

    @property
    def files(self) -> tuple[Outcome, ...]:
        """One outcome a result file: parts of track files are left out where the whole is there."""
        return tuple(one for one in self.outcomes if one.part is None)

    @property
    def counts(self) -> Counter[str]:
        """How many results ended how."""
        return Counter(one.status for one in self.files)

    @property
    def doubts(self) -> dict[str, tuple["Outcome", ...]]:
        """The results in which something of a kind looks wrong, by kind, the most frequent first."""
        found: dict[str, list[Outcome]] = {}
        for one in self.files:
            for kind in one.doubts:
                found.setdefault(kind, []).append(one)
        often = sorted(found.items(), key=lambda entry: -len(entry[1]))
        return {kind: tuple(results) for kind, results in often}

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """Results that failed, all of them or some of their photos."""
        return tuple(one for one in self.files if one.status in (FAILED, PARTLY))

    @property
    def exit_status(self) -> int:
        """0 where all went well, 1 where nobody was refined, 3 where some failed."""
        if not sum(one.refined for one in self.files):
            return NOTHING_REFINED
        return SOME_FAILED if self.failed else ALL_DONE


def doubt_lines(summary: Summary) -> list[str]:
    """Return what looks wrong in words, once a kind, with the number of results and the first of them."""
    lines = []
    for kind, results in summary.doubts.items():
        first = results[0]
        of = "1 result" if len(results) == 1 else f"{len(results)} of {len(summary.files)} results"
        lines.append(f"doubtful in {of}, first {first.result}: {first.doubts[kind]}")
    return lines


def whole_file(parts: Sequence[Outcome], written: tuple[str, ...]) -> Outcome:
    """Return the outcome of a track file from its parts'."""
    failed = [part for part in parts if part.status in (FAILED, PARTLY)]
    refined = sum(part.refined for part in parts)
    first = parts[0]
    status = REFINED if refined else UNCHANGED
    reason = ""
    if failed:
        status = PARTLY if len(failed) < len(parts) or refined else FAILED
        one = failed[0]
        reason = f"{len(failed)} of {len(parts)} parts: photos {one.part}: {one.reason}"
    elif not refined:
        reason = first.reason
    people = sum(part.people for part in parts)
    return Outcome(
        first.result,
        status,
        reason,
        first.format,
        people=people,
        refined=refined,
        written=written if status != FAILED else (),
        doubts={kind: words for part in reversed(parts) for kind, words in part.doubts.items()},
    )


def json_text(content: object, indent: int | None = None) -> str:
    """Return JSON that can be encoded: what is no text in a file's name is escaped, and read as it was."""
    return json.dumps(content, indent=indent, ensure_ascii=False).encode(errors="backslashreplace").decode()


def as_lines(outcomes: Iterable[Outcome]) -> str:
    """Return outcomes as a log."""
    return "".join(one.line() + "\n" for one in outcomes)
