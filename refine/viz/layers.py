"""Renders the people of a photo into a view of it: the nearest person at each pixel, with light.

    pixel of the view = scale * (pixel of the photo - corner of the window)
    light = AMBIENT + (1 - AMBIENT) * max(0, normal . LIGHT),   the nearest person wins each pixel

Source: Lambert's cosine law; depth buffer: Catmull, A subdivision algorithm for computer display, PhD thesis, 1974.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from refine.body import pose_body
from refine.errors import InputError
from refine.estimate import Estimate
from refine.geometry.camera import NEAR_M, Camera
from refine.render import Rasterizer
from refine.viz.canvas import Picture

AMBIENT = 0.5
"""Share of light on a surface turned away from the lamp: a mesh's far side stays visible over a dark photo."""
LIGHT = (-0.35, -0.55, -0.76)
"""Direction to the lamp in the camera frame, unit length: over the viewer's left shoulder."""


@dataclass(frozen=True, eq=False)
class Meshes:
    """The people of one photo as triangles.

    Attributes:
        vertices: (B, V, 3) m, camera frame.
        faces: (F, 3).
        camera: B cameras of the whole photo, bodies in the camera frame.
    """

    vertices: Float[Tensor, "B V 3"]
    faces: Int[Tensor, "F 3"]
    camera: Camera

    def __len__(self) -> int:
        return self.vertices.shape[0]


@dataclass(frozen=True)
class View:
    """A window of a photo, enlarged or reduced.

    Attributes:
        window: (left, top, right, bottom) px of the photo, whole numbers.
        height: px of the picture.
        width: px of the picture.
    """

    window: tuple[int, int, int, int]
    height: int
    width: int

    @property
    def scale(self) -> tuple[float, float]:
        """Picture px per photo px along x and y."""
        left, top, right, bottom = self.window
        return self.width / (right - left), self.height / (bottom - top)

    def pixels(self, points: np.ndarray) -> np.ndarray:
        """Return points (..., 2) px of the photo in px of the picture."""
        return (points - np.array(self.window[:2])) * np.array(self.scale)

    def photo(self, photo: Picture) -> Picture:
        """Return the window of the photo at the picture's size."""
        import cv2

        left, top, right, bottom = self.window
        way = cv2.INTER_AREA if self.scale[0] < 1 else cv2.INTER_CUBIC
        # The crop is copied: RGB read-only arrays and negative strides are common, OpenCV wants neither.
        return np.asarray(
            cv2.resize(
                np.ascontiguousarray(photo[top:bottom, left:right]), (self.width, self.height), interpolation=way
            )
        )


@dataclass(frozen=True, eq=False)
class Layers:
    """The nearest surface in each pixel of a view.

    Attributes:
        person: (H, W) int16 index of the body, -1 where there is none.
        triangle: (H, W) int32 index into faces, -1 where there is none.
        barycentric: (H, W, 3) float32.
        light: (H, W) float32, 0..1.
    """

    person: np.ndarray
    triangle: np.ndarray
    barycentric: np.ndarray
    light: np.ndarray


def check_photo(photo: Picture) -> None:
    """Refuse anything but an (H, W, 3) uint8 array.

    Raises:
        InputError: The photo is of another type or shape.
    """
    if not (
        isinstance(photo, np.ndarray)
        and photo.dtype == np.uint8
        and photo.ndim == 3
        and photo.shape[2] == 3
        and photo.size
    ):
        got = f"{photo.dtype} of shape {photo.shape}" if isinstance(photo, np.ndarray) else type(photo).__name__
        raise InputError("photo", "an RGB array (H, W, 3) of uint8", got)


def meshes_of(estimate: Estimate, photo: Picture, image: int) -> Meshes:
    """Return the people of one image of an estimate, on the CPU in float32.

    Args:
        estimate: Bodies of one or several images.
        photo: (H, W, 3), for its size.
        image: Which image: bodies with this `image_index`.

    Raises:
        InputError: The photo has another size than the bodies' cameras.
    """
    chosen = (estimate.image_index.cpu() == image).nonzero()[:, 0]
    # The state moves first, so that skinning in float64 or on a GPU gives the same picture.
    index = chosen.to(estimate.image_index.device)
    camera = estimate.camera[index]
    with torch.no_grad():
        vertices = camera.transform(pose_body(estimate.body, estimate.bodies[index]).vertices).to("cpu", torch.float32)
    camera = camera.to("cpu", torch.float32)
    sizes = camera.size.round().int().tolist()
    if any(abs(height - photo.shape[0]) > 1 or abs(width - photo.shape[1]) > 1 for height, width in sizes):
        expected, got = (f"{w} x {h} px" for h, w in (sizes[0], photo.shape[:2]))
        advice = "Give the photo the estimate was made from."
        raise InputError("photo", f"{expected}, the camera's size", got, advice)
    return Meshes(vertices, estimate.body.faces.cpu(), camera.local)


def whole_view(photo: Picture, min_side: int, max_side: int) -> View:
    """Return a view of all of a photo with its longer side between `min_side` and `max_side` px."""
    height, width = photo.shape[:2]
    longest = max(height, width)
    scale = min(max(longest, min_side), max_side) / longest
    return View((0, 0, width, height), max(1, round(scale * height)), max(1, round(scale * width)))


