"""What cameras do to a picture: exposure, colour, blur, low resolution, noise, JPEG; batched, on any device.

    JPEG:  block coefficients of the 8 x 8 cosine transform, rounded to multiples of a table times the quality's factor

Gradings and streaks are kornia's.

Source: ITU-T T.81, annex A.3.3 (cosine transform), annex K.1 (tables); the Independent JPEG Group's rule from quality
to factor.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

EXPOSURE_STOPS, BALANCE, CONTRAST = 0.55, 0.10, 0.18
"""Standard deviations: of exposure in stops, of the log of each channel's gain, and of the log of contrast."""
BLUR_PX, MOTION_PX = 0.9, 5.0
"""Scale of the blur's exponential distribution and longest streak of motion blur, px of a 128 crop."""
BLURRED, MOVED, COARSE, NOISY, COMPRESSED, GREYSCALE = 0.5, 0.08, 0.15, 0.7, 0.6, 0.15
"""Shares of pictures that suffer from each."""
GRADED, SATURATION, GAMMA, SEPIA = 0.3, (0.2, 1.7), (0.65, 1.5), 0.15
"""Share of pictures that were graded, the range of factors on their colours and of exponents of their brightness, and
the share of those that are brown."""
CROSSED = 0.08
"""Of graded pictures, standard deviation of what is added to each channel's shadows and taken from its lights."""
WAVED, STREAKS_PX = 0.15, (3, 5, 9)
"""Share of people of whom a limb was moving, and the lengths of streaks, px of a 128 crop, odd."""
LUMA = (
    (16, 11, 10, 16, 24, 40, 51, 61), (12, 12, 14, 19, 26, 58, 60, 55), (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62), (18, 22, 37, 56, 68, 109, 103, 77), (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101), (72, 92, 95, 98, 112, 100, 103, 99),
)  # fmt: skip
"""JPEG's luminance table; used for all three channels of YCbCr, doubled for colour, whose own table is about that."""
BLOCK = 8
TO_YCBCR = ((0.299, 0.587, 0.114), (-0.1687, -0.3313, 0.5), (0.5, -0.4187, -0.0813))
FROM_YCBCR = ((1.0, 0.0, 1.402), (1.0, -0.34414, -0.71414), (1.0, 1.772, 0.0))
"""JFIF's matrices, one the other's inverse to four digits."""


@dataclass(frozen=True, eq=False)
class Limb:
    """A part of each of B pictures that may move: middle (B, 2) px, reach (B,) px, direction (B,) rad from x to y."""

    middle: Float[np.ndarray, "B 2"]
    reach: Float[np.ndarray, "B"]
    angle: Float[np.ndarray, "B"]


