"""Estimates as a refinement leaves them, for tests of what is written back."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from refine.estimate import Estimate
from refine.files.pickled import read_pickled
from refine.formats.find import read, write
from refine.geometry import rotation
from refine.state import State


def refined(estimate: Estimate, rows: Any = slice(None)) -> Estimate:
    """Root and a shoulder turned and the body moved, in some rows."""
    pose, translation = estimate.bodies.pose.clone(), estimate.bodies.translation.clone()
    pose[rows, 16] = pose[rows, 16] @ rotation.exp(torch.tensor([0.1, -0.2, 0.15]))
    pose[rows, 0] = pose[rows, 0] @ rotation.exp(torch.tensor([0.0, 0.1, 0.05]))
    translation[rows] *= torch.tensor([1.05, 0.95, 1.03])
    return replace(estimate, state=State(replace(estimate.bodies, pose=pose, translation=translation), estimate.camera))


def rewritten(path: Path, out: Path, **known: Any) -> tuple[Any, Any]:
    """A file's content, and that of the file written after refining."""
    write(refined(read(path, **known)), out)
    return read_pickled(path), read_pickled(out)
