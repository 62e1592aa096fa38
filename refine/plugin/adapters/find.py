"""The adapters of regressors by name, ours and those of third parties (entry points `refine.regressors`)."""

from collections.abc import Mapping
from types import ModuleType

from refine.discover import modules
from refine.errors import InputError


def regressors() -> Mapping[str, ModuleType]:
    """Return the known adapters by name."""
    return modules("refine.plugin.adapters", "refine.regressors", having="refined_output")


def regressor(name: str) -> ModuleType:
    """Return an adapter by name.

    Args:
        name: "hmr2", "spin", ... or one another package offers.

    Raises:
        InputError: There is none of that name.
    """
    known = regressors()
    if name not in known:
        advice = "Another package's adapter is found by its entry point; or give the adapter's module itself."
        raise InputError("adapter", f"one of {', '.join(known)}", repr(name), advice)
    return known[name]
