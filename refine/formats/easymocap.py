"""EasyMocap's JSON of one frame, `smpl/000000.json`: people turned and moved as a whole after they were posed.

    vertex = R(Rh) model(poses, shapes) + Th     so     pelvis = R(Rh) J_0(shapes) + Th,   transl = pelvis - J_0(shapes)

with the model's rest pelvis J_0: its origin is turned too, so Th is not SMPL's `transl`, which is the trap. The first
joint of `poses` is zero or missing, `Rh` is the root's rotation (where it is not zero both are composed). `poses` by
its length:

    69, 72     SMPL, without and with the root                             87
               SMPL-X: 22 joints, 6 + 6 coefficients of flat hands, jaw, eyes
    63 + handl, handr   SMPL-H, hands of 45 axis-angles or coefficients    156, 165
                        SMPL-H, SMPL-X in full (--write_smpl_full), hands absolute
    78         SMPL-H: 22 joints, 6 + 6 coefficients
               on the mean hand where SMPL-H has coefficients or handl, handr

J_0 follows from `shapes` on the model's own file; without it the mean body's is used (a centimetre or two off, times
the turn). Everything is in metres, in the world's frame of the calibration: give its camera, with `camera_from_world`
for several views; bodies are brought into the camera's frame here, and back on writing. Videos of one view have the
camera's frame as the world; without any camera the focal length is the one EasyMocap takes then, 1.2 min(H, W) px.
Pixels of that camera count from the image's corner, calibrated ones from pixel centres (`Camera.from_opencv`).
Coefficients of hands are not refined.

Source: zju3dv/EasyMocap@d2a0a2da31 `doc/02_output.md` (Attention), `easymocap/smplmodel/body_model.py` (forward,
extend_pose, convert_from_standard_smpl), `easymocap/bodymodel/smpl.py` lines 171-235 and 352-363,
`easymocap/bodymodel/smplx.py` SMPLHModel, `config/model/smplh.yml`, `easymocap/mytools/file_utils.py` write_smpl,
`myeasymocap/datasets/sv1p.py` lines 47-60 (focal length).
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from refine.body import SkinnedBody
from refine.errors import InputError
from refine.estimate import Estimate, Source, as_array
from refine.estimate.found import KEY
from refine.estimate.pelvis import REST_PELVIS_M
from refine.files.json_head import begins_with
from refine.files.pickled import read_json, write_json
from refine.formats import Sizes
from refine.formats._beside import beside
from refine.formats._easymocap_poses import ADVICE, coefficients_of, layout_of, like, pose_of, posed, rows_of
from refine.formats._given_sizes import needed_sizes
from refine.formats._own_source import own_source
from refine.formats._smpl_parts import put_shape
from refine.geometry import rotation
from refine.geometry.camera import Camera
from refine.transfer import refined_source, to_body, with_camera
from refine.transfer.source_body import own_body

CAMERA = ("focal", "center", "size", "camera_from_world", "distortion")
FOCAL_SHARE = 1.2
"""Focal length over the photo's shorter side where nobody calibrated (`sv1p.py`)."""

OVER_TIME = True
"""`persons` say who is who over the frames of a video, of which each file is one."""

ONE_FRAME = True


def recognises(path: Path) -> bool:
    """Say whether a file is EasyMocap's: a JSON list of people with `Rh`, `Th` and `poses`."""
    return begins_with(path, "[", ("Rh", "Th", "poses"))


def read(path: Path, body: SkinnedBody | None = None, camera: Camera | None = None, sizes: Sizes = None) -> Estimate:
    """Read the people of one frame.

    `camera` is the frame's, with `camera_from_world` where the calibration's world is not the camera's frame.

    Raises:
        InputError: The file is broken, neither camera nor photo is given, or the bodies lie behind the camera.
    """
    path = Path(path)
    where, content = str(path), read_json(path)
    people = _people(where, content)
    count, layout = len(people), layout_of(where, people)
    own = _given(where, count, camera, sizes)
    world, turn = _world(own), _turn(where, people)
    pose = pose_of(where, people, layout)
    pose[:, 0] = world[:, :, :3] @ turn @ pose[:, 0]
    place = torch.as_tensor(rows_of(where, people, "Th", 3), dtype=torch.float32)
    source = Source(
        format="easymocap",
        model=layout.model,
        pose=pose,
        betas=torch.as_tensor(rows_of(where, people, "shapes"), dtype=torch.float32),
        expression=torch.as_tensor(rows_of(where, people, "expression"), dtype=torch.float32)
        if all("expression" in person for person in people)
        else torch.zeros(count, 0),
        translation=torch.zeros(count, 3),
        arrays={"content": content, "camera": _stored(own)} | coefficients_of(where, people, layout),
        focal_rule=f"{float(own.focal[0].mean()):.0f} px, "
        + ("1.2 min(H, W) (EasyMocap without a calibration)" if camera is None else "the given camera's"),
        path=path,
        persons=tuple(str(person.get("id", "")) for person in people) if all("id" in one for one in people) else (),
        hand_mean=layout.hand_mean,
    )
    body = own_body(source) if body is None else body
    rest = _rest_pelvis(source.model, source.betas, body)
    pelvis = (world[:, :, :3] @ (turn @ rest[..., None] + place[..., None]))[..., 0] + world[:, :, 3]
    if bool((pelvis[:, 2] <= 0).any()) and not bool(
        (pelvis[:, 2] > 0).any()
    ):  # some: `refine.estimate.usable` leaves these out
        advice = "The file is in the world's frame of a calibration: give that view's camera, with camera_from_world."
        raise InputError(
            where, "people in front of the camera", f"one at z = {float(pelvis[:, 2].min()):.2f} m", advice
        )
    return to_body(replace(source, translation=pelvis - rest), replace(own, camera_from_world=None), body)


