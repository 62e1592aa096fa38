"""The displacement network in the method: what it is shown, how its matches are taken, when rounds end."""

from dataclasses import dataclass, replace

import pytest
import torch

from displacement_net.displacement import Displacement
from displacement_net.model import DisplacementNet, Settings
from refine.body import SkinnedBody
from refine.dense.correspondence import Matching
from refine.dense.displacer import matching_of
from refine.dense.network import NetworkDisplacer, view_channels
from refine.errors import InputError
from refine.photo import Photo
from refine.refiner import Displacer, Refiner
from refine.render.view import View, render_view
from refine.solve.levenberg_marquardt import LevenbergMarquardt
from refine.terms.correlation import Correlation
from refine.terms.reprojection import Reprojection
from tests.networks import PLAIN, seen


def test_the_displacer_speaks_of_rendered_pixels_only(network: DisplacementNet, builtin_body: SkinnedBody) -> None:
    _, view = seen(builtin_body)
    displacer = NetworkDisplacer(network)
    assert isinstance(displacer, Displacer)
    said = displacer.displace(view)
    background = view.fragments.triangle < 0
    assert said.offset.shape == (2, 64, 64, 2)
    assert float(said.offset[background].abs().max()) == 0
    assert float(said.sqrt_information[background].abs().max()) == 0
    assert bool((said.sqrt_information[~background] > 0).any())
    assert float(said.sqrt_information[..., 0, 1].abs().max()) == 0


def test_the_displacer_hands_on_what_the_network_says(network: DisplacementNet, builtin_body: SkinnedBody) -> None:
    _, view = seen(builtin_body)
    said, direct = NetworkDisplacer(network, together=1).displace(view), network.displacement(view_channels(view))
    rendered = view.fragments.triangle >= 0
    torch.testing.assert_close(said.offset[rendered], direct.offset[rendered], rtol=1e-4, atol=1e-4)


def test_a_view_of_another_size_is_answered_in_its_own_pixels(builtin_body: SkinnedBody) -> None:
    """A network that says (3, -2) px at 64 everywhere says (9, -6) px in a crop of 192, a third as sharp."""
    network = DisplacementNet(PLAIN).eval()
    network.head.bias.data = torch.tensor([0.75, -0.5, 0.2, 0.3, 0.1, 4.0]).repeat_interleave(4)
    _, small = seen(builtin_body, crop_px=64)
    _, large = seen(builtin_body, crop_px=192)
    expected, said = NetworkDisplacer(network).displace(small), NetworkDisplacer(network).displace(large)
    informed = said.sqrt_information[..., 0, 0] > 0
    rendered = large.fragments.triangle >= 0
    assert float((informed & rendered).sum() / rendered.sum()) > 0.9
    torch.testing.assert_close(said.offset[informed], torch.tensor([9.0, -6.0]).expand(int(informed.sum()), 2))
    root = expected.sqrt_information[small.fragments.triangle >= 0][0]
    torch.testing.assert_close(said.sqrt_information[informed], (root / 3).expand(int(informed.sum()), 2, 2))


def test_a_texture_is_shown_with_its_confidence(builtin_body: SkinnedBody) -> None:
    _, view = seen(builtin_body)
    texture = torch.tensor([0.2, 0.4, 0.6, 0.8]).expand(2, 16, 16, 4)
    shown = view_channels(view, texture).permute(0, 2, 3, 1)
    rendered = view.fragments.triangle >= 0
    expected = torch.tensor([-1.2, -0.4, 0.4, 0.8])
    torch.testing.assert_close(shown[rendered][:, 11:], expected.expand(int(rendered.sum()), 4))
    assert float(shown[~rendered][:, 11:].abs().max()) == 0


