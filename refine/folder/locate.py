"""A result of a run with its photos: the estimate is read, and whose photo is whose is decided.

The photos are looked for by the result's name first, since many formats need their sizes to be read at all; a photo
that the result itself names goes before that. Of a photo no more is read than its header.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from refine.errors import InputError
from refine.estimate import Estimate
from refine.estimate.nobody import holds_nobody
from refine.folder.bodies import BodyShelf
from refine.folder.frames import Opener
from refine.folder.inputs import Inputs
from refine.folder.photos import PhotoFile, find_photos
from refine.folder.settings import Settings
from refine.formats.find import is_over_time
from refine.geometry.focal import camera_from_rule
from refine.inputs.estimates import Given, camera_of, estimate_of
from refine.photo import Photo
from refine.transfer import with_camera

STAND_IN = Photo(np.zeros((1000, 1000, 3), np.uint8))
"""The photo a result is read with only to learn which photos it names."""


@dataclass(frozen=True)
class Located:
    """A result that was read, and where its photos are.

    Attributes:
        estimate: All bodies of the file.
        photos: Photo by image index; what is missing was not found.
    """

    estimate: Estimate
    photos: dict[int, PhotoFile]


@dataclass
class Locator:
    """Reads results and finds their photos; keeps what many of them need."""

    settings: Settings
    judged: bool = True
    """Whether people whom no camera can see where they are said to be are refused."""
    opener: Opener = field(default_factory=Opener)
    _last: tuple[str, Located] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        settings = self.settings
        found = find_photos(settings.images)
        self.photos = replace(found, first_frame=settings.first_frame or 0, only_result=settings.only_result)
        self.shelf = BodyShelf(settings.body_model)

    def locate(self, result: str, used: Inputs | None = None) -> Located:
        """Read a result and find its photos; the last one is remembered, for the next part of the same file.

        Args:
            result: Its name below the results' root.
            used: Where a photo that cannot be opened is noted; None: nowhere.

        Raises:
            InputError: It cannot be read, or a photo of it cannot be told from others.
        """
        if self._last is None or self._last[0] != result:
            self._last = (result, self._locate(result, used or Inputs()))
        return self._last[1]

    def stored_images(self, result: str) -> tuple[str, ...]:
        """Return the names of the photos that a result itself stores, by image index; none where it stores none.

        Raises:
            InputError: The result cannot be read.
        """
        return self._read(result, ()).source.images

    def _locate(self, result: str, used: Inputs) -> Located:
        path = Path(self.settings.results) / result
        if path.is_file() and holds_nobody(path):  # nobody needs a photo
            return Located(self.shelf.on_its_body(self._read(result, ())), {})
        guess = self.photos.of_result(result)
        opened = self._opened(guess, used) if guess else self._named(result, used)
        estimate = self._read(result, opened)
        photos = self._paired(result, estimate, guess)
        index = estimate.image_index
        some = next(iter(photos.values()), None)
        if guess and some is not None and some.frame is None:
            order = [photos.get(image, some) for image in range(int(index.max()) + 1)]
            if order != list(guess[: len(order)]):  # it names others, or in another order
                opened = self._opened(order, used)
                estimate = self._read(result, opened)
            opened = opened[: len(order)]
        if self.settings.camera is not None and len(estimate) and len(opened) > 1:
            estimate = with_camera(estimate, camera_of(self.settings.camera, opened).for_bodies(index))
        return Located(self.shelf.on_its_body(estimate), photos)

    def _named(self, result: str, used: Inputs) -> tuple[Photo, ...]:
        """Return the photos that a result names, by image index; another of them where one is not there.

        Raises:
            InputError: There is none of them, or the result names none.
        """
        stored = self.stored_images(result)
        several = [self.photos.stored(name) for name in stored]
        known = next((one for one in several if one is not None), None)
        if known is None:
            got = f"none; the result names {stored[0]}" if stored else "none"
            where = f"a photo named {Path(result).stem} in {self.settings.images}"
            advice = "A photo is found by the name the result stores, else by the result's own; see docs/folders.md."
            raise InputError(result, where, got, advice)
        return self._opened([one or known for one in several], used)

    def _read(self, result: str, photos: tuple[Photo, ...]) -> Estimate:
        """Read a result whose photos are these, by image index or one for all, through the camera of the first.

        Without photos a size and a camera stand in: only names and people without a place in a photo can be read then.
        """
        settings, path = self.settings, Path(self.settings.results) / result
        if photos:
            given = Given(photos, camera_of(settings.camera, photos[:1]).camera)
        else:
            given = Given((STAND_IN,), None if settings.camera is None else camera_from_rule("diagonal", STAND_IN.size))
        return estimate_of(path, given, self.shelf.given, settings.format, settings.corrections, judged=self.judged)

    def _paired(self, result: str, estimate: Estimate, guess: Sequence[PhotoFile]) -> dict[int, PhotoFile]:
        """Return the photo of each image index: the one the result names, else the one of its place.

        Raises:
            InputError: It names none, and those that are there are not as many as its images.
        """
        names = estimate.source.images
        needed = sorted(set(estimate.image_index.tolist()))
        if needed and not self.settings.independent and is_over_time(estimate):
            needed = list(range(needed[0], needed[-1] + 1))  # gaps are filled, and somebody may be seen there
        stored = {index: self.photos.stored(names[index]) for index in needed if index < len(names)}
        found = {index: photo for index, photo in stored.items() if photo is not None}
        if found or not guess:
            return found
        most = needed[-1] + 1 if needed else 0
        if (
            most == 1 < len(guess) and not estimate.source.persons
        ):  # no track: one photo's people, and whose is not said
            wanted = f"a photo named {Path(result).stem} in {self.settings.images}"
            got = f"none, and {len(guess)} others"
            raise InputError(result, wanted, got, "Name the photo itself: --images PHOTO, or call both alike.")
        if most > len(guess):
            got = f"{len(guess)} ({guess[0].name}, ...)"
            expected = f"{most} photos, as many as it has images"
            raise InputError(f"{result}: photos", expected, got, "Are they of this result?")
        return {index: guess[index] for index in needed}

    def _opened(self, photos: Sequence[PhotoFile], used: Inputs) -> tuple[Photo, ...]:
        """Return photos, not decoded; one for all where they share a video.

        Raises:
            InputError: One of them cannot be opened.
        """
        found = []
        for one in photos[:1] if photos[0].frame is not None else photos:
            try:
                found.append(self.opener.open(one))
            except InputError:
                used.add(one.path)  # another one in its place is worth another try
                raise
        return tuple(found)
