"""Videos and keypoints beside a result of a video, as a run finds them."""

import json
from pathlib import Path

import cv2
import numpy as np
import torch

from refine.body import SkinnedBody
from refine.formats import find
from tests.regressor_files import HEIGHT, WIDTH


def make_video(path: Path, frames: int) -> None:
    """Write a video of so many frames, 25 a second."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (WIDTH, HEIGHT))
    for number in range(frames):
        writer.write(np.full((HEIGHT, WIDTH, 3), 5 * number, np.uint8))
    writer.release()


def make_keypoints(folder: Path, result: Path, body: SkinnedBody, name: str = "walk") -> None:
    """Write who is in each frame of a result, four pixels off, a file a frame of the video of that name."""
    folder.mkdir(exist_ok=True)
    estimate = find.read(result, body)
    points = torch.cat((estimate.keypoints_2d("body25") + 4.0, torch.ones(len(estimate), 25, 1)), -1).flatten(1)
    for number in range(int(estimate.image_index.max()) + 1):
        people = [{"pose_keypoints_2d": row} for row in points[estimate.image_index == number].tolist()]
        (folder / f"{name}_{number:012d}_keypoints.json").write_text(json.dumps({"people": people}))
