"""What every keypoint format must do; the tests walk `refine/keypoints/formats`, so a new file there is tested at once.

`tests/detector_outputs.py` makes what each detector returns or saves from drawn points, and how each says that nobody
was found.
"""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from refine.body.keypoint_names import SETS
from refine.errors import InputError
from refine.inputs.keypoint_files import read_keypoints
from refine.keypoints.formats import KeypointFormat
from refine.keypoints.formats.find import keypoint_formats
from tests.detector_outputs import SIZE, Results, points
from tests.detector_tables import ASKED, NOBODY, OUTPUTS

REFUSED = ("movenet",)
"""Formats that are known only to say what to pass instead."""

EXACT = ("openpose", "arrays", "mediapipe", "detectron2", "easymocap", "frames")
"""Formats whose body counts from the image's corner already, or shares of it: nothing is added. The other's get half a
pixel."""

JUNK = [
    None, 5, 2.5, True, "text", b"bytes", {}, {"a": 1}, [1, 2], [[]], [{}], [None], [[None]], (1, 2), {"people": 3},
    {"instance_info": 3}, object(),
    {"annotations": 1, "images": []}, {"keypoints": 1, "scores": 2}, {"landmarks": [1]}, (np.zeros(3), np.zeros(3)),
    [{"keypoints": []}],
    {"predictions": [[], []]}, [[{"x": 1, "y": 2}] * 5], {"canvas_width": 3}, {"annots": 3}, {"instances": 4},
    {"frames": 3}, {"frames": []},
    {"0": 1, "1": 2}, {1: None}, [{"frame": 1}], [{"frame": [1], "people": []}], {"a.jpg": 3},
    {"keypoints": [], "scores": []}, np.zeros(0), np.array("x"),
    np.array(None, dtype=object), torch.zeros(()), [[1, 2], [3]], {"keypoints": None, "scores": None},
    {"skeleton": {}, "keypoints": 3},
    [{"keypoints": {"x": 1}}], [{"image_id": None, "keypoints": None}],
]  # fmt: skip


def of(case: str) -> str:
    return case.split(",")[0]


def asked(case: str) -> str | int | None:
    return ASKED.get(case, ASKED.get(of(case)) if of(case) == "alphapose" else None)


def nose_of(case: str, drawn: np.ndarray) -> np.ndarray:
    """Where the drawn noses are in px of the photo, counted from its corner."""
    if of(case) == "controlnet":
        return drawn[:, 0, :2] + (1.0 if "half" in case else 0.5)  # half a pixel of the canvas is one of the photo
    exact = of(case) in EXACT or "normalised" in case
    return drawn[:, 0, :2] + (0.5 if "normalised" in case else 0.0 if exact else 0.5)


@pytest.mark.parametrize("name", keypoint_formats())
def test_a_format_has_the_protocols_functions_a_source_pixels_and_an_example(name: str) -> None:
    module = keypoint_formats()[name]
    assert isinstance(module, KeypointFormat)
    assert "Source:" in (module.__doc__ or "") and "Pixels" in (module.__doc__ or "")
    assert name in REFUSED or name in {of(case) for case in OUTPUTS}


@pytest.mark.parametrize("case", OUTPUTS)
def test_content_is_recognised_by_exactly_one_format_and_read_where_it_was_drawn(case: str) -> None:
    make, count = OUTPUTS[case]
    drawn = points(2, count)
    content = make(drawn)
    assert [name for name, module in keypoint_formats().items() if module.recognises(content)] == [of(case)]
    people = read_keypoints(content, image=asked(case), size=SIZE)
    assert len(people) == 2 and people.pixel.shape[1] == len(SETS[people.name])
    assert np.allclose(people.pixel[:, SETS[people.name].index("nose")], nose_of(case, drawn), atol=2e-3)
    nose = people.confidence[:, SETS[people.name].index("nose")]
    assert np.allclose(nose, 1.0 if of(case) == "controlnet" else drawn[:, 0, 2], atol=1e-4)
    people.checked(SIZE)


@pytest.mark.parametrize("case", OUTPUTS)
def test_the_order_of_people_is_the_detectors(case: str) -> None:
    make, count = OUTPUTS[case]
    drawn = points(3, count)
    one = read_keypoints(make(drawn), image=asked(case), size=SIZE)
    turned = read_keypoints(make(drawn[[2, 0, 1]]), image=asked(case), size=SIZE)
    assert torch.allclose(one.pixel[[2, 0, 1]], turned.pixel, atol=1e-4)


@pytest.mark.parametrize("case", OUTPUTS)
def test_a_point_that_is_nan_is_missing_and_the_others_stay(case: str) -> None:
    make, count = OUTPUTS[case]
    drawn = points(2, count)
    whole = read_keypoints(make(drawn), image=asked(case), size=SIZE)
    drawn[1, 0, 0] = np.nan
    people = read_keypoints(make(drawn), image=asked(case), size=SIZE)
    nose = SETS[people.name].index("nose")
    assert float(people.confidence[1, nose]) == 0 and people.pixel[1, nose].tolist() == [0, 0]
    kept = torch.ones_like(people.confidence, dtype=torch.bool)
    kept[1, nose] = False
    if "neck" in SETS[people.name] and case.startswith(("openpose", "frames")):
        kept[:, SETS[people.name].index("neck")] = True
    assert torch.allclose(people.pixel[kept], whole.pixel[kept], atol=1e-4)


