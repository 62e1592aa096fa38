"""SAM 3D Body's npz of one person: MHR's surface, 70 keypoints in space and in the photo, and MHR's own parameters.

    u = f (X + T_x) / (Z + T_z) + W/2,   T = pred_cam_t,   X = pred_keypoints_3d, pred_vertices, pred_joint_coords

in the whole photo. Where the file has no `focal_length`, f and the centre follow exactly from the keypoints and their
pixels; W and H are twice the centre. Pixels count from the image's corner. MHR is not an SMPL: the built-in body is
fitted to the 70 keypoints, hands included, and to the surface. Fingers are known by their joints, so there is no hand
mean.

A refined file carries vertices, keypoints and joints along with the surface they lie on; MHR's own pose parameters
cannot be made from that and are left out. What was refined stands beside them in the built-in body's parameters
(`refine_pose`, ...), from which it is read back as long as the surface is the one it was written with (`refine_of`).

Source: facebookresearch/sam-3d-body@b5c765a0d8, `sam_3d_body/sam_3d_body_estimator.py`,
`sam_3d_body/metadata/mhr70.py`; the npz as in facebookresearch/MHR@4debaacf,
`tools/mhr_smpl_conversion/data/sam3d_body_outputs`, whose camera was checked.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from refine.body import SkinnedBody
from refine.body.known_meshes import named_joints
from refine.body.size import unit_of
from refine.errors import InputError
from refine.estimate import Estimate, Source
from refine.estimate.pelvis import source_pelvis
from refine.files.npz import member_names, read_arrays, read_object, write_arrays
from refine.files.same_kind import same_kind
from refine.formats import Sizes
from refine.formats._fitted_surface import carried, fitted_estimate, fitted_source, mean_distance, started, total_scale
from refine.formats._own_source import own_source
from refine.formats._perspective import recover
from refine.formats._smpl_parts import kept
from refine.geometry.camera import Camera
from refine.state import Bodies
from refine.transfer import refined_source, to_body, with_camera
from refine.transfer.surface import Converted, surface_on_points

KEYPOINTS = 70
SHAPES = {"pred_keypoints_3d": (KEYPOINTS, 3), "pred_keypoints_2d": (KEYPOINTS, 2), "pred_cam_t": (3,)}

POSE_PARAMETERS = (
    "pred_pose_raw", "global_rot", "body_pose_params", "hand_pose_params", "pred_global_rots", "mhr_model_params",
)  # fmt: skip
"""What of MHR says how it is posed."""

FITS_PX = 0.5
"""How exactly the stored pixels must follow from the stored keypoints; float32 leaves a thousandth."""

WHOLE_PX = 0.02
"""A centre nearer than this to half a whole number of pixels is the photo's middle."""

REFINED = {
    "refine_pose": "pose",
    "refine_shape": "shape",
    "refine_expression": "expression",
    "refine_translation": "translation",
}
REFINED_SCALE = "refine_scale"
REFINED_OF = "refine_of"
"""Digest of the surface, points and place the refined body was written with: where they were changed since, it is
fitted anew."""
OF = ("pred_vertices", "pred_keypoints_3d", "pred_cam_t")

CHANGED = (
    "The surface was changed after refine wrote the file: the refined body beside it is not used, and one is fitted "
    "anew."
)

NOTE = (
    "Refined: pred_vertices, pred_keypoints_3d, pred_joint_coords, pred_cam_t and pred_keypoints_2d moved with the "
    "body fitted to them; MHR's pose parameters are left out, for they cannot be computed without MHR. refine_pose, "
    "refine_shape, refine_expression and refine_translation are the refined body's, in refine's built-in model."
)


def recognises(path: Path) -> bool:
    """Say whether a file is an npz with SAM 3D Body's vertices, keypoints and translation."""
    return {*SHAPES, "pred_vertices"} <= set(member_names(path))


def read(path: Path, body: SkinnedBody | None = None, camera: Camera | None = None, sizes: Sizes = None) -> Estimate:
    """Read one person's result.

    `sizes` are looked at where the photo's middle is not the camera's (SAM 3D Body was given intrinsics).

    Raises:
        InputError: The file is broken or holds something else.
    """
    path = Path(path)
    source, own, done = source_of(path, _content(path), sizes)
    estimate = fitted_estimate(to_body(source, own, body), done)
    return estimate if camera is None else with_camera(estimate, camera)


