"""Dense evidence: a stand-in for the displacement network that knows the truth and errs as the network was measured.

    offset(pixel) = keep true + error,
                    true = crop_from_photo( project(the surface point the pixel's estimate shows, as it is) ) - pixel

Seen is what the photo shows: in front of the camera, inside photo and crop, not behind the own body; the stand-in is
wrong about that as often as the network is. `Refiner` asks it about every rendering. Errors lie still in the crop while
the body moves through them.

Source: `refine.evaluate.harm.noise`; `refine.evaluate.truth` (what can be seen).
"""

from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from displacement_net.displacement import Displacement
from refine.body import SkinnedBody
from refine.evaluate.errors import REFERENCE_PX
from refine.evaluate.harm.noise import Family, heavy, measured, normal_fields
from refine.evaluate.truth import true_displacement
from refine.geometry.camera import Camera
from refine.render.rasterize import default_rasterizer, rasterize
from refine.render.view import View

CLOTH_M = (0.01, 0.03)
"""How far cloth stands off the skin, along the surface's normal."""
BARE = ("head", "left_hand", "right_hand", "left_fingers", "right_fingers", "left_eye", "right_eye", "neck")
"""Parts without clothes."""
FIELDS = 6
"""Two for the errors, one for their scale, two for the stated sigmas, one for what is said to be seen."""


@dataclass(frozen=True, eq=False)
class DenseEvidence:
    """A `refine.refiner.Displacer`; whose body a row of a view is, its photo's number says.

    Attributes:
        body: The model.
        vertices: (B, V, 3) m, who is in the photos, camera frame.
        seen_at: (B, V, 3) m, where their surface is taken to be (outside it, under clothes).
        camera: B cameras the photos were taken by.
        hidden: (B, parts) parts nobody sees, or None.
        family: Of the errors; "normal" ones are as large as stated, without bias and right about what is visible.
        seed: Of the errors: the first body's.
    """

    body: SkinnedBody
    vertices: Float[Tensor, "B V 3"]
    seen_at: Float[Tensor, "B V 3"]
    camera: Camera
    hidden: Bool[Tensor, "B parts"] | None
    family: Family
    seed: int
    _drawn: dict[int, Tensor] = field(default_factory=dict, init=False, repr=False, compare=False)

    def displace(self, view: View) -> Displacement:
        """Return offsets (B, S, S, 2) in px of the crops with the square root of their information in 1/px."""
        who = view.estimate.image_index
        fragments, size = view.fragments, view.crop.side
        rendered = fragments.triangle >= 0
        offset, visible = self._truth(view, who)
        noise, exact = measured(), self.family == "normal"
        joints = view.camera.project(view.estimate.joints)
        axes = limb_axes(self.body, fragments.triangle, joints)  # (B, S, S, 2, 2) rows: along, across
        true = (axes @ offset[..., None])[..., 0]
        ratio = REFERENCE_PX / size
        length = offset.norm(dim=-1) * ratio  # px of 256
        fields = self._fields(size)[who].to(offset)
        white = torch.stack(
            [heavy(fields[:, n], fields[:, 2], self.family, noise.dof) for n in (0, 1)], -1
        )  # (B, S, S, 2)
        typical = noise.at(noise.typical_px, length) / ratio  # px of the crop
        sigma = typical * torch.exp(noise.spread * fields[:, 3:5].permute(0, 2, 3, 1))
        error = sigma * white
        said = visible
        if not exact:
            error = error * noise.at(noise.ratio, length) - (1 - noise.at(noise.keep, length)) * true
            error = torch.where(visible[..., None], error, noise.hidden_ratio * error)
            said = _below(fields[:, 5], torch.where(visible, noise.seen_said, noise.hidden_said))
        said = said & rendered
        sigma = sigma.clamp(min=1e-3)
        spoken = ((true + error)[..., None, :] @ axes)[..., 0, :]
        root = root_of(axes, sigma)
        return Displacement(torch.where(said[..., None], spoken, 0.0), torch.where(said[..., None, None], root, 0.0))

    def _fields(self, size: int) -> Tensor:
        """Return the normal fields (B, 6, S, S) of everybody, drawn at the first round and remembered."""
        if size not in self._drawn:
            seeds = tuple(self.seed + index for index in range(len(self.vertices)))
            self._drawn[size] = normal_fields(seeds, FIELDS, size, measured())
        return self._drawn[size]

    def _truth(self, view: View, who: Int[Tensor, "B"]) -> tuple[Tensor, Tensor]:
        """Return the true offsets (B, S, S, 2) px and which points (B, S, S) can be seen."""
        body, crop, size = self.body, view.crop, view.crop.side
        camera = crop.camera(self.camera[who])
        shown = rasterize(default_rasterizer(), self.vertices[who], body.faces, camera, size, size)
        nobody = torch.full_like(shown.depth, torch.inf)
        truth = true_displacement(
            body, self.seen_at[who], camera, view.fragments, crop, self.camera.size[who], shown.depth, nobody,
            0 * nobody.nan_to_num(posinf=0),
        )  # fmt: skip
        visible = truth.visible
        if self.hidden is not None:
            part = body.vertex_parts[body.faces[view.fragments.triangle.clamp(min=0).long(), 0]]  # (B, S, S)
            gone = self.hidden[who].gather(1, part.flatten(1)).reshape(part.shape)
            visible = visible & ~gone
        return truth.offset, visible


