"""Things in front of people and clutter behind them: textured boxes, discs, bars and tables in the picture's plane.

Source: occlusion by objects: Sarandi et al., How Robust is 3D Human Pose Estimation to Occlusion?, 2018; the shapes are
ours.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

FRONT, BEHIND = 2, 3
"""Most things in front and behind."""
WITH_FRONT, WITH_BEHIND = 0.45, 0.6
"""Share of photos with a first thing in front, behind; each further one is half as likely."""
HOLDING = 0.22
"""Share of people who hold something."""


def draw_objects(
    prints: Float[Tensor, "P Q Q"], count: int, size: int, most: int, share: float, rng: np.random.Generator
) -> tuple[Float[Tensor, "B S S 3"], Float[Tensor, "B S S"]]:
    """Draw things.

    Args:
        prints: Patterns in -1..1.
        count: B.
        size: S.
        most: Things a photo.
        share: Of photos with a first one.
        rng: Draws everything.

    Returns:
        color (B, S, S, 3) sRGB and opacity (B, S, S), soft over a pixel at the edges.
    """
    like = prints
    color, opacity = like.new_zeros(count, size, size, 3), like.new_zeros(count, size, size)
    for number in range(most):
        chosen = np.flatnonzero(rng.random(count) < share * 0.5**number)
        _draw(prints, color, opacity, chosen, _things(len(chosen), rng))
    return color / opacity.clamp(min=1e-3)[..., None].clamp(max=1.0), opacity


def hold(
    prints: Float[Tensor, "P Q Q"],
    color: Float[Tensor, "B S S 3"],
    opacity: Float[Tensor, "B S S"],
    hands: Float[np.ndarray, "B 2 2"],
    length: Float[np.ndarray, "B"],
    rng: np.random.Generator,
) -> None:
    """Draw what people hold: a cup, a telephone, a bag, a racket, before one of their hands.

    Args:
        prints: Patterns in -1..1.
        color: (B, S, S, 3) sRGB of what is in front so far; changed.
        opacity: (B, S, S) likewise.
        hands: (B, 2, 2) left and right wrist, in sides of the crop.
        length: (B,) of a forearm, likewise.
        rng: Draws who holds what.
    """
    chosen = np.flatnonzero(rng.random(len(hands)) < HOLDING)
    count = len(chosen)
    center, half, angle, disc, *rest = _things(count, rng)
    grown = length[chosen, None].clip(0.01, 0.3)
    center = hands[chosen, rng.integers(2, size=count)] + 0.3 * grown * rng.standard_normal((count, 2))
    half = grown * np.exp(rng.uniform(np.log(0.12), np.log(1.0), (count, 2)))
    angle = rng.uniform(-np.pi, np.pi, count)
    _draw(prints, color, opacity, chosen, (*(np.asarray(e, np.float32) for e in (center, half, angle)), disc, *rest))


def _draw(prints: Tensor, color: Tensor, opacity: Tensor, chosen: np.ndarray, thing: tuple[np.ndarray, ...]) -> None:
    """Lay a thing over each of the chosen pictures; colours and opacities are changed."""
    like, size = prints, color.shape[1]
    line = (torch.arange(size, device=like.device) + 0.5) / size
    y, x = torch.meshgrid(line.to(like), line.to(like), indexing="ij")
    center, half, angle, disc, tint, ink, repeat, which = (torch.from_numpy(part).to(like.device) for part in thing)
    dx, dy = x - center[:, 0, None, None], y - center[:, 1, None, None]
    cosine, sine = angle.cos()[:, None, None], angle.sin()[:, None, None]
    u, v = dx * cosine + dy * sine, dy * cosine - dx * sine
    scaled_u, scaled_v = (u / half[:, 0, None, None]).abs(), (v / half[:, 1, None, None]).abs()
    radius = torch.where(disc[:, None, None] > 0, torch.hypot(scaled_u, scaled_v), torch.maximum(scaled_u, scaled_v))
    edge = half.amin(1)[:, None, None] * size
    alpha = ((1 - radius) * edge + 0.5).clamp(0, 1)
    side = prints.shape[1]
    texel = (torch.stack((u, v), -1) * repeat[:, None, None, None] * side).long() % side
    value = 0.5 + 0.5 * prints[which[:, None, None] % len(prints), texel[..., 0], texel[..., 1]]
    shade = (1 - 0.35 * (scaled_u * u.sign() + 0.5 * scaled_v * v.sign())).clamp(0.4, 1.4)[..., None]
    seen = (tint[:, None, None] * (1 - value[..., None]) + ink[:, None, None] * value[..., None]) * shade
    rows = torch.from_numpy(chosen).to(like.device)
    blend = alpha[..., None]
    color[rows] = color[rows] * (1 - blend) + seen.clamp(0, 1) * blend
    opacity[rows] = torch.maximum(opacity[rows], alpha)


def _things(count: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Draw center, half sides, angle, whether it is a disc, two colours, and the pattern with its repeats, float32."""
    kind = rng.choice(4, count, p=(0.35, 0.13, 0.17, 0.35))  # box, disc, upright bar, table top
    center = rng.uniform(0.05, 0.95, (count, 2))
    half = np.exp(rng.uniform(np.log(0.04), np.log(0.28), (count, 2)))
    angle = 0.25 * rng.standard_normal(count) * (kind < 2)
    half[kind == 2] = np.stack((rng.uniform(0.015, 0.07, (kind == 2).sum()), np.full((kind == 2).sum(), 1.0)), 1)
    table = kind == 3
    half[table, 0], half[table, 1] = 1.0, rng.uniform(0.05, 0.3, table.sum())
    center[table, 1] = 1.0 - 0.3 * rng.random(table.sum())
    angle[table] = 0.05 * rng.standard_normal(table.sum())
    disc = kind == 1
    tint = rng.uniform(0, 1, (count, 1)) * rng.uniform(0.6, 1, (count, 3))
    ink = (tint + 0.25 * rng.standard_normal((count, 3)) * rng.random((count, 1))).clip(0, 1)
    repeat = np.exp(rng.uniform(np.log(0.5), np.log(6), count))
    which = rng.integers(2**31, size=count)
    floats = tuple(np.asarray(part, np.float32) for part in (center, half, angle, disc, tint, ink, repeat))
    return (*floats, which)
