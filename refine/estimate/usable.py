"""Which rows of a source can be used: numbers that are finite, and a place at which a camera can see a person.

    unusable    a number that is not finite;  a pelvis nearer than `NEAREST_M`, or a body that would fill the photo `MOST_PHOTOS` times over;
                a pelvis beyond `FAR_M` of a body that is too small to have been estimated:  f · 1.7 m / z < max(8 px, 0.5 % of the longer side)

Unusable rows stay in the estimate, are never refined, and are written back as they came. Where no row has a place at
which a camera can see a person, and some have numbers, the file is refused. A row whose numbers are not finite is its
own misfortune and never the file's: for the arithmetic a stand-in takes its place (`Source.without_numbers`), and what
a `Result` says of it is NaN.

A distance alone says little: f = 5000 px puts people at 40 to 80 m, weak perspective kept by a long lens at 400 m. What
is judged is the body's size in the photo.

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
"""A pelvis nearer than this to the camera is no person's: even of a head that fills the photo it is at half a metre."""

MOST_PHOTOS = 20.0
"""Heights of the body over the photo's longer side; a portrait of the eyes alone has about 20."""

FAR_M = 200.0
"""Up to here any size is believed."""

LEAST_PX, LEAST_SHARE = 8.0, 0.005
"""A body that is less tall in the photo, px or share of its longer side, was never estimated from it: its place is in
mm or cm, or of another frame."""

STATURE_M = 1.7

BEHIND_M = -1.0
"""Where a row without numbers stands: behind the camera, so that nothing takes it for a person."""

PLACES = (
    "transl", "trans", "pred_cam_t_full", "pred_cam_t", "cam_trans", "global_t", "pred_trans", "orig_cam_t", "camera_translation", "Th",
    "root_trans_cam", "smplx_translation", "transl_pelvis",
)  # fmt: skip
"""Names under which systems store a place, by which a refusal names the key."""


_JUDGED: ContextVar[bool] = ContextVar("whether places are judged", default=True)


@contextmanager
def places_unjudged() -> Iterator[None]:
    """Read files within this without asking whether their places can be: who looks for what is wrong with them, or puts it right, asks later."""
    token = _JUDGED.set(False)
    try:
        yield
    finally:
        _JUDGED.reset(token)


def with_stand_ins(source: Source, camera: Camera) -> tuple[Source, Camera]:
    """Put stand-ins into rows whose numbers are not finite, and say which these are.

    Args:
        source: The regressor's words; its `arrays` keep their numbers.
        camera: One camera a row.

    Returns:
        Both, finite unless all rows have numbers and no camera has. A stand-in is another row, moved behind the camera;
        where no row has numbers, the rest pose.
    """
    parts = (source.pose, source.betas, source.expression, source.translation, source.joints)
    unsaid = _not_finite(parts, len(source))
    lost = unsaid | _not_finite((camera.focal, camera.center, camera.size), len(source))
    if not bool(lost.any()) or (bool(lost.all()) and not bool(unsaid.any())):
        return source, camera
    if bool(lost.all()):
        return _nobody(source, lost), _like_any(camera, lost)
    model = int((~lost).nonzero()[0, 0])
    rows = torch.where(lost, model, torch.arange(len(source)))
    stood = source.rows(rows)
    depth = (
        stood.joints[:, 0, 2]
        if stood.joints is not None
        else stood.translation[:, 2]
        if stood.translation is not None
        else torch.zeros(1)
    )
    step = torch.where(lost, BEHIND_M - depth.detach(), torch.zeros(()))[:, None] * torch.tensor([0.0, 0.0, 1.0])
    moved = {
        name: None if part is None else part + (step if part.dim() == 2 else step[:, None]).to(part)
        for name, part in (("translation", stood.translation), ("joints", stood.joints), ("vertices", stood.vertices))
    }
    persons = source.persons
    marked = replace(stood, **moved, persons=persons, unusable=lost, without_numbers=lost)  # type: ignore[arg-type]
    return marked, camera[rows.to(camera.focal.device)]