def source_of(
    path: Path, stored: dict[str, object], sizes: Float[Tensor, "I 2"] | None
) -> tuple[Source, Camera, Converted]:
    """Return what SAM 3D Body stored of one person, the person's camera, and the fit to the surface.

    Args:
        path: The file, for messages.
        stored: The person's dictionary.
        sizes: (1, 2) px, the photo's, or None.

    Raises:
        InputError: It is broken or holds something else.
    """
    from refine.body.load import load_body

    content = _checked(path, stored)
    own, rule = _camera(path, content, sizes)
    place = torch.as_tensor(np.array(content["pred_cam_t"]), dtype=torch.float64)
    points, vertices = (
        (torch.as_tensor(np.array(content[name]), dtype=torch.float64) + place)[None]
        for name in ("pred_keypoints_3d", "pred_vertices")
    )
    done = _refined_before(content, vertices) or surface_on_points(
        load_body("anny"), vertices.float(), named_joints(points.float())
    )
    if REFINED_OF in content and _digest(content) != str(content[REFINED_OF]):
        done = replace(done, notes=(*done.notes, CHANGED))
    source = fitted_source(done, "sam3dbody", points, vertices, path, content)
    seen = torch.as_tensor(np.array(content["pred_keypoints_2d"]), dtype=torch.float32)[None]
    assert source.joints is not None
    fitted = own.project(source.joints[:, : source.pose.shape[1]])
    return replace(source, keypoints_2d=torch.cat((fitted, seen), 1), focal_rule=rule), own, done


def write(refined: Estimate, path: Path) -> None:
    """Write an estimate back as SAM 3D Body's npz of one person.

    Raises:
        InputError: The estimate was read from another format.
    """
    own_source(refined, "sam3dbody", "SAM 3D Body")
    write_arrays(Path(path), refined_content(refined))


def refined_content(refined: Estimate) -> dict[str, object]:
    """Return one person's dictionary, `refined.source.arrays`, with what was refined in it."""
    source = refined.source
    content = dict(source.arrays)
    camera, _ = _camera(source.path, content, None)
    camera = Camera(camera.focal, camera.center, refined.camera.size.cpu().float())
    refined = with_camera(refined, camera)
    back = refined_source(refined)
    if bool(back.changed.any()):
        scale = total_scale(refined)
        before, after = started(refined), refined.posed
        was = torch.as_tensor(np.array(content["pred_cam_t"]), dtype=torch.float64)
        own = source.evidence["scale"].double()
        place = was + (own[:, None] * (back.pelvis.double() - source_pelvis(source).double()))[0]
        fresh: dict[str, Tensor] = {}
        for name in ("pred_keypoints_3d", "pred_vertices", "pred_joint_coords"):
            if name in content:
                stored = torch.as_tensor(np.array(content[name]), dtype=torch.float64)
                fresh[name] = carried((stored + was)[None], before, after, scale)[0] - place
        if "pred_joint_coords" in fresh:  # the first is MHR's origin, which lies on no surface
            fresh["pred_joint_coords"][0] = torch.as_tensor(np.array(content["pred_joint_coords"]))[0]
        fresh["pred_cam_t"] = place
        fresh["pred_keypoints_2d"] = camera.to(dtype=torch.float64).project((fresh["pred_keypoints_3d"] + place)[None])[
            0
        ]
        content |= {name: same_kind(value.numpy(), kept(content[name])) for name, value in fresh.items()}
        content = {name: value for name, value in content.items() if name not in POSE_PARAMETERS}
        same = refined.body.model == source.model
        now = refined.bodies
        words = Bodies(
            back.pose,
            now.shape if same else source.betas,
            now.expression if same else source.expression,
            back.translation,
        ).to("cpu", torch.float32)
        content |= {key: getattr(words, name)[0].numpy() for key, name in REFINED.items()}
        content |= {REFINED_SCALE: np.asarray(float(own[0]), np.float32), "refine_note": np.asarray(NOTE)}
        content[REFINED_OF] = np.asarray(_digest(content))
    return content