def test_the_whole_method_runs_with_the_network(network: DisplacementNet, builtin_body: SkinnedBody) -> None:
    people, view = seen(builtin_body)
    photos = [Photo(pixels) for pixels in view.photos]
    refiner = Refiner(displacer=NetworkDisplacer(network), rounds=2, crop_px=64, still_px=0.0)
    solutions = refiner.refine(photos, people.estimate, [], [])
    assert len(solutions) == 2
    assert bool((solutions[0].steps > 0).all()), "what the network says is evidence"
    assert bool(solutions[-1].state.bodies.translation.isfinite().all())


@dataclass(frozen=True)
class Counted:
    """A displacer that counts how often it is asked."""

    displacer: NetworkDisplacer
    asked: list[int]

    def displace(self, view: View) -> Displacement:
        self.asked.append(len(view.vertices))
        return self.displacer.displace(view)


def test_rounds_end_when_nothing_moves_any_more(builtin_body: SkinnedBody) -> None:
    """Nobody is looked at again, and the last round takes everybody to the minimum by what was seen."""
    people, view = seen(builtin_body)
    photos = [Photo(pixels) for pixels in view.photos]
    settled = NetworkDisplacer(DisplacementNet(PLAIN).eval())  # untrained: every point is where it should be
    counted = Counted(settled, [])
    assert len(Refiner(displacer=counted, crop_px=64).refine(photos, people.estimate, [], [])) == 2
    assert counted.asked == [len(people.estimate)]
    assert not bool(view.moved_px(people.estimate.state).any())


def test_a_displacer_says_how_its_matches_are_taken_and_the_caller_has_the_last_word(network: DisplacementNet) -> None:
    own, given = NetworkDisplacer(network), Matching(count=64, correlation=Correlation(pixels=2.0))
    assert own.matching != Matching() and matching_of(own) == own.matching
    assert matching_of(own, given) == given and matching_of(None) == Matching()
    assert matching_of(Counted(own, [])) == Matching()  # one of the caller's that says nothing about it


def test_matches_are_taken_as_the_displacer_says(network: DisplacementNet, builtin_body: SkinnedBody) -> None:
    people, view = seen(builtin_body)
    photos, own = [Photo(pixels) for pixels in view.photos], NetworkDisplacer(network)
    given = replace(own.matching, count=64)
    solver = LevenbergMarquardt(steps=1)
    for matching, count in ((None, own.matching.count), (given, given.count)):
        refiner = Refiner(displacer=own, matching=matching, gate=None, rounds=1, crop_px=64, solver=solver)
        (term,) = refiner.refine(photos, people.estimate, [], [])[-1].evidence
        assert isinstance(term, Reprojection) and term.matches.target.shape[1] == count


def test_a_displacer_whose_matching_is_a_method_is_refused(network: DisplacementNet) -> None:
    class Old(Counted):
        def matching(self) -> Matching:
            return Matching()

    with pytest.raises(InputError, match="not a method"):
        Refiner(displacer=Old(NetworkDisplacer(network), []))


def test_a_network_that_knows_the_way_leads_the_body_there(builtin_body: SkinnedBody) -> None:
    """All of the estimate stands too far to the right; the network says so, and the body goes to the left."""
    network = DisplacementNet(PLAIN).eval()
    people, _ = seen(builtin_body)
    shift = torch.tensor([0.05, 0.0, 0.0])
    bodies = replace(people.true.state.bodies, translation=people.true.state.bodies.translation + shift)
    estimate = replace(people.true, state=replace(people.true.state, bodies=bodies))
    photos = [Photo(pixels) for pixels in people.photos]
    view = render_view(photos, estimate, crop_px=64)
    moved = (people.true.keypoints_2d("body25") - estimate.keypoints_2d("body25")).mean((0, 1))
    unit = 64 / 16
    said = float(moved[0] * view.crop.scale.mean()) / unit
    network.head.bias.data = torch.tensor([said, 0.0, 3.0, 3.0, 0.0, 4.0]).repeat_interleave(4)
    network.person.weight.data.zero_()
    network.person.bias.data = torch.tensor([4.0, 0.0, 0.0, 0.0]).repeat_interleave(
        4
    )  # and it sees somebody everywhere
    solution = Refiner(displacer=NetworkDisplacer(network), rounds=1, crop_px=64).refine(photos, estimate, [], [])[-1]
    after = replace(estimate, state=solution.state).keypoints_2d("body25")
    truth = people.true.keypoints_2d("body25")
    before = (estimate.keypoints_2d("body25") - truth).norm(dim=-1).mean()
    assert float((after - truth).norm(dim=-1).mean()) < 0.4 * float(before)


