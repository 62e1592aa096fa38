"""The harm benchmark's rivals, descents and arithmetic, on few bodies."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from refine.body import pose_body
from refine.body.smpl_joints import BODY_JOINTS
from refine.errors import InputError
from refine.evaluate import metrics
from refine.evaluate.errors import WORSE_MM, errors_of
from refine.evaluate.harm import rivals
from refine.evaluate.harm.descend import adam, lbfgs
from refine.evaluate.harm.estimates import ESTIMATES
from refine.evaluate.harm.evidence import KINDS, SOURCES, Evidence
from refine.evaluate.harm.figures import figures_of
from refine.evaluate.harm.outcome import Outcome, everybody
from refine.evaluate.harm.run import CELLS, cells_like
from refine.evaluate.harm.sampled_skin import points_of, vertices_of
from refine.evaluate.harm.scene import Case, Scene
from refine.evaluate.harm.table import Cell, bootstrap, markdown, plain, row_of
from tests.benchmarks.harm.real_network import cast

COUNT = 6
"""People of the scene (`conftest`)."""
SKIN_M = 5e-6
"""Two ways of summing in single precision, m."""
POINT_M = 2e-3
"""A point of a triangle skinned as a vertex of its own where weights change fastest, m."""


def test_sampled_points_lie_where_the_body_has_them(scene: Scene) -> None:
    body, bodies = scene.body, scene.true.bodies
    drawn = torch.Generator().manual_seed(0)
    vertex = torch.randint(len(body.template), (COUNT, 40), generator=drawn)
    triangle = torch.randint(len(body.faces), (COUNT, 40), generator=drawn)
    corner = torch.rand(COUNT, 40, 3, generator=drawn)
    barycentric = corner / corner.sum(2, keepdim=True)
    posed = pose_body(body, bodies)
    at = (bodies.pose, bodies.shape, bodies.translation)
    vertices, joints = vertices_of(body, vertex)(*at)
    wanted = posed.vertices.gather(1, vertex[..., None].expand(-1, -1, 3))
    torch.testing.assert_close(vertices, wanted, rtol=0, atol=SKIN_M)
    torch.testing.assert_close(joints, posed.joints, rtol=0, atol=SKIN_M)
    points, _ = points_of(body, triangle, barycentric)(*at)
    torch.testing.assert_close(points, posed.surface_position(triangle, barycentric), rtol=0, atol=POINT_M)


def valley(x: Tensor) -> Tensor:
    """Rosenbrock's valley in every two coordinates."""
    a, b = x[:, ::2], x[:, 1::2]
    return ((1 - a) ** 2 + 10 * (b - a * a) ** 2).sum(1)


