"""The npz a result is kept in, version 2; one row a body, metres, radians, pixels, camera frame, nothing pickled.

version, body (name of the model), image_index (B,), notes (N,)
body_file, body_kid_template (where it was loaded from, or "")   body_flat_hand_mean   what its file was read with
pose (B, J, 3, 3)   shape (B, S)   expression (B, E)   translation (B, 3)        refined
focal center size (B, 2)   camera_from_world (B, 3, 4), distortion (B, K), if any   refined
estimate/...                                                                     the same before refining
joints (B, J, 3)   keypoints/coco17 (B, 17, 2) px, where the model has the set   refined, for readers without the model
cost_before cost misfit_before misfit (B,)   stop (B,) names of StopReason, the solver's
verdict (B,) sentences   verdict/decision (B,) names of Decision   verdict/kept (B,) limbs, joined by "; "
verdict/gain size misfit misfit_before worse ... (B,) numbers of `refine.solve.Verdict`, NaN where not known
verdict, verdict/... only with a gate                                  sigma_mm (B, J, 3) of the joints, where known
observed (B,), track (B,) labels, time_s (B,) s   of people over time, where rows were solved so
detections/name, detections/pixel (B, K, 2), detections/confidence (B, K), if any
source/...   the source; source/unusable, source/without_numbers (B,) where there are such people
source/arrays/content, source/arrays/numbers/...   the source's whole file (`refine/files/nested.py`)

Version 1 kept the file as source/arrays/..., nested keys joined by /, arrays only; it is still read.
"""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from refine.body import SkinnedBody
from refine.check import check_finite
from refine.errors import InputError
from refine.estimate import Estimate, Source, as_array
from refine.estimate.arrays import READ_ERRORS, STATE_KEYS, VERSION, read_body, read_state, state_arrays
from refine.files.atomic import write_bytes
from refine.files.nested import packed, unpacked
from refine.files.npz import read_arrays
from refine.keypoints.detections import Detections
from refine.result.known import Known
from refine.result.verdicts import read_verdicts, verdict_arrays
from refine.solve import StopReason
from refine.state import Tracks
from refine.transfer import with_found

SOURCE_TENSORS = (
    "pose", "betas", "expression", "translation", "joints", "vertices", "keypoints_2d", "sigma_rad", "unusable",
    "without_numbers", "camera_from_world",
)  # fmt: skip
SOURCE_TEXTS = ("format", "model", "focal_rule", "gender", "hand_mean")
SOURCE_NAMES = ("images", "persons", "joint_names", "doubts")
SOURCE_FILE = "source/arrays/"


def save(result: Known, path: str | Path) -> None:
    """Write a result.

    Args:
        result: The result.
        path: The file; written whole or not at all.

    Raises:
        InputError: The folder does not exist.
    """
    source = result.estimate.source
    arrays: dict[str, np.ndarray] = {
        "version": np.array(VERSION),
        "body": np.array(result.body.name),
        "body_file": np.array(result.body.provenance.get("file", "")),
        "body_kid_template": np.array(result.body.provenance.get("kid_template", "")),
        "body_flat_hand_mean": np.array(result.body.flat_hand_mean),
        "image_index": as_array(result.image_index),
        "notes": np.array(result.notes, dtype=np.str_),
        "estimate/notes": np.array(result.estimate.notes, dtype=np.str_),
        "stop": np.array([reason.name for reason in result.stop]),
        "joints": as_array(result.joints),
        **state_arrays("", result.state),
        **state_arrays("estimate/", result.estimate.state),
        **{key: as_array(getattr(result, key)) for key in ("cost_before", "cost", "misfit_before", "misfit")},
        **{
            f"source/{key}": as_array(getattr(source, key))
            for key in SOURCE_TENSORS
            if getattr(source, key) is not None
        },
        **{f"source/{key}": np.array(getattr(source, key)) for key in SOURCE_TEXTS},
        **{f"source/{key}": np.array(getattr(source, key), dtype=np.str_) for key in SOURCE_NAMES},
        **{f"source/evidence/{key}": as_array(value) for key, value in source.evidence.items()},
        "source/path": np.array(str(source.path or "")),
        **{f"{SOURCE_FILE}{key}": array for key, array in packed(source.arrays).items()},
    }
    if result.estimate.distance_m is not None:
        arrays["estimate/distance_m"] = as_array(result.estimate.distance_m)
    if result.judgement:
        arrays["verdict"] = np.array(result.verdict, dtype=np.str_)
        arrays |= {f"verdict/{key}": array for key, array in verdict_arrays(result.judgement).items()}
    if bool(result.sigma_mm.isfinite().any()):
        arrays["sigma_mm"] = as_array(result.sigma_mm)
    if "coco17" in result.body.keypoint_sets:
        arrays["keypoints/coco17"] = as_array(result.keypoints_2d("coco17"))
    if result.detections is not None:
        arrays["detections/name"] = np.array(result.detections.name)
        arrays["detections/pixel"] = as_array(result.detections.pixel)
        arrays["detections/confidence"] = as_array(result.detections.confidence)
    if result.observed is not None:
        arrays["observed"] = as_array(result.observed)
    if result.tracks is not None:
        arrays |= {"track": as_array(result.tracks.person), "time_s": as_array(result.tracks.time_s)}
    memory = io.BytesIO()
    np.savez_compressed(memory, **arrays)  # type: ignore[arg-type]
    write_bytes(path, memory.getvalue())


