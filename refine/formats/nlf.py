"""NLF's dictionary of `detect_smpl_batched`, saved: SMPL or SMPL-X of some images, joints in mm, no lens.

    joints3d = 1000 (pose, betas, trans)  mm;      joints2d = f (X / Z, Y / Z) + c  px of the image;
    f, c by least squares over all points
    (u - c) Z = f X  for both axes:   [X, Z, 0; Y, 0, Z] (f, c_x, c_y) = (u Z, v Z)

Values are a list of one (people, ...) a image, one array of one image's people, or (images, people, ...). The camera is
what the call was given; its default is 55° across the longer side, which stands in where the file has no `joints2d`
(the photo's size must be given then). Where the points do not project so, the call had extrinsics or distortion, and
the file is refused: joints are in a world then. Whether joints are m or mm, the rotations tell by the skeleton's size.
`trans` lacks the people's place in some releases (fixed in 0.2.2): joints say the place. Rotations are axis-angle, of
SMPL-X with a flat hand (whole rotations). Pixels count from the image's corner (c = half the image).

Source: isarandi/nlf@6f7ba6d `demo.ipynb` (names), as in its releases' `nlf/pt/multiperson/multiperson_model.py`
(`_estimate_parametric_batched`: units, trans; `detect_parametric_batched`: default_fov_degrees=55), isarandi/smplfitter
(`pose_rotvecs`: whole rotations). Source only, never held against a real file.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from refine.body import SkinnedBody
from refine.errors import InputError
from refine.estimate import Estimate, Source
from refine.estimate.nobody import Nobody
from refine.estimate.pelvis import source_pelvis
from refine.files.npz import member_names
from refine.files.pickled import kind
from refine.formats import Sizes
from refine.formats._beside import beside
from refine.formats._given_sizes import needed_sizes, photo_sizes
from refine.formats._image_rows import ImageRows
from refine.formats._intrinsics import camera_of
from refine.formats._own_source import own_source
from refine.formats._parameter_file import file_content, write_content
from refine.formats._smpl_parts import kept, put_rotations, put_rows, put_shape, rotations
from refine.geometry.camera import Camera
from refine.geometry.focal import RULES, camera_from_rule
from refine.transfer import refined_source, to_body, with_camera
from refine.transfer.carry import joints_after
from refine.transfer.joint_orders import posed_points

KEYS = frozenset({"pose", "betas", "trans", "joints3d"})
TELLING = frozenset({"vertices3d", "joints2d", "joints3d_nonparam", "joint_uncertainties"})
"""One of these stands beside."""

OTHERS = frozenset({"orig_cam", "frame_ids", "bboxes", "cam_R", "Rh"})
"""Names of systems that have those too."""

DERIVED = frozenset(
    {"vertices3d", "vertices2d", "vertices3d_nonparam", "joints3d_nonparam", "vertices2d_nonparam", "joints2d_nonparam"}
)
"""The surface, and what the network saw before the body was fitted to it: left out of a refined file."""

JOINTS = {72: ("smpl", 24), 165: ("smplx", 55)}
"""Model and joints by the numbers of a pose."""

UNITS = {"mm": 1e-3, "m": 1.0}
HEIGHTS = (0.5, 2.0)
"""Size of the stored skeleton over the mean body's that a unit may leave."""

FITS_PX = 2.0
"""How far joints2d may lie from the recovered camera's (float32 mm at 10 m: hundredths)."""

ADVICE = "Save the dictionary that NLF's detect_smpl_batched returned: torch.save(pred, path)."

NOTE = (
    "Refined: pose, trans, joints3d and joints2d are new; betas are the regressor's unless the model's own file was "
    "used. Vertices and the nonparametric points are left out."
)


def recognises(path: Path) -> bool:
    """Say whether a file is a dictionary with `pose`, `betas`, `trans`, `joints3d` and further names of NLF's."""
    what = kind(path)
    if what not in ("torch", "pickle", "joblib", "npy", "npz") or (
        what == "npz" and not set(member_names(path)) >= KEYS
    ):
        return False
    try:
        content = _dictionary(file_content(path))
    except InputError:
        return False
    names = set(content)
    return names >= KEYS and bool(names & TELLING) and not names & OTHERS


