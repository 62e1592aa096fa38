"""The result of refining, with its text, files and pictures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from torch import Tensor

from refine.ambient import usual_torch
from refine.body import SkinnedBody
from refine.dense.prediction import Prediction
from refine.errors import InputError
from refine.estimate import Estimate
from refine.keypoints.detections import Detections
from refine.photo import Photo
from refine.result.file import read
from refine.result.known import misfit
from refine.result.next_evidence import Candidate, Gain, gains, usual_candidates
from refine.result.page import page_of
from refine.result.text import result_html, result_text
from refine.result.written import Written
from refine.solve.round import Round
from refine.state import Tracks
from refine.texture import Texture


@dataclass(frozen=True, eq=False)
class Result(Written):
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
    def textures(self, tracks: Tracks | None = None) -> Texture:
        """Bake the people's own textures from the photos; what no photo shows is filled from the other side and parts.

        Args:
            tracks: The person of each body; None: the result's own, else each is a person of its own.

        Returns:
            A map for each person, in the order of their first bodies.

        Raises:
            InputError: The result holds no photos (it was loaded from a file), or nobody.
        """
        from refine.export.figure import people_of
        from refine.texture.personal import filled_textures

        self._photo(0)
        tracks = tracks or self.tracks
        if tracks is None:
            return self.clothes
        return filled_textures(self.photos, self.refined, person=people_of(tracks, len(self)).tolist())

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

    @usual_torch()
    def next_evidence(self, candidates: Sequence[Candidate] | None = None) -> tuple[Gain, ...]:
        """Return by how much further evidence would lower the joints' standard deviation, before it is given.

        Args:
            candidates: `ClickOn("left_wrist")`, `Height()`, `SeenBy(camera)` (`refine.result.next_evidence`), or any
                object with `name` and `jacobian`; None: a click on each limb's points, a measured height, a camera at
                each side.

        Returns:
            One `Gain` a candidate: `before_mm` and `after_mm` (B,) mm, the one that helps most on average first.

        Raises:
            InputError: The result was loaded from a file, or a candidate is none.
        """
        if self.posterior is None:
            advice = "Call next_evidence() before saving."
            raise InputError("result", "one that was just refined", "one without rounds", advice)
        asked = usual_candidates(self.body, self.state) if candidates is None else tuple(candidates)
        found = gains(self.body, self.state, self.posterior, asked)
        return tuple(sorted(found, key=lambda each: float(each.after_mm.nanmean())))

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

    @usual_torch()
    def track_report(
        self, person: str | int = 0, *, tracks: Tracks | None = None, fps: float | None = None
    ) -> UInt8[np.ndarray, "H W 3"]:
        """Return a page on one person over time: chosen frames, and curves of jitter, misfit and sigma.

        Args:
            person: Its label in the file, or its place in the result.
            tracks: Person and time of each body; None: those the result or its file knows.
            fps: Photos per second, where no tracks are known; None: 30.

        Returns:
            (H, W, 3) uint8 RGB.

        Raises:
            InputError: There is no such person, the tracks are of others, or somebody is twice at one time.
        """
        from refine.result.over_time import people_over_time
        from refine.result.track_report import chosen_person, track_page_of
        from refine.viz.track_page import track_page

        people = people_over_time(self, tracks=tracks, fps=fps)
        return track_page(track_page_of(self, chosen_person(people, person), others=len(people) - 1))

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
