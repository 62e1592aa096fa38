"""Usable rows of a source: finite numbers, and a position at which a camera can see a person.

    unusable    a number that is not finite
                a pelvis nearer than `NEAREST_M`, or a height in the photo f · 1.7 m / z > `MOST_PHOTOS` longer sides
                a pelvis beyond `FAR_M` with f · 1.7 m / z < max(8 px, 0.5 % of the longer side)

Unusable rows stay in the estimate, are never refined, and are written back unchanged. A file is refused where rows have
finite numbers, but none a possible position. A row whose numbers are not finite affects no other: a stand-in takes its
place (`Source.without_numbers`), and its figures in a `Result` are NaN.

The size in the photo is judged rather than the distance: f = 5000 px puts people at 40 to 80 m, weak perspective with a
long lens at 400 m.

Source: derived here; 1.7 m is the stature of the mean SMPL body.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from refine.errors import InputError
from refine.estimate.estimate import Estimate
from refine.estimate.pelvis import source_pelvis
from refine.estimate.source import Source
from refine.geometry.camera import Camera
from refine.state import Bodies

NEAREST_M = 0.3
"""Least distance of a pelvis: where a head fills the photo it is at half a metre."""

MOST_PHOTOS = 20.0
"""Largest height of a body over the photo's longer side; a portrait of the eyes alone has about 20."""

FAR_M = 200.0
"""Up to this distance any size is accepted."""

LEAST_PX, LEAST_SHARE = 8.0, 0.005
"""Least height of a body in the photo, px and share of its longer side. A smaller one cannot have been estimated from
it: the position is in mm or cm, or in another frame."""

STATURE_M = 1.7

BEHIND_M = -1.0
"""Depth of a stand-in: behind the camera, where nothing takes it for a person."""

PLACES = (
    "transl", "trans", "pred_cam_t_full", "pred_cam_t", "cam_trans", "global_t", "pred_trans", "orig_cam_t",
    "camera_translation", "Th", "root_trans_cam", "smplx_translation", "transl_pelvis",
)  # fmt: skip
"""Keys under which systems store a position, to be named in errors."""


_JUDGED: ContextVar[bool] = ContextVar("whether places are judged", default=True)


@contextmanager
def places_unjudged() -> Iterator[None]:
    """Turn `check_places` off within this context, for callers that diagnose or correct positions themselves."""
    token = _JUDGED.set(False)
    try:
        yield
    finally:
        _JUDGED.reset(token)


def with_stand_ins(source: Source, camera: Camera) -> tuple[Source, Camera]:
    """Replace rows whose numbers are not finite by stand-ins, and mark them.

    Args:
        source: The source of B bodies; its `arrays` are not changed.
        camera: One camera a row.

    Returns:
        Both, finite unless no camera is although all rows of the source are. A stand-in is another row, moved behind
        the camera; where no row is finite, the rest pose.
    """
    parts = (source.pose, source.betas, source.expression, source.translation, source.joints)
    of_source = _not_finite(parts, len(source))
    missing = of_source | _not_finite((camera.focal, camera.center, camera.size), len(source))
    if not bool(missing.any()) or (bool(missing.all()) and not bool(of_source.any())):
        return source, camera
    if bool(missing.all()):
        return _rest_poses(source, missing), _finite_cameras(camera)
    finite = int((~missing).nonzero()[0, 0])
    rows = torch.where(missing, finite, torch.arange(len(source)))
    stood = source.rows(rows)
    depth = (
        stood.joints[:, 0, 2]
        if stood.joints is not None
        else stood.translation[:, 2]
        if stood.translation is not None
        else torch.zeros(1)
    )
    step = torch.where(missing, BEHIND_M - depth.detach(), torch.zeros(()))[:, None] * torch.tensor([0.0, 0.0, 1.0])
    moved = {
        name: None if part is None else part + (step if part.dim() == 2 else step[:, None]).to(part)
        for name, part in (("translation", stood.translation), ("joints", stood.joints), ("vertices", stood.vertices))
    }
    persons = source.persons
    marked = replace(stood, **moved, persons=persons, unusable=missing, without_numbers=missing)  # type: ignore[arg-type]
    return marked, camera[rows.to(camera.focal.device)]


