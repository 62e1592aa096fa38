"""Small displacement networks whose weights say something, and views for them."""

from dataclasses import replace

import torch

from displacement_net.model import DisplacementNet, Settings
from refine.body import SkinnedBody
from refine.photo import Photo
from refine.render.view import View, render_view
from tests.people import Case, case

PLAIN = Settings(widths=(8, 12, 16, 24), crop_px=64)
CORRELATING = replace(PLAIN, correlation_radius=2, correlation_features=8)
TEXTURED = replace(CORRELATING, texture_radius=3, texture_features=8)


def random_network(settings: Settings) -> DisplacementNet:
    torch.manual_seed(0)
    network = DisplacementNet(settings)
    torch.nn.init.normal_(network.head.weight, std=0.3)
    if settings.texture_radius:
        torch.nn.init.normal_(network.alike.fine.weight, std=0.03)
    for name, buffer in network.named_buffers():
        if name.endswith("running_var"):
            buffer.uniform_(0.5, 2.0)
    return network.eval().requires_grad_(False)


def seen(body: SkinnedBody, count: int = 2, crop_px: int = 64) -> tuple[Case, View]:
    people = case(body, count)
    noise = torch.randint(0, 255, (480, 400, 3), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    photos = [Photo(noise.numpy()) for _ in range(count)]
    return people, render_view(photos, people.estimate, crop_px=crop_px)
