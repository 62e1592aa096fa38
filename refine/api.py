"""One call for most users: `refine.fit(image, init)`; and `refine.read`, `refine.load` for what it reads and writes.

photos, estimate, detections  <-  what the caller gave      evidence, priors  <-  terms      result  <-  refiner
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from refine.ambient import usual_torch
from refine.body import SkinnedBody
from refine.dense.prediction import Prediction, predict
from refine.errors import InputError
from refine.estimate import Estimate
from refine.inputs.cameras import CameraLike
from refine.inputs.estimates import camera_of, estimate_of, estimate_of_file
from refine.inputs.prepared import Prepared, prepare
from refine.keypoints.detections import DetectedPeople, Detections
from refine.photo import ImageLike, Photo, read_photos
from refine.refiner import Callback, Refiner
from refine.result import Result, summarise
from refine.solve.round import Round
from refine.solve.start import notes_of, orders_of
from refine.terms import Term
from refine.terms.keypoints import keypoints_from_detections

LOGGER = logging.getLogger("refine")


@usual_torch()
@torch.no_grad()
def fit(
    image: ImageLike | Sequence[ImageLike],
    init: Estimate | Mapping[str, object] | str | Path | object,
    *,
    keypoints: Detections | DetectedPeople | str | Path | np.ndarray | Tensor | Sequence[object] | object | None = None,
    camera: CameraLike | None = None,
    body_model: SkinnedBody | str | Path | None = None,
    evidence: Sequence[Term] = (),
    priors: Sequence[Term] | None = None,
    refiner: Refiner | None = None,
    callback: Callback | None = None,
) -> Result:
    """Move estimated bodies onto the people in the photo.

    Args:
        image: A photo, or several, indexed by the estimate's `image_index`: a path, an RGB array (H, W, 3), a tensor
            (3, H, W) of 0..1 or uint8, or a PIL image. A file's EXIF orientation is applied; images in memory are taken
            as they are.
        init: What a regressor said: an `Estimate`; a mapping with SMPL(-X) names (`global_orient, body_pose, betas,
            transl`, ...; axis-angle or matrices, m, camera frame with x right, y down, z forward); an output of the
            `smplx` package; or a regressor's result file.
        keypoints: 2D keypoints: a detector's file (OpenPose, MMPose, COCO, DWPose, MediaPipe; one a photo, or one with
            all of them) or what it returned in memory, `DetectedPeople` (`refine.read_keypoints`), `Detections` already
            matched to the bodies, or an array (B, K, 3) of x, y (px of the photo) and confidence with K of coco17,
            body25, coco133 or openpose137. Or a detector to be run on the photo now (`refine.detectors`): its name
            ("mediapipe"), "auto" (the first that is installed; a note says which), or a function of image and boxes.
        camera: None: the one `init` holds. A `Camera`; a focal rule ("diagonal", "fov60", "hmr2", ...); a K.json file;
            a focal length in px (the centre is the photo's middle); a 3x3 matrix or (fx, fy, cx, cy), as OpenCV counts
            them: from pixel centres; or a mapping with K.json's keys. `refine.geometry.intrinsics` lists the forms and
            what each counts from; a note says what was taken.
        body_model: A model, its file, or a folder with models; None: the estimate's own where its file is found, else
            the built-in.
        evidence: Further terms with the estimate's batch axis.
        priors: Terms in place of the default ones (`priors.default.default_priors`).
        refiner: The method's parts and settings; None: `Refiner()`, which goes by the keypoints and the evidence given,
            and where there is neither, `Refiner.default()`, which asks the network that ships with the library. Give
            the latter to go by both.
        callback: Called after each round with its number and solution, of the people as they came.

    Returns:
        The result: one row a body, in the estimate's order. What looks wrong in estimate, camera and photo
        (docs/cameras.md) is among its notes, and a warning of the logger `refine`.

    Raises:
        InputError: An argument is not what it should be; the message says which, what was expected, what came and what
            to do.
        MissingExtra: A detector is asked for and not installed; the message names the command.
    """
    check_arguments(evidence, priors, refiner, callback)
    given = camera_of(camera, read_photos(image))
    estimate = estimate_of(init, given, body_model)
    prepared = prepare(estimate, given, keypoints, asked_camera=camera is not None)
    refiner = refiner or usual_refiner(keypoints is not None or bool(evidence))
    fitted = fit_prepared(prepared, refiner=refiner, evidence=evidence, priors=priors, callback=callback)
    result = result_of(prepared, fitted, refiner)
    doubts = tuple(doubt.sentence for doubt in prepared.doubts)
    for note in result.notes:
        LOGGER.log(logging.WARNING if note in doubts else logging.INFO, note)
    return result


@dataclass(frozen=True, eq=False)
class Fitted:
    """What was found of prepared bodies.

    Attributes:
        rounds: At least one.
        informed: (B, K) which keypoints carry information, in the order they were given in; None without keypoints.
    """

    rounds: tuple[Round, ...]
    informed: Tensor | None


@usual_torch()
@torch.no_grad()
def fit_prepared(
    prepared: Prepared,
    *,
    refiner: Refiner,
    evidence: Sequence[Term] = (),
    priors: Sequence[Term] | None = None,
    callback: Callback | None = None,
) -> Fitted:
    """Refine prepared bodies: what `fit`, a folder's run and an attached model do alike.

    Args:
        prepared: B bodies with their photos and keypoints.
        refiner: The method's parts and settings.
        evidence: Further terms with the bodies' batch axis.
        priors: Terms in place of the default ones.
        callback: Called after each round.

    Returns:
        The rounds, and what was decided on the way.
    """
    from priors.default import default_priors

    photos, estimate, detections = prepared.photos, prepared.estimate, prepared.detections
    terms, informed = [*prepared.evidence, *evidence], None
    if detections is not None:
        points = estimate.body.keypoint_set(detections.name)
        term = keypoints_from_detections(
            points, detections.pixel, detections.confidence, estimate.camera, estimate.keypoints_2d(detections.name),
            prepared.noise,
        )  # fmt: skip
        informed = term.known
        terms.insert(0, term)
    own = default_priors(estimate, refiner.unknowns) if priors is None else tuple(priors)
    return Fitted(refiner.refine(photos, estimate, terms, own, callback), informed)


@torch.no_grad()
def result_of(prepared: Prepared, fitted: Fitted, refiner: Refiner) -> Result:
    """Return what refining prepared bodies ended in.

    Args:
        prepared: What went in.
        fitted: What `fit_prepared` found of it.
        refiner: The method it was found by.
    """
    starts = fitted.rounds[-1].start
    other = notes_of(starts, range(1, len(starts) + 1))
    if fitted.rounds[-1].solution.unknowns.focal:
        lengths = ", ".join(f"{length:.0f}" for length in fitted.rounds[-1].state.camera.focal[:, 0].tolist())
        other += (f"The focal length was free: after refining it is {lengths} px for the people in their order.",)
    # What the file says twice is both a note and a doubt.
    notes = tuple(dict.fromkeys((*prepared.notes, *other, *(doubt.sentence for doubt in prepared.doubts))))
    photos, asking = prepared.photos, _asking(refiner, prepared.photos)
    detections, informed = prepared.detections, fitted.informed
    order = None if informed is None else orders_of(starts, informed.shape[1], informed.device)
    if detections is not None and informed is not None and order is not None:
        detections, informed = detections.reordered(order), informed.gather(1, order)
    return summarise(prepared.estimate, fitted.rounds, detections, informed, notes, photos, asking)


def usual_refiner(evidence: bool) -> Refiner:
    """Return the method where the caller named none: by the evidence given, without any by the shipped network.

    Args:
        evidence: Whether the caller gives keypoints or terms.
    """
    return Refiner() if evidence else Refiner.default()


def _asking(refiner: Refiner, photos: Sequence[Photo]) -> Callable[[Estimate], Prediction] | None:
    """Return what asks the displacer about bodies in the photos, for pictures; None without a displacer."""
    if refiner.displacer is None:
        return None
    displace = refiner.displacer.displace
    return partial(predict, photos, displace=displace, rasterizer=refiner.rasterizer, crop_px=refiner.crop_px)


def check_arguments(evidence: object, priors: object, refiner: object, callback: object) -> None:
    """Refuse what is not of the kind its name says.

    Raises:
        InputError: It is not.
    """
    for name, terms in (("evidence", evidence), ("priors", () if priors is None else priors)):
        if not isinstance(terms, Sequence) or not all(
            isinstance(term, Term) and not isinstance(term, type) for term in terms
        ):
            got = type(terms).__name__
            got += f" of {', '.join(type(term).__name__ for term in terms)}" if isinstance(terms, Sequence) else ""
            raise InputError(
                name, "a sequence of terms (objects with `linearize` or `residual`)", got, "One term goes into a list."
            )
    if refiner is not None and not isinstance(refiner, Refiner):
        raise InputError("refiner", "a refine.Refiner or None", type(refiner).__name__)
    if callback is not None and not callable(callback):
        raise InputError("callback", "a function of (round, solution) or None", type(callback).__name__)


@usual_torch()
def read(
    path: str | Path,
    *,
    body_model: SkinnedBody | str | Path | None = None,
    camera: CameraLike | None = None,
    image: ImageLike | Sequence[ImageLike] | None = None,
) -> Estimate:
    """Read a regressor's result file.

    Args:
        path: The file; its format is recognised from its content.
        body_model: A model, its file, or a folder with models; None: the estimate's own where its file is found, else
            the built-in.
        camera: What replaces the file's: one camera, or one a body or photo; or another form that `fit` takes.
        image: The photo, or several by the estimate's `image_index`, for files that do not know their photo's size.

    Returns:
        The estimate; `source` keeps the file's own words, `notes` say what was decided.

    Raises:
        InputError: The file is missing, broken or of no known format, or it holds no camera and none is given.
    """
    if image is None:
        return estimate_of_file(path, camera, body_model)
    return estimate_of(path, camera_of(camera, read_photos(image)), body_model)


@usual_torch()
def load(path: str | Path, *, body_model: SkinnedBody | str | Path | None = None) -> Result:
    """Read a result written by `Result.save`.

    Args:
        path: The npz file.
        body_model: The model it belongs to; None: the built-in one, or the file named in the result.

    Returns:
        The result, without photos and rounds.

    Raises:
        InputError: The file is missing, truncated or of another kind, or its model cannot be found.
    """
    from refine.result import load as load_file

    return load_file(path, body_model)
