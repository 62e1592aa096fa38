"""The files that the tests of all formats ask one after the other."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.format_examples import LAYOUTS, PIXEL_TOLERANCE, REAL, SURFACES, Example, example


@pytest.fixture(params=[*LAYOUTS, *REAL])
def file(request: pytest.FixtureRequest, tmp_path: Path, real_data: Callable[[str], Path]) -> Example:
    layout = request.param
    if layout in REAL:
        folder, name = REAL[layout]
        place = tmp_path / "in" / name
        place.parent.mkdir()
        place.write_bytes((real_data(folder) / name).read_bytes())
        name = layout.split()[1].lower()
        pixels = getattr(LAYOUTS[name], "PIXELS", PIXEL_TOLERANCE)
        derived = SURFACES | getattr(LAYOUTS[name], "DERIVED", frozenset())
        return Example(place, name, None, pixels, tmp_path, derived)
    exempt = getattr(LAYOUTS[layout], "EXEMPT", {})
    reason = exempt.get(request.function.__name__)
    if reason is not None:
        pytest.skip(f"not asked of this layout: {reason}")
    return example(layout, tmp_path)
