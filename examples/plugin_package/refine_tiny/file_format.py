"""The regressor's result file: JSON, `{"tiny": 1, "side": S, "pose": [[72]], "betas": [[10]], "camera": [[3]]}`.

Camera: `refine_tiny.people`; the picture's side is stored. SMPL has no hand mean. Pixels count from the image's corner.

Source: this package's own `save`.
"""

import json
from pathlib import Path

import torch
from torch import Tensor

import refine
from refine.transfer import with_camera
from refine_tiny.people import from_estimate, to_estimate

KEYS = ("tiny", "side", "pose", "betas", "camera")
NUMBERS = ("pose", "betas", "camera")


def save(path: Path, output: dict[str, Tensor], side: int) -> None:
    """Write what the network returned."""
    numbers = {name: output[name].detach().tolist() for name in NUMBERS}
    path.write_text(json.dumps({"tiny": 1, "side": side} | numbers), encoding="utf-8")


def recognises(path: Path) -> bool:
    """Say whether a file is one, from its content; a file of another kind is no error here."""
    content = _content(path)
    return content is not None and set(content) >= set(KEYS)


def read(
    path: Path, body: object = None, camera: refine.Camera | None = None, sizes: Tensor | None = None
) -> refine.Estimate:
    """Read the people of a file."""
    content = _content(Path(path)) or {}
    try:
        pose, betas, weak = (torch.tensor(content[name], dtype=torch.float32) for name in NUMBERS)
        side = float(content["side"])
    except (KeyError, TypeError, ValueError) as error:
        raise refine.InputError(str(path), f"JSON with {', '.join(KEYS)}", str(error)) from error
    found = to_estimate("tiny", pose, betas, weak, side, body, arrays=content, path=Path(path))
    return found if camera is None else with_camera(found, camera)


def write(refined: refine.Estimate, path: Path) -> None:
    """Write refined people in the same layout; keys it does not know stay."""
    source = refined.source
    if source.format != "tiny":
        raise refine.InputError("refined.source", "an estimate read from tiny", source.format)
    content = dict(source.arrays)
    stored = (torch.tensor(content[name], dtype=torch.float32) for name in ("pose", "camera"))
    pose, camera = from_estimate(refined, *stored)
    content |= {"pose": pose.tolist(), "camera": camera.tolist()}
    Path(path).write_text(json.dumps(content), encoding="utf-8")


def _content(path: Path) -> dict[str, object] | None:
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None
