"""How far detectors that are run here err, and whether they say so, on real recordings (absent, or not installed: NaN).

    error    each view's points against the triangulation of the other three (`four_cameras`), every `EVERY`th frame
    within   share of coordinates whose error lies within 1 and 2 of its stated sigma; a Gaussian's: 68 and 95 %

    arms     BEV's pair refined by this detector alone: mean distance of the arms' points from ViTPose's (`bev_pair`)
    photos   annotated people of real photos taller than 100 px, disturbed medium: share of the way to a fit to the
             annotation that refining by this detector goes (`coco`)

The stated sigma is that of the view (`refine.terms.keypoints.DetectorNoise` of the detector) and of the triangulated
point by the other views' own. Boxes are those around OpenPose's points, grown by `SURFACE`.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import refine
from displacement_net.training.evaluation.annotated import read_annotated
from displacement_net.training.evaluation.fit_annotated import fit_annotated
from displacement_net.training.evaluation.real_people import SMALL_PX, in_photo
from displacement_net.training.evaluation.stored import arms
from refine.body import anny
from refine.detectors import Detector
from refine.detectors.find import detector, detectors
from refine.evaluate.disturbance import disturb
from refine.keypoints.detections import Detections
from refine.terms.keypoints import DetectorNoise
from tests.benchmarks._four_cameras import Array, errors, people, recordings, views
from tests.benchmarks.measurement import Measurement

EVERY = 4
SURFACE = 0.06
"""How far a body's surface reaches beyond its keypoints, over the longer side of their box."""
LEAST = 0.3
"""Least confidence of OpenPose's points that make a box."""
DRAWS = 3
"""Disturbances of each annotated person."""
FIGURES = ("error", "within1", "within2", "points", "found", "arms.1", "arms.2", "photos")


def measure() -> list[Measurement]:
    """Return detectors.NAME.*, for each detector of the library."""
    return [one for name in detectors() for one in _of(name)]


def _of(name: str) -> list[Measurement]:
    folder, ready = recordings() / "four_cameras", detectors()[name].is_ready()
    why = "not installed here" if not ready else f"no recordings at {folder.parent}"
    if not ready or not all((folder.parent / each).is_dir() for each in ("four_cameras", "bev_pair", "coco")):
        return [Measurement(f"detectors.{name}.{figure}", float("nan"), "", "report", note=why) for figure in FIGURES]
    found = detector(name)
    pixel, sigma, box = seen_by(found, folder)
    error, stated = errors(pixel - 0.5, sigma, views(folder))  # calibrations count from pixel centres
    known = np.isfinite(error)
    off = np.abs(error[known]) / stated[known]
    share = np.abs(error) / np.sqrt(box)[..., None, None]
    words = f"{getattr(found, 'name', name)}, 4 cameras, {len(pixel)} frames"
    values = {
        "error": (100 * float(np.median(share[known])), "% of box"),
        "within1": (100 * float((off < 1).mean()), "%"),
        "within2": (100 * float((off < 2).mean()), "%"),
        "points": (float(known.sum()), ""),
        "found": (100 * float(np.isfinite(sigma).any(2).mean()), "%"),
        "arms.1": (_arms(name, folder.parent / "bev_pair")[0], "px"),
        "arms.2": (_arms(name, folder.parent / "bev_pair")[1], "px"),
        "photos": (100 * _photos(name, folder.parent / "coco"), "%"),
    }
    return [
        Measurement(f"detectors.{name}.{key}", value, unit, "report", note=words)
        for key, (value, unit) in values.items()
    ]


def _arms(name: str, folder: Path) -> list[float]:
    """Return how far each person's arms lie from ViTPose's points after refining, px."""
    result = refine.fit(folder / "image_1.jpg", folder / "image_1_0.08.npz", keypoints=name)
    return [one.after_px for one in arms(folder, result)]


def _photos(name: str, folder: Path) -> float:
    """Return the share of the way to the fit to the annotation, 0 to 1, sums over people and draws."""
    body, annotated = anny.load(), read_annotated(folder)
    fitted = fit_annotated(body, annotated)
    person, tall = torch.arange(len(annotated)), annotated.box[:, 3] > SMALL_PX
    floor = in_photo(annotated, person, fitted).misfit
    gone, whole = 0.0, 0.0
    for draw in range(DRAWS):  # people of one photo together, each once: two of one person would be found twice
        seeds = range(1000 + 100 * draw, 1000 + 100 * draw + len(annotated))
        state = disturb(body, fitted.state, "medium", seeds)
        estimate = replace(fitted, state=state, image_index=annotated.image_index)
        result = refine.fit([photo.pixels for photo in annotated.photos], estimate, keypoints=name)
        before, after = (in_photo(annotated, person, each).misfit for each in (estimate, result.refined))
        gone, whole = gone + float((before - after)[tall].sum()), whole + float((before - floor)[tall].sum())
    return gone / whole


def seen_by(found: Detector, folder: Path) -> tuple[Array, Array, Array]:
    """Return the points (T, 4, K, 2) px from the corner, their sigma (T, 4, K) px and the area of their box (T, 4).

    Points without information are NaN.
    """
    import cv2

    where = people(folder)[::EVERY]
    rows = []
    for at in range(where.shape[1]):
        video = cv2.VideoCapture(str(folder / "videos" / f"cam0{at + 1}.mp4"))
        for frame in range(EVERY * len(where)):
            read, image = video.read()
            if read and frame % EVERY == 0:
                rows.append(_in_frame(found, np.ascontiguousarray(image[..., ::-1]), where[frame // EVERY, at]))
    pixel, sigma, area = (
        np.stack(each).reshape(where.shape[1], len(where), *each[0].shape) for each in zip(*rows, strict=True)
    )
    return pixel.swapaxes(0, 1), sigma.swapaxes(0, 1), area.swapaxes(0, 1)


def _in_frame(found: Detector, image: Array, person: Array) -> tuple[Array, Array, Any]:
    """Return the points (K, 2), their sigma (K,) and their box's area of the person that OpenPose saw."""
    there = person[person[:, 2] > LEAST, :2] + 0.5
    low, high = there.min(0), there.max(0)
    more = SURFACE * (high - low).max()
    end = np.array(image.shape[1::-1], float)
    box = np.concatenate(((low - more).clip(0, end), (high + more).clip(0, end)))
    seen = found(image, torch.tensor(box, dtype=torch.float32)[None])
    assert isinstance(seen, Detections)
    noise = getattr(found, "noise", None) or DetectorNoise()
    from refine.body.keypoint_names import SETS

    area = (box[2:] - box[:2]).prod()
    sigma = noise.sigma_px(
        SETS[seen.name], seen.pixel, seen.confidence, torch.tensor([area], dtype=torch.float32),
        torch.tensor([image.shape[:2]], dtype=torch.float32),
    )[0]  # fmt: skip
    known = sigma.isfinite()
    pixel = seen.pixel[0].masked_fill(~known[:, None], torch.nan)
    return pixel.double().numpy(), sigma.masked_fill(~known, torch.nan).double().numpy(), area
