"""What is not known of the constant part of an estimate's errors: its share of the covariance of a track's frames.

Rounds take the constant part b of a track's errors off as they find it (`NearEstimate.beside_constant`); the solver
then knows it. With b open, the level x of a joint over the track, of information L, to which the prior gives P around
it, has

    covariance = L⁻¹ + L⁻¹ P S Pᵀ L⁻¹,    S = (C⁻¹ + P - P L⁻¹ P)⁻¹

C: variance of the constant part, here that of the whole error: in one clip nearly all of it may be constant. L is taken
as what a row's marginal knows, and what the track's other frames say around b: where the evidence determines a joint
the addition is small, where it does not, S is C and all there is.

Source: Henderson, Biometrics 31(2), 1975 (covariance of random effects solved beside the fixed ones); Woodbury.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from refine.body import SkinnedBody
from refine.solve import cholesky
from refine.solve.linearized import linearized
from refine.solve.normal_equations import summed
from refine.solve.round import Round
from refine.terms.correlation import INDEPENDENT


def of_constants(body: SkinnedBody, last: Round) -> Float[Tensor, "B P P"] | None:
    """Return what open constant parts add to the covariance of each row; None where no prior has one.

    Args:
        body: The model.
        last: The last round; B rows.
    """
    groups = last.solution.unknowns.groups
    priors = [prior for prior in last.priors if isinstance(getattr(prior, "constant", None), Tensor)]
    if groups is None or groups.tracks is None or not priors:
        return None
    whole = linearized(body, last.state, priors, last.solution.unknowns)
    own = summed(whole).information.double()  # (B, P, P) around the constants, each row's share
    alone = summed(whole.alone).information.diagonal(dim1=1, dim2=2).double()
    person = groups.tracks.person.to(own.device)
    names, which = torch.unique(person, return_inverse=True)
    track = own.new_zeros(len(names), *own.shape[1:]).index_add(0, which, own)[which]
    share = torch.tensor([getattr(prior, "correlation", INDEPENDENT).constant for prior in priors]).max()
    held = (alone > 0) & (person >= 0)[:, None]
    variance = torch.where(held, 1 / (1 - share) / torch.where(held, alone, 1.0), 0.0)  # C, its diagonal
    pull = torch.where(held[:, :, None] & held[:, None, :], track, 0.0)  # P
    information = last.solution.information.double() + pull - own * held[:, :, None] * held[:, None, :]
    exists = information.diagonal(dim1=1, dim2=2) > 0
    information = information + torch.diag_embed((~exists).double())
    response = cholesky.solve(information, pull)  # L⁻¹ P
    response = torch.where(response.isfinite().flatten(1).all(1)[:, None, None], response, 0.0)
    open_ = pull - pull @ response + torch.diag_embed(torch.where(held, 1 / torch.where(held, variance, 1.0), 1.0))
    spread = cholesky.solve((open_ + open_.mT) / 2, response.mT)
    found = response @ torch.where(spread.isfinite().flatten(1).all(1)[:, None, None], spread, 0.0)
    return (found + found.mT) / 2
