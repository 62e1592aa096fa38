"""A result's files: its own, the source's format, and what other programs open."""

import logging
from abc import ABC
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from torch import Tensor

from refine.ambient import usual_torch
from refine.errors import InputError
from refine.export.figure import Figure
from refine.files.atomic import write_bytes
from refine.result.file import save
from refine.result.known import Known
from refine.state import Tracks
from refine.texture import Texture

LOGGER = logging.getLogger("refine")


@dataclass(frozen=True, eq=False)
class Written(Known, ABC):
    """What can be written of a result; `refine.Result` adds text and pictures."""

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

        own = self.refined if self.observed is None else self.refined.rows(self.observed.nonzero()[:, 0])
        write(own, Path(path))

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
            tracks: Person and time of each body: the bodies of a person become a clip. None: the result's own; where it
                has none, each is a still.
            texture: A map for each person, in the order of their first bodies (`textures`); None: `colors`.
            colors: The same of the vertices' colours, (V, 3) sRGB in 0..1; None: one colour a person.
            ground: Whether a ground is drawn under their feet, level with the camera.

        Raises:
            InputError: There is nobody, or textures, colours or tracks are of others.
        """
        from refine.export.figure import figures, people_of
        from refine.export.glb import write_glb
        from refine.texture.texture import check_layout

        tracks = tracks or self.tracks
        people, pictures = figures(self.body, self.bodies, tracks, camera=self.camera), None
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
    def write_bvh(
        self, path: str | Path, *, tracks: Tracks | None = None, person: int = 0, unit: str = "cm", up: str = "y"
    ) -> None:
        """Write a refined person's motion as BVH: T pose, turns of 55 joints; in the first body's camera's frame.

        Args:
            path: The file.
            tracks: Person and time of each body; None: the result's own, else each is a person with one moment.
            person: Which person, in the order of their first bodies.
            unit: "cm" or "m".
            up: The axis that points up, "y" or "z".

        Raises:
            InputError: There is no such person, another unit or axis, or the tracks are of others.
        """
        from refine.export.bvh import write_bvh

        write_bvh(path, self.body, self._figure(tracks, person), unit=unit, up=up)

    @usual_torch()
    def write_amass(self, path: str | Path, *, tracks: Tracks | None = None, person: int = 0) -> None:
        """Write a refined person's motion as AMASS' npz, z up, which Blender's SMPL-X add-on reads.

        Args:
            path: The file, an npz.
            tracks: Person and time of each body; None: the result's own, else each is a person with one moment.
            person: Which person, in the order of their first bodies.

        Raises:
            InputError: There is no such person, or the tracks are of others.
        """
        from refine.export.amass import write_amass

        figure = self._figure(tracks, person)
        write_amass(path, self.body, figure, self.bodies.shape[figure.rows].mean(0).cpu().double().numpy())

    @usual_torch()
    def write_video(
        self,
        path: str | Path,
        *,
        tracks: Tracks | None = None,
        fps: float | None = None,
        frames: Sequence[int] | None = None,
        max_side: int = 640,
    ) -> None:
        """Write a video that browsers play: before | after, over the photos or, where there are none, on grey.

        Args:
            path: The file: .mp4 (H.264; needs PyAV: `pip install "refine[video]"`) or .webm (VP9).
            tracks: Person and time of each body; None: those the result knows.
            fps: Photos per second, where no tracks are known; None: 30.
            frames: Which photos, in their order; None: those from the first person's first to the last one's last.
            max_side: Longer side of each half, px.

        Raises:
            InputError: The suffix is another, frames do not ascend, the tracks are of others, or there is nobody.
            MissingExtra: PyAV is needed and not installed.
        """
        from refine.export.video import write_video
        from refine.result.over_time import times_of_frames
        from refine.viz.film import film

        images, time_s = times_of_frames(self, tracks=tracks, fps=fps, frames=frames)
        drawn = film(
            self.photos, self.estimate, self.refined, images, time_s, detections=self.detections, max_side=max_side
        )
        write_video(path, drawn, time_s)

    @usual_torch()
    def write_csv(self, path: str | Path, *, tracks: Tracks | None = None, fps: float | None = None) -> None:
        """Write a table with a line for each person and photo: misfit, jitter, sigma, verdict (`over_time.COLUMNS`).

        Args:
            path: The file.
            tracks: Person and time of each body; None: those the result or its file knows.
            fps: Photos per second, where no tracks are known; None: 30.

        Raises:
            InputError: The tracks are of others, or somebody is twice at one time.
        """
        from refine.result.over_time import people_over_time, write_table

        write_table(people_over_time(self, tracks=tracks, fps=fps), self.verdict, path)

    def _figure(self, tracks: Tracks | None, person: int) -> Figure:
        from refine.export.figure import figures, people_of

        tracks = tracks or self.tracks
        numbers = people_of(tracks, len(self))
        found = figures(self.body, self.bodies, tracks, camera=self.camera)
        for one in found:
            if int(numbers[one.rows[0]]) == person:
                return one
        known = ", ".join(str(int(numbers[one.rows[0]])) for one in found) or "nobody"
        raise InputError("person", f"one of {known}", str(person), "People without numbers cannot be written.")

    @usual_torch()
    def write_html(self, path: str | Path, image: int = 0, *, title: str = "") -> None:
        """Write one page that opens in any browser, from a disk and without a network.

        It shows the photo with a slider from before to after, the bodies in 3D with the uncertainty of their joints,
        and of each person verdict, misfit, and which evidence turned which joint.

        Args:
            path: The file.
            image: Which photo.
            title: At the top; empty: the file's name.

        Raises:
            InputError: Nobody is in that photo.
        """
        from refine.result.web import web_page

        write_bytes(path, web_page(self, image, title or Path(path).stem).encode("utf-8", "replace"))

    @usual_torch()
    def describe(self) -> "tuple[Description, ...]":  # type: ignore[name-defined]
        """Return of each person height, lengths, bends and where they face, each with its sigma, and a sentence.

        Printed, a table. A result that was loaded from a file does not know how sure its numbers are.
        """
        from refine.result.measures import describe

        return describe(self)

    @usual_torch()
    def write_numbers(self, path: str | Path) -> None:
        """Write what `describe` returns.

        Args:
            path: The file: .json, or .csv with a line for each person and number.

        Raises:
            InputError: The suffix is another.
        """
        from refine.result.measures import as_csv, as_json, describe

        writers = {".json": as_json, ".csv": as_csv}
        if (suffix := Path(path).suffix.lower()) not in writers:
            raise InputError("path", "a name ending in .json or .csv", Path(path).name)
        write_bytes(path, writers[suffix](describe(self)).encode())
