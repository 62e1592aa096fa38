"""How hands are held: a mean hand, the few directions in which hands differ, and how far.

    pose = mean + componentsᵀ c + rest,   c_k ~ N(0, std_k²),   rest ⟂ components, ~ N(0, sigma_rest_rad²)
           pose (45,) rad
    covariance = componentsᵀ diag(std²) components + sigma_rest_rad² (I - componentsᵀ components)

`pose` is the rotation vectors of a hand's 15 joints in MANO's order (index, middle, little, ring finger, thumb, from
the palm to the tip). A hand mirrored in the plane x = 0 keeps x and changes the sign of y and z.

A space comes from a model file a user has (MANO, SMPL-H, SMPL-X), or from `anatomy`, which needs none: directions and
sizes are judgements built on two findings. Fingers mostly close together, and all joints of one together (the first two
of 15 directions carry over 80 % of what hands do: Santello, Flanders and Soechting, J. Neurosci. 18(23), 1998); the
last joint bends two thirds of the middle one (Rijpkema and Girard, Computer Animation of Knowledge-Based Human
Grasping, SIGGRAPH 1991, sec. 4).

Source: Romero, Tzionas and Black, Embodied Hands, ACM TOG 36(6), 2017, sec. 3.3 (hand poses by their principal
components).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from refine.body.keypoint_names import FINGER_JOINTS
from refine.body.official_file import OfficialArrays, read_official_file
from refine.check import check_finite, check_positive, check_shape
from refine.errors import InputError

Side = Literal["left", "right"]

JOINTS = tuple(name.removeprefix("left_") for name in FINGER_JOINTS if name.startswith("left_"))
"""The 15 joints of a hand in MANO's order, without side."""

SIGMA_REST_RAD = math.radians(5)
"""Standard deviation outside the components, rad an axis (5 degrees: what goniometry of one joint scatters by, as in
`JointLimits`)."""

ORTHONORMAL = 1e-3
"""Components may be off unit length and right angles by this: files hold them in single precision at worst."""

COMPONENTS = 12
"""Taken from a model file by default: as many as SMPLify-X fits (cfg_files/fit_smplx.yaml, num_pca_comps)."""

MIRROR = (1.0, -1.0, -1.0)


@dataclass(frozen=True, eq=False)
class HandSpace:
    """The poses of one hand.

    Attributes:
        components: (K, 45) orthonormal rows.
        mean: (45,) rad, on top of the body's flat hand.
        std: (K,) rad, standard deviation of each coefficient.
        sigma_rest_rad: Standard deviation of what the components do not reach, rad an axis.

    Raises:
        InputError: Shapes disagree, a value is not finite, a standard deviation is not above zero, or the rows are not
            orthonormal.
    """

    components: Float[Tensor, "K 45"]
    mean: Float[Tensor, "45"]
    std: Float[Tensor, "K"]
    sigma_rest_rad: float = SIGMA_REST_RAD

    def __post_init__(self) -> None:
        sizes = check_shape("hand.components", self.components, "K 45")
        check_shape("hand.mean", self.mean, "45")
        check_shape("hand.std", self.std, "K", **sizes)
        for name in ("components", "mean", "std"):
            check_finite(f"hand.{name}", getattr(self, name))
        check_positive("hand.std", self.std, "rad", "Leave components of no spread out.")
        check_positive("hand.sigma_rest_rad", torch.tensor(self.sigma_rest_rad), "rad")
        off = (self.components @ self.components.mT - torch.eye(sizes["K"]).to(self.components)).abs().max()
        if off > ORTHONORMAL:
            advice = "Divide each by its length and multiply its std by it."
            raise InputError("hand.components", "orthonormal rows", f"rows off by up to {float(off):.2g}", advice)

    def mirrored(self) -> "HandSpace":
        """Return the same space for the other hand."""
        sign = self.mean.new_tensor(MIRROR * len(JOINTS))
        return HandSpace(self.components * sign, self.mean * sign, self.std, self.sigma_rest_rad)

    def covariance(self) -> Float[Tensor, "45 45"]:
        """Return the covariance (45, 45) of a hand's pose, rad²."""
        reached = self.components.mT @ self.components
        eye = torch.eye(len(reached)).to(reached)
        spread = self.components.mT @ (self.std[:, None] ** 2 * self.components)
        return spread + self.sigma_rest_rad**2 * (eye - reached)


BEND = {"thumb": (0.5, math.sqrt(0.5), -0.5)}
"""Axis about which a left finger closes, palm down, fingers along +x: the thumb, 45 degrees forward, closes half
downwards and half across the palm; others about `FINGER_BEND`."""
FINGER_BEND = (0.0, 0.0, -1.0)
SPREAD = (0.0, 1.0, 0.0)
"""Axis about which fingers fan out at the knuckle."""
ALONG = (1.0, 1.0, 2 / 3)
"""How the three joints of a finger share a bend (the last: two thirds of the middle one)."""
FAN = {"index": -1.0, "middle": -0.3, "ring": 0.4, "pinky": 1.0}
RELAXED = {"thumb": (10.0, 10.0, 10.0)}
"""Bends of a hand at rest, degrees from the palm to the tip; other fingers as `FINGER_RELAXED`."""
FINGER_RELAXED = (25.0, 35.0, 20.0)
TOGETHER, THUMB_TOGETHER = 0.35, 0.1
"""All fingers close by this, rad, one standard deviation, and the thumb with them by that."""
ALONE, KNUCKLE_ALONE, LAST_ALONE = 0.25, 0.25, 0.15
"""A finger closes apart from the others, its knuckle from other joints, its last joint from the middle one, rad."""
FAN_TOGETHER, FAN_ALONE = 0.12, 0.08
"""All fingers fan out, and one apart from the others, rad."""
THUMB_ALONE, THUMB_ROOT = 0.3, 0.25
"""The thumb closes, and its root turns about each of the two other axes, rad."""


