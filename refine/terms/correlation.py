"""Correlation: how far the errors of a source of evidence hang together, and how many witnesses it therefore is.

    share of a witness = 1 / Σ over all witnesses of the correlation with it, itself included

of which everything else here is a case: of n that err alike each is 1/n; of an endless series in which errors fade by ρ
from one to the next, each is (1 - ρ) / (1 + ρ). Evidence is discounted by its shares once, where it is built:

    pixels, points of a part    where a term is made          `refine.dense.correspondence`, `terms.keypoints.DetectorNoise`
    frames, views               where a fit begins            `refine.method.witnesses`

A part that is the same in all frames is no discount: the errors of a difference between frames are without it. Where
frames are solved together it gets columns of its own (`refine.terms.constants`), elsewhere it stays in the sigmas.

Source: Bayley and Hammersley, Suppl. J. R. Stat. Soc. 8(2), 1946 (effective number of observations of an autocorrelated
series); Kish, Survey Sampling, 1965, sec. 5.4 (1 + (n - 1) ρ, of observations that are equally correlated).
"""  # noqa: E501

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from numbers import Real

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from refine.check import check_type
from refine.errors import InputError
from refine.state import Tracks
from refine.terms import Linearization

OF_MOTION = 0.25
"""Of `time_s`, see `Correlation.of_motion`: at 3 Hz, above which motion smooths and below which evidence decides,
errors that fade by ρ a frame weigh (1 - ρ²) / (1 + ρ² - 2 ρ cos 2πf/fps) of independent ones; for 0.085 s at 60, 30 and
10 frames a second 2.9, 1.5 and 0.7, and this rule gives 2.7, 1.5 and 1.0."""
MOST_CONSTANT = 0.99
"""Beyond, what changes would have no errors at all."""


