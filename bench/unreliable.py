"""`python -m bench.unreliable ...`: the engine's command line without journal, checksums and fsync.

What reliability costs is told by comparing with this. It is no option of the product: each module loses its part when
it is imported, so nothing is loaded earlier than it would be, and workers, which are forked, have none of it either.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType, SimpleNamespace
from typing import Any


def _nothing(*_: Any) -> None:
    return None


def _constant(data: Any, value: int = 0, /) -> int:
    return 0


def _no_checksum(module: ModuleType) -> None:
    name = "crc32" if hasattr(module, "crc32") else "zlib"
    assert hasattr(module, name), f"{module.__name__} has no checksum any more: this comparison is out of date"
    setattr(module, name, _constant if name == "crc32" else SimpleNamespace(crc32=_constant))


def _no_journal(module: ModuleType) -> None:
    for name in ("begin", "append", "sync"):
        assert hasattr(module.JournalWriter, name), f"JournalWriter has no {name} any more"
        setattr(module.JournalWriter, name, _nothing)


LOSES = {
    "mapreduce.storage.segment_format": _no_checksum,
    "mapreduce.storage.segment_reader": _no_checksum,
    "mapreduce.storage.segment_writer": _no_checksum,
    "mapreduce.dataflow.fold_task": _no_checksum,
    "mapreduce.dataflow.records": _no_checksum,
    "mapreduce.tracker.journal": _no_journal,
}


class _Unmaker(MetaPathFinder):
    """Finds these modules as ever, and takes something away once they are there."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in LOSES:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        assert spec is not None
        assert spec.loader is not None
        execute = spec.loader.exec_module

        def execute_and_unmake(module: ModuleType) -> None:
            execute(module)
            LOSES[fullname](module)

        spec.loader.exec_module = execute_and_unmake  # type: ignore[method-assign]
        return spec


def main() -> int:
    os.fsync = os.fdatasync = _nothing  # type: ignore[assignment]
    sys.meta_path.insert(0, _Unmaker())
    from mapreduce.cli.main import main as command

    return command()


if __name__ == "__main__":
    sys.exit(main())