def read(path: str | Path, body_model: SkinnedBody | str | Path | None = None) -> dict[str, Any]:
    """Read the fields of a result.

    Args:
        path: A file written by `Result.save`.
        body_model: The model it belongs to; None: the built-in one, or the file named in the result.

    Returns:
        The fields of `refine.result.Result` by name, without photos and rounds.

    Raises:
        InputError: The file is missing, truncated, of another kind or of a later version, or its model cannot be found.
    """
    path = Path(path)
    try:
        arrays = read_arrays(path)
        version = int(arrays["version"])
    except READ_ERRORS as error:  # InputError, a ValueError, among them
        why = error.got if isinstance(error, InputError) else str(error)
        advice = "Estimates of regressors are read with refine.read."
        raise InputError("path", "a result npz written by refine", f"{path} ({why})", advice) from error
    if version > VERSION:
        raise InputError("path", f"a result of version {VERSION} or earlier", f"version {version}", "Update refine.")
    try:
        return _fields(arrays, body_model)
    except InputError:
        raise
    except READ_ERRORS as error:
        raise InputError("path", "a complete result npz", f"{path}, in which {error} is missing or damaged") from error


def _fields(arrays: Mapping[str, np.ndarray], body_model: SkinnedBody | str | Path | None) -> dict[str, Any]:
    for key in STATE_KEYS:
        check_finite(key, torch.from_numpy(arrays[key]))
    body = read_body(arrays, body_model)
    estimate = Estimate(
        body,
        read_state(arrays, "estimate/"),
        torch.from_numpy(arrays["image_index"]),
        _source(arrays),
        tuple(arrays["estimate/notes"].tolist()),
        torch.from_numpy(arrays["estimate/distance_m"]) if "estimate/distance_m" in arrays else None,
    )
    detections = None
    if "detections/name" in arrays:
        parts = (torch.from_numpy(arrays[f"detections/{key}"]) for key in ("pixel", "confidence"))
        detections = Detections(str(arrays["detections/name"]), *parts)
    figures = ("cost_before", "cost", "misfit_before", "misfit")
    return {
        "estimate": estimate,
        "state": read_state(arrays, ""),
        "stop": tuple(StopReason[name] for name in arrays["stop"].tolist()),
        **{key: torch.from_numpy(arrays[key]) for key in figures},
        "detections": detections,
        "notes": tuple(arrays["notes"].tolist()),
        "judgement": read_verdicts(arrays),
        "observed": torch.from_numpy(arrays["observed"]) if "observed" in arrays else None,
        "tracks": Tracks(*(torch.from_numpy(arrays[key]) for key in ("track", "time_s")))
        if "track" in arrays
        else None,
        "stored_sigma_mm": torch.from_numpy(arrays["sigma_mm"]) if "sigma_mm" in arrays else None,
    }


def _source(arrays: Mapping[str, np.ndarray]) -> Source:
    def tensor(key: str) -> Tensor | None:
        return torch.from_numpy(arrays[f"source/{key}"]) if f"source/{key}" in arrays else None

    text = {key: str(arrays[f"source/{key}"]) for key in SOURCE_TEXTS if key != "hand_mean"}
    names = {key: tuple(arrays.get(f"source/{key}", np.array([], np.str_)).tolist()) for key in SOURCE_NAMES}
    pose, betas, expression = (torch.from_numpy(arrays[f"source/{key}"]) for key in SOURCE_TENSORS[:3])
    source = Source(
        format=text["format"],
        model=text["model"],
        pose=pose,
        betas=betas,
        expression=expression,
        translation=tensor("translation"),
        joints=tensor("joints"),
        vertices=tensor("vertices"),
        keypoints_2d=tensor("keypoints_2d"),
        arrays=_nest(arrays, SOURCE_FILE) if int(arrays["version"]) < 2 else unpacked(arrays, SOURCE_FILE),
        focal_rule=text["focal_rule"],
        path=Path(str(arrays["source/path"])) if str(arrays["source/path"]) else None,
        gender=text["gender"],
        hand_mean=str(arrays.get("source/hand_mean", "")),  # older files have none
        images=names["images"],
        persons=names["persons"],
        joint_names=names["joint_names"],
        doubts=names["doubts"],
        sigma_rad=tensor("sigma_rad"),
        unusable=tensor("unusable"),
        without_numbers=tensor("without_numbers"),
        camera_from_world=tensor("camera_from_world"),
        evidence={
            key.removeprefix("source/evidence/"): torch.from_numpy(array)
            for key, array in arrays.items()
            if key.startswith("source/evidence/")
        },
    )
    return with_found(source)


def _nest(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, object]:
    """Return a version 1 file's arrays under a prefix as nested dictionaries."""
    nested: dict[str, object] = {}
    for key, array in arrays.items():
        if key.startswith(prefix):
            *folders, name = key[len(prefix) :].split("/")
            place = nested
            for folder in folders:
                place = place.setdefault(folder, {})  # type: ignore[assignment]
            place[name] = array
    return nested