@lru_cache(maxsize=1)
def anatomy() -> HandSpace:
    """Return the left hand of the built-in anatomy (see the head of this page), float64 on the CPU."""
    fingers = ("index", "middle", "pinky", "ring")
    closed = {finger: _turn({f"{finger}{n}": _bend(finger, ALONG[n - 1]) for n in (1, 2, 3)}) for finger in fingers}
    closed["thumb"] = _turn({f"thumb{n}": _bend("thumb", 1.0) for n in (1, 2, 3)})
    every = sum((closed[finger] for finger in fingers), torch.zeros(45, dtype=torch.float64))
    flexed = torch.tensor(BEND["thumb"], dtype=torch.float64)
    around = torch.linalg.svd(flexed[None]).Vh[1:]  # the two axes across
    loadings = [
        TOGETHER * every + THUMB_TOGETHER * closed["thumb"],
        *(ALONE * closed[finger] for finger in fingers),
        *(KNUCKLE_ALONE * _turn({f"{finger}1": _bend(finger, 1.0)}) for finger in fingers),
        *(LAST_ALONE * _turn({f"{finger}3": _bend(finger, 1.0)}) for finger in fingers),
        FAN_TOGETHER * _turn({f"{finger}1": _times(SPREAD, share) for finger, share in FAN.items()}),
        *(FAN_ALONE * _turn({f"{finger}1": SPREAD}) for finger in fingers),
        THUMB_ALONE * closed["thumb"],
        *(THUMB_ROOT * _turn({"thumb1": (float(axis[0]), float(axis[1]), float(axis[2]))}) for axis in around),
    ]
    # Loadings overlap; their covariance is taken apart into orthogonal directions, and the play of each joint comes on
    # top.
    _, size, rows = torch.linalg.svd(torch.stack(loadings), full_matrices=False)
    bends = {
        f"{finger}{n}": _bend(finger, math.radians(RELAXED.get(finger, FINGER_RELAXED)[n - 1]))
        for finger in (*fingers, "thumb")
        for n in (1, 2, 3)
    }
    return HandSpace(rows, _turn(bends), (size**2 + SIGMA_REST_RAD**2).sqrt())


def read_hand_spaces(
    path: Path | str, count: int = COMPONENTS, *, side: Side | None = None
) -> tuple[HandSpace, HandSpace]:
    """Read the left and the right hand's space from a model file; nothing in it is executed.

    Args:
        path: An official SMPL-X, SMPL-H or MANO file (.npz or .pkl). MANO holds one hand; the other is its mirror
            image.
        count: K, components that are kept; the spread of the others becomes `sigma_rest_rad`.
        side: Which hand a MANO file holds; None: as its name says.

    Returns:
        Left and right, float64 on the CPU.

    Raises:
        InputError: The file is missing, damaged or hostile, holds no hand poses, or its components and coefficients do
            not fit together.
    """
    path = Path(path).expanduser()
    suffixes = {"left": "l", "right": "r"}
    keys = [f"hands_{noun}{end}" for noun in ("components", "mean", "coeffs") for end in ("", *suffixes.values())]
    file = read_official_file(path, keys)
    if not 0 < count < 45:
        raise InputError("count", "1 to 44 components", str(count))
    if "hands_components" in file.arrays:
        found: str | None = side or next((name for name in suffixes if name in path.stem.lower()), None)
        if found is None:
            raise InputError("side", "'left' or 'right'", "None", f"{path.name} does not say which hand it holds.")
        hand = _space(file, "", count)
        return (hand, hand.mirrored()) if found == "left" else (hand.mirrored(), hand)
    left, right = (_space(file, end, count) for end in suffixes.values())
    return left, right


def _space(file: OfficialArrays, end: str, count: int) -> HandSpace:
    """One hand of a file."""
    components = torch.from_numpy(file.take(f"hands_components{end}", 45, 45).copy())
    mean = torch.from_numpy(file.take(f"hands_mean{end}", 45).copy())
    coefficients = torch.from_numpy(file.take(f"hands_coeffs{end}", None, 45).copy())
    std = (coefficients**2).mean(0).sqrt()  # (45,) rad, about the mean hand
    return HandSpace(components[:count], mean, std[:count], float((std[count:] ** 2).mean().sqrt()))


def _turn(axes: Mapping[str, tuple[float, float, float]]) -> Float[Tensor, "45"]:
    """Return rotation vectors by joint name as one pose, zero for the others."""
    pose = torch.zeros(len(JOINTS), 3, dtype=torch.float64)
    for name, axis in axes.items():
        pose[JOINTS.index(name)] = torch.tensor(axis, dtype=torch.float64)
    return pose.flatten()


def _bend(finger: str, angle: float) -> tuple[float, float, float]:
    """The rotation vector that closes a joint of a left finger by an angle (rad)."""
    return _times(BEND.get(finger, FINGER_BEND), angle)


def _times(axis: tuple[float, float, float], angle: float) -> tuple[float, float, float]:
    return (angle * axis[0], angle * axis[1], angle * axis[2])
