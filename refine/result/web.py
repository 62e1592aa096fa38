"""One HTML file that shows a result: before and after on the photo, the bodies in 3D, and what is known of each person.

The file holds everything (pictures, meshes, three.js) and opens from a disk without a network.

Source: three.js 0.187 (MIT), bundled in `refine/viz/viewer`; W3C, Web Content Accessibility Guidelines 2.2 (texts for
pictures, keyboard, contrast).
"""

import base64
import html
import json
import math
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8

from refine.errors import InputError
from refine.estimate.usable import without_numbers
from refine.result.known import Known
from refine.result.page import page_of
from refine.viz.report import ReportBody

VIEWER = Path(__file__).parents[1] / "viz" / "viewer"
MOST_IN_3D = 8
"""People with a mesh: more would make a file that cannot be sent. The others are on the photo and in the list."""
MOST_TEXTURED = 4
"""People up to whom meshes wear their own clothes and come with the estimate's beside."""
PHOTO_PX = 1280
"""The longer side of the pictures."""
JPEG_QUALITY = 88
BODY_JOINTS = 22
"""Joints with an ellipsoid: those of hands and face would lie within each other."""
MOST_SIGMA_MM = 400.0
"""A larger ellipsoid hides the body; it is drawn of this size."""


def web_page(result: Known, image: int, title: str) -> str:
    """Return the page of one photo.

    Args:
        result: The result.
        image: Which photo; of a loaded result, which holds none, which photo's people.
        title: At the top.

    Raises:
        InputError: Nobody is in that photo.
    """
    rows = (result.image_index == image).nonzero()[:, 0].tolist()
    if not rows:
        known = sorted(set(result.image_index.tolist()))
        raise InputError("image", f"a photo with people in it, one of {known}", str(image))
    missing = without_numbers(result.source)
    shown = [row for row in rows if not bool(missing[row])][:MOST_IN_3D]
    notes = [f"<li>{html.escape(note)}</li>" for note in result.notes]
    if len(rows) > len(shown):
        notes.append(f"<li>In 3D are {len(shown)} of {len(rows)} people.</li>")
    page = page_of(result, image)
    data = {
        "people": [_person(result, row, body) for row, body in zip(rows, page.bodies, strict=True)],
        "camera": _camera(result, rows[0]),
        "glb": base64.b64encode(_meshes(result, rows, shown)).decode() if shown else "",
    }
    before, after, ratio = _pictures(result, image)
    fields = {
        "title": html.escape(title),
        "summary": html.escape(page.verdict),
        "no-photo": "" if before else " hidden",
        "ratio": ratio,
        "before": before,
        "after": after,
        "before-alt": html.escape(
            f"The photo with the estimates of {_people(len(rows))} drawn over it, before refining"
        ),
        "after-alt": html.escape(f"The photo with {_people(len(rows))} drawn over it, after refining"),
        "space-alt": html.escape(f"The bodies of {_people(len(shown))} in 3D; arrow keys turn, plus and minus zoom"),
        "no-notes": "" if notes else " hidden",
        "notes": "".join(notes),
        # No "</script>" within: a note may hold anything.
        "data": json.dumps(data, allow_nan=False).replace("<", "\\u003c"),
        "style": _file("page.css"),
        "three": _file("three.bundle.js"),
        "script": _file("page.js"),
    }
    text = _file("page.html")
    parts = text.split("@")  # names stand between two of them
    return "".join(part if place % 2 == 0 else fields[part] for place, part in enumerate(parts))


def _file(name: str) -> str:
    return (VIEWER / name).read_text("utf-8")


def _people(count: int) -> str:
    return "one person" if count == 1 else f"{count} people"


