"""Known height and weight: what a tape and a scale say, against the shape's rest body.

    residual[b, 0] = (height(shape[b]) - height_m[b]) / height_sigma_m
    residual[b, 1] = (density volume(shape[b]) - weight_kg[b]) / weight_sigma_kg

both functions of `priors.rest_measures`. What is not known of a body is NaN and pulls at nothing.

Source: the measures and the density are those of Choutas et al., SHAPY, CVPR 2022, sec. 3 and its published code (985
kg/m³).
"""

from dataclasses import dataclass, field
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from priors.rest_measures import RestMeasures, rest_measures
from refine.body import PosedBody, SkinnedBody
from refine.check import check_positive, check_shape
from refine.errors import InputError
from refine.state import State, Unknowns
from refine.terms import Kernel, LeastSquares, Linearization
from refine.terms.correlation import shared

DENSITY = 985.0
"""Of a person with air in the lungs, kg/m³ (SHAPY)."""

HEIGHTS_M = (0.25, 2.72)
"""A small newborn, and the tallest person on record (Guinness World Records: R. Wadlow, 2.72 m)."""
WEIGHTS_KG = (0.5, 635.0)
"""A small newborn, and the heaviest person on record (Guinness World Records: J. Minnoch, 635 kg)."""
BODY_MASS_INDEX = (9.0, 190.0)
"""Weight over height², kg/m². Below 11 to 13 people rarely live (Henry, Eur. J. Clin. Nutr. 44(4):329-335, 1990; single
cases and small newborns lie at 9 to 10); the heaviest person on record had 186."""

FARTHEST_SHAPE = 8.0
"""Norm of the shape beyond which a body model does not reach a measurement, in standard deviations of its population.
Generous: children (of a model of adults) lie at 5 to 8, and the chance of 8 is below 1e-14."""
NEWTON_STEPS = 30
REACHED = 0.5
"""Of a sigma: a measurement met this closely is met."""


