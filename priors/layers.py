"""Small networks of affine layers and leaky rectifiers, with their derivative worked out by hand.

    x_l = g_l ∘ (W_l x_{l-1} + b_l),   g = 1 where the sum is above zero, else the slope (1: no rectifier)
    d x_L / d x_0 = G_L W_L ... G_1 W_1                        multiplied from the narrow end

Source: Griewank and Walther, Evaluating Derivatives, 2nd ed., sec. 3.1 and 3.2 (forward and reverse mode; the order of
the products is what tells them apart).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from refine.check import check_shape
from refine.errors import InputError


@dataclass(frozen=True, eq=False)
class Layer:
    """One affine layer and what follows it.

    Attributes:
        weight: (out, in).
        bias: (out,).
        slope: Of the rectifier below zero; 1: there is none.
    """

    weight: Float[Tensor, "out in"]
    bias: Float[Tensor, "out"]
    slope: float = 1.0

    def to(self, dtype: torch.dtype, device: torch.device) -> "Layer":
        """Return the layer in another type, on another device."""
        return Layer(self.weight.to(device, dtype), self.bias.to(device, dtype), self.slope)


def check_layers(name: str, layers: Sequence[Layer]) -> None:
    """Refuse layers that do not follow each other, or hold a number that is not finite.

    Raises:
        InputError: They do.
    """
    if not layers:
        raise InputError(name, "at least one layer", "none")
    width = layers[0].weight.shape[-1]
    for index, layer in enumerate(layers):
        sizes = check_shape(f"{name}, layer {index}: weight", layer.weight, "O I", I=width)
        check_shape(f"{name}, layer {index}: bias", layer.bias, "O", O=sizes["O"])
        if not bool(layer.weight.isfinite().all() & layer.bias.isfinite().all()):
            raise InputError(f"{name}, layer {index}", "finite values", "NaN or infinite ones", "Is the file complete?")
        width = sizes["O"]


def run(layers: Sequence[Layer], given: Float[Tensor, "B I"]) -> tuple[Float[Tensor, "B O"], list[Tensor | None]]:
    """Run a network.

    Args:
        layers: Of the network.
        given: (B, I).

    Returns:
        (B, O), and for each layer the gates (B, out) its derivative needs, None where it has no rectifier.
    """
    gates: list[Tensor | None] = []
    for layer in layers:
        given = torch.nn.functional.linear(given, layer.weight, layer.bias)
        gate = None
        if layer.slope != 1.0:
            gate = torch.where(given > 0, 1.0, layer.slope).to(given.dtype)
            given = given * gate
        gates.append(gate)
    return given, gates


def output_by_input(layers: Sequence[Layer], gates: Sequence[Tensor | None], count: int) -> Float[Tensor, "B O I"]:
    """Return the derivative of a network with few outputs, multiplied from its output on.

    Args:
        layers: Of the network.
        gates: As `run` left them.
        count: B.
    """
    rows = _gated(layers[-1].weight, gates[-1], count)  # (B, O, width)
    for layer, gate in zip(reversed(layers[:-1]), reversed(gates[:-1]), strict=True):
        rows = (rows if gate is None else rows * gate[:, None]) @ layer.weight
    return rows


def input_to_output(layers: Sequence[Layer], gates: Sequence[Tensor | None], count: int) -> Float[Tensor, "B I O"]:
    """Return the transposed derivative of a network with few inputs, multiplied from its input on.

    Args:
        layers: Of the network.
        gates: As `run` left them.
        count: B.
    """
    rows = _gated(layers[0].weight, gates[0], count).mT  # (B, I, width)
    for layer, gate in zip(layers[1:], gates[1:], strict=True):
        rows = rows @ layer.weight.mT
        rows = rows if gate is None else rows * gate[:, None]
    return rows


def _gated(weight: Tensor, gate: Tensor | None, count: int) -> Tensor:
    """Return a weight with its rows gated, (B, out, in)."""
    return weight.expand(count, *weight.shape) if gate is None else gate[..., None] * weight
