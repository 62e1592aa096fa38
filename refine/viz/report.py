"""Draws the report, one page with each person before and after, close up, and the figures of the refinement.

Nothing is measured here: `refine.result` fills a `ReportPage`, this module draws it.
"""

import math
from dataclasses import dataclass

from refine.dense.prediction import Prediction
from refine.errors import InputError
from refine.estimate import Estimate
from refine.keypoints.detections import Detections
from refine.render import Rasterizer
from refine.viz import canvas
from refine.viz.canvas import INK, PAPER, RULE, SOFT_INK, Picture
from refine.viz.field import field_row
from refine.viz.layers import box_view, boxes_of, check_photo
from refine.viz.overlay import check_same_people, legend_entries, pair, side_of

PAGE_WIDTH = 1600
"""px; a page fits a screen and prints at 190 dots an inch on A4."""
CROP_WIDTH, CROP_HEIGHT = 460, 600
"""px, largest size of a person's picture."""
MARGIN = 28
LINE = 24
"""px from line to line of the tables."""
MAX_MOVED = 8
"""Most joints in the table, those that turned most."""
GOOD, BAD, PLAIN = (0, 122, 88), (196, 72, 0), INK
"""Better, worse, neither: Okabe-Ito's green and vermilion, darkened for text, which says the same."""
MAX_BODIES = 12
"""Most people on one page (about 7000 px); a line has the number of the others."""


@dataclass(frozen=True)
class Moved:
    """A joint's name, the angle (degrees) between its local rotations before and after, and each term's part of it."""

    joint: str
    degrees: float
    by_term: tuple[float, ...] = ()


@dataclass(frozen=True)
class CostRow:
    """One term's share of the cost (unitless, see `refine.solve`) before and after; NaN where it is not known."""

    term: str
    before: float
    after: float


@dataclass(frozen=True)
class ReportBody:
    """The page's content about one person.

    Attributes:
        title: "Person 1".
        stop: The solver's stop reason, a sentence.
        before_misfit_px: Misfit of the estimate, px of the photo; NaN without observations.
        after_misfit_px: Misfit of the result.
        misfit_of: Observations of the misfit ("keypoints, confidence >= 0.5").
        moved: Joints, those that turned most first.
        cost: One row a term.
        verdict: The verdict's sentence; "" without a gate.
        sure: A sentence on the result's uncertainty, or "".
        terms: Names of the terms in `Moved.by_term`.
        shown: Whether there is a body to show; without one the page has a line with title and stop reason.
    """

    title: str
    stop: str
    before_misfit_px: float = math.nan
    after_misfit_px: float = math.nan
    misfit_of: str = "keypoints"
    moved: tuple[Moved, ...] = ()
    cost: tuple[CostRow, ...] = ()
    verdict: str = ""
    sure: str = ""
    terms: tuple[str, ...] = ()
    shown: bool = True


@dataclass(frozen=True)
class ReportPage:
    """A page: title, one line of verdict, people in the order of the estimate's bodies in this image, and notes."""

    title: str
    verdict: str
    bodies: tuple[ReportBody, ...]
    notes: tuple[str, ...] = ()


