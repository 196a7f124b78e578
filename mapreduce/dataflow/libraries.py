"""Which versions of packages are installed? Read from the names of the folders that tell of them.

`importlib.metadata` knows more, and takes 20 ms to import.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from functools import cache

COMPUTING = ("numpy", "pyarrow", "scipy", "numba", "dill")
"""Other versions of these may yield other bits."""


def computing_versions() -> Mapping[str, str]:
    """Versions of the libraries that numbers are computed with, as far as they are there."""
    found = _installed(tuple(sys.path))
    return {name: found[name] for name in COMPUTING if name in found}


def version_of(package: str) -> str:
    """Of a package that is loaded: what it says itself, else its installer, else when its file was written."""
    module = sys.modules.get(package)
    version = vars(module).get("__version__") if module is not None else None  # not by getattr, which some warn of
    if isinstance(version, str):
        return version
    installed = _installed(tuple(sys.path)).get(package.lower())
    if installed is not None:
        return installed
    try:
        return str(os.stat(getattr(module, "__file__", None) or "").st_mtime_ns)
    except OSError:
        return ""


@cache
def _installed(places: tuple[str, ...]) -> Mapping[str, str]:
    """Versions by name, as `name-1.2.dist-info` tells them; an earlier place hides a later one."""
    found: dict[str, str] = {}
    for place in places:
        try:
            names = os.listdir(place or os.curdir)
        except OSError:  # no folder
            continue
        for stem in (name.removesuffix(".dist-info") for name in names if name.endswith(".dist-info")):
            package, _, version = stem.partition("-")
            found.setdefault(package.lower(), version)
    return found
