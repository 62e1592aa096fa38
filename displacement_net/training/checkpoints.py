"""Checkpoints: everything a run needs to go on as if it had not stopped, in one file that is there whole or not at all.

checkpoint = shape of the network, its weights, their average, the optimiser's memory, steps and seconds so far
"""

import io
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch.optim import Optimizer

from displacement_net.model import DisplacementNet, Settings
from refine.errors import InputError
from refine.files.atomic import write_bytes
from refine.files.checkpoint import read_checkpoint

NAME = "checkpoint.pt"
"""Of the file in a run's folder; the newest replaces the one before."""
VERSION = 1
"""Of the file's layout; another is refused."""


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
        step: Steps taken.
        samples: Samples seen, over all processes.
        seconds: Time spent, over all sittings.
    """

    step: int = 0
    samples: int = 0
    seconds: float = 0.0


def save_checkpoint(
    folder: Path, network: DisplacementNet, average: DisplacementNet, optimizer: Optimizer, progress: Progress
) -> None:
    """Replace the folder's checkpoint.

    Args:
        folder: Of the run.
        network: As it is trained.
        average: As it will be used.
        optimizer: Of the network's parameters.
        progress: So far.
    """
    content = {
        "version": VERSION,
        "settings": asdict(network.settings),
        "network": network.state_dict(),
        "average": average.state_dict(),
        "optimizer": optimizer.state_dict(),
        "progress": asdict(progress),
    }
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_bytes(folder / NAME, buffer.getvalue())


def load_checkpoint(folder: Path, network: DisplacementNet, average: DisplacementNet, optimizer: Optimizer) -> Progress:
    """Put the folder's checkpoint into the run's parts, in place.

    Args:
        folder: Of the run.
        network: Of the shape the checkpoint holds.
        average: Likewise.
        optimizer: Of the network's parameters.

    Returns:
        How far the run was.

    Raises:
        InputError: There is no checkpoint, it is damaged, of another version, or of a network of another shape.
    """
    content = _read(folder / NAME)
    if content["settings"] != asdict(network.settings):
        raise InputError(
            "--resume",
            f"a checkpoint of {network.settings}",
            str(Settings(**content["settings"])),
            "Give the options the run was started with, or another folder.",
        )
    network.load_state_dict(content["network"])
    average.load_state_dict(content["average"])
    optimizer.load_state_dict(content["optimizer"])
    return Progress(**content["progress"])


def _read(path: Path) -> dict[str, Any]:
    """Return a checkpoint's content; only tensors and plain values are read from it, nothing is executed."""
    if not path.is_file():
        raise InputError("--resume", "a folder with a checkpoint", f"no file at {path}", "Start without --resume.")
    try:
        content = read_checkpoint(path)
    except InputError as error:
        raise InputError("--resume", "a checkpoint", f"{path.name}, which cannot be read") from error
    if not isinstance(content, dict) or content.get("version") != VERSION:
        raise InputError("--resume", f"a checkpoint of version {VERSION}", f"another file, {path.name}")
    return content
