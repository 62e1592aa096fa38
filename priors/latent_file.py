"""Latent pose priors as files: this library's own, and the checkpoints of VPoser v1 and v2.

    .safetensors   encoder.<n>.weight, .bias, decoder.<n>.weight, .bias, sigma_rad (21,);
                   metadata: format "refine pose latent 1", joint_names, encoder_slopes, decoder_slopes (JSON lists),
                             provenance
    v1 (.pt)       bodyprior_enc_bn1, enc_fc1, enc_bn2, enc_fc2, enc_mu;  bodyprior_dec_fc1, dec_fc2, dec_out;
                   rectifiers of slope 0.2
    v2 (.ckpt)     vp_model.encoder_net.1 (normalisation), .2, .4 (normalisation), .6, .7, .8.mu;
                   vp_model.decoder_net.0, .3, .5;  0.01

A normalisation goes before an affine layer in both, so it is folded into that layer: W (γ (x - m) / √(v + ε) + β) + b.

Source: names, order and rectifiers of layers as github.com/nghorbani/human_body_prior writes them (v1: smplify-x's
VPoser; v2: V02_05).
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from priors.layers import Layer
from priors.prior_file import TRUNK_AND_LIMBS, names_of, read_prior_file, take, write_prior_file
from refine.errors import InputError
from refine.files.checkpoint import read_weights

JOINTS = len(TRUNK_AND_LIMBS)

FORMAT = "refine pose latent 1"
"""Name and version of the file format; another version is refused."""

V1_SLOPE, V2_SLOPE = 0.2, 0.01
"""Of their rectifiers: v1 says so, v2 has torch's default."""
EPSILON = 1e-5
"""ε of a normalisation, torch's default, which both have."""
VPOSER_SIGMA_RAD = 0.1
"""What unfolding loses, where a checkpoint does not say: 6 degrees an axis. A judgement; to change it use
`dataclasses.replace`."""
SUFFIXES = (".safetensors", ".ckpt", ".pt", ".pth")


class LatentParts(NamedTuple):
    """What a file holds: the fields of `priors.LatentPose` by their names, in double precision."""

    encoder: tuple[Layer, ...]
    decoder: tuple[Layer, ...]
    sigma_rad: Float[Tensor, "J"]


def read_latent(path: str | Path) -> LatentParts:
    """Read a latent prior by what is in its file.

    Args:
        path: A .safetensors of this library, or a checkpoint of VPoser v1 or v2.

    Raises:
        InputError: A tensor is missing or of another shape, or the file is damaged or another kind of file.
    """
    path = Path(path)
    if path.suffix == ".safetensors":
        return _own(path)
    tensors = read_weights(path)
    tensors = {key.removeprefix("module.").removeprefix("vp_model."): value for key, value in tensors.items()}
    if any(key.startswith("bodyprior_") for key in tensors):
        layers = _v1(path.name, tensors)
    elif any(key.startswith(("encoder_net.", "decoder_net.")) for key in tensors):
        layers = _v2(path.name, tensors)
    else:
        held = ", ".join(sorted(tensors)[:6])
        wanted = "a checkpoint of VPoser v1 (bodyprior_...) or v2 (vp_model.encoder_net...)"
        raise InputError(path.name, wanted, f"one with {held}")
    return LatentParts(*layers, torch.full((JOINTS,), VPOSER_SIGMA_RAD, dtype=torch.float64))


def write_latent(path: str | Path, prior: LatentParts, words: Mapping[str, str]) -> int:
    """Write a latent prior, its weights in half precision.

    Args:
        path: The file.
        prior: What to write.
        words: Provenance: trained_on, licence, command, figures.

    Returns:
        The size in bytes.

    Raises:
        InputError: The file cannot be written.
    """
    tensors, slopes = {"sigma_rad": prior.sigma_rad.float()}, {}
    for name, layers in (("encoder", prior.encoder), ("decoder", prior.decoder)):
        slopes[f"{name}_slopes"] = json.dumps([layer.slope for layer in layers])
        for index, layer in enumerate(layers):
            tensors[f"{name}.{index}.weight"] = layer.weight.half()
            tensors[f"{name}.{index}.bias"] = layer.bias.half()
    return write_prior_file(path, FORMAT, tensors, {**words, **slopes, "joint_names": json.dumps(TRUNK_AND_LIMBS)})


