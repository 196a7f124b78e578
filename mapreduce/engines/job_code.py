"""Which modules go with a job to other hosts? Its own, and those of the user's that these import.

They are found twice: by what is loaded (`job_reach`), and by the import statements in their texts, because a module
that is imported within a function is loaded only when that runs, and then elsewhere. What is installed is not carried,
except for the package that holds the job: hosts have the same libraries, as they have the same Python.
"""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from mapreduce.dataflow.carried import CarriedModules
from mapreduce.dataflow.job_reach import reach_of
from mapreduce.dataflow.source_file import SourceFile

_BESIDE_US = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_OURS = ("mapreduce", "algorithms")


def code_of(job: Any) -> tuple[SourceFile, ...]:
    """The modules to carry, by name."""
    found: dict[str, SourceFile] = {}
    reached = reach_of(job).modules
    todo = [name for name in reached if not _is_ours(name)]
    roots = [_root_of(name) for name in todo]
    while todo:
        name = todo.pop()
        if name in found:
            continue
        source = _loaded(name, reached.get(name)) or _beside(name, roots)
        if source is None:
            continue
        found[name] = source
        todo += [other for other in _imports_of(source) if other not in found and not _is_ours(other)]
        todo += [name.rpartition(".")[0]] if "." in name else []
    return tuple(found[name] for name in sorted(found) if name not in ("__main__", "__mp_main__"))


def _is_ours(name: str) -> bool:
    """Whether it comes with this package, which all hosts have."""
    package = name.partition(".")[0]
    file = getattr(sys.modules.get(package), "__file__", None)
    return package in _OURS and file is not None and os.path.abspath(file).startswith(_BESIDE_US + os.sep)


def _loaded(name: str, reached: SourceFile | None) -> SourceFile | None:
    """A module that is there and is followed, or was carried here, perhaps to be imported later."""
    loader = getattr(sys.modules.get(name), "__loader__", None)
    if isinstance(loader, CarriedModules) and name in loader.sources:
        return loader.sources[name]
    return reached if reached is not None and reached.path.endswith(".py") else None


def _root_of(name: str) -> str:
    """The folder from which a module's name counts."""
    file = getattr(sys.modules.get(name), "__file__", None)
    if file is None:
        return os.getcwd()
    folder = Path(file).resolve().parent
    depth = name.count(".") + (os.path.basename(file) == "__init__.py")
    return str(folder.parents[depth - 1]) if 0 < depth <= len(folder.parents) else str(folder)


def _beside(name: str, roots: list[str]) -> SourceFile | None:
    """A module that lies where the job's own modules do."""
    for root in dict.fromkeys(roots):
        base = os.path.join(root, *name.split("."))
        for path, is_package in ((f"{base}.py", False), (os.path.join(base, "__init__.py"), True)):
            with suppress(OSError, UnicodeDecodeError):
                return SourceFile(name, path, Path(path).read_text(encoding="utf-8"), is_package)
    return None


def _imports_of(source: SourceFile) -> Iterator[str]:
    """Names of modules that its text may import, wherever in it."""
    try:
        tree = ast.parse(source.text)
    except (SyntaxError, ValueError):  # of another Python, perhaps
        return
    package = source.module if source.is_package else source.module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _with_parents(alias.name)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".") if package else []
            base = parts[: len(parts) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            for name in (module, *(f"{module}.{alias.name}" if module else alias.name for alias in node.names)):
                yield from _with_parents(name)


def _with_parents(name: str) -> Iterator[str]:
    parts = name.split(".")
    return (".".join(parts[: depth + 1]) for depth in range(len(parts)) if parts[0])
