"""refine's own npz (`Result.save`): the refined bodies as an estimate, to be refined or converted again.

Keys and units: `refine/result/file.py`, versioned. The refined pose, shape and place are the source's parameters here;
what the first regressor said stays in `estimate/...` and `source/...`, unread and unchanged. Camera frame, or the
world's where the file has `camera_from_world`; pixels count from the image's corner; hands are whole rotations, so
there is no hand mean; the focal length is the file's.

A refined file has new bodies, joints and keypoints. Costs and misfits of a body that changed belong to what it was
before: they are not a number (NaN).

Source: `refine/result/file.py`.
"""

import io
from pathlib import Path

import numpy as np
import torch

from refine.body import SkinnedBody
from refine.check import check_finite
from refine.errors import InputError
from refine.estimate import Estimate, Source
from refine.estimate.arrays import READ_ERRORS, STATE_KEYS, VERSION, read_body, read_state, state_arrays
from refine.files.atomic import write_bytes
from refine.files.npz import member_names, read_arrays
from refine.files.unpacked import TRUNCATED_ADVICE
from refine.formats import Sizes
from refine.formats._own_source import own_source
from refine.geometry.camera import Camera
from refine.state import Bodies, State
from refine.transfer import refined_source, to_body, with_camera
from refine.transfer.frames import bodies_in_camera, bodies_in_world

KEYS = {"version", "body", "stop", "pose", "estimate/pose", "source/format"}
EVIDENCE = ("cost_before", "cost", "misfit_before", "misfit")
NOTE = (
    "Refined again: bodies, joints and keypoints are new; costs and misfits of the bodies that changed are left out "
    "(NaN)."
)


def recognises(path: Path) -> bool:
    """Say whether a file is a result of refine."""
    return set(member_names(path)) >= KEYS


def read(path: Path, body: SkinnedBody | None = None, camera: Camera | None = None, sizes: Sizes = None) -> Estimate:
    """Read the refined bodies of a result.

    Raises:
        InputError: The file is broken or of a later version, or its model is not found.
    """
    path = Path(path)
    arrays = read_arrays(path)
    try:
        if int(arrays["version"]) > VERSION:
            expected = f"a result of version {VERSION} or earlier"
            raise InputError(str(path), expected, f"version {int(arrays['version'])}", "Update refine.")
        for key in (*STATE_KEYS, "joints"):
            check_finite(f"{path}: {key}", torch.from_numpy(arrays[key]))
        own = read_body(arrays, None)
        state = read_state(arrays, "")
        bodies = bodies_in_camera(own, state.bodies, state.camera)
        source = Source(
            format="refine_npz",
            model=own.model,
            pose=bodies.pose,
            betas=bodies.shape,
            expression=bodies.expression,
            translation=bodies.translation,
            joints=torch.from_numpy(arrays["joints"]),
            arrays=arrays,
            focal_rule=f"{float(state.camera.focal[:1].mean()):.0f} px, as refined" if len(state) else "",
            path=path,
            gender=own.gender,
            images=tuple(arrays.get("source/images", np.array([], np.str_)).tolist()),
            persons=tuple(arrays.get("source/persons", np.array([], np.str_)).tolist()),
            hand_mean="flat",
        )
        estimate = to_body(source, state.camera, own if body is None else body, torch.from_numpy(arrays["image_index"]))
    except InputError:
        raise
    except READ_ERRORS as error:
        raise InputError(str(path), "a complete result npz", f"{error} missing or damaged", TRUNCATED_ADVICE) from error
    return estimate if camera is None else with_camera(estimate, camera)


def write(refined: Estimate, path: Path) -> None:
    """Write an estimate back as a result npz: refined bodies in place of those that were read.

    Raises:
        InputError: The estimate was read from another format.
    """
    source = own_source(refined, "refine_npz", "refine's npz")
    content = {name: np.asarray(value) for name, value in source.arrays.items()}
    camera = read_state(content, "").camera
    refined = with_camera(refined, camera.local)
    back = refined_source(refined)
    if bool(back.changed.any()):
        own = read_body(content, None)
        same, now = refined.body.model == source.model, refined.bodies
        shape, expression = (now.shape, now.expression) if same else (source.betas, source.expression)
        bodies = Bodies(back.pose, shape.to(back.pose), expression.to(back.pose), back.translation)
        state = State(bodies_in_world(own, bodies, camera), camera)
        fresh = Estimate(own, state, refined.image_index.cpu(), source)
        parts = state_arrays("", fresh.state) | {"joints": fresh.joints.numpy()}
        if "keypoints/coco17" in content:
            parts["keypoints/coco17"] = fresh.keypoints_2d("coco17").numpy()
        parts |= {name: np.full(len(refined), np.nan) for name in EVIDENCE}
        changed = back.changed.cpu().numpy()
        content |= {
            name: np.where(changed.reshape(-1, *[1] * (value.ndim - 1)), value, content[name]).astype(
                content[name].dtype
            )
            for name, value in parts.items()
        }
        content["refine_note"] = np.asarray(NOTE)
    stream = io.BytesIO()
    np.savez_compressed(stream, **content)  # type: ignore[arg-type]
    write_bytes(Path(path), stream.getvalue())
