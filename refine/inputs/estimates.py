"""Photos, cameras and estimates in all the forms callers have them in, as the method needs them."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from refine.body import SkinnedBody
from refine.errors import InputError
from refine.estimate import Estimate, Source
from refine.geometry.camera import Camera
from refine.inputs.cameras import CameraLike, asked_camera
from refine.inputs.checks import checked
from refine.inputs.corrected import read_corrected
from refine.inputs.corrections import Corrections
from refine.photo import Photo


@dataclass(frozen=True)
class Given:
    """The photos, and the camera the caller gave for them.

    Attributes:
        photos: I photos, as they were taken.
        camera: One camera, one a body, or one a photo; None: the caller gave none.
        notes: One sentence for each thing that was decided.
    """

    photos: tuple[Photo, ...] = ()
    camera: Camera | None = None
    notes: tuple[str, ...] = ()

    @property
    def sizes(self) -> Tensor | None:
        """(I, 2) px, height and width of the photos; None where there are none."""
        return torch.tensor([photo.size for photo in self.photos], dtype=torch.float32) if self.photos else None

    def for_bodies(self, image_index: Tensor) -> Camera:
        """Return one camera a body.

        Args:
            image_index: (B,) which photo each body is seen in.

        Raises:
            InputError: There are as many cameras neither as bodies nor as photos, or an index points beyond them.
        """
        assert self.camera is not None
        cameras, bodies = len(self.camera), len(image_index)
        if cameras == 1:
            return self.camera[torch.zeros(bodies, dtype=torch.long)]
        by_photo = cameras == len(self.photos)
        if by_photo and bodies and 0 <= int(image_index.min()) and int(image_index.max()) < cameras:
            return self.camera[image_index.cpu()]
        if cameras == bodies and not by_photo:
            return self.camera
        wanted = f"one camera, one a photo ({len(self.photos)}) in the order of image_index, or one a body ({bodies})"
        raise InputError("camera", wanted, f"{cameras} for image_index {image_index.tolist()}")


def camera_of(camera: CameraLike | None, photos: tuple[Photo, ...]) -> Given:
    """Resolve the `camera` argument.

    Args:
        camera: A camera, what `asked_camera` takes (a focal rule, a K.json file, intrinsics in memory), or None.
        photos: The photos, none only with a camera or None; everything but a camera gives one for each.

    Returns:
        The camera and the photos to use with it.

    Raises:
        InputError: The rule is unknown, or the file is not a camera of these photos.
    """
    if camera is None:
        return Given(photos)
    if isinstance(camera, Camera):
        if camera.camera_from_world is not None:
            advice = (
                "Turn the bodies into the camera's frame, or give an Estimate whose own camera holds camera_from_world."
            )
            raise InputError("camera", "a camera in whose frame the bodies are", "one with camera_from_world", advice)
        return Given(photos, camera.checked(), notes=("Camera: as given by the caller.",))
    sizes = torch.tensor([photo.size for photo in photos], dtype=torch.float32)
    asked = asked_camera(camera, sizes)
    return Given(photos, asked.camera, (asked.note,))


def estimate_of(
    init: object,
    given: Given,
    body_model: SkinnedBody | str | Path | None,
    format: str | None = None,
    corrections: Corrections | None = None,
    *,
    judged: bool = True,
) -> Estimate:
    """Resolve the `init` argument.

    Args:
        init: An `Estimate`, a mapping with SMPL(-X) names, an output of the `smplx` package, or a result file.
        given: The caller's camera, or none.
        body_model: A model, its file, a folder with models, or None.
        format: The format of a result file; None: recognised.
        corrections: Systematic faults of a result file that are undone; None: none.
        judged: Whether a file is refused in which no camera can see anybody where they are said to be.

    Returns:
        The estimate, on the asked model, through the asked camera.

    Raises:
        InputError: It is none of these, its numbers cannot be used, or no camera is known.
    """
    from refine.formats import parameters
    from refine.transfer import on_body, with_camera
    from refine.transfer.source_body import body_for, suits

    named = body_model if isinstance(body_model, str | Path) else None  # read as the source's numbers want it
    camera = given.camera
    if isinstance(init, Estimate):
        estimate = checked(init)
        body = model_of(body_model) if named is None else body_for(init.source, named)
        if body is not None and body is not init.body:
            estimate = on_body(estimate, body)
        return estimate if camera is None else with_camera(estimate, given.for_bodies(estimate.image_index))
    if isinstance(init, str | Path):
        first = None if camera is None else camera[:1]
        undone, model = corrections or Corrections(), model_of(body_model)
        estimate = read_corrected(Path(init), undone, model, first, format=format, sizes=given.sizes, judged=judged)
        if named is not None and not suits(estimate.source, estimate.body):
            estimate = on_body(estimate, body_for(estimate.source, named))
        other = camera is not None and len(estimate) > 0 and (len(camera) > 1 or bool(undone.focal))
        return with_camera(estimate, given.for_bodies(estimate.image_index)) if other else estimate
    if isinstance(getattr(init, "refined", None), Estimate):
        raise InputError("init", "an estimate", "a Result", "To refine it further give result.refined.")
    if parameters.nobody_in(init):
        return parameters.read_parameters(init, model_of(body_model))
    source = parameters.source_of(init)
    body = model_of(body_model) if named is None else body_for(source, named)
    _check_photos_are_told_apart(source, given)
    if camera is not None:
        index = parameters.image_index_of(source)
        camera = given.for_bodies(torch.zeros(len(source), dtype=torch.long) if index is None else index)
    return checked(parameters.read_parameters(init, body, camera, sizes=given.sizes))


def estimate_of_file(
    path: str | Path, camera: CameraLike | None, body_model: SkinnedBody | str | Path | None, format: str | None = None
) -> Estimate:
    """Read a result file without its photos.

    Args:
        path: The file.
        camera: A camera; what else `asked_camera` takes, where the file knows its photos' sizes; None: the file's own.
        body_model: A model, its file, a folder with models, or None.
        format: The file's format; None: recognised.

    Returns:
        The estimate, on the asked model, through the asked camera.

    Raises:
        InputError: As `estimate_of`, or a rule or K.json is asked for and the photos' sizes are not known.
    """
    from refine.transfer import with_camera

    if camera is None or isinstance(camera, Camera):
        return estimate_of(path, camera_of(camera, ()), body_model, format)
    try:
        estimate = estimate_of(path, Given(), body_model, format)
    except InputError as error:
        if not Path(path).is_file():
            raise
        asked = f'"{camera}"' if isinstance(camera, str | Path) else "the camera"
        if error.name != "camera" and not error.name.endswith("sizes"):  # the file itself is wrong
            raise
        advice = "Give the photo too: refine.read(PATH, camera=..., image=PHOTO); --image on the command line."
        raise InputError(
            "image", f"the photo, whose size {asked} needs", "none, and the file does not hold it", advice
        ) from error
    asked_for = asked_camera(camera, estimate.camera.size)
    return replace(with_camera(estimate, asked_for.camera), notes=(*estimate.notes, asked_for.note))


def model_of(body_model: SkinnedBody | str | Path | None) -> SkinnedBody | None:
    """Return the model the caller named, loaded; None where none was named."""
    if body_model is None or isinstance(body_model, SkinnedBody):
        return body_model
    from refine.body.load import load_body

    return load_body(body_model)


def _check_photos_are_told_apart(source: Source, given: Given) -> None:
    """Refuse several photos for parameters that do not say who is in which.

    Raises:
        InputError: There is no image_index.
    """
    from refine.formats import parameters

    if len(given.photos) > 1 and len(source) and parameters.image_index_of(source) is None:
        advice = "Give image_index, which photo each body is seen in, from 0: numpy.arange(B) for one body a photo."
        raise InputError(
            "init", f"image_index (B,) of {len(source)} bodies in {len(given.photos)} photos", "none", advice
        )
