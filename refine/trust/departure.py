"""How far the first round moved bodies from their estimates: in all, and limb by limb.

The first round's priors are as wide as regressors usually err: a limb that had to move much farther follows evidence
that is not its own (a swapped or mistaken detection). Measured once, for the later rounds and for the verdict.

Source: see `refine.trust.gate`.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from refine.body import SkinnedBody
from refine.solve.linearized import linearized
from refine.solve.observability import Observed
from refine.solve.round import Round
from refine.terms import Linearization, Term
from refine.trust.limbs import free_limbs
from refine.trust.rows import joint_of_rows
from refine.trust.sizes import Sizes, columns_of, sizes_of


@dataclass(frozen=True, eq=False)
class Departure:
    """How far the first round moved B bodies.

    Attributes:
        body: The model.
        first: The first round.
        sizes: Of the updates, by column.
        limbs: K names of limbs and their free joints.
        wrong: (B, K) limbs that would have to be far more wrong than limbs are.
        begin: The first round's evidence, linearised at the estimates; None: not known.
    """

    body: SkinnedBody
    first: Round
    sizes: Sizes
    limbs: dict[str, list[int]]
    wrong: Bool[Tensor, "B K"]
    begin: Observed | None = None

    @property
    def size(self) -> Float[Tensor, "B"]:
        """(B,) size of the updates, usual errors, limbs that are wrong left out."""
        rest = torch.ones_like(self.sizes.squared, dtype=torch.bool)
        for number, joints in enumerate(self.limbs.values()):
            own = columns_of(joints, self.first.solution.unknowns, rest.device)
            rest &= ~(self.wrong[:, number, None] & own)
        return self.sizes.of(rest)

    def silent_rows(self, evidence: list[Term]) -> list[Bool[Tensor, "B N"]]:
        """Return for each term the rows (B, N) that belong to a wrong limb.

        Args:
            evidence: Of any round; what was evidence of the first one is linearised there already.
        """
        known = dict(zip(map(id, self.first.evidence), self.first.evidence_at_end(self.body).terms, strict=True))
        fresh = [term for term in evidence if id(term) not in known]
        unknowns, state = self.first.solution.unknowns, self.first.state
        known |= dict(zip(map(id, fresh), linearized(self.body, state, fresh, unknowns).terms, strict=True))
        return [self._silent(known[id(term)]) for term in evidence]

    def _silent(self, linear: Linearization) -> Bool[Tensor, "B N"]:
        joint = joint_of_rows(linear, self.first.solution.unknowns)
        silent = torch.zeros_like(joint, dtype=torch.bool)
        for number, joints in enumerate(self.limbs.values()):
            own = torch.isin(joint, torch.tensor(joints, device=joint.device))
            silent |= own & self.wrong[:, number, None]
        return silent


def departure(
    body: SkinnedBody, first: Round, most_size: float, most_limbs: int, begin: Observed | None = None
) -> Departure:
    """Measure how far the first round moved bodies.

    Args:
        body: The model.
        first: The first round; B bodies.
        most_size: Usual errors by which one limb may move.
        most_limbs: Most limbs of a body that may be wrong: more of them are no error of single limbs, and none is.
        begin: The first round's evidence, linearised at the estimates; None: not known.
    """
    sizes, unknowns = sizes_of(body, first), first.solution.unknowns
    limbs = free_limbs(body, unknowns)
    device = sizes.squared.device
    flags = [sizes.of(columns_of(joints, unknowns, device)) > most_size for joints in limbs.values()]
    wrong = torch.stack(flags, 1) if flags else sizes.squared[:, :0] > 0
    return Departure(body, first, sizes, limbs, wrong & (wrong.sum(1, keepdim=True) <= most_limbs), begin)
