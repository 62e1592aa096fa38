"""COCO's annotated people: photos, keypoints, boxes and masks, as a folder's annotation files and photos hold them.

Source: COCO's format (cocodataset.org, "Data format"): x, y, v a keypoint with v 0 not labelled, 1 hidden, 2 visible,
from pixel (0, 0)'s corner; COCO-WholeBody (Jin et al., ECCV 2020): feet, face and hands beside them.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from refine.errors import InputError
from refine.photo import Photo, read_photo

FILE = "test_coco_wholebody.json"
"""The annotations, beside the photos."""
PARTS = (("keypoints", 17), ("foot_kpts", 6), ("face_kpts", 68), ("lefthand_kpts", 21), ("righthand_kpts", 21))
"""Of a person, in the order of `coco133`, with their numbers of points."""
BODY, FEET = 17, 6
"""The first points are those every detector gives, then come feet."""
SURE, GUESSED = 1.0, 0.5
"""Confidence of a visible and of a hidden keypoint: annotators guess the latter."""


@dataclass(frozen=True, eq=False)
class Annotated:
    """N people of I photos.

    Attributes:
        names: N, the photo's name and the annotation's number.
        photos: I.
        image_index: (N,) which photo each is in.
        pixel: (N, 133, 2) px of the photo.
        confidence: (N, 133) 0 where a point is not labelled.
        visible: (N, 17) whether a body's keypoint is labelled as visible.
        box: (N, 4) px, left, top, width, height.
        masks: N, (H, W) of the photo, where the person is seen.
    """

    names: tuple[str, ...]
    photos: tuple[Photo, ...]
    image_index: Int[Tensor, "N"]
    pixel: Float[Tensor, "N 133 2"]
    confidence: Float[Tensor, "N 133"]
    visible: Bool[Tensor, "N 17"]
    box: Float[Tensor, "N 4"]
    masks: tuple[np.ndarray, ...]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def box_side(self) -> Float[Tensor, "N"]:
        """(N,) px, the longer side of the box."""
        return self.box[:, 2:].amax(1)


def read_annotated(folder: Path) -> Annotated:
    """Read the people with keypoints of a folder.

    Args:
        folder: It holds `test_coco_wholebody.json` and the photos it names.

    Raises:
        InputError: A file is missing or not of this format.
    """
    try:
        content = json.loads((folder / FILE).read_text())
        rows = [row for row in content["annotations"] if row["num_keypoints"]]
        files = {image["id"]: image["file_name"] for image in content["images"]}
        order = sorted({row["image_id"] for row in rows})
        photos = tuple(read_photo(folder / files[image]) for image in order)
        points = torch.stack([_points(row) for row in rows])  # (N, 133, 3)
        index = [order.index(row["image_id"]) for row in rows]
        masks = tuple(_mask(row, photos[image].size) for row, image in zip(rows, index, strict=True))
        box = torch.tensor([row["bbox"] for row in rows], dtype=torch.float32)
    except (OSError, KeyError, ValueError, TypeError, IndexError, RuntimeError) as error:
        raise InputError(
            "--real-data", f"COCO annotations in {folder.name}/{FILE}", f"{type(error).__name__}: {error}"
        ) from error
    label = points[..., 2]
    confidence = torch.where(label >= 2, SURE, torch.where(label > 0, GUESSED, 0.0))
    confidence[:, BODY:] = SURE * (label[:, BODY:] > 0)
    names = tuple(f"{Path(files[row['image_id']]).stem.lstrip('0')}/{row['id']}" for row in rows)
    return Annotated(names, photos, torch.tensor(index), points[..., :2], confidence, label[:, :BODY] >= 2, box, masks)


def _points(row: dict[str, Any]) -> Tensor:
    """Return (133, 3): x, y px and label; zeros where a part is not annotated."""
    parts = []
    for name, count in PARTS:
        flag = name.replace("kpts", "valid")
        part = torch.tensor(row[name], dtype=torch.float32).reshape(count, 3)
        parts.append(part if row.get(flag, True) else torch.zeros_like(part))
    return torch.cat(parts)


def _mask(row: dict[str, Any], size: tuple[int, int]) -> np.ndarray:
    """Fill a person's outlines."""
    import cv2

    mask = np.zeros(size, np.uint8)
    for outline in row["segmentation"]:
        corners = np.array(outline, np.float64).reshape(-1, 2) - 0.5  # OpenCV counts from pixel centres
        cv2.fillPoly(mask, [np.rint(corners * 16).astype(np.int32)], 1, shift=4)
    return mask.astype(bool)
