"""Detectors whose networks are the user's own download: what they make of a model, tried on small made-up ones.

Each is skipped where its package is not installed.
"""

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from refine.detectors.find import detector, detectors
from refine.errors import InputError
from refine.keypoints.detections import Detections

BOXES = torch.tensor([[50.0, 40.0, 150.0, 240.0], [180.0, 30.0, 290.0, 250.0]])
IMAGE = np.random.default_rng(0).integers(0, 256, (300, 320, 3), dtype=np.uint8)


def needs(detector: str, *packages: str) -> None:
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        pytest.skip(f"the detector {detector} is not installed: {', '.join(missing)}")


def rtmpose(path: Path, points: int = 17, outputs: int = 2) -> Path:
    """An ONNX file with RTMPose's input and outputs that sees every point in the middle of its input."""
    from onnx import TensorProto, helper, save

    width, height = 192, 256
    made = []
    for name, size in (("simcc_x", 2 * width), ("simcc_y", 2 * height))[:outputs]:
        peak = np.zeros((1, points, size), np.float32)
        peak[..., size // 2] = 0.8
        tensor = helper.make_tensor(name, TensorProto.FLOAT, peak.shape, peak.ravel())
        made.append((helper.make_node("Constant", [], [name], value=tensor), name, peak.shape))
    graph = helper.make_graph(
        [node for node, _, _ in made],
        "rtmpose",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, height, width])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for _, name, shape in made],
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=9), str(path))
    return path


@pytest.mark.parametrize(("points", "name"), [(17, "coco17"), (26, "body25"), (133, "coco133")])
def test_rtmlib_reads_a_network_of_any_known_set(
    tmp_path: Path, points: int, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    needs("rtmlib", "rtmlib", "onnxruntime", "onnx")
    found = detector(f"rtmlib={rtmpose(tmp_path / f'{points} points.onnx', points)}")(IMAGE, BOXES)
    assert isinstance(found, Detections) and found.name == name and len(found.pixel) == 2
    seen = found.confidence > 0
    assert seen.any(1).all() and torch.allclose(found.confidence[seen], torch.tensor(0.8), atol=1e-3)
    middle = ((BOXES[:, :2] + BOXES[:, 2:]) / 2 + 0.5)[:, None].expand_as(found.pixel)  # counted from pixel centres
    assert torch.allclose(found.pixel[seen], middle[seen], atol=1e-3)
    assert capsys.readouterr().out == ""


def test_rtmlib_refuses_another_network_and_says_what_it_is(tmp_path: Path) -> None:
    needs("rtmlib", "rtmlib", "onnxruntime", "onnx")
    load = detectors()["rtmlib"].load
    with pytest.raises(InputError, match=r"a network of .*\[1, 3, 256, 192\]"):
        load(rtmpose(tmp_path / "one.onnx", outputs=1))
    with pytest.raises(InputError, match=r"a network of .*19"):
        load(rtmpose(tmp_path / "nineteen.onnx", points=19))
    (tmp_path / "broken.onnx").write_bytes(b"nothing")
    with pytest.raises(InputError, match="an ONNX file of RTMPose"):
        load(tmp_path / "broken.onnx")


def test_rtmlib_takes_what_its_own_use_has_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs("rtmlib", "rtmlib", "onnxruntime", "onnx")
    from refine.detectors import rtmlib

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert not rtmlib.is_ready()
    with pytest.raises(InputError, match=rf"50 MB, Apache-2.0.*{tmp_path}"):
        rtmlib.load(None)
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    rtmpose(folder / rtmlib.MODELS[0], 26)
    assert rtmlib.is_ready() and rtmlib.load(None)(IMAGE, BOXES).name == "body25"


def test_vitpose_reads_a_folder_and_finds_points_in_each_box(tmp_path: Path) -> None:
    needs("vitpose", "transformers")
    from transformers import VitPoseBackboneConfig, VitPoseConfig, VitPoseForPoseEstimation

    torch.manual_seed(0)
    backbone = VitPoseBackboneConfig(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, out_indices=[1])
    VitPoseForPoseEstimation(VitPoseConfig(backbone_config=backbone, num_labels=17)).save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"image_processor_type": "VitPoseImageProcessor"}))
    found = detector(f"vitpose={tmp_path}")(IMAGE, BOXES)
    assert isinstance(found, Detections) and found.name == "coco17" and found.pixel.shape == (2, 17, 2)
    grown = 0.25 * (BOXES[:, 2:] - BOXES[:, :2]).amax(1, keepdim=True)[:, None]
    inside = (found.pixel > BOXES[:, None, :2] - grown) & (found.pixel < BOXES[:, None, 2:] + grown)
    assert inside.all(2)[found.confidence > 0].all()


def test_vitpose_refuses_a_folder_of_another_kind(tmp_path: Path) -> None:
    needs("vitpose", "transformers")
    load = detectors()["vitpose"].load
    with pytest.raises(InputError, match=r"340 MB, Apache-2\.0"):
        load(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="a ViTPose model with its image processor"):
        load(tmp_path)


@pytest.mark.slow
def test_torchvision_reads_weights_and_refuses_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs("torchvision", "torchvision")
    from torchvision.models.detection import keypointrcnn_resnet50_fpn

    from refine.detectors import torchvision

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(InputError, match=r"226 MB, BSD-3-Clause"):
        torchvision.load(None)
    torch.save({"weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(InputError, match="weights of keypointrcnn_resnet50_fpn"):
        torchvision.load(tmp_path / "other.pth")
    weights = keypointrcnn_resnet50_fpn(weights=None, weights_backbone=None).state_dict()
    (tmp_path / "checkpoints").mkdir()
    torch.save(weights, tmp_path / "checkpoints" / torchvision.WEIGHTS)
    assert torchvision.is_ready()
    found = torchvision.load(None)(IMAGE, BOXES)
    assert found.name == "coco17" and found.pixel.shape[1:] == (17, 2)
