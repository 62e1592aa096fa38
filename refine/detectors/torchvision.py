"""torchvision's keypoint R-CNN on the whole photo, from a file of weights: the caller's, or torch's own cache.

It finds the people itself, 17 points each; which of them the estimates are is decided afterwards.

Pixels: `refine.keypoints.formats.torchvision`.

Source: pytorch/vision v0.28 `torchvision/models/detection/keypoint_rcnn.py` (BSD-3-Clause).
"""

import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from refine.errors import InputError, MissingExtra
from refine.files.checkpoint import read_weights
from refine.keypoints.detections import DetectedPeople
from refine.keypoints.formats import Wanted

INSTALL = "pip install torchvision"

WEIGHTS = "keypointrcnn_resnet50_fpn_coco-fc266e95.pth"


def is_ready() -> bool:
    """Say whether torchvision is installed and the weights lie in torch's cache."""
    return find_spec("torchvision") is not None and _cached().is_file()


def load(model: str | Path | None) -> "KeypointRCNN":
    """Return the detector.

    Args:
        model: Weights of `keypointrcnn_resnet50_fpn` (`KeypointRCNN_ResNet50_FPN_Weights.COCO_V1`); None: those in
            torch's cache.

    Raises:
        MissingExtra: torchvision is not installed.
        InputError: The file is not there, or holds other weights.
    """
    if find_spec("torchvision") is None:
        raise MissingExtra("torchvision", "for the detector of that name", INSTALL)
    path = _cached() if model is None else Path(model)
    if not path.is_file():
        advice = (
            f"It is not downloaded here. Fetch {WEIGHTS} (226 MB, BSD-3-Clause; download.pytorch.org/models) into "
            f"{_cached().parent}, or name it: torchvision=MODEL. Needed beside it: {INSTALL}"
        )
        raise InputError("detector torchvision", "weights of keypoint R-CNN", f"{path}, which is no file", advice)
    return KeypointRCNN(path)


class KeypointRCNN:
    """Keypoint R-CNN on the whole photo."""

    name = "torchvision keypointrcnn_resnet50_fpn"

    def __init__(self, path: Path) -> None:
        from torchvision.models.detection import keypointrcnn_resnet50_fpn

        self._network = keypointrcnn_resnet50_fpn(weights=None, weights_backbone=None).eval()
        try:
            self._network.load_state_dict(read_weights(path))
        except (InputError, RuntimeError) as error:
            expected = "weights of keypointrcnn_resnet50_fpn (a state_dict)"
            raise InputError(f"detector torchvision: {path}", expected, str(error).splitlines()[0]) from error

    @torch.no_grad()
    def __call__(self, image: UInt8[np.ndarray, "H W 3"], boxes: Float[Tensor, "B 4"]) -> DetectedPeople:
        """Return all people found in the photo, coco17."""
        from refine.keypoints.formats import torchvision as layout

        pixels = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1).float() / 255
        with warnings.catch_warnings():  # of torch, about torchvision's own calls
            warnings.simplefilter("ignore")
            found: dict[str, Any] = self._network([pixels])[0]
        return layout.read([found], Wanted(self.name, None, image.shape[:2]))


def _cached() -> Path:
    """Return where torch's own functions put the weights they download."""
    return Path(torch.hub.get_dir()) / "checkpoints" / WEIGHTS
