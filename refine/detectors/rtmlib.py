"""RTMPose by rtmlib, from an ONNX file: the caller's, or what rtmlib's own use has left on this machine.

The network looks at each box (grown by its own 1.25); the number of its points says the set: 17 COCO, 26 Halpe (with
feet), 133 COCO-WholeBody, 136 Halpe's whole body.

Pixels: `refine.keypoints.formats.rtmlib`.

Source: Tau-J/rtmlib 0.0.16 (PyPI) `rtmlib/tools/pose_estimation/rtmpose.py`, `rtmlib/tools/file.py` (where downloads
lie); open-mmlab/mmpose `projects/rtmpose` (networks, Apache-2.0).
"""

import os
from contextlib import redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor

from refine.errors import InputError, MissingExtra
from refine.keypoints.detections import Detections
from refine.keypoints.formats import Wanted
from refine.keypoints.sets import BY_COUNT

INSTALL = "pip install --no-deps rtmlib; pip install onnxruntime tqdm"

MODELS = (
    "rtmpose-m_simcc-body7_pt-body7-halpe26_700e-256x192-4d3e73dd_20230605.onnx",
    "rtmpose-x_simcc-body7_pt-body7-halpe26_700e-384x288-7fb6e239_20230606.onnx",
    "rtmpose-s_simcc-body7_pt-body7-halpe26_700e-256x192-7f134165_20230605.onnx",
    "rtmpose-m_simcc-body7_pt-body7_420e-256x192-e48f03d0_20230504.onnx",
)
"""Files that rtmlib's `BodyWithFeet` and `Body` leave; the first that is there is taken."""


def is_ready() -> bool:
    """Say whether rtmlib is installed and one of `MODELS` lies where it puts its downloads."""
    return _installed() and _own() is not None


def load(model: str | Path | None) -> "RTMPose":
    """Return the detector.

    Args:
        model: An RTMPose as ONNX; None: one of `MODELS`, where rtmlib has left it.

    Raises:
        MissingExtra: rtmlib or onnxruntime is not installed.
        InputError: The file is not there, or is no RTMPose.
    """
    if not _installed():
        raise MissingExtra("rtmlib", "for the detector of that name", INSTALL)
    path = _own() if model is None else Path(model)
    if path is None or not path.is_file():
        got = f"{model}, which is no file" if model is not None else f"none in {_folder()}"
        advice = (
            f"RTMPose is not downloaded here. Fetch {MODELS[0].removesuffix('.onnx')}.zip (50 MB, Apache-2.0; "
            f"links: github.com/Tau-J/rtmlib), put its end2end.onnx into {_folder()} as {MODELS[0]}, or name it: "
            f"rtmlib=MODEL. Needed beside it: {INSTALL}"
        )
        raise InputError("detector rtmlib", "an ONNX file of RTMPose", got, advice)
    return RTMPose(path)


class RTMPose:
    """RTMPose on each box."""

    def __init__(self, path: Path) -> None:
        self.name = f"rtmlib {path.stem}"
        self._network = _opened(path)

    def __call__(self, image: UInt8[np.ndarray, "H W 3"], boxes: Float[Tensor, "B 4"]) -> Detections:
        """Return the points of the person in each box."""
        from refine.keypoints.formats.find import layout_of

        points, scores = self._network(np.ascontiguousarray(image[..., ::-1]), bboxes=boxes.tolist())
        content = (np.asarray(points, float), np.asarray(scores, float).clip(0, 1))
        people = layout_of(content, self.name).read(content, Wanted(self.name, None, image.shape[:2]))
        return Detections(people.name, people.pixel, people.confidence)


def _opened(path: Path) -> Any:
    """Return the network, told its input's size.

    Raises:
        InputError: It is no RTMPose.
    """
    import rtmlib

    expected = f"an ONNX file of RTMPose with {', '.join(map(str, sorted(BY_COUNT)))} points"
    try:
        with redirect_stdout(None):  # it says that it loads; standard output is for data
            network = rtmlib.RTMPose(str(path), backend="onnxruntime", device="cpu")
    except Exception as error:  # onnxruntime has a class of its own for each kind of broken file
        raise InputError(f"detector rtmlib: {path}", expected, str(error).splitlines()[0]) from error
    taken, given = network.session.get_inputs(), network.session.get_outputs()
    height, width = taken[0].shape[2:] if len(taken) == 1 and len(taken[0].shape) == 4 else (None, None)
    points = given[0].shape[1] if len(given) == 2 and len(given[0].shape) == 3 else None
    if not isinstance(height, int) or not isinstance(width, int) or points not in BY_COUNT:
        shapes = f"{[one.shape for one in taken]} to {[one.shape for one in given]}"
        raise InputError(f"detector rtmlib: {path}", expected, f"a network of {shapes}")
    network.model_input_size = (width, height)
    return network


def _installed() -> bool:
    return all(find_spec(name) is not None for name in ("rtmlib", "onnxruntime"))


def _folder() -> Path:
    """Return where rtmlib puts what its own functions download."""
    home = os.getenv("TORCH_HOME") or str(Path(os.getenv("XDG_CACHE_HOME", "~/.cache"), "rtmlib"))
    return Path(home).expanduser() / "hub" / "checkpoints"


def _own() -> Path | None:
    """Return the user's own download, None where there is none."""
    return next((path for path in (_folder() / name for name in MODELS) if path.is_file()), None)
