"""A result as one HTML file, opened in a real browser: every control works, nobody is shut out, nothing is fetched."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import refine
from refine.body import SkinnedBody
from refine.errors import InputError
from refine.result import Result
from refine.result.web import MOST_IN_3D, web_page
from tests.browser import looked_at
from tests.people import case

MEGABYTE = 2**20


@pytest.fixture(scope="module")
def result(builtin_body: SkinnedBody) -> Result:
    """Two people in one photo."""
    people = case(builtin_body, count=2, name="coco17")
    estimate = replace(people.estimate, image_index=torch.zeros(2, dtype=torch.long))
    noise = np.random.default_rng(0).integers(60, 200, people.photos[0].shape, dtype=np.uint8)
    return refine.fit(noise, estimate, keypoints=people.detections)


@pytest.fixture(scope="module")
def page(result: Result) -> str:
    return web_page(result, 0, "Two people")


@pytest.mark.parametrize(("width", "dark"), [(1200, False), (360, False), (360, True)])
def test_a_browser_shows_it_without_an_error_and_axe_finds_nothing(page: str, width: int, dark: bool) -> None:
    found = looked_at(page, width, dark=dark)
    assert found["ready"] and not found["words"], "the bodies are drawn"
    assert not found["errors"] and not found["violations"], (found["errors"], found["violations"])
    assert found["wide"] <= 0, "nothing lies beyond the window's side"
    assert found["slider"] == "80%"
    names, pressed, words = zip(*found["people"], strict=True)
    assert names == ("Person 1", "Person 2") and pressed == ("true", "true")
    for text in words:
        assert "Accepted" in text and "before" in text and "Joints are known to" in text and "Keypoints" in text


def test_it_needs_nothing_but_itself(page: str) -> None:
    """No address of anything elsewhere but in licences and names of XML; every picture and mesh is inside."""
    own = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    assert not re.findall(r"(?:src|href)=\"(?!data:)", own) and "http" not in own
    assert len(page) < 10 * MEGABYTE
    assert page.count("data:image/jpeg") == 2 and '"glb": "Z2xURg' in page


def test_what_a_note_says_cannot_end_the_page(result: Result) -> None:
    odd = '</script><script>alert("x")</script><b>'
    text = web_page(replace(result, notes=(odd,)), 0, odd)
    assert odd not in text and "<b>" not in text.split("<script")[0]
    data = json.loads(text.split('id="data">')[1].split("</script>")[0])
    assert len(data["people"]) == 2


def test_a_loaded_result_has_people_and_bodies_but_no_photo(result: Result, tmp_path: Path) -> None:
    result.save(tmp_path / "result.npz")
    refine.load(tmp_path / "result.npz").write_html(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text("utf-8")
    assert 'id="photo" hidden' in text and '"glb": "Z2xURg' in text and "<h1>page</h1>" in text


def test_of_many_people_some_are_in_3d_and_all_in_the_list(builtin_body: SkinnedBody) -> None:
    people = case(builtin_body, count=MOST_IN_3D + 2, name="coco17")
    estimate = replace(people.estimate, image_index=torch.zeros(MOST_IN_3D + 2, dtype=torch.long))
    text = web_page(refine.fit(people.photos[0], estimate, keypoints=people.detections), 0, "many")
    assert f"In 3D are {MOST_IN_3D} of {MOST_IN_3D + 2} people." in text and f"Person {MOST_IN_3D + 2}" in text
    assert len(text) < 10 * MEGABYTE


def test_a_photo_without_people_is_refused_and_nothing_is_written(result: Result, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"image: expected a photo with people in it, one of \[0\], got 3"):
        result.write_html(tmp_path / "page.html", image=3)
    assert not list(tmp_path.iterdir())
