"""What each prior costs: milliseconds a body and step, residual and Jacobian, at batch 64 on one core."""

import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch

import priors
from refine.body import SkinnedBody, anny, pose_body
from refine.errors import InputError
from refine.evaluate.disturbance import disturb
from refine.evaluate.people import people
from refine.state import State, Unknowns
from refine.terms import Term
from tests.benchmarks.measurement import Measurement, best_seconds

BATCH = 64
TARGET_MS = 0.3
REPEATS = 30
JOINTS = tuple(range(22))
"""SMPL-X's joints without jaw, eyes and fingers: what is free by default."""


@dataclass(frozen=True)
class Setting:
    """What priors are made for.

    Attributes:
        body: The built-in body.
        state: 64 people, as a medium estimate has them.
        unknowns: The columns.
    """

    body: SkinnedBody
    state: State
    unknowns: Unknowns


@dataclass(frozen=True)
class Prior:
    """How a prior is made and what it may cost.

    Attributes:
        module: Where it lives.
        make: From its class and the setting, the term.
        target_ms: A body and step.
        all_free: Whether fingers, jaw, eyes and expression are free too, because it speaks of some of them.
    """

    module: str
    make: Callable[[type, Setting], Term]
    target_ms: float = TARGET_MS
    all_free: bool = False


def _ground_plane(kind: type, setting: Setting) -> Term:
    points = importlib.import_module("priors.ground_points").ground_points(setting.body)
    normal = torch.tensor([0.0, -1.0, 0.0]).expand(BATCH, 3)
    contact = (points.on("left_sole") | points.on("right_sole")).expand(BATCH, -1)
    return kind(points, normal, torch.full((BATCH,), 1.0), contact)


def _measurements(kind: type, setting: Setting) -> Term:
    return kind(setting.body, torch.full((BATCH,), 1.75), torch.full((BATCH,), 70.0))


def _alone(kind: type, setting: Setting) -> Term:
    return kind()


def _shipped(kind: type, setting: Setting) -> Term:
    return kind.shipped()


PRIORS = {
    "NearEstimate": Prior("priors.near_estimate", lambda kind, setting: kind(setting.state.bodies.pose)),
    "NearTranslation": Prior("priors.near_estimate", lambda kind, setting: kind(setting.state.bodies.translation)),
    "NearFocal": Prior("priors.near_focal", lambda kind, setting: kind(setting.state.camera.focal)),
    "NearShape": Prior("priors.near_shape", lambda kind, setting: kind(setting.state.bodies.shape)),
    "NearExpression": Prior(
        "priors.near_expression", lambda kind, setting: kind(setting.state.bodies.expression), all_free=True
    ),
    "JointLimits": Prior("priors.joint_limits", _alone),
    "BendingLimits": Prior("priors.bending_limits", _alone),
    "GaussianMixturePose": Prior("priors.mixture_pose", _shipped),
    "LatentPose": Prior("priors.latent_pose", _shipped),
    "GaussianShape": Prior("priors.gaussian_shape", _alone),
    "FixedShape": Prior("priors.fixed_shape", lambda kind, setting: kind(setting.state.bodies.shape[0])),
    "KnownMeasurements": Prior("priors.known_measurements", _measurements),
    "SelfPenetration": Prior("priors.self_penetration", _alone, target_ms=1.0),
    "HandPose": Prior("priors.hand_pose", _alone, all_free=True),
    "GroundPlane": Prior("priors.ground_plane", _ground_plane),
}
"""By class name. A prior whose module or shipped file is not there is reported as absent."""


def measure() -> list[Measurement]:
    """Return priors.<name>, one for each prior that is there and needs no file of the user's."""
    check_all_are_measured()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        body = anny.load()
        state = disturb(body, people(body, BATCH), "medium", range(BATCH))
        measured = [_measure(name, prior, body, state) for name, prior in PRIORS.items()]
        return [one for one in measured if one is not None]
    finally:
        torch.set_num_threads(threads)


def check_all_are_measured() -> None:
    """A public prior that is not in the table is a mistake of this page."""
    public = {name: getattr(priors, name) for name in priors.__all__}
    forgotten = sorted(name for name, found in public.items() if hasattr(found, "linearize") and name not in PRIORS)
    if forgotten:
        raise ValueError(f"tests/benchmarks/priors.py: expected a row for each prior, none for {', '.join(forgotten)}")


def _measure(name: str, prior: Prior, body: SkinnedBody, state: State) -> Measurement | None:
    shapes, expressions = body.shape_basis.shape[2], body.expression_basis.shape[2]
    everything = Unknowns(tuple(range(len(body.joint_names))), shapes, expressions, focal=1)
    setting = Setting(body, state, everything if prior.all_free else Unknowns(JOINTS, shapes, focal=1))
    try:
        term = prior.make(getattr(importlib.import_module(prior.module), name), setting)
    except (ModuleNotFoundError, AttributeError, InputError) as absent:
        print(f"priors.{name}: absent ({absent})", file=sys.stderr)
        return None
    posed = pose_body(body, state.bodies)
    seconds = best_seconds(partial(term.linearize, state, posed, setting.unknowns), REPEATS)
    note = f"{name}: per body and step, P = {setting.unknowns.size}, batch {BATCH}, one core"
    return Measurement(f"priors.{_key(name)}", 1e3 * seconds / BATCH, "ms", "lower", 1.0, note, prior.target_ms)


def _key(name: str) -> str:
    """NearEstimate -> near_estimate."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")
