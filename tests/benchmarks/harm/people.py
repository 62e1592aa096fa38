"""Whom the harm benchmark is about: people of the built-in model, as they are, in two sets that share nothing.

    "tune" and "report" differ in seeds and therefore shapes and cameras, in whole recordings of motion, and in the family of their dense noise

Thresholds are fixed on "tune"; every figure that is quoted is of "report". Cameras are 24 to 100 mm on 36 mm film, a third of the people
are cut off by the photo's border, and nobody else is in the way.

Source: `displacement_net.training.casting` and `.motion` draw people for the network's training in the same way. Recordings: CMU Graphics
Lab Motion Capture Database, where the assets are at hand (REFINE_ASSETS, by default `../shared/assets` beside the checkout), else the 64
frames that ship with the library.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from displacement_net.training import casting
from displacement_net.training.motion import Recordings, load_recordings, shipped_recordings
from refine.body import SkinnedBody, pose_body
from refine.body.smpl_joints import BODY_JOINTS
from refine.errors import InputError
from refine.evaluate import metrics
from refine.geometry.camera import Camera
from refine.state import Bodies, State
from tests.benchmarks.harm.noise import Family

Name = Literal["tune", "report"]
TOGETHER = 10
"""People are drawn so many at a time, so that the first ones do not depend on how many are wanted."""
LEAST_IN_SIGHT = 0.3
"""Who shows less of the body's joints than this in the photo is drawn again: nobody would ask about them."""
NEAREST_M = 0.4
"""No joint of anybody is nearer to the camera."""
LEAST_APART_MM = 120.0
"""Another person is one whose joints lie at least so far from one's own (MPJPE), farther than a medium estimate's: two people who stand
alike cannot be told apart by pose."""
CANDIDATES = 4
"""Other people that are drawn for everybody; the first that is far enough apart is taken, else the farthest."""


@dataclass(frozen=True)
class People:
    """One of the two sets.

    Attributes:
        name: "tune" or "report".
        seed: First of its seeds.
        part: 0 or 1: recordings whose place in the list is even or odd.
        family: The family of the dense noise.
    """

    name: Name
    seed: int
    part: int
    family: Family


TUNE = People("tune", 1_000, 0, "student")
REPORT = People("report", 9_000_000, 1, "mixed")
SETS: dict[str, People] = {each.name: each for each in (TUNE, REPORT)}


def assets() -> Path:
    """Return the folder of assets, there or not."""
    return Path(os.environ.get("REFINE_ASSETS", Path(__file__).parents[4] / "shared" / "assets"))


def recordings_of(people: People) -> Recordings:
    """Return the recordings a set is drawn from: every other one of all there are.

    Args:
        people: The set.
    """
    path = assets() / "motion" / "cmu_poses.npz"
    whole = load_recordings(path) if path.is_file() else shipped_recordings()
    names = np.unique(whole.sequence)
    own = np.isin(whole.sequence, names[people.part :: 2])
    return Recordings(whole.pose[own], whole.sequence[own])


def true_people(body: SkinnedBody, people: People, count: int) -> State:
    """Draw people.

    Args:
        body: The built-in body.
        people: Which set.
        count: B, one or more; the first ones are the same however many are wanted.

    Returns:
        B bodies with their cameras, camera frame.

    Raises:
        InputError: Nobody is wanted.
    """
    return _drawn(body, count, recordings_of(people), people.seed)


def other_people(body: SkinnedBody, people: People, true: State, first: int = 0) -> State:
    """Draw somebody else for everybody: other shape, other pose of another recording, at the same place, as tall in the photo.

    Args:
        body: The built-in body.
        people: The set of the people.
        true: B people of that set.
        first: Place of the first of them in the set.

    Returns:
        B other people, seen by the same cameras.
    """
    recordings = recordings_of(people)
    joints = pose_body(body, true.bodies).joints[:, :BODY_JOINTS]
    best: State | None = None
    apart = joints.new_full((len(true),), -1.0)
    for candidate in range(CANDIDATES):
        found = _drawn(body, first + len(true), recordings, people.seed + 500_000 * (candidate + 1))[slice(first, None)]
        placed = in_place_of(body, found, true)
        distance = metrics.mpjpe(pose_body(body, placed.bodies).joints[:, :BODY_JOINTS], joints)
        better = (apart < LEAST_APART_MM) & (distance > apart)
        best = placed if best is None else State(_pick(better, placed.bodies, best.bodies), true.camera)
        apart = torch.where(better, distance, apart)
    assert best is not None
    return best