def find_latent(path: str | Path) -> Path:
    """Return the file meant: of a folder's, the one with the highest epoch in its name.

    Args:
        path: A file, the folder it lies in, or the folder whose `snapshots` it lies in.

    Raises:
        InputError: There is none.
    """
    path = Path(path).expanduser()
    if path.is_file():
        return path
    wanted = "a latent pose prior (.safetensors, VPoser's .pt or .ckpt), or the folder it lies in"
    if not path.is_dir():
        raise InputError("path", wanted, f"no file or folder at {path}")
    for folder in (path / "snapshots", path):
        inside = sorted(folder.iterdir()) if folder.is_dir() else []
        found = [file for file in inside if file.is_file() and file.suffix in SUFFIXES]
        if found:
            return max(found, key=_epoch)
    raise InputError("path", wanted, f"a folder without any, {path}")


def _epoch(file: Path) -> int:
    """Return the epoch in a checkpoint's name (TR00_E096, V02_05_epoch=13_val_loss=0.03), -1 where there is none."""
    stated = re.search(r"(?:_E|epoch=)(\d+)", file.stem)
    return int(stated[1]) if stated else -1


def _own(path: Path) -> LatentParts:
    """Read this library's file."""
    tensors, words = read_prior_file(path, FORMAT)
    names = names_of(path.name, words)
    if names != TRUNK_AND_LIMBS:
        raise InputError(f"{path.name}: joint_names", ", ".join(TRUNK_AND_LIMBS), ", ".join(names))
    networks = []
    for network in ("encoder", "decoder"):
        key = f"{network}_slopes"
        try:
            slopes = [float(slope) for slope in json.loads(words[key])]
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path.name}: {key}", "a JSON list of numbers", repr(words.get(key))[:80]) from error
        networks.append(_layers(path.name, tensors, [f"{network}.{index}" for index in range(len(slopes))], slopes))
    encoder, decoder = networks
    return LatentParts(encoder, decoder, take(path.name, tensors, "sigma_rad", JOINTS))


def _v1(name: str, tensors: Mapping[str, Tensor]) -> tuple[tuple[Layer, ...], tuple[Layer, ...]]:
    """Read v1's layers."""
    keys = [f"bodyprior_{key}" for key in ("enc_fc1", "enc_fc2", "enc_mu")]
    first, second, mean = _layers(name, tensors, keys, (V1_SLOPE, V1_SLOPE, 1.0))
    first = _after_normalisation(name, tensors, "bodyprior_enc_bn1", first)
    second = _after_normalisation(name, tensors, "bodyprior_enc_bn2", second)
    keys = [f"bodyprior_{key}" for key in ("dec_fc1", "dec_fc2", "dec_out")]
    return (first, second, mean), _layers(name, tensors, keys, (V1_SLOPE, V1_SLOPE, 1.0))


def _v2(name: str, tensors: Mapping[str, Tensor]) -> tuple[tuple[Layer, ...], tuple[Layer, ...]]:
    """Read v2's layers; what follows each other without a rectifier is multiplied to one."""
    keys = [f"encoder_net.{key}" for key in ("2", "6", "7", "8.mu")]
    first, second, third, mean = _layers(name, tensors, keys, (V2_SLOPE, 1.0, 1.0, 1.0))
    first = _after_normalisation(name, tensors, "encoder_net.1", first)
    second = _after_normalisation(name, tensors, "encoder_net.4", second)
    weight, bias = second.weight, second.bias
    for layer in (third, mean):
        weight, bias = layer.weight @ weight, layer.weight @ bias + layer.bias
    keys = [f"decoder_net.{key}" for key in ("0", "3", "5")]
    return (first, Layer(weight, bias)), _layers(name, tensors, keys, (V2_SLOPE, V2_SLOPE, 1.0))


def _layers(
    name: str, tensors: Mapping[str, Tensor], keys: Sequence[str], slopes: Sequence[float]
) -> tuple[Layer, ...]:
    """Take layers that follow each other."""
    layers: list[Layer] = []
    for key, slope in zip(keys, slopes, strict=True):
        weight = take(name, tensors, f"{key}.weight", None, len(layers[-1].bias) if layers else None)
        layers.append(Layer(weight, take(name, tensors, f"{key}.bias", len(weight)), slope))
    return tuple(layers)


def _after_normalisation(name: str, tensors: Mapping[str, Tensor], key: str, layer: Layer) -> Layer:
    """Fold the normalisation before a layer into it."""
    width = layer.weight.shape[1]
    parts = ("weight", "bias", "running_mean", "running_var")
    scale, shift, mean, variance = (take(name, tensors, f"{key}.{part}", width) for part in parts)
    if not bool((variance >= 0).all()):
        raise InputError(f"{name}: {key}.running_var", "variances", "negative ones", "Is the file complete?")
    scale = scale / (variance + EPSILON).sqrt()
    return Layer(layer.weight * scale, layer.bias + layer.weight @ (shift - scale * mean), layer.slope)
