"""The people of a folder as arrays: where their points project to, and what was detected in their photos."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor

from refine.geometry.camera import Camera
from refine.keypoints.detections import DetectedPeople


@dataclass(frozen=True)
class Frame:
    """One photo of the folder.

    Attributes:
        size: (height, width) px.
        people: What was detected in it, as it was read; None where there is no file.
        sequence: The folder or video it belongs to.
        number: Its place there.
    """

    size: tuple[int, int]
    people: DetectedPeople | None
    sequence: str
    number: int


@dataclass(frozen=True, eq=False)
class Sample:
    """N estimated people of a folder.

    Attributes:
        points: (N, M, 3) m, named surface and joint points in the camera frame.
        names: The M names.
        root: (N, 3) m, the pelvis.
        camera: N cameras.
        frame: (N,) index into `frames`.
        frames: The photos.
        stored_fingers: (N, 30, 3) mean-free finger rotations as the files store them (axis-angle, rad), None where they
            have none.
        hand_mean: What they are read as standing on: "mean", "flat", or "" where the files disagree.
        free_camera: Whether the files leave the focal length to the reader, so that `--camera` decides it.
        problems: (result, reason) of those that could not be read.
    """

    points: Float[Tensor, "N M 3"]
    names: tuple[str, ...]
    root: Float[Tensor, "N 3"]
    camera: Camera
    frame: Int[Tensor, "N"]
    frames: Sequence[Frame]
    stored_fingers: Float[Tensor, "N 30 3"] | None = None
    hand_mean: str = ""
    free_camera: bool = True
    problems: tuple[tuple[str, str], ...] = ()

    def __len__(self) -> int:
        return len(self.points)

    def projected(self, points: Tensor | None = None) -> Float[Tensor, "N M 2"]:
        """Return points (N, M, 3), the people's own if not given, in px of their photos."""
        return self.camera.project(self.points if points is None else points)
