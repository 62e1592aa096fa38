"""One call for people over time: `refine.fit_video(video, init)`.

frames, estimate -> tracks (`refine.inputs.clip`) -> columns that frames share, motion -> refiner -> result
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from refine import batch
from refine.ambient import usual_torch
from refine.api import check_arguments, fit_prepared, result_of, usual_refiner
from refine.body import SkinnedBody
from refine.errors import InputError
from refine.estimate import Estimate
from refine.inputs.cameras import CameraLike
from refine.inputs.clip import clip_of
from refine.inputs.estimates import camera_of, estimate_of
from refine.inputs.frames import VideoLike, frames_of, sizes_only, times_of
from refine.inputs.prepared import Prepared, prepare
from refine.keypoints.detections import Detections
from refine.refiner import Callback, Refiner
from refine.result import Result
from refine.terms import Term
from refine.video.clips import fit_clip

LOGGER = logging.getLogger("refine")


@usual_torch()
@torch.no_grad()
def fit_video(
    video: VideoLike,
    init: object,
    *,
    keypoints: object = None,
    camera: CameraLike | None = None,
    body_model: SkinnedBody | str | Path | None = None,
    independent: bool = False,
    height_m: float | Sequence[float] | None = None,
    one_focal: bool = False,
    cuts: Sequence[int] | None = None,
    fps: float | None = None,
    times: Float[Tensor, "F"] | Sequence[float] | None = None,
    preview: int | None = None,
    refiner: Refiner | None = None,
    evidence: Sequence[Term] = (),
    priors: Sequence[Term] | None = None,
    callback: Callback | None = None,
) -> Result:
    """Move estimated bodies onto the people in a video, every track as one.

    Args:
        video: A video's file, a folder of frames in the order of the numbers in their names, images in their order, or
            None: only keypoints are gone by, and the estimate knows the frames' sizes.
        init: What a regressor said of the frames, as for `refine.fit`; `image_index` counts frames, and who is who is
            the file's own (`source.persons`).
        keypoints: As for `refine.fit`; of a row of the estimate each, or of a frame each.
        camera: As for `refine.fit`.
        body_model: As for `refine.fit`.
        independent: Refine each frame by itself, as `refine.fit` does.
        height_m: Standing height of the person, m, or of each in the order in which they come first; NaN: not known.
        one_focal: Solve for one focal length of the clip.
        cuts: Frames at which a new shot begins; None: found where people jump. Nothing is carried across.
        fps: Frames a second; None: the video's own, and where there is none 30.
        times: (F,) s of each frame, instead of `fps`.
        preview: Refine the first so many frames only, as they are refined among themselves, to look at; what is written
            back needs all of them.
        refiner: The method's parts and settings; None: as for `refine.fit`. Of its columns, what couples rows is
            replaced.
        evidence: Further terms with the estimate's batch axis; of rows that were filled in they say nothing.
        priors: Terms in place of the default ones, with the estimate's batch axis. Of those around the estimate, rows
            that were filled in know nothing, and a regressor's shapes in all frames count as few.
        callback: As for `refine.fit`.

    Returns:
        The result: the estimate's rows in their order, and behind them those that were filled in (`Result.observed` is
        false there). `write_source` writes the former.

    Raises:
        InputError: As `refine.fit`; or nobody says who is who, a person is twice in a frame, or times or cuts are not
            those of the frames.
    """
    check_arguments(evidence, priors, refiner, callback)
    frames = frames_of(video)
    given = camera_of(camera, () if frames is None else frames.photos)
    estimate = estimate_of(init, given, body_model)
    frames = frames or sizes_only(estimate)
    given = replace(given, photos=frames.photos)
    if preview is not None:
        estimate, keypoints = _first(estimate, keypoints, preview)
    refiner = refiner or usual_refiner(keypoints is not None or bool(evidence))
    if refiner.displacer is not None and not frames.seen:
        raise InputError("video", "the frames, which the network looks at", "none", "Give the video, or keypoints.")
    if independent:
        prepared = _unseen(prepare(estimate, given, keypoints, asked_camera=camera is not None), frames.seen)
        fitted = fit_prepared(prepared, refiner=refiner, evidence=evidence, priors=priors, callback=callback)
        return result_of(prepared, fitted, refiner)
    time_s, said = times_of(frames, times, fps)
    clip = clip_of(estimate, time_s, cuts)
    detected = _behind(keypoints, len(estimate), len(clip.estimate))
    prepared = _unseen(prepare(clip.estimate, given, detected, asked_camera=camera is not None), frames.seen)
    prepared = replace(prepared, notes=(*prepared.notes, *frames.notes, *said, *clip.notes))
    result = fit_clip(
        prepared, clip, refiner,
        height_m=height_m, one_focal=one_focal, evidence=evidence, priors=priors, callback=callback,
    )  # fmt: skip
    for note in result.notes:
        LOGGER.info(note)
    return result


def _first(estimate: Estimate, keypoints: object, preview: int) -> tuple[Estimate, object]:
    """Return the bodies of the first frames, and the keypoints of these bodies where they are a row each.

    Raises:
        InputError: There is no such frame.
    """
    from refine.keypoints.formats.arrays import is_points

    if not isinstance(preview, int) or preview < 2:
        raise InputError("preview", "a number of frames, at least two", repr(preview))
    row = (estimate.image_index < preview).nonzero()[:, 0]
    if not len(row):
        got = f"{preview}, and nobody before frame {int(estimate.image_index.min())}"
        raise InputError("preview", "frames in which somebody is", got)
    if isinstance(keypoints, Detections):
        keypoints = batch.rows(keypoints, row)
    elif is_points(keypoints) and len(torch.as_tensor(keypoints)) == len(estimate):
        keypoints = torch.as_tensor(keypoints)[row]
    return estimate.rows(row), keypoints


def _behind(keypoints: object, came: int, count: int) -> object:
    """Return keypoints of an estimate's rows with rows without information behind them; others as they are."""
    from refine.keypoints.formats.arrays import is_points

    if count == came:
        return keypoints
    if isinstance(keypoints, Detections):
        pad = (0, 0, 0, count - came)
        pixel = torch.nn.functional.pad(keypoints.pixel, (0, 0, *pad))
        return Detections(keypoints.name, pixel, torch.nn.functional.pad(keypoints.confidence, pad))
    if is_points(keypoints):
        points = torch.as_tensor(keypoints)
        if len(points) == came:
            if points.shape[-1] == 2:
                points = torch.cat((points, torch.ones_like(points[..., :1])), -1)
            return torch.nn.functional.pad(points, (0, 0, 0, 0, 0, count - came))
    return keypoints


def _unseen(prepared: Prepared, seen: bool) -> Prepared:
    """Return prepared bodies without photos of which only the sizes are known."""
    return prepared if seen else replace(prepared, photos=())
