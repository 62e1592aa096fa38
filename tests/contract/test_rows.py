"""A body does not feel its batch: alone or among people of all kinds it comes out the same, through `refine.fit` and
through `refine run`."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import refine
from refine.body import SkinnedBody
from refine.demo.known import KnownDisplacement
from refine.demo.scene import make_scene
from refine.estimate import Estimate
from refine.geometry import rotation
from refine.solve import Verdict
from refine.state import State, Unknowns
from refine.terms import LeastSquares, Linearization, Term
from refine.trust.gate import Gate
from tests.folders import make_folder, run_over
from tests.people import Case, case

WHOLE, BODY_ONLY, ONE_HAND, NOTHING, BROKEN, AWAY, WRONG, STRANGER, KICK = range(9)
"""The people: seen with face and hands, without, with one hand alone, not at all, by evidence that is no number,
outside the photo, an estimate that is quite wrong, another person's keypoints, one wrong leg."""
HAND = 112
"""The first point of the right hand in coco133; the body's own are the first 23."""

EXACT_M = 1e-6
"""Double precision: what is left of rounding after the search."""
CLOSE_MM, MOST, OF_SIGMA = 0.1, 0.99, 0.05
"""Single precision: nearly all joints come this close, and none is further off than this share of its own stated
sigma."""
THRESHOLD = 0.01
"""Share of a threshold of the gate within which rounding may decide."""


@dataclass(frozen=True)
class Company:
    """`photos`, the people's `estimate`, and their `detections`; whose evidence is `broken` (B,)."""

    photos: list[np.ndarray]
    estimate: Estimate
    detections: refine.Detections
    broken: Tensor

    def fit(self, rows: Sequence[int], refiner: refine.Refiner | None = None) -> refine.Result:
        index = torch.tensor(rows)
        seen = replace(
            self.detections, pixel=self.detections.pixel[index], confidence=self.detections.confidence[index]
        )
        bad: tuple[Term, ...] = (Broken(self.broken[index]),) if bool(self.broken.any()) else ()
        return refine.fit(self.photos, self.estimate.rows(index), keypoints=seen, evidence=bad, refiner=refiner)


@dataclass(frozen=True)
class Broken:
    """Evidence that is not a number for some bodies (B,), and silent for the others."""

    bad: Tensor

    def linearize(self, state: State, posed: object, unknowns: Unknowns) -> Linearization:
        residual = torch.where(self.bad, torch.nan, 0.0).to(state.bodies.pose)[:, None, None]
        return Linearization(residual, residual[..., None].expand(-1, 1, 1, unknowns.size).clone(), LeastSquares())


def in_type(estimate: Estimate, dtype: torch.dtype) -> Estimate:
    return replace(estimate, body=estimate.body.to(dtype=dtype), state=estimate.state.to(dtype=dtype))


def company(body: SkinnedBody, dtype: torch.dtype) -> Company:
    """Nine people, one a photo, with bent fingers and an open mouth; estimates have neither."""
    people: Case = case(body, count=9, angle=0.12, name="coco133")
    draw = torch.Generator().manual_seed(5)
    turn = torch.zeros(9, len(body.joint_names), 3)
    turn[:, 22:] = 0.2 * torch.randn(9, len(body.joint_names) - 22, 3, generator=draw)
    turn[KICK, body.joint_names.index("left_hip"), 0] = -1.0
    true = replace(people.true.bodies, pose=people.true.bodies.pose @ rotation.exp(turn))
    pixel = replace(people.true, state=State(true, people.true.camera)).keypoints_2d("coco133")
    pixel = pixel + torch.randn(pixel.shape, generator=draw)
    pixel[STRANGER] = pixel[STRANGER].flip(0)
    confidence = torch.full(pixel.shape[:2], 0.9)
    confidence[BODY_ONLY, 23:] = confidence[ONE_HAND, 23:HAND] = confidence[NOTHING] = 0.0
    bodies = people.estimate.bodies
    place, error = bodies.translation.clone(), torch.zeros_like(turn)
    place[AWAY, 0] = 30.0
    error[WRONG, 1:22] = 0.5 * torch.randn(21, 3, generator=draw)
    wrong = replace(bodies, pose=bodies.pose @ rotation.exp(error), translation=place)
    estimate = in_type(replace(people.estimate, state=State(wrong, people.estimate.camera)), dtype)
    seen = refine.Detections("coco133", pixel.to(dtype), confidence.to(dtype))
    return Company(people.photos, estimate, seen, torch.arange(9) == BROKEN)