def in_place_of(body: SkinnedBody, other: State, true: State) -> State:
    """Move people to where others stand: pelvis seen at the same pixel, joints as far apart up and down the photo, same camera.

    Args:
        body: The model.
        other: B people.
        true: B people in whose place they are put.
    """
    pelvis = pose_body(body, true.bodies).joints[:, 0]
    posed = pose_body(body, other.bodies)
    rest = posed.joints - posed.joints[:, :1]  # (B, J, 3) around the pelvis
    wanted = _height(pose_body(body, true.bodies).joints, true.camera)
    at = pelvis
    for _ in range(6):  # perspective makes it not quite linear
        grow = (_height(rest + at[:, None], true.camera) / wanted).clamp(0.5, 2.0)
        at = at * grow[:, None]
    nearest = NEAREST_M - rest[..., 2].amin(1)
    at = at * (nearest / at[:, 2]).clamp(min=1.0)[:, None]
    moved = at - posed.joints[:, 0]
    bodies = other.bodies
    return State(Bodies(bodies.pose, bodies.shape, bodies.expression, bodies.translation + moved), true.camera)


def _drawn(body: SkinnedBody, count: int, recordings: Recordings, seed: int) -> State:
    """Draw people in groups of `TOGETHER`, leaving out who is hardly in the photo."""
    if count < 1:
        raise InputError("bodies", "one or more", str(count))
    found: list[State] = []
    have, group = 0, 0
    while have < count:
        scene = casting.cast(body, recordings, TOGETHER, np.random.default_rng((seed, group)), children=0.0)
        state = State(scene.bodies[slice(0, TOGETHER)], scene.camera)
        kept = state[_in_sight(body, state).nonzero()[:, 0]]
        found.append(kept)
        have, group = have + len(kept), group + 1
    return joined(found)[slice(0, count)]


def _in_sight(body: SkinnedBody, state: State) -> Tensor:
    """Say who (B,) stands before the camera and shows enough joints in the photo."""
    posed = pose_body(body, state.bodies)
    pixel = state.camera.project(posed.joints[:, :BODY_JOINTS])
    inside = ((pixel > 0) & (pixel < state.camera.size.flip(1)[:, None])).all(-1)
    before = posed.joints[..., 2].amin(1) > NEAREST_M
    return before & (inside.to(pixel.dtype).mean(1) >= LEAST_IN_SIGHT)


def _height(joints: Tensor, camera: Camera) -> Tensor:
    row = camera.project(joints)[..., 1]
    return row.amax(1) - row.amin(1)


def joined(states: list[State]) -> State:
    """Return the bodies of several states as one.

    Args:
        states: Bodies of one model, camera frame.
    """
    bodies, cameras = [each.bodies for each in states], [each.camera for each in states]
    whole = Bodies(
        torch.cat([one.pose for one in bodies]),
        torch.cat([one.shape for one in bodies]),
        torch.cat([one.expression for one in bodies]),
        torch.cat([one.translation for one in bodies]),
    )
    camera = Camera(
        torch.cat([one.focal for one in cameras]),
        torch.cat([one.center for one in cameras]),
        torch.cat([one.size for one in cameras]),
    )
    return State(whole, camera)


def _pick(take: Tensor, first: Bodies, second: Bodies) -> Bodies:
    """Return, body by body, the first where `take` (B,) is true and the second elsewhere."""
    pairs = zip(
        (first.pose, first.shape, first.expression, first.translation),
        (second.pose, second.shape, second.expression, second.translation),
        strict=True,
    )
    return Bodies(*(torch.where(take.reshape(-1, *[1] * (a.dim() - 1)), a, b) for a, b in pairs))
