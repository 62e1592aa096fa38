"""PyTorch3D's rasteriser, where it is installed.

PyTorch3D takes vertices projected into its own frame, x left, y up, the shorter side of the image from -1 to 1, z the
depth:

    x = (W - 2 u) / min(H, W),    y = (H - 2 v) / min(H, W),    (u, v) the pixel, corner convention

It cuts triangles at the near plane itself and numbers the faces of all bodies through. It works in single precision,
leaves out pixels whose centre lies exactly on an edge, and triangles below an area of 1e-8 in its frame (2e-4 px of a
256 px image). The contract tests passed against PyTorch3D 0.7.9, built from source for the CPU with torch 2.13.0.

Source: PyTorch3D 0.7.9, docs/notes/cameras.md (frames), `rasterize_meshes` (arguments).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from refine.errors import MissingExtra
from refine.geometry.camera import NEAR_M, Camera
from refine.render import Rasterizer

INSTALL = 'pip install --no-build-isolation "git+https://github.com/facebookresearch/pytorch3d.git@v0.7.9"'
"""PyTorch3D is not on the package registry; its install guide gives this command (a compiler is needed)."""

AT_CAMERA_M = 1e-9
"""Depth (m) of a vertex that lies in the camera's own plane, where no projection exists."""


@dataclass(frozen=True)
class PyTorch3DRasterizer:
    """Calls `rasterize_meshes` on projected vertices, on the device of the vertices (CPU or CUDA)."""

    def triangles(
        self, vertices: Float[Tensor, "B V 3"], faces: Int[Tensor, "F 3"], camera: Camera, height: int, width: int
    ) -> Int[Tensor, "B H W"]:
        """Return the visible triangle at each pixel (B, H, W), see `Rasterizer`.

        Raises:
            MissingExtra: PyTorch3D is not installed.
        """
        _require()
        from pytorch3d.renderer.mesh.rasterize_meshes import rasterize_meshes
        from pytorch3d.structures import Meshes

        bodies, count = len(vertices), len(faces)
        if not (bodies and count and height and width):
            return torch.full((bodies, height, width), -1, dtype=torch.int64, device=vertices.device)
        seen = vertices.detach().double()
        depth = seen[..., 2:]
        depth = torch.where(depth.abs() < AT_CAMERA_M, AT_CAMERA_M, depth)
        # Behind the camera the projection is mirrored; PyTorch3D multiplies by the depth again before it cuts.
        pixel = camera.focal.detach()[:, None] * seen[..., :2] / depth + camera.center.detach()[:, None]  # (B, V, 2) px
        frame = (pixel.new_tensor((width, height)) - 2 * pixel) / min(height, width)
        meshes = Meshes(torch.cat((frame, depth), -1).float(), faces.long().expand(bodies, -1, -1))
        packed, *_ = rasterize_meshes(
            meshes,
            image_size=(height, width),
            blur_radius=0.0,
            faces_per_pixel=1,
            # Binning is for CUDA only, and by default drops faces where a body is small in the picture.
            bin_size=None if vertices.is_cuda else 0,
            max_faces_per_bin=count,
            perspective_correct=True,
            cull_backfaces=False,
            z_clip_value=NEAR_M,
        )
        return torch.where(packed[..., 0] < 0, -1, packed[..., 0] % count)


def rasterizer() -> Rasterizer:
    """Return this file's rasteriser.

    Raises:
        MissingExtra: PyTorch3D is not installed.
    """
    _require()
    return PyTorch3DRasterizer()


def _require() -> None:
    """Raise MissingExtra where PyTorch3D cannot be imported."""
    try:
        import pytorch3d.renderer.mesh.rasterize_meshes  # noqa: F401
    except ImportError as absent:
        raise MissingExtra("pytorch3d", "for the rasteriser of that name", INSTALL) from absent
