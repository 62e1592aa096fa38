"""A person over some frames, solved as one: shape and constant parts of errors shared, motion coupled."""

from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

import refine
from priors import WhiteAcceleration
from refine import batch
from refine.body import SkinnedBody, pose_body
from refine.demo.scene import as_estimate
from refine.errors import InputError
from refine.estimate import Estimate
from refine.evaluate.disturbance import disturb
from refine.evaluate.people import people
from refine.geometry import rotation
from refine.result import Result
from refine.solve import StopReason
from refine.state import Groups, State, Tracks, Unknowns, one_shape
from refine.terms.keypoints import DETECTIONS, Keypoints, keypoints_from_sigma
from refine.trust.gate import Gate

FRAMES, RATE = 20, 30.0
NAMES = "coco17"


@dataclass(frozen=True, eq=False)
class Clip:
    """A person who moves: the truth, an estimate whose error is mostly the same in all frames, and detections whose
    errors fade over time and are half constant."""

    body: SkinnedBody
    true: State
    estimate: Estimate
    detections: Keypoints
    usual: Unknowns

    @property
    def tracks(self) -> Tracks:
        return Tracks(torch.zeros(FRAMES, dtype=torch.long), torch.arange(FRAMES).double() / RATE)

    def fit(self, groups: Groups | None, gate: Gate | None, detections: Keypoints | None = None) -> Result:
        refiner = refine.Refiner(unknowns=replace(self.usual, groups=groups), gate=gate)
        photos = [torch.full((640, 512, 3), 128, dtype=torch.uint8).numpy()] * FRAMES
        return refine.fit(photos, self.estimate, evidence=[detections or self.detections], refiner=refiner)

    def away_mm(self, state: State) -> Tensor:
        """Errors (T, 22, 3) of the joints about the pelvis."""
        found, true = (pose_body(self.body, each.bodies).joints[:, :22] for each in (state, self.true))
        return 1e3 * ((found - found[:, :1]) - (true - true[:, :1]))


@pytest.fixture(scope="module")
def clip(builtin_body: SkinnedBody) -> Clip:
    draw = torch.Generator().manual_seed(1)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=draw)

    one, time = people(builtin_body, 1), torch.arange(FRAMES)[:, None, None] / RATE
    swing = 0.4 * normal(1, 21, 3) * torch.sin(5.0 * time + 6.28 * torch.rand(1, 21, 3, generator=draw))
    pose = one.bodies.pose.repeat(FRAMES, 1, 1, 1)
    pose[:, 1:22] = pose[:, 1:22] @ rotation.exp(swing)
    whole = batch.rows(one, [0] * FRAMES)
    true = State(replace(whole.bodies, pose=pose), whole.camera)
    wrong = disturb(builtin_body, true, "strong", range(FRAMES))
    constant = true.bodies.pose[:1].mT @ wrong.bodies.pose[:1]
    jitter = rotation.exp(0.05 * normal(FRAMES, pose.shape[1], 3))
    estimate = State(replace(true.bodies, pose=pose @ constant @ jitter), true.camera)
    seen = as_estimate(builtin_body, true, "truth").keypoints_2d(NAMES)
    sigma = 0.0186 * float((seen.amax(1) - seen.amin(1)).prod(-1).sqrt().mean())
    fading = float(torch.tensor(-1 / (RATE * DETECTIONS.time_s)).exp())
    changing = [normal(17, 2)]
    for _ in range(FRAMES - 1):
        changing.append(fading * changing[-1] + (1 - fading**2) ** 0.5 * normal(17, 2))
    still = DETECTIONS.constant
    error = sigma * (still**0.5 * normal(17, 2) + (1 - still) ** 0.5 * torch.stack(changing))
    term = keypoints_from_sigma(
        builtin_body.keypoint_set(NAMES), seen + error, torch.full((FRAMES, 17), sigma), correlation=DETECTIONS
    )
    usual = Unknowns(builtin_body.anatomy.core_joints, shape=builtin_body.shape_basis.shape[2])
    return Clip(builtin_body, true, as_estimate(builtin_body, estimate, "estimate"), term, usual)


def jitter(away: Tensor) -> float:
    """Mean size of the second differences."""
    return float((away[2:] - 2 * away[1:-1] + away[:-2]).norm(dim=-1).mean())


