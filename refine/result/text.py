"""A result as text for a terminal, and as HTML for a notebook."""

import base64
import html
import math
from collections.abc import Callable

import numpy as np
from jaxtyping import UInt8

from refine.estimate.estimate import notes_text, origin_text, people_text
from refine.result.known import Known

Overlay = Callable[[int], UInt8[np.ndarray, "H W 3"]]
"""Draws before and after on a photo of the result."""

MOST_PEOPLE = 8
"""People with a line each; the rest is counted."""

MOST_NOTES = 5
"""Notes below the table of a notebook."""

PICTURE_PX = 720
"""The longest side of a notebook's picture."""

HEADINGS = ("person", "misfit before px", "after px", "most turned joint", "verdict")


def result_text(result: Known) -> str:
    """Return a result in a few lines: people, model, and each person's verdict and misfit before and after."""
    accepted = int(result.accepted.sum())
    lines = [f"Result: {people_text(result.estimate)}, {accepted} refined, {origin_text(result.estimate)}"]
    for row in range(min(len(result), MOST_PEOPLE)):
        before, after = (_number(part[row]) for part in (result.misfit_before, result.misfit))
        lines.append(f"  person {row + 1}: {_verdict(result, row)}, misfit {before} -> {after} px")
    if len(result) > MOST_PEOPLE:
        lines.append(f"  and {len(result) - MOST_PEOPLE} more")
    return "\n".join([*lines, *notes_text(result.notes)])


def result_html(result: Known, overlay: Overlay) -> str:
    """Return a result as HTML: a small overlay of the first photo, the table of people, and the first notes."""
    rows = [table_row(result, row) for row in range(min(len(result), MOST_PEOPLE))]
    cells = [_cells("th", HEADINGS), *(_cells("td", row) for row in rows)]
    title = html.escape(result_text(result).splitlines()[0])
    table = f"<table>{''.join(f'<tr>{each}</tr>' for each in cells)}</table>"
    more = f"<p>and {len(result) - MOST_PEOPLE} more</p>" if len(result) > MOST_PEOPLE else ""
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in result.notes[:MOST_NOTES])
    left = len(result.notes) - MOST_NOTES
    notes += f"<li>and {left} more in <code>notes</code></li>" if left > 0 else ""
    return f"<div><p>{title}</p>{_picture(result, overlay)}{table}{more}{f'<ul>{notes}</ul>' if notes else ''}</div>"


def table_row(result: Known, row: int) -> tuple[str, ...]:
    """Return one person's row of the table, in the order of `HEADINGS`."""
    before, after = _number(result.misfit_before[row]), _number(result.misfit[row])
    return str(row + 1), before, after, most_turned(result, row), _verdict(result, row)


def most_turned(result: Known, row: int) -> str:
    """Return the joint of a person that turned most, and by how many degrees; "-" where there is none."""
    turned = result.turned[row]
    if not bool(turned.isfinite().any()):
        return "-"
    joint = int(turned.nan_to_num(0.0).argmax())
    return f"{result.body.joint_names[joint]} {float(turned[joint]):.0f}°"


def _picture(result: Known, overlay: Overlay) -> str:
    """Return the overlay as an HTML image; "" without photos, a sentence where it cannot be drawn."""
    if not result.photos or not len(result):
        return ""
    image = int(result.image_index.min())
    try:
        data = _jpeg(overlay(image))
    except Exception as error:  # a notebook's cell must not fail for a picture: the table stays
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        return f"<p>No picture was made: {html.escape(reason)}</p>"
    encoded = base64.b64encode(data).decode("ascii")
    return f'<img alt="before | after" style="max-width:100%" src="data:image/jpeg;base64,{encoded}">'


def _jpeg(pixels: UInt8[np.ndarray, "H W 3"]) -> bytes:
    """Return a picture, reduced to `PICTURE_PX`, as the bytes of a JPEG."""
    import cv2

    height, width = pixels.shape[:2]
    scale = min(1.0, PICTURE_PX / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    done, data = cv2.imencode(".jpg", np.ascontiguousarray(small[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 85])
    return bytes(data) if done else b""


def _verdict(result: Known, row: int) -> str:
    """Return the decision about one person, or the stop reason where none was made."""
    decided = bool(result.judgement) and result.judgement[row].judged
    return (result.judgement[row].decision if decided else result.stop[row]).name.lower().replace("_", " ")


def _number(value: object) -> str:
    """Write a number with one digit, "-" where there is none."""
    number = float(value)  # type: ignore[arg-type]
    return "-" if math.isnan(number) else f"{number:.1f}"


def _cells(kind: str, texts: tuple[str, ...]) -> str:
    return "".join(f"<{kind}>{html.escape(text)}</{kind}>" for text in texts)
