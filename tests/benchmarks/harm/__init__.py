"""Does refining help, and whom does it harm? Estimates of every strength, evidence of every kind, this library and the field's methods.

`python -m tests.benchmarks.harm` prints the table; `measure` is the part of it that `python -m tests.benchmarks` watches: the "report" set,
with realistic ("noisy") evidence unless a key says otherwise.

Source: the targets are those of the project's plan; everything else is said in the modules.
"""

from tests.benchmarks.harm.gated import measure

__all__ = ["measure"]