def test_a_track_is_nearer_and_steadier_than_its_frames_and_its_sigmas_hold(clip: Clip) -> None:
    groups = Groups(torch.zeros(FRAMES, dtype=torch.long), tracks=clip.tracks, couplings=(WhiteAcceleration(),))
    apart, together = clip.fit(None, None), clip.fit(groups, None)
    before = clip.away_mm(clip.estimate.state).norm(dim=-1).mean()
    alone, whole = (clip.away_mm(each.rounds[-1].state) for each in (apart, together))
    assert whole.norm(dim=-1).mean() < 0.5 * before
    assert whole.norm(dim=-1).mean() < 1.05 * alone.norm(dim=-1).mean()
    assert jitter(whole) < 0.4 * jitter(alone)
    state = together.rounds[-1].state
    assert state.constants is not None and state.constants.shape == (FRAMES, 34)
    assert (state.constants == state.constants[0]).all() and state.constants.abs().max() > 0.5
    inside = (whole[:, 1:].abs() < together.sigma_mm[:, 1:22]).float().mean()
    assert 0.6 < float(inside) < 0.95


@pytest.mark.parametrize("silent", [[3], [FRAMES - 1], [0, 1, 11]])
def test_a_frame_without_keypoints_follows_the_others_and_does_not_hold_them(clip: Clip, silent: list[int]) -> None:
    information = clip.detections.sqrt_information.clone()
    information[silent] = 0
    tracks = clip.tracks
    labels = tracks.person.clone()
    labels[silent] = -1
    couplings = (WhiteAcceleration(),)
    term = replace(clip.detections, sqrt_information=information)
    found = clip.fit(Groups(clip.tracks.person, tracks=tracks, couplings=couplings), None, term)
    without = clip.fit(Groups(labels, tracks=replace(tracks, person=labels), couplings=couplings), None, term)
    assert torch.equal(without.rounds[-1].state.bodies.pose[silent], clip.estimate.bodies.pose[silent])
    assert [without.stop[row] for row in silent] == [StopReason.NO_EVIDENCE] * len(silent)
    assert all(found.stop[row] is not StopReason.NO_EVIDENCE for row in silent)
    one, other = (clip.away_mm(each.rounds[-1].state) for each in (found, without))
    assert one[silent].norm(dim=-1).mean() < 0.95 * other[silent].norm(dim=-1).mean()
    seen = [row for row in range(FRAMES) if row not in silent]
    apart = (one - other)[seen].norm(dim=-1)
    # A frame that holds its neighbours takes them 80 mm off; what it is led to moves a joint beside it a little.
    assert apart.mean() < 3.0 and apart.max() < 50.0, f"{apart.mean()}, {apart.max()}"


def test_without_priors_a_group_is_solved_as_far_as_its_evidence_goes(clip: Clip) -> None:
    """What nothing determines is lifted before it is inverted."""
    for groups in (one_shape([0] * FRAMES), Groups(tracks=clip.tracks, couplings=(WhiteAcceleration(),))):
        refiner = refine.Refiner(unknowns=replace(clip.usual, groups=groups), gate=None, rounds=1)
        photos = [torch.full((640, 512, 3), 128, dtype=torch.uint8).numpy()] * FRAMES
        found = refine.fit(photos, clip.estimate, evidence=[clip.detections], priors=(), refiner=refiner)
        assert found.rounds[-1].information.isfinite().all()


def test_tracks_of_another_number_of_frames_are_refused(clip: Clip) -> None:
    longer = Tracks(torch.zeros(FRAMES + 1, dtype=torch.long), torch.arange(FRAMES + 1).double())
    with pytest.raises(InputError, match=r"unknowns\.groups: expected labels of 20 rows"):
        clip.fit(Groups(tracks=longer, couplings=(WhiteAcceleration(),)), None)


def test_who_names_the_constants_labels_keeps_them(clip: Clip) -> None:
    labels = (torch.arange(FRAMES) >= FRAMES // 2).long()
    groups = Groups(constants=labels, tracks=clip.tracks, couplings=(WhiteAcceleration(),))
    constants = clip.fit(groups, None).rounds[-1].state.constants
    assert constants is not None and not torch.equal(constants[0], constants[-1])
    assert torch.equal(constants[0], constants[1]) and torch.equal(constants[-1], constants[-2])


def test_a_frame_of_somebody_else_is_put_back_and_the_others_stay(clip: Clip) -> None:
    """Its costs are those of the estimate; what couples it to the others is counted where it then lies."""
    wrong = clip.detections.target.clone()
    wrong[9] = wrong[9].flip(0) + torch.tensor([60.0, -40.0])
    groups = Groups(tracks=clip.tracks, couplings=(WhiteAcceleration(),))
    found = clip.fit(groups, Gate(), replace(clip.detections, target=wrong))
    accepted = found.accepted.tolist()
    assert not accepted[9] and sum(accepted) > FRAMES / 2
    last = found.rounds[-1].solution
    assert torch.equal(last.state.bodies.pose[9], clip.estimate.bodies.pose[9])
    assert last.cost_by_term.shape == (FRAMES, len(last.term_names)) and last.term_names[-1] == "WhiteAcceleration"
    assert torch.allclose(last.cost_by_term.sum(1), last.cost, rtol=1e-4)
