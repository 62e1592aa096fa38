"""Motion data as poses of the 21 joints of trunk and limbs: AMASS's files, and recordings put together in one file.

    AMASS      poses (T, 66 or more) axis-angle, the root first;  mocap_framerate or mocap_frame_rate, 1/s;
               a file is a recording
    together   pose (F, 22, 3) axis-angle, the root first;  sequence (F,) index into names;  fps

Both are in SMPL's frame (x left, y up, z front) and order of joints, which is the built-in body's too; the root is left
out.

Source: Mahmood et al., AMASS, 2019, and the layout on amass.is.tue.mpg.de (SMPL-H: 156 numbers a frame, SMPL-X: 165).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from priors.joint_limits import JointLimits
from priors.prior_file import TRUNK_AND_LIMBS
from refine.errors import InputError
from refine.geometry import rotation

JOINTS = len(TRUNK_AND_LIMBS)
WIDTH = 3 * JOINTS
"""Numbers of a pose."""
FRAME_RATES = ("mocap_framerate", "mocap_frame_rate", "fps")
"""Names the frame rate goes by: AMASS's two, and that of recordings put together."""
TRANSLATIONS = ("trans", "translation")
"""Names of where the root is: AMASS's, and that of recordings put together."""
IMPOSSIBLE_DEG = 30.0
"""A frame with a joint this far beyond its anatomical range (`priors.joint_ranges`) is a fault of the recording: ankles
and wrists turned round where a marker was lost. Such frames are left out."""

Poses = NDArray[np.float32]


@dataclass(frozen=True)
class Recording:
    """One recording, thinned out.

    Attributes:
        name: By which it is held out or not.
        pose: (N, 63) rad, the shortest axis-angle of each joint.
        impossible: Frames left out because a joint is far beyond its range, or not finite.
    """

    name: str
    pose: Poses
    impossible: int


def motion_files(source: Path) -> list[Path]:
    """Return the .npz files of a folder and the folders in it, in order of their names, or the file given.

    Raises:
        InputError: There is no such folder or file, or no .npz in it.
    """
    found = sorted(source.rglob("*.npz")) if source.is_dir() else [source] * source.is_file()
    if not found:
        wanted = "a folder with AMASS's .npz files, or one file with recordings put together"
        raise InputError("motion", wanted, f"nothing of the kind at {source}")
    return found


@dataclass(frozen=True, eq=False)
class Stored:
    """One recording as its file holds it.

    Attributes:
        name: The recording's.
        rate: Frames a second.
        pose: (T, W) axis-angle, rad, the root first.
        translation: (T, 3) m, or None where the file has none.
    """

    name: str
    rate: float
    pose: NDArray[np.floating[Any]]
    translation: NDArray[np.floating[Any]] | None


def stored_motion(path: Path, name: str) -> list[Stored]:
    """Read a file's recordings with all their frames.

    Args:
        path: The file.
        name: The recording's, where the file is one.

    Raises:
        InputError: It is no motion file.
    """
    try:
        # Opened here: numpy leaves its own file open where the archive is damaged.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            rate = next((float(stored[key]) for key in FRAME_RATES if key in stored.files), 0.0)
            place = next((np.asarray(stored[key]) for key in TRANSLATIONS if key in stored.files), None)
            if "poses" in stored.files:
                parts = [(name, np.asarray(stored["poses"]), place)]
            elif {"pose", "sequence", "names"} <= set(stored.files):
                pose, sequence = np.asarray(stored["pose"]), np.asarray(stored["sequence"])
                pose = pose.reshape(len(pose), -1)
                parts = [
                    (str(each), pose[sequence == index], None if place is None else place[sequence == index])
                    for index, each in enumerate(stored["names"])
                ]
            else:
                held = ", ".join(stored.files[:8])
                raise InputError(path.name, "a motion file (poses, or pose, sequence and names)", f"one with {held}")
    except (OSError, EOFError, ValueError, TypeError, KeyError, IndexError) as error:
        if isinstance(error, InputError):
            raise
        first = (str(error) or type(error).__name__).splitlines()[0][:120]
        raise InputError(path.name, "an .npz of arrays", first) from error
    except Exception as error:  # zipfile's and zlib's own types, for archives that are damaged inside
        raise InputError(path.name, "an .npz of arrays", f"{type(error).__name__}: {str(error)[:120]}") from error
    if not rate > 0 or not np.isfinite(rate):
        raise InputError(path.name, f"a frame rate ({' or '.join(FRAME_RATES)})", f"{rate:g}")
    for _, pose, _ in parts:
        if pose.ndim != 2 or pose.shape[1] < 3 + WIDTH or pose.dtype.kind != "f":
            got = f"shape {pose.shape} of {pose.dtype}"
            raise InputError(f"{path.name}: poses", f"numbers (T, {3 + WIDTH} or more), the root first", got)
    return [Stored(each, rate, pose, there) for each, pose, there in parts]


def read_motion(path: Path, name: str, per_second: float) -> Iterator[Recording]:
    """Read a file's recordings, one after the other.

    Args:
        path: The file.
        name: The recording's, where the file is one.
        per_second: Frames to keep of every second.

    Raises:
        InputError: It is no motion file.
    """
    for each in stored_motion(path, name):
        stride = max(1, round(each.rate / per_second))
        yield _thinned(each.name, each.pose[::stride, 3 : 3 + WIDTH].astype(np.float64))


def _thinned(name: str, pose: NDArray[np.float64]) -> Recording:
    """Leave out frames that cannot be, and take each joint's shortest axis-angle."""
    finite = pose[np.isfinite(pose).all(1)]
    turned = rotation.exp(torch.from_numpy(finite).reshape(-1, JOINTS, 3))
    beyond = JointLimits().violations(turned, TRUNK_AND_LIMBS).rad2deg()
    possible = (beyond <= IMPOSSIBLE_DEG).all(1)
    kept = rotation.log(turned[possible]).flatten(1).numpy().astype(np.float32)
    return Recording(name, kept, len(pose) - len(kept))
