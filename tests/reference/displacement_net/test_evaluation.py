"""Evaluation: figures of fields and refinements whose answer is known, and the people they are taken of."""

import io
import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from rich.console import Console
from torch import Tensor
from typer.testing import CliRunner

from displacement_net import catalog
from displacement_net.displacement import Displacement
from displacement_net.model import DisplacementNet, Prediction, Settings
from displacement_net.training import evaluate
from displacement_net.training.assets import procedural_assets
from displacement_net.training.evaluation import tables
from displacement_net.training.evaluation.field import Pixels, calibration, collect, field, row, sparsification
from displacement_net.training.evaluation.hold_out import HoldOut
from displacement_net.training.evaluation.refined import Refined, changes, refine_samples, through
from displacement_net.training.samples import TEXTURE_CASES, Samples
from displacement_net.training.split import split
from refine.body import SkinnedBody, pose_body
from refine.dense.correspondence import Matching
from refine.errors import InputError
from refine.evaluate.disturbance import disturb
from refine.evaluate.errors import Errors
from refine.evaluate.strengths import STRENGTHS, InTurn
from refine.refiner import Refiner
from refine.render.view import View
from refine.state import State
from refine.terms.correlation import Correlation
from tests.oracle import Oracle
from tests.people import case
from tests.reference.displacement_net.test_synthetic_people import stand_in

SIDE, EACH = 64, 2
FEW = ("medium", "perfect")
WITHIN = 0.01
"""Of shares measured on 40,000 random numbers."""


@pytest.fixture(scope="module")
def people(builtin_body: SkinnedBody) -> HoldOut:
    """Hold-out people with clothes and places that need no files."""
    return HoldOut(stand_in(builtin_body), split(procedural_assets(), True), looks=2)


@pytest.fixture(scope="module")
def batches(people: HoldOut) -> list[tuple[Samples, np.ndarray]]:
    return [part for name in TEXTURE_CASES[:2] for part in people.batches(name, SIDE, EACH, FEW)]


def right(samples: Samples) -> Prediction:
    """What an oracle says."""
    root = torch.eye(2).expand(*samples.offset.shape, 2)
    return Prediction(samples.offset, root, torch.where(samples.visible, 1.0, -1.0))


def nothing(samples: Samples) -> Prediction:
    """What a network says that has not learnt anything."""
    return replace(right(samples), offset=torch.zeros_like(samples.offset))


def pixels(error: Tensor, root: Tensor, true: Tensor | None = None) -> Pixels:
    count = len(error)
    zero = torch.zeros(count, dtype=torch.long)
    return Pixels(error, error.norm(dim=-1) if true is None else true, root, zero == 0, zero, zero, zero)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_an_oracle_has_no_endpoint_error(batches: list[tuple[Samples, np.ndarray]]) -> None:
    found = field(collect(right, batches), FEW)
    assert found.texture_by_strength["all"]["medium"].share == 0
    assert found.texture_by_strength["none"]["medium"].nothing_px > 3
    assert found.by_visibility["visible"][1] == 1
    assert found.by_visibility["hidden"][1] == 0


def test_doing_nothing_has_a_share_of_one(batches: list[tuple[Samples, np.ndarray]]) -> None:
    found = field(collect(nothing, batches), FEW)
    assert set(found.texture_by_strength) == {*TEXTURE_CASES, "all"}
    assert set(found.texture_by_strength["part means"]) == {*FEW, "all"}
    assert found.texture_by_strength["stale"] == {}, "nobody was asked about it"
    for rows in (found.texture_by_strength["all"], found.by_size["3-8 px"]):
        assert rows["medium"].share == pytest.approx(1)
    assert math.isnan(found.texture_by_strength["all"]["perfect"].share), "of no displacement there is no share"


def test_the_same_people_come_under_every_texture(batches: list[tuple[Samples, np.ndarray]]) -> None:
    (bare, strength), (means, _) = batches
    torch.testing.assert_close(bare.offset, means.offset, rtol=0, atol=0)
    torch.testing.assert_close(bare.image, means.image, rtol=0, atol=0)
    assert strength.tolist() == [0, 1, 0, 1]
    assert float(bare.confidence.amax()) == 0 < float(means.confidence.amax())


def test_pixels_fall_into_the_bin_of_their_displacement() -> None:
    true = torch.tensor([0.0, 0.99, 1.0, 2.9, 3.0, 7.9, 8.0, 200.0])
    found = field(pixels(torch.ones(8, 2), torch.eye(2).expand(8, 2, 2), true), ("medium",))
    assert [rows["medium"].pixels for rows in found.by_size.values()] == [2, 2, 2, 2]
    assert list(found.by_size) == ["0-1 px", "1-3 px", "3-8 px", "> 8 px"]
    assert found.by_size["1-3 px"]["all"].share == pytest.approx(math.sqrt(2) / 1.95)