def check_places(estimate: Estimate) -> Estimate:
    """Mark the rows at positions where no camera can see a person.

    Args:
        estimate: B bodies.

    Returns:
        The estimate, such rows added to `source.unusable`, and a note about them.

    Raises:
        InputError: No other row is usable; the message names the key of the position.
    """
    source, camera = estimate.source, estimate.camera
    if not len(estimate) or not _JUDGED.get():
        return estimate
    unusable = torch.zeros(len(estimate), dtype=torch.bool) if source.unusable is None else source.unusable
    pelvis = source_pelvis(source).to(camera.focal)  # in the file's own scale, whatever the estimate's model
    depth = pelvis[:, 2].detach().cpu()
    side = camera.size.detach().cpu().amax(1)
    tall = camera.focal.detach().cpu().mean(1) * STATURE_M / depth.clamp(min=1e-6)  # (B,) px
    near = ~unusable & ((depth < NEAREST_M) | (tall > MOST_PHOTOS * side))
    far = ~unusable & (depth > FAR_M) & (tall < torch.clamp(LEAST_SHARE * side, min=LEAST_PX))
    wrong = near | far
    if bool(wrong.any()) and bool((wrong | unusable).all()):
        raise _refusal(source, float(depth[wrong][0]), float(tall[wrong][0]), near=bool(near[wrong][0]))
    notes = estimate.notes + note_without_numbers(source)
    if bool(wrong.any()):
        is_, it = ("is", "it") if int(wrong.sum()) == 1 else ("are", "they")
        notes += (f"{_people(wrong)} {is_} nearer or farther than a camera can see a person: left as {it} came.",)
    if not bool((wrong | unusable).any()):
        return estimate
    return replace(estimate, source=replace(source, unusable=wrong | unusable), notes=notes)


def without_numbers(source: Source) -> Bool[Tensor, "B"]:
    """Return which rows (B,) are stand-ins for numbers that are not finite, on the CPU."""
    marked = source.without_numbers
    return torch.zeros(len(source), dtype=torch.bool) if marked is None else marked.cpu()


def note_without_numbers(source: Source) -> tuple[str, ...]:
    """Return the note about people without usable numbers; empty where there are none."""
    missing = without_numbers(source)
    if not bool(missing.any()):
        return ()
    has, it = ("has", "it") if int(missing.sum()) == 1 else ("have", "they")
    return (f"{_people(missing)} {has} no usable numbers (NaN or infinite): left as {it} came.",)


def blank(values: Float[Tensor, "B ..."], source: Source) -> Float[Tensor, "B ..."]:
    """Return values of B people, NaN in the rows of those without usable numbers.

    Args:
        values: (B, ...), computed from the estimate's bodies.
        source: Their source.
    """
    if source.without_numbers is None:
        return values
    missing = source.without_numbers.to(values.device)
    return values.masked_fill(missing.reshape(-1, *[1] * (values.dim() - 1)), torch.nan)


def blank_bodies(bodies: Bodies, source: Source) -> Bodies:
    """Return bodies, NaN in the rows of people without usable numbers."""
    parts = (bodies.pose, bodies.shape, bodies.expression, bodies.translation)
    return bodies if source.without_numbers is None else Bodies(*(blank(part, source) for part in parts))


def known_cameras(estimate: Estimate, camera: Camera) -> Camera:
    """Return a file's cameras, those of unusable rows replaced by the estimate's, since they may not be finite."""
    unusable = estimate.source.unusable
    if unusable is None or not bool(unusable.any()):
        return camera
    own, rows = estimate.camera, unusable.to(camera.focal.device)[:, None]
    focal, center, size = (
        torch.where(rows, getattr(own, name), getattr(camera, name)) for name in ("focal", "center", "size")
    )
    return replace(camera, focal=focal, center=center, size=size)


