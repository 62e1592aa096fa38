"""Painted people: skin, face, hair, a patterned shirt, trousers and shoes, as colours of places on the resting body.

    colour(pixel) = paint(rest point the pixel sees),   rest point = sum_i b_i template[faces[triangle, i]]

Everything is told from the rest pose, in metres and by the joints, so that any body with these joints is dressed, in
any pose and shape. Patterns are finer than a limb, so that there is something to match.

Source: Peachey, Solid texturing of complex surfaces, SIGGRAPH 1985.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from refine.body import SkinnedBody

Color = tuple[float, float, float]


@dataclass(frozen=True)
class Outfit:
    """Colours (RGB, linear 0..1) and the shirt's pattern: "stripes", "checks" or "plain with a band"."""

    skin: Color
    hair: Color
    shirt: Color
    trim: Color
    trousers: Color
    shoes: Color
    pattern: str
    sleeve: float
    """Where the sleeve ends: 0 at the shoulder, 1 at the elbow, 2 at the wrist."""
    leg: float
    """Where the trousers end: 0 at the hip, 1 at the knee, 2 at the ankle."""


OUTFITS = (
    Outfit((0.62, 0.36, 0.25), (0.05, 0.03, 0.02), (0.70, 0.09, 0.07), (0.80, 0.76, 0.68),
           (0.05, 0.08, 0.16), (0.28, 0.13, 0.05), "stripes", 0.6, 2.0),
    Outfit((0.20, 0.09, 0.05), (0.01, 0.01, 0.01), (0.78, 0.50, 0.05), (0.05, 0.10, 0.25),
           (0.25, 0.26, 0.28), (0.60, 0.05, 0.04), "checks", 1.9, 1.1),
    Outfit((0.66, 0.42, 0.31), (0.28, 0.13, 0.04), (0.05, 0.30, 0.32), (0.75, 0.80, 0.72),
           (0.36, 0.27, 0.17), (0.06, 0.05, 0.05), "band", 0.7, 2.0),
    Outfit((0.36, 0.18, 0.10), (0.02, 0.01, 0.01), (0.75, 0.75, 0.73), (0.08, 0.14, 0.45),
           (0.04, 0.05, 0.06), (0.06, 0.14, 0.20), "stripes", 1.9, 2.0),
    Outfit((0.70, 0.47, 0.38), (0.45, 0.30, 0.10), (0.12, 0.32, 0.10), (0.70, 0.62, 0.10),
           (0.10, 0.16, 0.34), (0.35, 0.18, 0.08), "checks", 0.6, 1.1),
    Outfit((0.50, 0.28, 0.18), (0.03, 0.02, 0.02), (0.40, 0.10, 0.35), (0.80, 0.60, 0.65),
           (0.30, 0.31, 0.33), (0.08, 0.08, 0.10), "band", 1.9, 2.0),
)  # fmt: skip
"""Dressed in turn. Made up."""

STRIPE_M = 0.055
"""Width of a stripe or check of the shirt, m: 17 pixels at 2.6 metres."""
SEAM_M = 0.004
"""Half the width over which one colour goes over into the next, m: a pixel at 2.6 metres."""


