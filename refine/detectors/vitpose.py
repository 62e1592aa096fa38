"""ViTPose by transformers on each box, from a model's folder: the caller's, or the Hugging Face cache.

Pixels: `refine.keypoints.formats.huggingface`.

Source: transformers 5 `transformers/models/vitpose/modeling_vitpose.py`, `image_processing_vitpose.py` (Apache-2.0).
"""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from refine.errors import InputError, MissingExtra
from refine.keypoints.detections import Detections
from refine.keypoints.formats import Wanted

INSTALL = "pip install transformers"

MODEL = "usyd-community/vitpose-base-simple"

COCO_EXPERT = 0
"""ViTPose+ has experts for several sets of points; this one is COCO's."""


def is_ready() -> bool:
    """Say whether transformers is installed and `MODEL` lies in the Hugging Face cache."""
    return find_spec("transformers") is not None and _cached() is not None


def load(model: str | Path | None) -> "ViTPose":
    """Return the detector.

    Args:
        model: A folder that `save_pretrained` of model and image processor has written; None: `MODEL` in the cache.

    Raises:
        MissingExtra: transformers is not installed.
        InputError: There is no such folder, or it holds another model.
    """
    if find_spec("transformers") is None:
        raise MissingExtra("transformers", "for the detector vitpose", INSTALL)
    folder = _cached() if model is None else Path(model)
    if folder is None or not (folder / "config.json").is_file():
        got = "none in the Hugging Face cache" if folder is None else f"{folder}, which holds no config.json"
        advice = (
            f"It is not downloaded here. Fetch {MODEL} (340 MB, Apache-2.0) from huggingface.co into the cache "
            f"({_hub()}) or a folder, and name it: vitpose=FOLDER. Needed beside it: {INSTALL}"
        )
        raise InputError("detector vitpose", "a folder with a ViTPose model", got, advice)
    return ViTPose(folder)


class ViTPose:
    """ViTPose on each box."""

    def __init__(self, folder: Path) -> None:
        from transformers import AutoImageProcessor, VitPoseForPoseEstimation

        self.name = f"vitpose {folder.name}"
        try:
            self._prepare: Any = AutoImageProcessor.from_pretrained(folder, local_files_only=True)
            self._network: Any = VitPoseForPoseEstimation.from_pretrained(
                folder, local_files_only=True, use_safetensors=True
            ).eval()
        except Exception as error:  # transformers has no class of its own for what may be wrong with a folder
            expected = "a ViTPose model with its image processor"
            raise InputError(f"detector vitpose: {folder}", expected, str(error).splitlines()[0]) from error

    @torch.no_grad()
    def __call__(self, image: UInt8[np.ndarray, "H W 3"], boxes: Float[Tensor, "B 4"]) -> Detections:
        """Return the points of the person in each box."""
        from refine.keypoints.formats import huggingface as layout

        coco = torch.cat((boxes[:, :2], boxes[:, 2:] - boxes[:, :2]), 1).tolist()  # x, y, width, height
        given = self._prepare(np.ascontiguousarray(image), boxes=[coco], return_tensors="pt")
        if self._network.config.backbone_config.num_experts > 1:
            given["dataset_index"] = torch.full((len(boxes),), COCO_EXPERT)
        found = self._prepare.post_process_pose_estimation(self._network(**given), boxes=[coco])[0]
        people = layout.read(found, Wanted(self.name, None, image.shape[:2]))
        return Detections(people.name, people.pixel, people.confidence)


def _hub() -> Path:
    home = Path(os.getenv("HF_HOME") or Path(os.getenv("XDG_CACHE_HOME", "~/.cache")) / "huggingface")
    return Path(os.getenv("HF_HUB_CACHE") or home / "hub").expanduser()


def _cached() -> Path | None:
    """Return the newest snapshot of `MODEL` in the cache, None where there is none."""
    folders = (_hub() / f"models--{MODEL.replace('/', '--')}" / "snapshots").glob("*/config.json")
    return max((path.parent for path in folders), key=lambda path: path.stat().st_mtime, default=None)
