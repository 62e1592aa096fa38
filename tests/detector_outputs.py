"""What 2D detectors return and save, made from points (P, K, 3) of x, y and score: one function a layout."""

import json
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

SIZE = (480, 640)
"""(height, width) px of the photo."""


@dataclass
class Landmark:
    """As MediaPipe's Python tasks return it."""

    x: float
    y: float
    z: float = 0.0
    visibility: float | None = None
    presence: float | None = None


class Keypoints:
    """As ultralytics' `Keypoints`: data (P, K, 3) and the image's size."""

    def __init__(self, data: torch.Tensor) -> None:
        self.data, self.orig_shape = data, SIZE
        self.xy, self.conf = data[..., :2], data[..., 2] if data.shape[-1] == 3 else None
        self.xyn = data[..., :2] / torch.tensor([SIZE[1], SIZE[0]])


class Results:
    """As ultralytics' `Results`: boxes and keypoints of one image."""

    def __init__(self, data: torch.Tensor | None, path: str = "image0.jpg") -> None:
        self.keypoints = None if data is None else Keypoints(data)
        self.orig_shape, self.boxes, self.path, self.names = SIZE, [], path, {0: "person"}


class KeyPoints:
    """As supervision's `KeyPoints`."""

    def __init__(self, drawn: np.ndarray) -> None:
        self.xy, self.class_id = drawn[..., :2].astype(np.float32), np.zeros(len(drawn), int)
        self.keypoint_confidence, self.visible = drawn[..., 2], None


def points(people: int, count: int, seed: int = 0) -> np.ndarray:
    """Points (P, K, 3) in a photo of `SIZE` with scores from 0.4 to 0.9."""
    return np.random.default_rng(seed).uniform((5, 5, 0.4), (634, 474, 0.9), (people, count, 3))


def flat(values: np.ndarray) -> list[float]:
    return [float(value) for value in values.reshape(-1)]


def openpose(drawn: np.ndarray) -> dict[str, Any]:
    return {"version": 1.3, "people": [{"pose_keypoints_2d": flat(person)} for person in drawn]}


def datum(drawn: np.ndarray) -> SimpleNamespace:
    """As OpenPose's Python API returns it."""
    return SimpleNamespace(poseKeypoints=drawn.astype(np.float32), handKeypoints=[None, None], faceKeypoints=None)


def controlnet(drawn: np.ndarray, canvas: tuple[int, int] = SIZE, shares: bool = False) -> dict[str, Any]:
    """18 points on a canvas (height, width), parts that were not found null; scores are lost."""
    scale = np.array([1 / SIZE[1], 1 / SIZE[0], 1.0]) * (
        np.ones(3) if shares else np.array([canvas[1], canvas[0], 1.0])
    )
    people = []
    for person in drawn:
        here = (person * scale).copy()
        here[:, 2] = 1.0
        parts = dict.fromkeys(("face_keypoints_2d", "hand_left_keypoints_2d", "hand_right_keypoints_2d"))
        people.append({"pose_keypoints_2d": flat(here)} | parts)
    return {"people": people, "canvas_height": canvas[0], "canvas_width": canvas[1]}


