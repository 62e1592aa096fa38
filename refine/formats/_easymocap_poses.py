"""The poses in EasyMocap's JSON: which model they are of, where its joints stand in them, and refined joints put back.

    poses     joints three numbers each, and coefficients of hands, by the length: the table `LAYOUTS`
    handl, handr     45 axis-angles or coefficients, beside poses of 63

Source: zju3dv/EasyMocap@d2a0a2da31 `easymocap/smplmodel/body_model.py` (NUM_POSES, extend_pose),
`easymocap/bodymodel/smpl.py` lines 352-363, `easymocap/bodymodel/smplx.py` SMPLHModel, `config/model/smplh.yml`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from refine.errors import InputError
from refine.formats._smpl_parts import numbers
from refine.geometry import rotation

ADVICE = "Run EasyMocap again; the file is its smpl/000000.json."


@dataclass(frozen=True)
class Layout:
    """Where a model's joints stand in `poses`.

    Attributes:
        model: "smpl", "smplh" or "smplx".
        joints: The model's joints (of our order) by their place in `poses`, three numbers each, in the file's order.
        hands: Where coefficients of the left and right hand stand in `poses`, None where there are none.
        hand_mean: "flat" or "mean", "" for SMPL.
    """

    model: str
    joints: tuple[tuple[int, int], ...]
    hands: tuple[slice, slice] | None = None
    hand_mean: str = ""


def _run(first: int, count: int, start: int = 0) -> tuple[tuple[int, int], ...]:
    """Return `count` joints from `first`, standing one after the other from the number `start` on."""
    return tuple((first + n, start + 3 * n) for n in range(count))


COEFFICIENTS = (slice(66, 72), slice(72, 78))
LAYOUTS = {
    (69, False): Layout("smpl", _run(1, 23)),
    (72, False): Layout("smpl", _run(0, 24)),
    (63, True): Layout("smplh", _run(1, 21), None, "mean"),
    (78, False): Layout("smplh", _run(0, 22), COEFFICIENTS, "mean"),
    (87, False): Layout("smplx", _run(0, 22) + _run(22, 3, 78), COEFFICIENTS, "flat"),
    (156, False): Layout("smplh", _run(0, 52), None, "flat"),
    (165, False): Layout("smplx", _run(0, 55), None, "flat"),
}
"""By the length of `poses`, and whether there are `handl` and `handr`."""


def layout_of(where: str, people: list[dict[str, Any]]) -> Layout:
    """Return the one layout of all people's poses.

    Raises:
        InputError: The poses are of no known length, or of several.
    """
    kinds = {(np.size(person.get("poses", ())), {"handl", "handr"} <= set(person)) for person in people}
    if len(kinds) > 1 or not kinds <= set(LAYOUTS):
        known = ", ".join(f"{width}{' with handl and handr' if hands else ''}" for width, hands in LAYOUTS)
        got = " and ".join(sorted(f"{width}{' with handl and handr' if hands else ''}" for width, hands in kinds))
        raise InputError(f"{where}: poses", f"one of {known} numbers, as many for everybody", got, ADVICE)
    return LAYOUTS[kinds.pop()]


def rows_of(where: str, people: list[dict[str, Any]], name: str, width: int | None = None) -> np.ndarray:
    """Return one value of all people (B, n); each stores it as a row or as a matrix of one row.

    Raises:
        InputError: Somebody has none, or another number of them.
    """
    rows = []
    for row, person in enumerate(people):
        shape = (1, width) if np.ndim(person.get(name, 0)) == 2 else (width,)
        rows.append(numbers(f"{where}: person {row}", person, name, *shape, advice=ADVICE, rows=True).reshape(-1))
    if len({len(row) for row in rows}) > 1:
        raise InputError(f"{where}: {name}", "as many numbers for everybody", "some more, some fewer", ADVICE)
    return np.stack(rows)


def _hands(people: list[dict[str, Any]], layout: Layout) -> tuple[str, ...]:
    """Return the names under which hands of 45 axis-angles stand."""
    return ("handl", "handr") if layout == LAYOUTS[63, True] and np.size(people[0]["handl"]) == 45 else ()


def pose_of(where: str, people: list[dict[str, Any]], layout: Layout) -> Float[Tensor, "B J 3 3"]:
    """Return the local rotations that `poses`, `handl` and `handr` hold, the root's without `Rh`."""
    poses = torch.as_tensor(rows_of(where, people, "poses"), dtype=torch.float32)
    pose = torch.eye(3).repeat(len(people), {"smpl": 24, "smplh": 52, "smplx": 55}[layout.model], 1, 1)
    for joint, start in layout.joints:
        pose[:, joint] = rotation.exp(poses[:, start : start + 3])
    for side, name in enumerate(_hands(people, layout)):
        hand = torch.as_tensor(rows_of(where, people, name, 45), dtype=torch.float32)
        pose[:, 22 + 15 * side : 37 + 15 * side] = rotation.exp(hand.reshape(-1, 15, 3))
    return pose


def coefficients_of(where: str, people: list[dict[str, Any]], layout: Layout) -> dict[str, np.ndarray]:
    """Return hands that are coefficients of the model's hand space, by their public names."""
    if layout.hands is not None:
        poses = rows_of(where, people, "poses")
        return {f"{side}_hand_pose": poses[:, part] for side, part in zip(("left", "right"), layout.hands, strict=True)}
    if layout == LAYOUTS[63, True] and not _hands(people, layout):
        return {"left_hand_pose": rows_of(where, people, "handl"), "right_hand_pose": rows_of(where, people, "handr")}
    return {}


def posed(person: dict[str, Any], before: Tensor, after: Tensor, layout: Layout) -> dict[str, Any]:
    """Return a person with the turned joints of `poses`, `handl` and `handr` renewed; the root stays in `Rh`."""
    turned = [joint for joint in (before != after).flatten(1).any(1).nonzero()[:, 0].tolist() if joint]
    angles, places = rotation.log(after).numpy(), dict(layout.joints)
    poses = np.array(person["poses"], np.float64).reshape(-1)
    for joint in turned:
        if joint in places:
            poses[places[joint] : places[joint] + 3] = angles[joint]
    person = person | {"poses": like(person["poses"], poses)} if turned else person
    for side, name in enumerate(_hands([person], layout)):
        own = range(22 + 15 * side, 37 + 15 * side)
        hand = np.array(person[name], np.float64).reshape(15, 3)
        for joint in set(turned) & set(own):
            hand[joint - own.start] = angles[joint]
        person = person | {name: like(person[name], hand)} if set(turned) & set(own) else person
    return person


def like(stored: object, values: Any) -> Any:
    """Return numbers as a list of the stored one's shape."""
    return np.asarray(values, np.float64).reshape(np.asarray(stored).shape).tolist()
