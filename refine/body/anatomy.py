"""Anatomy of a kind of body: core joints, limbs, mirrored joints, and the usual errors of regressors.

Without one in its file a body has a person's, by its joints' names (`person`); animals and objects bring their own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from refine.body.smpl_joints import BODY_JOINTS

SIGMA_RAD = {
    "pelvis": 0.19, "hip": 0.15, "knee": 0.25, "ankle": 0.30, "foot": 0.20, "spine1": 0.08, "spine2": 0.08,
    "spine3": 0.08, "neck": 0.20, "head": 0.20, "collar": 0.10, "shoulder": 0.25, "elbow": 0.35, "wrist": 0.35,
    "jaw": 0.10, "eye": 0.10,
}  # fmt: skip
"""Standard deviation per axis (rad) of a regressor's local rotations, by joint, left and right alike.

A judgement, not a fit, for want of a table of errors by joint and axis that holds for more than one regressor: errors
grow from the pelvis down each limb, are largest in elbows, wrists and ankles, and least in spine and collars, which the
image hardly shows and regressors keep near their mean; 0.25 to 0.35 rad an axis are geodesic errors of 23 to 32 degrees
(mean = 1.6 sigma). Replaceable joint by joint with `NearEstimate(sigma_rad=...)`.
"""

OTHER_SIGMA_RAD = 0.30
"""For joints not named in `SIGMA_RAD`: fingers, and joints of other models. A judgement too: wide, since regressors
rarely see them."""

FINGERS = ("thumb", "index", "middle", "ring", "pinky")
LIMBS: Mapping[str, tuple[str, ...]] = {
    "arm": ("collar", "shoulder", "elbow", "wrist", "hand", *FINGERS),
    "leg": ("hip", "knee", "ankle", "foot", "toe"),
    "head": ("neck", "head", "jaw", "eye"),
}
"""Parts of a person's joint names by the limb they belong to."""


@dataclass(frozen=True)
class Anatomy:
    """Joints and usual errors of a kind of body.

    Attributes:
        core_joints: Joints that are always solved for; the others only where the evidence determines them.
        limbs: Joints that are accepted or put back together, by the limb's name; joints of no limb are the trunk.
        usual_sigma_rad: J standard deviations (rad, per axis) of a regressor's local rotations.
        mirrored: J indices, of each joint's mirror image; its own where it has none.
        expressive: The joint (a jaw) that frees the expression coefficients where the evidence determines it, or None.
    """

    core_joints: tuple[int, ...]
    limbs: Mapping[str, tuple[int, ...]]
    usual_sigma_rad: tuple[float, ...]
    mirrored: tuple[int, ...]
    expressive: int | None = None

    @property
    def trunk(self) -> tuple[int, ...]:
        """Joints of no limb."""
        limbs = {joint for joints in self.limbs.values() for joint in joints}
        return tuple(joint for joint in range(len(self.usual_sigma_rad)) if joint not in limbs)


def person(joint_names: Sequence[str]) -> Anatomy:
    """Return a person's anatomy.

    Args:
        joint_names: J names; trunk and limbs first, as in SMPL, SMPL-H, SMPL-X and the built-in body.
    """
    limbs: dict[str, tuple[int, ...]] = {}
    for joint, name in enumerate(joint_names):
        if limb := _limb(name):
            limbs[limb] = (*limbs.get(limb, ()), joint)
    plain = [name.removeprefix("left_").removeprefix("right_").removesuffix("_smplhf") for name in joint_names]
    return Anatomy(
        core_joints=tuple(range(min(BODY_JOINTS, len(joint_names)))),
        limbs=limbs,
        usual_sigma_rad=tuple(SIGMA_RAD.get(name, OTHER_SIGMA_RAD) for name in plain),
        mirrored=mirror_images(joint_names),
        expressive=joint_names.index("jaw") if "jaw" in joint_names else None,
    )


def mirror_images(names: Sequence[str]) -> tuple[int, ...]:
    """Return the index of each name's mirror image, left for right; its own where there is none.

    Args:
        names: Of joints or keypoints, "left_" and "right_" (in any case) within them.
    """
    lower = [name.lower() for name in names]
    other = [name.replace("left", "right") if "left" in name else name.replace("right", "left") for name in lower]
    return tuple(lower.index(image) if image in lower else own for own, image in enumerate(other))


def _limb(joint_name: str) -> str:
    """Return the limb of a joint: "left arm", "right leg", "head", ...; "" of the trunk."""
    side, _, rest = joint_name.partition("_")
    sided = side in ("left", "right") and bool(rest)
    plain = rest if sided else joint_name
    kind = next((kind for kind, parts in LIMBS.items() if any(part in plain for part in parts)), "")
    return f"{side} {kind}" if sided and kind in ("arm", "leg") else kind
