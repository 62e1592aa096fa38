"""OpenCV's lens distortion of points, with its derivative, its inverse, and the radius beyond which it is not used.

    x, y = X / Z, Y / Z;   u = x² + y²;   R = (1 + k1 u + k2 u² + k3 u³) / (1 + k4 u + k5 u² + k6 u³)
    x' = x R + 2 p1 x y + p2 (u + 2 x²) + s1 u + s2 u²
    y' = y R + p1 (u + 2 y²) + 2 p2 x y + s3 u + s4 u²;     a tilted sensor maps (x', y', 1) by a homography

The coefficients stand in OpenCV's order: k1, k2, p1, p2 [, k3 [, k4, k5, k6 [, s1, s2, s3, s4 [, tau_x, tau_y]]]].

The polynomials are fitted to the photo's field of view. Farther out r R may fall again (it folds back: what lies far
outside would appear inside the photo) or grow without bound. So beyond the first radius where r R no longer grows, or
the denominator comes near zero, or 70 degrees off the axis, a point keeps the shift it has at that radius:

    bend(x) = x + bend(c) - c,    c = x min(1, radius / |x|)

which is continuous and finite, and moves outwards with x.

Source: OpenCV documentation, module calib3d, "Detailed description"; Brown, Decentering distortion of lenses, 1966. The
continuation is derived here.
"""

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from refine.check import check_finite
from refine.errors import InputError

LENGTHS = (4, 5, 8, 12, 14)
"""Numbers of coefficients of OpenCV's lens model."""

WIDEST_DEGREES = 70.0
"""Largest angle off the axis at which the polynomials are used: wider lenses are calibrated as fisheyes."""

SAMPLES = 256
"""Angles at which the fold is looked for; between two the secant finds it to a hundred thousandth."""

LEAST_DENOMINATOR = 0.05
"""The rational model is not used where its denominator is below this: past its zero, signs turn around."""

INVERSE_STEPS = 20
"""Newton steps of the inverse; a wide lens needs about six."""

LEAST_SLOPE = 1e-3
"""Least determinant of a Newton step: at the fold it is zero."""


def bend(slope: Float[Tensor, "B N 2"], distortion: Float[Tensor, "B K"]) -> Float[Tensor, "B N 2"]:
    """Return where a lens shows points.

    Args:
        slope: (B, N, 2) x / z and y / z of points in the camera frame.
        distortion: (B, K) coefficients.

    Returns:
        (B, N, 2) x / z and y / z at which a pinhole camera of the same matrix shows the same pixels.
    """
    parts = _parts(distortion)
    inner = _within(slope, valid_radius(distortion))[0]
    x, y = inner.unbind(-1)
    bent = torch.stack(_lens(x, y, parts), -1)
    if distortion.shape[1] > 12:
        bent, _ = _tilted(bent, distortion)
    return slope + (bent - inner)


def bend_with_derivative(
    slope: Float[Tensor, "B N 2"], distortion: Float[Tensor, "B K"]
) -> tuple[Float[Tensor, "B N 2"], Float[Tensor, "B N 2 2"]]:
    """Return where a lens shows points, and the derivative of that by the slope.

    Args:
        slope: (B, N, 2) x / z and y / z of points in the camera frame.
        distortion: (B, K) coefficients.

    Returns:
        As `bend`, and (B, N, 2, 2), unitless.
    """
    parts = _parts(distortion)
    inner, share, outward = _within(slope, valid_radius(distortion))
    x, y = inner.unbind(-1)
    bent, by_inner = torch.stack(_lens(x, y, parts), -1), _lens_derivative(x, y, parts)
    if distortion.shape[1] > 12:
        bent, by_bent = _tilted(bent, distortion)
        by_inner = by_bent @ by_inner
    straight = torch.eye(2, dtype=slope.dtype, device=slope.device)
    shift = by_inner - straight
    along = (shift * outward[..., None, :]).sum(-1, keepdim=True)  # what the shift at the rim does not follow
    return slope + (bent - inner), straight + share[..., None] * (shift - along * outward[..., None, :])


