"""How fast this machine is now: one fixed piece of work of the kinds the library does, on one core.

    2,000 additions of two numbers          what a call of torch costs
    64 matrices of 88 × 88                  products and Cholesky decompositions, as in a solver's step
    4 million numbers                       what memory gives and takes

Times of a baseline that was measured on another machine, or on this one with other tenants, are compared over the ratio
of the two yardsticks. That takes out most of what differs, not all: tolerances stay wide.
"""

import torch

from tests.benchmarks.measurement import best_seconds


def yardstick_seconds() -> float:
    """Return the seconds of the fixed work, the best of some runs."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        draw = torch.Generator().manual_seed(0)
        small, large = torch.randn(2, generator=draw), torch.randn(4_000_000, generator=draw)
        rows = torch.randn(64, 88, 100, generator=draw)

        def work() -> object:
            total = small
            for _ in range(2000):
                total = total + small
            for _ in range(5):
                torch.linalg.cholesky(rows @ rows.mT)
            return total, large * 2 + large, large[torch.arange(0, len(large), 7)]

        return best_seconds(work, 5)
    finally:
        torch.set_num_threads(threads)
