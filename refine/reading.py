"""From what a caller gives to what the method needs: cameras, estimates and keypoints in all the forms people have them in."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from refine.body import SkinnedBody
from refine.camera import Camera
from refine.check import check_finite, check_shape
from refine.detections import Detections
from refine.errors import InputError
from refine.estimate import Estimate, as_array, as_tensor
from refine.focal import RULES, camera_from_rule, read_intrinsics
from refine.photo import Photo
from refine.undistort import Lens

SETS_BY_SIZE = {17: "coco17", 25: "body25", 133: "coco133", 137: "openpose137"}
"""Keypoint sets an array is taken for, by its number of points."""

SIZE_TOLERANCE_PX = 2.0
"""A file's image size may be known only through its principal point: half a pixel of rounding on each side, doubled."""


@dataclass(frozen=True)
class Given:
    """The photos as they are used, and the camera the caller gave for them.

    Attributes:
        photos: I photos, undistorted where the camera's lens distorts.
        camera: One camera, or one a photo; None: the caller gave none.
        lens: The lens that was taken out of the photos, or None.
        notes: One sentence for each thing that was decided.
    """

    photos: tuple[Photo, ...]
    camera: Camera | None = None
    lens: Lens | None = None
    notes: tuple[str, ...] = ()


def camera_of(camera: Camera | str | Path | None, photos: tuple[Photo, ...]) -> Given:
    """Resolve the `camera` argument.

    Args:
        camera: A camera, the name of a focal rule, a K.json file, or None.
        photos: The photos; a rule or file gives one camera for each.

    Returns:
        The camera and the photos to use with it.

    Raises:
        InputError: The rule is unknown, or the file is not a camera of these photos.
    """
    if camera is None:
        return Given(photos)
    if isinstance(camera, Camera):
        return Given(photos, camera.checked(), notes=("Camera: as given by the caller.",))
    sizes = torch.tensor([photo.size for photo in photos], dtype=torch.float32)
    if isinstance(camera, str) and (camera in RULES or Path(camera).suffix != ".json"):
        return Given(
            photos, camera_from_rule(camera, sizes), notes=(f'Camera: focal rule "{camera}", as asked by the caller.',)
        )
    if not isinstance(camera, str | Path):
        raise InputError("camera", "a Camera, a focal rule, a K.json file or None", type(camera).__name__)
    if len({photo.size for photo in photos}) > 1:
        raise InputError(
            "camera", "photos of one size with a K.json file", "photos of several sizes", "Refine them separately."
        )
    one, lens = read_intrinsics(camera, photos[0].size)
    note = f"Camera: {Path(camera).name}" + (", the photos are undistorted with it." if lens else ".")
    if lens is not None:
        photos = tuple(replace(photo, pixels=lens.undistort(photo.pixels)) for photo in photos)
    return Given(photos, one[torch.zeros(len(photos), dtype=torch.long)], lens, (note,))


def estimate_of(init: object, camera: Camera | None, body_model: SkinnedBody | str | Path | None) -> Estimate:
    """Resolve the `init` argument.

    Args:
        init: An `Estimate`, a mapping with SMPL(-X) names, an output of the `smplx` package, or a result file.
        camera: One camera, one a photo, or None.
        body_model: A model, its file, a folder with models, or None.

    Returns:
        The estimate, on the asked model, through the asked camera.

    Raises:
        InputError: It is none of these, its numbers cannot be used, or no camera is known.
    """
    from refine.formats import find, parameters
    from refine.transfer import on_body, with_camera

    body = model_of(body_model)
    if isinstance(init, Estimate):
        estimate = init
        if body is not None and body is not init.body:
            estimate = on_body(init, body)
        return estimate if camera is None else with_camera(estimate, _per_body(camera, estimate.image_index))
    if isinstance(init, str | Path):
        estimate = find.read(init, body, camera=None if camera is None else camera[:1])
        return (
            estimate
            if camera is None or len(camera) == 1
            else with_camera(estimate, _per_body(camera, estimate.image_index))
        )
    if camera is not None and len(camera) > 1:  # one a photo: each body needs its own
        index = parameters.source_of(init).arrays.get("image_index")
        camera = camera[:1] if index is None else camera[torch.as_tensor(as_array(index)).reshape(-1).long()]
    return parameters.read_parameters(init, body, camera)


def model_of(body_model: SkinnedBody | str | Path | None) -> SkinnedBody | None:
    """Return the model the caller named, loaded; None where none was named."""
    if body_model is None or isinstance(body_model, SkinnedBody):
        return body_model
    from refine.body.load import load_body

    return load_body(body_model)


