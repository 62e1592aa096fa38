"""Samples: photos of synthetic people, renderings of their estimates for the network, and the true displacement.

    offset(pixel) = crop_from_photo( project(true surface point the pixel's estimate shows) ) - pixel centre

A photo costs as much as two estimates of it, so several are made of each, which share the first one's crop.
`python -m displacement_net.training.sheet` measures the speed and draws some.

Source: Wehrbein et al., ICCVW 2023, sec. 3.2 (displacements from a rendered estimate to the photo).
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from displacement_net.training.assets import Assets
from displacement_net.training.backgrounds import squares
from displacement_net.training.borders import bordered, within
from displacement_net.training.camera_noise import photographed
from displacement_net.training.colors import draw_colors, make_bank
from displacement_net.training.errors_of_regressors import estimate_of
from displacement_net.training.layers import compose, others_depth, slots
from displacement_net.training.lighting import background, read_places
from displacement_net.training.objects import BEHIND, FRONT, WITH_BEHIND, WITH_FRONT, draw_objects, hold
from displacement_net.training.scene import Light, render_people
from displacement_net.training.seen_textures import SHARES, TEXTURE_CASES, draw_cases, seen_texture, worn_by
from displacement_net.training.training_body import TrainingBody, some_of, vertices_of
from displacement_net.training.turns import hands, in_turn, moving_limb
from displacement_net.training.wardrobe import draw_looks
from refine import batch
from refine.body import SkinnedBody, pose_body
from refine.errors import InputError
from refine.evaluate import casting
from refine.evaluate.truth import OTHERS_SLACK_M, body_normals, true_displacement
from refine.geometry.camera import NEAR_M, Camera
from refine.geometry.crop import Crop, crop_around, square_around
from refine.render import Fragments, Rasterizer, shade
from refine.render.rasterize import default_rasterizer, rasterize
from refine.state import State

__all__ = ["TEXTURE_CASES", "Sampler", "Samples"]

Estimates = Callable[[SkinnedBody, State, np.random.Generator], State]
"""What a regressor might say of true bodies, drawn by seed."""

LOOKS = 40
"""Looks a sampler keeps; colours and prints are drawn anew for every person."""
SHARED, GROUPS = 4, 24
"""People of a batch that wear the same look in different colours are posed and rendered together: at least so many, in
at most so many groups."""
PER_PHOTO = 2
"""Estimates that are made of each photo."""
FLASHED, FLASH, DIMMED = 0.12, (1.5, 6.0), (0.15, 0.8)
"""Share of photos taken with a flash, its irradiance at the first person, and what is left of the place's light."""


@dataclass(frozen=True, eq=False)
class Samples:
    """B samples of S x S pixels.

    Attributes:
        image: (B, 3, S, S) crop of the photo, sRGB in 0..1, black (or replicated) outside the photo.
        normals: (B, 3, S, S) unit normals of the rendered estimate, camera frame; zeros on the background.
        depth: (B, 1, S, S) m, depth of the rendered surface less the estimate's pelvis'; zeros on the background.
        colors: (B, 3, S, S) `SkinnedBody.vertex_colors` of the rendered surface; zeros on the background.
        mask: (B, 1, S, S) one where the estimate is rendered.
        texture: (B, 3, S, S) the estimate rendered with the known texture, sRGB in 0..1; zeros where it is not known.
        confidence: (B, 1, S, S) how much the texture is worth, 0..1; zeros where there is none.
        texture_case: (B,) index into `TEXTURE_CASES`.
        offset: (B, S, S, 2) px of the crop, (x, y) from the rendered pixel to where its surface point lies in the
            photo; zeros on the background.
        foreground: (B, S, S) the estimate is rendered here.
        inside: (B, S, S) the surface point lies inside the photo (not always the crop) and before the camera.
        visible: (B, S, S) ... inside the crop too, and nothing hides it: not the person itself, nor others, nor
            objects. Implies inside.
        person: (B, 4, S, S) one where the photo shows the person, and there the rest-pose colours of what it shows.
        true: B bodies as they are, in the camera frame of their photos, with the photos' cameras.
        estimate: B bodies as they were rendered, with the cameras regressors assumed for the same photos.
        crop: Where the crops lie in their photos.
    """

    image: Float[Tensor, "B 3 S S"]
    normals: Float[Tensor, "B 3 S S"]
    depth: Float[Tensor, "B 1 S S"]
    colors: Float[Tensor, "B 3 S S"]
    mask: Float[Tensor, "B 1 S S"]
    texture: Float[Tensor, "B 3 S S"]
    confidence: Float[Tensor, "B 1 S S"]
    texture_case: Int[Tensor, "B"]
    offset: Float[Tensor, "B S S 2"]
    foreground: Bool[Tensor, "B S S"]
    inside: Bool[Tensor, "B S S"]
    visible: Bool[Tensor, "B S S"]
    person: Float[Tensor, "B 4 S S"]
    true: State
    estimate: State
    crop: Crop

    def __len__(self) -> int:
        return len(self.image)