def test_a_crop_the_network_cannot_take_is_refused(network: DisplacementNet) -> None:
    with pytest.raises(InputError, match="a multiple of 16"):
        NetworkDisplacer(network, crop_px=50)


def test_a_network_in_training_mode_is_refused(network: DisplacementNet) -> None:
    with pytest.raises(InputError, match="evaluation mode"):
        NetworkDisplacer(network.train())


def test_a_texture_of_another_number_of_bodies_is_refused(network: DisplacementNet, builtin_body: SkinnedBody) -> None:
    _, view = seen(builtin_body)
    with pytest.raises(InputError, match="texture"):
        NetworkDisplacer(network, texture=torch.zeros(3, 8, 8, 4)).displace(view)


def test_nobody_in_the_photo_is_no_trouble(network: DisplacementNet, builtin_body: SkinnedBody) -> None:
    people, _ = seen(builtin_body)
    nobody = replace(people.estimate, state=people.estimate.state[:0], image_index=people.estimate.image_index[:0])
    view = render_view([Photo(people.photos[0])], nobody, crop_px=64)
    assert NetworkDisplacer(network).displace(view).offset.shape == (0, 64, 64, 2)


def test_what_was_seen_of_a_photo_is_not_asked_for_again(builtin_body: SkinnedBody) -> None:
    torch.manual_seed(0)
    network = DisplacementNet(Settings(widths=(8, 12, 16, 24), correlation_radius=2, crop_px=64)).eval()
    torch.nn.init.normal_(network.head.weight, std=0.1)
    people, first = seen(builtin_body)
    photos = [Photo(pixels) for pixels in first.photos]
    asked: list[int] = []
    network.photo.register_forward_hook(lambda module, given, told: asked.append(len(given[0])))
    step = torch.tensor([[0.0, 0.0, 0.0], [0.5, 0.0, 0.0]])  # the second walks out of its crop
    bodies = people.estimate.state.bodies
    there = replace(bodies, translation=bodies.translation + step)
    moved = replace(people.estimate, state=replace(people.estimate.state, bodies=there))
    displacer = NetworkDisplacer(network)
    displacer.displace(first)
    again = render_view(photos, moved, crop_px=first.crop.side, before=first)
    told = displacer.displace(again)
    assert asked == [2, 1]
    torch.testing.assert_close(told.offset, NetworkDisplacer(network).displace(again).offset, rtol=1e-4, atol=1e-4)
    other = [Photo(pixels[::-1].copy()) for pixels in first.photos]
    displacer.displace(render_view(other, moved, crop_px=first.crop.side, before=again))
    assert asked[-1] == 2, "other photos are looked at anew"


def test_a_body_that_stays_inside_its_crop_keeps_it(builtin_body: SkinnedBody) -> None:
    people, first = seen(builtin_body)
    photos, bodies = [Photo(pixels) for pixels in first.photos], people.estimate.state.bodies
    for step, stays in (
        ((0.02, 0.0, 0.0), True),
        ((0.4, 0.0, 0.0), False),
        ((0.0, 0.0, 3.0), False),
        ((0.0, 0.0, -1.5), False),
    ):
        state = replace(
            people.estimate.state, bodies=replace(bodies, translation=bodies.translation + torch.tensor(step))
        )
        view = render_view(photos, replace(people.estimate, state=state), crop_px=first.crop.side, before=first)
        same = (view.crop.crop_from_image == first.crop.crop_from_image).flatten(1).all(1)
        assert bool((same == stays).all()), step
    with pytest.raises(InputError, match="before"):
        render_view(photos, people.estimate, crop_px=32, before=first)