@dataclass(frozen=True)
class Correlation:
    """How far the errors of a source of evidence hang together. The default: they are independent.

    Raises:
        InputError: A number is out of range.
    """

    pixels: float = 1.0
    """Side of a square of the crop in which errors are alike, px; one: independent."""

    part_points: float = float("inf")
    """Independent points that all points of one face or of one hand count as; infinite: as many as there are."""

    time_s: float = 0.0
    """Time after which the correlation of a point's errors has fallen to 1/e, s; zero: frames are independent."""

    views: float = 0.0
    """Correlation of a point's errors in two cameras' views of one moment, 0..1."""

    constant: float = 0.0
    """Share of the variance, 0..0.99, that is the same in all frames of a person, as where the detector means another
    point than the body's: no number of frames averages it out, and no difference between frames has it."""

    def __post_init__(self) -> None:
        numbers = (self.pixels, self.part_points, self.time_s, self.views, self.constant)
        sound = all(isinstance(each, Real) for each in numbers)
        sound = sound and self.pixels >= 1 and self.part_points > 0 and 0 <= self.time_s < float("inf")
        if not sound or not 0 <= self.views <= 1 or not 0 <= self.constant <= MOST_CONSTANT:
            raise InputError(
                "correlation",
                "pixels of at least 1, part_points above 0, time_s >= 0, views from 0 to 1, constant from 0 to 0.99",
                repr(self),
            )

    def of_pixels(self, represented: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        """Return the share of a pixel that represents others, at most one.

        Args:
            represented: Pixels that it stands for.
        """
        return (represented / self.pixels**2).clamp(max=1)

    def of_part(self, points: Shaped[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        """Return the share of each of some points of one face or hand.

        Args:
            points: How many of them are seen.
        """
        return (self.part_points / points.clamp(min=1)).clamp(max=1)

    def of_views(self, views: Shaped[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        """Return the share of each of some views of one moment.

        Args:
            views: How many cameras see it.
        """
        return 1 / (1 + (views - 1).clamp(min=0) * self.views)

    def of_frames(self, tracks: Tracks) -> Float[Tensor, "B"]:
        """Return the share (B,) of each row among the rows of its track, float64; one for a row in no track.

        correlation of what changes, in two frames = exp(-|t - t'| / time_s)

        Along a track the sum over all earlier frames is the one before's, faded, and one; likewise backwards.
        """
        time, person = tracks.time_s.double().cpu(), tracks.person.cpu()
        share = torch.ones_like(time)
        if not self.time_s:
            return share.to(tracks.time_s.device)
        order = torch.argsort(time, stable=True)
        order = order[torch.argsort(person[order], stable=True)]
        same = person[order].diff() == 0
        fading = torch.where(same, torch.exp(-time[order].diff() / self.time_s), 0.0).tolist()
        earlier, later = _faded(fading), _faded(fading[::-1])[::-1]
        share[order] = 1 / (torch.tensor(earlier).double() + torch.tensor(later).double() - 1)
        return torch.where(person >= 0, share, 1.0).to(tracks.time_s.device)

    def of_motion(self, tracks: Tracks) -> Float[Tensor, "B"]:
        """Return the share (B,) that each row of a coupled track has in saying how people move there.

        Errors that fade slowly are nearly the same in the next frames and blur no movement: of that a row says more
        than its share of the level (`of_frames`). Rows are weighed by this; what is stated of them is as wide as the
        level is unsure (`refine.trust.uncertainty`).
        """
        return replace(self, time_s=OF_MOTION * self.time_s).of_frames(tracks)

    def constant_of(
        self, error: Float[Tensor, "B *rest"], tracks: Tracks, share: Float[Tensor, "B"] | None = None
    ) -> Float[Tensor, "B *rest"]:
        """Return the part of errors that is the same in all frames of a track: their mean, drawn towards zero.

        mean c / (c + (1 - c) / n),     n the independent frames; zero for a row in no track

        Args:
            error: (B, ...) of each row.
            tracks: Whose frames they are.
            share: (B,) share of an independent frame that each is; None: as `of_frames` says.
        """
        person = tracks.person.to(error.device)
        weight = (self.of_frames(tracks) if share is None else share).to(error) * (person >= 0)
        names, which = torch.unique(person, return_inverse=True)
        count = weight.new_zeros(len(names)).index_add(0, which, weight)
        total = error.new_zeros(len(names), *error.shape[1:])
        total = total.index_add(0, which, error * weight.reshape(-1, *[1] * (error.dim() - 1)))
        factor = self.constant / (self.constant * count + 1 - self.constant)
        mean = total * factor.reshape(-1, *[1] * (error.dim() - 1))
        return torch.where((person >= 0).reshape(-1, *[1] * (error.dim() - 1)), mean[which], 0.0)


def _faded(fading: Sequence[float]) -> list[float]:
    """Return sums over a frame and all before it, each faded from one to the next: one more than the factors."""
    return list(accumulate(fading, lambda total, factor: 1 + factor * total, initial=1.0))


INDEPENDENT = Correlation()
"""Errors that do not hang together."""
REGRESSED = Correlation(time_s=0.085, constant=0.6)
"""Of a regressor's estimates over the frames of a track: measured (`python -m tests.benchmarks --only correlation`)."""


def check_witness(name: str, correlation: object, share: object, count: int) -> None:
    """Refuse what no term can have as correlation and share.

    Args:
        name: The term's, for the message.
        correlation: A `Correlation`.
        share: (B,) above zero, at most one, or None.
        count: B.

    Raises:
        InputError: One of them is something else.
    """
    check_type(f"{name}.correlation", correlation, Correlation, "Correlation(time_s=0.085)")
    if share is None:
        return
    if not isinstance(share, Tensor) or share.shape != (count,) or not bool(((share > 0) & (share <= 1)).all()):
        got = f"shape {tuple(share.shape)}" if isinstance(share, Tensor) else type(share).__name__
        got = "values out of range" if isinstance(share, Tensor) and share.shape == (count,) else got
        raise InputError(f"{name}.share", f"({count},) above 0, at most 1, or None", got)


def shared(linear: Linearization, share: Float[Tensor, "B"] | None) -> Linearization:
    """Return a linearisation whose rows are shares of the observations that they were.

    cost = share ½ ρ(‖r‖²)

    Args:
        linear: Of B rows.
        share: (B,) above zero, at most one; None: as it is.
    """
    if share is None:
        return linear
    root = share.to(linear.residual).sqrt()
    part = torch.ones_like(linear.residual[..., 0]) if linear.share is None else linear.share
    return replace(
        linear,
        residual=linear.residual * root[:, None, None],
        jacobian=linear.jacobian * root[:, None, None, None],
        constant=None if linear.constant is None else linear.constant * root.square(),
        share=part * root[:, None],
    )
