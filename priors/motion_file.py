"""How people accelerate, as a table over the interval between frames: a file of this library, and what is read off it.

    .safetensors   interval_s (D,);  sigma (D, N), rad/s² for N - 1 joints and m/s² for the translation, the last;
                   degrees (D, N) of Student's t;  spread (D,) of the logarithm of sigma between recordings
                   metadata: format "refine motion 1", joint_names, provenance

Between the table's intervals the logarithm of sigma is linear in that of the interval.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from priors.prior_file import names_of, read_prior_file, take, write_prior_file
from refine.check import check_positive, check_shape
from refine.errors import InputError

FORMAT = "refine motion 1"
"""Name and version of the file format; another version is refused."""
SLACK = 1.05
"""The longest interval reaches this much further: times are rounded."""


@dataclass(frozen=True, eq=False)
class MotionTable:
    """Accelerations of N - 1 joints and of the translation over D intervals.

    Attributes:
        interval_s: (D,) s between frames, ascending.
        sigma: (D, N) scale of Student's t per axis, rad/s², of the translation m/s².
        degrees: (D, N) its degrees of freedom.
        spread: (D,) standard deviation between recordings of the logarithm of sigma.
        joint_names: N - 1 names.

    Raises:
        InputError: The parts disagree, a number is not above zero, or intervals are not ascending.
    """

    interval_s: Float[Tensor, "D"]
    sigma: Float[Tensor, "D N"]
    degrees: Float[Tensor, "D N"]
    spread: Float[Tensor, "D"]
    joint_names: tuple[str, ...]

    def __post_init__(self) -> None:
        sizes = check_shape("motion.interval_s", self.interval_s, "D")
        sizes = check_shape("motion.sigma", self.sigma, "D N", N=len(self.joint_names) + 1, **sizes)
        check_shape("motion.degrees", self.degrees, "D N", **sizes)
        check_shape("motion.spread", self.spread, "D", D=sizes["D"])
        for name in ("interval_s", "sigma", "degrees", "spread"):
            check_positive(f"motion.{name}", getattr(self, name), "above zero")
        if not bool((self.interval_s.diff() > 0).all()):
            raise InputError("motion.interval_s", "ascending intervals", str(self.interval_s.tolist()))

    @property
    def longest_s(self) -> float:
        """The longest interval whose ends belong to one motion, s."""
        return SLACK * float(self.interval_s[-1])

    def at(self, interval_s: Float[Tensor, "M"]) -> tuple[Float[Tensor, "M N"], Float[Tensor, "M N"]]:
        """Return sigmas and degrees at intervals, beyond the table's ends those of the ends.

        Args:
            interval_s: (M,) s.
        """
        knots = self.interval_s.log()
        x = interval_s.to(knots).log().clamp(float(knots[0]), float(knots[-1]))
        high = torch.searchsorted(knots, x).clamp(1, len(knots) - 1) if len(knots) > 1 else torch.zeros_like(x).long()
        low = (high - 1).clamp(min=0)
        width = (knots[high] - knots[low]).clamp(min=torch.finfo(knots.dtype).tiny)
        part = ((x - knots[low]) / width).clamp(0, 1)[:, None]
        both = (((1 - part) * each.log()[low] + part * each.log()[high]).exp() for each in (self.sigma, self.degrees))
        sigma, degrees = both
        return sigma, degrees

    def of(self, joint_names: Sequence[str]) -> "MotionTable":
        """Return the table of other joints: those of its own by name, others by the median of its own."""
        known = {name: number for number, name in enumerate(self.joint_names)}
        number = [known.get(name) for name in joint_names]

        def columns(value: Tensor) -> Tensor:
            usual = value[:, :-1].median(1).values
            parts = [usual if each is None else value[:, each] for each in number]
            return torch.stack([*parts, value[:, -1]], 1)

        return MotionTable(self.interval_s, columns(self.sigma), columns(self.degrees), self.spread, tuple(joint_names))


def read_motion_table(path: str | Path) -> MotionTable:
    """Read a table.

    Raises:
        InputError: There is no such file, it is damaged, or is of another kind.
    """
    path = Path(path)
    tensors, words = read_prior_file(path, FORMAT)
    names = names_of(path.name, words)
    interval = take(path.name, tensors, "interval_s", None)
    sizes = len(interval), len(names) + 1
    sigma, degrees = (take(path.name, tensors, name, *sizes) for name in ("sigma", "degrees"))
    return MotionTable(interval, sigma, degrees, take(path.name, tensors, "spread", len(interval)), names)


def write_motion_table(path: str | Path, table: MotionTable, words: Mapping[str, str]) -> int:
    """Write a table in single precision; return its size in bytes.

    Args:
        path: The file.
        table: What to write.
        words: Provenance: trained_on, licence, command, figures.

    Raises:
        InputError: The file cannot be written.
    """
    names = ("interval_s", "sigma", "degrees", "spread")
    single = {name: getattr(table, name).float() for name in names}
    return write_prior_file(path, FORMAT, single, {**words, "joint_names": json.dumps(table.joint_names)})