def albedo(body: SkinnedBody, point: Float[Tensor, "N 3"], outfit: Outfit) -> Float[Tensor, "N 3"]:
    """Paint places on the resting body.

    Args:
        body: A model with SMPL-X's joint names.
        point: (N, 3) m, on the mean body's rest pose (x left, y up, z front).
        outfit: What it wears.

    Returns:
        (N, 3) RGB, linear.
    """

    def joint(name: str) -> Tensor:
        return body.joint_template[body.joint_names.index(name)]

    x, y, z = point[:, 0].abs(), point[:, 1], point[:, 2]
    color = point.new_tensor(outfit.skin) * (1 + 0.06 * torch.sin(55 * point).prod(-1))[:, None]

    shoulder, elbow, wrist, neck = joint("left_shoulder"), joint("left_elbow"), joint("left_wrist"), joint("neck")
    hip, knee, ankle = joint("left_hip"), joint("left_knee"), joint("left_ankle")
    cuff = _between((shoulder[0], elbow[0], wrist[0]), outfit.sleeve)
    hem = _between((hip[1], knee[1], ankle[1] + 0.02), outfit.leg)
    waist = hip[1] + 0.10
    collar = torch.hypot(x, 1.1 * (y - neck[1] - 0.045)) - 0.105 + 0.25 * (z - neck[2]).clamp(max=0)

    shirt = _inside(cuff - x) * _inside(collar) * _inside(y - waist) * (y < neck[1] + 0.06)
    color = _over(color, _shirt(point, outfit, shoulder, waist), shirt)
    color = _over(
        color,
        0.55 * point.new_tensor(outfit.trim),
        shirt * _inside(0.010 - collar.abs()) + shirt * _inside(0.012 - (cuff - x)),
    )

    trousers = _inside(waist - y) * _inside(y - hem) * (x < 0.45)
    cloth = point.new_tensor(outfit.trousers) * (1 + 0.10 * torch.sin(420 * (y + 0.3 * point[:, 0])))[:, None]
    seam = _inside(0.006 - (z - hip[2]).abs()) * (y < hip[1]) + _inside(0.012 - (y - hem - 0.012).abs())
    cloth = cloth * (1 - 0.45 * seam.clamp(max=1))[:, None]
    color = _over(color, cloth, trousers)
    belt = _inside(0.016 - (y - waist + 0.016).abs()) * (x < 0.45)
    color = _over(color, point.new_tensor((0.05, 0.03, 0.02)), belt)
    color = _over(color, point.new_tensor((0.55, 0.48, 0.30)), belt * _inside(0.022 - x) * (z > 0))

    shoe = _inside(ankle[1] - 0.005 - y) * (x < 0.45)
    color = _over(color, point.new_tensor(outfit.shoes), shoe)
    sole = shoe * _inside(ankle[1] - 0.082 - y)
    laces = (
        shoe
        * _inside(0.018 - (x - joint("left_foot")[0] + 0.012).abs())
        * (torch.sin(260 * z) > 0)
        * (z > 0.0)
        * (z < 0.085)
    )
    color = _over(color, point.new_tensor((0.75, 0.74, 0.70)), sole)
    color = _over(color, point.new_tensor((0.85, 0.85, 0.82)), laces)
    return _head(body, point, color, outfit)


def _shirt(point: Tensor, outfit: Outfit, shoulder: Tensor, waist: Tensor) -> Tensor:
    """The shirt's pattern; on the sleeves it runs around the arm."""
    main, trim = point.new_tensor(outfit.shirt), point.new_tensor(outfit.trim)
    x, y, z = point.unbind(-1)
    arm = x.abs() > shoulder[0] + 0.02
    along = torch.where(arm, x.abs(), y)
    across = torch.where(arm, y, x)
    if outfit.pattern == "stripes":
        share = _wave(along / STRIPE_M)
    elif outfit.pattern == "checks":
        share = 0.5 * (_wave(along / STRIPE_M) + _wave(across / STRIPE_M))
    else:
        middle = waist + 0.62 * (shoulder[1] - waist)
        share = torch.where(arm, _wave(along / (2 * STRIPE_M)), _inside(0.035 - (y - middle).abs()))
        logo = _inside(0.055 - torch.hypot(x - 0.0, y - middle + 0.13)) * (z > 0)
        ring = _inside(0.012 - (torch.hypot(x, y - middle + 0.13) - 0.036).abs()) * (z > 0)
        share = (share + logo - ring).clamp(0, 1)
        back = _inside(0.03 - (x - 0.6 * (y - middle)).abs()) * (z < 0)
        share = torch.maximum(share, back)
    return _over(main.expand_as(point), trim, share)