def read(path: Path, body: SkinnedBody | None = None, camera: Camera | None = None, sizes: Sizes = None) -> Estimate:
    """Read what NLF returned of one image or several.

    Raises:
        InputError: The file is broken or holds something else, or its joints are in a world.
    """
    path = Path(path)
    where, stored = str(path), file_content(path)
    content = _dictionary(stored)
    rows = _rows_of(where, content)
    pose = _array(where, content, rows, "pose")
    model, count = JOINTS.get(pose[0].size, ("", 0))
    if not model:
        raise InputError(f"{where}: pose", "72 (SMPL) or 165 (SMPL-X) numbers a person", f"{pose[0].size}", ADVICE)
    turned = rotations(where, "pose", pose, len(pose), count)
    joints = torch.as_tensor(_array(where, content, rows, "joints3d")).double()
    if joints.shape[1:] != (count, 3):
        raise InputError(f"{where}: joints3d", f"the {count} joints of {model}", f"shape {tuple(joints.shape)}", ADVICE)
    joints = joints * _unit(where, turned, joints, model)
    own, rule = _camera(where, content, rows, joints, sizes, camera)
    source = Source(
        format="nlf",
        model=model,
        pose=turned,
        betas=torch.as_tensor(_array(where, content, rows, "betas")).float(),
        expression=torch.zeros(len(pose), 0),
        joints=joints.float(),
        arrays={"content": stored, "kind": kind(path)},
        focal_rule=rule,
        path=path,
        hand_mean="flat",
    )
    estimate = to_body(source, own, body, rows.index)
    return estimate if camera is None else with_camera(estimate, camera)


def write(refined: Estimate, path: Path) -> None:
    """Write an estimate back as NLF's dictionary.

    `pose`, `trans`, `joints3d` and `joints2d` are refined, `betas` on the model's own file too; vertices and
    nonparametric points are left out of a refined file. People who did not change keep every number, and unknown keys
    stay.

    Raises:
        InputError: The estimate was read from another format.
    """
    source = own_source(refined, "nlf", "NLF")
    stored = source.arrays["content"]
    content, where = _dictionary(stored), str(source.path)
    rows = _rows_of(where, content)
    listed = torch.as_tensor(_array(where, content, rows, "joints3d")).double()
    unit = _unit(where, source.pose, listed, source.model)
    refined = with_camera(
        refined, _camera(where, content, rows, listed * unit, refined.camera.size[:1].cpu(), refined.camera)[0]
    )
    back = refined_source(refined)
    if bool(back.changed.any()):
        changed, moved = back.changed, (back.pelvis - source_pelvis(source)).double()
        joints = joints_after(listed * unit, refined, back) + moved[:, None]
        fresh: dict[str, Any] = {
            "pose": put_rotations(rows.joined(content["pose"]), source.pose, back.pose),
            "betas": put_shape(refined, changed, rows.joined(content["betas"])),
            "trans": put_rows(changed, rows.joined(content["trans"]) + moved.numpy(), rows.joined(content["trans"])),
            "joints3d": put_rows(changed, joints / unit, rows.joined(content["joints3d"])),
        }
        if "joints2d" in content:
            seen = refined.camera.local.to("cpu", torch.float64).project(joints)
            fresh["joints2d"] = put_rows(changed, seen, rows.joined(content["joints2d"]))
        content = {
            name: rows.put(content[name], fresh[name]) if name in fresh else value for name, value in content.items()
        }
        content = {name: value for name, value in content.items() if name not in DERIVED} | beside(refined, back, NOTE)
        stored = content
    write_content(Path(path), str(source.arrays["kind"]), stored)


def _dictionary(stored: object) -> dict[str, Any]:
    """Return the dictionary a file is, or that an array of one object holds; an empty one where it is none."""
    if isinstance(stored, np.ndarray) and stored.dtype == object and stored.size == 1:
        stored = stored.reshape(-1)[0]
    return {str(name): value for name, value in stored.items()} if isinstance(stored, dict) else {}


def _rows_of(where: str, content: dict[str, Any]) -> ImageRows:
    """Return how many people there are in each image."""
    poses = content["pose"]
    listed = isinstance(poses, list | tuple)
    if listed:
        counts = [len(part) if np.ndim(part) > 1 else -1 for part in poses]
    else:
        shape = np.shape(kept(poses))
        counts = [shape[0]] if len(shape) == 2 else [shape[1]] * shape[0] if len(shape) == 3 else [-1]
    if min(counts, default=-1) < 0:
        raise InputError(f"{where}: pose", "an array (people, 72 or 165) for each image", "another shape", ADVICE)
    if not sum(counts):
        raise Nobody(where)
    return ImageRows(tuple(counts), listed)


