"""One result with its photos and keypoints, read and decoded, or the reason why that cannot be.

The photos are looked for by the result's name first, since many formats need their sizes to be read at all; a photo that the result
itself names goes before that. Nothing is decoded before its header has been held against `photo_header.MOST_SIDE`.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from refine.errors import InputError
from refine.estimate import Estimate
from refine.estimate.nobody import holds_nobody
from refine.estimate.usable import usable_rows
from refine.folder.bodies import BodyShelf
from refine.folder.inputs import Inputs
from refine.folder.keypoints import find_keypoints, read_people
from refine.folder.manifest import Item
from refine.folder.photos import PhotoFile, find_photos
from refine.folder.settings import Settings
from refine.folder.video import VideoFrames, frame_size
from refine.geometry.camera import Camera
from refine.geometry.lens import Lens
from refine.inputs.camera_doubts import Doubt, PhotoFacts
from refine.inputs.cameras import asked_camera
from refine.inputs.corrected import read_corrected
from refine.inputs.estimates import check_photos
from refine.inputs.suspicions import suspicions
from refine.keypoints.detections import DetectedPeople
from refine.photo import Photo, read_photo
from refine.photo.header import header_of, upright_size
from refine.transfer import with_camera

PIECE_PHOTOS = 8
"""Photos of one result that are read at a time; pieces share batches."""

KEYPOINTS_OF = "keypoints of photo"
"""How the reason begins why a photo is left out although it can be read itself."""

STAND_IN = torch.tensor([[1000.0, 1000.0]])
"""px; the size a result is read with only to learn which photos it names."""


@dataclass(frozen=True)
class Located:
    """A result that was read, and where its photos are.

    Attributes:
        estimate: All bodies of the file.
        photos: Photo by image index; what is missing was not found.
    """

    estimate: Estimate
    photos: dict[int, PhotoFile]


@dataclass(frozen=True, eq=False)
class Prepared:
    """A result, or a piece of one with many photos, ready to be solved.

    Attributes:
        item: Which.
        estimate: All bodies of the file, cameras as asked.
        rows: (R,) those of the piece, whose photos are here.
        local: (R,) photo of each of these rows, as an index into `photos`.
        photos: The decoded photos.
        names: Their names, for the log.
        people: What was detected in each photo, None where there is no file.
        lenses: The lens that was taken out of each photo, or None.
        missing: What could not be found, a sentence each.
        left: Who is left as they came, and why, a sentence each.
        notes: What was decided, and the doubts in words.
        doubts: What looks wrong.
        pieces: In how many pieces the result comes.
    """

    item: Item
    estimate: Estimate
    rows: Tensor
    local: Tensor
    photos: tuple[Photo, ...]
    names: tuple[str, ...]
    people: tuple[DetectedPeople | None, ...]
    lenses: tuple[Lens | None, ...]
    missing: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    doubts: tuple[Doubt, ...] = ()
    pieces: int = 1

    @property
    def pixels(self) -> int:
        """Pixels of all photos together."""
        return sum(photo.size[0] * photo.size[1] for photo in self.photos)


@dataclass
class Reader:
    """Reads the results of one run; keeps what many of them need."""

    settings: Settings
    judged: bool = True
    """Whether people whom no camera can see where they are said to be are refused; `refine diagnose` says why they are there."""
    decoding: float = 0.0
    """Seconds spent decoding photos."""
    used: Inputs = field(default_factory=Inputs, repr=False)
    """The photos and keypoint files that were read since `pieces` was last begun."""
    _last: tuple[str, Located] | None = field(default=None, repr=False)
    _video: tuple[Path, VideoFrames] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        settings = self.settings
        found = find_photos(settings.images)
        self.photos = replace(found, first_frame=settings.first_frame, only_result=settings.only_result)
        self.keypoints = None if settings.keypoints is None else find_keypoints(settings.keypoints)
        self.shelf = BodyShelf(settings.body_model)

    def pieces(self, item: Item) -> Iterator[Prepared]:
        """Read a result, its photos and its keypoints, some photos at a time, so that a long track does not fill the memory.

        Returns:
            One piece or more; the last one completes `Prepared.pieces`.

        Raises:
            InputError: It cannot be refined; the message is the reason. Photos of a result of many that are missing or broken are left
                out and named instead.
        """
        self.used = Inputs()
        located = self.locate(item)
        estimate, found = located.estimate, located.photos
        index = estimate.image_index
        last = item.last if item.is_part else int(index.max()) + 1 if len(index) else 0
        usable = usable_rows(estimate)
        wanted = sorted({photo for photo in index[usable].tolist() if item.first <= photo < last})
        missing = [f"photo {photo} was not found" for photo in wanted if photo not in found]
        if missing and len(missing) == len(wanted):
            said = ", ".join(estimate.source.images[photo] for photo in wanted[:2] if estimate.source.images)
            expected = f"its photo in {self.settings.images}"
            raise InputError(item.label, expected, f"none of the name {said}" if said else "none of its name", "")
        there = [photo for photo in wanted if photo in found]
        groups = [there[start : start + PIECE_PHOTOS] for start in range(0, len(there), PIECE_PHOTOS)] or [[]]
        for number, group in enumerate(groups):
            piece = self._piece(item, located, group, alone=len(wanted) == 1)
            lacking = (*missing, *piece.missing) if number == 0 else piece.missing
            lost = int(((index >= item.first) & (index < last) & ~usable).sum()) if number == 0 else 0
            left = (f"{lost} of {len(estimate)} people without usable numbers, left as they came",) if lost else ()
            yield replace(piece, missing=lacking, left=left, pieces=len(groups))

    def _piece(self, item: Item, located: Located, wanted: Sequence[int], alone: bool) -> Prepared:
        """Read some photos of a result; where it has only one, what is wrong with it is raised."""
        estimate, found = located.estimate, located.photos
        rows: list[int] = []
        local: list[int] = []
        photos: list[Photo] = []
        names: list[str] = []
        people: list[DetectedPeople | None] = []
        lenses: list[Lens | None] = []
        missing: list[str] = []
        for photo in wanted:
            here = ((estimate.image_index == photo) & usable_rows(estimate)).nonzero()[:, 0]
            try:
                image, lens = self._decode(found[photo])
                check_photos(replace(estimate.rows(here), image_index=torch.zeros_like(here)), (image,))
            except InputError as error:
                if alone:
                    raise
                missing.append(f"photo {photo}: {error}")
                continue
            try:
                detected = self.detected(found[photo], image.size)
            except InputError as error:
                if alone:
                    raise
                missing.append(f"{KEYPOINTS_OF} {photo}: {error}")
                continue
            rows += here.tolist()
            local += [len(photos)] * len(here)
            photos.append(image)
            names.append(found[photo].name)
            people.append(detected)
            lenses.append(lens)
        chosen, place = (torch.tensor(one, dtype=torch.long) for one in (rows, local))
        facts = [facts_of(photo.size, photo.orientation, seen) for photo, seen in zip(photos, people, strict=True)]
        some = replace(estimate.rows(chosen), image_index=place)
        doubts = suspicions(some, facts, asked_camera=self.settings.camera is not None)
        notes = tuple(note for photo in photos for note in photo.notes) + estimate.notes
        notes += tuple(doubt.sentence for doubt in doubts)
        return Prepared(
            item, estimate, chosen, place, tuple(photos), tuple(names), tuple(people), tuple(lenses), tuple(missing),
            notes=notes, doubts=doubts,
        )  # fmt: skip

    def locate(self, item: Item) -> Located:
        """Read a result and find its photos; the last one is remembered, for the next part of the same file.

        Raises:
            InputError: It cannot be read, or a photo of it cannot be told from others.
        """
        if self._last is None or self._last[0] != item.result:
            located = self._locate(item.result)
            self._last = (item.result, located)
        return self._last[1]

    def stored_images(self, result: str) -> tuple[str, ...]:
        """Return the names of the photos that a result itself stores, by image index; none where it stores none."""
        return self._read(result, STAND_IN).source.images

    def _locate(self, result: str) -> Located:
        path = Path(self.settings.results) / result
        if path.is_file() and holds_nobody(path):  # nobody needs a photo
            return Located(self.shelf.on_its_body(self._read(result, STAND_IN)), {})
        guess = self.photos.of_result(result)
        if not guess:
            stored = self.stored_images(result)
            several = [self.photos.stored(name) for name in stored]
            known = [one for one in several if one is not None]
            if not known:
                got = f"none; the result names {stored[0]}" if stored else "none"
                where = f"a photo named {Path(result).stem} in {self.settings.images}"
                advice = (
                    "A photo is found by the name the result stores, else by the result's own; see docs/folders.md."
                )
                raise InputError(result, where, got, advice)
            sizes = self._sizes([one or known[0] for one in several])
        else:
            sizes = self._sizes(guess)
        estimate = self._read(result, sizes)
        photos = self._paired(result, estimate, guess)
        count = int(estimate.image_index.max()) + 1 if len(estimate) else 0
        some = next(iter(photos.values()), None)
        if guess and any(photo not in guess for photo in photos.values()):  # it names others than those of its own name
            sizes = self._sizes([photos.get(index, some) for index in range(count)])
            estimate = self._read(result, sizes)
        return Located(self.shelf.on_its_body(self._seen(estimate, sizes)), photos)

    def _read(self, result: str, sizes: Tensor) -> Estimate:
        path = Path(self.settings.results) / result
        first = None if self.settings.camera is None else self._camera(sizes[:1])[0]
        return read_corrected(
            path, self.settings.corrections, self.shelf.given, first,
            format=self.settings.format, sizes=sizes, judged=self.judged,
        )  # fmt: skip

    def _paired(self, result: str, estimate: Estimate, guess: Sequence[PhotoFile]) -> dict[int, PhotoFile]:
        """Return the photo of each image index: the one the result names, else the one of its place."""
        names = estimate.source.images
        needed = sorted(set(estimate.image_index.tolist()))
        stored = {index: self.photos.stored(names[index]) for index in needed if index < len(names)}
        found = {index: photo for index, photo in stored.items() if photo is not None}
        if found or not guess:
            return found
        most = needed[-1] + 1 if needed else 0
        if (
            most == 1 < len(guess) and not estimate.source.persons
        ):  # no track: one photo's people, and nobody says whose
            wanted = f"a photo named {Path(result).stem} in {self.settings.images}"
            got = f"none, and {len(guess)} others"
            raise InputError(result, wanted, got, "Name the photo itself: --images PHOTO, or call both alike.")
        if most > len(guess):
            wanted = f"{most} photos, as many as it has images"
            raise InputError(
                f"{result}: photos", wanted, f"{len(guess)} ({guess[0].name}, ...)", "Are they of this result?"
            )
        return {index: guess[index] for index in needed}

    def _sizes(self, photos: Sequence[PhotoFile | None]) -> Tensor:
        """Return the sizes (I, 2) px of photos, upright, from their headers; one for all where they share a video."""
        if photos and photos[0] is not None and photos[0].frame is not None:
            return torch.tensor([frame_size(photos[0].path)], dtype=torch.float32)
        known: list[tuple[int, int]] = []
        for one in photos:
            if one is not None:
                try:
                    known.append(upright_size(one.path))
                except InputError:
                    self.used.add(one.path)  # another one in its place is worth another try
                    raise
        return torch.tensor(known or STAND_IN.tolist(), dtype=torch.float32)

    def _camera(self, sizes: Tensor) -> tuple[Camera, list[Lens | None]]:
        """Return the asked camera of photos of these sizes, one each, and the lenses to take out."""
        assert self.settings.camera is not None
        asked = asked_camera(self.settings.camera, sizes)
        return asked.camera, list(asked.lenses)

    def _seen(self, estimate: Estimate, sizes: Tensor) -> Estimate:
        """Return the estimate through the asked camera, photo by photo."""
        if self.settings.camera is None or not len(estimate):
            return estimate
        camera, _ = self._camera(sizes)
        index = estimate.image_index.cpu() if len(camera) > 1 else torch.zeros(len(estimate), dtype=torch.long)
        return with_camera(estimate, camera[index])

    def _decode(self, photo: PhotoFile) -> tuple[Photo, Lens | None]:
        start = time.perf_counter()
        self.used.add(photo.path)
        if photo.frame is not None:
            if self._video is None or self._video[0] != photo.path:
                self._video = (photo.path, VideoFrames(photo.path))
            image = Photo(self._video[1].read(photo.frame), photo.path)
        else:
            image = read_photo(photo.path, "photo")
        self.decoding += time.perf_counter() - start
        if self.settings.camera is None:
            return image, None
        lens = self._camera(torch.tensor([image.size], dtype=torch.float32))[1][0]
        return (image if lens is None else replace(image, pixels=lens.undistort(image.pixels))), lens

    def size_of(self, photo: PhotoFile) -> tuple[int, int]:
        """Return a photo's (height, width), upright, px, from its header."""
        return frame_size(photo.path) if photo.frame is not None else upright_size(photo.path)

    def facts_of(self, photo: PhotoFile, people: DetectedPeople | None) -> PhotoFacts:
        """Return a photo as doubts look at it, from its header.

        Args:
            photo: The photo.
            people: Who was detected in it; None: nothing is known.
        """
        orientation = 1 if photo.frame is not None else header_of(photo.path).orientation
        return facts_of(self.size_of(photo), orientation, people)

    def as_written(self, photo: PhotoFile, size: tuple[int, int]) -> DetectedPeople | None:
        """Return the people detected in a photo as their file has them, None where there is no file.

        Args:
            photo: The photo.
            size: Its (height, width), px.

        Raises:
            InputError: The file is broken, or not about this photo.
        """
        path = None if self.keypoints is None else self.keypoints.of_photo(photo)
        if path is None or self.keypoints is None:
            if self.keypoints is not None:
                self.used.add_bare(photo)
            return None
        self.used.add(path)
        return read_people(path, photo, size, self.photos.place_of(photo) if self.keypoints.about_all else None)

    def detected(self, photo: PhotoFile, size: tuple[int, int]) -> DetectedPeople | None:
        """Return the people detected in a photo, systematic faults undone; None where there is no file.

        Args:
            photo: The photo.
            size: Its (height, width), px.

        Raises:
            InputError: The file is broken, not about this photo, or about one of another size.
        """
        correction = self.settings.corrections.keypoints
        about = self.photos.later(photo, correction.frames) if correction.frames else photo
        people = None if about is None else self.as_written(about, size)
        return None if people is None else correction.of(people, size).checked(size)


def facts_of(size: tuple[int, int], orientation: int, people: DetectedPeople | None) -> PhotoFacts:
    """Return a photo as doubts look at it, with all points that were detected in it.

    Args:
        size: (height, width), upright, px.
        orientation: The turn that was undone, 1..8.
        people: Who was detected; None: nothing is known.
    """
    points = None if people is None else people.pixel[people.confidence > 0]
    return PhotoFacts(size, orientation, points)