def report(
    photo: Picture,
    before: Estimate,
    after: Estimate,
    page: ReportPage,
    *,
    image: int = 0,
    detections: Detections | None = None,
    predictions: tuple[Prediction, Prediction] | None = None,
    rasterizer: Rasterizer | None = None,
) -> Picture:
    """Draw the page.

    Args:
        photo: (H, W, 3) uint8 RGB.
        before: The estimate.
        after: The result.
        page: The figures; one `ReportBody` for each body of this image.
        image: Which image of the estimate the photo is.
        detections: Keypoints to draw.
        predictions: A displacer's predictions for all bodies of the estimate and of the result, drawn below each
            person; None: no displacer.
        rasterizer: Finds the triangles; the default one where None.

    Returns:
        (H', W', 3) uint8 RGB, `PAGE_WIDTH` px wide.

    Raises:
        InputError: The photo is no RGB array or has another size than the cameras, before and after hold different
            people, or the page has another number of people than the image.
    """
    check_photo(photo)
    check_same_people(before, after)
    sides = [side_of(estimate, photo, image, detections) for estimate in (before, after)]
    boxes = [boxes_of(side.meshes) for side in sides]
    check_page(page, len(boxes[0]))
    blocks = [_header(page)]
    unseen: set[int] = set()
    rows = (before.image_index == image).nonzero()[:, 0].tolist()
    for body, person in enumerate(page.bodies[:MAX_BODIES]):
        if not person.shown:
            blocks.append(_paragraphs([f"{person.title}: {person.stop}"]))
            unseen.add(body)
            continue
        view = box_view(photo, [own[body] for own in boxes], CROP_HEIGHT, CROP_WIDTH)
        crops, hidden = pair(photo, sides[0], sides[1], view, subject=body, rasterizer=rasterizer)
        unseen |= {body} & set(hidden)
        blocks.append(_person(person, crops, body in hidden))
        if predictions is not None and body not in hidden:
            blocks.append(_indented(field_row(photo, *predictions, rows[body], PAGE_WIDTH - 2 * MARGIN)))
    notes = list(page.notes)
    if len(page.bodies) > MAX_BODIES:
        notes.append(f"{len(page.bodies) - MAX_BODIES} more people are not shown.")
    entries = legend_entries(len(page.bodies), sorted(unseen), detections is not None)
    key = canvas.legend(entries, PAGE_WIDTH, margin=MARGIN)
    return canvas.stack([*blocks, key, _paragraphs(notes)])


def _indented(row: Picture) -> Picture:
    """Return a picture with the page's margins, except above it."""
    block = canvas.blank(row.shape[0] + MARGIN, PAGE_WIDTH)
    block[: row.shape[0], MARGIN : MARGIN + row.shape[1]] = row
    return block


def check_page(page: ReportPage, people: int) -> None:
    """Refuse a page of another number of people than the image's.

    Raises:
        InputError: The numbers differ.
    """
    if len(page.bodies) != people:
        raise InputError("page.bodies", f"{people} entries, one for each body of the image", str(len(page.bodies)))


def _header(page: ReportPage) -> Picture:
    """Return title and verdict."""
    width = PAGE_WIDTH - 2 * MARGIN
    lines = canvas.wrap_text(page.verdict, width, 20)
    header = canvas.blank(78 + 30 * len(lines), PAGE_WIDTH)
    canvas.draw_text(header, canvas.shorten(page.title, width, 32, bold=True), (MARGIN, 18), 32, bold=True)
    for row, line in enumerate(lines):
        canvas.draw_text(header, line, (MARGIN, 66 + 30 * row), 20)
    return header


def _person(person: ReportBody, crops: tuple[Picture, Picture], hidden: bool) -> Picture:
    """Return one person's block: two pictures and a column of figures."""
    column = 2 * (CROP_WIDTH + 14) + MARGIN + 22
    text = _figures(person, PAGE_WIDTH - column - MARGIN)
    height = max(24 + max(crop.shape[0] for crop in crops), text.shape[0]) + 2 * MARGIN
    block = canvas.blank(height, PAGE_WIDTH)
    block[0:2, MARGIN:-MARGIN] = RULE
    for side, (title, crop) in enumerate(zip(("Before", "After"), crops, strict=True)):
        x = MARGIN + side * (CROP_WIDTH + 14)
        title = f"{title} (not visible here)" if hidden else title
        canvas.draw_text(block, title, (x, 12), 18, bold=True)
        block[40 : 40 + crop.shape[0], x : x + crop.shape[1]] = crop
    block[14 : 14 + text.shape[0], column : column + text.shape[1]] = text
    return block


def _figures(person: ReportBody, width: int) -> Picture:
    """Return the column of figures of one person."""
    page = canvas.blank(2000, width)
    canvas.draw_text(page, canvas.shorten(person.title, width, 26, bold=True), (0, 0), 26, bold=True)
    y = 42
    y = _misfit(page, person, y) + 10
    for text in (person.verdict, person.sure, f"Solver: {person.stop}"):
        for line in canvas.wrap_text(text, width, 17) if text else ():
            canvas.draw_text(page, line, (0, y), 17)
            y += LINE
    if person.moved:
        y = _moved(
            page,
            person,
            _title(
                page,
                "Joints that turned most, by term" if person.terms else "Joints that turned most",
                y + 12,
            ),
        )
    if person.cost:
        y = _title(page, "Cost by term", y + 12)
        for heading, x in (("before", 370), ("after", 490)):
            _right(page, heading, x, y - LINE - 6, SOFT_INK)
        for cost in person.cost:
            canvas.draw_text(page, canvas.shorten(cost.term, 250, 17), (0, y), 17)
            _right(page, _number(cost.before), 370, y)
            _right(page, _number(cost.after), 490, y)
            y += LINE
    return page[: y + 6]


