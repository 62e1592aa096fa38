"""Every detector's content by "format, variant", and what each says where nobody was found."""

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import torch

from tests.detector_outputs import (
    SIZE,
    KeyPoints,
    Results,
    alphapose,
    alphapose_api,
    alphapose_cmu,
    alphapose_open,
    coco,
    controlnet,
    datum,
    detectron2,
    easy_vitpose,
    easymocap,
    huggingface,
    landmarks,
    mmpose,
    mmpose_old,
    mmpose_samples,
    openpifpaf,
    openpose,
    pair,
    points,
    sapiens,
    torchvision,
    ultralytics,
    ultralytics_json,
)

Maker = Callable[[np.ndarray], object]


OUTPUTS: dict[str, tuple[Maker, int]] = {
    "openpose": (openpose, 25),
    "openpose, 18 points": (openpose, 18),
    "openpose, a list of one frame": (lambda drawn: [openpose(drawn)], 25),
    "openpose, datum": (datum, 25),
    "controlnet": (controlnet, 18),
    "controlnet, shares": (lambda drawn: controlnet(drawn, shares=True), 18),
    "controlnet, half the size": (lambda drawn: controlnet(drawn, (240, 320)), 18),
    "controlnet, a list of one frame": (lambda drawn: [controlnet(drawn)], 18),
    "rtmlib, body": (pair, 17),
    "rtmlib, openpose": (pair, 18),
    "rtmlib, feet": (pair, 26),
    "rtmlib, whole body": (pair, 133),
    "rtmlib, 136": (pair, 136),
    "rtmlib, a mapping": (lambda drawn: dict(zip(("keypoints", "scores"), pair(drawn), strict=True)), 17),
    "rtmlib, lists": (lambda drawn: {"keypoints": drawn[..., :2].tolist(), "keypoint_scores": drawn[..., 2].tolist()},
        26),
    "dwpose": (pair, 134),
    "dwpose, lists": (lambda drawn: {"keypoints": drawn[..., :2].tolist(), "scores": drawn[..., 2].tolist()}, 134),
    "ultralytics": (ultralytics, 17),
    "ultralytics, one result": (lambda drawn: ultralytics(drawn)[0], 17),
    "ultralytics, keypoints": (lambda drawn: ultralytics(drawn)[0].keypoints, 17),
    "ultralytics, to_json": (ultralytics_json, 17),
    "ultralytics, to_json normalised": (lambda drawn: ultralytics_json(drawn, normalize=True), 17),
    "huggingface": (huggingface, 17),
    "huggingface, people of an image": (lambda drawn: huggingface(drawn)[0], 17),
    "huggingface, whole body": (huggingface, 133),
    "mmpose": (mmpose, 17),
    "mmpose, samples": (mmpose_samples, 133),
    "mmpose, release 0": (mmpose_old, 17),
    "mmpose, demo": (lambda drawn: {"meta_info": {}, "instance_info": mmpose(drawn)}, 26),
    "sapiens": (sapiens, 308),
    "sapiens, a list": (lambda drawn: sapiens(drawn)["instance_info"], 308),
    "easymocap": (easymocap, 25),
    "easymocap, another size": (lambda drawn: easymocap(drawn, (960, 1280)), 25),
    "easymocap, MediaPipe": (easymocap, 33),
    "easy_vitpose": (easy_vitpose, 17),
    "easy_vitpose, 25 points": (easy_vitpose, 25),
    "easy_vitpose, whole body": (easy_vitpose, 133),
    "openpifpaf": (openpifpaf, 17),
    "openpifpaf, whole body": (openpifpaf, 133),
    "coco, results": (coco, 17),
    "alphapose": (alphapose, 17),
    "alphapose, Halpe": (alphapose, 26),
    "alphapose, Halpe's whole body": (alphapose, 136),
    "alphapose, open": (alphapose_open, 18),
    "alphapose, cmu": (alphapose_cmu, 18),
    "alphapose, API": (alphapose_api, 17),
    "mediapipe": (lambda drawn: SimpleNamespace(pose_landmarks=landmarks(drawn)), 33),
    "mediapipe, a list": (landmarks, 33),
    "supervision": (KeyPoints, 17),
    "torchvision": (torchvision, 17),
    "detectron2": (detectron2, 17),
    "arrays": (lambda drawn: drawn, 17),
    "arrays, 18": (lambda drawn: drawn, 18),
    "arrays, tensor": (lambda drawn: torch.tensor(drawn), 26),
    "arrays, 33": (lambda drawn: drawn, 33),
    "arrays, 33 of five numbers": (
        lambda drawn: np.concatenate((drawn[..., :2], 0 * drawn[..., 2:] - 0.3, drawn[..., 2:], 0 * drawn[..., 2:] + 1),
            2), 33,
    ),
    "arrays, shares": (lambda drawn: drawn / np.array([SIZE[1], SIZE[0], 1.0]), 17),
    "arrays, 136": (lambda drawn: drawn, 136),
    "arrays, nested lists": (lambda drawn: drawn.tolist(), 17),
    "arrays, a mapping": (lambda drawn: {"kpts": drawn, "note": np.array(3)}, 17),
    "frames, image names": (lambda drawn: {"photo.jpg": openpose(drawn), "other.jpg": None}, 25),
    "frames, numbers": (lambda drawn: [{"frame": 0, "people": []}, {"frame": 7, **openpose(drawn)}], 25),
}  # fmt: skip
"""Content by "format, variant", and how many points it is made from."""


ASKED: dict[str, str | int] = {"alphapose": "photo.jpg", "frames, image names": "photo.jpg", "frames, numbers": 7}
"""Which image of a content about several is read."""


NOBODY: dict[str, object] = {
    "openpose": openpose(np.zeros((0, 25, 3))),
    "openpose, datum": SimpleNamespace(poseKeypoints=None),
    "openpose, null parts": {"people": [{"pose_keypoints_2d": None, "face_keypoints_2d": None}]},
    "controlnet": controlnet(np.zeros((0, 18, 3))),
    "controlnet, a person without parts": {
        "people": [{"pose_keypoints_2d": None}],
        "canvas_width": 5,
        "canvas_height": 5,
    },
    "rtmlib": pair(np.zeros((0, 17, 3))),
    "ultralytics": [Results(torch.zeros(0, 17, 3))],
    "ultralytics, without confidence": [Results(torch.zeros(0, 0, 2))],
    "mmpose": [],
    "mediapipe": SimpleNamespace(pose_landmarks=[]),
    "mediapipe, solutions": SimpleNamespace(pose_landmarks=None),
    "easymocap": easymocap(np.zeros((0, 25, 3))),
    "easy_vitpose": easy_vitpose(np.zeros((0, 17, 3))),
    "supervision": KeyPoints(np.zeros((0, 17, 3))),
    "torchvision": torchvision(np.full((0, 17, 3), 0.5)),
    "detectron2": detectron2(np.zeros((0, 17, 3))),
    "alphapose": alphapose_open(np.zeros((0, 18, 3))),
    "arrays": np.zeros((0, 17, 3)),
    "arrays, all missing": np.full((2, 17, 3), np.nan),
    "frames": {"photo.jpg": [], "other.jpg": openpose(points(1, 25))},
}
"""How each says that nobody was found."""
