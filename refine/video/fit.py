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

from refine.ambient import usual_torch
from refine.api import fit_prepared, result_of, usual_refiner
from refine.body import SkinnedBody
from refine.errors import InputError
from refine.inputs.cameras import CameraLike
from refine.inputs.clip import Clip, clip_of
from refine.inputs.estimates import camera_of, estimate_of
from refine.inputs.frames import VideoLike, frames_of, sizes_only, times_of
from refine.inputs.prepared import Prepared, prepare
from refine.keypoints.detections import Detections
from refine.refiner import Callback, Refiner
from refine.result import Result
from refine.state import Groups, Unknowns
from refine.terms import Term
from refine.terms.correlation import INDEPENDENT, REGRESSED

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
    refiner: Refiner | None = None,
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
        refiner: The method's parts and settings; None: as for `refine.fit`. Of its columns, what couples rows is
            replaced.
        callback: As for `refine.fit`.

    Returns:
        The result: the estimate's rows in their order, and behind them those that were filled in (`Result.observed` is
        false there). `write_source` writes the former.

    Raises:
        InputError: As `refine.fit`; or nobody says who is who, a person is twice in a frame, or times or cuts are not
            those of the frames.
    """
    frames = frames_of(video)
    given = camera_of(camera, () if frames is None else frames.photos)
    estimate = estimate_of(init, given, body_model)
    frames = frames or sizes_only(estimate)
    given = replace(given, photos=frames.photos)
    refiner = refiner or usual_refiner(keypoints is not None)
    if refiner.displacer is not None and not frames.seen:
        raise InputError("video", "the frames, which the network looks at", "none", "Give the video, or keypoints.")
    if independent:
        prepared = _unseen(prepare(estimate, given, keypoints, asked_camera=camera is not None), frames.seen)
        return result_of(prepared, fit_prepared(prepared, refiner=refiner, callback=callback), refiner)
    time_s, said = times_of(frames, times, fps)
    clip = clip_of(estimate, time_s, cuts)
    detected = _behind(keypoints, len(estimate), len(clip.estimate))
    prepared = _unseen(prepare(clip.estimate, given, detected, asked_camera=camera is not None), frames.seen)
    prepared = replace(prepared, notes=(*prepared.notes, *frames.notes, *said, *clip.notes))
    unknowns = columns_of(clip, refiner, one_focal=one_focal)
    priors = priors_of(clip, unknowns, height_m)
    method = replace(refiner, unknowns=unknowns)
    result = result_of(prepared, fit_prepared(prepared, refiner=method, priors=priors, callback=callback), method)
    for note in result.notes:
        LOGGER.info(note)
    return replace(result, observed=clip.observed, tracks=clip.tracks)


def columns_of(clip: Clip, refiner: Refiner, *, one_focal: bool = False) -> Unknowns:
    """Return the columns of a clip: one shape a person, motion along each track.

    Args:
        clip: Rows of people over time.
        refiner: Whose columns are taken where it names some; else core joints, shape and translation.
        one_focal: Whether the clip's focal length is free.
    """
    from priors.motion import breaks, motion_of

    body, tracks = clip.estimate.body, clip.tracks
    usual = Unknowns(body.anatomy.core_joints, shape=body.shape_basis.shape[2])
    columns = refiner.unknowns or usual
    motion = replace(motion_of(body.joint_names), broken=breaks(clip.estimate.state, tracks))
    lens = torch.zeros_like(tracks.person) if one_focal or columns.focal else None
    groups = Groups(
        shape=clip.person, focal=lens, tracks=tracks, couplings=(motion,),
        expression=None if columns.groups is None else columns.groups.expression,
    )  # fmt: skip
    return replace(columns, focal=int(one_focal or columns.focal), groups=groups)


def priors_of(clip: Clip, unknowns: Unknowns, height_m: float | Sequence[float] | None = None) -> tuple[Term, ...]:
    """Return the priors of a clip: the default ones, of which a row that was filled in knows nothing.

    A regressor's shape is wrong in nearly the same way in all frames: they count as few.

    Args:
        clip: Rows of people over time.
        unknowns: The columns.
        height_m: Of the person, or of each.
    """
    from priors.default import default_priors
    from priors.known_measurements import KnownMeasurements
    from priors.near_estimate import NearEstimate, NearTranslation
    from priors.near_expression import NearExpression
    from priors.near_shape import NearShape

    there = clip.observed.to(clip.estimate.bodies.translation)
    alike = there * _as_few(clip)
    found: list[Term] = []
    for prior in default_priors(clip.estimate, unknowns):
        if isinstance(prior, NearEstimate | NearTranslation):
            prior = replace(prior, share=there)
        elif isinstance(prior, NearShape):
            prior = replace(prior, share=alike, correlation=INDEPENDENT)
        elif isinstance(prior, NearExpression):
            prior = replace(prior, share=there)
        found.append(prior)
    if height_m is not None:
        found.append(KnownMeasurements(clip.estimate.body, height_m=_heights(height_m, clip)))
    return tuple(found)


def _as_few(clip: Clip) -> Tensor:
    """Return of each row the share of an independent shape that it is: n rows that err alike by c are 1 / (c + ...)."""
    silent = clip.person.masked_fill(~clip.observed, -1)
    share = REGRESSED.of_frames(replace(clip.tracks, person=silent))
    names, which = torch.unique(silent, return_inverse=True)
    count = share.new_zeros(len(names)).index_add(0, which, share)[which]
    return (share / (1 + (count - 1) * REGRESSED.constant)).to(clip.estimate.bodies.translation)


def _heights(height_m: float | Sequence[float], clip: Clip) -> Float[Tensor, "B"]:
    """Return the height of each row's person.

    Raises:
        InputError: There are as many heights neither as people nor one.
    """
    people = [label for label in dict.fromkeys(clip.person.tolist()) if label >= 0]
    given = [float(height_m)] if isinstance(height_m, int | float) else [float(each) for each in height_m]
    if len(given) != len(people):
        raise InputError("height_m", f"a height for each of {len(people)} people, m", str(len(given)))
    known = dict(zip(people, given, strict=True))
    like = clip.estimate.bodies.translation
    return like.new_tensor([known.get(label, float("nan")) for label in clip.person.tolist()])


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