def check_places(estimate: Estimate) -> Estimate:
    """Mark the rows that lie where no camera can see a person.

    Args:
        estimate: B bodies.

    Returns:
        The estimate, such rows added to `source.unusable`, and a note about them.

    Raises:
        InputError: There are no others; the message names the key that places them.
    """
    source, camera = estimate.source, estimate.camera
    if not len(estimate) or not _JUDGED.get():
        return estimate
    lost = torch.zeros(len(estimate), dtype=torch.bool) if source.unusable is None else source.unusable
    pelvis = source_pelvis(source).to(camera.focal)  # in the file's own scale, whatever body it was put on
    depth = camera.transform(pelvis[:, None])[:, 0, 2].detach().cpu()
    side = camera.size.detach().cpu().amax(1)
    tall = camera.focal.detach().cpu().mean(1) * STATURE_M / depth.clamp(min=1e-6)  # (B,) px
    near = ~lost & ((depth < NEAREST_M) | (tall > MOST_PHOTOS * side))
    far = ~lost & (depth > FAR_M) & (tall < torch.clamp(LEAST_SHARE * side, min=LEAST_PX))
    wrong = near | far
    if bool(wrong.any()) and bool((wrong | lost).all()):
        raise _refusal(source, float(depth[wrong][0]), float(tall[wrong][0]), near=bool(near[wrong][0]))
    notes = estimate.notes
    notes += said_without_numbers(source)
    if bool(wrong.any()):
        is_, it = ("is", "it") if int(wrong.sum()) == 1 else ("are", "they")
        notes += (f"{_people(wrong)} {is_} nearer or farther than a camera can see a person: left as {it} came.",)
    if not bool((wrong | lost).any()):
        return estimate
    return replace(estimate, source=replace(source, unusable=wrong | lost), notes=notes)


def without_numbers(source: Source) -> Bool[Tensor, "B"]:
    """Return which rows have no usable numbers (B,), on the CPU: a stand-in is there, of which nothing may be said."""
    marked = source.without_numbers
    return torch.zeros(len(source), dtype=torch.bool) if marked is None else marked.cpu()


def said_without_numbers(source: Source) -> tuple[str, ...]:
    """Return the sentence about the people without usable numbers; none where all have some."""
    lost = without_numbers(source)
    if not bool(lost.any()):
        return ()
    has, it = ("has", "it") if int(lost.sum()) == 1 else ("have", "they")
    return (f"{_people(lost)} {has} no usable numbers (NaN or infinite): left as {it} came.",)


def blank(values: Float[Tensor, "B ..."], source: Source) -> Float[Tensor, "B ..."]:
    """Return values of B people, NaN in the rows of those without usable numbers.

    Args:
        values: (B, ...), made of the bodies that stand in the estimate.
        source: Says which rows these are.
    """
    if source.without_numbers is None:
        return values
    lost = source.without_numbers.to(values.device)
    return values.masked_fill(lost.reshape(-1, *[1] * (values.dim() - 1)), torch.nan)


def blank_bodies(bodies: Bodies, source: Source) -> Bodies:
    """Return bodies, NaN where the people have no usable numbers."""
    parts = (bodies.pose, bodies.shape, bodies.expression, bodies.translation)
    return bodies if source.without_numbers is None else Bodies(*(blank(part, source) for part in parts))


def known_cameras(estimate: Estimate, camera: Camera) -> Camera:
    """Return a file's cameras, those of unusable rows as the estimate has them: theirs may have no numbers either."""
    unusable = estimate.source.unusable
    if unusable is None or not bool(unusable.any()):
        return camera
    own, lost = estimate.camera, unusable.to(camera.focal.device)[:, None]
    focal, center, size = (
        torch.where(lost, getattr(own, name), getattr(camera, name)) for name in ("focal", "center", "size")
    )
    return replace(camera, focal=focal, center=center, size=size)


def usable_rows(estimate: Estimate) -> Bool[Tensor, "B"]:
    """Return which rows may be refined (B,), on the CPU."""
    unusable = estimate.source.unusable
    return torch.ones(len(estimate), dtype=torch.bool) if unusable is None else ~unusable


def place_key(source: Source) -> str:
    """Return the file's own name of what places its people; ours where it is nested."""
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
    """Return in which of the rows (B,) some number is not finite; parts with another number of rows say nothing."""
    lost = torch.zeros(count, dtype=torch.bool)
    for part in parts:
        if part is not None and len(part) == count:
            lost |= ~part.detach().cpu().isfinite().flatten(1).all(1)
    return lost


def _nobody(source: Source, lost: Tensor) -> Source:
    """Return rest poses behind the camera in place of rows that are all without numbers."""
    count = len(source)
    place = torch.tensor([0.0, 0.0, BEHIND_M]).expand(count, 3)
    pose = torch.eye(3).expand_as(source.pose).clone()
    shape, expression = torch.zeros_like(source.betas), torch.zeros_like(source.expression)
    return replace(
        source, pose=pose, betas=shape, expression=expression, translation=place, joints=None, vertices=None,
        keypoints_2d=None, unusable=lost, without_numbers=lost,
    )  # fmt: skip


def _like_any(camera: Camera, lost: Tensor) -> Camera:
    """Return the cameras, those that are not finite replaced by one that is, or by a common one."""
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