def pair(drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return drawn[..., :2].copy(), drawn[..., 2].copy()


def ultralytics(drawn: np.ndarray) -> list[Results]:
    return [Results(torch.tensor(drawn, dtype=torch.float32))]


def ultralytics_json(drawn: np.ndarray, normalize: bool = False) -> list[dict[str, Any]]:
    w, h = (SIZE[1], SIZE[0]) if normalize else (1, 1)
    return [
        {
            "name": "person", "class": 0, "confidence": 0.9, "box": {"x1": 1.0 / w, "y1": 1.0 / h, "x2": 2.0 / w,
                "y2": 2.0 / h},
            "keypoints": {
                "x": flat(person[:, 0] / w), "y": flat(person[:, 1] / h), "visible": flat(person[:, 2]),
            },
        }
        for person in drawn
    ]  # fmt: skip


def huggingface(drawn: np.ndarray) -> list[list[dict[str, torch.Tensor]]]:
    return [
        [
            {
                "keypoints": torch.tensor(person[:, :2]), "scores": torch.tensor(person[:, 2]),
                "labels": torch.arange(len(person)),
                "bbox": torch.tensor([1.0, 2.0, 3.0, 4.0]),
            }
            for person in drawn
        ]
    ]  # fmt: skip


def mmpose(drawn: np.ndarray) -> list[dict[str, Any]]:
    return [
        {"keypoints": person[:, :2].tolist(), "keypoint_scores": person[:, 2].tolist(), "bbox": [[1.0, 2.0, 3.0, 4.0]],
            "bbox_score": 0.9}
        for person in drawn
    ]  # fmt: skip


def mmpose_samples(drawn: np.ndarray) -> list[SimpleNamespace]:
    """`inference_topdown`: a sample a person."""
    return [
        SimpleNamespace(
            pred_instances=SimpleNamespace(keypoints=person[None, :, :2], keypoint_scores=person[None, :, 2])
        )
        for person in drawn
    ]


def mmpose_old(drawn: np.ndarray) -> list[dict[str, np.ndarray]]:
    return [{"bbox": np.array([1.0, 2.0, 3.0, 4.0, 0.9]), "keypoints": person} for person in drawn]


def sapiens(drawn: np.ndarray) -> dict[str, Any]:
    return {
        "instance_info": [{key: person[key] for key in ("keypoints", "keypoint_scores")} for person in mmpose(drawn)]
    }


def easymocap(drawn: np.ndarray, size: tuple[int, int] = SIZE) -> dict[str, Any]:
    scale = np.array([size[1] / SIZE[1], size[0] / SIZE[0], 1.0])
    annots = [
        {"personID": index, "bbox": [0, 0, 9, 9, 0.9], "keypoints": (person * scale).tolist(), "isKeyframe": False}
        for index, person in enumerate(drawn)
    ]
    return {"filename": "images/1/0.jpg", "height": size[0], "width": size[1], "annots": annots, "isKeyframe": False}


def easy_vitpose(drawn: np.ndarray, names: dict[str, str] | None = None) -> dict[str, Any]:
    frame = {str(index): person[:, [1, 0, 2]].tolist() for index, person in enumerate(drawn)}
    return {"keypoints": [frame], "skeleton": names or {}}


def openpifpaf(drawn: np.ndarray) -> list[dict[str, Any]]:
    return [
        {"keypoints": flat(person), "bbox": [1.0, 2.0, 3.0, 4.0], "score": 0.8, "category_id": 1} for person in drawn
    ]


def coco(drawn: np.ndarray, image_id: Any = 785) -> list[dict[str, Any]]:
    return [{"image_id": image_id, "category_id": 1, "keypoints": flat(person), "score": 0.8} for person in drawn]


def alphapose(drawn: np.ndarray, names: tuple[str, ...] = ("photo.jpg",)) -> list[dict[str, Any]]:
    """Every person in every image of these names."""
    return [entry | {"box": [1.0, 2.0, 3.0, 4.0], "idx": 1} for name in names for entry in coco(drawn, name)]


def alphapose_open(drawn: np.ndarray) -> dict[str, Any]:
    return {"version": "AlphaPose v0.3", "people": [{"pose_keypoints_2d": flat(person)} for person in drawn]}


def alphapose_cmu(drawn: np.ndarray) -> dict[str, Any]:
    return {"version": "AlphaPose v0.3", "bodies": [{"joints": flat(person)} for person in drawn]}


def alphapose_api(drawn: np.ndarray) -> dict[str, Any]:
    result = [
        {
            "keypoints": torch.tensor(person[:, :2]),
            "kp_score": torch.tensor(person[:, 2:]),
            "proposal_score": torch.tensor([0.9]),
        }
        for person in drawn
    ]
    return {"imgname": "photo.jpg", "result": result}


def poseflow(drawn: np.ndarray) -> dict[str, Any]:
    return {f"{n}.jpg": [{"scores": 3.0, "keypoints": flat(person), "idx": 1}] for n, person in enumerate(drawn)}


def landmarks(drawn: np.ndarray) -> list[list[Landmark]]:
    return [[Landmark(x / SIZE[1], y / SIZE[0], 0.1, seen, 1.0) for x, y, seen in person] for person in drawn]


def mediapipe_frames(drawn: np.ndarray) -> list[dict[str, Any]]:
    """A frame a person, as scripts save them."""
    return json.loads(
        json.dumps([{"frame": n, "landmarks": [vars(mark) for mark in one]} for n, one in enumerate(landmarks(drawn))])
    )


def torchvision(drawn: np.ndarray) -> list[dict[str, torch.Tensor]]:
    logits = np.log(drawn[..., 2] / (1 - drawn[..., 2]))
    ones = np.concatenate((drawn[..., :2], np.ones((*drawn.shape[:2], 1))), 2)
    return [
        {
            "boxes": torch.zeros(len(drawn), 4), "labels": torch.ones(len(drawn)),
            "scores": torch.full((len(drawn),), 0.9),
            "keypoints": torch.tensor(ones), "keypoints_scores": torch.tensor(logits),
        }
    ]  # fmt: skip


def detectron2(drawn: np.ndarray) -> dict[str, Any]:
    scored = drawn * np.array([1.0, 1.0, 0.05 / 0.3])
    return {"instances": SimpleNamespace(pred_keypoints=torch.tensor(scored), scores=torch.ones(len(drawn)))}
