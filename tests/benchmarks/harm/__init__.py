"""The figures of `refine.evaluate.harm` that are watched (`gated`), and the rows of the network (`real_network`).

The people are of the "report" set, the evidence is realistic ("noisy") unless a key says otherwise. The assets lie
where REFINE_ASSETS says, by default in `../shared/assets` beside the checkout.
"""

import os
from pathlib import Path

os.environ.setdefault("REFINE_ASSETS", str(Path(__file__).parents[4] / "shared" / "assets"))

from tests.benchmarks.harm.gated import measure

__all__ = ["measure"]
