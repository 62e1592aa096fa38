"""The regressor: a picture in, SMPL's pose, betas and a weak-perspective camera out; it knows the mean person alone."""

import math

import torch
from torch import Tensor, nn

JOINTS, BETAS = 24, 10


class TinyRegressor(nn.Module):
    """Three convolutions and a linear layer that starts at a person who stands upright and faces the camera."""

    def __init__(self) -> None:
        super().__init__()
        layers = [nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in ((3, 8), (8, 16), (16, 32))]
        self.features = nn.Sequential(
            *(part for layer in layers for part in (layer, nn.ReLU())), nn.AdaptiveAvgPool2d(1)
        )
        self.head = nn.Linear(32, 3 * JOINTS + BETAS + 3)
        with torch.no_grad():
            self.head.weight.mul_(0.05)
            self.head.bias.zero_()
            self.head.bias[0] = math.pi  # SMPL's y is up, the camera's is down
            self.head.bias[-3] = 0.9

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return `pose` (B, 72) rad, `betas` (B, 10), `camera` (B, 3): s, tx, ty with u = side/2 (s (X + tx) + 1)."""
        numbers = self.head(self.features(images).flatten(1))
        pose, betas, camera = numbers.split((3 * JOINTS, BETAS, 3), 1)
        return {"pose": pose, "betas": betas, "camera": camera}