def photographed(
    picture: Float[Tensor, "B 3 S S"], rng: np.random.Generator, limb: Limb | None = None
) -> Float[Tensor, "B 3 S S"]:
    """Return pictures as a camera would store them.

    Args:
        picture: (B, 3, S, S) sRGB in 0..1; S a multiple of 8.
        rng: Draws everything but the noise of pixels, whose seed it draws.
        limb: What may have been moving, across its direction; None: nothing.

    Returns:
        (B, 3, S, S) in 0..1.
    """
    count, size = len(picture), picture.shape[-1]

    def drawn(array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(picture)[:, None, None, None]

    def chosen(share: float) -> np.ndarray:
        return rng.random(count) < share

    if limb is not None:
        picture = _waved(picture, limb, rng)
    gain = drawn(2 ** (EXPOSURE_STOPS / 2.2 * rng.standard_normal(count)))
    balance = torch.from_numpy(np.exp(BALANCE * rng.standard_normal((count, 3, 1, 1)))).to(picture)
    contrast = drawn(np.exp(CONTRAST * rng.standard_normal(count)))
    seen = ((picture * gain * balance - 0.45) * contrast + 0.45).clamp(0, 1)
    seen = _graded(seen, np.flatnonzero(chosen(GRADED)), rng)
    seen = torch.where(drawn(chosen(GREYSCALE)) > 0, _grey(seen, rng), seen)
    sigma = size / 128 * rng.exponential(BLUR_PX / 2, count).clip(0, 3) * chosen(BLURRED)
    sigma = np.maximum(sigma, 0.3)
    streak = size / 128 * rng.uniform(1, MOTION_PX, count) * chosen(MOVED)
    seen = _blurred(seen, sigma, streak, rng.uniform(0, math.pi, count))
    seen = torch.where(drawn(chosen(COARSE)) > 0, _coarse(seen, float(rng.uniform(1.3, 2.6))), seen)
    noise = torch.Generator(picture.device).manual_seed(int(rng.integers(2**62)))
    level = drawn(rng.exponential(0.01, count).clip(0, 0.08) * chosen(NOISY))
    grain = torch.randn(seen.shape, generator=noise, device=picture.device, dtype=picture.dtype)
    seen = (seen + level * (0.4 + seen) * grain).clamp(0, 1)
    quality = torch.from_numpy(rng.uniform(20, 95, count)).to(picture)
    rows = torch.from_numpy(np.flatnonzero(chosen(COMPRESSED))).to(picture.device)
    return seen.index_copy(0, rows, jpeg(seen[rows], quality[rows]))


def _blurred(picture: Tensor, sigma: np.ndarray, streak: np.ndarray, angle: np.ndarray) -> Tensor:
    """Blur each picture by a Gaussian of its own (px), and along a streak of its own length (px), direction (rad)."""
    count, _, height, width = picture.shape
    reach = max(1, math.ceil(max(2.5 * float(sigma.max()), 1.0)))
    step = torch.arange(-reach, reach + 1).to(picture)
    kernel = torch.exp(-(step**2) / (2 * torch.from_numpy(sigma).to(picture)[:, None] ** 2))
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(3, 0)  # (3 B, K)
    flat = picture.reshape(1, 3 * count, height, width)
    padded = torch.nn.functional.pad(flat, (reach, reach, 0, 0), mode="replicate")
    flat = torch.nn.functional.conv2d(padded, kernel[:, None, None, :], groups=3 * count)
    padded = torch.nn.functional.pad(flat, (0, 0, reach, reach), mode="replicate")
    flat = torch.nn.functional.conv2d(padded, kernel[:, None, :, None], groups=3 * count)
    blurred = flat.reshape(picture.shape).clone()
    odd = _odd(streak) * (streak > 0)
    for length in np.unique(odd[odd > 1]):
        rows = np.flatnonzero(odd == length)
        at = torch.from_numpy(rows).to(picture.device)
        blurred[at] = _streaked(blurred[at], int(length), angle[rows])
    return blurred


def _odd(length: np.ndarray) -> np.ndarray:
    """Return the nearest odd numbers."""
    return np.asarray(2 * np.floor(length / 2).astype(int) + 1)


def _streaked(picture: Tensor, length: int, angle: np.ndarray) -> Tensor:
    """Blur each picture along a line of an odd length (px, at least 3) in its own direction (rad)."""
    from kornia.filters import motion_blur

    degrees = torch.from_numpy(np.degrees(angle)).to(picture)
    streaked: Tensor = motion_blur(
        picture, max(3, length), degrees, torch.zeros_like(degrees), border_type="replicate", mode="bilinear"
    )
    return streaked


def _waved(picture: Tensor, limb: Limb, rng: np.random.Generator) -> Tensor:
    """Blur a limb of some pictures across its direction, softly towards the rest."""
    count, _, size, _ = picture.shape
    moving = rng.random(count) < WAVED
    which = rng.integers(len(STREAKS_PX), size=count)
    across = limb.angle + np.pi / 2 + 0.4 * rng.standard_normal(count)
    line = torch.arange(size).to(picture) + 0.5
    picture = picture.clone()
    for number, length in enumerate(STREAKS_PX):
        rows = np.flatnonzero(moving & (which == number))
        if not len(rows):
            continue
        at = torch.from_numpy(rows).to(picture.device)
        middle = torch.from_numpy(limb.middle[rows]).to(picture)
        reach = torch.from_numpy(limb.reach[rows]).to(picture).clamp(min=1)[:, None, None]
        apart = torch.hypot(line - middle[:, :1, None], line[:, None] - middle[:, 1:, None])
        share = (1.5 - apart / reach).clamp(0, 1)[:, None]
        streaked = _streaked(picture[at], int(_odd(np.array(length * size / 128))), across[rows])
        picture[at] = picture[at] * (1 - share) + streaked * share
    return picture


def _graded(picture: Tensor, rows: np.ndarray, rng: np.random.Generator) -> Tensor:
    """Change colours and brightness of some pictures as somebody who develops them does."""
    from kornia.color import sepia_from_rgb
    from kornia.enhance import adjust_gamma, adjust_saturation

    count = len(rows)
    factor, exponent = (
        rng.uniform(*SATURATION, count),
        np.exp(rng.uniform(math.log(GAMMA[0]), math.log(GAMMA[1]), count)),
    )
    cross, brown = CROSSED * rng.standard_normal((count, 3)), rng.random(count) < SEPIA
    if not count:
        return picture
    at = torch.from_numpy(rows).to(picture.device)
    told = adjust_saturation(picture[at], torch.from_numpy(factor).to(picture))
    told = adjust_gamma(told, torch.from_numpy(exponent).to(picture))
    told = told + torch.from_numpy(cross).to(picture)[:, :, None, None] * (1 - 2 * told)
    told = torch.where(torch.from_numpy(brown).to(picture.device)[:, None, None, None], sepia_from_rgb(told), told)
    return picture.index_copy(0, at, told.clamp(0, 1))


def _grey(picture: Tensor, rng: np.random.Generator) -> Tensor:
    """Return pictures in black and white: each film has its own eye for red, green and blue, and its own contrast."""
    count = len(picture)
    eye = torch.from_numpy(rng.dirichlet((3.0, 5.0, 2.0), count)).to(picture)
    harder = torch.from_numpy(np.exp(rng.uniform(-0.2, 0.5, count))).to(picture)[:, None, None, None]
    told = (picture * eye[:, :, None, None]).sum(1, keepdim=True)
    return ((told - 0.45) * harder + 0.45).clamp(0, 1).expand_as(picture)


def _coarse(picture: Tensor, factor: float) -> Tensor:
    """Return the pictures as if they had been enlarged from small ones."""
    size = picture.shape[-1]
    small = torch.nn.functional.interpolate(picture, size=max(8, round(size / factor)), mode="area")
    return torch.nn.functional.interpolate(small, size=size, mode="bilinear", align_corners=False)


def jpeg(picture: Float[Tensor, "B 3 S S"], quality: Float[Tensor, "B"]) -> Float[Tensor, "B 3 S S"]:
    """Return pictures after JPEG's quantisation.

    Args:
        picture: (B, 3, S, S) in 0..1, S a multiple of 8.
        quality: (B,) 1..100.

    Returns:
        (B, 3, S, S) in 0..1.
    """
    count, _, size, _ = picture.shape
    place = torch.arange(BLOCK).to(picture)
    cosine = torch.cos((2 * place[None] + 1) * place[:, None] * math.pi / (2 * BLOCK)) * math.sqrt(2 / BLOCK)
    cosine[0] /= math.sqrt(2)
    to_luma = picture.new_tensor(TO_YCBCR)
    color = torch.einsum("dc,bcyx->bdyx", to_luma, 255 * picture)
    color[:, 0] -= 128
    cells = size // BLOCK
    blocks = color.reshape(count, 3, cells, BLOCK, cells, BLOCK).transpose(3, 4)
    frequency = cosine @ blocks @ cosine.mT
    factor = torch.where(quality < 50, 50 / quality, 2 - quality / 50)
    table = picture.new_tensor(LUMA) * picture.new_tensor((1.0, 2.0, 2.0))[:, None, None]  # (3, 8, 8)
    step = (table * factor[:, None, None, None]).clamp(min=1)[:, :, None, None]
    blocks = cosine.mT @ ((frequency / step).round() * step) @ cosine
    color = blocks.transpose(3, 4).reshape(count, 3, size, size)
    color[:, 0] += 128
    return (torch.einsum("dc,bcyx->bdyx", picture.new_tensor(FROM_YCBCR), color) / 255).clamp(0, 1)
