"""One result with its photos and keypoints, prepared for the method, in pieces that fit into a batch; or why not."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from refine import batch
from refine.detectors.find import detector
from refine.errors import InputError
from refine.estimate import Estimate
from refine.estimate.usable import usable_rows
from refine.folder.detected import DetectedInPhotos
from refine.folder.inputs import Inputs
from refine.folder.keypoints import find_keypoints
from refine.folder.locate import Located, Locator
from refine.folder.manifest import Item
from refine.folder.photos import PhotoFile
from refine.folder.piece import Piece, Seen, Track, Whole
from refine.folder.points3d import PointsOfPhotos
from refine.folder.settings import Settings
from refine.folder.tracks import tracks_of
from refine.formats.find import is_over_time
from refine.inputs.checks import check_photos
from refine.inputs.detecting import detect, noise_of
from refine.inputs.estimates import Given, camera_of
from refine.inputs.prepared import prepare
from refine.keypoints.detections import DetectedPeople
from refine.photo import Photo
from refine.photo.photo import Undecoded
from refine.terms import rows_of

MOST_BODIES = 64
"""Bodies a batch: larger ones are no faster on a CPU."""

MOST_PIXELS = 2**26
"""Pixels of a batch's photos where they are looked at: 64 million take 0.2 GB."""

KEYPOINTS_OF = "keypoints of photo"
"""How the reason begins why a photo is left out although it can be read itself."""