def box_view(photo: Picture, boxes: Sequence[np.ndarray], height: int, width: int, margin: float = 0.12) -> View:
    """Return a view of a window around boxes, of the picture's proportions where the photo allows it.

    Args:
        photo: (H, W, 3).
        boxes: Each (left, top, right, bottom) px of the photo; non-finite ones are skipped.
        height: Largest height of the picture, px.
        width: Largest width of the picture, px.
        margin: Added on each side, as a share of the larger side of the box.

    Returns:
        A view that fits into height x width; of the whole photo where no box overlaps it.
    """
    rows, columns = photo.shape[:2]
    limit = np.array([columns, rows, columns, rows], float)
    inside = [np.clip(box, 0, limit) for box in boxes if np.isfinite(box).all()]
    inside = [box for box in inside if (box[2:] - box[:2]).min() > 1]
    window = np.array([0, 0, columns, rows], float)
    if inside:
        low, high = np.min([b[:2] for b in inside], 0), np.max([b[2:] for b in inside], 0)
        side = high - low + 2 * margin * (high - low).max()
        side = np.maximum(side, side[::-1] * np.array([width / height, height / width]))  # to the picture's proportions
        side = np.minimum(side, limit[2:])
        low = np.clip((low + high - side) / 2, 0, limit[2:] - side)  # pushed back inside rather than cut
        window = np.concatenate((low, low + side))
    left, top, right, bottom = (int(v) for v in np.rint(window))
    right, bottom = max(right, left + 1), max(bottom, top + 1)
    scale = min(width / (right - left), height / (bottom - top))
    return View(
        (left, top, right, bottom), max(1, round(scale * (bottom - top))), max(1, round(scale * (right - left)))
    )


def boxes_of(meshes: Meshes) -> np.ndarray:
    """Return the boxes (B, 4) of the bodies, left, top, right, bottom px of the photo; NaN of those behind the camera.

    The box of a body that crosses the camera is the whole photo.
    """
    pixels = meshes.camera.project(meshes.vertices)
    boxes = []
    for body in range(len(meshes)):
        front = meshes.vertices[body, :, 2] > NEAR_M
        if not bool(front.any()) or not bool(meshes.vertices[body].isfinite().all()):
            boxes.append([np.nan] * 4)
        elif not bool(front.all()):
            height, width = meshes.camera.size[body].tolist()
            boxes.append([0.0, 0.0, width, height])
        else:
            boxes.append([*pixels[body].amin(0).tolist(), *pixels[body].amax(0).tolist()])
    return np.array(boxes, float).reshape(-1, 4)


def layers(meshes: Meshes, view: View, rasterizer: Rasterizer | None = None) -> Layers:
    """Render the people of a photo into a view, each in its own crop.

    Args:
        meshes: The people.
        view: The window.
        rasterizer: Finds the triangles; the default one where None.
    """
    from refine.render.rasterize import default_rasterizer, rasterize
    from refine.render.shade import vertex_normals

    finder = rasterizer if rasterizer is not None else default_rasterizer()
    shape = (view.height, view.width)
    person, triangle = np.full(shape, -1, np.int16), np.full(shape, -1, np.int32)
    barycentric, light = np.zeros((*shape, 3), np.float32), np.zeros(shape, np.float32)
    nearest = np.full(shape, np.inf, np.float32)
    scale = torch.tensor(view.scale, dtype=torch.float32)
    corner = torch.tensor(view.window[:2], dtype=torch.float32)
    for body, box in enumerate(boxes_of(meshes)):
        if not np.isfinite(box).all():
            continue
        low = np.floor(np.clip(view.pixels(box[:2]), 0, shape[::-1])).astype(int)
        high = np.ceil(np.clip(view.pixels(box[2:]), 0, shape[::-1])).astype(int)
        columns, rows = (int(v) for v in high - low)
        if columns < 1 or rows < 1:
            continue
        whole = meshes.camera[[body]]
        offset = torch.tensor(low, dtype=torch.float32)
        moved = torch.cat((torch.diag(scale), (-corner * scale - offset)[:, None]), 1)[None]
        camera = whole.transformed(moved, whole.size.new_tensor([[rows, columns]]))
        vertices = meshes.vertices[[body]]
        with torch.no_grad():
            seen = rasterize(finder, vertices, meshes.faces, camera, rows, columns)
            lit = (vertex_normals(vertices, meshes.faces)[0] @ vertices.new_tensor(LIGHT)).clamp(min=0).numpy()
        depth = seen.depth[0].numpy()
        y, x = np.nonzero(depth < nearest[low[1] : high[1], low[0] : high[0]])
        at = (y + low[1], x + low[0])
        ids, weights = seen.triangle[0].numpy()[y, x], seen.barycentric[0].numpy()[y, x]
        nearest[at], person[at], triangle[at], barycentric[at] = depth[y, x], body, ids, weights
        light[at] = AMBIENT + (1 - AMBIENT) * (lit[meshes.faces.numpy()[ids]] * weights).sum(1)
    return Layers(person, triangle, barycentric, light)
