"""The network's weights: which there are, and how a file of them is read and written.

    file = safetensors( 16-bit weights, 32-bit statistics ),
           metadata = format, shape of the network, preprocessing, where it comes from

`WEIGHTS` is the only table of weights there is. A file in it must be the one it names, byte for byte; a file given by
path must be of this format version and have been trained on the same preprocessing. Nothing is downloaded.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from displacement_net.model import DisplacementNet, Settings, fold
from displacement_net.preprocessing import description
from displacement_net.trunk import ORIGIN, SCALE
from refine.errors import InputError
from refine.files.atomic import write_bytes

FORMAT = "displacement_net 1"
"""Name and version of the file format; another version is refused."""

FOLDER = Path(__file__).parent / "weights"
"""Where the files of the table lie."""


@dataclass(frozen=True)
class Weights:
    """One row of the table.

    Attributes:
        name: What `load` is asked for; the file is `FOLDER/name.safetensors`.
        sha256: Of the file.
        bytes: Its size.
        licence: Under which it may be used.
        trained_on: Data, samples, hours and command.
        figures: Hold-out figures by name, with their unit in the name.
    """

    name: str
    sha256: str
    bytes: int
    licence: str
    trained_on: str
    figures: Mapping[str, float]


DEFAULT = "people-3"
"""The weights `refine.fit` uses."""

WEIGHTS: tuple[Weights, ...] = (
    Weights(
        name=DEFAULT,
        sha256="92128805f9ee86e32930646e7af28b5e1337384bfc4e48253e4e2bee57443f42",
        bytes=12689304,
        licence="Apache-2.0",
        trained_on="665,856 synthetic samples of 128 px, for a fifth of the time of 192 (half of them mirror images), "
        "5,202 steps of 128, 7.5 minutes on one NVIDIA H200 with six processes that make samples; the photo's "
        "encoder stands on EfficientNet-Lite0's ImageNet weights, frozen; tests/gpu/train.sh RUN "
        "base_mesh.safetensors ASSETS 7.5 (python -m displacement_net.training.train --minutes 7.5 --trunk "
        "--correlation 4 --fine 3 --textures 4 --widths 32,64,128,192,256 --compared 64 --batch 128 --made "
        "1536 --workers 6 --rate 2e-3 --rasterizer scatter --larger 192 --larger-share 0.2)",
        figures={
            "endpoint_px": 5.4329,
            "nothing_px": 10.4212,
            "share": 0.5213,
            "share_near": 1.9593,
            "visible_right": 0.8695,
            "visible_share": 0.6915,
            "one_sigma": 0.7126,
            "two_sigma": 0.9262,
            "correlation_px": 54.9486,
        },
    ),
)
"""All weights that ship with the library."""


def load(name_or_path: str | Path, *, table: tuple[Weights, ...] = WEIGHTS, folder: Path = FOLDER) -> DisplacementNet:
    """Read a network for use.

    Args:
        name_or_path: A name of the table, or a file written by `save`.
        table: Rows to look names up in.
        folder: Where their files lie.

    Returns:
        The network in single precision on the CPU, in evaluation mode, normalisations folded into its convolutions.

    Raises:
        InputError: There is no such name or file; the file is damaged, of another version, another preprocessing or
            another shape than it says; or it is not the file the table means.
    """
    return fold(load_trainable(name_or_path, table=table, folder=folder)).requires_grad_(False)


def load_trainable(
    name_or_path: str | Path, *, table: tuple[Weights, ...] = WEIGHTS, folder: Path = FOLDER
) -> DisplacementNet:
    """Read a network to train it further: as `load`, but in training mode with its normalisations apart.

    Raises:
        InputError: There is no such name or file, it is damaged, or it is not the catalogue's.
    """
    rows = {row.name: row for row in table}
    row = rows.get(str(name_or_path))
    path = folder / f"{row.name}.safetensors" if row else Path(name_or_path).expanduser()
    if not path.is_file():
        known = ", ".join(rows) or "none yet"
        raise InputError(
            "weights", f"a name of the catalogue ({known}) or a .safetensors file", f"no file at {name_or_path}"
        )
    data = path.read_bytes()
    if row and hashlib.sha256(data).hexdigest() != row.sha256:
        raise InputError(
            "weights", f"{path.name} with the catalogue's sha256", "another file", "Reinstall the library."
        )
    tensors, words = _read(path.name, data)
    return _network(path.name, tensors, words)


def save(path: str | Path, network: DisplacementNet, words: Mapping[str, str]) -> tuple[str, int]:
    """Write a network's weights: 16-bit floats, statistics of the normalisations in 32.

    Args:
        path: The file.
        network: Trained, its normalisations not folded.
        words: What else is to stand in the metadata: licence, data, command, figures.

    Returns:
        sha256 and size in bytes of the file, as the table wants them.

    Raises:
        InputError: The network is folded, a weight is not finite in 16 bits, or the file cannot be written.
    """
    from safetensors.torch import save as to_bytes

    if not any(name.endswith("running_var") for name, _ in network.named_buffers()):
        raise InputError("network", "a network as it was trained", "one whose normalisations are folded")
    tensors = {}
    for name, value in network.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        exact = name.endswith(("running_mean", "running_var", "sharpness", "correlation_px"))
        tensors[name] = value.detach().cpu().to(torch.float32 if exact else torch.float16).contiguous()
        if not bool(tensors[name].isfinite().all()):
            raise InputError("network", "weights that are finite in 16 bits", f"{name} that is not")
    shape = asdict(network.settings)
    metadata = {**words, "format": FORMAT, "settings": json.dumps(shape), **description(), **_of_trunk(shape)}
    data = to_bytes(tensors, metadata=metadata)
    write_bytes(path, data)
    return hashlib.sha256(data).hexdigest(), len(data)


def _read(name: str, data: bytes) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return a file's tensors and metadata.

    Raises:
        InputError: It is no file of this format and version.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load as from_bytes

    try:
        tensors = from_bytes(data)
        # The header is JSON behind its length in eight bytes (the safetensors format); the library reads it from paths
        # only.
        words = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")]).get("__metadata__", {})
    except (SafetensorError, ValueError) as error:
        raise InputError("weights", "a safetensors file", f"{name}: {error}") from error
    if words.get("format") != FORMAT:
        raise InputError(
            "weights",
            f"a file of format {FORMAT!r}",
            f"{name} of format {words.get('format')!r}",
            "Use weights made for this version of the library.",
        )
    for key, value in (description() | _of_trunk(_shape(words))).items():
        if words.get(key) != value:
            raise InputError("weights", f"a file trained with {key} {value}", f"{name}, trained with {words.get(key)}")
    return tensors, words


def _shape(words: Mapping[str, str]) -> dict[str, object]:
    """Return the settings a file states, nothing where it states none that can be read."""
    try:
        stored = json.loads(words.get("settings", "{}"))
    except ValueError:
        return {}
    return stored if isinstance(stored, dict) else {}


def _of_trunk(shape: Mapping[str, object]) -> dict[str, str]:
    """Return what a file says of its trunk: its scaling of the input and whose weights it has; empty without one."""
    return {"trunk_input": SCALE, "trunk_origin": ORIGIN} if shape.get("trunk") else {}


def _network(name: str, tensors: Mapping[str, Tensor], words: Mapping[str, str]) -> DisplacementNet:
    """Fill a network.

    Raises:
        InputError: The tensors are not those of the shape the file states.
    """
    try:
        stored = json.loads(words["settings"])
        network = DisplacementNet(Settings(**{**stored, "widths": tuple(stored["widths"])}))
        state = {key: value.float() for key, value in tensors.items()}
        counted = {key: value for key, value in network.state_dict().items() if key.endswith("num_batches_tracked")}
        network.load_state_dict({**state, **counted})
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        first = str(error).splitlines()[0]
        raise InputError("weights", "the tensors of the network its metadata states", f"{name}: {first}") from error
    return network
