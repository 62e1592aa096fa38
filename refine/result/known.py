"""The data of a result: estimate and refined state, stop reasons, verdicts, costs and uncertainty."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from refine.ambient import usual_torch
from refine.batch import PER_ROW
from refine.body import SkinnedBody
from refine.dense.prediction import Prediction
from refine.errors import InputError
from refine.estimate import Estimate, Source
from refine.estimate.usable import blank, blank_bodies
from refine.geometry import rotation
from refine.geometry.camera import Camera
from refine.keypoints.detections import Detections
from refine.photo import Photo
from refine.result.sentences import sentence
from refine.solve import UNSOLVED, StopReason, Verdict
from refine.solve.round import Round
from refine.state import Bodies, State, Tracks


@dataclass(frozen=True, eq=False)
class Known(ABC):
    """The data of a result and what is computed from it; `refine.Result` adds files and pictures.

    A person whose numbers in the estimate are not finite is never refined (`stop` is UNUSABLE): every figure about it
    is NaN here, and it is written back unchanged. In `estimate` and `state` a stand-in behind the camera takes its
    place (`source.without_numbers`).

    Attributes:
        estimate: The estimate on the model that was refined; `estimate.source` keeps the file's content.
        state: The refined bodies and cameras.
        stop: B reasons why the solver stopped; whether an update is accepted is in `judgement`.
        cost_before: (B,) robust cost of the estimate, on the first round's evidence.
        cost: (B,) robust cost of the result, on the last round's evidence (the same without a displacer).
        misfit_before: (B,) px, mean distance of the detected keypoints with information; NaN without such.
        misfit: (B,) px, the same of the result.
        rounds: All rounds, each with its solution and terms; empty after loading.
        detections: The keypoints used as evidence, or None.
        notes: One sentence for each decision made while reading and refining.
        photos: The photos, for pictures; empty after loading.
        predict: Predicts the displacement of bodies in these photos, for pictures; None without a displacer and after
            loading.
        judgement: B verdicts on the updates, with their numbers (`refine.trust.gate`); empty without a gate.
        stored_sigma_mm: (B, J, 3) mm read from a file; None: computed on access.
        observed: (B,) whether the estimate has the row; false: it was filled in between others of its track, behind the
            estimate's own rows (`refine.fit_video`). None: all are the estimate's.
        tracks: Which rows are one person over time, and when; None: rows are independent.
    """

    estimate: Estimate
    state: State
    stop: tuple[StopReason, ...] = field(metadata=PER_ROW)
    cost_before: Float[Tensor, "B"]
    cost: Float[Tensor, "B"]
    misfit_before: Float[Tensor, "B"]
    misfit: Float[Tensor, "B"]
    rounds: tuple[Round, ...] = ()
    detections: Detections | None = None
    notes: tuple[str, ...] = ()
    photos: tuple[Photo, ...] = ()
    predict: Callable[[Estimate], Prediction] | None = None
    judgement: tuple[Verdict, ...] = field(default=(), metadata=PER_ROW)
    stored_sigma_mm: Float[Tensor, "B J 3"] | None = None
    observed: Bool[Tensor, "B"] | None = None
    tracks: Tracks | None = None

    @abstractmethod
    def __repr__(self) -> str:
        """Return a few lines of text."""

    def __len__(self) -> int:
        return len(self.state)

    @property
    def accepted(self) -> Bool[Tensor, "B"]:
        """(B,) whether the update was accepted, all or part of it; false: `verdict` or `stop` has the reason.

        Without a gate every update of the solver is accepted.
        """
        taken = [verdict.accepted for verdict in self.judgement] or [reason not in UNSOLVED for reason in self.stop]
        return torch.tensor(taken, dtype=torch.bool, device=self.cost.device)

    @property
    def verdict(self) -> tuple[str, ...]:
        """B sentences that explain `judgement`; empty without a gate."""
        return tuple(sentence(*each) for each in zip(self.judgement, self.stop, strict=True)) if self.judgement else ()

    @cached_property
    def _last(self) -> Round:
        """The last round, linearised at its state once for all who read it."""
        last = self.rounds[-1]
        return replace(last, solution=replace(last.solution, linear=last.linearized(self.body)))

    @cached_property
    @usual_torch()
    def posterior(self) -> "Posterior | None":  # type: ignore[name-defined]
        """Covariance of a step from the result (`refine.trust.uncertainty`); None after loading."""
        from refine.trust.uncertainty import posterior

        return posterior(self.body, self._last) if self.rounds and self._last.priors else None

    @cached_property
    @usual_torch()
    def sigma_mm(self) -> Float[Tensor, "B J 3"]:
        """(B, J, 3) mm, standard deviation of each joint relative to the pelvis along image-x, image-y and depth.

        The pelvis' row is of its own position. Per coordinate and Gaussian: 68 % of true positions lie within one, 95 %
        within two. Infinite where unobserved; NaN without rounds.
        """
        from refine.trust.uncertainty import joint_sigma_mm

        if self.stored_sigma_mm is not None:
            return self.stored_sigma_mm
        if self.posterior is None:
            return torch.full_like(self.joints, torch.nan)
        return blank(joint_sigma_mm(self.body, self.state, self.posterior), self.source)

    @usual_torch()
    def vertex_sigma_mm(self, vertices: Sequence[int] | Tensor | None = None) -> Float[Tensor, "B N 3"]:
        """Return the standard deviation of vertices relative to the pelvis.

        Args:
            vertices: (N,) indices; None: all, which takes about a second a body.

        Returns:
            (B, N, 3) mm along image-x, image-y and depth.

        Raises:
            InputError: The result was loaded from a file, which keeps those of joints only, or an index does not exist.
        """
        from refine.trust.uncertainty import vertex_sigma_mm

        if self.posterior is None:
            raise InputError(
                "result", "one that was just refined", "one without rounds", "Files keep `sigma_mm` of the joints."
            )
        count = len(self.body.template)
        chosen = torch.arange(count) if vertices is None else torch.as_tensor(vertices, dtype=torch.long).flatten()
        if len(chosen) and not 0 <= int(chosen.min()) <= int(chosen.max()) < count:
            raise InputError(
                "vertices", f"indices from 0 to {count - 1}", f"{int(chosen.min())} to {int(chosen.max())}"
            )
        chosen = chosen.to(self.joints.device)
        return blank(vertex_sigma_mm(self.body, self.state, self.posterior, chosen), self.source)

    @usual_torch()
    def explain(self) -> tuple["Explanation", ...]:  # type: ignore[name-defined]
        """Return for every body by how many degrees each term turned each joint; printed, a table.

        Raises:
            InputError: The result was loaded from a file.
        """
        from refine.trust.explanation import explain

        if not self.rounds:
            raise InputError(
                "result", "one that was just refined", "one without rounds", "Call explain() before saving."
            )
        return explain(self.body, self.estimate.state, self._last)

    @cached_property
    @usual_torch()
    def clothes(self) -> "Texture":  # type: ignore[name-defined]
        """B maps: each body's own texture, baked from its photo; what the photo does not show is filled.

        Raises:
            InputError: The result holds no photos (it was loaded from a file), or nobody.
        """
        from refine.texture.personal import filled_textures

        return filled_textures(self.photos, self.refined)

    @property
    def refined(self) -> Estimate:
        """The result as an estimate with the same source."""
        return replace(self.estimate, state=self.state)

    @property
    def source(self) -> Source:
        """The source the estimate was read from."""
        return self.estimate.source

    @property
    def body(self) -> SkinnedBody:
        """The model that was refined."""
        return self.estimate.body

    @property
    def bodies(self) -> Bodies:
        """The refined bodies: pose, shape, expression, translation; NaN of people without usable numbers."""
        return blank_bodies(self.state.bodies, self.source)

    @property
    def camera(self) -> Camera:
        """One camera a body."""
        return self.state.camera

    @property
    def image_index(self) -> Tensor:
        """(B,) which photo each body is seen in."""
        return self.estimate.image_index

    @cached_property
    @usual_torch()
    def vertices(self) -> Float[Tensor, "B V 3"]:
        """(B, V, 3) m, camera frame.

        A person whose size the model does not reach stands nearer or farther, at another scale (`notes`).
        """
        return blank(self.refined.vertices, self.source)

    @cached_property
    @usual_torch()
    def joints(self) -> Float[Tensor, "B J 3"]:
        """(B, J, 3) m, camera frame."""
        return blank(self.refined.joints, self.source)

    @usual_torch()
    def keypoints_2d(self, name: str) -> Float[Tensor, "B K 2"]:
        """Project a named keypoint set of the refined bodies.

        Args:
            name: "coco17", "body25", "smpl24", "smplx55", "coco133" or another set of the body. SMPL and SMPL-H have no
                face and SMPL no fingers, so they lack "coco133", "openpose137" and "smplx55".

        Returns:
            (B, K, 2) px of the photo.

        Raises:
            InputError: The body has no such set; the message lists those it has.
        """
        return blank(self.refined.keypoints_2d(name), self.source)

    @property
    @usual_torch()
    def turned(self) -> Float[Tensor, "B J"]:
        """(B, J) degrees by which each joint's local rotation differs from the estimate's."""
        away = rotation.log(self.estimate.bodies.pose.mT @ self.state.bodies.pose)
        return blank(torch.rad2deg(away.norm(dim=-1)), self.source)


def misfit(detections: Detections | None, informed: Tensor | None, estimate: Estimate) -> Float[Tensor, "B"]:
    """Return the mean distance (B,) px of the keypoints that carry information; NaN where there are none."""
    if detections is None or informed is None:
        return torch.full_like(estimate.bodies.translation[:, 0], torch.nan)
    return detections.misfit(estimate.keypoints_2d(detections.name), informed)
