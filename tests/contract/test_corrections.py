"""`--correct`: what is systematically wrong with keypoints and estimates, undone on reading."""

from pathlib import Path

import pytest
import torch

from refine.body import SkinnedBody
from refine.body.keypoint_names import SETS
from refine.errors import InputError
from refine.folder.dry_run import reader_of
from refine.folder.manifest import Item
from refine.folder.settings import Settings
from refine.inputs.corrected import corrected
from refine.inputs.corrections import H36M17, KeypointCorrection, parse_corrections
from refine.keypoints.detections import DetectedPeople
from tests.faulty_folders import HEIGHT, KEYPOINT_FAULTS, WIDTH, People, draw_people, write_cliff, write_photos


@pytest.fixture(scope="module")
def crowd(builtin_body: SkinnedBody) -> People:
    return draw_people(builtin_body, 3)


def test_corrections_undo_what_was_done(crowd: People) -> None:
    pixel = crowd.points["coco17"]
    for change, _, flag in KEYPOINT_FAULTS.values():
        if not flag:
            continue
        correction = parse_corrections([flag.split()[1]]).keypoints
        people = DetectedPeople("coco17", change(pixel), torch.ones(pixel.shape[:2]))
        assert torch.allclose(correction.of(people, (HEIGHT, WIDTH)).pixel, pixel, atol=1e-2), flag


def test_points_in_another_order_get_their_names(crowd: People) -> None:
    people = DetectedPeople("coco17", crowd.points["h36m17"], torch.ones(crowd.points["h36m17"].shape[:2]))
    found = KeypointCorrection(order="h36m17").of(people, (HEIGHT, WIDTH))
    for index, name in enumerate(SETS["coco17"]):
        there = name in H36M17
        assert bool((found.confidence[:, index] == float(there)).all())
        if there:
            assert torch.equal(found.pixel[:, index], people.pixel[:, H36M17.index(name)])


@pytest.mark.parametrize(
    "wrong", ["keypoints.sides=left", "keypoints.size=12", "keypoints.size=-3%", "keypoints.offset=1", "keypoints.frames=x",  # noqa: E501
              "estimate.focal=-2", "estimate.units=inch", "somebody=1", "keypoints.letterbox=0"],
)  # fmt: skip
def test_a_correction_that_is_none_is_refused(wrong: str) -> None:
    with pytest.raises(InputError, match="--correct"):
        parse_corrections([wrong])


def test_nothing_to_correct_is_nothing_done(crowd: People, tmp_path: Path) -> None:
    write_cliff(tmp_path, crowd.estimate, write_photos(tmp_path, len(crowd.estimate)))
    reader, names = reader_of(Settings(tmp_path / "results", tmp_path / "images"))
    estimate = reader.locate(Item(names.names[0])).estimate
    assert corrected(estimate, parse_corrections([])) is estimate
