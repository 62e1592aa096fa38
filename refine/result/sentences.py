"""Verdicts in words: a sentence for the owner of a body, made of the decision and its numbers; and back, for files that keep sentences alone."""

import re
from typing import Any

from refine.solve import Decision, StopReason, Verdict

LEFT = "Left as it came: "
WORDS = {
    Decision.NOT_FINITE: "the update could not be judged, since its statistics are not finite.",
    Decision.EXPLAINS_WORSE: "the update explains the evidence worse.",
    Decision.BESIDE: "in the photo the evidence lies {shift:.2f} of the person's height ({way}) from the estimate, farther than "
    "regressors err. Is it of this person and this photo? (To keypoints of a crop its corner must be added.)",
    Decision.RESIZED: "in the photo the evidence lies {shift:.2f} of the person's height ({way}) from the estimate and is "
    "{enlarged:.2f} times as large. Was it made on a photo of about {photo_width:.0f} x {photo_height:.0f} px?",
    Decision.ELSEWHERE: "in the photo the evidence lies {shift:.2f} of the person's height ({way}) from the estimate and is "
    "{enlarged:.2f} times as large. Is it of this person and of the whole photo, and is the camera the estimate's?",
    Decision.TOO_LARGE: "by this evidence the estimate would be {size:.1f} times as wrong as regressors usually are. "
    "Does the evidence belong to this person?",
    Decision.MISFIT: "the body cannot follow the evidence, which stays {misfit:.1f} of its own sigmas off. "
    "Is it this person's, and is the camera right?",
    Decision.CONTRADICTORY: "the sources of evidence contradict each other "
    "(the update explains one of them worse, by {worse:.0f} nats).",
    Decision.UNLIKE: "rendered in the person's own texture, the update looks less like the photo "
    "({explained:.0%} explained instead of {explained_before:.0%}).",
    Decision.NOBODY: "where the network puts the person the photo hardly shows one ({person:.0%} of what should be seen). "
    "Is the estimate of this photo?",
}
"""Why an update is not believed; `way` is what `_way` says."""
SIDES = {"right": ("to the right", "to the left"), "down": ("down", "up")}
"""How a way in the picture is called, and one against it."""
AGREES = (
    ": the evidence lies {misfit:.1f} of its sigmas off instead of {misfit_before:.1f}, and says the estimate was {size:.1f} "
    "times as wrong as usual."
)
KEPT = re.compile(r"Accepted but for the (?P<kept>[^,]+), left as it came")


def sentence(verdict: Verdict, stop: StopReason) -> str:
    """Say what was decided about a body, and why.

    Args:
        verdict: The decision with its numbers.
        stop: Why the solver stopped: the sentence of a body it did not start with.
    """
    if verdict.decision is Decision.UNSOLVED:
        return stop.value
    numbers = {name: float("nan") if value is None else value for name, value in vars(verdict).items()}
    for name in ("explained", "explained_before"):
        numbers[name] = 1 - numbers[f"un{name}"]
    if verdict.accepted:
        but = f" but for the {' and the '.join(verdict.kept)}, left as it came" if verdict.kept else ""
        return f"Accepted{but}" + AGREES.format_map(numbers)
    told = {**numbers, "way": _way(numbers["right"], numbers["down"])}
    return LEFT + WORDS[verdict.decision].format_map(told)


def _way(right: float, down: float) -> str:
    """Say which way something lies in the picture: "200 px to the right, 30 px up"; a tenth of the larger is not worth a word."""
    told = {"right": right, "down": down}
    least = max(abs(right), abs(down)) / 10
    said = [
        f"{abs(px):.0f} px {SIDES[name][px < 0]}" for name, px in told.items() if abs(px) >= least or px != px
    ]  # NaN is said
    return ", ".join(said)


def verdict_of(said: str) -> Verdict:
    """Return the verdict a sentence was made of, its numbers as exact as they were written; one that is none of ours: the solver did not start.

    Args:
        said: What `sentence` returned, now or in an earlier version.
    """
    for decision, words in WORDS.items():
        found = _pattern(LEFT + words).fullmatch(said)
        if found:
            return Verdict(decision, **_numbers(found))
    found = re.search(_pattern(AGREES), said)
    if not said.startswith("Accepted") or not found:
        return Verdict(Decision.UNSOLVED)
    kept = KEPT.match(said)
    names = tuple(kept["kept"].split(" and the ")) if kept else ()
    return Verdict(Decision.PARTLY_ACCEPTED if names else Decision.ACCEPTED, **_numbers(found), kept=names)


def _pattern(words: str) -> re.Pattern[str]:
    """Return what finds the numbers of a sentence by name."""
    parts = re.split(r"\{(\w+)(?::\.\d[f%])?\}", words)
    found = {part: ".+?" if part == "way" else r"\S+?" for part in parts[1::2]}
    return re.compile(
        "".join(f"(?P<{part}>{found[part]})" if odd % 2 else re.escape(part) for odd, part in enumerate(parts))
    )


def _numbers(found: re.Match[str]) -> dict[str, Any]:
    """Return the numbers that were found, by the verdict's names."""
    numbers: dict[str, Any] = {}
    for name, written in found.groupdict().items():
        if name == "way":
            numbers |= _numbers_of_way(written)
            continue
        value = float(written.removesuffix("%")) / (100 if written.endswith("%") else 1)
        numbers["un" + name if name.startswith("explained") else name] = (
            1 - value if name.startswith("explained") else value
        )
    return {name: value for name, value in numbers.items() if value == value}


def _numbers_of_way(said: str) -> dict[str, float]:
    """Return what `_way` was told, but for what it did not say: zero."""
    numbers = dict.fromkeys(SIDES, 0.0)
    for part in said.split(", "):
        px, _, side = part.partition(" px ")
        name = next(name for name, sides in SIDES.items() if side in sides)
        numbers[name] = float(px) * (-1 if side == SIDES[name][1] else 1)
    return numbers
