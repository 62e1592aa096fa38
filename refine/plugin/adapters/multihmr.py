"""Multi-HMR: `humans = model(x, is_training=False, K=K, ...)`, a dictionary a person, of one photo padded to a square.

    network:  f = K[0, 0] (S / (2 tan 30°)), c = (S//2, S//2), S = img_size;
              photo:  f max(W, H)/S,  c = (W/2, H/2);  the bodies do not move

SMPL-X: `rotvec` (53, 3) is the root, 21 body joints, 15 + 15 of the hands and the jaw, on a flat hand
(`flat_hand_mean=True`); eyes at rest. `v3d`, `j3d` (127, 3; the first 55 SMPL-X's own) and `transl_pelvis` (1, 3) are
in the camera frame. The traps: `transl` is where the *head* is, and SMPL-X's `transl` is not known without the model;
`loc` and `j2d` are pixels of the padded network image. Earlier versions name the last three `verts_smplx`, `j3d_smplx`,
`j2d_smplx`.

Source: naver/multi-hmr@651fb411e1 `demo.py` lines 30-70 and 325-360, `model.py` lines 285-345, `blocks/smpl_layer.py`,
`utils/camera.py`; earlier names: @35a906065e `model.py`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from refine.body import SkinnedBody
from refine.errors import InputError
from refine.estimate import Estimate, Source
from refine.estimate.pelvis import source_pelvis
from refine.geometry.camera import Camera
from refine.plugin.adapters._crops import pictures
from refine.plugin.adapters._tensors import matrices, plain, put_rotations, put_shape, rows_of, tensor
from refine.transfer import RefinedSource, refined_source, to_body, with_camera
from refine.transfer.carry import joints_after

Humans = Sequence[Mapping[str, Any]]

ORDER = (*range(22), 52, *range(22, 52))
"""Where SMPL-X's joints without the eyes stand in `rotvec`: body, jaw, hands."""

PLACES = (*range(23), *range(25, 55))
"""Where they stand in SMPL-X's own order."""

HEAD = 15
"""The joint `transl` and `loc` are of (`person_center='head'`)."""

NAMES = {"j3d": "j3d_smplx", "j2d": "j2d_smplx", "v3d": "verts_smplx"}
"""Today's names and the earlier ones."""

ADVICE = (
    "Give the model's call: img (1, 3, S, S) and K (1, 3, 3); and img_size, height and width of the photo, to come "
    "out in it."
)
NOTE = (
    "Refined: rotations, translations and joints are new; joints beyond SMPL-X's 55 move rigidly with the nearest of "
    "these. Vertices are left out: give the model to make them anew."
)

__all__ = ["estimate", "people", "pictures", "refined_output"]


def people(output: Humans) -> int:
    """Return how many bodies an output holds."""
    return len(output)


def estimate(output: Humans, batch: Mapping[str, Any], *, body: SkinnedBody | None = None) -> Estimate:
    """Turn the list of people into an estimate.

    Args:
        output: At least one person.
        batch: `img` (1, 3, S, S) and `K` (1, 3, 3), which the model was called with; `img_size`, height and width of
            the photo in px, without which the padded square is the photo.
        body: The model to put the estimate on.

    Raises:
        InputError: A tensor is missing, of another shape or not finite; nobody is in the list; the batch holds several
            photos.
    """
    if not output:
        raise InputError("multihmr: output", "at least one person", "none", "Nobody was found in this photo.")
    count = len(output)
    camera, box, side = _cameras(batch, count)
    rotvec = _stacked(output, "rotvec", 53, 3)
    pose = torch.eye(3).repeat(count, 55, 1, 1)
    pose[:, list(PLACES)] = matrices("multihmr", rotvec[:, list(ORDER)], "rotvec", count, 53)
    pixel = _stacked(output, _name(output, "j2d"), None, 2)
    source = Source(
        format="multihmr",
        model="smplx",
        pose=pose,
        betas=_stacked(output, "shape", None),
        expression=_stacked(output, "expression", None),
        joints=_stacked(output, _name(output, "j3d"), None, 3),
        vertices=_stacked(output, _name(output, "v3d"), None, 3) if _name(output, "v3d") in output[0] else None,
        keypoints_2d=pixel * (box[0, 2] / side) + box[0, :2],
        arrays={"box": box, "focal": camera.focal, "center": camera.center, "side": side},
        focal_rule=f"{float(camera.focal[0, 0]):.0f} px, from K (Multi-HMR: 60° across the longer side)",
        hand_mean="flat",
    )
    return to_body(source, camera, body)


