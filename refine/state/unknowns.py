"""Unknowns: the columns of a step, and which of them exist for each body."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from numbers import Integral
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from refine import batch
from refine.batch import Index
from refine.check import check_shape, check_type
from refine.errors import InputError
from refine.state.bodies import Bodies
from refine.state.groups import Groups


@dataclass(frozen=True, eq=False)
class Unknowns:
    """The columns of a step, in this order: 3 per free joint, shape, expression, translation, log-focal, constants.

    The columns are one layout for a whole batch; `free` masks those that exist for each body. A column that does not
    exist for a body has no gradient and no variance there, and the body's numbers are those of a layout without it. Two
    layouts are equal whatever their masks and groups.

    Attributes:
        joints: Indices of the free joints, ascending.
        shape: Number of free shape coefficients, the first ones.
        expression: Number of free expression coefficients, the first ones.
        translation: 3 if the translation is free, else 0.
        focal: 1 if the logarithm of the focal length (both axes together) is free, else 0.
        constants: Numbers that terms leave open (`State.constants`), as the constant part of points' errors.
        free: (B, P) which columns exist for each body; None: all of them, for every body.
        groups: Which rows share columns or are coupled; None: every row is solved by itself.

    Raises:
        InputError: Joints are not ascending, a number is out of range, the mask has another width, or mask and groups
            disagree on the number of rows.
    """

    joints: tuple[int, ...]
    shape: int = 0
    expression: int = 0
    translation: int = 3
    focal: int = 0
    constants: int = 0
    free: Bool[Tensor, "B P"] | None = field(default=None, repr=False)
    groups: Groups | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        check_type("unknowns.joints", self.joints, tuple, "The usual ones are body.anatomy.core_joints.")
        if not all(isinstance(each, Integral) for each in (*self.joints, self.shape, self.expression, self.constants)):
            raise InputError("unknowns", "whole numbers", repr(self))
        counts = (
            min(self.shape, self.expression, self.constants) >= 0
            and self.translation in (0, 3)
            and self.focal in (0, 1)
        )
        if not counts or list(self.joints) != sorted(set(self.joints)) or min(self.joints, default=0) < 0:
            raise InputError(
                "unknowns",
                "ascending joints, shape, expression and constants >= 0, translation 0 or 3, focal 0 or 1",
                repr(self),
            )
        if self.groups is not None and not isinstance(self.groups, Groups):
            advice = 'Write groups=one_shape(["anna", "anna", "ben"]).'
            raise InputError("unknowns.groups", "refine.state.Groups or None", type(self.groups).__name__, advice)
        if self.free is not None:
            check_shape("unknowns.free", self.free, "B P", P=self.size)
        if self.free is not None and self.groups is not None and len(self.groups) not in (0, len(self.free)):
            raise InputError("unknowns.groups", f"labels of {len(self.free)} rows", f"of {len(self.groups)}")

    @property
    def layout(self) -> tuple[tuple[int, ...], int, int, int, int, int]:
        """The columns without their mask."""
        return self.joints, self.shape, self.expression, self.translation, self.focal, self.constants

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Unknowns) and self.layout == other.layout

    def __hash__(self) -> int:
        return hash(self.layout)

    def rows(self, index: Index) -> "Unknowns":
        """Return the columns of some of the bodies, in the order of index."""
        return batch.rows(self, index)

    def free_joints(self, joints: Sequence[int]) -> Bool[Tensor, "B N"] | None:
        """Return which of some joints (N of `joints`) are free for each body (B, N); None: all of them, for every body.

        A term whose rows depend on one joint only makes them silent where that joint is not free.
        """
        if self.free is None:
            return None
        return self.free[:, [3 * self.joints.index(joint) for joint in joints]]

    def places_of(self, fewer: "Unknowns", device: torch.device | None = None) -> Int[Tensor, "Q"]:
        """Return the positions (Q,) of fewer unknowns' columns among these.

        Args:
            fewer: Q columns, all of them among these.
            device: Of the positions.

        Raises:
            InputError: A column is not among these.
        """
        sizes = (fewer.shape, self.shape), (fewer.expression, self.expression), (fewer.focal, self.focal)
        more = (fewer.translation, self.translation), (fewer.constants, self.constants)
        fits = all(few <= many for few, many in (*sizes, *more))
        if not fits or not set(fewer.joints) <= set(self.joints):
            raise InputError("unknowns", f"columns among {self!r}", repr(fewer))
        places = [3 * self.joints.index(joint) + axis for joint in fewer.joints for axis in range(3)]
        for mine, count in (
            (self.shape_columns, fewer.shape), (self.expression_columns, fewer.expression),
            (self.translation_columns, fewer.translation), (self.focal_column, fewer.focal),
            (self.constant_columns, fewer.constants),
        ):  # fmt: skip
            places += range(mine.start, mine.start + count)
        return torch.tensor(places, dtype=torch.long, device=device)

    def shares(self, kind: Literal["shape", "expression", "focal", "constants"]) -> Float[Tensor, "B"] | None:
        """Return of each row one over the number of rows that have its value; None: every row has its own.

        A prior of the value itself (a population's shapes, a rule for focal lengths) is counted once for such rows:
        each has this share of it.
        """
        return None if self.groups is None else self.groups.shares.get(kind)

    def check_bodies(self, bodies: Bodies) -> None:
        """Refuse columns that bodies do not have.

        Raises:
            InputError: A joint or coefficient does not exist, or the groups are of another number of bodies.
        """
        if self.groups is not None and len(self.groups) not in (0, len(bodies)):
            raise InputError("unknowns.groups", f"labels of {len(bodies)} rows", f"of {len(self.groups)}")
        joints, shapes, expressions = bodies.pose.shape[1], bodies.shape.shape[1], bodies.expression.shape[1]
        if max(self.joints, default=0) >= joints or self.shape > shapes or self.expression > expressions:
            has = f"at most {joints} joints, {shapes} shape and {expressions} expression coefficients, as the model has"
            raise InputError("unknowns", has, repr(self))

    @property
    def size(self) -> int:
        """P, the number of columns."""
        return 3 * len(self.joints) + self.shape + self.expression + self.translation + self.focal + self.constants

    @property
    def pose_columns(self) -> slice:
        """Columns of the free joints' steps (rad), three a joint."""
        return slice(0, 3 * len(self.joints))

    @property
    def shape_columns(self) -> slice:
        """Columns of the free shape coefficients."""
        return slice(self.pose_columns.stop, self.pose_columns.stop + self.shape)

    @property
    def expression_columns(self) -> slice:
        """Columns of the free expression coefficients."""
        return slice(self.shape_columns.stop, self.shape_columns.stop + self.expression)

    @property
    def translation_columns(self) -> slice:
        """Columns of the translation (m)."""
        return slice(self.expression_columns.stop, self.expression_columns.stop + self.translation)

    @property
    def focal_column(self) -> slice:
        """Column of log-focal."""
        return slice(self.translation_columns.stop, self.translation_columns.stop + self.focal)

    @property
    def constant_columns(self) -> slice:
        """Columns of the constants."""
        return slice(self.focal_column.stop, self.focal_column.stop + self.constants)