def write(refined: Estimate, path: Path) -> None:
    """Write an estimate back as EasyMocap's JSON.

    `Rh`, `Th` and the joints of `poses` are refined, `shapes` and `expression` on the model's own file too; hands
    stored as coefficients and unknown keys stay. People who did not change keep every number.

    Raises:
        InputError: The estimate was read from another format.
    """
    source = own_source(refined, "easymocap", "EasyMocap")
    where = str(source.path)
    content: Any = source.arrays["content"]
    kept: Any = source.arrays["camera"]
    camera = Camera(**{name: torch.as_tensor(kept[name]) for name in CAMERA if name in kept})
    refined = with_camera(refined, replace(camera, camera_from_world=None))
    back = refined_source(refined)
    if bool(back.changed.any()):
        people = _people(where, content)
        layout = layout_of(where, people)
        rows = [posed(*row, layout) for row in zip(people, source.pose, back.pose, strict=True)]
        world, stored = _world(camera), pose_of(where, people, layout)
        fresh = world[:, :, :3].mT @ back.pose[:, 0] @ stored[:, 0].mT
        rooted = (back.pose[:, 0] != source.pose[:, 0]).flatten(1).any(1)
        turn = torch.where(rooted[:, None, None], fresh, _turn(where, people))
        same = refined.body.model == source.model
        pelvis = refined.joints[:, 0].detach().cpu().float() if same else back.pelvis
        rest = _rest_pelvis(source.model, refined.bodies.shape.detach().cpu().float(), refined.body)
        place = (world[:, :, :3].mT @ (pelvis - world[:, :, 3])[..., None] - turn @ rest[..., None])[..., 0]
        for name, values, new in (("Rh", rotation.log(turn), rooted), ("Th", place, back.changed)):
            rows = [row | {name: like(row[name], values[n])} if new[n] else row for n, row in enumerate(rows)]
        for name, expression in (("shapes", False), ("expression", True)):
            if same and name in people[0]:
                own = rows_of(where, people, name)
                now = put_shape(refined, back.changed, own, expression=expression)
                rows = [
                    row | {name: like(row[name], now[n])} if (now != own)[n].any() else row
                    for n, row in enumerate(rows)
                ]
        extra = beside(refined, back)
        lines = extra.pop(KEY, None)
        rows = [row | extra | ({KEY: lines[n]} if isinstance(lines, list) else {}) for n, row in enumerate(rows)]
        content = rows
    write_json(Path(path), content, indent=4)


def _people(where: str, content: object) -> list[dict[str, Any]]:
    """Return the file's people."""
    if not isinstance(content, list) or not content or not all(isinstance(person, dict) for person in content):
        raise InputError(where, "a JSON list of people", "something else", ADVICE)
    return content


def _turn(where: str, people: list[dict[str, Any]]) -> Float[Tensor, "B 3 3"]:
    return rotation.exp(torch.as_tensor(rows_of(where, people, "Rh", 3), dtype=torch.float32))


def _rest_pelvis(model: str, shape: Float[Tensor, "B S"], body: SkinnedBody) -> Float[Tensor, "B 3"]:
    """Return the model's rest pelvis (B, 3) m: of these shapes on the model's own file, else the mean body's."""
    if body.model != model:
        return torch.tensor(REST_PELVIS_M[model]).expand(len(shape), 3)
    width = min(shape.shape[1], body.joint_basis.shape[2])
    basis, template = body.joint_basis[0, :, :width].cpu().float(), body.joint_template[0].cpu().float()
    return template + shape[:, :width] @ basis.mT


def _world(camera: Camera) -> Float[Tensor, "B 3 4"]:
    """Return the cameras' place in the world; without one the world is the camera's frame."""
    given = camera.camera_from_world
    return torch.eye(4)[:3].expand(len(camera), 3, 4) if given is None else given.detach().cpu().float()


def _stored(camera: Camera) -> dict[str, np.ndarray]:
    """Return a camera as numbers, which a saved result keeps."""
    parts = {name: getattr(camera, name) for name in CAMERA}
    return {name: as_array(value) for name, value in parts.items() if value is not None}


def _given(where: str, count: int, camera: Camera | None, sizes: Float[Tensor, "I 2"] | None) -> Camera:
    """Return the caller's camera for each body, or EasyMocap's own guess from the photo's size."""
    if camera is not None:
        return camera[torch.zeros(count, dtype=torch.long)] if len(camera) == 1 else camera
    size = needed_sizes(where, torch.zeros(count, dtype=torch.long), sizes, None)
    return Camera(FOCAL_SHARE * size.amin(1, keepdim=True).expand(-1, 2), size.flip(-1) / 2, size)
