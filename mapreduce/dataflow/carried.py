"""How does a worker import modules that its host does not have? From the texts that came with the job.

A finder before all others, that knows these modules and no more. A worker of an agent serves many jobs: one whose
modules are other ones, or changed since, finds nothing of those that an earlier job brought.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

from mapreduce.dataflow.source_file import SourceFile


class CarriedModules(MetaPathFinder, Loader):
    """The modules of one job."""

    def __init__(self, sources: Sequence[SourceFile]) -> None:
        self.sources = {source.module: source for source in sources}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        source = self.sources.get(fullname)
        if source is not None:
            spec = ModuleSpec(fullname, self, origin=source.path, is_package=source.is_package)
            spec.has_location = True
            if source.is_package:
                spec.submodule_search_locations = [os.path.dirname(source.path)]
            return spec
        if any(name.startswith(f"{fullname}.") for name in self.sources):  # a folder without __init__.py, or our own
            return ModuleSpec(fullname, self, is_package=True)
        return None

    def exec_module(self, module: ModuleType) -> None:
        source = self.sources.get(module.__name__)
        if source is not None:
            exec(compile(source.text, source.path, "exec"), module.__dict__)

    def get_source(self, fullname: str) -> str | None:
        """For tracebacks."""
        source = self.sources.get(fullname)
        return None if source is None else source.text


def carry(sources: Iterable[SourceFile]) -> None:
    """From now on these modules are imported from their texts; what is loaded of others that were carried goes."""
    new = {source.module: source for source in sources}
    before = [finder for finder in sys.meta_path if isinstance(finder, CarriedModules)]
    if any(finder.sources == new for finder in before):
        return
    for finder in before:
        sys.meta_path.remove(finder)
    stale = {name for finder in before for name in finder.sources} | set(new)
    for name in [name for name in sys.modules if name in stale]:
        del sys.modules[name]
    if new:
        sys.meta_path.insert(0, CarriedModules(tuple(new.values())))
    importlib.invalidate_caches()
