"""SMPLify-X's pickle of one person, `results/<image>/<id>.pkl`: SMPL-X without `transl`; the camera is moved.

    u = f x/z + W/2,   v = f y/z + H/2,   (x, y, z) = R X + t,
    R = camera_rotation (the identity: it is never fitted), t = camera_translation

so t (m) is SMPL's `transl` in the camera frame; a key `transl`, which PROX adds, is added to it. f is a setting
(`focal_length`, 5000 px) and stands in `conf.yaml` of the output folder, not in the pickle. Pixels count from the
image's corner.

Traps: with VPoser, as it is usually run, `body_pose` is its latent code (1, 32), which only VPoser's network can turn
into rotations. Hand poses are coefficients of the model's hand space (`use_pca`, 6 or 12) on the model's mean hand
(`flat_hand_mean: False` in all its configs).

Source: vchoutas/smplify-x@68f8536707 `smplifyx/fit_single_frame.py` lines 312-345 and 462-483, `smplifyx/camera.py`,
`smplifyx/main.py` lines 46-52, `smplifyx/cmd_parser.py`, `cfg_files/fit_smplx.yaml`.
"""

import re
from pathlib import Path

import numpy as np
import torch

from refine.body import SkinnedBody
from refine.body.smpl_joints import joint_slices
from refine.errors import InputError
from refine.estimate import Estimate, Source
from refine.files.pickled import write_pickle
from refine.formats import Sizes
from refine.formats._beside import beside
from refine.formats._given_sizes import needed_sizes
from refine.formats._own_source import own_source
from refine.formats._pickled_dict import holds, read_dict
from refine.formats._smpl_parts import kept, numbers, pose_of, put_pose, put_rows, put_shape
from refine.geometry.camera import Camera
from refine.geometry.focal import SPIN_FOCAL_PX
from refine.transfer import refined_source, to_body, with_camera

KEYS = ("camera_rotation", "camera_translation", "betas", "global_orient", "body_pose")
PROTOCOL = 2
VPOSER = 32
"""Length of VPoser's latent code."""

MODELS = {69: "smpl", 207: "smpl", 63: "smplx", 189: "smplx"}
"""By the numbers of `body_pose`; without a jaw it is SMPL-H."""

SAME_AXES = 1e-4
"""How far `camera_rotation` may be from the identity."""

MAX_CONF_BYTES = 2**20

ADVICE = "Run SMPLify-X again."


def recognises(path: Path) -> bool:
    """Say whether a file is SMPLify-X's: a dictionary with `camera_rotation`, `camera_translation` and a pose."""
    return holds(path, ("pickle",), KEYS)


def read(path: Path, body: SkinnedBody | None = None, camera: Camera | None = None, sizes: Sizes = None) -> Estimate:
    """Read SMPLify-X's result of one person.

    Raises:
        InputError: The file is broken, its pose is VPoser's code, or the photo's size is not known.
    """
    path, content = Path(path), read_dict(Path(path), KEYS, ADVICE)
    where = str(path)
    model = _model(where, content)
    turned = numbers(where, content, "camera_rotation", 1, 3, 3, advice=ADVICE, rows=False)
    if float(np.abs(turned[0] - np.eye(3)).max()) > SAME_AXES:
        advice = "SMPLify-X never turns its camera: turn global_orient instead."
        raise InputError(f"{where}: camera_rotation", "the identity", "another rotation", advice)
    size = needed_sizes(where, torch.zeros(1, dtype=torch.long), sizes, camera)
    focal, said = _focal(path)
    own = Camera(torch.full((1, 2), focal), size.flip(-1) / 2, size).checked()
    translation = numbers(where, content, "camera_translation", 1, 3, advice=ADVICE).astype(np.float64)
    if "transl" in content:
        translation = translation + numbers(where, content, "transl", 1, 3, advice=ADVICE)
    expression = (
        numbers(where, content, "expression", 1, None, advice=ADVICE) if "expression" in content else np.zeros((1, 0))
    )
    source = Source(
        format="smplifyx",
        model=model,
        pose=pose_of(where, content, _parts(content, model), model, 1),
        betas=torch.as_tensor(numbers(where, content, "betas", 1, None, advice=ADVICE), dtype=torch.float32),
        expression=torch.as_tensor(expression, dtype=torch.float32),
        translation=torch.as_tensor(translation, dtype=torch.float32),
        arrays=content | {"conf.yaml": focal},
        focal_rule=f"{focal:.0f} px, {said}",
        path=path,
        hand_mean="" if model == "smpl" else "mean",
        images=(path.parent.name,),
        persons=(path.stem,),
    )
    estimate = to_body(source, own, body)
    return estimate if camera is None else with_camera(estimate, camera)


