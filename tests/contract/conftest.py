"""People with keypoints, and what refining makes of them."""

import pytest

import refine
from refine.body import SkinnedBody
from tests.people import Case, case


@pytest.fixture(scope="module")
def people(builtin_body: SkinnedBody) -> Case:
    return case(builtin_body)


@pytest.fixture(scope="module")
def result(people: Case) -> refine.Result:
    return refine.fit(people.photos, people.estimate, keypoints=people.detections)
