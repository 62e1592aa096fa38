"""The refined body that travels beside a source's own words, for whoever writes and reads them without the source's model file.

    text    version  model  joints  shape  expression  checksum of betas  base64 of float32:
            pose (3 J) rad, shape, expression, translation, scale, transl and pelvis of the source

A file of SMPL's parameters has no place for another model's shape, so that reading it again would have to guess it
anew. The text stands under `KEY`, which no regressor's reader looks at, one a body; in `Result.smplx()` and its files
as the text's bytes. It holds only for the words it was written with: a body whose rotations, place or betas were
changed since is read from its words, and a note says so.

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
"""Under this name the texts stand in files."""

VERSION = "1"
DEPTH = 5
"""So deep a regressor nests its dictionaries, at most."""

SAME_TURN = 2e-4
"""Rotation matrices nearer than this are the same ones, stored in float32 or as text: 0.01 degrees, 0.1 mm at a
wrist."""

SAME_PLACE = 1e-5
"""The same of a place, relative to its distance; and a tenth of a millimetre."""


@dataclass(frozen=True, eq=False)
class Found:
    """Refined bodies that stand beside a source's words.

    Attributes:
        model: Name of the body model they are of.
        valid: (B,) whether a body's words are still those it was written with; the other fields' rows mean nothing
            where not.
        bodies: They, camera frame, m.
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
        """Return those of some of the bodies."""
        return batch.rows(self, index)

    def fits(self, body: SkinnedBody) -> bool:
        """Say whether these are bodies of a model."""
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
        scale: (B,) size of the source's scene in units of theirs.
        betas: (B, S) the source's coefficients, as they are written.
        transl: (B, 3) m, the source's `transl` as it is written.
        pelvis: (B, 3) m, the source's pelvis as it is written.
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
    """Return texts as (B, L) uint8, filled with blanks: an array like the others it stands among."""
    width = max(map(len, lines), default=0)
    return np.array([list(line.ljust(width).encode("ascii")) for line in lines], np.uint8).reshape(len(lines), width)


def found_among(
    arrays: Mapping[str, object], pose: Float[Tensor, "B J 3 3"], betas: Float[Tensor, "B S"],
    translation: Float[Tensor, "B 3"] | None, joints: Float[Tensor, "B L 3"] | None,
) -> Found | None:  # fmt: skip
    """Return the refined bodies beside a source's words, None where there are none.

    Args:
        arrays: The file's content; texts are looked for under `KEY` at any depth.
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
        same = (read.sums[chosen] == own) & _same_words(found, pose, translation, joints)
        return replace(found, valid=same)

    one_each = torch.arange(len(pose))
    found = matched(one_each) if len(pose) == len(read.sums) else None
    if found is not None and bool(found.valid.all()):
        return found
    near = _nearest(read.found, pose, translation, joints)
    return matched(near if found is None else torch.where(found.valid, one_each, near))


def found_by_words(arrays: Mapping[str, object], words: Float[Tensor, "B N"]) -> Found | None:
    """Return refined bodies beside words that are no parameters, None where there are none.

    Args:
        arrays: As for `found_among`.
        words: (B, N) a row of numbers a body, which the texts' checksums are of.
    """
    read = _gathered(arrays)
    if read is None or len(read.sums) != len(words):
        return None
    return replace(read.found, valid=read.sums == torch.tensor([_checksum(row) for row in words]))


@dataclass(frozen=True, eq=False)
class _Texts:
    """What the texts of a file say: bodies, and the checksum (T,) each was written with."""

    found: Found
    sums: Tensor


def _gathered(arrays: Mapping[str, object]) -> _Texts | None:
    """Return what the texts of a file say, None where there are none that can be read."""
    read = [one for one in map(_read, _lines(arrays, DEPTH)) if one is not None]
    if not read or len({one[:4] for one in read}) > 1:
        return None
    name, joints, shapes, expressions = read[0][:4]
    rows = torch.tensor(np.stack([one[5] for one in read]))
    turn, shape, expression, place, scale, transl, pelvis = rows.split([3 * joints, shapes, expressions, 3, 1, 3, 3], 1)
    bodies = Bodies(rotation.exp(turn.unflatten(1, (-1, 3))), shape, expression, place)
    every = torch.ones(len(rows), dtype=torch.bool)
    return _Texts(Found(name, every, bodies, scale[:, 0], transl, pelvis), torch.tensor([one[4] for one in read]))


def _same_words(found: Found, pose: Tensor, translation: Tensor | None, joints: Tensor | None) -> Tensor:
    """Say which bodies' rotations and places are those of the words. Joints the source says nothing of are the identity there."""
    from refine.body.smpl_joints import copy_pose

    said = copy_pose(pose, found.bodies.pose)
    rest = torch.eye(3).to(said)
    speaks = ((said - rest).abs() > SAME_TURN).flatten(2).any(2)
    speaks[:, :BODY_JOINTS] = True
    same = ~(((said - found.bodies.pose).abs() > SAME_TURN).flatten(2).any(2) & speaks).any(1)
    for written, now in ((found.transl, translation), (found.pelvis, None if joints is None else joints[:, 0])):
        if now is not None:
            same &= ((written - now).abs() <= 1e-4 + SAME_PLACE * now.norm(dim=1, keepdim=True)).all(1)
    return same


def _nearest(found: Found, pose: Tensor, translation: Tensor | None, joints: Tensor | None) -> Tensor:
    """Return which text (B,) is nearest to each body's words, for files of which people were taken out or put in another order."""
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
    """Return what stands under `KEY`: a text, some, or their bytes."""
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
