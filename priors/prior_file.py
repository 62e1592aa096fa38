"""Learnt priors as files: tensors by name, and in the metadata which kind of prior they are and where they come from.

    file = safetensors( tensors ),
           metadata = format, joint_names (JSON list), and words of provenance: trained_on, licence, command, figures

Source: the safetensors format (its header is JSON behind its length in eight bytes).
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from torch import Tensor

from refine.body.keypoint_names import SMPL22
from refine.errors import InputError
from refine.files.atomic import write_bytes

FOLDER = Path(__file__).parent / "data"
"""Where the priors lie that ship with the library."""
TRUNK_AND_LIMBS = SMPL22[1:]
"""The 21 joints every body of the SMPL kind has; a prior on the pose is over these, others may follow."""


def write_prior_file(
    path: str | Path, format_name: str, tensors: Mapping[str, Tensor], words: Mapping[str, str]
) -> int:
    """Write a prior, whole or not at all.

    Args:
        path: The file.
        format_name: Kind of prior and version, as its reader wants it.
        tensors: By name; written as they are.
        words: What else is to stand in the metadata.

    Returns:
        The size in bytes.

    Raises:
        InputError: The file cannot be written.
    """
    from safetensors.torch import save

    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    data = _in_order(save(contiguous, metadata={**words, "format": format_name}))
    write_bytes(path, data)
    return len(data)


def _header_end(data: bytes) -> int:
    """Return where the header ends and the numbers begin."""
    return 8 + int.from_bytes(data[:8], "little")


def _in_order(data: bytes) -> bytes:
    """Sort the header by name, which the safetensors library does not: the same prior is the same bytes."""
    end = _header_end(data)
    header = json.dumps(json.loads(data[8:end]), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    header += b" " * (-len(header) % 8)  # the format wants the numbers to begin at a multiple of eight
    return len(header).to_bytes(8, "little") + header + data[end:]


def read_prior_file(path: str | Path, format_name: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read a prior.

    Args:
        path: The file.
        format_name: Kind of prior and version.

    Returns:
        The tensors by name, and the metadata.

    Raises:
        InputError: There is no such file, it is damaged, or it is another kind of file.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    path = Path(path)
    if not path.is_file():
        raise InputError("path", f"a file of format {format_name!r}", f"no file at {path}")
    data = path.read_bytes()
    try:
        tensors = load(data)
        words = json.loads(data[8 : _header_end(data)]).get("__metadata__") or {}
    except (SafetensorError, ValueError, KeyError) as error:
        raise InputError(path.name, "a safetensors file", f"a file that is none ({error})") from error
    if words.get("format") != format_name:
        advice = "A prior of another kind, or of another version of this library?"
        raise InputError(path.name, f"a file of format {format_name!r}", f"format {words.get('format')!r}", advice)
    return tensors, words


def take(name: str, tensors: Mapping[str, Tensor], key: str, *shape: int | None) -> Tensor:
    """Return one tensor of a file in double precision.

    Args:
        name: The file's, for the message.
        tensors: Of the file.
        key: Of the tensor.
        shape: Its size per axis; None: any.

    Raises:
        InputError: It is missing, of another shape, holds no floating-point numbers, or some that are not finite.
    """
    wanted = "(" + ", ".join("any" if size is None else str(size) for size in shape) + ")"
    tensor = tensors.get(key)
    if tensor is None:
        held = ", ".join(sorted(tensors)[:12]) or "none"
        raise InputError(f"{name}: {key}", f"a tensor of shape {wanted}", f"no such tensor; there are {held}")
    fits = len(shape) == tensor.dim() and all(
        want in (None, have) for want, have in zip(shape, tensor.shape, strict=True)
    )
    if not fits or not tensor.dtype.is_floating_point:
        got = f"shape {tuple(tensor.shape)} of {str(tensor.dtype).removeprefix('torch.')}"
        raise InputError(f"{name}: {key}", f"floating-point numbers of shape {wanted}", got)
    if not bool(tensor.isfinite().all()):
        raise InputError(f"{name}: {key}", "finite values", "NaN or infinite ones", "Is the file complete?")
    return tensor.double()


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Put a file's name before that of the part which is refused inside the `with`.

    Args:
        name: The file's.

    Raises:
        InputError: A part is refused.
    """
    try:
        yield
    except InputError as error:
        raise InputError(f"{name}: {error.name}", error.expected, error.got, error.advice) from error


def names_of(name: str, words: Mapping[str, str]) -> tuple[str, ...]:
    """Return the joint names a file states.

    Raises:
        InputError: It states none.
    """
    try:
        names = json.loads(words["joint_names"])
    except (KeyError, ValueError):
        names = None
    if not isinstance(names, list) or not names or not all(isinstance(each, str) for each in names):
        raise InputError(f"{name}: joint_names", "a JSON list of joint names", repr(words.get("joint_names"))[:80])
    return tuple(names)