def test_lengths_are_those_of_a_256_crop(batches: list[tuple[Samples, np.ndarray]]) -> None:
    samples, strength = batches[0]
    seen = collect(nothing, [(samples, strength)])
    assert float(seen.true.max()) == pytest.approx(
        256 / SIDE * float(samples.offset[:, ::2, ::2].norm(dim=-1).max()), rel=1e-5
    )
    torch.testing.assert_close(seen.root[0], torch.eye(2) * SIDE / 256)


def test_stated_gaussians_are_calibrated() -> None:
    mixing = torch.tensor([[2.0, 0.0], [1.5, 0.8]])
    error = normal(20_000, 2) @ mixing.mT
    root = torch.linalg.inv(mixing).expand(20_000, 2, 2)
    found = calibration(pixels(error, root))
    assert found.one_sigma == pytest.approx(math.erf(0.5**0.5), abs=WITHIN)
    assert found.two_sigma == pytest.approx(math.erf(2**0.5), abs=WITHIN)
    assert found.mahalanobis == pytest.approx(1, abs=2 * WITHIN)
    assert calibration(pixels(2 * error, root)).mahalanobis == pytest.approx(4, abs=8 * WITHIN)


def test_a_perfectly_ordered_field_sparsifies_as_the_oracle_does() -> None:
    error = normal(5_000, 2)
    ordered = sparsification(pixels(error, torch.diag_embed(1 / error.norm(dim=-1, keepdim=True).expand(-1, 2))))
    assert ordered.shares == pytest.approx(ordered.oracle)
    assert ordered.area == pytest.approx(ordered.oracle_area)
    assert ordered.shares[0] < ordered.shares[1] < ordered.shares[2] < 1


def test_uncertainties_that_mean_nothing_sparsify_to_one() -> None:
    error, other = normal(40_000, 2), normal(40_000, 2, seed=1).norm(dim=-1, keepdim=True)
    found = sparsification(pixels(error, torch.diag_embed(other.expand(-1, 2))))
    assert found.area == pytest.approx(1, abs=3 * WITHIN)
    assert found.oracle_area < 0.7


def test_nothing_measured_is_not_a_number() -> None:
    none = pixels(torch.zeros(0, 2), torch.zeros(0, 2, 2))
    values = (row(none).share, calibration(none).one_sigma, calibration(none).mahalanobis, sparsification(none).area)
    assert all(math.isnan(value) for value in values)


def test_estimates_come_in_turn_and_are_those_of_their_strength(builtin_body: SkinnedBody) -> None:
    true = case(builtin_body, 7).true.state
    estimates = InTurn(("medium", "perfect", "near"))
    assert estimates.of_rows(7).tolist() == [0, 1, 2, 0, 1, 2, 0]
    found = estimates(builtin_body, true, np.random.default_rng(3))
    seeds = np.random.default_rng(3).integers(2**31, size=7).tolist()
    for index, strength in enumerate(estimates.strengths):
        rows = list(range(index, 7, 3))
        wanted = disturb(builtin_body, true[rows], strength, [seeds[r] for r in rows])
        torch.testing.assert_close(found.bodies.pose[rows], wanted.bodies.pose)
        torch.testing.assert_close(found.bodies.translation[rows], wanted.bodies.translation)
    torch.testing.assert_close(found.bodies.pose[1], true.bodies.pose[1])


def test_shapes_that_nobody_estimates_stay_true_and_the_pelvis_stays_put(builtin_body: SkinnedBody) -> None:
    true = case(builtin_body, 3).true.state
    whole, part = (InTurn(("weak",), known)(builtin_body, true, np.random.default_rng(0)) for known in (None, 10))
    torch.testing.assert_close(part.bodies.shape[:, 10:], true.bodies.shape[:, 10:])
    torch.testing.assert_close(part.bodies.shape[:, :10], whole.bodies.shape[:, :10])
    pelvis = [pose_body(builtin_body, each.bodies).joints[:, 0] for each in (whole, part)]
    torch.testing.assert_close(*pelvis)


@pytest.mark.parametrize("strengths", [(), ("medium", "poor")])
def test_unknown_strengths_are_refused(strengths: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match="strengths: expected some of weak"):
        InTurn(strengths)


class Silent:
    """A displacer that is sure that all is right."""

    def displace(self, view: View) -> Displacement:
        seen = view.fragments.triangle >= 0
        root = torch.eye(2).to(view.vertices) * seen[..., None, None]
        return Displacement(torch.zeros_like(root[..., 0]), root)