def usable_rows(estimate: Estimate) -> Bool[Tensor, "B"]:
    """Return which rows (B,) may be refined, on the CPU."""
    unusable = estimate.source.unusable
    return torch.ones(len(estimate), dtype=torch.bool) if unusable is None else ~unusable


def place_key(source: Source) -> str:
    """Return the file's key of its people's position; "transl" where it is nested."""
    arrays: Mapping[str, object] = source.arrays
    if source.translation is None:
        return "joints"
    file = arrays.get("refine_file")  # parameters under other names keep where each stands (`formats._spelling`)
    if isinstance(file, Mapping):
        return next((keys[-1] for public, keys, *_ in file["pieces"] if public == "transl"), "transl")
    return next((name for name in PLACES if name in arrays), "transl")


def _refusal(source: Source, depth: float, tall: float, *, near: bool) -> InputError:
    key = place_key(source)
    where = f"{source.path or source.format}: {key}"
    got = f"a pelvis at z = {depth:.2f} m"
    if key == "joints":
        advice = (
            "These joints are relative to the root, not in the camera's frame: store transl, or joints with it added."
        )
        if "cam_trans" in source.arrays:
            advice += " The names are ROMP's: its place is in cam and cam_trans."
        return InputError(where, "joints in the camera's frame, metres", got, advice)
    advice = (
        "It must be metres in the camera's frame (x right, y down, z forward), made with this camera's focal length."
    )
    if near:
        return InputError(where, f"people in front of the camera, {NEAREST_M:g} m or farther", got, advice)
    got += f", {tall:.1f} px tall in the photo"
    return InputError(where, "people at a distance from which they can be seen", got, f"Is it in mm or cm? {advice}")


def _not_finite(parts: Sequence[Tensor | None], count: int) -> Bool[Tensor, "B"]:
    """Return the rows (B,) in which some number is not finite; parts with another number of rows are skipped."""
    missing = torch.zeros(count, dtype=torch.bool)
    for part in parts:
        if part is not None and len(part) == count:
            missing |= ~part.detach().cpu().isfinite().flatten(1).all(1)
    return missing


def _rest_poses(source: Source, missing: Tensor) -> Source:
    """Return a source of rest poses behind the camera, in place of one without finite rows."""
    count = len(source)
    place = torch.tensor([0.0, 0.0, BEHIND_M]).expand(count, 3)
    pose = torch.eye(3).expand_as(source.pose).clone()
    shape, expression = torch.zeros_like(source.betas), torch.zeros_like(source.expression)
    return replace(
        source, pose=pose, betas=shape, expression=expression, translation=place, joints=None, vertices=None,
        keypoints_2d=None, unusable=missing, without_numbers=missing,
    )  # fmt: skip


def _finite_cameras(camera: Camera) -> Camera:
    """Return the cameras, those that are not finite replaced by one that is, or by a usual one."""
    parts = torch.cat((camera.focal, camera.center, camera.size), 1)
    good = parts.isfinite().all(1)
    usual = torch.tensor([1000.0, 1000.0, 500.0, 500.0, 1000.0, 1000.0]).to(parts)
    filled = torch.where(good[:, None], parts, parts[good][0] if bool(good.any()) else usual)
    return replace(camera, focal=filled[:, :2], center=filled[:, 2:4], size=filled[:, 4:])


def _people(rows: Tensor) -> str:
    """Return 'Person 3' or '4 people (1, 2, 5, ...)'."""
    numbers = [row + 1 for row in rows.nonzero()[:, 0].tolist()]
    if len(numbers) == 1:
        return f"Person {numbers[0]}"
    return f"{len(numbers)} people ({', '.join(map(str, numbers[:5]))}{', ...' if len(numbers) > 5 else ''})"
