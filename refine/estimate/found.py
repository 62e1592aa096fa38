"""Refined bodies stored in a file beside the source's parameters, for reading it without the source's model file.

    text    version  model  joints  shape  expression  checksum of betas  base64 of float32:
            pose (3 J) rad, shape, expression, translation, scale, transl and pelvis of the source

A file of SMPL's parameters cannot hold another model's shape, which would have to be fitted anew when it is read. The
texts stand under `KEY`, which other readers ignore, one a body; in `Result.smplx()` and its files as bytes. A text is
valid only for the parameters it was written with: a body whose rotations, position or betas were changed since is read
from its parameters, with a note.

Source: derived here.
"""

import base64
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from refine import batch
from refine.batch import Index
from refine.body import SkinnedBody
from refine.body.smpl_joints import BODY_JOINTS
from refine.geometry import rotation
from refine.state import Bodies

KEY = "refine_body"
"""The texts' key in files."""

VERSION = "1"
DEPTH = 5
"""Most levels of nested dictionaries that are searched."""

SAME_TURN = 2e-4
"""Largest rounding error of a rotation matrix stored in float32 or as text: 0.01 degrees, 0.1 mm at a wrist."""

SAME_PLACE = 1e-5
"""The same of a position, relative to its distance; plus a tenth of a millimetre."""


@dataclass(frozen=True, eq=False)
class Found:
    """Refined bodies stored beside a source's parameters.

    Attributes:
        model: Name of their body model.
        valid: (B,) whether the body's parameters are those it was stored with; elsewhere the other fields are void.
        bodies: The refined bodies, camera frame, m.
        scale: (B,) size of the source's scene in units of the bodies'.
        transl: (B, 3) m, the source's `transl` as it was written.
        pelvis: (B, 3) m, the source's pelvis as it was written.
    """

    model: str
    valid: Bool[Tensor, "B"]
    bodies: Bodies
    scale: Float[Tensor, "B"]
    transl: Float[Tensor, "B 3"]
    pelvis: Float[Tensor, "B 3"]

    def rows(self, index: Index) -> "Found":
        """Return the rows of some of the bodies."""
        return batch.rows(self, index)

    def fits(self, body: SkinnedBody) -> bool:
        """Return whether these are bodies of a model."""
        rest = body.rest_bodies(1)
        sizes = [part.shape[1] for part in (rest.pose, rest.shape, rest.expression)]
        mine = [part.shape[1] for part in (self.bodies.pose, self.bodies.shape, self.bodies.expression)]
        return self.model == body.name and sizes == mine


def texts(
    body: SkinnedBody, bodies: Bodies, scale: Float[Tensor, "B"], betas: Float[Tensor, "B S"],
    transl: Float[Tensor, "B 3"], pelvis: Float[Tensor, "B 3"],
) -> list[str]:  # fmt: skip
    """Return the text of each body.

    Args:
        body: The model.
        bodies: The refined bodies, camera frame, m.
        scale: (B,) size of the source's scene in units of the bodies'.
        betas: (B, S) the source's coefficients, as written to the file.
        transl: (B, 3) m, the source's `transl`, as written.
        pelvis: (B, 3) m, the source's pelvis, as written.
    """
    parts = (rotation.log(bodies.pose).flatten(1), bodies.shape, bodies.expression, bodies.translation)
    rows = torch.cat([_plain(part) for part in (*parts, scale[:, None], transl, pelvis)], 1).numpy().astype("<f4")
    sizes = f"{bodies.pose.shape[1]} {bodies.shape.shape[1]} {bodies.expression.shape[1]}"
    name = body.name.replace(" ", "_")
    return [
        f"{VERSION} {name} {sizes} {_checksum(own):08x} {base64.b64encode(row.tobytes()).decode('ascii')}"
        for row, own in zip(rows, betas, strict=True)
    ]


def as_bytes(lines: Sequence[str]) -> np.ndarray:
    """Return texts as an array (B, L) uint8, filled with blanks."""
    width = max(map(len, lines), default=0)
    return np.array([list(line.ljust(width).encode("ascii")) for line in lines], np.uint8).reshape(len(lines), width)


def found_among(
    arrays: Mapping[str, object], pose: Float[Tensor, "B J 3 3"], betas: Float[Tensor, "B S"],
    translation: Float[Tensor, "B 3"] | None, joints: Float[Tensor, "B L 3"] | None,
) -> Found | None:  # fmt: skip
    """Return the refined bodies stored beside a source's parameters, None where there are none.

    Args:
        arrays: The file's content; texts are searched under `KEY` at any depth.
        pose: (B, J, 3, 3) the source's local rotations.
        betas: (B, S) its shape coefficients.
        translation: (B, 3) m its `transl`, where it has one.
        joints: (B, L, 3) m its joints, pelvis first, where it has them.
    """
    read = _gathered(arrays)
    if read is None:
        return None
    own = torch.tensor([_checksum(row) for row in betas])

    def matched(chosen: Tensor) -> Found:
        found = read.found.rows(chosen)
        same = (read.sums[chosen] == own) & _same_parameters(found, pose, translation, joints)
        return replace(found, valid=same)

    one_each = torch.arange(len(pose))
    found = matched(one_each) if len(pose) == len(read.sums) else None
    if found is not None and bool(found.valid.all()):
        return found
    near = _nearest(read.found, pose, translation, joints)
    return matched(near if found is None else torch.where(found.valid, one_each, near))