def test_an_oracle_refines_hold_out_people_onto_themselves(
    people: HoldOut, batches: list[tuple[Samples, np.ndarray]]
) -> None:
    samples, strength = batches[0]
    true = through(samples.true, samples.crop)
    refiner = Refiner(Oracle(true, 0.2), matching=Matching(2048, Correlation(pixels=1.0)), rounds=4)
    found = changes(refine_samples(people.training.body, refiner, [(samples, strength)], 16), FEW)
    assert found["medium"].after["pixel"] < 0.1 * found["medium"].before["pixel"]
    assert found["medium"].after["pve"] < 0.5 * found["medium"].before["pve"]
    assert found["medium"].worse_percent == 0
    assert found["perfect"].after["pve"] < 1 and found["medium"].bodies == EACH


def test_a_displacer_that_says_nothing_moves_changes_nothing(
    people: HoldOut, batches: list[tuple[Samples, np.ndarray]]
) -> None:
    refiner = Refiner(Silent(), rounds=1)
    found = changes(refine_samples(people.training.body, refiner, batches[:1], 16), FEW)
    change = found["medium"]
    assert change.after["pve"] == pytest.approx(change.before["pve"], rel=0.05), "joint limits have a say"
    assert change.after["pixel"] == pytest.approx(change.before["pixel"], abs=1)


def test_worse_is_more_than_a_millimetre() -> None:
    before = torch.tensor([50.0, 50.0, 50.0, 10.0])
    after = torch.tensor([40.0, 50.9, 51.1, 10.0])
    missing = torch.tensor([4.0, torch.nan, 2.0, 1.0])
    index = torch.tensor([0, 0, 0, 1])
    sides = (Errors(value, value, value, missing) for value in (before, after))
    found = changes(Refined(*sides, index), ("weak", "near", "strong"))
    assert list(found) == ["weak", "near"]
    assert found["weak"].worse_percent == pytest.approx(100 / 3)
    assert found["weak"].median_pve_change_mm == pytest.approx(0.9, abs=1e-4)
    assert found["weak"].before["pixel"] == 3
    assert found["near"].change_percent["pve"] == 0


def test_figures_become_json_and_tables(batches: list[tuple[Samples, np.ndarray]]) -> None:
    found = field(collect(nothing, batches), FEW)
    text = json.dumps(tables.plain(found), allow_nan=False)
    assert json.loads(text)["texture_by_strength"]["none"]["medium"]["share"] == pytest.approx(1)
    console = Console(width=200, record=True, file=io.StringIO())
    for table in tables.field_tables(found):
        console.print(table)
    shown = console.export_text()
    assert "part means" in shown
    assert "nan" not in shown


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A tiny network that has learnt nothing."""
    path = tmp_path / "tiny.safetensors"
    catalog.save(path, DisplacementNet(Settings(widths=(8, 12, 16, 24), crop_px=SIDE)), {})
    return path


def call(*options: object) -> Callable[[], object]:
    app = typer.Typer()
    app.command()(evaluate.main)
    return CliRunner().invoke(app, [str(option) for option in options])  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "--training-body: expected it, or --real-data, or both"),
        (["--training-body", "none.safetensors"], "training body: expected the full base mesh"),
        (["--training-body", "none.safetensors", "--pictures", "p"], "--pictures: expected --real-data with it"),
        (["--real-data", "none"], "--real-data: expected a folder with coco, bev_pair and romp_photo"),
    ],
)
def test_the_command_says_what_is_wrong(weights: Path, options: list[str], message: str) -> None:
    said = call("--weights", weights, *options)
    assert said.exit_code == 2
    assert message in said.stderr
    assert said.stdout == ""


def test_the_command_refuses_weights_it_cannot_read(tmp_path: Path) -> None:
    said = call("--weights", tmp_path / "none", "--real-data", tmp_path)
    assert said.exit_code == 2
    assert "weights: expected a name of the catalogue" in said.stderr


@pytest.mark.slow
def test_the_command_writes_tables_beside_and_figures_as_json(
    weights: Path, tmp_path: Path, people: HoldOut, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluate, "hold_out_of", lambda *_: people)
    out = tmp_path / "figures.json"
    said = call("--weights", weights, "--training-body", "x", "--count", 1, "--refined", 1, "--json", out)
    assert said.exit_code == 0, said.stderr
    figures = json.loads(said.stdout)
    assert figures == json.loads(out.read_text())
    assert set(figures["refined"]) == set(STRENGTHS)
    assert figures["field"]["texture_by_strength"]["other frames"]["weak"]["share"] == 1
    assert "Endpoint error" in said.stderr


def test_a_state_seen_through_its_crop_lies_where_it_did(batches: list[tuple[Samples, np.ndarray]]) -> None:
    samples, _ = batches[0]
    seen: State = through(samples.true, samples.crop)
    point = samples.true.bodies.translation[:, None]
    torch.testing.assert_close(
        seen.camera.project(point), samples.crop.to_crop(samples.true.camera.project(point)), rtol=1e-4, atol=1e-2
    )
