"""ControlNet's and ComfyUI's pose JSON: OpenPose's keys, and the size of the canvas they are drawn on.

    {"people": [{"pose_keypoints_2d": [x, y, c] · 18 (25), "face_keypoints_2d": · 70, "hand_left_keypoints_2d": · 21,
    ...}],
     "canvas_width": W, "canvas_height": H}                                            or a list of these, one a frame

A part that was not found is null, a point that was not found (0, 0, 0); every other c is 1: scores are lost. Points
are pixels of the canvas, in newer releases shares of it. The canvas is the image that went in, resized (sides to
multiples of 64): points are taken times the photo's size over the canvas'. The last two face points are copies of the
eyes. The neck is the middle of the shoulders.

Pixels: shares are a heatmap's or a SimCC's index over the width, and count from pixel centres of the canvas: half of
one is added before scaling.

Source: Mikubill/sd-webui-controlnet@04df012c55 `annotator/openpose/__init__.py` encode_poses_as_json,
decode_json_as_poses; Fannovel16/comfyui_controlnet_aux@239b35771c `src/custom_controlnet_aux/dwpose/__init__.py`
encode_poses_as_dict, and @140d1fbfe5 `src/custom_controlnet_aux/dwpose/wholebody.py` format_result (order, copies of
the eyes).
"""

import numpy as np

from refine.errors import InputError
from refine.keypoints.detections import DetectedPeople
from refine.keypoints.formats import Wanted
from refine.keypoints.formats._images import in_order, nth_image
from refine.keypoints.formats.openpose import PARTS, part_rows, people_of_parts
from refine.keypoints.sets import PIXEL_CENTER
from refine.keypoints.shares import are_shares, from_canvas


def recognises(content: object) -> bool:
    """Say whether it is an object with `people` and the canvas' size, or a list of such objects."""
    if isinstance(content, list):
        return in_order(content) and all(_is_one(part) for part in content)
    return _is_one(content)


def _is_one(content: object) -> bool:
    keys = {"people", "canvas_width", "canvas_height"}
    return isinstance(content, dict) and keys <= set(content) and isinstance(content["people"], list | type(None))


def images(content: object) -> int:
    """Return 1, or the number of frames of a list."""
    return len(content) if isinstance(content, list) else 1


def read(content: object, wanted: Wanted) -> DetectedPeople:
    """Read the people of a photo.

    Returns:
        The people in the file's order, "openpose137" where hands or faces were found, else "body25". Without the
        photo's size: in pixels of the canvas, and a note says so.

    Raises:
        InputError: The canvas has no size, a part another number of points, or a number is infinite.
    """
    if isinstance(content, list):
        content = content[nth_image(len(content), wanted)]
    assert isinstance(content, dict)
    canvas = _canvas(content, wanted.origin)
    rows = part_rows(content["people"] or [], wanted.origin, half=False, alike=tuple(PARTS))
    points = np.stack(rows) if rows else np.zeros((0, sum(PARTS.values()), 3))
    if are_shares(points):
        points = points * np.array([canvas[1], canvas[0], 1.0])
    points[..., :2] += PIXEL_CENTER
    points, notes = from_canvas(points, canvas, wanted)
    return people_of_parts(points, wanted.origin, notes if len(points) else ())


def _canvas(content: dict[str, object], origin: str) -> tuple[int, int]:
    height, width = content["canvas_height"], content["canvas_width"]
    if not all(isinstance(side, int | float) and side > 0 for side in (height, width)):
        got = f"{width!r} x {height!r}"
        raise InputError(f"keypoints of {origin}: canvas_width, canvas_height", "sizes above zero, px", got, "")
    return round(float(height)), round(float(width))  # type: ignore[arg-type]