def _array(where: str, content: dict[str, Any], rows: ImageRows, name: str) -> np.ndarray:
    """Return one array (B, ...) of all people.

    Raises:
        InputError: It has other numbers of people, or no numbers.
    """
    try:
        array = rows.joined(content[name])
        if len(array) != sum(rows.counts) or array.dtype.kind not in "iuf":
            raise ValueError(f"{array.dtype} of shape {array.shape}")
    except (ValueError, TypeError) as error:
        expected = f"numbers of {sum(rows.counts)} people in {len(rows.counts)} images"
        raise InputError(f"{where}: {name}", expected, str(error)[:120], ADVICE) from error
    return array


def _unit(where: str, pose: Float[Tensor, "B J 3 3"], joints: Float[Tensor, "B J 3"], model: str) -> float:
    """Return how many metres the joints' unit has: what makes their skeleton a body's.

    Raises:
        InputError: No unit does.
    """
    mean = posed_points(pose, model)[1][:, :22].double()
    sizes = [
        (part - part.mean(1, keepdim=True)).square().sum((1, 2)).sqrt().nanmedian() for part in (joints[:, :22], mean)
    ]
    ratio = float(sizes[0] / sizes[1])
    for metres in UNITS.values():
        if HEIGHTS[0] < ratio * metres < HEIGHTS[1]:
            return metres
    raise InputError(
        f"{where}: joints3d", "a body's joints in mm or m", f"a skeleton {ratio:.3g} times a body's in m", ADVICE
    )


def _camera(
    where: str,
    content: dict[str, Any],
    rows: ImageRows,
    joints: Float[Tensor, "B J 3"],
    sizes: Float[Tensor, "I 2"] | None,
    camera: Camera | None,
) -> tuple[Camera, str]:
    """Return one camera a body, and how it was found.

    Raises:
        InputError: Stored points are not those of a camera in whose frame the joints are, or the photo's size is not
            known.
    """
    if "joints2d" not in content:
        size = needed_sizes(where, rows.index, sizes, camera)
        rule = f"{RULES['fov55'].says}, NLF's default, is assumed: the file has no joints2d to tell"
        return camera_from_rule("fov55", size), rule
    pixel = torch.as_tensor(_array(where, content, rows, "joints2d")).double()
    if pixel.shape[:2] != joints.shape[:2]:
        raise InputError(
            f"{where}: joints2d", f"{joints.shape[1]} points a person", f"shape {tuple(pixel.shape)}", ADVICE
        )
    focal, center = np.zeros((len(joints), 2)), np.zeros((len(joints), 2))
    for image in range(len(rows.counts)):
        here = (rows.index == image).numpy()
        if here.any():
            focal[here], center[here] = _lens(where, joints[here].numpy(), pixel[here].numpy())
    own = camera_of(where, focal, center, photo_sizes(where, rows.index, sizes, None))
    return own, f"{focal[0, 0]:.0f} px, as NLF's joints2d follow from its joints3d"


def _lens(where: str, joints: np.ndarray, pixel: np.ndarray) -> tuple[float, np.ndarray]:
    """Return focal length and centre (px) under which an image's joints are seen where they are stored."""
    good = np.isfinite(joints).all(2) & np.isfinite(pixel).all(2) & (joints[..., 2] > 0)
    x, y, z = joints[good].T
    u, v = pixel[good].T
    zero = np.zeros_like(z)
    design = np.concatenate((np.stack((x / z, zero + 1, zero), 1), np.stack((y / z, zero, zero + 1), 1)))
    target = np.concatenate((u, v))
    (focal, *center), *_ = np.linalg.lstsq(design, target, rcond=None) if len(z) > 2 else ((0.0, 0.0, 0.0),)
    error = float(np.abs(design @ np.array([focal, *center]) - target).max(initial=0.0))
    if not (focal > 0 and error < FITS_PX):
        advice = (
            "Call NLF without extrinsic_matrix and distortion_coeffs, or turn joints3d and trans into the camera's "
            "frame."
        )
        raise InputError(f"{where}: joints2d", "joints3d seen through one lens", f"points {error:.0f} px apart", advice)
    return float(focal), np.array(center)
