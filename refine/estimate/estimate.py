"""An estimate: a regressor's bodies and cameras of one or several photos on a `SkinnedBody`.

Frames: camera frame of the photo (x right, y down, z forward), or for the bodies the world where their camera has
`camera_from_world`; metres, pixels of the photo.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from refine import batch
from refine.ambient import usual_torch
from refine.batch import Index
from refine.body import PosedBody, SkinnedBody, pose_body
from refine.check import check_shape
from refine.estimate.source import Source
from refine.geometry.alike import alike
from refine.geometry.camera import Camera
from refine.state import Bodies, State


@dataclass(frozen=True, eq=False)
class Estimate:
    """Bodies and cameras on a body model, with the source they were read from.

    Attributes:
        body: The model.
        state: Bodies and one camera each.
        image_index: (B,) which image of the call each body is seen in.
        source: The source they were read from.
        notes: One sentence for each decision made while reading (focal rule, change of model, ...).
        distance_m: (B,) m, error of the conversion from the source's model: mean distance of the two surfaces where one
            was fitted to the other, else of the first 22 joints; NaN where the source stores neither, None without a
            conversion.

    Raises:
        InputError: `image_index` has another number of bodies.
    """

    body: SkinnedBody
    state: State
    image_index: Int[Tensor, "B"]
    source: Source
    notes: tuple[str, ...] = ()
    distance_m: Float[Tensor, "B"] | None = None

    def __post_init__(self) -> None:
        check_shape("estimate.image_index", self.image_index, "B", B=len(self.state))

    def __repr__(self) -> str:
        return estimate_text(self)

    def __len__(self) -> int:
        return len(self.state)

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> "Estimate":
        """Return the estimate on another device or in another floating-point type; the source is not moved."""
        body, state = self.body.to(device, dtype), self.state.to(device, dtype)
        return replace(self, body=body, state=state, image_index=self.image_index.to(device=device))

    def rows(self, index: Index) -> "Estimate":
        """Return some of the bodies as an estimate of their own.

        Args:
            index: Which, as a slice, a list or a tensor of rows, or a mask (B,).

        Returns:
            Those bodies, in the order of index; `image_index` still points into all photos, and the source's `arrays`
            stay the whole file's, so that only the whole estimate can be written back (`with_rows`).
        """
        return batch.rows(self, index)

    def with_rows(self, index: Index, state: State) -> "Estimate":
        """Return the estimate with some of its bodies and their cameras replaced, the inverse of `rows`.

        Args:
            index: Which, as for `rows`; no row twice.
            state: Their new bodies and cameras, in the order of index.
        """
        camera, other = alike((self.camera, state.camera))
        whole = replace(self.state, camera=camera)
        return replace(self, state=batch.put(whole, index, replace(state, camera=other)))

    @property
    def bodies(self) -> Bodies:
        """The bodies: pose, shape, expression, translation."""
        return self.state.bodies

    @property
    def camera(self) -> Camera:
        """One camera a body."""
        return self.state.camera

    @property
    def posed(self) -> PosedBody:
        """The bodies, posed."""
        return pose_body(self.body, self.state.bodies)

    @property
    @usual_torch()
    def vertices(self) -> Float[Tensor, "B V 3"]:
        """(B, V, 3) m, camera frame."""
        return self.camera.transform(self.posed.vertices)

    @property
    @usual_torch()
    def joints(self) -> Float[Tensor, "B J 3"]:
        """(B, J, 3) m, camera frame."""
        return self.camera.transform(self.posed.joints)

    @usual_torch()
    def keypoints_2d(self, name: str) -> Float[Tensor, "B K 2"]:
        """Project a named keypoint set.

        Args:
            name: "coco17", "body25", "smpl24", "smplx55", "coco133" or another set of the body.

        Returns:
            (B, K, 2) px of the photo.

        Raises:
            InputError: The body has no such set.
        """
        return self.camera.project(self.posed.keypoints(self.body.keypoint_set(name)))


def estimate_text(estimate: Estimate) -> str:
    """Return an estimate in a few lines: people, model, camera, depth."""
    lines = [f"Estimate: {people_text(estimate)}, {origin_text(estimate)}"]
    if len(estimate):
        camera = estimate.camera
        depth = camera.transform(estimate.bodies.translation[:, None])[:, 0, 2]
        height, width = camera.size[0].round().int().tolist()
        more = "" if bool((camera.size == camera.size[:1]).all()) else " (the first's)"
        lines.append(f"  focal {_range(camera.focal)} px, photo {width}x{height} px{more}, depth {_range(depth, 1)} m")
    return "\n".join([*lines, *notes_text(estimate.notes)])


def people_text(estimate: Estimate) -> str:
    """Return the numbers of people and photos."""
    people, photos = len(estimate), len(estimate.image_index.unique())
    return f"{people} {'person' if people == 1 else 'people'} in {photos} {'photo' if photos == 1 else 'photos'}"


def origin_text(estimate: Estimate) -> str:
    """Return the format, the file, the source's model and the body."""
    source = estimate.source
    place = "" if source.path is None else f" ({source.path.name})"
    return f"{source.format}{place}: {source.model} on {estimate.body.name}"


def notes_text(notes: tuple[str, ...]) -> list[str]:
    """Return a line with the number of notes; none where there are none."""
    return [f"  {len(notes)} {'note' if len(notes) == 1 else 'notes'} (.notes)"] if notes else []


def _range(values: object, digits: int = 0) -> str:
    """Return the range of a tensor's values."""
    low, high = float(values.min()), float(values.max())  # type: ignore[attr-defined]
    one, other = f"{low:.{digits}f}", f"{high:.{digits}f}"
    return one if one == other else f"{one} to {other}"
