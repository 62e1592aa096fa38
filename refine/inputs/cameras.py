"""The camera a caller asks for, of photos of known sizes: a focal rule, a K.json file, or intrinsics in memory.

What each form counts from (pixel centres or the corner) is the table of `refine.geometry.intrinsics`; what it was taken
as is said in a note.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from refine import batch
from refine.errors import InputError
from refine.estimate import as_array
from refine.geometry.camera import Camera
from refine.geometry.focal import RULES, camera_from_rule
from refine.geometry.intrinsics import intrinsics_of, intrinsics_of_file

CameraLike = Camera | str | Path | int | float | np.ndarray | Tensor | Sequence[object] | Mapping[str, object]
"""What `camera=` takes: see `asked_camera`."""


@dataclass(frozen=True, eq=False)
class AskedCamera:
    """Cameras as they were asked for.

    Attributes:
        camera: I cameras, one a photo, with their lenses' distortion.
        note: What was taken, a sentence.
        calibrated: Whether it is the camera of photos of one size, not a rule for any.
    """

    camera: Camera
    note: str
    calibrated: bool


def asked_camera(camera: object, sizes: Float[Tensor, "I 2"]) -> AskedCamera:
    """Return the cameras of photos.

    Args:
        camera: A focal rule ("diagonal", "fov60", "hmr2", ...); a K.json file; a focal length in px; a 3x3 matrix (or
            one a photo, (I, 3, 3)), its nine numbers or fx, fy, cx, cy, all as OpenCV counts them; or a mapping with
            K.json's keys (`refine.geometry.intrinsics`). On a command line numbers stand as text: 800, or
            800,800,256,320.
        sizes: (I, 2) px, height and width of the photos.

    Raises:
        InputError: It is none of these, or not of such photos; or it is one calibrated camera's and the photos are of
            several sizes.
    """
    if isinstance(camera, str):
        if camera in RULES:
            asked = f'Camera: focal rule "{camera}", as asked by the caller.'
            return AskedCamera(camera_from_rule(camera, sizes), asked, False)
        written = _written_numbers(camera)
        if written is None and Path(camera).suffix.lower() != ".json":
            camera_from_rule(camera, sizes)  # says which rules there are
        camera = camera if written is None else written
    photos = [(round(height), round(width)) for height, width in sizes.tolist()]
    if isinstance(camera, str | Path):
        known = {size: intrinsics_of_file(camera, size) for size in dict.fromkeys(photos)}
        found = [known[size] for size in photos]
        name, calibrated = Path(camera).name, True
    else:
        each = _one_a_photo(camera, len(photos))
        found = [intrinsics_of(one, size) for one, size in zip(each, photos, strict=True)]
        name, calibrated = "", not (found and found[0][1].startswith("a focal"))
        calibrated = calibrated and all(one is each[0] for one in each)
    if calibrated and len(set(photos)) > 1:
        expected = "photos of one size with one camera's intrinsics"
        raise InputError("camera", expected, "photos of several sizes", "Refine them separately.")
    cameras = [lens.taken_by() for lens, _ in found]
    said = found[0][1] if found else "intrinsics"
    note = f"Camera: {name}, {said}" if name else f"Camera: {said}, as given by the caller"
    note += ", with its lens' distortion." if any(one.distortion is not None for one in cameras) else "."
    joined = batch.cat(cameras) if cameras else Camera(torch.ones(0, 2), torch.zeros(0, 2), torch.ones(0, 2))
    return AskedCamera(joined, note, calibrated)


def _written_numbers(text: str) -> float | list[float] | None:
    """Return the numbers a text consists of, None where it is something else."""
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        return None
    return values[0] if len(values) == 1 else values


def _one_a_photo(camera: object, photos: int) -> list[object]:
    """Return intrinsics of each photo: the same, or those of its place in an array (I, 3, 3)."""
    if (
        isinstance(camera, np.ndarray | Tensor)
        and camera.ndim == 3
        and tuple(camera.shape[1:]) == (3, 3)
        and len(camera)
    ):
        matrices = as_array(camera)
        if bool((matrices == matrices[:1]).all()):
            return [matrices[0]] * photos
        if len(matrices) != photos:
            advice = "Give a Camera for one a body: Camera.from_opencv(K, size=(height, width))."
            raise InputError("camera", f"one matrix, or one a photo ({photos})", f"{len(matrices)} that differ", advice)
        return list(matrices)
    return [camera] * photos
