"""The messages that docs/diagnose.md explains: each is caused here, and is worded there as the library words it."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import refine
from refine.body import SkinnedBody
from refine.geometry import rotation
from tests.conftest import ROOT
from tests.folders import smplx_translation
from tests.people import HEIGHT, WIDTH, Case, case

PAGE = ROOT / "docs" / "diagnose.md"
HEAD = "## Ten messages, and what to do"
ANYTHING = "…"


def explained() -> list[str]:
    """The messages of the page, in its order."""
    table = PAGE.read_text(encoding="utf-8").partition(HEAD)[2]
    return re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)


def is_said(message: str, words: str) -> bool:
    """Whether words hold the message, any text for its dots."""
    pattern = ".+?".join(re.escape(part) for part in message.split(ANYTHING))
    return re.search(pattern, words, re.DOTALL) is not None


@pytest.fixture(scope="module")
def person(builtin_body: SkinnedBody) -> Case:
    return case(builtin_body, count=1)


def parameters(person: Case) -> dict[str, Any]:
    """The estimate under SMPL-X's names, without a camera."""
    pose = person.estimate.bodies.pose
    return {
        "global_orient": rotation.log(pose[:, 0]).numpy(),
        "body_pose": rotation.log(pose[:, 1:22]).flatten(1).numpy(),
        "transl": smplx_translation(person.estimate),
    }


def found(person: Case, change: Callable[[torch.Tensor], torch.Tensor] = lambda pixel: pixel) -> Any:
    """A detector's people: the person, its points changed."""
    pixel = change(person.detections.pixel)
    return refine.DetectedPeople(person.detections.name, pixel, torch.ones(pixel.shape[:2]))


PHOTO = np.zeros((HEIGHT, WIDTH, 3), np.uint8)


def root_relative(person: Case) -> dict[str, Any]:
    words = parameters(person)
    joints = (person.estimate.joints - person.estimate.joints[:, :1])[:, :55].numpy()
    return {name: value for name, value in words.items() if name != "transl"} | {"joints": joints}


def shuffled(person: Case) -> dict[str, Any]:
    joints = person.estimate.joints[:, :55].clone()
    joints[:, 1:22] = joints[:, 1:22].flip(1)
    return parameters(person) | {"joints": joints.numpy()}


def fit(person: Case, **options: Any) -> refine.Result:
    given: dict[str, Any] = {"image": PHOTO, "init": person.estimate, "keypoints": person.detections}
    given |= options
    return refine.fit(given.pop("image"), given.pop("init"), **given)


def cut(folder: Path) -> Path:
    """The first half of an npz file."""
    path = folder / "somebody.npz"
    np.savez(path, betas=np.zeros(1000))
    path.write_bytes(path.read_bytes()[:500])
    return path


CAUSES: list[Callable[[Case, Path], object]] = [
    lambda person, _: fit(person, init=parameters(person)),
    lambda person, _: fit(person, image=PHOTO[:-100]),
    lambda person, _: fit(person, keypoints=found(person, lambda pixel: 3 * pixel)),
    lambda person, _: fit(person, keypoints=found(person, lambda pixel: 0.25 * pixel)),
    lambda person, _: fit(person, keypoints={"version": 1.3, "people": []}),
    lambda person, _: fit(person, keypoints=refine.Detections("body25", person.detections.pixel + torch.tensor([150.0, 0.0]), person.detections.confidence)),  # noqa: E501
    lambda person, _: fit(person, init=root_relative(person), camera="fov60"),
    lambda person, _: fit(person, init=parameters(person) | {"transl": 1000 * parameters(person)["transl"]}, camera="fov60"),  # noqa: E501
    lambda person, _: fit(person, init=shuffled(person), camera="fov60"),
    lambda person, folder: refine.read(cut(folder)),
]  # fmt: skip
"""What causes each message of the page, in its order."""


def test_the_page_explains_as_many_messages_as_are_caused_here() -> None:
    assert len(explained()) == len(CAUSES) == 10


@pytest.mark.parametrize("number", range(len(CAUSES)))
def test_a_message_is_worded_on_the_page_as_the_library_words_it(number: int, person: Case, tmp_path: Path) -> None:
    try:
        result = CAUSES[number](person, tmp_path)
    except refine.InputError as error:
        words = str(error)
    else:
        assert isinstance(result, refine.Result)
        words = " ".join((*result.notes, *result.verdict))
    assert is_said(explained()[number], words), words