def unbend(bent: Float[Tensor, "B N 2"], distortion: Float[Tensor, "B K"]) -> Float[Tensor, "B N 2"]:
    """Return the slopes that a lens shows at given places, the inverse of `bend`.

    Args:
        bent: (B, N, 2) x / z and y / z of pixels seen through a pinhole camera of the same matrix.
        distortion: (B, K) coefficients.

    Returns:
        (B, N, 2) x / z and y / z.
    """
    radius = valid_radius(distortion)
    rim = torch.nn.functional.normalize(bent, dim=-1) * radius[:, None, None]  # on the circle where the model ends
    shown = bend(rim, distortion)
    outside = (bent.square().sum(-1) > shown.square().sum(-1))[..., None]
    slope = torch.where(outside, bent - (shown - rim), _within(bent, radius)[0])
    for _ in range(INVERSE_STEPS):
        here, by_slope = bend_with_derivative(slope, distortion)
        (a, b, c, d), (x, y) = by_slope.flatten(2).unbind(-1), (bent - here).unbind(-1)
        size = (a * d - b * c).clamp(min=LEAST_SLOPE)
        slope = slope + torch.stack((d * x - b * y, a * y - c * x), -1) / size[..., None]
        slope = torch.where(outside, slope, _within(slope, radius)[0])  # a step across the rim would not come back
    return slope


def valid_radius(distortion: Float[Tensor, "B K"]) -> Float[Tensor, "B"]:
    """Return up to which distance from the axis the radial model is used.

    Args:
        distortion: (B, K) coefficients.

    Returns:
        (B,) of |(x / z, y / z)|: where r R first stops growing with r, the denominator comes near zero, or the angle
        off the axis is `WIDEST_DEGREES`.
    """
    angle = torch.linspace(0, math.radians(WIDEST_DEGREES), SAMPLES, dtype=distortion.dtype, device=distortion.device)
    radius = angle.tan()
    u = radius.square().expand(len(distortion), -1)
    up, up_slope, down, down_slope = _fraction(u, _parts(distortion))
    grows = (up + 2 * u * up_slope) * down - 2 * u * up * down_slope  # d(r R)/dr times the denominator's square
    margin = torch.minimum(grows, down - LEAST_DENOMINATOR)  # (B, S), above zero on the axis
    past = margin <= 0
    first = torch.where(past.any(1), past.int().argmax(1), SAMPLES - 1).clamp(min=1)[:, None]  # (B, 1)
    before, after = margin.gather(1, first - 1)[:, 0], margin.gather(1, first)[:, 0]
    near, far = radius[first[:, 0] - 1], radius[first[:, 0]]
    share = torch.where(after < 0, before / (before - after), torch.ones_like(before))
    return near + share * (far - near)


def check_length(name: str, distortion: Tensor) -> None:
    """Refuse a number of coefficients that OpenCV does not have.

    Args:
        name: The argument's name, for messages.
        distortion: (..., K).

    Raises:
        InputError: It is none of `LENGTHS`.
    """
    if distortion.shape[-1] not in LENGTHS:
        advice = "Give OpenCV's k1, k2, p1, p2, k3, ... in its order."
        raise InputError(name, f"one of {LENGTHS} coefficients", f"shape {tuple(distortion.shape)}", advice)


def coefficients(distortion: Tensor | np.ndarray | None, matrix: Tensor) -> Tensor | None:
    """Return the coefficients of cameras.

    Args:
        distortion: (K,), (1, K) or (B, K), or None.
        matrix: (B, 3, 3) the cameras' matrices, whose device and dtype they get.

    Returns:
        (B, K); None where the lens does not distort: no coefficients, or all of them zero.

    Raises:
        InputError: Their number is not one of OpenCV's, or one is not finite.
    """
    if distortion is None:
        return None
    try:
        bent = torch.as_tensor(distortion)
    except (TypeError, ValueError, RuntimeError) as error:
        expected = "OpenCV's coefficients k1, k2, p1, p2, k3, ..., or None"
        raise InputError("distortion", expected, str(distortion)[:60]) from error
    check_finite("distortion", bent)
    if not bent.numel():
        return None
    if bent.dim() not in (1, 2):
        raise InputError("distortion", "(K,) or (B, K)", f"shape {tuple(bent.shape)}", "Give one row a camera.")
    check_length("distortion", bent)
    if bent.dim() == 2 and len(bent) not in (1, len(matrix)):
        raise InputError("distortion", f"one row, or one a camera ({len(matrix)})", f"shape {tuple(bent.shape)}")
    return bent.to(matrix).expand(len(matrix), -1) if bool((bent != 0).any()) else None


