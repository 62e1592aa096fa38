"""MMPose's results (RTMPose, ViTPose, HRNet, ...): the inferencer's and the top-down demo's, photo or video.

    inferencer, photo    [instance, ...]
    inferencer, video    [{"frame_id": 0.., "instances": [instance, ...]}, ...]
    top-down demo        {"meta_info": {...}, "instance_info": either of these}          a video's frames counted from 1
    in memory            {"predictions": [[instance, ...]], ...}, or samples with `pred_instances` (one a person)
    release 0.x          [{"keypoints": (K, 3), "bbox": (5,)}, ...]
    instance             {"keypoints": [[x, y] · K], "keypoint_scores": [K], "bbox": [[x0, y0, x1, y1]], "bbox_score":
                         ...}

K is 17 (COCO), 26 or 136 (Halpe) or 133 (COCO-WholeBody). `bbox` is one level deeper than it should be (a trailing
comma in MMPose makes it a tuple of one); boxes are not read, so both forms do. Scores of RTMPose are maxima of SimCC
vectors and may lie a little above 1.

Pixels are those of COCO's annotations, on which the models were trained (indices of pixels), and of cv2.warpAffine:
they count from pixel centres; half a pixel is added. A frame of a video is named by its number (`Wanted.image`), or
by the photo's place where the call has as many photos as the file has frames; a file's name is no frame number, for
programs count frames from 0 or from 1.

Source: open-mmlab/mmpose@759b39c13f `mmpose/structures/utils.py` split_instances,
`mmpose/apis/inferencers/base_mmpose_inferencer.py` l.655-690, `demo/topdown_demo_with_mmdet.py` l.180-295,
`mmpose/structures/bbox/transforms.py` get_udp_warp_matrix, `mmpose/models/pose_estimators/topdown.py` l.147-156;
COCO's pixels: facebookresearch/detectron2 `detectron2/data/datasets/coco.py`.
"""

import numpy as np

from refine.body.keypoint_names import COCO17
from refine.errors import InputError
from refine.keypoints.detections import DetectedPeople
from refine.keypoints.formats import Wanted
from refine.keypoints.numbers import numbers, shape_of
from refine.keypoints.sets import BY_COUNT, PIXEL_CENTER, THEIRS, people_of

SAPIENS = 308
"""Points of Sapiens' instances, which stand in the same layout."""


def recognises(content: object) -> bool:
    """Say whether it is instances or frames, perhaps in the demo's or inferencer's object; an empty list is."""
    inner = _inner(content)
    if not isinstance(inner, list):
        return False
    return not inner or _framed(inner) or _is_instance(inner[0])


def _is_instance(one: object) -> bool:
    """Say whether it is an instance of any release; 308 points are Sapiens'."""
    if hasattr(one, "pred_instances"):
        return True
    if not isinstance(one, dict) or "keypoints" not in one:
        return False
    shape = shape_of(one["keypoints"])
    if "keypoint_scores" in one:
        return shape[:1] != (SAPIENS,)
    return (
        "bbox" in one
        and not {"scores", "labels", "image_id"} & set(one)
        and shape in {(count, 3) for count in BY_COUNT}
    )


def images(content: object) -> int:
    """Return the number of frames, 1 for a photo."""
    inner = _inner(content)
    return len(inner) if isinstance(inner, list) and _framed(inner) else 1


def read(content: object, wanted: Wanted) -> DetectedPeople:
    """Read the people of a photo.

    Returns:
        The people in the file's order: "coco17", "coco133", "body25" (from Halpe's 26) or "openpose137" (from its 136).

    Raises:
        InputError: The file is a video's and the frame is not named or not in it, the keypoints are another set's, or a
            number is infinite.
    """
    name = f"keypoints of {wanted.origin}"
    instances = _inner(content)
    assert isinstance(instances, list)
    if _framed(instances):
        instances = _frame(name, instances, wanted)
    instances = [part for one in instances for part in _unpacked(one)]
    rows = [_instance(f"{name}: instance {index}", instance) for index, instance in enumerate(instances)]
    counts = {len(row) for row in rows}
    if len(counts) > 1:
        raise InputError(name, "instances with as many keypoints each", f"some of {sorted(counts)}", "")
    theirs = BY_COUNT[counts.pop()] if counts else "coco17"
    _check_names(name, content, theirs)
    return people_of(rows, theirs, wanted.origin)