def _content(path: Path) -> dict[str, object]:
    """Read every member; `mask` is None, an object, where no mask was asked for."""
    try:
        return dict(read_arrays(path))
    except InputError:
        return {name: read_object(path, name) for name in member_names(path)}


def _checked(path: Path, content: dict[str, object]) -> dict[str, object]:
    """Refuse a file whose arrays are not what they should be.

    Raises:
        InputError: One is missing, of another shape, or not finite.
    """
    advice = "Save one person of process_one_image's list with np.savez(path, **person)."
    for name in (*SHAPES, "pred_vertices"):
        value = content.get(name)
        shape = SHAPES.get(name)
        if not isinstance(value, np.ndarray) or value.dtype.kind != "f":
            raise InputError(f"{path}: {name}", "an array of numbers", type(value).__name__, advice)
        if (shape is not None and value.shape != shape) or (
            shape is None and (value.ndim != 2 or value.shape[1] != 3 or len(value) < 1000)
        ):
            wanted = "shape (V, 3), MHR's vertices" if shape is None else f"shape {shape}"
            raise InputError(f"{path}: {name}", wanted, f"shape {value.shape}", advice)
        if not np.isfinite(value).all():
            raise InputError(f"{path}: {name}", "finite values", f"{int((~np.isfinite(value)).sum())} others", advice)
    return {name: kept(value) if isinstance(value, np.ndarray) else value for name, value in content.items()}


def _camera(path: Path | None, content: dict[str, object], sizes: Tensor | None) -> tuple[Camera, str]:
    """Return the camera the stored pixels were made with, and the rule in words."""
    advice = "The file was changed after SAM 3D Body wrote it, or is another program's."
    points = np.asarray(content["pred_keypoints_3d"], np.float64) + np.asarray(content["pred_cam_t"], np.float64)
    found = recover(str(path), points, np.asarray(content["pred_keypoints_2d"]), advice)
    if found.error > FITS_PX or min(found.focal, *found.center) <= 0:
        expected = "pred_keypoints_2d that are the projection of pred_keypoints_3d + pred_cam_t"
        raise InputError(str(path), expected, f"{found.error:.1f} px apart", advice)
    focal, rule = found.focal, "recovered from the stored keypoints"
    stated = np.asarray(content.get("focal_length", 0.0), np.float64).reshape(-1)
    if len(stated) and abs(stated[0] - focal) < 1e-3 * focal:
        focal, rule = float(stated[0]), "focal_length of the file"
    width, height = (round(2 * c) for c in found.center)
    middle = max(abs(2 * found.center[0] - width), abs(2 * found.center[1] - height)) < 2 * WHOLE_PX
    center = torch.tensor([[width / 2, height / 2] if middle else list(found.center)])
    size = torch.tensor([[float(height), float(width)]]) if sizes is None else sizes[:1].float().cpu()
    return Camera(torch.full((1, 2), focal), center, size), f"{focal:.0f} px, {rule}"


def _digest(content: Mapping[str, object]) -> str:
    """Return what tells whether the surface, the points or their place are still the same."""
    said = b"".join(np.ascontiguousarray(content[name], "<f8").tobytes() for name in OF)
    return hashlib.sha256(said).hexdigest()


def _refined_before(content: dict[str, object], vertices: Float[Tensor, "1 W 3"]) -> Converted | None:
    """Return the body a refined file says it holds, None where it says none or its surface was changed since."""
    from refine.body.load import load_body

    if not {*REFINED, REFINED_SCALE} <= set(content):
        return None
    if REFINED_OF in content and _digest(content) != str(content[REFINED_OF]):
        return None
    body = load_body("anny")
    parts = {name: torch.as_tensor(np.array(content[key]), dtype=torch.float32)[None] for key, name in REFINED.items()}
    scale = torch.as_tensor(np.array(content[REFINED_SCALE]), dtype=torch.float32).reshape(1)
    bodies = Bodies(parts["pose"], parts["shape"], parts["expression"], parts["translation"])
    unit, _ = unit_of(vertices, body.template)
    away = mean_distance(body, bodies, vertices / scale) * scale / unit
    return Converted(body, bodies, away, scale / unit, ("The refined body of the file is used.",), unit=unit)