def write(refined: Estimate, path: Path) -> None:
    """Write an estimate back as SMPLify-X's pickle.

    Rotations and `camera_translation` are refined, `betas` and `expression` on the model's own file too. Hands stored
    as coefficients stay, and so do unknown keys. A `pose_embedding` (PROX keeps VPoser's code beside the pose) is left
    out of a refined file, and `refine_note` says so.

    Raises:
        InputError: The estimate was read from another format.
    """
    source = own_source(refined, "smplifyx", "SMPLify-X")
    content = {name: value for name, value in source.arrays.items() if name != "conf.yaml"}
    size = refined.camera.size.detach().cpu().float()
    focal = torch.full((1, 2), float(np.asarray(source.arrays["conf.yaml"])))
    refined = with_camera(refined, Camera(focal, size.flip(-1) / 2, size))
    back = refined_source(refined)
    if bool(back.changed.any()):
        assert source.translation is not None
        stored = kept(content["camera_translation"])
        moved = back.translation.double() - source.translation.double()
        content |= put_pose(content, _parts(content, source.model), source.model, source.pose, back.pose)
        content |= {
            "camera_translation": put_rows(back.changed, torch.as_tensor(stored) + moved, stored),
            "betas": put_shape(refined, back.changed, kept(content["betas"])),
        }
        if "expression" in content:
            content["expression"] = put_shape(refined, back.changed, kept(content["expression"]), expression=True)
        note = ""
        if content.pop("pose_embedding", None) is not None:
            note = "Refined: rotations and translation are new; pose_embedding, the pose's old code, is left out."
        content |= beside(refined, back, note)
    write_pickle(Path(path), content, PROTOCOL)


def _model(where: str, content: dict[str, object]) -> str:
    """Return the body model by the pose's length, and refuse what only VPoser can read."""
    pose = numbers(where, content, "body_pose", *[None] * np.ndim(kept(content["body_pose"])), advice=ADVICE)
    if pose.size == VPOSER:
        advice = (
            "It is VPoser's code, and its network is not here. Decode it once where SMPLify-X runs, "
            'vposer.decode(torch.tensor(result["body_pose"]), output_type="aa").view(1, -1), and store that as '
            "body_pose; or run SMPLify-X with use_vposer: False."
        )
        raise InputError(f"{where}: body_pose", "63 (SMPL-X) or 69 (SMPL) numbers", f"{VPOSER} numbers", advice)
    if pose.size not in MODELS:
        raise InputError(f"{where}: body_pose", "63 (SMPL-X) or 69 (SMPL) numbers", f"{pose.size} numbers", ADVICE)
    model = MODELS[pose.size]
    return "smplh" if model == "smplx" and "jaw_pose" not in content else model


def _parts(content: dict[str, object], model: str) -> dict[str, str]:
    """Return the parts that hold rotations: hands of other lengths are coefficients."""
    names = joint_slices(model)
    return {name: name for name in names if "hand" not in name or np.size(kept(content.get(name, ()))) in (45, 135)}


def _focal(path: Path) -> tuple[float, str]:
    """Return the focal length (px) of the run and where it stands."""
    conf = path.parent.parent.parent / "conf.yaml"
    if conf.is_file() and conf.stat().st_size <= MAX_CONF_BYTES:
        found = re.search(r"^focal_length:\s*([0-9.eE+]+)\s*$", conf.read_text(errors="replace"), re.MULTILINE)
        try:
            focal = float(found[1]) if found else 0.0
        except ValueError:
            focal = 0.0
        if focal > 0:
            return focal, "focal_length of conf.yaml (SMPLify-X)"
    return SPIN_FOCAL_PX, "SMPLify-X's default; conf.yaml of the run, which could say another, is not two folders up"