def away_mm(one: refine.Result, row: int, other: refine.Result, at: int) -> tuple[Tensor, Tensor]:
    """How far the joints of one body are from another's along each axis (J, 3) mm, pelvises together, and the pelvises;
    in sigmas too."""
    mine, its = one.joints[row], other.joints[at]
    apart = torch.cat((mine[:1] - its[:1], (mine[1:] - mine[:1]) - (its[1:] - its[:1]))).abs() * 1000
    sigma = one.sigma_mm[row]
    return apart, torch.where(apart > 0, apart / sigma, 0.0)


def near_a_threshold(verdict: Verdict, gate: Gate, said: float = 1.0) -> bool:
    """Whether a number of a verdict is so near a threshold of the gate that rounding may decide."""
    pairs = (
        (verdict.size, gate.most_size), (verdict.size, said * gate.most_size), (verdict.misfit, gate.most_misfit),
        (verdict.worse, gate.most_worse), (verdict.gain, -1.0), (verdict.shift, gate.most_shift),
        (verdict.enlarged, math.exp(gate.most_growth)), (verdict.enlarged, math.exp(-gate.most_growth)),
    )  # fmt: skip
    return any(value is not None and abs(value - limit) < THRESHOLD * abs(limit) for value, limit in pairs)


def check_same(together: refine.Result, alone: Sequence[tuple[list[int], refine.Result]], double: bool) -> None:
    """Hold bodies that were refined in smaller batches against the same ones in a larger."""
    every = []
    for rows, some in alone:
        for at, row in enumerate(rows):
            assert some.stop[at] == together.stop[row], row
            mine, its = some.judgement[at], together.judgement[row]
            if not double and near_a_threshold(its, Gate(), 0.75):
                continue
            assert (mine.decision, mine.kept) == (its.decision, its.kept), row
            assert some.explain()[at].joint_names == together.explain()[row].joint_names, row
            apart, sigmas = away_mm(some, at, together, row)
            surface = (some.vertices[at] - together.vertices[row]).norm(dim=-1)
            if double:
                assert float(surface.max()) < EXACT_M and float(apart.max()) < 1000 * EXACT_M, row
                assert torch.allclose(some.sigma_mm[at], together.sigma_mm[row], rtol=1e-6), row
                assert torch.allclose(some.cost[at], together.cost[row], rtol=1e-6, equal_nan=True), row
            assert float(sigmas.max()) < OF_SIGMA, row
            every.append(apart.norm(dim=-1))
    assert float((torch.cat(every) < CLOSE_MM).double().mean()) >= MOST


def test_a_person_without_hand_keypoints_does_not_feel_who_has_them(builtin_body: SkinnedBody) -> None:
    people = company(builtin_body, torch.float64)
    together, alone = people.fit([WHOLE, BODY_ONLY]), people.fit([BODY_ONLY])
    wide, narrow = together.rounds[-1].solution.unknowns, alone.rounds[-1].solution.unknowns
    assert wide.size > narrow.size and wide.free is not None and narrow.free is None
    assert int(wide.free[1].sum()) == narrow.size and bool(wide.free[0].all())
    check_same(together, [([1], alone)], double=True)
    information, covariance = together.rounds[-1].solution.information, together.rounds[-1].solution.covariance()
    gone = ~wide.free[1]
    assert not information[1, gone].any() and not covariance[1, gone].any() and not covariance[1, :, gone].any()
    places = wide.places_of(narrow)
    assert torch.allclose(
        covariance[1, places[:, None], places], alone.rounds[-1].solution.covariance()[0], rtol=1e-6, atol=1e-12
    )


def test_a_body_that_is_still_waits_for_the_last_round_and_gets_it(builtin_body: SkinnedBody) -> None:
    """Alone its rounds end early, among others they do not: it is taken to the same minimum by the same evidence."""
    people = case(builtin_body, count=2, angle=0.2)
    bodies, true = people.estimate.bodies, people.true.bodies
    perfect = torch.tensor([True, False])
    known = replace(
        bodies,
        pose=torch.where(perfect[:, None, None, None], true.pose, bodies.pose),
        translation=torch.where(perfect[:, None], true.translation, bodies.translation),
    )
    estimate = in_type(replace(people.estimate, state=State(known, people.estimate.camera)), torch.float64)

    def fit(rows: list[int]) -> refine.Result:
        true = in_type(people.true, torch.float64).rows(rows)
        refiner = refine.Refiner(displacer=KnownDisplacement(true), crop_px=64, rounds=4)
        return refine.fit(people.photos, estimate.rows(rows), refiner=refiner)

    together, alone = fit([0, 1]), fit([0])
    first, second, _, last = together.rounds
    assert torch.equal(first.state.bodies.pose[0], second.state.bodies.pose[0]) and int(second.solution.steps[0]) == 0
    assert not torch.equal(first.state.bodies.pose[1], second.state.bodies.pose[1])
    assert int(last.solution.steps[0]) > 0 and len(alone.rounds) == 2
    check_same(together, [([0], alone)], double=True)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["double", "single"])
