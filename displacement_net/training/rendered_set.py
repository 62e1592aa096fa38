"""Samples from a set with ground truth: its photos, its people disturbed as regressors err, the true displacement.

    image = crop of the photo,   rendering = the person on the estimated body, disturbed,
            offset = where its surface really is

Sample n is the person of rank n mod N in the order drawn for round n div N, so that every round sees everybody once.

Source: the layout: `displacement_net.training.labels`; displacements: Wehrbein et al., ICCVW 2023, sec. 3.2.
"""

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from displacement_net.training.errors_of_regressors import estimate_of
from displacement_net.training.labelled_people import own_model, true_state
from displacement_net.training.labels import Labels, read_labels
from displacement_net.training.samples import TEXTURE_CASES, Samples
from refine.body import SkinnedBody, pose_body
from refine.errors import InputError
from refine.evaluate.truth import OTHERS_SLACK_M, Truth, true_displacement
from refine.geometry.camera import NEAR_M
from refine.geometry.crop import Crop, crop_around, sample_opencv, square_around
from refine.photo import read_photo
from refine.render import Fragments, Rasterizer, shade
from refine.render.rasterize import default_rasterizer, rasterize
from refine.state import State

MOST_OTHERS = 8
"""Other people of an image that may hide the estimated one, the nearest rows; BEDLAM's images hold ten at most."""
LYING_SLACK = 0.02
"""An image is stored lying if the principal point is the middle of the turned one to this share of a side, and sides
differ by 10 %."""
OTHER_SIZE = 0.25
"""Share of a side by which the principal point may be off the middle; beyond, the labels are of another image."""


