"""The displacement network: what it says by construction, what its file must be, and its place in the method."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

from displacement_net import catalog
from displacement_net.displacement import Displacement
from displacement_net.model import UNSURE, Alike, DisplacementNet, Settings, correlation, fold
from displacement_net.preprocessing import CHANNELS, MASK, network_input
from refine.body import SkinnedBody
from refine.dense.correspondence import Matching
from refine.dense.displacer import matching_of
from refine.dense.network import NetworkDisplacer, view_channels
from refine.errors import InputError
from refine.photo import Photo
from refine.refiner import Displacer, Refiner
from refine.render.view import View, render_view
from refine.solve.levenberg_marquardt import LevenbergMarquardt
from refine.terms.reprojection import Reprojection
from tests.people import Case, case

PLAIN = Settings(widths=(8, 12, 16, 24), crop_px=64)
CORRELATING = replace(PLAIN, correlation_radius=2, correlation_features=8)
TEXTURED = replace(CORRELATING, texture_radius=3, texture_features=8)


@pytest.fixture(params=[PLAIN, CORRELATING, TEXTURED], ids=["plain", "correlating", "textured"])
def network(request: pytest.FixtureRequest) -> DisplacementNet:
    """A small network in each design with weights that say something."""
    return random_network(request.param)


def random_network(settings: Settings) -> DisplacementNet:
    torch.manual_seed(0)
    network = DisplacementNet(settings)
    torch.nn.init.normal_(network.head.weight, std=0.3)
    if settings.texture_radius:
        torch.nn.init.normal_(network.alike.fine.weight, std=0.03)
    for name, buffer in network.named_buffers():
        if name.endswith("running_var"):
            buffer.uniform_(0.5, 2.0)
    return network.eval().requires_grad_(False)


def channels(count: int = 3, side: int = 64, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, len(CHANNELS), side, side, generator=torch.Generator().manual_seed(seed))


def seen(body: SkinnedBody, count: int = 2, crop_px: int = 64) -> tuple[Case, View]:
    people = case(body, count)
    noise = torch.randint(0, 255, (480, 400, 3), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    photos = [Photo(noise.numpy()) for _ in range(count)]
    return people, render_view(photos, people.estimate, crop_px=crop_px)


@pytest.mark.parametrize("settings", [Settings(), Settings(correlation_radius=4, texture_radius=4)])
def test_the_shipped_shapes_stay_below_six_million_parameters(settings: Settings) -> None:
    assert sum(parameter.numel() for parameter in DisplacementNet(settings).parameters()) < 6e6


@pytest.mark.parametrize("settings", [PLAIN, CORRELATING, TEXTURED])
def test_an_untrained_network_says_no_displacement(settings: Settings) -> None:
    said = DisplacementNet(settings).eval()(channels())
    assert bool((said.offset == 0).all())


def test_information_is_a_lower_triangle_with_a_positive_diagonal(network: DisplacementNet) -> None:
    said = network(channels())
    assert bool((said.sqrt_information.diagonal(dim1=-2, dim2=-1) > 0).all())
    assert float(said.sqrt_information[..., 0, 1].abs().max()) == 0
    assert float(said.sqrt_information[..., 1, 0].abs().max()) > 0


def test_a_point_that_is_likely_hidden_carries_no_information(network: DisplacementNet) -> None:
    said, decided = network(channels()), network.displacement(channels(), 0.5)
    hidden = said.visible <= 0
    assert bool(hidden.any())
    assert not bool(hidden.all())
    assert float(decided.sqrt_information[hidden].abs().max()) == 0
    torch.testing.assert_close(decided.offset[~hidden], said.offset[~hidden])
    threshold = float(said.visible.sigmoid().median()) - UNSURE
    likely = said.visible.sigmoid() > threshold + UNSURE
    all_said = network.displacement(channels(), threshold)
    assert bool(likely.any())
    torch.testing.assert_close(all_said.sqrt_information[likely], said.sqrt_information[likely])


def test_a_point_that_is_hardly_more_likely_seen_than_hidden_carries_hardly_more_information(
    network: DisplacementNet,
) -> None:
    said = network(channels())
    at = said.visible.sigmoid().flatten().sort().values[said.visible.numel() // 2]  # some point's own likelihood
    below, above = (network.displacement(channels(), float(at) + step).sqrt_information for step in (1e-5, -1e-5))
    change = (above - below).flatten(-2).norm(dim=-1) / said.sqrt_information.flatten(-2).norm(dim=-1)
    assert float(change.max()) < 1e-3


def test_a_body_does_not_feel_its_batch(network: DisplacementNet) -> None:
    together, alone = network(channels()), network(channels()[1:2])
    torch.testing.assert_close(together.offset[1:2], alone.offset, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(together.sqrt_information[1:2], alone.sqrt_information, rtol=1e-4, atol=1e-4)


def test_folded_normalisations_change_nothing(network: DisplacementNet) -> None:
    before = network(channels())
    after = fold(network)(channels())
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in network.modules())
    torch.testing.assert_close(after.offset, before.offset, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(after.visible, before.visible, rtol=1e-3, atol=1e-3)


def test_correlation_finds_the_shift_between_two_pictures() -> None:
    photo = torch.randn(1, 16, 12, 12, generator=torch.Generator().manual_seed(3))
    rendering = torch.roll(photo, (-1, -2), (2, 3))  # what stands at x in the rendering is at x + (2, 1) in the photo
    fit = correlation(rendering, photo, 3)
    dy, dx = divmod(int(fit[0, :, 5, 5].argmax()), 7)
    assert (dx - 3, dy - 3) == (2, 1)


def test_correlation_equals_the_products_one_by_one_and_is_zero_outside() -> None:
    draw = torch.Generator().manual_seed(4)
    rendering, photo = torch.randn(2, 5, 6, 7, generator=draw), torch.randn(2, 5, 6, 7, generator=draw)
    fit, radius = correlation(rendering, photo, 2), 2
    for row, column, dy, dx in [(0, 0, -1, 0), (3, 4, 2, -2), (5, 6, 0, 1), (2, 2, 0, 0), (5, 6, 0, 0)]:
        inside = 0 <= row + dy < 6 and 0 <= column + dx < 7
        other = photo[:, :, row + dy, column + dx] if inside else torch.zeros(2, 5)
        product = (rendering[:, :, row, column] * other).sum(1) / 5**0.5
        torch.testing.assert_close(fit[:, (dy + radius) * 5 + dx + radius, row, column], product)


def test_a_texture_is_compared_with_the_photo_where_it_is_known() -> None:
    network, given = random_network(TEXTURED), channels()
    given[:, -4:] = 0
    without = network(given).offset
    told = given.clone()
    told[1, -4:, :32] = 1.0  # the second body's upper half
    torch.testing.assert_close(network(told).offset[::2], without[::2])
    assert float((network(told).offset[1] - without[1]).abs().max()) > 0


def test_the_same_eyes_find_a_texture_that_lies_elsewhere_in_the_photo() -> None:
    torch.manual_seed(0)
    alike = Alike(3, TEXTURED, 8, 8).requires_grad_(False)
    seen: list[torch.Tensor] = []
    alike.read.register_forward_hook(lambda _module, given, _told: seen.append(given[0]))
    photo = torch.randn(1, 3, 16, 16)
    fine, coarse = alike(photo, torch.roll(photo, (-1, -2), (2, 3)), torch.ones(1, 1, 64, 64))
    dy, dx = divmod(int(seen[0][0, :, 8, 8].argmax()), 7)
    assert (dx - 3, dy - 3) == (2, 1)
    assert float(seen[0].max()) == pytest.approx(1, abs=0.02)  # a cosine
    assert (fine.shape, coarse.shape) == ((1, 8, 16, 16), (1, 8, 8, 8))


def test_the_input_is_zero_behind_the_body_and_depth_counts_from_its_middle() -> None:
    draw = torch.Generator().manual_seed(5)
    photo, normals, rest = torch.rand(3, 2, 8, 8, 3, generator=draw)
    mask = torch.rand(2, 8, 8, generator=draw) > 0.5
    depth = torch.where(mask, 3 + torch.rand(2, 8, 8, generator=draw), torch.inf)
    shown = network_input(photo, normals, depth, rest, mask)
    moved = network_input(photo, normals, depth + 7, rest, mask)
    assert shown.shape == (2, len(CHANNELS), 8, 8)
    assert float(shown[:, 3:].masked_select(~mask[:, None]).abs().max()) == 0
    assert float(shown[:, 11:].abs().max()) == 0, "without a texture its channels are silent"
    torch.testing.assert_close(moved, shown, rtol=0, atol=1e-5)
    torch.testing.assert_close(shown[:, MASK], mask.float())


def test_a_network_survives_its_file(network: DisplacementNet, tmp_path: Path) -> None:
    path = tmp_path / "small.safetensors"
    digest, size = catalog.save(path, network, {"licence": "test"})
    assert path.stat().st_size == size
    row = catalog.Weights("small", digest, size, "test", "nothing", {})
    for source in (catalog.load(path), catalog.load("small", table=(row,), folder=tmp_path)):
        assert source.settings == network.settings
        expected, got = network(channels()), source(channels())
        # Weights are rounded to eleven bits.
        assert float((got.offset - expected.offset).norm() / expected.offset.norm()) < 0.01


def test_a_file_that_is_not_the_catalogues_is_refused(network: DisplacementNet, tmp_path: Path) -> None:
    digest, size = catalog.save(tmp_path / "small.safetensors", network, {})
    wrong = catalog.Weights("small", "0" + digest[1:] if digest[0] != "0" else "1" + digest[1:], size, "", "", {})
    with pytest.raises(InputError, match="sha256"):
        catalog.load("small", table=(wrong,), folder=tmp_path)


def test_every_file_of_the_catalogue_is_there_and_is_itself() -> None:
    for row in catalog.WEIGHTS:
        assert (catalog.FOLDER / f"{row.name}.safetensors").stat().st_size == row.bytes
        assert catalog.load(row.name).settings.multiple > 0


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("format", "displacement_net 0", "format"),
        ("channels", "photo_r", "channels"),
        ("mean", "0.4", "mean"),
        ("settings", "{}", "tensors of the network"),
        ("settings", '{"widths": [4, 4, 4, 4]}', "tensors of the network"),
        ("settings", "no", "tensors of the network"),
    ],
)
def test_a_file_of_another_kind_is_refused(
    network: DisplacementNet, tmp_path: Path, key: str, value: str, message: str
) -> None:
    from safetensors import safe_open
    from safetensors.torch import save_file

    path = tmp_path / "net.safetensors"
    catalog.save(path, network, {})
    with safe_open(path, framework="pt") as file:
        tensors, words = {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata())
    save_file(tensors, path, metadata={**words, key: value})
    with pytest.raises(InputError, match=message):
        catalog.load(path)


@pytest.mark.parametrize("content", [b"", b"\x08\x00\x00\x00\x00\x00\x00\x00{}      ", b"nonsense" * 9])
def test_a_damaged_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "net.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match="weights: expected"):
        catalog.load(path)


def test_a_name_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(InputError, match="name of the catalogue"):
        catalog.load("no-such-weights")


def test_the_file_says_how_its_input_is_made(network: DisplacementNet, tmp_path: Path) -> None:
    from safetensors import safe_open

    catalog.save(tmp_path / "net.safetensors", network, {"licence": "CC0"})
    with safe_open(tmp_path / "net.safetensors", framework="pt") as file:
        words = dict(file.metadata())
    assert words["channels"].split(",") == list(CHANNELS)
    assert json.loads(words["settings"])["crop_px"] == 64
    assert words["licence"] == "CC0"


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
    own, given = NetworkDisplacer(network), Matching(count=64, correlation_px=2.0)
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
    moved = replace(people.estimate, state=replace(people.estimate.state, bodies=replace(bodies, translation=bodies.translation + step)))  # fmt: skip
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