def test_a_body_does_not_feel_its_batch(dtype: torch.dtype, builtin_body: SkinnedBody) -> None:
    people = company(builtin_body, dtype)
    parts = [[WHOLE], [BODY_ONLY], [ONE_HAND], [KICK, NOTHING], [BROKEN], [WRONG, AWAY], [STRANGER]]
    together = people.fit(range(9))
    assert together.judgement[WHOLE].accepted and together.judgement[KICK].kept == ("left leg",)
    assert not together.accepted[[NOTHING, BROKEN, AWAY, STRANGER]].any()
    check_same(together, [(rows, people.fit(rows)) for rows in parts], double=dtype == torch.float64)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["double", "single"])
def test_a_body_does_not_feel_its_batch_where_a_network_looks(dtype: torch.dtype, builtin_body: SkinnedBody) -> None:
    """One near the truth, which is still at once; one with nothing but the network; one outside the photo; one with
    whole-body keypoints."""
    still, bare, gone, whole = range(4)
    scene = make_scene(builtin_body, 4)
    bodies, true = scene.estimate.bodies, scene.true.bodies
    perfect = torch.arange(4) == still
    place = torch.where(perfect[:, None], true.translation, bodies.translation)
    place[gone, 0] = 30.0
    pose = torch.where(perfect[:, None, None, None], true.pose, bodies.pose)
    shape = torch.where(perfect[:, None], true.shape, bodies.shape)
    state = State(replace(bodies, pose=pose, shape=shape, translation=place), scene.estimate.camera)
    pixel = scene.true.keypoints_2d("coco133")
    confidence = torch.full(pixel.shape[:2], 0.9)
    confidence[[still, gone], 23:] = confidence[bare] = 0.0
    people = Company(
        [photo.pixels for photo in scene.photos], in_type(replace(scene.estimate, state=state), dtype),
        refine.Detections("coco133", pixel.to(dtype), confidence.to(dtype)), torch.zeros(4, dtype=torch.bool),
    )  # fmt: skip
    network, double = refine.Refiner.default(), dtype == torch.float64
    together = people.fit(range(4), network)
    assert together.accepted[[bare, whole]].all()
    check_same(together, [([row], people.fit([row], network)) for row in (still, bare, whole)], double)


@pytest.mark.slow
def test_a_folder_gives_the_same_whatever_the_size_of_its_chunks(builtin_body: SkinnedBody, tmp_path: Path) -> None:
    """Some photos' people have face and hands, others the body alone."""
    people = make_folder(builtin_body, tmp_path, 6)
    points = case(builtin_body, 6, name="openpose137").detections.pixel - 0.5
    for row, name in enumerate(people.names):
        whole = torch.cat((points[row], torch.ones(137, 1)), -1)
        whole[25:] *= row % 2
        parts = {"pose": whole[:25], "hand_left": whole[25:46], "hand_right": whole[46:67], "face": whole[67:]}
        content = {f"{part}_keypoints_2d": numbers.flatten().tolist() for part, numbers in parts.items()}
        path = people.keypoints / f"{name}_keypoints.json"
        path.write_text(json.dumps({"version": 1.3, "people": [content]}))
    found = {}
    for size in (1, 4, 64):
        options = {"keypoints": people.keypoints, "jobs": 1, "chunk_size": size, "save_npz": True}
        run_over(people.results, people.images, tmp_path / f"out{size}", **options)  # type: ignore[arg-type]
        found[size] = [refine.load(tmp_path / f"out{size}" / f"{name}_refine.npz") for name in people.names]
    assert sum(bool(one.accepted) for one in found[1]) >= 4
    for size in (4, 64):
        every = []
        for one, other in zip(found[1], found[size], strict=True):
            assert one.judgement[0].decision == other.judgement[0].decision
            apart, sigmas = away_mm(one, 0, other, 0)
            assert not bool(sigmas.isnan().any())  # files of a folder say how sure they are
            assert float(apart.max()) < 10 * CLOSE_MM
            every.append(apart.norm(dim=-1))
        assert float((torch.cat(every) < CLOSE_MM).double().mean()) >= MOST
