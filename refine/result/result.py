"""The result of refining, with its text, files and pictures."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor

from refine.ambient import usual_torch
from refine.body import SkinnedBody
from refine.dense.prediction import Prediction
from refine.errors import InputError
from refine.estimate import Estimate
from refine.keypoints.detections import Detections
from refine.photo import Photo
from refine.result.file import read, save
from refine.result.known import Known, misfit
from refine.result.page import page_of
from refine.result.text import result_html, result_text
from refine.solve.round import Round
from refine.state import Tracks
from refine.texture import Texture

LOGGER = logging.getLogger("refine")


@dataclass(frozen=True, eq=False)
class Result(Known):
    """Refined bodies with the estimate they came from; the fields are those of `refine.result.known.Known`."""

    def __repr__(self) -> str:
        return result_text(self)

    @usual_torch()
    def _repr_html_(self) -> str:
        """Return what a notebook shows: a small picture and the table of people."""
        return result_html(self, self.overlay)

    @usual_torch()
    def smplx(self) -> dict[str, np.ndarray]:
        """Return the refined parameters under SMPL's names, in the source's own layout.

        Returns:
            `global_orient, body_pose, ...` refined, and `transl` (B, 3) m. Where the source's own model was refined,
            `betas` and `expression` are refined too. Where another model was refined in its place, they are the
            *source's*, since the other model's coefficients do not apply to it; `transl` puts the source's pelvis on
            the refined one, and the other model's shape is under its own key, `built_in_shape`. `refine_body` (B, L)
            uint8 is the whole refined body, which `refine.read` and `refine.fit` restore to the bit where these
            parameters are saved with it unchanged; other readers ignore it.
        """
        from refine.transfer import source_parameters

        return source_parameters(self.refined)

    @usual_torch()
    def save(self, path: str | Path) -> None:
        """Write everything but photos and normal matrices as npz (keys: `refine/result/file.py`).

        Args:
            path: The file; written whole or not at all.
        """
        save(self, path)

    @usual_torch()
    def write_source(self, path: str | Path) -> None:
        """Write the result in the format the estimate was read from.

        Args:
            path: The file.

        Raises:
            InputError: The estimate was not read from a file whose format can be written.
        """
        from refine.formats.find import write

        write(self.refined, Path(path))

    @usual_torch()
    def write_obj(self, path: str | Path) -> None:
        """Write the refined meshes of all bodies, metres, in OpenGL's axes (y up)."""
        from refine.export.files import write_obj

        body = self.body
        unwrapped = len(body.uv_faces) > 0
        uv, uv_faces = (body.uv, body.uv_faces) if unwrapped else (None, None)
        write_obj(path, self.vertices, body.faces, uv=uv, uv_faces=uv_faces, axes="opengl")

    @usual_torch()
    def write_ply(self, path: str | Path) -> None:
        """Write the refined meshes of all bodies, metres, in OpenGL's axes (y up)."""
        from refine.export.files import write_ply

        write_ply(path, self.vertices, self.body.faces, axes="opengl")

    @usual_torch()
    def write_glb(
        self,
        path: str | Path,
        *,
        tracks: Tracks | None = None,
        texture: Texture | None = None,
        colors: Sequence[Float[Tensor, "V 3"]] | None = None,
        ground: bool = False,
    ) -> None:
        """Write the refined people as glTF: skinned meshes on their skeletons, with the first body's camera.

        Blender, three.js, Unity, Unreal and viewers open it. Metres, y up. How far the meshes are off the bodies (four
        joints a vertex, no pose correctives; nothing to speak of in a still) is said in the file and to the logger.

        Args:
            path: The file.
            tracks: Person and time of each body: the bodies of a person become a clip. None: each is a still.
            texture: A map for each person, in the order of their first bodies (`textures`); None: `colors`.
            colors: The same of the vertices' colours, (V, 3) sRGB in 0..1; None: one colour a person.
            ground: Whether a ground is drawn under their feet, level with the camera.

        Raises:
            InputError: There is nobody, or textures, colours or tracks are of others.
        """
        from refine.export.figure import figures, people_of
        from refine.export.glb import write_glb
        from refine.texture.texture import check_layout

        people, pictures = figures(self.body, self.bodies, tracks), None
        numbers = [int(people_of(tracks, len(self))[one.rows[0]]) for one in people]
        if texture is not None:
            check_layout(texture, self.body)
            maps = np.rint(255 * texture.pixels.cpu().numpy()).astype(np.uint8)
            pictures = [maps[number] for number in numbers if number < len(maps)]
        colors = None if colors is None else [colors[number] for number in numbers if number < len(colors)]
        write_glb(path, self.body, people, camera=self.camera, textures=pictures, colors=colors, ground=ground)
        worst = max(people, key=lambda one: float(one.loss_m.max()))
        LOGGER.info(
            "%s: vertices are at most %.1f mm off the bodies.", Path(path).name, 1e3 * float(worst.loss_m.max())
        )

    @usual_torch()
    def textures(self, tracks: Tracks | None = None) -> Texture:
        """Bake the people's own textures from the photos; what no photo shows is filled from the other side and parts.

        Args:
            tracks: The person of each body; None: each is a person of its own.

        Returns:
            A map for each person, in the order of their first bodies.

        Raises:
            InputError: The result holds no photos (it was loaded from a file), or nobody.
        """
        from refine.export.figure import people_of
        from refine.texture.atlas import uv_atlas
        from refine.texture.fill import filled_by_part_means, filled_by_symmetry
        from refine.texture.personal import bake_textures

        self._photo(0)
        atlas, person = uv_atlas(self.body), people_of(tracks, len(self))
        baked = bake_textures(self.photos, self.refined, atlas, person=person.tolist())
        return filled_by_part_means(filled_by_symmetry(baked, atlas), atlas)

    @usual_torch()
    def overlay(self, image: int = 0) -> UInt8[np.ndarray, "H W 3"]:
        """Return a picture: before | after, meshes half transparent over the photo, outlines of both.

        Args:
            image: Which photo.

        Returns:
            (H, W, 3) uint8 RGB.

        Raises:
            InputError: The result holds no photos (it was loaded from a file).
        """
        from refine.viz.overlay import overlay

        return overlay(self._photo(image), self.estimate, self.refined, image=image, detections=self.detections)

    @cached_property
    @usual_torch()
    def predictions(self) -> tuple[Prediction, Prediction] | None:
        """The displacer's predictions for the estimate and for the result; None without a displacer."""
        return None if self.predict is None else (self.predict(self.estimate), self.predict(self.refined))

    @usual_torch()
    def report(self, image: int = 0) -> UInt8[np.ndarray, "H W 3"]:
        """Return a page with a close-up, misfits, costs and the joints that turned most of every person.

        With a displacer also its displacement, its standard deviation, and the residuals before and after.

        Args:
            image: Which photo.

        Returns:
            (H, W, 3) uint8 RGB.

        Raises:
            InputError: The result holds no photos (it was loaded from a file).
        """
        from refine.viz.report import report

        shown = self._photo(image), self.estimate, self.refined, page_of(self, image)
        return report(*shown, image=image, detections=self.detections, predictions=self.predictions)

    def _photo(self, image: int) -> UInt8[np.ndarray, "H W 3"]:
        if not 0 <= image < len(self.photos):
            advice = (
                ""
                if self.photos
                else "A result read from a file holds none: draw with refine.viz.overlay and the photo."
            )
            expected = f"an index below {len(self.photos)}, the number of photos the result holds"
            raise InputError("image", expected, str(image), advice)
        return self.photos[image].pixels


