"""Tracks of results that say who is who over time: each person is solved as one problem, and fails alone.

frames of one result, or of the files of a clip  --clip-->  people over time  --one each-->  tracks
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from refine import batch
from refine.estimate import Estimate
from refine.folder.piece import Piece, Seen, Track, Whole
from refine.folder.settings import Settings
from refine.folder.times import times_of_files
from refine.inputs.clip import Clip, clip_of
from refine.inputs.estimates import camera_of
from refine.inputs.prepared import Prepared, prepare
from refine.photo.clip import frame_places
from refine.terms.keypoints import DetectorNoise


def tracks_of(wholes: Sequence[Whole], settings: Settings, noise: DetectorNoise | None = None) -> list[Track]:
    """Return the people of a clip over time.

    Args:
        wholes: One result of several frames, or several of a frame each, in their order.
        settings: How.
        noise: The measured errors of the detector that was run.

    Raises:
        InputError: A person is twice in a frame, nobody says who is who, times do not rise, or the results do not hold
            the same numbers.
    """
    frames: list[tuple[int, Seen]] = [(number, seen) for number, whole in enumerate(wholes) for seen in whole.seen]
    rows = torch.cat([seen.rows for _, seen in frames])
    owner = torch.tensor([number for number, seen in frames for _ in seen.rows], dtype=torch.long)
    local = torch.tensor([at for at, (_, seen) in enumerate(frames) for _ in seen.rows], dtype=torch.long)
    bodies = batch.cat([wholes[number].estimate.rows(seen.rows) for number, seen in frames])
    clip, prepared = _clip(replace(bodies, image_index=local), wholes, frames, settings, noise)
    people = [label for label in dict.fromkeys(clip.person.tolist()) if label >= 0]
    count = [len(set(clip.person[: len(rows)][owner == number].tolist())) for number in range(len(wholes))]
    image = torch.tensor([seen.image for _, seen in frames])[clip.estimate.image_index]
    said: set[int] = set()
    tracks = []
    for label in people:
        own = (clip.person == label).nonzero()[:, 0]
        came = own[own < len(rows)]
        pieces = []
        for number in dict.fromkeys(owner[came].tolist()):
            piece = _piece(wholes[number], rows[came[owner[came] == number]], prepared, count[number])
            if number in said:
                piece = replace(piece, missing=(), left=(), names=())
            said.add(number)
            pieces.append(piece)
        some = Clip(
            clip.estimate.rows(own), batch.rows(clip.tracks, own), clip.person[own], clip.observed[own], clip.notes
        )
        found = prepared.detections
        whole = replace(prepared, estimate=some.estimate, detections=found and batch.rows(found, own))
        tracks.append(Track(tuple(pieces), some, whole, image[own]))
    return tracks


def _clip(
    bodies: Estimate,
    wholes: Sequence[Whole],
    frames: Sequence[tuple[int, Seen]],
    settings: Settings,
    noise: DetectorNoise | None,
) -> tuple[Clip, Prepared]:
    """Return the clip of the bodies of frames, and the same with photos and keypoints."""
    if len(wholes) == 1:
        place: Sequence[int | float] = [seen.image for _, seen in frames]
    else:
        place = frame_places([wholes[number].item.result for number, _ in frames])[0].tolist()
    time_s, notes = times_of_files([seen.file for _, seen in frames], place, settings.fps)
    clip = clip_of(bodies, time_s)
    people = [seen.people for _, seen in frames]
    numbers = torch.cat([seen.rows for _, seen in frames]) + 1
    filled = range(len(bodies) + 1, len(clip.estimate) + 1)
    prepared = prepare(
        clip.estimate, camera_of(settings.camera, tuple(seen.photo for _, seen in frames)),
        people if any(one is not None for one in people) else None,
        asked_camera=settings.camera is not None, numbers=[*numbers.tolist(), *filled], noise=noise,
    )  # fmt: skip
    return clip, replace(prepared, notes=tuple(dict.fromkeys((*prepared.notes, *notes, *clip.notes))))


def _piece(whole: Whole, rows: Tensor, prepared: Prepared, pieces: int) -> Piece:
    """Return the rows of a person in a result."""
    own = {int(row) for row in rows}
    names = tuple(seen.file.name for seen in whole.seen if seen.file is not None and len(seen.rows))
    detected = any(seen.people is not None and not own.isdisjoint(seen.rows.tolist()) for seen in whole.seen)
    said = replace(prepared, photos=(), detections=None)
    return Piece(
        whole.item, whole.estimate, rows, said, names,
        detected=detected, missing=whole.missing, left=whole.left, pieces=pieces,
    )  # fmt: skip
