"""The displacement network: what it says by construction, and what its file must be."""

import json
from pathlib import Path

import pytest
import torch

from displacement_net import catalog
from displacement_net.model import UNSURE, Alike, DisplacementNet, Settings, correlation, fold
from displacement_net.preprocessing import CHANNELS, MASK, network_input
from refine.errors import InputError
from tests.networks import CORRELATING, PLAIN, TEXTURED, random_network


def channels(count: int = 3, side: int = 64, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, len(CHANNELS), side, side, generator=torch.Generator().manual_seed(seed))


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
