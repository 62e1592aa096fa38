"""Finds formats, body models and rasterisers as modules, by file name in their folder and by entry points.

    modules(package, group)[name] = package.name for every file `name.py` of the package, or a third party's

A third party's module never replaces one of ours of the same name.
"""

import logging
from collections.abc import Callable, Mapping
from functools import cache, partial
from importlib import import_module, metadata
from pkgutil import iter_modules
from types import MappingProxyType, ModuleType

from refine.errors import InputError

LOGGER = logging.getLogger(__name__)


def _imported(name: str, load: Callable[[], object], ours: bool) -> ModuleType | None:
    """Import one module; return None where that fails, except by an error in our own code."""
    try:
        module = load()
    except Exception as error:  # a third party's module may fail in any way, and must not take the others with it
        if ours and not isinstance(error, ImportError):
            raise
        LOGGER.warning("%s is left out: %s: %s", name, type(error).__name__, error)
        return None
    return module if isinstance(module, ModuleType) else None


@cache
def modules(package_name: str, entry_point_group: str, having: str = "") -> Mapping[str, ModuleType]:
    """Find the modules of a folder and of other distributions.

    Args:
        package_name: The package that is searched ("refine.formats"); names that start with `_` are private.
        entry_point_group: The entry point group of third parties ("refine.formats"); each entry names a module.
        having: Keep only modules that have this attribute; empty: all.

    Returns:
        Modules by name, ours first, each in alphabetic order; read-only. A module of ours that needs a package which is
        not installed, and a third party's module that cannot be imported, are left out (the log says why).

    Raises:
        InputError: `package_name` is not a package.
    """
    package = import_module(package_name)
    if not hasattr(package, "__path__"):
        raise InputError("package_name", "the name of a package (a folder of modules)", repr(package_name))
    found: dict[str, ModuleType] = {}
    for entry in sorted(iter_modules(package.__path__), key=lambda entry: entry.name):
        if not entry.name.startswith("_"):
            module = _imported(entry.name, partial(import_module, f"{package_name}.{entry.name}"), ours=True)
            if module is not None and (not having or hasattr(module, having)):
                found[entry.name] = module
    for point in sorted(metadata.entry_points(group=entry_point_group), key=lambda point: point.name):
        if point.name not in found:
            module = _imported(point.name, point.load, ours=False)
            if module is not None and (not having or hasattr(module, having)):
                found[point.name] = module
    return MappingProxyType(found)