def found_by_words(arrays: Mapping[str, object], numbers: Float[Tensor, "B N"]) -> Found | None:
    """Return refined bodies stored beside other numbers than parameters, None where there are none.

    Args:
        arrays: As for `found_among`.
        numbers: (B, N) a row of numbers a body, over which the texts' checksums were made.
    """
    read = _gathered(arrays)
    if read is None or len(read.sums) != len(numbers):
        return None
    return replace(read.found, valid=read.sums == torch.tensor([_checksum(row) for row in numbers]))


@dataclass(frozen=True, eq=False)
class _Texts:
    """The content of a file's T texts: bodies, and the checksum (T,) of each."""

    found: Found
    sums: Tensor


def _gathered(arrays: Mapping[str, object]) -> _Texts | None:
    """Return the content of a file's texts, None where none can be read."""
    read = [one for one in map(_read, _lines(arrays, DEPTH)) if one is not None]
    if not read or len({one[:4] for one in read}) > 1:
        return None
    name, joints, shapes, expressions = read[0][:4]
    rows = torch.tensor(np.stack([one[5] for one in read]))
    turn, shape, expression, place, scale, transl, pelvis = rows.split([3 * joints, shapes, expressions, 3, 1, 3, 3], 1)
    bodies = Bodies(rotation.exp(turn.unflatten(1, (-1, 3))), shape, expression, place)
    every = torch.ones(len(rows), dtype=torch.bool)
    return _Texts(Found(name, every, bodies, scale[:, 0], transl, pelvis), torch.tensor([one[4] for one in read]))


def _same_parameters(found: Found, pose: Tensor, translation: Tensor | None, joints: Tensor | None) -> Tensor:
    """Return which bodies (B,) have the source's rotations and position; joints the source lacks are not compared."""
    from refine.body.smpl_joints import copy_pose

    own = copy_pose(pose, found.bodies.pose)  # the identity where the source lacks a joint
    rest = torch.eye(3).to(own)
    compared = ((own - rest).abs() > SAME_TURN).flatten(2).any(2)
    compared[:, :BODY_JOINTS] = True
    same = ~(((own - found.bodies.pose).abs() > SAME_TURN).flatten(2).any(2) & compared).any(1)
    for written, now in ((found.transl, translation), (found.pelvis, None if joints is None else joints[:, 0])):
        if now is not None:
            same &= ((written - now).abs() <= 1e-4 + SAME_PLACE * now.norm(dim=1, keepdim=True)).all(1)
    return same


def _nearest(found: Found, pose: Tensor, translation: Tensor | None, joints: Tensor | None) -> Tensor:
    """Return the text (B,) nearest to each body's parameters, for files whose people were removed or reordered."""
    one, other = pose[:, :BODY_JOINTS].flatten(1), found.bodies.pose[:, :BODY_JOINTS].flatten(1)
    if translation is not None:
        one, other = torch.cat((one, translation), 1), torch.cat((other, found.transl), 1)
    elif joints is not None:
        one, other = torch.cat((one, joints[:, 0]), 1), torch.cat((other, found.pelvis), 1)
    return torch.cat([torch.cdist(part, other).argmin(1) for part in one.split(512)])


def _lines(value: object, depth: int) -> Iterator[str]:
    """Return all texts under `KEY`, in the file's order."""
    if depth < 0:
        return
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts_of(item) if key == KEY else _lines(item, depth - 1)
    elif isinstance(value, list | tuple) and value and isinstance(value[0], Mapping):
        for item in value:
            yield from _lines(item, depth - 1)


def _texts_of(value: object) -> Iterator[str]:
    """Return the texts in the value of `KEY`: a text, several, or their bytes."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Tensor):
        yield from _texts_of(value.detach().cpu().numpy())
    elif isinstance(value, np.ndarray) and value.dtype.kind in "ui" and value.ndim in (1, 2):
        yield from (bytes(row).decode("ascii", "replace") for row in np.atleast_2d(value).astype(np.uint8))
    elif isinstance(value, np.ndarray) and value.dtype.kind == "U":
        yield from map(str, value.reshape(-1))
    elif isinstance(value, list | tuple):
        yield from (item for item in value if isinstance(item, str))


def _read(line: str) -> tuple[str, int, int, int, int, np.ndarray] | None:
    """Return a text's parts, None where it is damaged or of another version."""
    try:
        version, name, *numbers, checksum, data = line.split()
        joints, shapes, expressions = map(int, numbers)
        row = np.frombuffer(base64.b64decode(data, validate=True), "<f4")
        expected = 3 * joints + shapes + expressions + 10
        if version != VERSION or min(joints - BODY_JOINTS, shapes, expressions) < 0 or len(row) != expected:
            return None
        return (name, joints, shapes, expressions, int(checksum, 16), row) if np.isfinite(row).all() else None
    except (ValueError, struct.error):
        return None


def _checksum(betas: Tensor) -> int:
    return zlib.crc32(_plain(betas).numpy().astype("<f4").tobytes())


def _plain(values: Tensor) -> Tensor:
    return values.detach().cpu().float()
