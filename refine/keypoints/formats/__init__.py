"""What 2D detectors write and return, one layout one file: read as `DetectedPeople` of one photo.

A format is a module of this folder (or of an entry point in the group `refine.keypoint_formats`) with three
functions; its file name is the format's name. It looks at content in memory: what a JSON or npz file holds, or what a
detector returned. It states which pixel convention it has in its docstring and converts it there and nowhere else.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from refine.keypoints.detections import DetectedPeople

__all__ = ["KeypointFormat", "Wanted", "one_image"]


@dataclass(frozen=True)
class Wanted:
    """The photo whose people are wanted.

    Attributes:
        origin: Where the content came from, for messages: a file's name.
        image: The photo's file name, or its number (an image id, a frame number); None where it has none.
        size: (height, width) of the photo, px, or None where it is not known.
        place: The photo's place among those the content is about, and how many of these there are.
    """

    origin: str
    image: str | int | None = None
    size: tuple[int, int] | None = None
    place: tuple[int, int] = (0, 1)


@runtime_checkable
class KeypointFormat(Protocol):
    """What a module must offer to be a keypoint format."""

    def recognises(self, content: object) -> bool:
        """Say whether content is of this layout; never raises, and costs next to nothing on content of another."""
        ...

    def images(self, content: object) -> int:
        """Return how many images the content is about."""
        ...

    def read(self, content: object, wanted: Wanted) -> DetectedPeople:
        """Return the people of one photo, in the detector's order, pixels counted from the photo's corner.

        Args:
            content: What `recognises` said yes to.
            wanted: The photo; its size is needed where points are shares of it, or of a canvas of another size.

        Raises:
            InputError: The content is broken, is not about this photo, or needs the photo's size and it is not known.
        """
        ...


def one_image(content: object) -> int:
    """Return 1: the `images` of layouts that are about one photo."""
    return 1
