"""How many witnesses correlated evidence is, and that a source's errors say how far they hang together."""

import importlib
import pkgutil
from dataclasses import fields, is_dataclass

import pytest
import torch

import priors
import refine.terms
from refine.errors import InputError
from refine.state import Tracks
from refine.terms import LeastSquares, Linearization
from refine.terms.correlation import INDEPENDENT, Correlation, shared

EVIDENCE = (
    "Clicks", "Facing", "Joints25D", "Joints3D", "Keypoints", "Orientation", "PointCloud", "Points3D", "Reprojection",
    "Surface3D", "Trackers",
)  # fmt: skip
OF_THE_ESTIMATE = ("NearEstimate", "NearExpression", "NearShape", "NearTranslation")


def track(count: int, step: float = 1 / 30, person: int = 0) -> Tracks:
    time = step * torch.arange(count, dtype=torch.float64)
    return Tracks(torch.full((count,), person), time)


def test_a_frame_by_itself_is_a_whole_witness() -> None:
    assert Correlation(time_s=0.2).of_frames(track(1)).tolist() == [1.0]
    assert (Correlation(time_s=0.2).of_frames(track(5, person=-1)) == 1).all(), "rows in no track"
    assert (INDEPENDENT.of_frames(track(5)) == 1).all()


@pytest.mark.parametrize("time_s", [0.03, 0.1, 0.5])
def test_amid_a_long_track_each_frame_is_what_a_fading_correlation_leaves(time_s: float) -> None:
    fading = torch.tensor(-1 / (30 * time_s)).double().exp()
    share = Correlation(time_s=time_s).of_frames(track(1500))
    assert share[750] == pytest.approx(float((1 - fading) / (1 + fading)), rel=1e-6)
    assert share[0] > 1.5 * share[750] * (1 if time_s < 0.05 else 1.1) / 1.5  # an end has neighbours on one side only


def test_twice_the_frames_of_a_moment_are_no_more_witnesses() -> None:
    few, many = (Correlation(time_s=0.5).of_frames(track(count, 2.0 / count)).sum() for count in (40, 80))
    assert float(many) == pytest.approx(float(few), rel=0.05)


def test_people_are_witnesses_of_their_own() -> None:
    one = track(6)
    both = Tracks(torch.tensor([0, 1] * 6), one.time_s.repeat_interleave(2))
    found = Correlation(time_s=0.1).of_frames(both)
    assert torch.allclose(found[::2], Correlation(time_s=0.1).of_frames(one)) and torch.equal(found[::2], found[1::2])


def test_a_mean_of_equally_correlated_views_has_the_variance_that_the_shares_say() -> None:
    draw = torch.Generator().manual_seed(0)
    alike, views = 0.3, 4
    common, own = (torch.randn(20_000, count, generator=draw) for count in (1, views))
    mean = (alike**0.5 * common + (1 - alike) ** 0.5 * own).mean(1)
    share = float(Correlation(views=alike).of_views(torch.tensor(float(views))))
    assert 1 / (views * share) == pytest.approx(float(mean.var()), rel=0.03)


def test_a_share_multiplies_the_robust_cost() -> None:
    draw = torch.Generator().manual_seed(0)
    linear = Linearization(
        torch.randn(3, 4, 2, generator=draw), torch.randn(3, 4, 2, 5, generator=draw), LeastSquares()
    )
    share = torch.tensor([1.0, 0.25, 0.1])
    found = shared(shared(linear, share), share)
    assert torch.allclose(found.residual, linear.residual * share[:, None, None])
    assert torch.allclose(found.jacobian, linear.jacobian * share[:, None, None, None])
    assert found.share is not None and torch.allclose(found.share, share[:, None].expand(3, 4))
    assert shared(linear, None) is linear


@pytest.mark.parametrize(
    "wrong",
    [
        {"pixels": 0.5}, {"part_points": 0.0}, {"time_s": -1.0}, {"time_s": float("inf")}, {"views": 1.5},
        {"constant": -0.1}, {"constant": float("nan")}, {"time_s": float("nan")}, {"views": float("nan")},
    ],
)  # fmt: skip
def test_a_correlation_that_is_none_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match="correlation: expected"):
        Correlation(**wrong)


def test_every_source_of_evidence_says_how_far_its_errors_hang_together() -> None:
    """Found by walking the packages: a term with a target or an estimate is evidence."""
    kinds = {}
    for package in (refine.terms, priors):
        for info in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            if info.ispkg:
                continue
            for kind in vars(importlib.import_module(info.name)).values():
                if isinstance(kind, type) and is_dataclass(kind) and hasattr(kind, "linearize"):
                    kinds[kind.__name__] = {each.name for each in fields(kind)}
    told = {name for name, names in kinds.items() if {"correlation", "share"} <= names}
    assert told == {*EVIDENCE, *OF_THE_ESTIMATE}
    measured = {name for name, names in kinds.items() if names & {"target", "matches"}}
    assert measured <= told, "a new kind of evidence"


def test_shares_along_a_track_are_those_of_all_pairs_of_frames() -> None:
    draw = torch.Generator().manual_seed(0)
    person, time = torch.randint(-1, 3, (60,), generator=draw), torch.rand(60, generator=draw, dtype=torch.float64)
    apart = (time[:, None] - time).abs()
    slow = 1 / (torch.exp(-apart / 0.07) * (person[:, None] == person)).sum(1)
    found = Correlation(time_s=0.07).of_frames(Tracks(person, time))
    assert torch.allclose(found, torch.where(person >= 0, slow, 1.0))