def _person(result: Known, row: int, body: ReportBody) -> dict[str, object]:
    """Return what the page says of a person."""
    facts = [("misfit of the keypoints", f"{_px(body.before_misfit_px)} before, {_px(body.after_misfit_px)} after")]
    facts += [("sure", body.sure)] if body.sure else []
    facts.append(("solver", body.stop))
    told = [place for place in range(len(body.terms)) if any(_two(one.by_term[place]) for one in body.moved)]
    place, sigma = [], []
    joints, sizes = result.joints[row, :BODY_JOINTS].tolist(), result.sigma_mm[row, :BODY_JOINTS].tolist()
    for joint, size in zip(joints, sizes, strict=True):
        place.append([joint[0], -joint[1], -joint[2]] if all(map(math.isfinite, joint)) else None)
        known = all(map(math.isfinite, size))
        sigma.append([min(each, MOST_SIGMA_MM) / 1e3 for each in size] if known else None)
    return {
        "name": body.title, "verdict": body.verdict or body.stop, "accepted": bool(result.accepted[row]),
        "facts": facts, "terms": [body.terms[each] for each in told],
        "moved": [(one.joint, _two(one.degrees), [_two(one.by_term[each]) for each in told]) for one in body.moved],
        "joints": place, "sigma": sigma,
    }  # fmt: skip


def _two(value: float) -> float:
    """Round to two digits; JSON has no NaN."""
    return round(value, 2) if math.isfinite(value) else 0.0


def _px(value: float) -> str:
    return "unknown" if math.isnan(value) else f"{value:.1f} px"


def _camera(result: Known, row: int) -> dict[str, float]:
    """Return how much the photo's camera sees."""
    (height, width), (across, down) = result.camera.size[row].tolist(), result.camera.focal[row].tolist()
    return {"yfov": 2 * math.atan(height / (2 * down)), "aspect": (width / across) / (height / down)}


def _meshes(result: Known, rows: list[int], shown: list[int]) -> bytes:
    """Return the people as GLB, named by their places in the photo's list; few of them also as estimated."""
    from refine.export.figure import figures
    from refine.export.glb import document

    body = result.body
    names = [f"person_{rows.index(row) + 1}" for row in shown]
    index = torch.tensor(shown)
    # Each in the frame of its own camera, as the photo has them.
    people = [
        figure
        for state in ((result.state, result.estimate.state) if len(shown) <= MOST_TEXTURED else (result.state,))
        for row, name in zip(index.tolist(), names, strict=True)
        for figure in figures(
            body, state.bodies[[row]], camera=state.camera[[row]],
            names=[name if state is result.state else f"{name}_before"],
        )
    ]  # fmt: skip
    textures = None
    if len(shown) <= MOST_TEXTURED and result.photos and len(body.uv_faces):
        maps = np.rint(255 * result.clothes.pixels[index].cpu().numpy()).astype(np.uint8)
        textures = [*maps, *[np.full((2, 2, 3), 255, np.uint8)] * (len(people) - len(maps))]
    return b"".join(document(body, people, textures=textures).save_to_bytes())


def _pictures(result: Known, image: int) -> tuple[str, str, str]:
    """Return the photo with the people before and after as data URLs, and width / height; empty without photos."""
    if image >= len(result.photos):
        return "", "", "1"
    from refine.viz.layers import whole_view
    from refine.viz.overlay import MIN_SIDE, pair, side_of

    photo = result.photos[image].pixels
    view = whole_view(photo, min(MIN_SIDE, PHOTO_PX), PHOTO_PX)
    # Without the detections: those of whole bodies, 133 points, hide what one wants to see.
    sides = [side_of(estimate, photo, image, None) for estimate in (result.estimate, result.refined)]
    (before, after), _ = pair(photo, sides[0], sides[1], view)
    return _jpeg(before), _jpeg(after), f"{before.shape[1]} / {before.shape[0]}"


def _jpeg(pixels: UInt8[np.ndarray, "H W 3"]) -> str:
    """Return a picture as a data URL."""
    import cv2

    done, code = cv2.imencode(".jpg", np.ascontiguousarray(pixels[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    assert done
    return f"data:image/jpeg;base64,{base64.b64encode(code.tobytes()).decode()}"