@dataclass(frozen=True, eq=False)
class KnownMeasurements:
    """Pulls the free shape coefficients to what was measured.

    A person is measured once: rows that share their shape (`Groups.shape`) count it once, each with its share.

    Attributes:
        body: The model whose shapes are measured.

    Raises:
        InputError: Nothing is given, a sigma is not above zero, a measurement lies outside what people have, height and
            weight of a body contradict each other, or no shape of the model meets them. The message names the first
            such body; nothing is fitted.
    """

    body: SkinnedBody
    height_m: Float[Tensor, "B"] | None = None
    """(B,) standing height without shoes, m; NaN: not known."""
    weight_kg: Float[Tensor, "B"] | None = None
    """(B,) weight without clothes, kg; NaN: not known."""
    height_sigma_m: float = 0.02
    """Standard deviation, m. A judgement: people overstate their height by 0.6 to 1.2 cm on average (Spencer et al.,
    Public Health Nutr. 5(4), 2002), stand a centimetre lower in the evening, and a T-pose's crown and soles are
    skin."""
    weight_sigma_kg: float = 3.0
    """Standard deviation, kg. A judgement: people understate their weight by 1.4 to 1.9 kg on average (the same), and a
    person's density varies by 2 % with fat and breath."""
    kernel: Kernel = field(default_factory=LeastSquares)

    def __post_init__(self) -> None:
        check_positive("height_sigma_m", torch.tensor(self.height_sigma_m), "m")
        check_positive("weight_sigma_kg", torch.tensor(self.weight_sigma_kg), "kg")
        given = {name: value for name in ("height_m", "weight_kg") if (value := getattr(self, name)) is not None}
        if not given:
            raise InputError(
                "measurements", "height_m, weight_kg or both", "neither", "Without any leave the prior out."
            )
        count = next(iter(given.values())).shape[:1].numel()
        for name, (low, high), unit in (("height_m", HEIGHTS_M, "m"), ("weight_kg", WEIGHTS_KG, "kg")):
            if name in given:
                check_shape(name, given[name], "B", B=count)
                advice = f"Is it in {unit}? NaN says that it is not known."
                _refuse(name, given[name], (low, high), f"{low:g} to {high:g} {unit}", advice)
        if len(given) == 2:
            low, high = BODY_MASS_INDEX
            index = given["weight_kg"] / given["height_m"] ** 2
            advice = "The two contradict each other: no person has both. Correct one of them, or give NaN for it."
            _refuse("weight_kg / height_m²", index, (low, high), f"{low:g} to {high:g} kg/m²", advice)
        self._check_reach()

    @cached_property
    def measures(self) -> RestMeasures:
        """The model's measures, prepared once."""
        return rest_measures(self.body)

    @cached_property
    def measured(self) -> Float[Tensor, "B 2"]:
        """(B, 2) height in m and weight in kg as given, NaN where not known."""
        parts = (self.height_m, self.weight_kg)
        unknown = torch.full_like(next(part for part in parts if part is not None), torch.nan)
        return torch.stack([unknown if part is None else part for part in parts], 1)

    def of(self, shape: Float[Tensor, "B S"]) -> tuple[Float[Tensor, "B 2"], Float[Tensor, "B 2 S"]]:
        """Return height (m) and weight (kg) of shapes, and their gradients per unit coefficient."""
        height, by_height = self.measures.height(shape)
        volume, by_volume = self.measures.volume(shape)
        return torch.stack((height, DENSITY * volume), 1), torch.stack((by_height, DENSITY * by_volume), 1)

    def linearize(self, state: State, posed: PosedBody, unknowns: Unknowns) -> Linearization:
        """Return residual (B, 2, 1), unitless, height and weight, and its Jacobian (B, 2, 1, P) per unit step."""
        shape = state.bodies.shape
        check_shape("KnownMeasurements.body", self.body.shape_basis, "V 3 S", S=shape.shape[1])
        check_shape("KnownMeasurements: measurements", self.measured, "B 2", B=len(shape))
        residual, slope = self._whitened(shape)
        jacobian = shape.new_zeros(len(shape), 2, 1, unknowns.size)
        jacobian[:, :, 0, unknowns.shape_columns] = slope[..., : unknowns.shape]
        return shared(Linearization(residual[..., None], jacobian, self.kernel), unknowns.shares("shape"))

    def _whitened(self, shape: Tensor) -> tuple[Tensor, Tensor]:
        """Residual (B, 2) and gradient (B, 2, S) in sigmas, zero where nothing is known."""
        value, slope = self.of(shape)
        goal = self.measured.to(shape)
        known = ~goal.isnan()
        scale = known / shape.new_tensor((self.height_sigma_m, self.weight_sigma_kg))  # (B, 2)
        return torch.where(known, value - goal, torch.zeros_like(value)) * scale, slope * scale[..., None]

    def _check_reach(self) -> None:
        """Look for the shape nearest to the average that meets the measurements, by Newton steps of least norm."""
        like = self.body.template
        shape = torch.zeros(len(self.measured), self.body.shape_basis.shape[2], dtype=torch.float64, device=like.device)
        for _ in range(NEWTON_STEPS):
            residual, slope = self._whitened(shape)
            wanted = (slope @ shape[..., None])[..., 0] - residual
            shape = (torch.linalg.pinv(slope) @ wanted[..., None])[..., 0]
            norm = shape.norm(dim=1, keepdim=True)
            # Twice as far as is believed is far enough to know, and keeps the steps where the volume is one.
            shape = shape * (2 * FARTHEST_SHAPE / norm.clamp(min=2 * FARTHEST_SHAPE))
        missed = self._whitened(shape)[0].abs().amax(1) > REACHED
        beyond = (missed | (shape.norm(dim=1) > FARTHEST_SHAPE)).nonzero()
        if len(beyond):
            first = int(beyond[0, 0])
            height, weight = self.measured[first].tolist()
            got = " and ".join(f"{value:g} {unit}" for value, unit in ((height, "m"), (weight, "kg")) if value == value)
            expected = (
                f"measurements that a shape of {self.body.name} within {FARTHEST_SHAPE:g} standard deviations has"
            )
            advice = (
                "Correct them, give NaN for what is not sure, or use a model of such people (SMPL-X with a kid "
                "template)."
            )
            raise InputError("measurements", expected, f"{got} in row {first}", advice)


def _refuse(name: str, value: Tensor, bounds: tuple[float, float], expected: str, advice: str) -> None:
    """Refuse the first row outside the bounds; NaN is inside."""
    low, high = bounds
    outside = ((value < low) | (value > high)).nonzero()
    if len(outside):
        first = int(outside[0, 0])
        raise InputError(name, expected, f"{float(value[first]):.4g} in row {first}", advice)
