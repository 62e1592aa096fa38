"""A stand-in for the full base mesh: the built-in body and a tube for the skirt."""

import numpy as np
import torch

from displacement_net.training.training_body import (
    BASE_VERTICES,
    TrainingBody,
)
from displacement_net.training.wardrobe import SKIRT_HELPER
from refine.body import SkinnedBody


def stand_in(body: SkinnedBody) -> TrainingBody:
    """The built-in body's vertices and a tube where the skirt helper is."""
    template = torch.zeros(BASE_VERTICES, 3)
    basis, weights = torch.zeros(BASE_VERTICES, *body.shape_basis.shape[1:]), torch.zeros(BASE_VERTICES, 55)
    count = len(body.template)
    template[:count], basis[:count], weights[:count] = body.template, body.shape_basis, body.dense_weights
    height, angle = np.meshgrid(np.linspace(0.08, -0.8, 20), np.arange(36) * 2 * np.pi / 36, indexing="ij")
    tube = np.stack((0.2 * np.sin(angle), height, 0.2 * np.cos(angle)), -1).reshape(-1, 3)
    template[SKIRT_HELPER] = torch.from_numpy(tube).float()
    weights[:, 0] += (weights.sum(1) == 0).float()
    return TrainingBody(body, template, basis, weights, torch.arange(count))