def check_photos(estimate: Estimate, photos: Sequence[Photo]) -> None:
    """Hold the estimate's cameras against the photos they belong to.

    Raises:
        InputError: A body points to a photo that was not given, or its camera is of a photo of another size.
    """
    most = int(estimate.image_index.max()) if len(estimate) else -1
    if most >= len(photos) or (len(estimate) and int(estimate.image_index.min()) < 0):
        raise InputError(
            "image", f"{most + 1} photos or more: the estimate's image_index points to them", str(len(photos)),
            "Give the photos as a list, in the order of image_index.",
        )  # fmt: skip
    sizes = torch.tensor([photo.size for photo in photos])[estimate.image_index.cpu()].to(estimate.camera.size)
    wrong = ((sizes - estimate.camera.size).abs() > SIZE_TOLERANCE_PX).any(1)
    if bool(wrong.any()):
        row = int(wrong.nonzero()[0, 0])
        height, width = (round(float(side)) for side in estimate.camera.size[row])
        raise InputError(
            "image", f"the photo the estimate of body {row} was made on, {width}x{height} px",
            f"{int(sizes[row, 1])}x{int(sizes[row, 0])} px", "Give that photo, or a camera for this one.",
        )  # fmt: skip


def detections_of(keypoints: object, estimate: Estimate, given: Given) -> tuple[Detections | None, tuple[str, ...]]:
    """Resolve the `keypoints` argument.

    Args:
        keypoints: JSON file(s), `Detections`, an array (B, K, 3), or None.
        estimate: B bodies; people of a file are matched to them.
        given: The photos and the lens that was taken out of them.

    Returns:
        The detections of the bodies, or None; and what was decided.

    Raises:
        InputError: It is none of these, or of another photo or number of bodies.
    """
    if keypoints is None:
        return None, ()
    found, notes = _detections(keypoints, estimate, given)
    check_shape("keypoints", found.pixel, "B K 2", B=len(estimate))
    check_finite("keypoints.confidence", found.confidence)
    found = Detections(found.name, found.pixel.to(estimate.camera.focal), found.confidence.to(estimate.camera.focal))
    if given.lens is not None:
        known = found.confidence > 0
        straight = given.lens.undistort_points(found.pixel.nan_to_num(0.0))
        found = replace(found, pixel=torch.where(known[..., None], straight.to(found.pixel), 0.0))
    return found, notes


def _detections(keypoints: object, estimate: Estimate, given: Given) -> tuple[Detections, tuple[str, ...]]:
    if isinstance(keypoints, Detections):
        return keypoints, ()
    if isinstance(keypoints, np.ndarray | Tensor):
        array = as_tensor(keypoints)
        array = array[None] if array.dim() == 2 else array
        if array.dim() != 3 or array.shape[2] != 3 or array.shape[1] not in SETS_BY_SIZE:
            raise InputError(
                "keypoints", f"an array (B, K, 3) with K one of {sorted(SETS_BY_SIZE)}", str(tuple(array.shape))
            )
        return Detections(SETS_BY_SIZE[array.shape[1]], array[..., :2], array[..., 2]), ()
    paths = [keypoints] if isinstance(keypoints, str | Path) else keypoints
    if not isinstance(paths, Sequence) or not all(isinstance(path, str | Path) for path in paths):
        raise InputError("keypoints", "JSON file(s), Detections or an array (B, K, 3)", type(keypoints).__name__)
    if len(paths) != len(given.photos):
        raise InputError("keypoints", f"{len(given.photos)} file(s), one a photo", str(len(paths)))
    return _from_files([Path(path) for path in paths], estimate, given.photos)


def _from_files(paths: list[Path], estimate: Estimate, photos: Sequence[Photo]) -> tuple[Detections, tuple[str, ...]]:
    """Read one file a photo and match its people to the bodies in that photo."""
    from refine.formats.openpose import match_people, read_keypoints

    files = [read_keypoints(path).checked(photo.size) for path, photo in zip(paths, photos, strict=True)]
    if len({file.name for file in files}) > 1:  # in some photos nobody's hands or face was found
        files = [file.whole() for file in files]
    name = files[0].name
    projected = estimate.keypoints_2d(name).cpu()
    pixel = torch.zeros(projected.shape)
    confidence = torch.zeros(projected.shape[:2])
    notes = []
    for index, file in enumerate(files):
        rows = (estimate.image_index.cpu() == index).nonzero()[:, 0]
        person = match_people(projected[rows], file.pixel, file.confidence)
        for row, chosen in zip(rows.tolist(), person.tolist(), strict=True):
            if chosen >= 0:
                pixel[row], confidence[row] = file.pixel[chosen], file.confidence[chosen]
            else:
                notes.append(f"Body {row}: no person in {paths[index].name} lies near it; it has no keypoints.")
        spare = len(file.pixel) - int((person >= 0).sum())
        if spare:
            notes.append(
                f"{paths[index].name}: {spare} detected {'person matches' if spare == 1 else 'people match'} no body."
            )
    return Detections(name, pixel, confidence), tuple(notes)


def _per_body(camera: Camera, image_index: Tensor) -> Camera:
    """One camera a body from one for all, or one a photo."""
    index = torch.zeros_like(image_index) if len(camera) == 1 else image_index
    return camera[index.cpu()]
