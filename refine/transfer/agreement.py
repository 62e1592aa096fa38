"""What a source says twice must agree: its joints and vertices, and the rotations it stores beside them.

An order of the joints is right where these follow from the rotations (`refine/transfer/joint_fit.py`). Else another
known order is taken if its misfit is below half the next best's; else the joints are set aside. Vertices with names are
held against the rotations in the same way.

Source: derived here; the orders, and where they come from: `refine/transfer/joint_orders.py`.
"""

import logging
from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from refine.body.keypoint_names import SMPL22
from refine.body.landmarks_smpl import SMPL_VERTICES, SMPLX_VERTICES
from refine.body.skinned_body import SkinnedBody
from refine.body.smpl_joints import BODY_JOINTS
from refine.estimate import Source
from refine.estimate.pelvis import REST_PELVIS_M
from refine.geometry.camera import Camera
from refine.transfer.joint_fit import FEWEST, Fit, fit, of_the_body
from refine.transfer.joint_orders import BODY25_OF_SMPL, HMR2_44, ORDERS, OWN, Names, names_of, posed_points
from refine.transfer.own_joints import own_joints

LOGGER = logging.getLogger(__name__)

LEADING = (OWN["smpl"], OWN["smplh"], OWN["smplx"], BODY25_OF_SMPL, HMR2_44)
"""Orders that may have anything behind them."""

MESHES = {("smpl", 6890): SMPL_VERTICES, ("smplh", 6890): SMPL_VERTICES, ("smplx", 10475): SMPLX_VERTICES}
"""Vertices with names."""


def agreeing(source: Source, camera: Camera | None = None, body: SkinnedBody | None = None) -> Source:
    """Return a source whose joints are what they are called, the model's own first.

    Args:
        source: What the regressor stored; `joint_names` says what its joints are; empty: the model's own first
            (`names_of`).
        camera: One camera, or one a body, in whose frame the joints are: for the pixels of joints that are added.
        body: The model the source is put on. One of its own family whose skeleton is not that family's is no measure:
            nothing is judged.

    Returns:
        The same where everything agrees. A list that does not begin with the model's own joints stands behind these,
        which are made of it and the rotations (`own_joints`). What contradicts the rotations is set aside (`joints`,
        `vertices` None, or the joints of single bodies replaced by those of their rotations), said in `doubts` and, as
        a warning, to the log.
    """
    if source.model not in OWN or not len(source):
        return source
    listed = source.joints if source.joints is not None and source.joints.shape[1] else None
    if body is not None and body.model == source.model and not _is_known(body):
        return source if listed is None else _in_order(source, listed, _called(source, listed), camera)
    settled = _vertices(source)
    if listed is not None:
        settled = _joints(settled, listed, camera)
    where = f"{source.path or source.format}"
    for doubt in settled.doubts[len(source.doubts) :]:
        LOGGER.warning("%s: %s", where, doubt)
    return settled


def _vertices(source: Source) -> Source:
    """Set stored vertices aside that do not follow from the rotations, as far as vertices with names tell."""
    surface = source.vertices
    named = None if surface is None else MESHES.get((source.model, surface.shape[1]))
    if surface is None or named is None:
        return source
    found = fit(surface[:, list(named.values())], tuple(named), source)
    if not bool(found.wrong.any()):
        return source
    doubt = f"{_told(found, tuple(named), 'vertices')} They are set aside."
    return replace(source, vertices=None, doubts=(*source.doubts, doubt))


def _joints(source: Source, stored: Tensor, camera: Camera | None) -> Source:
    """Return the source with joints that are what they are called."""
    names = supposed = _called(source, stored)
    found = fit(stored, of_the_body(names, source.model), source)
    if found.many:
        other = _other_order(source, stored, names, found)
        if other is None:
            doubt = f"{_told(found, names, 'joints')} They are set aside: how large people are is a guess."
            return _without(source, stored, (*source.doubts, doubt))
        words, names = other
        doubt = f"{_told(found, supposed, 'joints')} They do in another order, {words}: they are taken as that."
        source = replace(source, doubts=(*source.doubts, doubt))
        found = fit(stored, of_the_body(names, source.model), source)
    source = _in_order(source, stored, names, camera)
    if bool(found.wrong.any()):
        doubt = f"{_told(found, names, 'joints')} Theirs are set aside, and those of their rotations stand for them."
        source = _rows_replaced(replace(source, doubts=(*source.doubts, doubt)), stored, found.wrong)
    return _beyond(source, found.wrong)


def _called(source: Source, stored: Tensor) -> Names:
    """Return what the source's joints are called."""
    return source.joint_names or names_of(source.model, stored.shape[1])


def _is_known(body: SkinnedBody) -> bool:
    """Say whether a model's joints at rest lie where its family's do."""
    count = len(body.joint_names)
    if count != len(OWN[body.model]):
        return False
    upright = torch.eye(3).expand(1, count, 3, 3)
    nothing = torch.zeros(1, 0)
    rest = body.joint_template[None].detach().cpu().float()
    return not bool(fit(rest, SMPL22, Source("", body.model, upright, nothing, nothing)).wrong.any())