@pytest.mark.parametrize("case", NOBODY)
def test_nobody_is_read_as_nobody(case: str) -> None:
    known = [name for name, module in keypoint_formats().items() if module.recognises(NOBODY[case])]
    assert known == [of(case)]
    people = read_keypoints(NOBODY[case], size=SIZE, image="photo.jpg" if case == "frames" else None)
    assert not bool((people.confidence > 0).any())


@pytest.mark.parametrize("index", range(len(JUNK)))
def test_content_of_another_kind_is_nobodys_and_is_told_what_to_pass(index: int) -> None:
    content = JUNK[index]
    assert [name for name, module in keypoint_formats().items() if module.recognises(content)] == []
    if not isinstance(content, str):
        with pytest.raises(InputError, match=r"a known layout \(.*keypoints=\(points, confidences\)"):
            read_keypoints(content)


def as_json(value: Any) -> Any:
    """Arrays and tensors as lists, as somebody saves what a detector returned."""
    if isinstance(value, torch.Tensor | np.ndarray):
        return value.tolist()
    if isinstance(value, dict):
        return {key: as_json(item) for key, item in value.items()}
    return [as_json(item) for item in value] if isinstance(value, list | tuple) else value


SAVED = [
    case for case in OUTPUTS
    if case not in ("openpose, datum", "ultralytics", "ultralytics, one result", "ultralytics, keypoints",
        "mmpose, samples", "mediapipe", "mediapipe, a list", "supervision", "detectron2")
]  # fmt: skip
"""Content of lists, dictionaries, arrays and tensors; the others are objects."""


@pytest.mark.parametrize("case", SAVED)
@pytest.mark.parametrize("how", ["json", "torch"])
def test_what_was_returned_is_read_again_from_a_file(case: str, how: str, tmp_path: Path) -> None:
    make, count = OUTPUTS[case]
    drawn = points(2, count)
    content, path = make(drawn), tmp_path / f"photo.{how}"
    if how == "json":
        path.write_text(json.dumps(as_json(content)))
    else:
        torch.save(content, path)
    memory, file = (read_keypoints(one, image=asked(case), size=SIZE) for one in (content, path))
    assert memory.name == file.name and torch.allclose(memory.pixel, file.pixel, atol=1e-3)
    assert torch.allclose(memory.confidence, file.confidence, atol=1e-5)


@pytest.mark.parametrize("count", [17, 18, 26, 33, 133, 134, 136])
def test_npy_and_npz_files_are_read(count: int, tmp_path: Path) -> None:
    drawn = points(2, count)
    np.save(tmp_path / "a.npy", drawn)
    np.savez(tmp_path / "b.npz", drawn)
    np.savez_compressed(tmp_path / "c.npz", keypoints=drawn, name=np.array("cam1"))
    read = [read_keypoints(tmp_path / name, size=SIZE) for name in ("a.npy", "b.npz", "c.npz")]
    for one in read:
        assert torch.equal(one.pixel, read[0].pixel)
        assert np.allclose(one.pixel[:, SETS[one.name].index("nose")], drawn[:, 0, :2], atol=1e-4)
    if count not in (33,):
        np.savez(tmp_path / "d.npz", keypoints=drawn[..., :2], scores=drawn[..., 2])
        paired = read_keypoints(tmp_path / "d.npz", size=SIZE)
        assert torch.allclose(
            paired.pixel[paired.confidence > 0], read[0].pixel[read[0].confidence > 0] + 0.5, atol=1e-3
        )


@pytest.mark.parametrize("name", ["points.csv", "points.txt", "labels.TXT"])
def test_a_table_is_refused_with_what_to_pass(name: str, tmp_path: Path) -> None:
    stream = io.StringIO()
    np.savetxt(stream, points(1, 17)[0])
    (tmp_path / name).write_text(stream.getvalue())
    with pytest.raises(InputError, match=r"a JSON, npy or npz file, got a table .*np\.savez") as error:
        read_keypoints(tmp_path / name)
    assert "truncated" not in str(error.value) and "regressor" not in str(error.value)


def test_movenets_output_is_refused_with_the_conversion() -> None:
    for shape in ((1, 1, 17, 3), (1, 6, 56)):
        with pytest.raises(InputError, match=r"MoveNet's output .* padded .*keypoints="):
            read_keypoints(np.zeros(shape), size=SIZE)


def test_points_by_number_alone_are_refused_since_they_may_be_people_or_frames() -> None:
    with pytest.raises(InputError, match=r"people or frames .*y comes first"):
        read_keypoints({0: points(1, 25)[0], 1: points(1, 25)[0]}, size=SIZE)


def test_a_model_without_keypoints_or_with_others_is_named() -> None:
    with pytest.raises(InputError, match=r"yolo11n-pose"):
        read_keypoints(Results(None), size=SIZE)
    with pytest.raises(InputError, match=r"17 keypoints a person, got an array \(2, 21, 3\)"):
        read_keypoints(Results(torch.zeros(2, 21, 3)), size=SIZE)
    with pytest.raises(InputError, match=r"shape \(2, 21, 3\) \(known numbers of points: 17, 18, "):
        read_keypoints(np.zeros((2, 21, 3)))