def test_lbfgs_walks_down_a_bent_valley_and_bodies_do_not_feel_each_other() -> None:
    start = torch.randn(3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    together = start.clone()
    cost = lbfgs([together], lambda: valley(together), 100, 1e-12)
    torch.testing.assert_close(together.detach(), torch.ones_like(start), rtol=0, atol=1e-4)
    assert float(cost.max()) < 1e-8
    alone = start[1:2].clone()
    lbfgs([alone], lambda: valley(alone), 100, 1e-12)
    torch.testing.assert_close(alone.detach(), together.detach()[1:2], rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", list(rivals.RIVALS))
def test_every_rival_lowers_its_own_cost_at_every_stage(
    name: str, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = Scene(scene.body, scene.people, scene.true[torch.arange(2)])
    case = small.case("medium")
    pairs: list[tuple[float, float]] = []

    def watched(
        way: Callable[[list[Tensor], Callable[[], Tensor], int, float], Tensor], most: int
    ) -> Callable[[list[Tensor], Callable[[], Tensor], int, float], Tensor]:
        def walk(parameters: list[Tensor], cost: Callable[[], Tensor], steps: int, rate: float) -> Tensor:
            with torch.no_grad():
                before = float(cost().sum())
            end = way(parameters, cost, min(steps, most), rate)
            pairs.append((before, float(end.sum())))
            return end

        return walk

    monkeypatch.setattr(rivals, "adam", watched(adam, 15))
    monkeypatch.setattr(rivals, "lbfgs", watched(lbfgs, 6))
    outcome, note = rivals.rival(name, case, Evidence(small, "clean", "both"))
    assert pairs and all(after < before for before, after in pairs), pairs
    assert "best of 4" in note and bool(outcome.accepted.all())
    assert sum(len(weights) for _, _, weights in rivals.RIVALS[name]) == 4


def test_a_rivals_prior_is_least_likely_far_away() -> None:
    prior = rivals.pose_prior()
    at_mean = prior.mean.unflatten(1, (-1, 3))
    assert bool((prior.energy(at_mean) < prior.energy(at_mean + 1.0)).all())
    straight = torch.zeros(1, 21, 3)
    assert float(rivals.bending(straight)) == pytest.approx(4.0)


def test_the_tables_numbers_are_those_computed_directly(scene: Scene, medium: Case) -> None:
    body, true = scene.body, scene.true
    halfway = replace(true.bodies, shape=(true.bodies.shape + medium.estimate.bodies.shape) / 2)
    state = replace(true, bodies=halfway)
    sigma = torch.full((COUNT, BODY_JOINTS, 3), 0.01)
    outcome = Outcome(state, everybody(COUNT), 3.0, sigma, torch.arange(COUNT).float())
    before = errors_of(body, medium.estimate.state, true)
    row = row_of(Cell("medium", "clean", "both"), "ours", figures_of(scene.body, scene.true, before, outcome))
    posed, right = pose_body(body, halfway), pose_body(body, true.bodies)
    pve = metrics.pve(posed.vertices, right.vertices, posed.joints[:, 0], right.joints[:, 0])
    assert row.after["pve"] == pytest.approx(float(pve.mean()), rel=1e-5)
    assert row.before["mpjpe"] == pytest.approx(float(before.mpjpe.mean()), rel=1e-5)
    change = pve - before.pve
    assert row.change_pve.value == pytest.approx(float(change.mean()), rel=1e-5)
    assert row.change_pve.low <= row.change_pve.value <= row.change_pve.high
    assert row.improved.value == pytest.approx(100 * float((change < -WORSE_MM).double().mean()))
    assert row.worse.value == pytest.approx(100 * float((change > WORSE_MM).double().mean()))
    away = (posed.joints - right.joints)[:, :BODY_JOINTS]
    away[:, 1:] = away[:, 1:] - away[:, :1].clone()
    assert row.one_sigma.value == pytest.approx(100 * float((away.abs() <= 0.01).double().mean()), abs=0.01)
    assert row.mahalanobis.value == pytest.approx((COUNT - 1) / 2)
    assert row.seconds == pytest.approx(3.0 / COUNT)
    assert row.rolled_back.value == 0.0
    assert f"| {row.cell} | ours | {COUNT} |" in markdown([row])
    assert plain([row])[0]["bodies"] == COUNT


def test_a_body_that_is_back_at_the_estimate_is_neither_better_nor_worse(scene: Scene, medium: Case) -> None:
    state = medium.estimate.state
    before = errors_of(scene.body, state, scene.true)
    outcome = Outcome(state, torch.zeros(COUNT, dtype=torch.bool), 1.0)
    row = row_of(Cell("medium", "other", "both"), "ours", figures_of(scene.body, scene.true, before, outcome))
    assert (row.improved.value, row.worse.value, row.rolled_back.value) == (0.0, 0.0, 100.0)
    assert row.one_sigma.value != row.one_sigma.value  # nothing was said
    assert plain([row])[0]["one_sigma"] == {"value": None, "low": None, "high": None}


def test_an_interval_narrows_with_more_bodies_and_repeats() -> None:
    values = torch.randn(400, generator=torch.Generator().manual_seed(0))
    few, many = bootstrap(values[:25]), bootstrap(values)
    assert many.high - many.low < few.high - few.low
    assert bootstrap(values) == many
    assert many.high - many.low == pytest.approx(2 * 1.96 / 20, rel=0.2)


def test_there_are_seven_estimates_five_kinds_and_three_sources() -> None:
    assert len(CELLS) == len(ESTIMATES) * len(KINDS) * len(SOURCES) == 105
    assert [cell.name for cell in cells_like(["near.clean.*"])] == [f"near.clean.{source}" for source in SOURCES]
    with pytest.raises(InputError, match="best"):
        cells_like(["best.clean.both"])


def test_without_a_base_mesh_the_networks_rows_are_left_out_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REFINE_TRAINING_BODY", raising=False)
    people, why = cast()
    assert people is None and "left out" in why