def _moved(page: Picture, person: ReportBody, y: int) -> int:
    """Draw the joints' angles, with a bar or with each term's part; return the next free row."""
    shown, width = person.moved[:MAX_MOVED], page.shape[1]
    most = max(*(abs(row.degrees) for row in shown), 1.0)
    ends = [270 + (width - 280) * (column + 1) // max(len(person.terms), 1) for column in range(len(person.terms))]
    if person.terms:
        room = (width - 280) // len(person.terms) - 8
        for name, end in zip(person.terms, ends, strict=True):
            _right(page, canvas.shorten(name, room, 17), end, y, SOFT_INK)
        y += LINE
    for row in shown:
        canvas.draw_text(page, canvas.shorten(row.joint.replace("_", " "), 190, 17), (0, y), 17)
        _right(page, f"{row.degrees:.1f}°", 270, y)
        for value, end in zip(row.by_term, ends, strict=False):
            _right(page, f"{value:+.1f}", end, y)
        if not person.terms:
            bar = round((width - 330) * abs(row.degrees) / most)
            page[y + 5 : y + 18, 290 : 290 + max(bar, 1)] = (120, 140, 160)
        y += LINE
    return y


def _misfit(page: Picture, person: ReportBody, y: int) -> int:
    """Draw the misfit in large type, and whether it improved; return the next free row."""
    before, after = person.before_misfit_px, person.after_misfit_px
    if not (math.isfinite(before) and math.isfinite(after)):
        canvas.draw_text(page, "Misfit: no keypoints to measure it on", (0, y), 20, color=SOFT_INK)
        return y + 32
    better, worse = after < 0.99 * before, after > 1.01 * before
    color = GOOD if better else BAD if worse else PLAIN
    line = f"{before:.1f} → {after:.1f} px"
    canvas.draw_text(page, line, (0, y), 34, color=color, bold=True)
    change = f"{abs(1 - after / before):.0%}" if before > 0 else ""
    verdict = f"{change} better" if better else f"{change} worse" if worse else "unchanged"
    canvas.draw_text(page, verdict.strip(), (canvas.text_size(line, 34, bold=True)[0] + 18, y + 14), 20, color=color)
    canvas.draw_text(
        page, canvas.shorten(f"mean misfit of {person.misfit_of}", page.shape[1], 16), (0, y + 46), 16, color=SOFT_INK
    )
    return y + 76


def _title(page: Picture, text: str, y: int) -> int:
    """Draw the title of a table and a rule below it; return the table's first row."""
    canvas.draw_text(page, text, (0, y), 17, bold=True)
    page[y + LINE : y + LINE + 1] = RULE
    return y + LINE + 6


def _right(page: Picture, text: str, x: int, y: int, color: canvas.Color = INK) -> None:
    """Draw a text that ends at x."""
    canvas.draw_text(page, text, (x - canvas.text_size(text, 17)[0], y), 17, color=color)


def _number(value: float) -> str:
    """Return a cost with three significant figures, or a dash."""
    return "–" if not math.isfinite(value) else f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _paragraphs(notes: list[str]) -> Picture:
    """Return the notes, a paragraph each."""
    lines = [line for note in notes for line in canvas.wrap_text(f"• {note}", PAGE_WIDTH - 2 * MARGIN, 16)]
    block = canvas.blank(12 + 22 * len(lines) + (MARGIN if lines else 0), PAGE_WIDTH, PAPER)
    for row, line in enumerate(lines):
        canvas.draw_text(block, line, (MARGIN, 10 + 22 * row), 16, color=SOFT_INK)
    return block