def _beyond(source: Source, known_wrong: Bool[Tensor, "B"]) -> Source:
    """Say of what stands behind the body's own joints whether it is what it is called."""
    assert source.joints is not None
    found = fit(source.joints, source.joint_names, source)
    found = replace(found, wrong=found.wrong & ~known_wrong)
    if not bool(found.wrong.any()):
        return source
    told = _told(found, source.joint_names, "joints beyond the body's own")
    names = source.joint_names[:BODY_JOINTS] + ("",) * (len(source.joint_names) - BODY_JOINTS)
    doubt = f"{told} What they are is not known: only the body's are used."
    return replace(source, joint_names=names, doubts=(*source.doubts, doubt))


def _other_order(source: Source, stored: Tensor, names: Names, found: Fit) -> tuple[str, Names] | None:
    """Return the title and the names of another order the points are in, None where there is none."""
    count = stored.shape[1]
    tried: list[tuple[float, bool, str, Names]] = [(found.median, True, "", names)]
    for words, order in ORDERS.items():
        if len(order) != count and not (len(order) < count and order in LEADING):
            continue
        spread = order + ("",) * (count - len(order))
        one = fit(stored, of_the_body(spread, source.model), source)
        if float(one.misfit.max()) > 0:  # else too few of its points are known
            tried.append((one.median, one.many, words, spread))
    tried.sort(key=lambda one: one[0])
    misfit, wrong, words, order = tried[0]
    rivals = [other for other, _, _, others in tried[1:] if _differ(order, others)]
    if wrong or (rivals and misfit > rivals[0] / 2):
        return None
    agreeing_too = [(names, words) for _, no, words, names in tried if not no and not _differ(order, names)]
    fitting = [one for one in agreeing_too if not fit(stored, one[0], source).many]
    names, words = max(fitting, key=lambda one: sum(map(bool, one[0])), default=(order, words))
    return words, names


def _differ(one: Names, other: Names) -> bool:
    """Say whether two orders call a point by two names."""
    return any(a != b for a, b in zip(one, other, strict=True) if a and b)


def _in_order(source: Source, stored: Tensor, names: Names, camera: Camera | None) -> Source:
    """Return the source with the model's own joints first."""
    if names[:BODY_JOINTS] == SMPL22 or sum(map(bool, names)) < FEWEST:
        return replace(source, joint_names=names)
    own = own_joints(stored, names, source.pose.to(stored), source.model)
    if (
        source.translation is not None and OWN[source.model][0] not in names
    ):  # what is regressed says the pelvis no better than the mean body
        own = own - own[:, :1] + (source.translation + _mean_pelvis(source)).to(own)[:, None]
    pixels = source.keypoints_2d
    if pixels is not None and camera is not None and pixels.shape[1] == stored.shape[1]:
        spread = camera if len(camera) == len(own) else camera[torch.zeros(len(own), dtype=torch.long)]
        pixels = torch.cat((spread.local.to("cpu", torch.float32).project(own.float()).to(pixels), pixels), 1)
    return replace(
        source, joints=torch.cat((own, stored), 1), joint_names=OWN[source.model] + names, keypoints_2d=pixels
    )


def _rows_replaced(source: Source, stored: Tensor, wrong: Bool[Tensor, "B"]) -> Source:
    """Return the source with the own joints of some bodies as their rotations and a mean body make them."""
    assert source.joints is not None
    own = _by_rotations(source, stored)
    joints = source.joints.clone()
    width = min(own.shape[1], joints.shape[1])
    joints[wrong, :width] = own[wrong, :width].to(joints)
    return replace(source, joints=joints)


def _without(source: Source, stored: Tensor, doubts: tuple[str, ...]) -> Source:
    """Return the source without joints; where only these placed it, the middle of them does."""
    place = source.translation
    if place is None:
        pelvis = _by_rotations(source, stored)[:, 0]
        place = pelvis - _mean_pelvis(source)
    return replace(source, joints=None, joint_names=(), translation=place, doubts=doubts)


def _mean_pelvis(source: Source) -> Float[Tensor, "3"]:
    """Return where the mean body of the source's model has its pelvis at rest, m."""
    return source.pose.new_tensor(REST_PELVIS_M.get(source.model, REST_PELVIS_M["smpl"]))


def _by_rotations(source: Source, stored: Tensor) -> Float[Tensor, "B J 3"]:
    """Return a mean body's own joints in the source's rotations, placed by the middle of the stored joints."""
    known, points = posed_points(source.pose.to(stored), source.model)
    names = _called(source, stored)[-stored.shape[1] :]
    places = [place for place, name in enumerate(names) if name in known]
    middle = points[:, [known.index(names[place]) for place in places]].mean(1, keepdim=True)
    return (points - middle + stored[:, places].mean(1, keepdim=True))[:, : len(OWN[source.model])]


def _told(found: Fit, names: Names, what: str) -> str:
    """Say which bodies contradict themselves, and where most."""
    rows = found.wrong.nonzero()[:, 0]
    row = int(rows[found.misfit[rows].argmax()])
    joint, count = int(found.worst[row]), len(rows)
    who = f"Person {row + 1}" if count == 1 else f"{count} of {int(found.asked.sum())} people"
    name = names[joint] if joint < len(names) and names[joint] else f"number {joint}"
    away = 1000 * float(found.misfit[row])
    worst = (
        f"the worst, {name}, lies {away:.0f} mm from where they put it" if away >= 1 else "they all lie in one place"
    )
    return f"{who}: the stored {what} do not follow from the stored rotations ({worst})."
