"""Writes a person's motion as BVH (Biovision hierarchy): the skeleton in T pose, and the turns of its joints.

    joint's place = parent's place + parent's turn · OFFSET,   turn = parent's turn · Rz Rx Ry

The T pose is the model's own rest, in which all joint frames are the identity: its offsets are written as they are.
Document axes "y": x right, y up, z towards the viewer, in which the camera looks along -z; "z": x right, y away from
the viewer, z up. The frames are evenly spaced; a clip that is not is interpolated along the shortest turns.

Source: Meredith and Maddock, Motion Capture File Formats Explained, University of Sheffield CS-01-11, 2001.
"""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation, Slerp

from refine.body import SkinnedBody
from refine.errors import InputError
from refine.export.figure import Figure
from refine.files.atomic import write_bytes

UNITS = {"m": 1.0, "cm": 100.0}
UP = {"y": np.diag((1.0, -1.0, -1.0)), "z": np.array([[1.0, 0, 0], [0, 0, 1.0], [0, -1.0, 0]])}
"""From the camera's axes (x right, y down, z forward) to the document's."""
REST = {"y": np.eye(3), "z": np.array([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]])}
"""From the model's axes at rest (x left, y up, z front) to a T pose that stands upright in the document."""
ORDER: Final[Literal["ZXY"]] = "ZXY"
"""Of the channels: a joint reaches the order's gimbal lock by bending sideways by 90 degrees, as few do."""
TIP = 0.8
"""Length of a last bone over the one before it, where nothing tells it: that of a finger's last bone."""
STILL_FPS = 30.0
"""Frames a second of a person with one moment."""
EVEN_S = 1e-4
"""Frames whose distances differ by no more are evenly spaced."""


def write_bvh(
    path: str | Path, body: SkinnedBody, figure: Figure, *, unit: str = "cm", up: str = "y", fps: float | None = None
) -> None:
    """Write one person.

    Args:
        path: The file.
        body: The person's model.
        figure: The person, in the frame of a camera.
        unit: "cm", which most programs take a BVH's numbers for, or "m".
        up: The document's axis that points up, "y" or "z".
        fps: Frames a second; None: the clip's own where they are evenly spaced, else as many as it has on average.

    Raises:
        InputError: Another unit or axis, or frames a second that are not above zero.
    """
    if unit not in UNITS or up not in UP:
        raise InputError("unit" if unit not in UNITS else "up", "'m' or 'cm', and 'y' or 'z'", f"{unit!r}, {up!r}")
    rate = frames_a_second(figure) if fps is None else float(fps)
    if not (np.isfinite(rate) and rate > 0):
        raise InputError("fps", "a number above zero", str(fps))
    turn, root = evenly(figure, rate)
    rest = figure.skeleton.joint.double().numpy() @ REST[up].T * UNITS[unit]
    turn[:, 0], root = UP[up] @ turn[:, 0], root @ UP[up].T * UNITS[unit]
    turn[:, 1:] = REST[up] @ turn[:, 1:]
    turn = turn @ REST[up].T
    children = _children(body)
    order = list(_depth_first(children, 0))
    lines = ["HIERARCHY", *_joint(body, rest, children, 0, 0)]
    lines += ["MOTION", f"Frames: {len(turn)}", f"Frame Time: {1 / rate:.9f}"]
    degrees = np.stack([_euler(turn[:, joint]) for joint in order], 1).reshape(len(turn), -1)
    lines += [" ".join(f"{number:.6f}" for number in row) for row in np.concatenate((root, degrees), 1)]
    write_bytes(path, ("\n".join(lines) + "\n").encode())


def frames_a_second(figure: Figure) -> float:
    """Return how many frames a second a clip has on average; a still has `STILL_FPS`."""
    times = figure.time_s.numpy()
    return STILL_FPS if len(times) < 2 else (len(times) - 1) / float(times[-1] - times[0])


def evenly(figure: Figure, rate: float) -> tuple[Float[np.ndarray, "N J 3 3"], Float[np.ndarray, "N 3"]]:
    """Return local rotations and root positions (m) at evenly spaced times from the first frame on."""
    times, turn, root = figure.time_s.numpy(), figure.pose.double().numpy(), figure.root.double().numpy()
    times = times - times[0]
    if len(times) < 2 or np.abs(times - np.arange(len(times)) / rate).max() <= EVEN_S:
        return turn.copy(), root
    asked = np.arange(int(np.floor(times[-1] * rate + EVEN_S)) + 1) / rate
    asked = asked.clip(max=times[-1])
    joints = [Slerp(times, Rotation.from_matrix(turn[:, joint]))(asked).as_matrix() for joint in range(turn.shape[1])]
    return np.stack(joints, 1), np.stack([np.interp(asked, times, axis) for axis in root.T], 1)


def _euler(turn: Float[np.ndarray, "N 3 3"]) -> Float[np.ndarray, "N 3"]:
    """Return degrees about the channels' axes, without jumps by whole turns."""
    with warnings.catch_warnings():  # in a gimbal lock every way to divide the turn among two axes is right
        warnings.filterwarnings("ignore", "Gimbal lock", UserWarning)
        found = Rotation.from_matrix(turn).as_euler(ORDER, degrees=True)
    # The same turn another way round, (a + 180, 180 - b, c + 180): what is nearer to the frame before.
    for row in range(1, len(found)):
        other = found[row] * (1, -1, 1) + 180
        both = np.stack([each - 360 * np.round((each - found[row - 1]) / 360) for each in (found[row], other)])
        found[row] = both[np.abs(both - found[row - 1]).sum(1).argmin()]
    return np.asarray(found)


def _children(body: SkinnedBody) -> list[list[int]]:
    """Return the children of each joint."""
    found: list[list[int]] = [[] for _ in body.joint_names]
    for joint, parent in enumerate(body.parents.tolist()):
        if parent >= 0:
            found[parent].append(joint)
    return found


def _depth_first(children: list[list[int]], joint: int) -> Iterator[int]:
    """Yield a joint and what hangs on it in the order of the file."""
    yield joint
    for child in children[joint]:
        yield from _depth_first(children, child)


def _joint(
    body: SkinnedBody, rest: Float[np.ndarray, "J 3"], children: list[list[int]], joint: int, depth: int
) -> list[str]:
    """Return the lines of a joint and what hangs on it."""
    parent = int(body.parents[joint])
    offset = np.zeros(3) if parent < 0 else rest[joint] - rest[parent]
    space, turns = "\t" * depth, " ".join(f"{axis}rotation" for axis in ORDER)
    channels = f"3 {turns}" if depth else f"6 Xposition Yposition Zposition {turns}"
    lines = [
        f"{space}{'JOINT' if depth else 'ROOT'} {body.joint_names[joint]}",
        f"{space}{{",
        f"{space}\tOFFSET {_numbers(offset)}",
        f"{space}\tCHANNELS {channels}",
    ]
    for child in children[joint]:
        lines += _joint(body, rest, children, child, depth + 1)
    if not children[joint]:
        tip = f"{space}\t\tOFFSET {_numbers(TIP * offset)}"
        lines += [f"{space}\tEnd Site", f"{space}\t{{", tip, f"{space}\t}}"]
    return [*lines, f"{space}}}"]


def _numbers(values: Float[np.ndarray, "3"]) -> str:
    return " ".join(f"{number:.6f}" for number in values)