def _parts(distortion: Tensor) -> tuple[Tensor, ...]:
    """Return k1, k2, p1, p2, k3, k4, k5, k6, s1, s2, s3, s4, each (B, 1); zero where there is none."""
    coefficients = distortion[:, :12]
    return torch.nn.functional.pad(coefficients, (0, 12 - coefficients.shape[1])).split(1, 1)


def _fraction(u: Tensor, parts: tuple[Tensor, ...]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return numerator and denominator of R at u (B, N), each followed by its derivative by u."""
    k1, k2, _, _, k3, k4, k5, k6 = parts[:8]
    up, up_slope = 1 + u * (k1 + u * (k2 + u * k3)), k1 + u * (2 * k2 + u * (3 * k3))
    down, down_slope = 1 + u * (k4 + u * (k5 + u * k6)), k4 + u * (2 * k5 + u * (3 * k6))
    return up, up_slope, down, down_slope


def _lens(x: Tensor, y: Tensor, parts: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
    """Return x', y' (B, N) each."""
    (p1, p2), (s1, s2, s3, s4), u = parts[2:4], parts[8:], x * x + y * y
    up, _, down, _ = _fraction(u, parts)
    ratio = up / down
    return (
        x * ratio + 2 * p1 * x * y + p2 * (u + 2 * x * x) + u * (s1 + s2 * u),
        y * ratio + p1 * (u + 2 * y * y) + 2 * p2 * x * y + u * (s3 + s4 * u),
    )


def _lens_derivative(x: Tensor, y: Tensor, parts: tuple[Tensor, ...]) -> Tensor:
    """Return the derivative (B, N, 2, 2) of x', y' by x, y."""
    (p1, p2), (s1, s2, s3, s4), u = parts[2:4], parts[8:], x * x + y * y
    up, up_slope, down, down_slope = _fraction(u, parts)
    ratio, change = up / down, 2 * (up_slope - up * down_slope / down) / down  # R and twice its derivative by u
    prism_x, prism_y = 2 * s1 + 4 * s2 * u, 2 * s3 + 4 * s4 * u
    both = x * y * change + 2 * (p1 * x + p2 * y)
    first = ratio + x * x * change + 2 * p1 * y + 6 * p2 * x + prism_x * x, both + prism_x * y
    second = both + prism_y * x, ratio + y * y * change + 6 * p1 * y + 2 * p2 * x + prism_y * y
    return torch.stack((torch.stack(first, -1), torch.stack(second, -1)), -2)


def _tilted(bent: Tensor, distortion: Tensor) -> tuple[Tensor, Tensor]:
    """Return points (B, N, 2) on a tilted sensor, and their derivative (B, N, 2, 2)."""
    (cos_x, cos_y), (sin_x, sin_y) = distortion[:, 12:].cos().unbind(1), distortion[:, 12:].sin().unbind(1)
    zero = torch.zeros_like(cos_x)
    turn = (
        (cos_y, sin_x * sin_y, -cos_x * sin_y),
        (zero, cos_x, sin_x),
        (sin_y, -sin_x * cos_y, cos_x * cos_y),
    )
    turned = torch.stack([torch.stack(row, -1) for row in turn], -2)  # (B, 3, 3)
    depth = turned[:, 2, 2, None]
    onto = torch.diag_embed(torch.cat((depth, depth, torch.ones_like(depth)), 1))
    onto[:, :2, 2] = -turned[:, :2, 2]
    sensor = onto @ turned
    ahead = bent @ sensor[:, :, :2].mT + sensor[:, None, :, 2]  # (B, N, 3)
    seen = ahead[..., :2] / ahead[..., 2:]
    derivative = sensor[:, None, :2, :2] - seen[..., None] * sensor[:, None, 2:, :2]
    return seen, derivative / ahead[..., 2, None, None]


def _within(slope: Tensor, radius: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return slopes (B, N, 2) cut to a radius (B,): c, the factor (B, N, 1), and the direction (B, N, 2), zero inside.

    The derivative of c is factor (1 - direction directionᵀ).
    """
    squared = slope.square().sum(-1, keepdim=True)
    limit = radius[:, None, None]
    outside = squared > limit.square()
    length = torch.where(outside, squared, 1.0).sqrt()  # not of zero, which the root has no derivative at
    share = torch.where(outside, limit / length, 1.0)
    return slope * share, share, torch.where(outside, slope / length, 0.0)