def _unpacked(one: object) -> list[object]:
    """Return a sample's instances, each person by itself; anything else as it is."""
    if not hasattr(one, "pred_instances"):
        return [one]
    found = one.pred_instances
    return [
        {"keypoints": points, "keypoint_scores": scores}
        for points, scores in zip(found.keypoints, found.keypoint_scores, strict=True)
    ]


def _inner(content: object) -> object:
    """Return the list of instances or frames inside, or the content itself."""
    if hasattr(content, "pred_instances"):
        return [content]
    if isinstance(content, dict) and "instance_info" in content:
        return content["instance_info"]
    if isinstance(content, dict) and isinstance(content.get("predictions"), list) and len(content["predictions"]) == 1:
        return content["predictions"][0]
    return content


def _framed(instances: list[object]) -> bool:
    first = instances[0] if instances else None
    return isinstance(first, dict) and {"frame_id", "instances"} <= set(first)


def _frame(name: str, frames: list[object], wanted: Wanted) -> list[object]:
    """Return the instances of the wanted frame."""
    numbered = [frame for frame in frames if isinstance(frame, dict) and isinstance(frame.get("frame_id"), int)]
    known = {frame["frame_id"]: frame.get("instances") for frame in numbered}
    index, photos = wanted.place
    if isinstance(wanted.image, int):
        found = known.get(wanted.image)
    else:
        found = list(known.values())[index] if len(known) == len(frames) == photos else None
    if not isinstance(found, list):
        advice = "Name the frame: refine.read_keypoints(FILE, image=NUMBER)."
        got = f"{len(frames)} frames, numbers {min(known)} to {max(known)}" if known else "frames without numbers"
        asked = f"frame {wanted.image}" if isinstance(wanted.image, int) else f"frames of {photos} photo(s)"
        raise InputError(name, asked, got, advice)
    return found


def _instance(name: str, instance: object) -> np.ndarray:
    """Return one person's (K, 3)."""
    if isinstance(instance, dict) and "bbox" in instance and "keypoint_scores" not in instance:  # release 0.x
        points = numbers(f"{name}: keypoints", instance.get("keypoints"), 3, BY_COUNT)
        return points + np.array([PIXEL_CENTER, PIXEL_CENTER, 0.0])
    if not isinstance(instance, dict) or not {"keypoints", "keypoint_scores"} <= set(instance):
        raise InputError(name, "an object with keypoints and keypoint_scores", str(type(instance).__name__), "")
    scores = numbers(f"{name}: keypoint_scores", instance["keypoint_scores"], 1, BY_COUNT)
    points = numbers(f"{name}: keypoints", instance["keypoints"], 2, (len(scores),))
    return np.concatenate((points + PIXEL_CENTER, scores), 1)


def _check_names(name: str, content: object, theirs: str) -> None:
    """Refuse another set of the same size, where the demo's `meta_info` names the points."""
    meta = content.get("meta_info") if isinstance(content, dict) else None
    named = meta.get("keypoint_id2name") if isinstance(meta, dict) else None
    if not isinstance(named, dict) or not theirs.startswith(("coco", "halpe")):
        return
    # The first 17 points are COCO's in all of them.
    theirs_17 = tuple(named.get(str(index), named.get(index)) for index in range(len(COCO17)))
    if theirs_17 != THEIRS[theirs][0][: len(COCO17)]:
        advice = "Use a model trained on COCO, COCO-WholeBody or Halpe."
        raise InputError(name, f"the points of {theirs}", f"{', '.join(map(str, theirs_17[:5]))}, ...", advice)
