"""Whom the harm benchmark is about: people of the built-in model, as they are, in two sets that share nothing.

    "tune" and "report" differ in seeds and therefore shapes and cameras, in whole recordings of motion, and in the
        family of their dense noise

Thresholds are fixed on "tune"; every figure that is quoted is of "report". Cameras are 24 to 100 mm on 36 mm film, a
third of the people are cut off by the photo's border, and nobody else is in the way.

Whose estimates are given (`refine.evaluate.harm.own`) is a third set, "own".

Source: `refine.evaluate.casting` and `.motion`, as for the network's training. Recordings: CMU Graphics Lab Motion
Capture Database, those in the folder REFINE_ASSETS names, else the 64 frames that ship with the library.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from refine import batch
from refine.body import SkinnedBody, pose_body
from refine.body.smpl_joints import BODY_JOINTS
from refine.errors import InputError
from refine.evaluate import casting, metrics
from refine.evaluate.harm.noise import Family
from refine.evaluate.motion import Recordings, load_recordings, shipped_recordings
from refine.geometry.camera import Camera
from refine.state import State

Name = Literal["tune", "report", "own"]
TOGETHER = 10
"""People are drawn so many at a time, so that the first ones do not depend on how many are wanted."""
LEAST_IN_SIGHT = 0.3
"""Who shows less of the body's joints than this in the photo is drawn again: nobody would ask about them."""
NEAREST_M = 0.4
"""No joint of anybody is nearer to the camera."""
LEAST_APART_MM = 120.0
"""Another person is one whose joints lie at least so far from one's own (MPJPE), farther than a medium estimate's: two
people who stand alike cannot be told apart by pose."""
CANDIDATES = 4
"""Other people that are drawn for everybody; the first that is far enough apart is taken, else the farthest."""


@dataclass(frozen=True)
class People:
    """One of the sets.

    Attributes:
        name: "tune", "report" or "own".
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


def recordings_of(people: People) -> Recordings:
    """Return the recordings a set is drawn from: every other one of all there are.

    Args:
        people: The set.
    """
    path = Path(os.environ.get("REFINE_ASSETS", "")) / "motion" / "cmu_poses.npz"
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
    """Draw somebody else for everybody: other shape, other recording, at the same place, as tall in the photo.

    Args:
        body: The built-in body.
        people: The set of the people.
        true: B people of that set.
        first: Place of the first of them in the set.

    Returns:
        B other people, seen by the same cameras.
    """
    recordings = recordings_of(people)
    seeds = (people.seed + 500_000 * (candidate + 1) for candidate in range(CANDIDATES))
    drawn = (_drawn(body, first + len(true), recordings, seed)[slice(first, None)] for seed in seeds)
    return _first_apart(body, drawn, true)


def others_among(body: SkinnedBody, true: State) -> State:
    """Return somebody else of the same set for everybody, at the same place, as tall in the photo.

    Args:
        body: The model.
        true: B people.

    Returns:
        B other people, seen by the same cameras.

    Raises:
        InputError: There is one person only.
    """
    count = len(true)
    if count < 2:
        raise InputError("estimates", "two people or more, for another person's evidence", str(count))
    turns = range(1, min(CANDIDATES, count - 1) + 1)
    return _first_apart(body, (true[(torch.arange(count) + turn) % count] for turn in turns), true)


def _first_apart(body: SkinnedBody, candidates: Iterable[State], true: State) -> State:
    """Return for each row the first candidate far enough from the true person, else the farthest, in their place."""
    joints = pose_body(body, true.bodies).joints[:, :BODY_JOINTS]
    best, apart = true, joints.new_full((len(true),), -1.0)
    for candidate in candidates:
        placed = in_place_of(body, candidate, true)
        distance = metrics.mpjpe(pose_body(body, placed.bodies).joints[:, :BODY_JOINTS], joints)
        better = (apart < LEAST_APART_MM) & (distance > apart)
        best, apart = batch.where(better, placed, best), torch.where(better, distance, apart)
    return best


def in_place_of(body: SkinnedBody, other: State, true: State) -> State:
    """Move people to where others stand: pelvis at the same pixel, joints as far apart up and down, same camera.

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
    moved = other.bodies.translation + at - posed.joints[:, 0]
    return State(replace(other.bodies, translation=moved), true.camera)


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
    return batch.cat(found)[slice(0, count)]


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