def summarise(
    estimate: Estimate,
    rounds: Sequence[Round],
    detections: Detections | None,
    informed: Tensor | None,
    notes: tuple[str, ...],
    photos: tuple[Photo, ...],
    predict: Callable[[Estimate], Prediction] | None = None,
) -> Result:
    """Gather the rounds of a refinement into a result.

    Args:
        estimate: B bodies before refining.
        rounds: At least one.
        detections: The keypoints, matched to the bodies, or None.
        informed: (B, K) which of them carry information, or None.
        notes: Decisions made on the way.
        photos: The photos.
        predict: Predicts the displacement of bodies, or None.

    Returns:
        The result; costs are of the first round's start and the last round's end.
    """
    first, last = rounds[0].solution, rounds[-1].solution
    return Result(
        estimate, last.state, tuple(last.stop), first.cost_before, last.cost,
        misfit(detections, informed, estimate), misfit(detections, informed, replace(estimate, state=last.state)),
        tuple(rounds), detections, notes, photos, predict, rounds[-1].verdict,
    )  # fmt: skip


def load(path: str | Path, body_model: SkinnedBody | str | Path | None = None) -> Result:
    """Read a result written by `Result.save`.

    Args:
        path: The file.
        body_model: The model it belongs to; None: the built-in one, or the file named in the result.

    Returns:
        The result, without photos and rounds.

    Raises:
        InputError: The file is missing, truncated, of another kind or of a later version, or its model cannot be found.
    """
    return Result(**read(path, body_model))
