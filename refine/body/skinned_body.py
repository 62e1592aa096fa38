"""The skinned body: one class of which every model family is data.

    rest vertices   template + shape_basis @ shape + expression_basis @ expression + pose_basis @ vec(R_1.. - I)
    rest joints     joint_template + joint_basis @ shape + joint_expression_basis @ expression
    keypoint k      joint_weights[k] @ joints + barycentric[k] @ vertices[faces[triangle[k]]]

Rest joints are linear in shape, so a joint regressor is folded into `joint_template` and the joint bases when a file is
loaded.

Source: Loper et al., SMPL, ACM TOG 34(6), 2015, eq. 2-10; Pavlakos et al., Expressive Body Capture, CVPR 2019, sec.
3.1.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from refine.batch import in_one_line
from refine.body.anatomy import Anatomy, mirror_images, person
from refine.check import check_shape
from refine.errors import InputError
from refine.state import Bodies


@dataclass(frozen=True, eq=False)
class KeypointSet:
    """Named points of a body: means of joints, or points on its surface.

    Attributes:
        names: K names, in the order of the set's definition.
        joint_weights: (K, J) weight of each joint in the point; rows of zeros for points on the surface.
        triangle: (K,) the triangle of a surface point; 0 for a mean of joints.
        barycentric: (K, 3) its weights on that triangle's corners; zeros for a mean of joints.

    Raises:
        InputError: Shapes disagree.
    """

    names: tuple[str, ...]
    joint_weights: Float[Tensor, "K J"]
    triangle: Int[Tensor, "K"]
    barycentric: Float[Tensor, "K 3"]

    __repr__ = in_one_line

    @cached_property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """Left and right index of every point that has a mirror image."""
        both = enumerate(mirror_images(self.names))
        return tuple((own, image) for own, image in both if own != image and "left" in self.names[own].lower())

    def __post_init__(self) -> None:
        sizes = check_shape("keypoints.joint_weights", self.joint_weights, "K J", K=len(self.names))
        check_shape("keypoints.triangle", self.triangle, "K", K=sizes["K"])
        check_shape("keypoints.barycentric", self.barycentric, "K 3", K=sizes["K"])


@dataclass(frozen=True, eq=False)
class SkinnedBody:
    """A linear-blend-skinned body with a linear shape space. Frame at rest: x left, y up, z front; metres.

    Attributes:
        name: The model's name as a user knows it ("anny55", "smplx neutral").
        model: The family: "anny", "smpl", "smplh" or "smplx".
        template: (V, 3) m.
        shape_basis: (V, 3, S) m per unit coefficient.
        expression_basis: (V, 3, E) m per unit coefficient; E may be 0.
        pose_basis: (V, 3, 9 (J - 1)) m per unit of R - I, row-major, joints 1..J-1; or (V, 3, 0).
        joint_template: (J, 3) m.
        joint_basis: (J, 3, S) m per unit coefficient.
        joint_expression_basis: (J, 3, E) m per unit coefficient.
        parents: (J,) parent of each joint, -1 for the root, always smaller than the joint's own index.
        weight_joints: (V, K) the joints that move a vertex.
        weight_values: (V, K) their weights; each row sums to 1.
        faces: (F, 3) corners, counter-clockwise seen from outside.
        uv: (T, 2) texture coordinates, u right, v down from the texture's top-left corner, in 0..1; T may be 0.
        uv_faces: (F, 3) into uv, or (0, 3).
        joint_names: J names.
        keypoint_sets: By name ("coco17", "body25", ...).
        vertex_parts: (V,) index into part_names.
        part_names: Names of the body parts.
        vertex_colors: (V, 3) rest-pose coordinates scaled to 0..1: a colour no two vertices share.
        mean_pose: (J, 3) rad, added to stored axis-angle poses before use (SMPL-X hands without `flat_hand_mean`);
            zeros else.
        hand_basis: (2, C, 45) PCA of left and right hand axis-angle poses, or (2, 0, 45).
        gender: "neutral", "female" or "male".
        flat_hand_mean: Whether a zero hand pose means a flat hand.
        convention: Description of rest pose, frame and origin.
        provenance: Licence and origin, texts by key.
        given_anatomy: The anatomy in the body's file; None: a person's, by the joints' names (`anatomy`).

    Raises:
        InputError: Shapes disagree, or a joint's parent comes after it.
    """

    name: str
    model: str
    template: Float[Tensor, "V 3"]
    shape_basis: Float[Tensor, "V 3 S"]
    expression_basis: Float[Tensor, "V 3 E"]
    pose_basis: Float[Tensor, "V 3 D"]
    joint_template: Float[Tensor, "J 3"]
    joint_basis: Float[Tensor, "J 3 S"]
    joint_expression_basis: Float[Tensor, "J 3 E"]
    parents: Int[Tensor, "J"]
    weight_joints: Int[Tensor, "V K"]
    weight_values: Float[Tensor, "V K"]
    faces: Int[Tensor, "F 3"]
    uv: Float[Tensor, "T 2"]
    uv_faces: Int[Tensor, "G 3"]
    joint_names: tuple[str, ...]
    keypoint_sets: Mapping[str, KeypointSet]
    vertex_parts: Int[Tensor, "V"]
    part_names: tuple[str, ...]
    vertex_colors: Float[Tensor, "V 3"]
    mean_pose: Float[Tensor, "J 3"]
    hand_basis: Float[Tensor, "2 C 45"]
    gender: str = "neutral"
    flat_hand_mean: bool = True
    convention: str = ""
    provenance: Mapping[str, str] = field(default_factory=dict)
    given_anatomy: Anatomy | None = None

    def __repr__(self) -> str:
        counts = f"{len(self.template)} vertices, {len(self.joint_names)} joints, {self.shape_basis.shape[2]} of shape"
        return f"SkinnedBody({self.name!r}, {self.model}, {counts}, {self.expression_basis.shape[2]} of expression)"

    def __post_init__(self) -> None:
        sizes = check_shape("body.template", self.template, "V 3")
        sizes |= check_shape("body.shape_basis", self.shape_basis, "V 3 S", **sizes)
        sizes |= check_shape("body.expression_basis", self.expression_basis, "V 3 E", **sizes)
        sizes |= check_shape("body.joint_template", self.joint_template, "J 3", J=len(self.joint_names))
        check_shape("body.joint_basis", self.joint_basis, "J 3 S", **sizes)
        check_shape("body.joint_expression_basis", self.joint_expression_basis, "J 3 E", **sizes)
        check_shape("body.parents", self.parents, "J", **sizes)
        check_shape("body.weight_joints", self.weight_joints, "V K", **sizes)
        check_shape("body.weight_values", self.weight_values, "V K", K=self.weight_joints.shape[1], **sizes)
        check_shape("body.faces", self.faces, "F 3")
        if self.pose_basis.shape[2] not in (0, 9 * (sizes["J"] - 1)):
            raise InputError("body.pose_basis", f"{9 * (sizes['J'] - 1)} or 0 columns", f"{self.pose_basis.shape[2]}")
        if (
            bool((self.parents >= torch.arange(sizes["J"], device=self.parents.device)).any())
            or int(self.parents[0]) != -1
        ):
            raise InputError(
                "body.parents",
                "a tree whose parents come before their children, root first with -1",
                str(self.parents.tolist()),
            )

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> "SkinnedBody":
        """Return the same body on another device or in another floating-point type (indices keep theirs)."""

        def move(value: Tensor) -> Tensor:
            return value.to(device=device, dtype=dtype if value.is_floating_point() else None)

        changed: dict[str, object] = {
            f.name: move(value) for f in fields(self) if isinstance(value := getattr(self, f.name), Tensor)
        }
        changed["keypoint_sets"] = {
            name: KeypointSet(p.names, move(p.joint_weights), move(p.triangle), move(p.barycentric))
            for name, p in self.keypoint_sets.items()
        }
        return replace(self, **changed)  # type: ignore[arg-type]

    @cached_property
    def anatomy(self) -> Anatomy:
        """Core joints, limbs, mirrored joints and usual errors of this kind of body."""
        return self.given_anatomy or person(self.joint_names)

    @cached_property
    def usual_sigma_rad(self) -> Float[Tensor, "J"]:
        """(J,) rad per axis, float64: the standard deviation of a regressor's local rotations."""
        return torch.tensor(self.anatomy.usual_sigma_rad, dtype=torch.float64)

    @cached_property
    def parent_list(self) -> list[int]:
        """The parents as plain numbers, read off the device once."""
        return [int(parent) for parent in self.parents.tolist()]

    @cached_property
    def generations(self) -> tuple[tuple[Int[Tensor, "N"], Int[Tensor, "N"]], ...]:
        """Joints by their depth below the root: N indices of each depth, and their parents' places in the one above."""
        depth = [0] * len(self.parent_list)
        for joint, parent in enumerate(self.parent_list[1:], 1):
            depth[joint] = depth[parent] + 1
        device, found, above = self.parents.device, [], [0]
        for level in range(1, max(depth, default=0) + 1):
            own = [joint for joint, own_depth in enumerate(depth) if own_depth == level]
            places = [above.index(self.parent_list[joint]) for joint in own]
            found.append((torch.tensor(own, device=device), torch.tensor(places, device=device)))
            above = own
        return tuple(found)

    @cached_property
    def place_in_generations(self) -> Int[Tensor, "J"]:
        """(J,) where each joint stands when the root and all generations are put behind each other."""
        return torch.cat([self.parents.new_zeros(1), *(own for own, _ in self.generations)]).argsort()

    @cached_property
    def dense_weights(self) -> Float[Tensor, "V J"]:
        """(V, J) the skinning weights as a full matrix, for gathering rows of sampled points."""
        dense = self.template.new_zeros(len(self.template), len(self.joint_names))
        return dense.scatter_add(1, self.weight_joints, self.weight_values)

    @cached_property
    def descendants(self) -> Float[Tensor, "J J"]:
        """(J, J) one where the column's joint is the row's or one of its descendants, zero elsewhere."""
        below = torch.eye(len(self.parent_list))
        for joint in range(len(self.parent_list) - 1, 0, -1):
            below[self.parent_list[joint]] += below[joint]
        return below.to(self.template)

    def rest_bodies(self, count: int = 1) -> Bodies:
        """Return `count` bodies of mean shape in rest pose at the origin, on the model's device and of its dtype."""
        like = self.template
        return Bodies(
            torch.eye(3, dtype=like.dtype, device=like.device).expand(count, len(self.joint_names), 3, 3).contiguous(),
            like.new_zeros(count, self.shape_basis.shape[2]),
            like.new_zeros(count, self.expression_basis.shape[2]),
            like.new_zeros(count, 3),
        )

    def keypoint_set(self, name: str) -> KeypointSet:
        """Return a keypoint set by name.

        Args:
            name: A key of `keypoint_sets`.

        Raises:
            InputError: The body has no set of that name; the message lists those it has.
        """
        if name not in self.keypoint_sets:
            raise InputError("keypoint set", f"one of {', '.join(sorted(self.keypoint_sets))}", repr(name))
        return self.keypoint_sets[name]
