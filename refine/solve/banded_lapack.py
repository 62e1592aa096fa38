"""Block-banded systems on the CPU by LAPACK, one block at a time, in place.

The same as `refine.solve.banded`, its obvious twin, which says what is computed. A panel's lines are contiguous: its
transpose is a column-major matrix, of which LAPACK takes blocks without a copy. In it the factor is U = Lᵀ, and of a
row's own block only the upper half is kept. For blocks of some dozen columns this takes a third of torch's time, whose
triangular solves copy and transpose; for small blocks the batched calls are faster.

Source: as `refine.solve.banded`; LAPACK Users' Guide, 3rd ed. (potrf, potri), BLAS (trsm, syrk, gemm).
"""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from refine.solve.banded import Banded


def factorize(system: Banded) -> Bool[Tensor, "C"]:
    """Factorise a system in its own memory; see `refine.solve.banded.factorize`."""
    from scipy.linalg.blas import dgemm, dsyrk, dtrsm
    from scipy.linalg.lapack import dpotrf

    form, size = system.form, system.form.columns
    band = form.width * size
    sound = torch.ones(form.chains, dtype=torch.bool)
    for chain, panels in _chains(system):
        corner = system.corner[chain].numpy().T
        for place, panel in enumerate(panels):
            _, fault = dpotrf(panel[:, :size], lower=0, clean=0, overwrite_a=1)
            if fault:
                sound[chain] = False
                break
            below = panel[:, size:]
            dtrsm(1.0, panel[:, :size], below, trans_a=1, overwrite_b=1)
            tail = below[:, band:]
            dgemm(-1.0, tail, tail, beta=1.0, c=corner, trans_a=1, overwrite_c=1)
            for distance, there in enumerate(panels[place + 1 : place + 1 + form.width], 1):
                own = below[:, (distance - 1) * size : distance * size]
                rest = below[:, distance * size : band]
                dsyrk(-1.0, own, beta=1.0, c=there[:, :size], trans=1, overwrite_c=1)
                if rest.shape[1]:
                    lines = there[:, size : size + rest.shape[1]]
                    dgemm(-1.0, own, rest, beta=1.0, c=lines, trans_a=1, overwrite_c=1)
                dgemm(-1.0, own, tail, beta=1.0, c=there[:, size + band :], trans_a=1, overwrite_c=1)
    return sound & system.corner.diagonal(dim1=1, dim2=2).isfinite().all(1)


def substitute(system: Banded, border: Float[Tensor, "C Q"]) -> Float[Tensor, "M P"]:
    """Return the solution of a factorised system; see `refine.solve.banded.substitute`."""
    from scipy.linalg.blas import dgemv, dtrsv

    form, size = system.form, system.form.columns
    solution = system.panels.new_zeros(form.rows, size)
    for chain, panels in _chains(system):
        after = np.concatenate((np.zeros(form.width * size), border[chain].numpy()))
        for place in reversed(range(len(panels))):
            panel = panels[place]
            right = panel[:, -1].copy()
            if form.below:
                right = dgemv(-1.0, panel[:, size:-1], after, beta=1.0, y=right, overwrite_y=1)
            found = dtrsv(panel[:, :size], right, overwrite_x=1)
            solution[form.starts[place] + chain] = torch.from_numpy(found)
            if form.width:
                after[size : form.width * size] = after[: (form.width - 1) * size].copy()
                after[:size] = found
    return solution


def invert(system: Banded, border: Float[Tensor, "C Q Q"]) -> None:
    """Put the covariance's blocks in the place of the factor's; see `refine.solve.banded.invert`."""
    from scipy.linalg.blas import dgemm, dtrsm
    from scipy.linalg.lapack import dpotri

    form, size = system.form, system.form.columns
    band, kept = form.width * size, max(form.width - 1, 0) * size
    for chain, panels in _chains(system):
        window = np.zeros((form.below, form.below), order="F")
        window[band:, band:] = border[chain].numpy()
        for panel in reversed(panels):
            scaled = panel[:, size:-1]
            dtrsm(1.0, panel[:, :size], scaled, overwrite_b=1)  # Uᵀ of the formula: (P, W P + Q)
            own, _ = dpotri(panel[:, :size])
            own = np.triu(own) + np.triu(own, 1).T
            if form.below:
                beside = dgemm(-1.0, scaled, window)  # its transpose
                own -= dgemm(1.0, beside, scaled, trans_b=1)
                own = (own + own.T) / 2  # what is not symmetric grows from row to row
                panel[:, size:-1] = beside
            panel[:, :size] = own
            if form.width:
                window[size : size + kept, size : size + kept] = window[:kept, :kept].copy()
                window[band:, size : size + kept] = window[band:, :kept].copy()
                window[size : size + kept, band:] = window[band:, size : size + kept].T
                window[:size, :size] = own
                window[:size, size : size + kept] = beside[:, :kept]
                window[:size, band:] = beside[:, band:]
                window[size:, :size] = window[:size, size:].T


def _chains(system: Banded) -> Iterator[tuple[int, list[np.ndarray]]]:
    """Return each chain's number and its rows' panels, transposed: (P, lines), column-major views."""
    form = system.form
    panels = system.panels.numpy()
    for chain in range(form.chains):
        places = (start + chain for start, count in zip(form.starts, form.counts, strict=True) if chain < count)
        yield chain, [panels[place].T for place in places]
