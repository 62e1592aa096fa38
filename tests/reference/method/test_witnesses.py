"""Evidence is discounted once where a fit begins, and only where frames or cameras see the same."""

from dataclasses import replace

import pytest
import torch

from priors import NearEstimate, WhiteAcceleration
from refine.body import pose_body
from refine.method.constants import with_constants
from refine.method.witnesses import in_frames, witnesses
from refine.solve.linearized import Linearized
from refine.solve.normal_equations import summed
from refine.state import Groups, State, Tracks, Unknowns, one_shape
from refine.terms import Term
from refine.terms.correlation import Correlation
from refine.terms.keypoints import DETECTIONS, Keypoints, keypoints_from_sigma
from refine.terms.points3d import Points3D
from tests.reference.solve.grouped import BODY, FIVE
from tests.synthetic import random_state

COUNT = 6
TRACKS = Tracks(torch.tensor([0, 0, 0, 0, -1, 1]), torch.arange(COUNT, dtype=torch.float64) / 30)
COUPLED = Unknowns((0, 2), groups=Groups(tracks=TRACKS, couplings=(WhiteAcceleration(),)))


@pytest.fixture
def state() -> State:
    return random_state(BODY, COUNT, seed=1)


@pytest.fixture
def term(state: State) -> Keypoints:
    pixel = state.camera.project(pose_body(BODY, state.bodies).keypoints(FIVE))
    sigma = torch.full((COUNT, 5), 2.0, dtype=torch.float64)
    return keypoints_from_sigma(FIVE, pixel, sigma, correlation=DETECTIONS)


@pytest.mark.parametrize(
    "unknowns",
    [
        None,
        Unknowns((0,)),
        Unknowns((0,), groups=one_shape(["a"] * COUNT)),
        Unknowns((0,), groups=Groups(tracks=TRACKS)),
    ],
    ids=["usual", "named", "one shape", "not coupled"],
)
def test_what_nothing_carries_from_frame_to_frame_stays_as_it_is(
    state: State, term: Keypoints, unknowns: Unknowns | None
) -> None:
    prior = NearEstimate(state.bodies.pose)
    assert witnesses([term, prior], unknowns) == (term, prior)
    assert with_constants([term], [prior], state, unknowns) == ((term,), (prior,), state, unknowns)


def test_coupled_frames_are_fewer_witnesses_and_a_row_alone_is_one(state: State, term: Keypoints) -> None:
    points = Points3D(FIVE, torch.zeros(COUNT, 5, 3), torch.ones(COUNT, 5))
    for each in (term, NearEstimate(state.bodies.pose), replace(points, correlation=Correlation(time_s=0.1))):
        (found,) = witnesses([each], COUPLED)
        assert found.share is not None and found.share.shape == (COUNT,)  # type: ignore[union-attr]
        assert (found.share[:4] < 0.8).all() and (found.share[4:] == 1).all()  # type: ignore[union-attr]
        plain, less = (one.linearize(state, pose_body(BODY, state.bodies), COUPLED) for one in (each, found))  # type: ignore[union-attr]
        assert torch.equal(less.jacobian, plain.jacobian) and torch.equal(less.residual, plain.residual)
        at = Linearized(state, COUPLED, (less,))
        whole, part = summed(at.alone), summed(at)
        assert torch.allclose(part.information, whole.information * found.share[:, None, None].to(whole.information))  # type: ignore[union-attr]
        assert torch.allclose(part.cost, whole.cost * found.share.to(whole.cost))  # type: ignore[union-attr]
    assert in_frames(points, COUPLED) is points, "it does not say that its errors hang together"


def test_each_of_several_cameras_is_less_than_a_witness_where_it_sees_somebody(state: State, term: Keypoints) -> None:
    blind = term.sqrt_information.clone()
    blind[2] = 0
    other = replace(term, camera=state.camera, sqrt_information=blind)
    first, again, second = witnesses([term, term, other], None)
    both = 1 / (1 + DETECTIONS.views)
    for found in (first, again, second):
        assert isinstance(found, Keypoints) and found.share is not None
        assert torch.allclose(found.share, torch.where(torch.arange(COUNT) == 2, 1.0, both).double())
    assert witnesses([term, term], None) == (term, term), "two terms of one camera"


def test_the_constant_part_of_detections_gets_columns_where_frames_are_coupled(state: State, term: Keypoints) -> None:
    free = torch.ones(COUNT, COUPLED.size, dtype=torch.bool)
    terms: list[Term] = [term, replace(term, camera=state.camera), replace(term, correlation=Correlation())]
    evidence, priors, start, unknowns = with_constants(terms, [], state, replace(COUPLED, free=free))
    assert unknowns is not None and unknowns.constants == 20 and unknowns.groups is not None
    assert unknowns.free is not None and unknowns.free.shape == (COUNT, unknowns.size)
    assert unknowns.groups.constants is TRACKS.person and start.constants is not None and not start.constants.any()
    parts = [each.constant for each in evidence if isinstance(each, Keypoints)]
    assert [None if part is None else part.first for part in parts] == [0, 10, None]
    assert len(priors) == 1
    again = with_constants(evidence, priors, start, unknowns)
    assert again[3] is unknowns and again[1] == priors, "once"
