"""A person as the programs that draw and simulate take one: a mesh at rest, a skeleton, and how it moves.

    vertex(t) = Σ_j w_j [ G_j(t) (p - J_j) + X_j(t) ],   four joints a vertex
    p         = argmin Σ_t ‖vertex(t) - x(t)‖² + ε ‖p - p_0‖²

x are the vertices of the whole body, p_0 its rest vertices. Programs know neither pose correctives nor more than four
joints a vertex: of one moment p takes both up, so that the figure's vertices are the body's; over a clip it is the best
mesh there is, and `Figure.loss_m` says how far it is off.

Source: Magnenat-Thalmann et al., Joint-Dependent Local Deformations, Graphics Interface 1988 (skinning); Khronos, glTF
2.0 specification, sec. 3.7.3.3 (four joints a set).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from refine.batch import in_one_line
from refine.body import SkinnedBody, pose_body
from refine.errors import InputError
from refine.geometry.camera import Camera
from refine.state import Bodies, Tracks

INFLUENCES = 4
"""Joints that move a vertex, at most."""
HELD = 1e-3
"""ε for one frame: where the blended motion is all but flat (a twisted wrist), the rest vertex is kept. It moves other
vertices by less than a thousandth of what they were off."""
FRAMES_OF_MESH = 64
"""Frames, spread over the clip, that the mesh is found from: it has three unknowns a vertex."""
FRAMES_AT_ONCE = 8
"""Frames whose vertices are held at a time."""


@dataclass(frozen=True, eq=False)
class Figure:
    """One person with T moments.

    Attributes:
        name: Of the person.
        rows: (T,) the bodies it was made of, in the order of their times.
        time_s: (T,) s, from the clip's first frame.
        mesh: (V, 3) m, vertices at rest.
        pose: (T, J, 3, 3) local rotations.
        root: (T, 3) m, where the root joint is.
        skeleton: Joints at rest, and what they move.
        loss_m: (T,) m, largest distance of a vertex from the body's own.
    """

    name: str
    rows: Int[Tensor, "T"]
    time_s: Float[Tensor, "T"]
    mesh: Float[Tensor, "V 3"]
    pose: Float[Tensor, "T J 3 3"]
    root: Float[Tensor, "T 3"]
    skeleton: "Skeleton"
    loss_m: Float[Tensor, "T"]

    __repr__ = in_one_line


def figures(
    body: SkinnedBody,
    bodies: Bodies,
    tracks: Tracks | None = None,
    *,
    camera: Camera | None = None,
    names: Sequence[str] | None = None,
) -> tuple[Figure, ...]:
    """Return the people of some bodies, each with its shape averaged over its moments.

    They are in the bodies' frame, or where that is a world, in the frame of the first body's camera.

    Args:
        body: The model.
        bodies: B bodies; those that are not finite are left out.
        tracks: The person and the time of each; None: each body is a person of its own.
        camera: Where the bodies are in a world, their cameras; None: the bodies' frame is kept.
        names: B names; None: "person_1", ... in the order of `people_of`.

    Returns:
        The people in the order of their first bodies.

    Raises:
        InputError: Tracks or names are of another number, or a track has two bodies of one time.
    """
    count = len(bodies)
    if tracks is not None and len(tracks.person) != count:
        raise InputError("tracks", f"{count} rows, as many as bodies", str(len(tracks.person)))
    if names is not None and len(names) != count:
        raise InputError("names", f"{count} names", str(len(names)))
    person = people_of(tracks, count)
    time_s = torch.zeros(count, dtype=torch.float64) if tracks is None else tracks.time_s.cpu().double()
    if tracks is not None:
        tracks.windows(2)  # refuses two bodies of one time
    if camera is not None and camera.camera_from_world is not None and count:
        bodies = _seen_from(body, bodies, camera.camera_from_world[0])
    sound = pose_body(body, bodies).joints.isfinite().all(2).all(1).cpu() & bodies.shape.isfinite().all(1).cpu()
    first_s = time_s[sound].min() if bool(sound.any()) else 0.0
    found = []
    for number in dict.fromkeys(person[sound].tolist()):
        rows = ((person == number) & sound).nonzero()[:, 0]
        rows = rows[time_s[rows].argsort(stable=True)]
        name = names[int(rows[0])] if names else f"person_{number + 1}"
        found.append(_figure(name, body, bodies, rows, time_s - first_s))
    return tuple(found)


def people_of(tracks: Tracks | None, count: int) -> Int[Tensor, "B"]:
    """Return the person of each body, numbered in the order of their first bodies.

    Args:
        tracks: None: each body is a person of its own, as is one that is in no track.
        count: B.
    """
    if tracks is None:
        return torch.arange(count)
    labels = [label if label >= 0 else -row - 1 for row, label in enumerate(tracks.person.tolist())]
    order = {label: number for number, label in enumerate(dict.fromkeys(labels))}
    return torch.tensor([order[label] for label in labels], dtype=torch.long)


def _seen_from(body: SkinnedBody, bodies: Bodies, motion: Float[Tensor, "3 4"]) -> Bodies:
    """Return bodies in the frame of a camera."""
    turn, shift = motion[:, :3].to(bodies.pose), motion[:, 3].to(bodies.pose)
    pose = torch.cat((turn @ bodies.pose[:, :1], bodies.pose[:, 1:]), 1)
    pelvis = pose_body(body, bodies).joints[:, 0]
    return replace(bodies, pose=pose, translation=bodies.translation + pelvis @ turn.mT + shift - pelvis)


def _figure(name: str, body: SkinnedBody, bodies: Bodies, rows: Int[Tensor, "T"], time_s: Tensor) -> Figure:
    """Return one person."""
    own, body = bodies[rows.to(bodies.translation.device)].to("cpu", torch.float32), body.to("cpu", torch.float32)
    mean = Bodies(
        torch.eye(3).expand(1, own.pose.shape[1], 3, 3),
        own.shape.mean(0, keepdim=True), own.expression.mean(0, keepdim=True), torch.zeros(1, 3),
    )  # fmt: skip
    rest = pose_body(body, mean)
    skeleton = Skeleton(body.parents, rest.rest_joints[0], *strongest(body))
    root = pose_body(body, own).joints[:, 0]
    mesh = _best_mesh(body, own, skeleton, root, rest.vertices[0])
    loss = [
        (skeleton.skin(mesh, own.pose[some], root[some]) - _vertices(body, own[some])).norm(dim=2).amax(1)
        for some in torch.arange(len(own)).split(FRAMES_AT_ONCE)
    ]
    return Figure(name, rows, time_s[rows], mesh, own.pose, root, skeleton, torch.cat(loss))


def strongest(body: SkinnedBody) -> tuple[Int[Tensor, "V 4"], Float[Tensor, "V 4"]]:
    """Return the four joints that move each vertex most, and their weights scaled to a sum of one."""
    kept = min(INFLUENCES, body.weight_values.shape[1])
    value, slot = body.weight_values.topk(kept, dim=1)
    joint = body.weight_joints.gather(1, slot)
    if kept < INFLUENCES:
        more = (0, INFLUENCES - kept)
        value, joint = (torch.nn.functional.pad(each, more) for each in (value, joint))
    return joint, value / value.sum(1, keepdim=True)


@dataclass(frozen=True, eq=False)
class Skeleton:
    """Joints at rest and the weights by which they move vertices.

    Attributes:
        parents: (J,) parent of each joint, -1 for the root.
        joint: (J, 3) m, joints at rest.
        weight_joints: (V, 4) the joints that move a vertex.
        weight_values: (V, 4) their weights; each row sums to 1.
    """

    parents: Int[Tensor, "J"]
    joint: Float[Tensor, "J 3"]
    weight_joints: Int[Tensor, "V 4"]
    weight_values: Float[Tensor, "V 4"]

    def motion(self, pose: Float[Tensor, "T J 3 3"], root: Float[Tensor, "T 3"]) -> Float[Tensor, "T J 3 4"]:
        """Return what each joint does to a point at rest: rotation and offset, m."""
        turned, place = [pose[:, 0]], [root]
        for number, parent in enumerate(self.parents.tolist()[1:], start=1):
            turned.append(turned[parent] @ pose[:, number])
            place.append(place[parent] + turned[parent] @ (self.joint[number] - self.joint[parent]))
        rotation = torch.stack(turned, 1)
        offset = torch.stack(place, 1) - (rotation @ self.joint[..., None])[..., 0]
        return torch.cat((rotation, offset[..., None]), 3)

    @cached_property
    def dense_weights(self) -> Float[Tensor, "V J"]:
        """(V, J) the weight of every joint: one matrix product is faster than gathering what each joint does."""
        weights = self.joint.new_zeros(len(self.weight_joints), len(self.joint))
        return weights.scatter_add(1, self.weight_joints, self.weight_values)

    def blended(self, pose: Float[Tensor, "T J 3 3"], root: Float[Tensor, "T 3"]) -> Float[Tensor, "T V 3 4"]:
        """Return what the joints together do to each vertex."""
        return (self.dense_weights @ self.motion(pose, root).flatten(2)).unflatten(2, (3, 4))

    def skin(
        self, mesh: Float[Tensor, "V 3"], pose: Float[Tensor, "T J 3 3"], root: Float[Tensor, "T 3"]
    ) -> Float[Tensor, "T V 3"]:
        """Return the vertices at T moments, m."""
        blended = self.blended(pose, root)
        return (blended[..., :3] @ mesh[..., None])[..., 0] + blended[..., 3]


def _vertices(body: SkinnedBody, bodies: Bodies) -> Float[Tensor, "T V 3"]:
    """Return the whole body's vertices."""
    return pose_body(body, bodies).vertices_at(torch.arange(len(body.template)))


def _best_mesh(
    body: SkinnedBody, bodies: Bodies, skeleton: Skeleton, root: Tensor, rest: Float[Tensor, "V 3"]
) -> Float[Tensor, "V 3"]:
    """Return the vertices at rest that come nearest to the bodies' own at all moments."""
    held, count = HELD * torch.eye(3, dtype=torch.float64), min(len(bodies), FRAMES_OF_MESH)
    information, right = torch.zeros(len(rest), 3, 3, dtype=torch.float64), torch.zeros_like(rest, dtype=torch.float64)
    for some in torch.linspace(0, len(bodies) - 1, count).round().long().split(FRAMES_AT_ONCE):
        blended = skeleton.blended(bodies.pose[some], root[some])
        turn, off = blended[..., :3], _vertices(body, bodies[some]) - blended[..., 3]
        off = off - (turn @ rest[..., None])[..., 0]
        information += (turn.mT @ turn).sum(0)
        right += (turn.mT @ off[..., None]).sum(0)[..., 0]
    factor = torch.linalg.cholesky(information / count + held)
    return rest + torch.cholesky_solve((right / count)[..., None], factor)[..., 0].to(rest)
