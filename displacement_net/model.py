"""The displacement network: from photo and rendering an offset, the root of its information and a visibility a pixel.

    plain         U( photo, rendering )                            one encoder sees both
    correlating   U( f(photo), g(rendering), f . g within r )
                  two encoders, and how well each rendered pixel fits its surroundings
                  ... at 1/8 of the crop, or at 1/8 and 1/4
                  ... + h( cos(f(photo), f(texture)) within r )
                      where the person's texture is known: the same looks under the same eyes
                  ... f of our own, or on a trunk that knows photographs (`displacement_net.trunk`)

f(photo) does not depend on the estimate: `look` computes it once, and it serves as long as the crop shows the same part
of the photo.

    unit                 = S / 16 px,    S the side of the crop, so that a displacement has one size at every resolution
    offset               = unit (o_x, o_y)
    sqrt_information     = [[exp a, 0], [c, exp b]] / unit   lower triangular, 1 / standard deviation where c = 0

In training a further head says what every pixel of the photo shows: whether it is the estimated person, and where on
the person's rest-pose surface it lies. Nobody asks for that later; it teaches the features what people look like, long
before offsets can.

The six numbers of a pixel come from half the resolution (each of its pixels says four times six), and an untrained
network says no displacement. Images are normally channels-last, where convolutions on a CPU are fastest.

Source: Ronneberger et al., U-Net, MICCAI 2015 (encoder, decoder, skips); Sun et al., PWC-Net, CVPR 2018, sec. 3 (two
encoders and a local cost volume); Shi et al., CVPR 2016 (sub-pixel output); Güler et al., DensePose, CVPR 2018 (what a
pixel shows); Dorta et al., CVPR 2018 (a triangular root of the precision).
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from displacement_net.displacement import Displacement
from displacement_net.trunk import LITE0, PhotoTrunk, Unit
from refine.errors import InputError

CROP_FRACTION = 16
"""A unit of the network's output is this fraction of the crop's side: 16 px of 256, what medium estimates are off."""
LOG_RANGE = 3.5
"""Bound on the logarithm of the information's diagonal: standard deviations lie between 0.3 and 370 px of 256."""
FIRST_SIGMA = 0.7
"""Standard deviation an untrained network states, in units: what doing nothing is off by."""
UNKNOWN_CORRELATION_PX = 32.0
"""How far errors are taken to hang together before that was measured: a head's height."""
UNSURE = 0.1
"""How far above the threshold of being visible a point has to be to say all that it knows: a judgement."""
OUTPUTS = 6
"""o_x, o_y, a, b, c and the logit of being visible."""
SHOWN = 4
"""The logit of being the person, and the three rest-pose colours."""


