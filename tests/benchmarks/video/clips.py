"""True tracks: clips of 2 to 6 s at 30 frames per second from recordings that are held out, each before a camera.

Clips of one recording follow each other and do not overlap; they are one witness, so that intervals come from drawing
recordings again. The camera stands still, at a distance from which all of the clip is in the picture.

The shipped pose prior and the shipped table of accelerations were learnt from all 28 recordings (some forty numbers a
frame rate); what is learnt anew must leave these out.

Source: CMU Graphics Lab Motion Capture Database: "The data used in this project was obtained from mocap.cs.cmu.edu. The
database was created with funding from NSF EIA-0196217."
"""

import math
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from refine.body import SkinnedBody, pose_body
from refine.evaluate.people import SHAPE_SIGMA
from refine.geometry import rotation
from refine.geometry.camera import Camera
from refine.state import Bodies, State

ROOT = Path(__file__).parents[3]
HELD_OUT_EVERY = 3
"""Every third recording, of all three people: nine, which climb, hang, walk, run, jump, punch and step over rubble."""
FPS = 30.0
SHORTEST_S, LONGEST_S = 2.0, 6.0
SIZE = (1080, 1920)
"""Height and width, px."""
FOCAL = 1500.0
"""px: 65 degrees across, a phone's main camera."""
NEAREST_M = 3.0
REACH_M = 1.25
"""How far hands and feet are from the pelvis, which must be in the picture too."""
BODY = 22
"""Joints that are recorded and measured: SMPL's without hands."""


@dataclass(frozen=True, eq=False)
class Clip:
    """One person for some seconds.

    Attributes:
        recording: Its name.
        true: F bodies in the camera frame, with their cameras.
        time_s: (F,) s.
    """

    recording: str
    true: State
    time_s: Float[Tensor, "F"]

    def __len__(self) -> int:
        return len(self.true)


def recorded_motion() -> Path:
    """Return the file of recorded motion (`REFINE_ASSETS`, else beside the checkout); it may be absent."""
    return Path(os.environ.get("REFINE_ASSETS", ROOT.parent / "shared" / "assets")) / "motion" / "cmu_motion_60hz.npz"


def clips(body: SkinnedBody, path: Path, count: int, seed: int = 0) -> list[Clip]:
    """Return clips of the recordings that are held out, from all of them in turn.

    Args:
        body: The model.
        path: An npz with `pose (F, 22, 3)`, `translation (F, 3)`, `sequence (F,)`, `names` and `fps`.
        count: How many at most.
        seed: Of their lengths, bodies and cameras.
    """
    with np.load(path) as stored:
        motion = {name: stored[name] for name in stored.files}
    step = round(float(motion["fps"]) / FPS)
    rng = np.random.default_rng(seed)
    found: list[list[Clip]] = []
    for number in range(HELD_OUT_EVERY - 1, len(motion["names"]), HELD_OUT_EVERY):
        rows = np.flatnonzero(motion["sequence"] == number)[::step]
        name, pieces = str(motion["names"][number]), []
        while len(rows) >= SHORTEST_S * FPS:
            length = min(len(rows), round(FPS * rng.uniform(SHORTEST_S, LONGEST_S)))
            piece, rows = rows[:length], rows[length:]
            pieces.append(_clip(body, name, motion["pose"][piece], motion["translation"][piece], rng))
        found.append(pieces)
    longest = max(map(len, found))
    in_turn = [pieces[place] for place in range(longest) for pieces in found if place < len(pieces)]
    return in_turn[:count]


def _clip(body: SkinnedBody, name: str, pose: np.ndarray, place: np.ndarray, rng: np.random.Generator) -> Clip:
    count = len(pose)
    local = torch.eye(3, dtype=torch.float64).repeat(count, len(body.joint_names), 1, 1)
    local[:, :BODY] = rotation.exp(torch.from_numpy(pose.astype(np.float64)))
    heading = torch.tensor([0.0, rng.uniform(-math.pi, math.pi), 0.0], dtype=torch.float64)
    camera_from_level = torch.diag(torch.tensor([1.0, -1.0, -1.0], dtype=torch.float64)) @ rotation.exp(heading)
    local[:, 0] = camera_from_level @ local[:, 0]
    way = torch.from_numpy(place.astype(np.float64)) @ camera_from_level.T
    way = way - (way.amax(0) + way.amin(0)) / 2
    # Near enough to fill the picture, far enough that whoever stands nearest is in it.
    wide = FOCAL * (way[:, :2].abs() + REACH_M) / (torch.tensor(SIZE[::-1]) / 2)
    away = float(max(NEAREST_M, (wide.amax(1) - way[:, 2]).max()))
    pelvis = way + torch.tensor([0.0, 0.0, away], dtype=torch.float64)
    shape = torch.from_numpy(SHAPE_SIGMA * rng.standard_normal(body.shape_basis.shape[2]))
    like = body.template
    bodies = Bodies(
        local.to(like), shape.to(like).repeat(count, 1), like.new_zeros(count, body.expression_basis.shape[2]),
        like.new_zeros(count, 3),
    )  # fmt: skip
    size = like.new_tensor(SIZE).repeat(count, 1)
    camera = Camera(like.new_full((count, 2), FOCAL), size.flip(1) / 2, size)
    return Clip(name, at_pelvis(body, State(bodies, camera), pelvis.to(like)), torch.arange(count).double() / FPS)


def at_pelvis(body: SkinnedBody, state: State, pelvis: Float[Tensor, "F 3"]) -> State:
    """Return the bodies moved so that their pelvises lie there."""
    bodies = state.bodies
    moved = bodies.translation + pelvis - pose_body(body, bodies).joints[:, 0]
    return State(Bodies(bodies.pose, bodies.shape, bodies.expression, moved), state.camera)


def joints_of(body: SkinnedBody, state: State) -> Float[Tensor, "F 22 3"]:
    """Return the joints that are measured: (F, 22, 3) m, float64."""
    return pose_body(body, state.bodies).joints[:, :BODY].double()
