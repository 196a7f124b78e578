"""How does a worker load Arrow without loading pandas?

Arrow asks for pandas when it makes its first array, only to see whether that is made of a pandas object: 0.2 s and more
for nothing, on every machine where pandas is installed. In a worker process pandas therefore seems missing when Arrow
asks. Should the user's code import pandas later, Arrow is told at once.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
import types
from collections.abc import Sequence

PANDAS = "pandas"

in_worker = False
"""Set by worker processes. In the user's own process nothing is hidden."""


def load() -> None:
    """Load numpy and Arrow. A second call is harmless."""
    if in_worker and "pyarrow" not in sys.modules and PANDAS not in sys.modules:
        _load_without_pandas()
    importlib.import_module("pyarrow.compute")


def _load_without_pandas() -> None:
    finder = _PandasFinder()
    sys.meta_path.insert(0, finder)
    pyarrow = importlib.import_module("pyarrow")
    pyarrow.array([0])  # the one time that Arrow asks
    finder.hides = False


class _PandasFinder(importlib.abc.MetaPathFinder):
    """Says that there is no pandas; later, when somebody imports it, steps aside and tells Arrow."""

    hides = True

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != PANDAS:
            return None
        if self.hides:
            raise ModuleNotFoundError("pandas is hidden while Arrow is loaded", name=PANDAS)
        sys.meta_path.remove(self)
        pandas = importlib.import_module(PANDAS)
        tell = getattr(getattr(sys.modules.get("pyarrow.lib"), "_pandas_api", None), "have_pandas", None)
        if tell is False:
            _ = sys.modules["pyarrow.lib"]._pandas_api.pd  # looks again, and finds it
        return importlib.machinery.ModuleSpec(PANDAS, _Loaded(pandas))


class _Loaded(importlib.abc.Loader):
    """Hands out a module that is imported already."""

    def __init__(self, module: types.ModuleType) -> None:
        self._module = module
        self._spec = module.__spec__

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return self._module

    def exec_module(self, module: types.ModuleType) -> None:
        module.__spec__ = self._spec
