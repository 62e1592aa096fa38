"""Sapiens' JSON of 308 keypoints, in the layout of MMPose's demo; its models of 17 and 133 points are read as MMPose's.

    {"instance_info": [{"keypoints": [[x, y] · 308], "keypoint_scores": [308]}, ...]}                  one file a photo

The first 70 points are MHR's: body without wrists, feet, right and left hand with their wrists, elbows' and
shoulders' bony points, neck. The 238 points of face, ears and eyes behind them are none of ours.

Pixels: points of the crop are taken back by (point / size) · scale + centre - scale / 2, indices of pixels as
MMPose's: half a pixel is added.

Source: facebookresearch/sapiens@3e829ac274 `lite/demo/vis_pose.py` l.100-130,
`pose/configs/_base_/datasets/goliath.py` dataset_info (order).
"""

import numpy as np

from refine.errors import InputError
from refine.keypoints.detections import DetectedPeople
from refine.keypoints.formats import Wanted, one_image
from refine.keypoints.numbers import numbers, shape_of
from refine.keypoints.sets import PIXEL_CENTER, people_of

POINTS = 308

images = one_image


def recognises(content: object) -> bool:
    """Say whether it is a list of instances of 308 points, perhaps in an object with `instance_info`."""
    instances = content.get("instance_info") if isinstance(content, dict) else content
    first = instances[0] if isinstance(instances, list) and instances else None
    return isinstance(first, dict) and "keypoint_scores" in first and shape_of(first.get("keypoints"))[:1] == (POINTS,)


def read(content: object, wanted: Wanted) -> DetectedPeople:
    """Read the people of a photo.

    Returns:
        The people in the file's order, in the set "coco133", without face.

    Raises:
        InputError: An instance has another number of points, or a number is infinite.
    """
    instances = content["instance_info"] if isinstance(content, dict) else content
    assert isinstance(instances, list)
    rows = []
    for index, instance in enumerate(instances):
        name = f"keypoints of {wanted.origin}: instance {index}"
        if not isinstance(instance, dict) or not {"keypoints", "keypoint_scores"} <= set(instance):
            raise InputError(name, "an object with keypoints and keypoint_scores", type(instance).__name__, "")
        points = numbers(f"{name}: keypoints", instance["keypoints"], 2, (POINTS,))
        scores = numbers(f"{name}: keypoint_scores", instance["keypoint_scores"], 1, (POINTS,))
        rows.append(np.concatenate((points + PIXEL_CENTER, scores), 1))
    return people_of(rows, "sapiens308", wanted.origin)