def _head(body: SkinnedBody, point: Tensor, color: Tensor, outfit: Outfit) -> Tensor:
    """Hair, brows, eyes, mouth and ears' shade, told from where the eyes are."""

    def joint(name: str) -> Tensor:
        return body.joint_template[body.joint_names.index(name)]

    eye, neck = joint("left_eye_smplhf"), joint("neck")
    x, y, z = point[:, 0].abs(), point[:, 1], point[:, 2]
    up, back = y - eye[1], eye[2] - z
    head = (x < 0.12) & (y > neck[1] + 0.04)
    wave = 0.006 * torch.sin(90 * point[:, 0]) + 0.004 * torch.sin(210 * point[:, 0] + 1)
    # The hairline falls from the forehead past the temples to the nape.
    line = 0.062 - 0.85 * (back - 0.035).clamp(min=0).clamp(max=0.06) - 1.1 * (back - 0.105).clamp(min=0) + wave
    hair = _inside(up - line) * head
    strands = 0.8 + 0.35 * torch.sin(330 * point[:, 0] + 25 * torch.sin(40 * y) + 120 * z)
    color = _over(color, point.new_tensor(outfit.hair) * strands[:, None] + 0.01, hair)

    front = (z > eye[2] - 0.03) & head
    brow = (
        _inside(0.0045 - (up - 0.023 - 0.10 * (x - eye[0]).abs() * -1).abs())
        * _inside(0.018 - (x - eye[0]).abs())
        * front
    )
    color = _over(color, point.new_tensor(outfit.hair) * 0.9, 0.85 * brow)
    mouth_up = up + 0.073
    lips = _inside(0.0085 * (1 - (x / 0.026) ** 2).clamp(min=0).sqrt() - mouth_up.abs()) * (x < 0.026) * front
    color = _over(color, color * point.new_tensor((0.95, 0.50, 0.48)), 0.9 * lips)
    color = _over(color, 0.25 * color, _inside(0.0016 - (mouth_up - 0.0008).abs()) * (x < 0.023) * front)
    cheek = torch.exp(-((x - 0.045) ** 2 + (up + 0.045) ** 2) / 0.018**2) * front
    color = _over(color, color * point.new_tensor((1.12, 0.80, 0.78)), 0.5 * cheek)
    off = torch.hypot(x - eye[0], up)
    white = _inside(1.0 - ((x - eye[0]) / 0.0145) ** 2 - (up / 0.0075) ** 2, 0.15) * front
    color = _over(color, point.new_tensor((0.80, 0.78, 0.75)), white)
    color = _over(color, point.new_tensor((0.10, 0.06, 0.04)), white * _inside(0.0062 - off, 0.001))
    color = _over(color, point.new_tensor((0.005, 0.005, 0.005)), white * _inside(0.003 - off, 0.001))
    lid = _inside(0.002 - (up - 0.0075 * (1 - ((x - eye[0]) / 0.0155) ** 2).clamp(min=0).sqrt() - 0.0005).abs(), 0.001)
    return _over(color, 0.15 * color, 0.9 * lid * ((x - eye[0]).abs() < 0.0155) * front)


def _between(stations: tuple[Tensor, Tensor, Tensor], place: float) -> Tensor:
    """Return the coordinate at `place` (0, 1, 2) along three stations."""
    first = int(min(place, 1.0)) if place < 1 else 1
    share = place - first
    return stations[first] + share * (stations[min(first + 1, 2)] - stations[first])


def _inside(depth: Tensor, width: float = SEAM_M) -> Tensor:
    """Return 1 where `depth` is above zero, 0 below, smooth over the seam."""
    return (0.5 + depth / (2 * width)).clamp(0, 1)


def _wave(phase: Tensor) -> Tensor:
    """Return a square wave of period 2 with soft edges, 0..1."""
    return (0.5 + 6 * (0.5 - (phase % 2 - 1).abs())).clamp(0, 1)


def _over(below: Tensor, color: Tensor, share: Tensor) -> Tensor:
    """Return one colour laid over another."""
    share = share.clamp(0, 1)[:, None]
    return below * (1 - share) + color * share
