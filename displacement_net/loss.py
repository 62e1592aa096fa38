"""What the network is taught: to say where points are, how sure that is, and which of them the photo shows.

    e = offset - truth,   s = sqrt(1 + |L e|²)             L the square root of the information a pixel states
    likelihood   p(e) = c² / (2 pi (1 + c)) |det L| exp(c (1 - s)),    c³ = 3 c + 3
    loss         mean over visible pixels of  -stop(|det L|^-½) log p(e)  +  huber(e)  +  cross-entropy of being
                 visible  +  cross-entropy of a photo's pixel being the person  +  mean |rest-pose colour - truth| there

The likelihood is the bivariate hyperbolic law: Gaussian near zero, exponential far away, so that a wild pixel pulls
with a bounded force. The c above makes its variance exactly one per coordinate: 72 % of errors lie within one standard
deviation and 95 % within two. The standard deviation before the logarithm (`stop`: no gradient) takes away the
advantage of what is nearly right already: without it a tenth of a pixel on good estimates outweighs ten pixels on bad
ones, while each pixel's best answer stays the same. A network that minimises it is calibrated in variance; what is left
is measured (`coverage`) and taken out (`sharpness`).

Source: Barndorff-Nielsen, Hyperbolic distributions and distributions on hyperbolae, Scand. J. Statist. 5, 1978 (the
law); Kendall and Gal, NeurIPS 2017 (learning with stated uncertainty); Seitzer et al., ICLR 2022, eq. 5 with β = ½ (the
factor before the logarithm); Huber, Ann. Math. Stat. 35, 1964.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from displacement_net.model import CROP_FRACTION, Prediction

TAIL = 2.1038034027354904
"""c, the root of c³ = 3 c + 3."""
LOG_NORMALISER = math.log(2 * math.pi * (1 + TAIL) / TAIL**2)
"""Makes the likelihood integrate to one."""
HUBER_PX = 1.0
"""Where the end-point term turns from square to linear, px of a 256 crop: what is well matched already (the
evaluation's smallest bin)."""
ENDPOINT_SHARE = 1.0
"""Of the end-point term, per unit of the network's output: it teaches hard pixels, which the likelihood may give up."""
VISIBLE_SHARE = 1.0
"""Of the cross-entropy: a nat about visibility counts as one about place."""
HIDDEN_SHARE = 0.1
"""Of a hidden pixel's end-point term against a visible one's: what the rest of the body tells about it is worth
learning, softly."""
PERSON_SHARE, COLOR_SHARE = 0.5, 4.0
"""Of what the photo shows, and of its colours against its outline: half the range of colours off costs what not knowing
the outline does."""
ONE_SIGMA = math.erf(math.sqrt(0.5))
"""Share of a Gaussian within one standard deviation."""


@dataclass(frozen=True, eq=False)
class Truth:
    """What is known of B crops.

    Attributes:
        offset: (B, S, S, 2) px, from the rendered to the true position.
        rendered: (B, S, S) where the estimate is rendered; nothing is asked elsewhere.
        visible: (B, S, S) rendered points the photo shows: neither hidden nor outside.
        person: (B, 4, S, S) one where the photo shows the person, and there the rest-pose colours, 0..1; None: not
            known.
    """

    offset: Float[Tensor, "B S S 2"]
    rendered: Bool[Tensor, "B S S"]
    visible: Bool[Tensor, "B S S"]
    person: Float[Tensor, "B 4 S S"] | None = None


@dataclass(frozen=True, eq=False)
class Loss:
    """The loss and its parts, scalars.

    Attributes:
        total: What is minimised.
        likelihood: Mean negative log-likelihood of visible pixels, in units of the network's output (nats).
        endpoint: Mean Huber distance, units.
        visible: Mean cross-entropy, nats.
        person: What the photo shows, zero where that is not known or not said.
    """

    total: Float[Tensor, ""]
    likelihood: Float[Tensor, ""]
    endpoint: Float[Tensor, ""]
    visible: Float[Tensor, ""]
    person: Float[Tensor, ""]


def loss(said: Prediction, truth: Truth) -> Loss:
    """Compare what the network said with what is known.

    Args:
        said: The prediction for B crops.
        truth: The truth about them. Offsets where nothing is rendered may be anything, NaN too.

    Returns:
        The loss, a mean over pixels: a person who is near counts more than one who is far. Zero where nothing is
        rendered.
    """
    unit = said.offset.shape[1] / CROP_FRACTION
    shown = truth.visible & truth.rendered
    hidden = truth.rendered & ~shown & truth.offset.isfinite().all(-1)
    error = torch.where((shown | hidden)[..., None], said.offset - truth.offset, 0.0) / unit
    root = said.sqrt_information * unit
    nats = negative_log_likelihood(error, root)
    spread = root.detach().diagonal(dim1=-2, dim2=-1).prod(-1).rsqrt()  # (B, S, S) units
    likelihood = _mean(nats, shown.to(error))
    balanced = _mean(nats * spread, shown.to(error))

    knee = HUBER_PX * CROP_FRACTION / 256
    distance = (error.square().sum(-1) + knee**2).sqrt() - knee  # a smooth Huber of the vector's length
    endpoint = _mean(distance, shown + HIDDEN_SHARE * hidden)
    entropy = functional.binary_cross_entropy_with_logits(said.visible, shown.to(said.visible), reduction="none")
    visible = _mean(entropy, truth.rendered.to(entropy))
    person = _person(said, truth)
    total = balanced + ENDPOINT_SHARE * endpoint + VISIBLE_SHARE * visible + PERSON_SHARE * person
    return Loss(total, likelihood, endpoint, visible, person)


def _person(said: Prediction, truth: Truth) -> Tensor:
    """Return the loss of what the photo's pixels show."""
    if said.person is None or truth.person is None:
        return said.visible.new_zeros(())
    there = truth.person[:, 0]
    outline = functional.binary_cross_entropy_with_logits(said.person[:, 0], there)
    apart = (said.person[:, 1:] - (truth.person[:, 1:] - 0.5)).abs().mean(1)
    return outline + COLOR_SHARE * _mean(apart, there)


def negative_log_likelihood(
    error: Float[Tensor, "*N 2"], sqrt_information: Float[Tensor, "*N 2 2"]
) -> Float[Tensor, "*N"]:
    """Return -log p of errors under the hyperbolic law with unit variance after whitening.

    Args:
        error: (..., 2), any unit.
        sqrt_information: (..., 2, 2), one over that unit, lower triangular with a positive diagonal.

    Returns:
        (...), nats.
    """
    white = (sqrt_information @ error[..., None])[..., 0]
    log_determinant = sqrt_information.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    return TAIL * ((1 + white.square().sum(-1)).sqrt() - 1) - log_determinant + LOG_NORMALISER


@dataclass(frozen=True)
class Coverage:
    """How stated uncertainties compare with errors, per coordinate.

    Attributes:
        one_sigma: Share of whitened errors within one (a Gaussian's: 0.683).
        two_sigma: Within two (0.954).
        sharpness: What roots of information would have to be multiplied by for `one_sigma` to be a Gaussian's.
    """

    one_sigma: float
    two_sigma: float
    sharpness: float


def coverage(error: Float[Tensor, "N 2"], sqrt_information: Float[Tensor, "N 2 2"]) -> Coverage:
    """Measure calibration.

    Args:
        error: (N, 2) px of N visible pixels.
        sqrt_information: (N, 2, 2) 1/px.

    Returns:
        The shares, over 2 N coordinates; NaN where N is zero.
    """
    white = (sqrt_information @ error[..., None])[..., 0].abs().flatten().double()
    if not len(white):
        return Coverage(math.nan, math.nan, math.nan)
    rank = max(1, round(ONE_SIGMA * len(white)))
    typical = float(white.kthvalue(rank).values)
    return Coverage(
        float((white <= 1).double().mean()),
        float((white <= 2).double().mean()),
        1 / typical if typical > 0 else math.inf,
    )


def _mean(value: Tensor, share: Tensor) -> Tensor:
    """Return the mean of values by share, zero where there is none."""
    return (value * share).sum() / share.sum().clamp(min=1e-9)
