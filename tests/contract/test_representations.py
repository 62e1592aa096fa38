"""What a program shows of results, estimates and the dataclasses they consist of: a few lines, no arrays; and a
notebook's view."""

import base64
import dataclasses
import re

import cv2
import numpy as np
import torch

import refine
from refine.batch import brief, in_one_line
from refine.body import SkinnedBody
from tests.people import Case, case


def test_a_result_shows_people_model_verdicts_and_misfit_in_a_few_lines(result: refine.Result) -> None:
    text = repr(result)
    assert len(text) < 1000 and len(text.splitlines()) <= 5, text
    assert "2 people in 2 photos" in text and result.body.name in text
    for row in range(2):
        verdict = result.judgement[row].decision.name.lower().replace("_", " ")
        numbers = f"misfit {float(result.misfit_before[row]):.1f} -> {float(result.misfit[row]):.1f} px"
        assert f"person {row + 1}: {verdict}, {numbers}" in text


def test_of_many_people_the_first_are_shown_and_the_rest_is_counted(builtin_body: SkinnedBody) -> None:
    many = case(builtin_body, count=12)
    text = repr(refine.fit(many.photos, many.estimate))
    assert "and 4 more" in text and "person 9" not in text and "misfit - -> - px" in text


def test_an_estimate_shows_people_camera_and_depth(people: Case) -> None:
    text = repr(people.estimate)
    assert len(text) < 500
    assert "2 people in 2 photos" in text and "focal 480 px, photo 400x480 px, depth" in text
    nobody = people.estimate.rows(torch.zeros(0, dtype=torch.long))
    assert repr(nobody).startswith("Estimate: 0 people in 0 photos")


def test_no_dataclass_of_a_result_shows_its_numbers(result: refine.Result) -> None:
    seen: list[object] = []

    def walk(value: object, depth: int = 0) -> None:
        if dataclasses.is_dataclass(value) and not isinstance(value, type) and depth < 4:
            seen.append(value)
            for field in dataclasses.fields(value):
                walk(getattr(value, field.name), depth + 1)

    for start in (result, result.estimate.posed, result.rounds[-1], result.photos[0], result.detections):
        walk(start)
    names = {type(value).__name__ for value in seen}
    assert {
        "SkinnedBody",
        "State",
        "Bodies",
        "Camera",
        "Source",
        "PosedBody",
        "Solution",
        "Photo",
        "Detections",
    } <= names
    for value in seen:
        text = repr(value)
        assert len(text) < 1200 and "tensor(" not in text and "array(" not in text, text[:300]


def test_a_value_is_told_by_shape_type_and_number_of_entries() -> None:
    assert brief(torch.zeros(2, 3)) == "float32 (2, 3)" and brief(np.zeros((4, 1), np.uint8)) == "uint8 (4, 1)"
    assert brief(("a",)) == "1 entry" and brief((1, 2)) == "(1, 2)" and brief("x" * 300).endswith("...")

    @dataclasses.dataclass(frozen=True)
    class Held:
        rows: torch.Tensor
        absent: int | None = None

    assert in_one_line(Held(torch.zeros(5, dtype=torch.long))) == "Held(rows=int64 (5,))"
    assert brief(Held(torch.zeros(1))) == "Held(rows=float32 (1,))"


def test_a_notebook_shows_a_small_picture_and_the_table(result: refine.Result) -> None:
    page = result._repr_html_()
    assert page.count("<tr>") == 3 and "accepted" in page and len(page) < 400_000
    found = re.search(r"base64,([^\"]+)", page)
    assert found is not None, page[:300]
    picture = cv2.imdecode(np.frombuffer(base64.b64decode(found[1]), np.uint8), cv2.IMREAD_COLOR)
    assert max(picture.shape[:2]) <= 720 and picture.std() > 5


def test_a_notebook_shows_the_table_where_there_are_no_photos_and_escapes_what_is_said(result: refine.Result) -> None:
    said = dataclasses.replace(result, photos=(), notes=("<b>a & b</b>", *"cdefghi"))
    page = said._repr_html_()
    assert "<img" not in page and page.count("<tr>") == 3
    assert "&lt;b&gt;a &amp; b&lt;/b&gt;" in page and "and 3 more in" in page
