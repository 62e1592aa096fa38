"""Evaluation as tables for people (rich) and as plain values for JSON."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from displacement_net.training.evaluation.field import Field
from displacement_net.training.evaluation.real_people import PersonRow
from displacement_net.training.evaluation.refined import Change
from displacement_net.training.evaluation.stored import Arms, Moved

if TYPE_CHECKING:
    from rich.table import Table


def field_tables(found: Field) -> list["Table"]:
    """Return the tables of a displacement field."""
    strengths = list(found.calibration)
    first = _table("Endpoint error / doing nothing, by texture", "texture", strengths)
    for case, rows in found.texture_by_strength.items():
        first.add_row(case, *(_number(rows[name].share, 3) if name in rows else "" for name in strengths))
    second = _table("Endpoint error / doing nothing (px of 256), by true displacement", "displacement", strengths)
    for size, rows in found.by_size.items():
        second.add_row(size, *(f"{_number(rows[n].share, 2)} ({_number(rows[n].endpoint_px, 2)})" for n in strengths))
    third = _table("By visibility", "point is", ("endpoint px", "nothing px", "share", "said to be seen %"))
    for name, (row, said) in found.by_visibility.items():
        third.add_row(
            name, _number(row.endpoint_px, 2), _number(row.nothing_px, 2), _number(row.share, 3), _number(100 * said, 1)
        )
    columns = ("1 sigma %", "2 sigma %", "Mahalanobis", "surest 25 / 50 / 75 %", "oracle", "area", "oracle area")
    fourth = _table(
        "Calibration per coordinate (68.3, 95.4, 1), sparsification (error over that of all)", "strength", columns
    )
    for name in strengths:
        stated, sparse = found.calibration[name], found.sparsification[name]
        fourth.add_row(
            name, _number(100 * stated.one_sigma, 1), _number(100 * stated.two_sigma, 1),
            _number(stated.mahalanobis, 2),
            *(" / ".join(_number(value, 2) for value in each) for each in (sparse.shares, sparse.oracle)),
            _number(sparse.area, 2), _number(sparse.oracle_area, 2),
        )  # fmt: skip
    return [first, second, third, fourth]


def change_table(found: Mapping[str, Change]) -> "Table":
    """Return the table of what refinement with the network alone does."""
    columns = ("PVE mm", "PA-MPJPE mm", "MPJPE mm", "2D px", "worse by > 1 mm %", "median PVE change mm", "bodies")
    table = _table("Hold-out people refined with the network alone", "strength", columns)
    for name, one in found.items():
        cells = [
            f"{_number(one.before[figure], 1)} -> {_number(one.after[figure], 1)} "
            f"({_number(one.change_percent[figure], 0, True)} %)"
            for figure in ("pve", "pa_mpjpe", "mpjpe", "pixel")
        ]
        worse, median = _number(one.worse_percent, 0), _number(one.median_pve_change_mm, 1, True)
        table.add_row(name, *cells, worse, median, str(one.bodies))
    return table


def people_table(rows: Sequence[PersonRow], floor: tuple[float, float]) -> "Table":
    """Return the table of real people, a line each; those who are small come last.

    Args:
        rows: Of all people under all strengths.
        floor: Misfit (px) and mask IoU of the bodies before they were disturbed, mean over people.
    """
    columns = ("strength", "misfit px", "PCK@0.05", "PCK@0.1", "mask IoU", "")
    table = _table("Annotated people of real photos, network alone, means over seeds", "person", columns)
    table.caption = f"Before the disturbance: misfit {floor[0]:.2f} px, mask IoU {floor[1]:.2f}"
    for row in sorted(rows, key=lambda row: row.small):
        verdict = " ".join(word for word, holds in (("worse", row.worse), ("small", row.small)) if holds)
        shares = (_arrow(pair, 2) for pair in (row.pck_05, row.pck_10, row.iou))
        table.add_row(row.name, row.strength, _arrow(row.misfit, 2), *shares, verdict)
    table.add_section()
    for name, one in people_summary(rows).items():
        pairs = (one["pck_05"], one["pck_10"], one["iou"])
        words = f"{_number(one['change_percent'], 0, True)} %, {one['worse']} of {one['people']} worse"
        table.add_row("all", name, _arrow(one["misfit"], 2), *(_arrow(pair, 2) for pair in pairs), words)
    return table


def people_summary(rows: Sequence[PersonRow]) -> dict[str, dict[str, Any]]:
    """Return means over those people who are not small, by strength and over all."""
    kept = [row for row in rows if not row.small]
    strengths = list(dict.fromkeys(row.strength for row in kept))
    found: dict[str, dict[str, Any]] = {}
    for name in [*strengths, "all"]:
        own = [row for row in kept if name in (row.strength, "all")]
        pairs = {figure: _means(own, figure) for figure in ("misfit", "pck_05", "pck_10", "iou")}
        before, after = pairs["misfit"]
        found[name] = {
            **pairs, "change_percent": 100 * (after / before - 1), "worse": sum(row.worse for row in own),
            "people": len(own),
        }  # fmt: skip
    return found


def stored_table(arms: Sequence[Arms], moved: Mapping[str, Sequence[Moved]]) -> "Table":
    """Return the table of regressors' stored estimates."""
    table = _table("Stored estimates, network alone", "person", ("arms from ViTPose's, px", "moved px", "moved mm"))
    for photo, people in moved.items():
        for number, one in enumerate(people):
            pair = arms[number] if photo == "bev_pair" and number < len(arms) else None
            words = "" if pair is None else f"{_arrow((pair.before_px, pair.after_px), 1)} ({pair.points} points)"
            table.add_row(f"{photo} {number + 1}", words, _number(one.pixel, 1), _number(one.joints_mm, 1))
    return table


def plain(value: object) -> Any:
    """Return dataclasses, tuples and mappings as dicts and lists for JSON; NaN becomes null."""
    if hasattr(value, "__dataclass_fields__"):
        own = {name: plain(part) for name, part in asdict(value).items()}  # type: ignore[call-overload]
        return {**own, "worse": value.worse} if isinstance(value, PersonRow) else own
    if isinstance(value, Mapping):
        return {str(name): plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if isinstance(value, float):
        return round(value, 5) if math.isfinite(value) else None
    return value


def _means(rows: Sequence[PersonRow], figure: str) -> tuple[float, float]:
    pairs = [getattr(row, figure) for row in rows]
    return (
        sum(pair[0] for pair in pairs) / max(len(pairs), 1),
        sum(pair[1] for pair in pairs) / max(len(pairs), 1),
    )


def _table(title: str, first: str, columns: Sequence[str]) -> "Table":
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    table.add_column(first)
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _arrow(pair: tuple[float, float], digits: int) -> str:
    return f"{_number(pair[0], digits)} -> {_number(pair[1], digits)}"


def _number(value: float, digits: int, signed: bool = False) -> str:
    if not math.isfinite(value):
        return "-"
    return f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"
