"""What is read of a result: all of it, some of its people as a piece of a batch, or one person over time."""

from dataclasses import dataclass

from jaxtyping import Int
from torch import Tensor

from refine.estimate import Estimate
from refine.folder.manifest import Item
from refine.folder.photos import PhotoFile
from refine.inputs.clip import Clip
from refine.inputs.prepared import Prepared
from refine.keypoints.detections import DetectedPeople
from refine.photo import Photo


@dataclass(frozen=True, eq=False)
class Seen:
    """A photo that can be used, its bodies' rows in the file (R,), and who was detected in it.

    Attributes:
        image: Its image index in the file.
        file: Where it is; None: not there, and `photo` knows its size only.
        photo: The photo.
        rows: (R,) of the file.
        people: Who was detected in it; None: nothing is known.
    """

    image: int
    file: PhotoFile | None
    photo: Photo
    rows: Tensor
    people: DetectedPeople | None


@dataclass(frozen=True, eq=False)
class Whole:
    """A result with its photos and keypoints.

    Attributes:
        item: Which result.
        estimate: All bodies of the file, cameras as asked.
        seen: Its photos in the order of their image indices.
        missing: What could not be found, a sentence each.
        left: Who is left as they came, and why, a sentence each.
        alone: Whether it is about one photo.
    """

    item: Item
    estimate: Estimate
    seen: tuple[Seen, ...]
    missing: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    alone: bool = False


@dataclass(frozen=True, eq=False)
class Piece:
    """Some people of a result, ready to be refined.

    Attributes:
        item: Which result.
        estimate: All bodies of the file, cameras as asked.
        rows: (R,) those of the piece.
        prepared: The same R bodies with their photos and keypoints; of a track, what was decided about the whole clip.
        names: Names of the photos, for the log.
        pixels: Pixels of the photos that are decoded.
        detected: Whether there is a keypoint file about one of the photos.
        missing: What could not be found, a sentence each.
        left: Who is left as they came, and why, a sentence each.
        pieces: In how many pieces the result comes.
    """

    item: Item
    estimate: Estimate
    rows: Tensor
    prepared: Prepared
    names: tuple[str, ...] = ()
    pixels: int = 0
    detected: bool = False
    missing: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    pieces: int = 1


@dataclass(frozen=True, eq=False)
class Track:
    """One person over time: of one result, or of several that are a frame each.

    Attributes:
        pieces: The person's rows in each result, in the order of `clip`.
        clip: The same rows, and behind them those that were filled in.
        prepared: All of these with their photos and keypoints.
        image: (B,) image index of each row of `clip` in its file.
    """

    pieces: tuple[Piece, ...]
    clip: Clip
    prepared: Prepared
    image: Int[Tensor, "B"]
