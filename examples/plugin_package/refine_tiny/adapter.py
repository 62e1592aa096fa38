"""The adapter: the network's output as an estimate and back; `refine.attach(model, "tiny")` finds it by entry point."""

import numpy as np
from torch import Tensor

import refine
from refine_tiny.people import from_estimate, to_estimate


def people(output: dict[str, Tensor]) -> int:
    """Return how many bodies an output holds."""
    return len(output["pose"])


def estimate(output: dict[str, Tensor], batch: dict[str, Tensor], *, body: object = None) -> refine.Estimate:
    """Turn the output for `batch["img"]` (B, 3, S, S) into an estimate."""
    side = batch["img"].shape[-1]
    return to_estimate(
        "tiny", *(output[name].detach().cpu().float() for name in ("pose", "betas", "camera")), side, body
    )


def refined_output(output: dict[str, Tensor], refined: refine.Estimate, *, model: object = None) -> dict[str, Tensor]:
    """Return the output with refined pose and camera."""
    pose, camera = from_estimate(refined, *(output[name].detach().cpu().float() for name in ("pose", "camera")))
    return output | {"pose": pose.to(output["pose"]), "camera": camera.to(output["camera"])}


def pictures(batch: dict[str, Tensor]) -> tuple[np.ndarray, ...]:
    """Return what the network was shown; it takes pictures in 0..1 as they are."""
    shown = (255 * batch["img"].detach().cpu().clamp(0, 1) + 0.5).byte().permute(0, 2, 3, 1)
    return tuple(picture.contiguous().numpy() for picture in shown)