@dataclass(frozen=True)
class Settings:
    """The shape of the network; stored with its weights."""

    photo_channels: int = 3
    """Channels of the photo, first in the input."""

    rendering_channels: int = 12
    """Channels of the rendering, after the photo's."""

    widths: tuple[int, ...] = (32, 64, 112, 160, 224)
    """Features at 1/2, 1/4, ... of the crop; the last sees the whole person."""

    correlation_radius: int = 0
    """Farthest fit that is looked at, px of 1/8 of the crop (of 256, a person has 27); 0: the plain design."""

    correlation_features: int = 48
    """Features that are compared; without effect in the plain design."""

    texture_radius: int = 0
    """Farthest place a texture is looked for, px of 1/4 of the crop; 0: nowhere. Needs the correlating design."""

    texture_features: int = 24
    """Features of texture and photo that are compared."""

    trunk: str = ""
    """What the photo's encoder stands on: "" nothing, "efficientnet-lite0" that network's ImageNet weights, frozen.
    Needs the correlating design."""

    fine_radius: int = 0
    """Farthest fit that is looked at, px of 1/4 of the crop, beside 1/8; 0: none. Needs the correlating design."""

    fine_features: int = 24
    """Features that are compared at 1/4."""

    crop_px: int = 128
    """Side of the crops it was trained at; other sides work, this one fits best."""

    @property
    def multiple(self) -> int:
        """Sides of crops must be a multiple of this, px."""
        return int(2 ** len(self.widths))


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the network says, before a decision about visibility; differentiable.

    Attributes:
        offset: (B, S, S, 2) px, from the rendered to the observed position.
        sqrt_information: (B, S, S, 2, 2) 1/px, lower triangular with a positive diagonal.
        visible: (B, S, S) logit of the point being seen in the photo: neither hidden nor outside.
        person: (B, 4, S, S) what the photo's pixels show: logit of being the person, rest-pose colours less ½; None:
            not said.
    """

    offset: Float[Tensor, "B S S 2"]
    sqrt_information: Float[Tensor, "B S S 2 2"]
    visible: Float[Tensor, "B S S"]
    person: Float[Tensor, "B 4 S S"] | None = None


@dataclass(frozen=True, eq=False)
class Seen:
    """What the photo's encoder says of B crops of S px; it serves for any rendering in the same crops.

    Attributes:
        features: At 1/2, 1/4 and 1/8 of the crop, (B, width, S / 2, S / 2), ...
        shallow: (B, F, S / 4, S / 4) what textures are compared with.
    """

    features: tuple[Tensor, ...]
    shallow: Tensor

    def __getitem__(self, rows: Tensor | slice) -> "Seen":
        return Seen(tuple(part[rows] for part in self.features), self.shallow[rows])

    def with_rows(self, rows: Tensor, other: "Seen") -> "Seen":
        """Return the same with other crops in some rows."""
        features = tuple(mine.index_copy(0, rows, new) for mine, new in zip(self.features, other.features, strict=True))
        return Seen(features, self.shallow.index_copy(0, rows, other.shallow))


def joined(parts: Sequence[Seen]) -> Seen:
    """Return crops one after the other."""
    features = tuple(torch.cat(level) for level in zip(*(part.features for part in parts), strict=True))
    return Seen(features, torch.cat([part.shallow for part in parts]))


class Convolution(nn.Sequential):
    """Convolution, normalisation, rectifier; `late`: strides pad right and bottom only, as the trunk's do."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1, *, late: bool = False) -> None:
        self.late = late and stride > 1
        super().__init__(
            nn.Conv2d(inputs, outputs, 3, stride, 0 if self.late else 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )

    def forward(self, value: Tensor) -> Tensor:
        """Return features (B, outputs, H / stride, W / stride)."""
        if self.late:
            value = functional.pad(value, (0, 1, 0, 1))
        seen: Tensor = super().forward(value)  # type: ignore[no-untyped-call]
        return seen


class Encoder(nn.Module):
    """Features at 1/2, 1/4, ... of the crop."""

    def __init__(self, inputs: int, widths: tuple[int, ...], *, late: bool = False) -> None:
        super().__init__()
        self.first = Convolution(inputs, widths[0], 2, late=late)
        self.down = nn.ModuleList(
            nn.Sequential(Convolution(coarse, fine, 2, late=late), Convolution(fine, fine))
            for coarse, fine in itertools.pairwise(widths)
        )
        self.shallow_features = widths[1]

    def shallow(self, image: Tensor) -> Tensor:
        """Return the features (B, width, S / 4, S / 4) alone."""
        features: Tensor = self.down[0](self.first(image.contiguous(memory_format=torch.channels_last)))
        return features

    def forward(self, image: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return features (B, width, S / 2, S / 2), ... / 4, ... of images (B, C, S, S), and what `shallow` returns."""
        features = [self.first(image.contiguous(memory_format=torch.channels_last))]
        for step in self.down:
            features.append(step(features[-1]))
        return features, features[1]


class Alike(nn.Module):
    """Where around each rendered pixel the photo looks like the texture; all zero where no texture is known."""

    FLOOR = 1e-3
    """Length below which features are no direction."""

    def __init__(self, inputs: int, settings: Settings, fine: int, coarse: int) -> None:
        super().__init__()
        self.radius = settings.texture_radius
        self.compared = nn.Conv2d(inputs, settings.texture_features, 1, bias=False)
        # No bias and no normalisation: what is zero stays zero. The last one begins at zero: a network trained before
        # stays what it was.
        window, read = (2 * self.radius + 1) ** 2, settings.texture_features
        self.read = nn.Sequential(nn.Conv2d(window, read, 1, bias=False), nn.ReLU(inplace=True))
        self.fine, self.coarse = nn.Conv2d(read, fine, 1, bias=False), nn.Conv2d(read, coarse, 3, 2, 1, bias=False)
        for last in (self.fine, self.coarse):
            nn.init.zeros_(last.weight)

    def forward(self, photo: Tensor, texture: Tensor, confidence: Tensor) -> tuple[Tensor, Tensor]:
        """Compare the photo encoder's features of a photo and of a textured rendering.

        Args:
            photo: (B, F, S / 4, S / 4).
            texture: (B, F, S / 4, S / 4), of the rendering in the person's own colours.
            confidence: (B, 1, S, S) of the texture, 0..1.

        Returns:
            What that adds to the features at 1/4 (B, fine, S / 4, S / 4) and at 1/8 (B, coarse, S / 8, S / 8).
        """
        sure = functional.avg_pool2d(confidence, 4)
        fit = correlation(sure * self._direction(texture), self._direction(photo), self.radius)
        read = self.read(fit * photo.new_tensor(self.compared.out_channels).sqrt())  # cosines
        return self.fine(read), self.coarse(read)

    def _direction(self, features: Tensor) -> Tensor:
        """Return unit vectors: what differs from place to place, not how strongly."""
        told: Tensor = self.compared(features - features.mean((2, 3), keepdim=True))
        return told / (told.norm(dim=1, keepdim=True) + self.FLOOR)


class Fine(nn.Module):
    """How well each rendered pixel fits its surroundings at 1/4 of the crop, where a pixel or two can still be seen."""

    def __init__(self, inputs: int, settings: Settings) -> None:
        super().__init__()
        self.radius = settings.fine_radius
        self.compared = nn.ModuleList(nn.Conv2d(inputs, settings.fine_features, 1) for _ in range(2))
        self.read = nn.Conv2d((2 * self.radius + 1) ** 2, 2 * inputs, 1)
        for weight in self.read.parameters():  # a network trained without begins as it was
            nn.init.zeros_(weight)

    def forward(self, rendering: Tensor, photo: Tensor) -> Tensor:
        """Return what the fit adds to features (B, 2 F, S / 4, S / 4), of renderings and photos (B, F, ...) each."""
        told: Tensor = self.read(correlation(self.compared[1](rendering), self.compared[0](photo), self.radius))
        return told


class Decoder(nn.Module):
    """From the coarsest features back to 1/2 of the crop, adding the encoder's features at each level."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        steps = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.narrow = nn.ModuleList(nn.Conv2d(coarse, fine, 1) for coarse, fine in steps)
        self.smooth = nn.ModuleList(
            nn.Sequential(Convolution(fine, fine), Convolution(fine, fine)) for _, fine in steps
        )

    def forward(self, coarse: Tensor, skips: list[Tensor]) -> Tensor:
        """Return (B, widths[0], S / 2, S / 2); skips run from coarse to fine."""
        for narrow, smooth, skip in zip(self.narrow, self.smooth, skips, strict=True):
            coarse = smooth(functional.interpolate(narrow(coarse), scale_factor=2.0, mode="nearest") + skip)
        return coarse


class DisplacementNet(nn.Module):
    """The network, in either design.

    Attributes:
        settings: Its shape.
        sharpness: What stated roots of information are multiplied by, found on people it was not trained with.
        correlation_px: Side of a square in which its errors hang together, px of a 256 crop, found likewise.
    """

    LEVEL = 2
    """Where the two designs part: features at 1/8 of the crop are compared."""

    sharpness: Tensor
    correlation_px: Tensor

    def __init__(self, settings: Settings | None = None) -> None:
        super().__init__()
        self.settings = settings = settings or Settings()
        _check(settings)
        widths, inputs = settings.widths, settings.photo_channels + settings.rendering_channels
        self.register_buffer("sharpness", torch.ones(()))
        self.register_buffer("correlation_px", torch.tensor(UNKNOWN_CORRELATION_PX))
        if settings.correlation_radius:
            head, tail = widths[: self.LEVEL + 1], widths[self.LEVEL :]
            # Two encoders of half the width cost what one of the full width does at the finest level, and half below.
            half = tuple(width // 2 for width in head)
            trunk = bool(settings.trunk)
            self.photo = PhotoTrunk(half) if trunk else Encoder(settings.photo_channels, half)
            self.rendering = Encoder(settings.rendering_channels, half, late=trunk)
            self.compared = nn.ModuleList(nn.Conv2d(half[-1], settings.correlation_features, 1) for _ in range(2))
            window = (2 * settings.correlation_radius + 1) ** 2
            self.join = Convolution(2 * half[-1] + window, widths[self.LEVEL])
            self.deep = nn.ModuleList(
                nn.Sequential(Convolution(coarse, fine, 2), Convolution(fine, fine))
                for coarse, fine in itertools.pairwise(tail)
            )
            if settings.texture_radius:
                self.alike = Alike(self.photo.shallow_features, settings, 2 * half[1], 2 * half[-1])
            if settings.fine_radius:
                self.fine = Fine(half[1], settings)
        else:
            self.both = Encoder(inputs, widths)
        self.decoder = Decoder(widths)
        self.head = nn.Conv2d(widths[0], 4 * OUTPUTS, 1)
        self.person = nn.Conv2d(widths[0], 4 * SHOWN, 1)
        for parameter in self.head.parameters():
            nn.init.zeros_(parameter)
        _channels_last(self)

    def look(self, photo: Float[Tensor, "B 3 S S"]) -> Seen | None:
        """Compute the features of crops of photos, whatever is rendered; None in the plain design, which has none.

        Args:
            photo: The first channels of what `forward` wants.
        """
        if not self.settings.correlation_radius:
            return None
        features, shallow = self.photo(photo)
        return Seen(tuple(features), shallow)

    def forward(self, channels: Float[Tensor, "B C S S"], seen: Seen | None = None) -> Prediction:
        """Look at crops.

        Args:
            channels: (B, C, S, S), see `displacement_net.preprocessing`; S a multiple of `settings.multiple`.
            seen: What `look` says of their photos; None: it is asked now.

        Returns:
            The prediction, in the type of the channels, at least single precision.
        """
        features = self._correlated(channels, seen) if self.settings.correlation_radius else self.both(channels)[0]
        fine = self.decoder(features[-1], features[-2::-1])
        numbers = functional.pixel_shuffle(_at_least_single(self.head(fine)), 2).permute(0, 2, 3, 1)  # (B, S, S, 6)
        unit = channels.shape[-1] / CROP_FRACTION
        across = numbers[..., 4]
        log = LOG_RANGE * torch.tanh(numbers[..., 2:4] / LOG_RANGE)
        diagonal = log.exp()
        rows = torch.stack((diagonal[..., 0], torch.zeros_like(across), across, diagonal[..., 1]), -1)
        root = rows.unflatten(-1, (2, 2)) * (self.sharpness / (FIRST_SIGMA * unit))
        person = functional.pixel_shuffle(_at_least_single(self.person(fine)), 2)
        return Prediction(unit * numbers[..., :2], root, numbers[..., 5], person)

    def _correlated(self, channels: Tensor, seen: Seen | None) -> list[Tensor]:
        """Return the features of the correlating design, fine to coarse."""
        seen = seen or self.look(channels[:, : self.settings.photo_channels])
        assert seen is not None  # only the plain design says so, which does not come here
        photo = seen.features
        rendering, _ = self.rendering(channels[:, self.settings.photo_channels :])
        fit = correlation(
            self.compared[1](rendering[-1]), self.compared[0](photo[-1]), self.settings.correlation_radius
        )
        features = [torch.cat(pair, 1) for pair in zip(photo, rendering, strict=True)]
        # Without a texture the comparison is zero, and is not made; asking costs one synchronisation a call on a GPU.
        if self.settings.texture_radius and bool((channels[:, -1] > 0).any()):
            fine, coarse = self.alike(seen.shallow, self.photo.shallow(channels[:, -4:-1]), channels[:, -1:])
            features[1], features[-1] = features[1] + fine, features[-1] + coarse
        if self.settings.fine_radius:
            features[1] = features[1] + self.fine(rendering[1], photo[1])
        features[-1] = self.join(torch.cat((features[-1], fit), 1))
        for step in self.deep:
            features.append(step(features[-1]))
        return features

    @torch.no_grad()
    def displacement(
        self, channels: Float[Tensor, "B C S S"], threshold: float = 0.5, seen: Seen | None = None
    ) -> Displacement:
        """Return the displacement field of crops.

        Args:
            channels: See `forward`.
            threshold: A point less likely to be visible than this says nothing, 0..1, 1 excluded.
            seen: See `forward`.

        Returns:
            (B, S, S) offsets in px with their information, zero where the point is likely hidden or outside the photo.
            From the threshold on it grows steadily (`UNSURE`): a point's rounding does not decide whether it is heard.
        """
        said = self(channels, seen)
        shown = ((said.visible.sigmoid() - threshold) / min(UNSURE, 1 - threshold)).clamp(0, 1)
        return Displacement(
            torch.where(shown[..., None] > 0, said.offset, 0.0),
            said.sqrt_information * shown[..., None, None],
            None if said.person is None else said.person[:, 0].sigmoid(),
        )


def correlation(
    rendering: Float[Tensor, "B F H W"], photo: Float[Tensor, "B F H W"], radius: int
) -> Float[Tensor, "B R H W"]:
    """Compare every pixel of the rendering with the photo around the same place.

    Args:
        rendering: (B, F, H, W) features.
        photo: (B, F, H, W) features.
        radius: Farthest shift, px, along each axis.

    Returns:
        (B, (2 radius + 1)², H, W) mean products; shift (dx, dy) at index (dy + radius) (2 radius + 1) + dx + radius,
        zero outside.
    """
    count, features, height, width = rendering.shape
    reach, wide = 2 * radius + 1, width + 2 * radius
    rows = rendering.permute(0, 2, 3, 1).reshape(count * height, width, features) / features**0.5
    padded = functional.pad(photo, (radius,) * 4).permute(0, 2, 3, 1)  # (B, H + 2 r, W + 2 r, F)
    shifts = []
    for down in range(reach):
        # Row against row, of which a band is kept: less than all pairs, and faster than shifting the picture.
        line = padded[:, down : down + height].reshape(count * height, wide, features)
        pairs = torch.bmm(rows, line.mT).contiguous()  # (B H, W, W + 2 r)
        shifts.append(
            pairs.as_strided((count, height, width, reach), (height * width * wide, width * wide, wide + 1, 1))
        )
    return torch.cat(shifts, -1).permute(0, 3, 1, 2)


def _at_least_single(numbers: Tensor) -> Tensor:
    """Return half precision as single, single and double as they are."""
    return numbers.to(torch.promote_types(numbers.dtype, torch.float32))


def fold(network: DisplacementNet) -> DisplacementNet:
    """Put each normalisation into the convolution before it, for inference; the network is changed and returned."""
    network.eval()
    for block in network.modules():
        if (
            isinstance(block, Convolution | Unit)
            and isinstance(block[1], nn.BatchNorm2d)
            and isinstance(block[0], nn.Conv2d)
        ):
            block[0] = nn.utils.fuse_conv_bn_eval(block[0], block[1])
            block[1] = nn.Identity()
    _channels_last(network)
    return network


def _check(settings: Settings) -> None:
    """Refuse shapes that cannot be.

    Raises:
        InputError: The trunk has no such name, or what needs the correlating design is asked of the plain one.
    """
    if settings.trunk not in ("", LITE0):
        raise InputError("trunk", f"nothing or {LITE0!r}", repr(settings.trunk))
    if (settings.trunk or settings.fine_radius) and not settings.correlation_radius:
        raise InputError("trunk, fine_radius", "the correlating design", "the plain one", "Give a correlation_radius.")


def _channels_last(network: nn.Module) -> None:
    """Lay weights out so that a convolution on a CPU need not do it at each call."""
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
