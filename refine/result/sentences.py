"""Verdicts as sentences for the user, and parsed back from files that keep only the sentences."""

import re
from typing import Any

from refine.solve import Decision, StopReason, Verdict

LEFT = "Left as it came: "
LIES = "in the photo the evidence lies {shift:.2f} of the person's height ({way}) from the estimate"
REASONS = {
    Decision.NOT_FINITE: "the update could not be judged, since its statistics are not finite.",
    Decision.EXPLAINS_WORSE: "the update explains the evidence worse.",
    Decision.BESIDE: LIES + ", farther than regressors err. Is it of this person and this photo? "
    "(To keypoints of a crop its corner must be added.)",
    Decision.RESIZED: LIES + " and is {enlarged:.2f} times as large. "
    "Was it made on a photo of about {photo_width:.0f} x {photo_height:.0f} px?",
    Decision.ELSEWHERE: LIES + " and is {enlarged:.2f} times as large. "
    "Is it of this person and of the whole photo, and is the camera the estimate's?",
    Decision.TOO_LARGE: "by this evidence the estimate would be {size:.1f} times as wrong as regressors usually are. "
    "Does the evidence belong to this person?",
    Decision.MISFIT: "the body cannot follow the evidence, which stays {misfit:.1f} of its own sigmas off. "
    "Is it this person's, and is the camera right?",
    Decision.CONTRADICTORY: "the sources of evidence contradict each other "
    "(the update explains one of them worse, by {worse:.0f} nats).",
    Decision.UNLIKE: "rendered in the person's own texture, the update looks less like the photo "
    "({explained:.0%} explained instead of {explained_before:.0%}).",
    Decision.NOBODY: "where the network puts the person the photo hardly shows one "
    "({person:.0%} of what should be seen). Is the estimate of this photo?",
    Decision.NOT_CARRIED: "it has no evidence of its own, and the frames before and after it are left as they came.",
    Decision.BETWEEN_REFUSED: "the frames shortly before and after it are left as they came.",
}
"""Why an update was rejected; `way` is written by `_way`."""
FOLLOWS = "Accepted: without evidence of its own, it follows the frames before and after it."
SIDES = {"right": ("to the right", "to the left"), "down": ("down", "up")}
"""Names of each axis' positive and negative direction in the picture."""
AGREES = (
    ": the evidence lies {misfit:.1f} of its sigmas off instead of {misfit_before:.1f}, "
    "and says the estimate was {size:.1f} times as wrong as usual."
)
KEPT = re.compile(r"Accepted but for the (?P<kept>[^,]+), left as it came")


def sentence(verdict: Verdict, stop: StopReason) -> str:
    """Return the sentence of a verdict.

    Args:
        verdict: The decision with its numbers.
        stop: Why the solver stopped, the sentence of a body it did not start with.
    """
    if verdict.decision is Decision.UNSOLVED:
        return stop.value
    if verdict.decision is Decision.CARRIED:
        return FOLLOWS
    numbers = {name: float("nan") if value is None else value for name, value in vars(verdict).items()}
    for name in ("explained", "explained_before"):
        numbers[name] = 1 - numbers[f"un{name}"]
    if verdict.accepted:
        but = f" but for the {' and the '.join(verdict.kept)}, left as it came" if verdict.kept else ""
        return f"Accepted{but}" + AGREES.format_map(numbers)
    values = {**numbers, "way": _way(numbers["right"], numbers["down"])}
    return LEFT + REASONS[verdict.decision].format_map(values)


def _way(right: float, down: float) -> str:
    """Return a displacement as "200 px to the right, 30 px up", without an axis below a tenth of the other."""
    least = max(abs(right), abs(down)) / 10
    by_axis = {"right": right, "down": down}.items()
    parts = [f"{abs(px):.0f} px {SIDES[axis][px < 0]}" for axis, px in by_axis if abs(px) >= least or px != px]
    return ", ".join(parts)  # NaN is written


def verdict_of(text: str) -> Verdict:
    """Return the verdict a sentence was made of, with the numbers as written; UNSOLVED for another sentence.

    Args:
        text: What `sentence` returned, now or in an earlier version.
    """
    for decision, reason in REASONS.items():
        found = _pattern(LEFT + reason).fullmatch(text)
        if found:
            return Verdict(decision, **_numbers(found))
    if text == FOLLOWS:
        return Verdict(Decision.CARRIED)
    found = re.search(_pattern(AGREES), text)
    if not text.startswith("Accepted") or not found:
        return Verdict(Decision.UNSOLVED)
    kept = KEPT.match(text)
    names = tuple(kept["kept"].split(" and the ")) if kept else ()
    return Verdict(Decision.PARTLY_ACCEPTED if names else Decision.ACCEPTED, **_numbers(found), kept=names)


def _pattern(template: str) -> re.Pattern[str]:
    """Return the expression that matches a template's sentences, its numbers as named groups."""
    parts = re.split(r"\{(\w+)(?::\.\d[f%])?\}", template)
    found = {part: ".+?" if part == "way" else r"\S+?" for part in parts[1::2]}
    return re.compile(
        "".join(f"(?P<{part}>{found[part]})" if odd % 2 else re.escape(part) for odd, part in enumerate(parts))
    )


def _numbers(found: re.Match[str]) -> dict[str, Any]:
    """Return a match's numbers by the verdict's names."""
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


def _numbers_of_way(text: str) -> dict[str, float]:
    """Return the displacement that `_way` wrote; zero for an axis it left out."""
    numbers = dict.fromkeys(SIDES, 0.0)
    for part in text.split(", "):
        px, _, side = part.partition(" px ")
        name = next(name for name, sides in SIDES.items() if side in sides)
        numbers[name] = float(px) * (-1 if side == SIDES[name][1] else 1)
    return numbers