def refined_output(output: Humans, refined: Estimate, *, model: nn.Module | None = None) -> list[dict[str, Any]]:
    """Put refined numbers into copies of the dictionaries.

    New: `rotvec`, `transl`, `transl_pelvis`, `loc`, `j3d`, `j2d` (and `shape`, `expression` on SMPL-X's own file).
    `v3d` is made by `model.smpl_layer`, and left out where no model is given.
    """
    source = refined.source
    focal, center, box = (torch.as_tensor(source.arrays[name]) for name in ("focal", "center", "box"))
    refined = with_camera(refined, Camera(focal, center, refined.camera.size.detach().cpu().float()))
    back = refined_source(refined)
    listed = _stacked(output, _name(output, "j3d"), None, 3)
    joints = joints_after(listed, refined, back) + (back.pelvis - source_pelvis(source)).double()[:, None]
    ratio = float(source.arrays["side"]) / float(box[0, 2])  # type: ignore[arg-type]
    network = Camera(focal * ratio, (center - box[:, :2]) * ratio, box[:, 2:] * ratio).to(dtype=torch.float64)
    pixel, seen = network.project(joints), _stacked(output, _name(output, "j2d"), None, 2).double()
    made = _vertices(output, refined, back, joints, model)
    people = []
    for row, person in enumerate(output):
        if not bool(back.changed[row]):
            people.append(dict(person))
            continue
        fresh = {
            "transl": person["transl"].detach().cpu().double() + (joints[row, HEAD] - listed[row, HEAD]),
            "transl_pelvis": joints[row, :1],
            "loc": person["loc"].detach().cpu().double() + (pixel[row, HEAD] - seen[row, HEAD]),
            _name(output, "j3d"): joints[row],
            _name(output, "j2d"): pixel[row],
        }
        result = dict(person) | {
            name: value.reshape(person[name].shape).to(person[name]) for name, value in fresh.items() if name in person
        }
        one = slice(row, row + 1)
        before, after = (pose[one, list(PLACES)][:, _inverse()] for pose in (source.pose, back.pose))
        result["rotvec"] = put_rotations(person["rotvec"][None], before, after)[0]
        alone = refined.rows([row])
        result["shape"] = put_shape(alone, back.changed[one], person["shape"][None])[0]
        result["expression"] = put_shape(alone, back.changed[one], person["expression"][None], expression=True)[0]
        name = _name(output, "v3d")
        if name in person and made is not None:
            result[name] = made[row].to(person[name])
        elif name in person:
            del result[name]
            result["refine_note"] = NOTE
        people.append(result)
    return people


def _vertices(
    output: Humans, refined: Estimate, back: RefinedSource, joints: Tensor, model: nn.Module | None
) -> Tensor | None:
    """Return the surface (B, V, 3) m that the model's own layer makes, at the refined pelvis; None without one."""
    layers = getattr(model, "smpl_layer", None)
    if not isinstance(layers, nn.ModuleDict) or not len(layers):
        return None
    layer = next(iter(layers.values()))
    like = next((part for part in (*layer.parameters(), *layer.buffers()) if part.is_floating_point()), back.pose)
    pose = torch.stack([person["rotvec"] for person in output]).to(like).clone()
    before, after = (turn[:, list(PLACES)][:, _inverse()] for turn in (refined.source.pose, back.pose))
    pose = put_rotations(pose, before, after)
    shape, face = (torch.stack([person[name] for person in output]).to(like) for name in ("shape", "expression"))
    shape, face = put_shape(refined, back.changed, shape), put_shape(refined, back.changed, face, expression=True)
    place = joints[:, HEAD].to(like)
    matrix = torch.eye(3).repeat(len(output), 1, 1).to(like)
    made = layer(pose, shape, None, None, place, matrix, expression=face)
    moved = joints[:, :1].to(like) - made["transl_pelvis"].reshape(-1, 1, 3)
    return (made["v3d" if "v3d" in made else "verts_smplx_cam"] + moved).detach()


def _inverse() -> list[int]:
    """Return the places that bring `ORDER` back into `rotvec`'s own order."""
    return [ORDER.index(place) for place in range(len(ORDER))]


def _name(output: Humans, name: str) -> str:
    """Return a name as this version of the model has it."""
    return name if name in output[0] else NAMES[name]


def _stacked(output: Humans, name: str, *shape: int | None) -> Tensor:
    """Return one entry of all people, (B, ...)."""
    return torch.stack([tensor("multihmr", person, name, *shape) for person in output])


def _cameras(batch: Mapping[str, Any], count: int) -> tuple[Camera, Tensor, float]:
    """Return the photo's cameras, the padded square in it (B, 4) px, and that square's side in the network's px."""
    shown = batch.get("img")
    if not isinstance(shown, Tensor) or shown.dim() != 4 or len(shown) != 1:
        got = f"shape {tuple(shown.shape)}" if isinstance(shown, Tensor) else "none"
        raise InputError(
            "multihmr: img",
            "one padded square photo (1, 3, S, S)",
            got,
            ADVICE + " The list does not say which photo a person is in.",
        )
    side = float(shown.shape[-1])
    matrix = plain("multihmr", batch.get("K"), "K", advice=ADVICE).reshape(-1, 9)[:1]
    size = (
        rows_of("multihmr", batch, "img_size", 1, 2)
        if batch.get("img_size") is not None
        else torch.tensor([[side, side]])
    )
    longer = size.amax(1, keepdim=True)
    corner = (size.flip(1) - longer) / 2  # of the padded square, in the photo
    ratio = longer / side
    camera = Camera(matrix[:, [0, 4]] * ratio, matrix[:, [2, 5]] * ratio + corner, size)
    box = torch.cat((corner, longer, longer), 1)
    index = torch.zeros(count, dtype=torch.long)
    return camera[index], box[index], side
