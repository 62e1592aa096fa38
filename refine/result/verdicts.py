"""Verdicts as arrays, one row a body, and back: for a result's npz and for pipes.

decision (B,) names of `Decision`     kept (B,) names of limbs, joined by "; "      numbers of `Verdict` (B,), NaN: None
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields

import numpy as np

from refine.result.sentences import verdict_of
from refine.solve import Decision, Verdict

BETWEEN = "; "
NUMBERS = tuple(part.name for part in fields(Verdict) if part.name not in ("decision", "kept"))


def verdict_arrays(verdicts: Sequence[Verdict]) -> dict[str, np.ndarray]:
    """Return verdicts as arrays by name, numbers float64.

    Args:
        verdicts: Of B bodies.
    """
    numbers = {
        name: np.array([getattr(each, name) for each in verdicts], dtype=np.float64)
        for name in NUMBERS  # None: NaN
    }
    return {
        "decision": np.array([each.decision.name for each in verdicts], dtype=np.str_),
        "kept": np.array([BETWEEN.join(each.kept) for each in verdicts], dtype=np.str_),
        **numbers,
    }


def read_verdicts(arrays: Mapping[str, np.ndarray]) -> tuple[Verdict, ...]:
    """Return the verdicts in a result's file; empty without a gate.

    In a file of an earlier version they are parsed from the sentences. Numbers that a file lacks are None.

    Args:
        arrays: The file's content.

    Raises:
        KeyError: A decision is unknown, or the names of the limbs are missing.
    """
    if "verdict/decision" not in arrays:
        return tuple(verdict_of(text) for text in arrays.get("verdict", np.array([], np.str_)).tolist())
    columns = {name: arrays[f"verdict/{name}"].tolist() for name in NUMBERS if f"verdict/{name}" in arrays}
    verdicts = []
    for row, (decision, kept) in enumerate(zip(arrays["verdict/decision"], arrays["verdict/kept"], strict=True)):
        numbers = {name: column[row] for name, column in columns.items() if column[row] == column[row]}
        names = tuple(str(kept).split(BETWEEN)) if str(kept) else ()
        verdicts.append(Verdict(Decision[str(decision)], **numbers, kept=names))
    return tuple(verdicts)