def clothed(
    body: SkinnedBody, vertices: Float[Tensor, "B V 3"], normals: Float[Tensor, "B V 3"], seed: int
) -> Float[Tensor, "B V 3"]:
    """Return the surface of clothes: one distance from the skin for every part of a body.

    Args:
        body: The model.
        vertices: (B, V, 3) m.
        normals: (B, V, 3).
        seed: The first body's.
    """
    drawn = torch.stack(
        [
            torch.rand(len(body.part_names), generator=torch.Generator().manual_seed(97 * (seed + index) + 5))
            for index in range(len(vertices))
        ]
    )
    far = CLOTH_M[0] + (CLOTH_M[1] - CLOTH_M[0]) * drawn
    far = far * torch.tensor([float(name not in BARE) for name in body.part_names])
    return vertices + far.to(vertices)[:, body.vertex_parts][..., None] * normals


def limb_axes(
    body: SkinnedBody, triangle: Int[Tensor, "B S S"], joints: Float[Tensor, "B J 2"]
) -> Float[Tensor, "B S S 2 2"]:
    """Return for every pixel the direction of its limb in the crop, and the one across: rows of a rotation.

    Args:
        body: The model.
        triangle: (B, S, S) what the crops' pixels see, -1 for nothing.
        joints: (B, J, 2) px of the crops.
    """
    joint = body.weight_joints.gather(1, body.weight_values.argmax(1, keepdim=True))[:, 0]  # (V,)
    pixel_joint = joint[body.faces[triangle.clamp(min=0).long(), 0]]  # (B, S, S)
    bone = torch.nn.functional.normalize(joints[:, bone_ends(body)] - joints[:, bone_starts(body)], dim=-1)
    straight = bone.norm(dim=-1, keepdim=True) > 0.5  # bones along the view have no direction
    bone = torch.where(straight, bone, bone.new_tensor((0.0, 1.0)))
    rows = torch.arange(len(bone))[:, None]
    along = bone[rows, pixel_joint.flatten(1)].reshape(*pixel_joint.shape, 2)
    across = torch.stack((-along[..., 1], along[..., 0]), -1)
    return torch.stack((along, across), -2)


def bone_starts(body: SkinnedBody) -> Int[Tensor, "J"]:
    """Return the joint each joint's bone begins at: its own, or its parent's at the end of a chain."""
    parents = body.parent_list
    return torch.tensor([joint if joint in parents[1:] else parents[joint] for joint in range(len(parents))])


def bone_ends(body: SkinnedBody) -> Int[Tensor, "J"]:
    """Return the joint each joint's bone leads to: its first child, or itself at the end of a chain."""
    parents = body.parent_list
    return torch.tensor([parents.index(joint, 1) if joint in parents[1:] else joint for joint in range(len(parents))])


def root_of(axes: Float[Tensor, "*N 2 2"], sigma: Float[Tensor, "*N 2"]) -> Float[Tensor, "*N 2 2"]:
    """Return the lower triangular L with Lᵀ L = axesᵀ diag(1 / sigma²) axes."""
    information = axes.mT @ (axes / sigma.square()[..., None])
    b = information[..., 1, 1].clamp(min=1e-30).sqrt()
    c = information[..., 0, 1] / b
    a = (information[..., 0, 0] - c * c).clamp(min=1e-30).sqrt()
    zero = torch.zeros_like(a)
    return torch.stack((torch.stack((a, zero), -1), torch.stack((c, b), -1)), -2)


def _below(z: Tensor, share: Tensor) -> Tensor:
    """Say where a normal field lies below its quantile: true for that share of places, in patches."""
    return z < torch.special.ndtri(share.double()).to(z)