@dataclass
class Reader:
    """Reads the results of one run; keeps what many of them need."""

    settings: Settings
    looked_at: bool = True
    """Whether photos are looked at: then they are decoded while the ones before are solved, else never."""
    judged: bool = True
    """Whether people whom no camera can see where they are said to be are refused; not by `refine diagnose`."""
    used: Inputs = field(default_factory=Inputs, repr=False)
    """The photos and keypoint files that were read since `pieces` was last begun."""

    def __post_init__(self) -> None:
        settings = self.settings
        self.locator = Locator(settings, self.judged)
        self.shelf, self.photos = self.locator.shelf, self.locator.photos
        self.detected: DetectedInPhotos | None = None
        if settings.keypoints is not None:
            files = find_keypoints(settings.keypoints)
            self.detected = DetectedInPhotos(files, self.photos, settings.corrections.keypoints)
        self.detector = None if settings.detector is None else detector(settings.detector)
        self.points = None if settings.points3d is None else PointsOfPhotos(settings.points3d, self.photos)

    @property
    def decoding(self) -> float:
        """Seconds spent decoding photos."""
        return self.locator.opener.decoding

    def locate(self, item: Item) -> Located:
        """Read a result and find its photos.

        Raises:
            InputError: It cannot be read, or a photo of it cannot be told from others.
        """
        return self.locator.locate(item.result, self.used)

    def detected_in(self, photo: PhotoFile) -> DetectedPeople | None:
        """Return who was detected in a photo, systematic faults undone; None where nothing is known.

        Raises:
            InputError: The photo cannot be opened, or its keypoint file is broken or of another photo.
        """
        size = self.locator.opener.open(photo).size
        return None if self.detected is None else self.detected.of(photo, size, self.used)

    def pieces(self, item: Item) -> Iterator[Piece | Track]:
        """Read a result, its photos and its keypoints; hold them against each other, and cut them into pieces.

        Returns:
            One piece or more, or a track a person where the result says who is who over time; each knows how many there
            are.

        Raises:
            InputError: It cannot be refined; the message is the reason. Photos of a result of many that are missing or
                broken are left out and named instead.
        """
        self.used = Inputs()
        whole = self.whole(item)
        tracked = not self.settings.independent and not item.is_part and is_over_time(whole.estimate)
        yield from self.clip([whole]) if tracked and whole.seen else self.cut(whole)

    def clip(self, wholes: Sequence[Whole]) -> Iterator[Piece | Track]:
        """Return the tracks of a clip; where there are none, its frames as if each were alone, with a note why.

        Args:
            wholes: One result of several frames, or several of a frame each, somebody in each of them.
        """
        try:
            if self.points is not None:
                raise InputError("--points3d", "results whose frames stand alone", "people over time")
            tracks = tracks_of(wholes, self.settings, None if self.detector is None else noise_of(self.detector))
        except InputError as error:
            note = f"Every frame was refined by itself, for there are no tracks: {error}"
            for whole in wholes:
                yield from self.cut(whole, note)
            return
        yield from tracks

    def whole(self, item: Item) -> Whole:
        """Read a result, its photos and its keypoints.

        Raises:
            InputError: It cannot be refined; the message is the reason. Photos of a result of many that are missing or
                broken are left out and named instead; in a track the people of such a frame are carried by those around
                it, unless photos are looked at.
        """
        located = self.locate(item)
        estimate, found = located.estimate, located.photos
        index, usable = estimate.image_index, usable_rows(estimate)
        inside = index >= item.first
        if item.is_part:
            inside &= index < item.last
        wanted = sorted(set(index[inside & usable].tolist()))
        missing = [f"photo {photo} was not found" for photo in wanted if photo not in found]
        if missing and len(missing) == len(wanted):
            said = ", ".join(estimate.source.images[photo] for photo in wanted[:2] if estimate.source.images)
            expected = f"its photo in {self.settings.images}"
            raise InputError(item.label, expected, f"none of the name {said}" if said else "none of its name", "")
        tracked = not self.settings.independent and not item.is_part and is_over_time(estimate) and len(wanted) > 1
        seen: list[Seen] = []
        for photo in range(wanted[0], wanted[-1] + 1) if tracked else wanted:
            rows = ((index == photo) & usable).nonzero()[:, 0]
            one = None
            if photo in found:
                one = self._seen(found[photo], estimate, rows, photo, missing, alone=len(wanted) == 1)
            if one is None and tracked and not self.looked_at:
                one = Seen(photo, None, _of_size(estimate, photo), rows, None)
            seen += [one] if one else []
        if all(one.file is None for one in seen):
            seen = []  # nothing can be used, and nothing carries anybody
        lost = int((inside & ~usable).sum())
        left = (f"{lost} of {len(estimate)} people without usable numbers, left as they came",) if lost else ()
        return Whole(item, estimate, tuple(seen), tuple(missing), left, alone=len(wanted) == 1)

    def cut(self, whole: Whole, note: str | None = None) -> Iterator[Piece]:
        """Return a result in pieces, each row of which is solved by itself.

        Args:
            whole: The result.
            note: Said of it; None: nothing.
        """
        seen = [one for one in whole.seen if one.file is not None and len(one.rows)]
        cuts = self._cuts(seen)
        piece = replace(
            self._prepared(whole.item, whole.estimate, seen), missing=whole.missing, left=whole.left, pieces=len(cuts)
        )
        if note is not None:
            piece = replace(piece, prepared=replace(piece.prepared, notes=(*piece.prepared.notes, note)))
        for rows in cuts:
            yield self._cut(piece, rows, alone=whole.alone)
            piece = replace(piece, missing=(), left=())  # said once

    def _seen(
        self, file: PhotoFile, estimate: Estimate, rows: Tensor, photo: int, missing: list[str], *, alone: bool
    ) -> Seen | None:
        """Open a photo and read who was detected in it; what is wrong is listed, or raised where there is one alone."""
        name = f"photo {photo}"
        try:
            self.used.add(file.path)
            image = self.locator.opener.open(file)
            if not self.looked_at:
                self.locator.opener.check(file)
            check_photos(replace(estimate.rows(rows), image_index=torch.zeros_like(rows)), (image,))
            name = f"{KEYPOINTS_OF} {photo}"
            people = None if self.detected is None else self.detected.of(file, image.size, self.used)
            if self.detector is not None and len(rows):
                people = detect(self.detector, image, estimate.rows(rows), [row + 1 for row in rows.tolist()])
        except InputError as error:
            if alone:
                raise
            missing.append(f"{name}: {error}")
            return None
        return Seen(photo, file, image, rows, people)

    def _prepared(self, item: Item, estimate: Estimate, seen: Sequence[Seen]) -> Piece:
        """Hold the bodies of these photos against the photos and what was detected in them, as one piece."""
        none = torch.zeros(0, dtype=torch.long)
        rows = torch.cat([none, *(one.rows for one in seen)])
        local = torch.cat([none, *(torch.full_like(one.rows, at) for at, one in enumerate(seen))])
        people = [one.people for one in seen]
        asked = self.settings.camera
        given = camera_of(asked, tuple(one.photo for one in seen)) if seen else Given()
        prepared = prepare(
            replace(estimate.rows(rows), image_index=local), given,
            people if any(one is not None for one in people) else None,
            asked_camera=asked is not None, numbers=[row + 1 for row in rows.tolist()],
            noise=None if self.detector is None else noise_of(self.detector),
        )  # fmt: skip
        if self.points is not None:
            files = [one.file for one in seen if one.file is not None]
            terms = self.points.of(prepared.estimate, files, self.used)
            prepared = replace(prepared, evidence=terms)
        names = tuple(one.file.name for one in seen if one.file is not None)
        return Piece(item, estimate, rows, prepared, names, detected=any(one is not None for one in people))

    def _cuts(self, seen: Sequence[Seen]) -> list[slice]:
        """Return the rows of each piece: as many people, and as many pixels that are decoded, as fit into a batch."""
        starts, row, pixels = [0], 0, 0
        for one in seen:
            size = one.photo.size[0] * one.photo.size[1] if self.looked_at else 0
            if row > starts[-1] and pixels + size > MOST_PIXELS:
                starts, pixels = [*starts, row], 0
            pixels, row = pixels + size, row + len(one.rows)
            while row - starts[-1] > MOST_BODIES:
                starts, pixels = [*starts, starts[-1] + MOST_BODIES], size
        return [slice(start, end) for start, end in zip(starts, [*starts[1:], row], strict=True)]

    def _cut(self, whole: Piece, rows: slice, *, alone: bool) -> Piece:
        """Return some rows of a piece with their photos, decoded where they are looked at; broken ones are left out."""
        index = whole.prepared.estimate.image_index[rows]
        photos: dict[int, Photo] = {}
        missing = list(whole.missing)
        for at in dict.fromkeys(index.tolist()):
            photo = whole.prepared.photos[at]
            try:
                photos[at] = photo.decoded() if self.looked_at else photo
            except InputError as error:
                if alone:
                    raise
                number = int(whole.estimate.image_index[whole.rows[rows][index == at][0]])
                missing.append(f"photo {number}: {error}")
        here = torch.tensor([at in photos for at in index.tolist()], dtype=torch.bool)
        kept = torch.arange(rows.start, rows.stop)[here]
        place = {at: new for new, at in enumerate(photos)}
        local = torch.tensor([place[at] for at in index[here].tolist()], dtype=torch.long)
        prepared, found = whole.prepared, whole.prepared.detections
        notes = tuple(dict.fromkeys((*prepared.notes, *(note for photo in photos.values() for note in photo.notes))))
        some = replace(
            prepared, estimate=replace(prepared.estimate.rows(kept), image_index=local), photos=tuple(photos.values()),
            detections=found and batch.rows(found, kept), notes=notes, evidence=rows_of(prepared.evidence, kept),
        )  # fmt: skip
        pixels = sum(photo.size[0] * photo.size[1] for photo in photos.values()) if self.looked_at else 0
        names = tuple(whole.names[at] for at in photos)
        return replace(whole, rows=whole.rows[kept], prepared=some, names=names, pixels=pixels, missing=tuple(missing))


def _of_size(estimate: Estimate, image: int) -> Photo:
    """Return a photo of which only the size is known: that of the camera of who is in it, or of who is near."""

    def none() -> Photo:
        raise InputError(f"photo {image}", "the photo, to look at it", "none")

    near = int((estimate.image_index - image).abs().argmin())
    height, width = estimate.camera.size[near].cpu().round().int().tolist()
    return Photo(Undecoded((height, width), none))
