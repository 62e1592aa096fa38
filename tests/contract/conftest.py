"""The files that the tests of all formats ask one after the other; people with keypoints, refined."""

from collections.abc import Callable
from pathlib import Path

import pytest

import refine
from refine.body import SkinnedBody
from tests.format_examples import LAYOUTS, PIXEL_TOLERANCE, REAL, SURFACES, Example, example
from tests.people import Case, case


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


@pytest.fixture(scope="module")
def people(builtin_body: SkinnedBody) -> Case:
    return case(builtin_body)


@pytest.fixture(scope="module")
def result(people: Case) -> refine.Result:
    return refine.fit(people.photos, people.estimate, keypoints=people.detections)