class RenderedSet:
    """Makes batches of samples of a labelled set, the same for the same seed and count. Frozen after it is built."""

    def __init__(
        self,
        labels: Labels | Path,
        images: Path,
        *,
        size: int = 128,
        device: torch.device | str = "cpu",
        body: SkinnedBody | None = None,
        seed: int = 0,
        rasterizer: Rasterizer | None = None,
    ) -> None:
        """Read the labels.

        Args:
            labels: Labels, or their npz file in BEDLAM's layout.
            images: Folder that `imgname` starts from.
            size: S, side of the crops, px, a multiple of 8.
            device: Where samples are made.
            body: What is estimated; None: the labels' own model where its neutral file is found
                (`refine.body.find_model`), else the built-in body.
            seed: Of the order people are drawn in.
            rasterizer: None: the fastest one installed.

        Raises:
            InputError: The labels cannot be used, the folder is not there, or the size is no multiple of 8.
        """
        if size < 8 or size % 8:
            raise InputError("size", "a multiple of 8 px", str(size))
        if not images.is_dir():
            raise InputError("images", "the folder of the set's images", f"{images}, which is none")
        self.labels = labels if isinstance(labels, Labels) else read_labels(labels)
        body = own_model(self.labels) if body is None else body
        self.images, self.size, self.device, self.seed = images.resolve(), size, torch.device(device), seed
        self.body = body.to(device=self.device)
        self.rasterizer = rasterizer or default_rasterizer()
        self._by_image = np.argsort(self.labels.image, kind="stable")
        self._start = np.searchsorted(self.labels.image[self._by_image], np.arange(len(self.labels.images) + 1))

    def batch(self, seed: int, count: int) -> Samples:
        """Make a batch: samples `seed`, `seed + 1`, ... of the order described above.

        Args:
            seed: The first sample's number; with `count` it also draws the errors.
            count: B.

        Returns:
            B samples; of nobody's looks anything is known (`texture_case` is "none").

        Raises:
            InputError: The seed is negative, nothing is asked for, or an image is missing, broken or of another size
                than its labels say.
        """
        if seed < 0 or count < 1:
            raise InputError("seed, count", "a seed of 0 or more and at least one sample", f"{seed}, {count}")
        with torch.no_grad():
            return self._batch(self.drawn(seed, count), np.random.default_rng((seed, count)))

    def drawn(self, seed: int, count: int) -> Int[np.ndarray, "B"]:
        """Return which people (of 0..N-1) a batch shows, (B,)."""
        number, total = np.arange(seed, seed + count), len(self.labels)
        return np.array([_order(total, self.seed, int(n) // total)[int(n) % total] for n in number])

    def photo(self, person: int) -> np.ndarray:
        """Read the image a person is in, upright.

        Args:
            person: Index of 0..N-1.

        Returns:
            (H, W, 3) uint8 RGB.

        Raises:
            InputError: It is missing, broken, outside the folder, or of another size than the camera's.
        """
        labels = self.labels
        name = labels.images[labels.image[person]]
        where = f"{labels.path}: row {labels.row[person]}: imgname"
        file = (self.images / name).resolve()
        if not file.is_relative_to(self.images):
            raise InputError(where, f"an image below {self.images}", f"{name}, which a link leads out of it")
        pixels = read_photo(file, where).pixels
        middle = 2 * labels.center[person]  # (width, height) of the labels
        upright, lying = (np.abs(middle / sides - 1).max() for sides in (pixels.shape[1::-1], pixels.shape[:2]))
        if lying < LYING_SLACK and upright > 0.1:
            return np.ascontiguousarray(np.rot90(pixels, -1))  # a quarter turn clockwise
        if upright > OTHER_SIZE:
            said = f"{pixels.shape[1]} x {pixels.shape[0]} px"
            raise InputError(where, f"an image of about {middle[0]:.0f} x {middle[1]:.0f} px, as cam_int says", said)
        return pixels

    def _others(self, people: np.ndarray) -> list[np.ndarray]:
        """Return for each person the other people of the same image."""
        found = []
        for person in people:
            image = self.labels.image[person]
            together = self._by_image[self._start[image] : self._start[image + 1]]
            found.append(together[together != person][:MOST_OTHERS])
        return found

    def _batch(self, people: np.ndarray, rng: np.random.Generator) -> Samples:
        body, size, count = self.body, self.size, len(people)
        _, earliest, index = np.unique(self.labels.image[people], return_index=True, return_inverse=True)
        photos = [self.photo(person) for person in people[earliest].tolist()]
        others = self._others(people)
        everybody = np.concatenate((people, *others))
        in_photo = np.concatenate((np.arange(count), np.repeat(np.arange(count), [len(each) for each in others])))
        sides = torch.tensor([photos[number].shape[:2] for number in index], dtype=torch.float64)
        state = true_state(self.labels, everybody, sides[in_photo], body)
        true = state[slice(0, count)]
        estimate = estimate_of(body, true, rng)
        vertices, own = pose_body(body, estimate.bodies).vertices, estimate.camera
        center, side = square_around(own.project(vertices), seen=vertices[..., 2] > NEAR_M, within=own.size)
        crop = crop_around(center, side, side=size, image_index=torch.from_numpy(index).to(self.device))
        fragments = rasterize(self.rasterizer, vertices, body.faces, crop.camera(own), size, size)
        truth, person = self._truth(state, in_photo, crop, fragments)
        pixels = torch.from_numpy(sample_opencv(photos, _on_cpu(crop))).to(vertices) / 255
        seen = fragments.triangle >= 0
        joints = pose_body(body, estimate.bodies).joints
        depth = torch.where(seen, fragments.depth - joints[:, 0, 2, None, None], 0.0)[:, None]
        normals = shade.pixel_normals(fragments, body.faces, vertices)
        last = (normals, pixels, self._rest_colors(fragments), person)
        normals, image, colors, person = (part.permute(0, 3, 1, 2).contiguous() for part in last)
        return Samples(
            image, normals, depth, colors, seen[:, None].to(image), torch.zeros_like(image), torch.zeros_like(depth),
            torch.full((count,), TEXTURE_CASES.index("none"), device=self.device), truth.offset, seen, truth.inside,
            truth.visible, person, true, estimate, crop,
        )  # fmt: skip

    def _truth(
        self, state: State, in_photo: Int[np.ndarray, "A"], crop: Crop, fragments: Fragments
    ) -> tuple[Truth, Float[Tensor, "B S S 4"]]:
        """Return the true displacement of B rendered estimates, and what the photos' pixels show of the people.

        Args:
            state: A people as they are; the first B are those that are estimated, one a crop, the others may hide them.
            in_photo: (A,) which crop each is in.
            crop: B crops.
            fragments: (B, S, S) what their pixels see of the estimates.
        """
        body, count, size = self.body, len(crop), crop.side
        photo_size, vertices = state.camera.size[:count], pose_body(body, state.bodies).vertices
        camera = crop.camera(state.camera[slice(0, count)])
        shown = rasterize(self.rasterizer, vertices, body.faces, camera[in_photo.tolist()], size, size)
        nearest = torch.full_like(fragments.depth, torch.inf)
        for at, depth in zip(in_photo[count:].tolist(), shown.depth[count:], strict=True):
            nearest[at] = torch.minimum(nearest[at], depth)
        own = Fragments(shown.triangle[:count], shown.barycentric[:count], shown.depth[:count])
        truth = true_displacement(
            body, vertices[:count], camera, fragments, crop, photo_size, own.depth, nearest, torch.zeros_like(nearest)
        )
        there = own.depth.isfinite() & (own.depth <= nearest + OTHERS_SLACK_M) & _in_photo(crop, photo_size)
        return truth, torch.cat((there[..., None], self._rest_colors(own) * there[..., None]), -1)

    def _rest_colors(self, fragments: Fragments) -> Tensor:
        """Return the rest-pose colours (B, S, S, 3) of what pixels see."""
        colors = self.body.vertex_colors.expand(len(fragments.triangle), -1, -1)
        return shade.interpolate(fragments, self.body.faces, colors)


def _in_photo(crop: Crop, size: Tensor) -> Tensor:
    """Say which pixels of the crops lie inside their photos of `size` (B, 2) px, (B, S, S)."""
    line = torch.arange(crop.side).to(size) + 0.5
    center = torch.stack(torch.meshgrid(line, line, indexing="xy"), -1).expand(len(crop), -1, -1, -1)
    pixel = crop.to_image(center)
    return ((pixel > 0) & (pixel < size.flip(1)[:, None, None])).all(-1)


def _on_cpu(crop: Crop) -> Crop:
    """Return crops where OpenCV can read them."""
    return Crop(crop.crop_from_image.cpu(), crop.side, crop.image_index.cpu())


@lru_cache(maxsize=4)
def _order(people: int, seed: int, number: int) -> np.ndarray:
    """Return the order of one round, (N,)."""
    return np.random.default_rng((seed, number, people)).permutation(people)