class Sampler:
    """Makes batches of samples; the same seed and count give the same batch. Frozen after it is built."""

    def __init__(
        self,
        training: TrainingBody,
        assets: Assets,
        *,
        size: int = 128,
        device: torch.device | str = "cpu",
        looks: int = LOOKS,
        seed: int = 0,
        backgrounds: tuple[np.ndarray, ...] = (),
        rasterizer: Rasterizer | None = None,
        per_photo: int = PER_PHOTO,
        estimates: Estimates = estimate_of,
        cases: tuple[float, ...] = SHARES,
        children: float = casting.CHILDREN,
    ) -> None:
        """Dress `looks` people and measure the panoramas; takes some seconds.

        Args:
            training: The base mesh.
            assets: Clothes, skins, places.
            size: S, px, a multiple of 8.
            device: Where everything is computed.
            looks: How many combinations of garments to keep.
            seed: Of the looks.
            backgrounds: The user's own photos (H, W, 3) uint8 sRGB, used in half of the samples; may be empty.
            rasterizer: None: the fastest one installed.
            per_photo: Estimates of each photo; the second and following ones lie in the first one's crop.
            estimates: What disturbs true bodies (body, state, rng).
            cases: How often each of `TEXTURE_CASES` is drawn.
            children: Their share among the people.

        Raises:
            InputError: The size is no multiple of 8, or one of the numbers cannot be.
        """
        if size < 8 or size % 8:
            raise InputError("size", "a multiple of 8 px", str(size))
        if per_photo < 1 or len(cases) != len(TEXTURE_CASES) or min(cases) < 0 or sum(cases) <= 0:
            raise InputError("per_photo, cases", f"1 or more, {len(TEXTURE_CASES)} shares", f"{per_photo}, {cases}")
        rng = np.random.default_rng((seed, 1))
        self.size, self.device = size, torch.device(device)
        self.body = training.body.to(device=self.device)
        self.rasterizer = rasterizer or default_rasterizer()
        self._looks = tuple(look.to(self.device) for look in draw_looks(training, assets, looks, rng))
        self._bank = make_bank(assets, seed).to(self.device)
        self._places = read_places(assets.panoramas).to(self.device)
        self._recordings = assets.recordings
        self._worn = worn_by(self._looks)
        self._normals = body_normals(self.body)
        self._per_photo, self._estimates, self._children = per_photo, estimates, children
        self._cases = tuple(share / sum(cases) for share in cases)
        self._backgrounds = squares(backgrounds, 2 * size).to(self.device)

    def sized(self, size: int) -> "Sampler":
        """Return a sampler of the same people in crops of another side, px; it shares everything else with this one.

        Raises:
            InputError: The size is no multiple of 8.
        """
        if size < 8 or size % 8:
            raise InputError("size", "a multiple of 8 px", str(size))
        other = copy.copy(self)
        other.size = size
        return other

    def batch(self, seed: int, count: int) -> Samples:
        """Make a batch.

        Args:
            seed: Draws everything.
            count: B.

        Raises:
            InputError: The seed is negative, or nothing is asked for.
        """
        if seed < 0 or count < 1:
            raise InputError("seed, count", "a seed of 0 or more and at least one sample", f"{seed}, {count}")
        with torch.no_grad():
            return self._batch(np.random.default_rng((seed, count)), count)

    def _batch(self, rng: np.random.Generator, count: int) -> Samples:
        size, photos = self.size, -(-count // self._per_photo)
        numbers = np.arange(count) % photos
        of = torch.from_numpy(numbers).to(self.device)  # (B,) the photo each estimate is of
        scene = casting.cast(self.body, self._recordings, photos, rng, self._children)
        people, photo_of = len(scene.photo), scene.photo.cpu().numpy()
        table = slots(photo_of, photos)
        posed = pose_body(self.body, scene.bodies)
        first = slice(0, photos)
        own = State(scene.bodies[first], scene.camera)
        guess = self._estimates(self.body, own, rng)
        seen_of_first = vertices_of(self.body, pose_body(self.body, guess.bodies))
        center, side = square_around(
            guess.camera.project(seen_of_first), seen=seen_of_first[..., 2] > NEAR_M, within=guess.camera.size
        )
        photo_crop = crop_around(center, side, side=size, image_index=torch.arange(photos, device=self.device))
        camera = photo_crop.camera(scene.camera)
        pixel = camera[scene.photo].project(posed.joints)  # (A, J, 2) px of the crop
        chosen = in_turn(numbers, table, (pixel[:, 0] / size).cpu().numpy(), rng)
        who = torch.from_numpy(chosen).to(self.device)
        crop = crop_around(center[of], side[of], side=size, image_index=of)
        true = State(scene.bodies[who], scene.camera[of])
        more = slice(photos, count)
        estimate = guess if count == photos else batch.cat([guess, self._estimates(self.body, true[more], rng)])
        guessed = pose_body(self.body, estimate.bodies)
        vertices = vertices_of(self.body, guessed)
        true_vertices = vertices_of(self.body, some_of(posed, who))
        fragments = rasterize(self.rasterizer, vertices, self.body.faces, crop.camera(estimate.camera), size, size)

        light = self._light(scene, posed.joints[first, 0, 2], rng)
        together = max(SHARED, -(-people // GROUPS))
        drawn = rng.integers(len(self._looks), size=-(-people // together))
        worn = rng.permutation(np.repeat(drawn, together)[:people])
        colors = draw_colors(self._bank, people, rng)
        layer = render_people(
            self._looks, worn, posed, colors, self._bank, light, scene.photo, camera, size, self.rasterizer, rng
        )
        front, opacity = draw_objects(self._bank.prints, photos, size, FRONT, WITH_FRONT, rng)
        middle = pixel[:photos].double().cpu().numpy()
        hold(self._bank.prints, front, opacity, *hands(self.body.joint_names, middle, size), rng)
        picture = self._picture(compose(layer, table), light, camera, rng)
        picture = picture * (1 - opacity[..., None]) + front * opacity[..., None]
        # Each estimate comes with its own copy of the photo, as another camera would have taken it.
        taken = photographed(
            picture.permute(0, 3, 1, 2)[of], rng, moving_limb(self.body.joint_names, middle[numbers], rng)
        )
        image, in_photo = bordered(taken, within(crop, true.camera.size), rng)

        shown = rasterize(self.rasterizer, true_vertices, self.body.faces, camera[of], size, size)
        others = others_depth(layer, table, numbers, chosen)
        there = shown.depth.isfinite() & (shown.depth <= others + OTHERS_SLACK_M) & (opacity[of] < 0.5)
        person = torch.cat((there[..., None], self._rest_colors(shown) * there[..., None]), -1).permute(0, 3, 1, 2)
        person = person * in_photo[:, None]
        truth = true_displacement(
            self.body, true_vertices, camera[of], fragments, crop, true.camera.size, shown.depth, others, opacity[of]
        )
        case = draw_cases(count, rng, self._cases)
        mine = replace(colors, **{name: value[who] for name, value in vars(colors).items()})
        texture, confidence = seen_texture(
            self.body, self._worn, worn[chosen], mine, self._bank, fragments, image, truth.offset, case, rng
        )
        seen = fragments.triangle >= 0
        normals = torch.nn.functional.normalize(
            shade.interpolate(fragments, self.body.faces, self._normals(vertices)), dim=-1
        )
        depth = torch.where(seen, fragments.depth - guessed.joints[:, 0, 2, None, None], 0.0)
        rest_colors = self._rest_colors(fragments)
        return Samples(
            image.contiguous(), normals.permute(0, 3, 1, 2).contiguous(), depth[:, None],
            rest_colors.permute(0, 3, 1, 2).contiguous(),
            seen[:, None].to(image), texture, confidence, torch.from_numpy(case).to(self.device), truth.offset, seen,
            truth.inside,
            truth.visible, person, true, estimate, crop,
        )  # fmt: skip

    def _light(self, scene: casting.Cast, distance: Tensor, rng: np.random.Generator) -> Light:
        """Draw places and flashes of photos whose first people stand at a distance (B,) m."""
        photos = len(distance)
        index = rng.integers(len(self._places.picture), size=photos)
        flashed = rng.random(photos) < FLASHED
        parts = (
            np.where(flashed, rng.uniform(*FLASH, photos), 0.0),
            np.where(flashed, rng.uniform(*DIMMED, photos), 1.0),
        )
        flash, dimmed = (torch.from_numpy(part).to(distance) for part in parts)
        pano = casting.pano_from_camera(scene.camera_from_level, rng)
        return Light(self._places, torch.from_numpy(index).to(self.device), pano, flash, distance, dimmed)

    def _rest_colors(self, fragments: Fragments) -> Tensor:
        """Return the rest-pose colours (B, S, S, 3) of what pixels see."""
        colors = self.body.vertex_colors.expand(len(fragments.triangle), -1, -1)
        return shade.interpolate(fragments, self.body.faces, colors)

    def _picture(self, people: Tensor, light: Light, camera: Camera, rng: np.random.Generator) -> Tensor:
        """Lay people (B, S, S, 4) over places and clutter: (B, S, S, 3)."""
        count, size = len(people), self.size
        ray = casting.rays(camera, size) @ light.pano_from_camera[:, None].mT
        behind = background(light.places, light.index, ray) * light.dimmed.sqrt()[:, None, None, None]
        if len(self._backgrounds):
            theirs = self._backgrounds[
                torch.from_numpy(rng.integers(len(self._backgrounds), size=count)).to(self.device)
            ]
            row, column = rng.integers(size + 1, size=2)
            cut = theirs[:, row : row + size, column : column + size]
            chosen = torch.from_numpy(rng.random(count) < 0.5).to(self.device)[:, None, None, None]
            behind = torch.where(chosen, cut, behind)
        clutter, there = draw_objects(self._bank.prints, count, size, BEHIND, WITH_BEHIND, rng)
        behind = behind * (1 - there[..., None]) + clutter * there[..., None]
        return behind * (1 - people[..., 3:]) + people[..., :3]
