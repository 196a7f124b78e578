"""How does a job reach a worker? As a package: the job by value, and all that its tasks need to know.

An importable job is pickled by reference, which is quick and needs no dill. What lives in `__main__`, in a function or
in a notebook cell is carried by value with dill; workers that were forked for the job find it by name (`by_name`). A
job loaded from a file that is not on the import path takes its source along. Workers never import the caller's
`__main__` again, so scripts need no guard.

Large data of a job (an array, a long pickle) stays out of the message: it goes to one file in the job's folder, which
all workers of a host map (`buffers`), so that they have one copy of it together. The mapping is private: a job may
write into its arrays, as into its own, and no other worker sees it; only the pages that it writes are copied.
"""

from __future__ import annotations

import copy
import importlib.util
import io
import os
import pickle
import sys
import types
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mapreduce.dataclass import dataclass, replace
from mapreduce.dataflow.buffers import LARGE_BYTES, Apart, Buffers, checksum_of, split_file
from mapreduce.dataflow.source_file import SourceFile
from mapreduce.errors import UsageError
from mapreduce.formats.base import Format
from mapreduce.formats.bytes_io import LineBound
from mapreduce.job import Fold, Job
from mapreduce.settings import MiB, Settings
from mapreduce.storage.paths import JobPaths
from mapreduce.storage.store import open_store, remove_quietly, write_pieces

if TYPE_CHECKING:
    from mapreduce.dataflow.job_files import JobFile

FILES_VARIABLE = "MAPREDUCE_FILES"
"""What a job asks its environment for: `os.environ["MAPREDUCE_FILES"]`, in a script `$MAPREDUCE_FILES`."""

RESERVED_BYTES = 96 * MiB
"""An interpreter with numpy and pyarrow loaded takes about this much of a worker's memory before it holds a record."""

BUFFER_SHARE = 0.35
"""Of what is left, the share for buffered pairs: sorting and encoding a full buffer needs about as much again."""


LINE_SHARE = 0.25
"""Of the same, the longest line: it is held as bytes, joined with its block, decoded, cut into what `map` yields."""


@dataclass(frozen=True, slots=True)
class StateFile:
    """Where the large data of a job lies. `digest` names its content to other hosts."""

    path: str
    bytes: int
    checksum: int
    mtime_ns: int = 0
    digest: str = ""


@dataclass(frozen=True, slots=True)
class JobPackage:
    """A job on its way to a worker. `payload` unpickles to a JobContext once the sources are there. Its large buffers
    lie in the `state` file; so does a long payload, and is empty here. To another host all modules of the user's are
    `carried`; None where workers import them as we do."""

    job_id: str
    payload: bytes
    sources: tuple[SourceFile, ...] = ()
    carried: tuple[SourceFile, ...] | None = None
    state: StateFile | None = None
    by_value: bool = False  # dill opens it


@dataclass(slots=True)
class JobContext:
    """What every attempt of a job needs: the job, how to read the input, and where to put things."""

    job_id: str
    job: Job | Fold
    format: Format
    settings: Settings
    root: str  # the job's directory
    partitions: int
    output_format: str
    suffix: str  # of part files
    durable: bool  # fsync what is committed
    input_bytes: int
    folder: str = ""  # from which paths of inputs start, on another host
    files: tuple[JobFile, ...] = ()  # that the job opens
    files_folder: str = ""  # where they are, for this process

    def fresh_job(self) -> Any:
        """A copy for one attempt, counters at zero. Mutable settings are shared: per-task state belongs in setup."""
        job = copy.copy(self.job)
        job._counters = None
        return job

    @property
    def buffer_bytes(self) -> int:
        """How many bytes of pairs a map task buffers before it spills; from settings alone, so that cuts are too."""
        return max(1 * MiB, int((self.settings.memory_bytes - RESERVED_BYTES) * BUFFER_SHARE))


def pack_job(context: JobContext) -> JobPackage:
    """Make the package of a job, and the file of its large data if it has any. Raises UsageError for what cannot be
    carried, such as an open file, and ResourceError if there is no room."""
    large = Buffers()
    package = pack(context.job_id, context, context.job, large)
    is_long = len(package.payload) >= LARGE_BYTES
    if not is_long and not large.views:
        return package
    # A short pickle, which names this job, stays in the message: equal arrays of several jobs make equal files.
    apart = Apart(package.payload if is_long else b"", tuple(large.views))
    pieces, path = apart.pieces(), JobPaths(context.root).state
    store = open_store(context.root)
    write_pieces(store, path, pieces)
    place = os.path.abspath(store.locate(path))
    state = StateFile(place, sum(map(len, pieces)), checksum_of(pieces), os.stat(place).st_mtime_ns)
    return replace(package, payload=b"" if is_long else package.payload, state=state)


def name_job(context: JobContext) -> JobPackage | None:
    """The package of a job of `__main__` for workers that were forked from this process as it is now; None for another
    job, and for one to be carried by value."""
    if type(context.job).__module__ != "__main__":
        return None
    from mapreduce.dataflow.by_name import dumps_by_name

    payload = dumps_by_name(context)
    return None if payload is None else JobPackage(context.job_id, payload)


def remove_state(root: str) -> None:
    """The job is over: a run that goes on with it makes the file of its large data anew. Harmless if there is none."""
    store, path = open_store(root), JobPaths(root).state
    if os.path.exists(store.locate(path)):
        remove_quietly(store, path)


def pack(job_id: str, value: Any, job: object, large: Buffers | None = None) -> JobPackage:
    """A package of anything that holds a job; buffers that `large` takes are not in it. Raises UsageError for what
    cannot be carried."""
    sources = tuple(_sources_of(job))
    if _importable(type(job).__module__) or sources:
        try:
            payload = pickle.dumps(value, protocol=5, buffer_callback=large)
            return JobPackage(job_id, payload, sources, by_value=_needs_dill(payload))
        except (pickle.PicklingError, TypeError, AttributeError):
            if large is not None:
                large.views.clear()  # a lambda or a local class among its settings: by value, below
    payload = dump_by_value(value, large)
    return JobPackage(job_id, payload, sources, by_value=_needs_dill(payload))


def dump_by_value(value: Any, large: Buffers | None = None) -> bytes:
    """Pickle with functions and classes of `__main__` by value; buffers that `large` takes are not in it. Raises
    UsageError naming what cannot be carried."""
    from mapreduce.dataflow.by_value import dumps

    try:
        return dumps(value, large)
    except Exception as error:
        raise UsageError(
            f"the job cannot be carried to workers: {type(error).__name__}: {error}; "
            "open files, connections and locks belong in setup(), not in the job's settings"
        ) from error


def unpack_job(package: JobPackage) -> JobContext:
    """Open a package in a worker. Raises UsageError if the job cannot be unpickled here."""
    context = open_package(package)
    assert isinstance(context, JobContext)
    use_folder(context.files_folder)
    LineBound.most_bytes = max(1 * MiB, int((context.settings.memory_bytes - RESERVED_BYTES) * LINE_SHARE))
    return context


def open_package(package: JobPackage) -> Any:
    """What was packed. Raises UsageError if it cannot be unpickled here."""
    try:
        if package.carried is not None:
            from mapreduce.dataflow.carried import carry

            carry(package.carried)
        for source in package.sources:
            if source.module not in sys.modules:
                _load_source(source)
        stream, buffers = _stream_of(package)
        if not package.by_value:
            return pickle.loads(stream, buffers=buffers)
        import dill

        value = dill.loads(stream, buffers=buffers)
        _adopt_main_classes(type(value.job))
        return value
    except Exception as error:
        raise UsageError(f"the job could not be unpickled in the worker: {type(error).__name__}: {error}") from error


def _stream_of(package: JobPackage) -> tuple[bytes | memoryview, Sequence[memoryview]]:
    """The pickle of a package and its large buffers, mapped where they lie."""
    if package.state is None:
        return package.payload, ()
    from mapreduce.storage.mapping import map_file

    stream, buffers = split_file(map_file(package.state.path, package.state.bytes, package.state.checksum))
    return package.payload or stream, buffers


def use_folder(folder: str) -> None:
    """Where jobs of this process find their further files from now on; "" for nowhere. See `job_files`."""
    if folder:
        os.environ[FILES_VARIABLE] = folder
    else:
        os.environ.pop(FILES_VARIABLE, None)


def dump_value(value: Any) -> bytes:
    """Pickle what a job computed: a partial, a key, a value."""
    try:
        return pickle.dumps(value, protocol=5)
    except (pickle.PicklingError, TypeError, AttributeError):
        return dump_by_value(value)


def dump_apart(value: Any) -> Apart:
    """The same, with its large buffers apart: they are the value's own memory."""
    large = Buffers()
    try:
        data = pickle.dumps(value, protocol=5, buffer_callback=large)
    except (pickle.PicklingError, TypeError, AttributeError):
        large.views.clear()
        data = dump_by_value(value, large)
    return Apart(data, tuple(large.views))


def load_value(data: bytes | memoryview) -> Any:
    return pickle.load(io.BytesIO(data))


def _needs_dill(payload: bytes) -> bool:
    return b"dill._dill" in payload


def _importable(module: str) -> bool:
    if module in ("__main__", "__mp_main__"):
        return False
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _sources_of(job: object) -> list[SourceFile]:
    """The file of the job's module, if that is a real file which no import would find."""
    name = type(job).__module__
    module = sys.modules.get(name)
    path = getattr(module, "__file__", None)
    if name in ("__main__", "__mp_main__") or path is None or _importable(name):
        return []
    with open(path, encoding="utf-8") as file:
        return [SourceFile(name, path, file.read())]


def _load_source(source: SourceFile) -> None:
    from mapreduce.dataflow.carried import CarriedModules

    package, dot, _ = source.module.partition(".")
    if dot and package not in sys.modules and importlib.util.find_spec(package) is None:
        sys.modules[package] = types.ModuleType(package)  # pickle asks for it before it asks for the module
    module = types.ModuleType(source.module)
    module.__file__ = source.path
    module.__loader__ = CarriedModules((source,))  # knows its text, for tracebacks and for whom it is carried on to
    sys.modules[source.module] = module
    exec(compile(source.text, source.path, "exec"), module.__dict__)


def _adopt_main_classes(job_class: type) -> None:
    """Make the by-value classes of `__main__` the ones that this worker's pickles refer to by name.

    Otherwise a partial whose class came by value could not be pickled: `__main__` would hold another class of its name.
    """
    main = sys.modules["__main__"].__dict__
    seen: set[int] = set()
    todo: list[Any] = [job_class]
    while todo:
        item = todo.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, type) and item.__module__ == "__main__":
            if "<locals>" not in item.__qualname__ and "." not in item.__qualname__:
                main[item.__name__] = item
            todo += [member for base in item.__mro__ if base.__module__ == "__main__" for member in vars(base).values()]
        elif isinstance(item, staticmethod | classmethod):
            todo.append(item.__func__)
        elif isinstance(item, types.FunctionType):
            todo += [item.__globals__.get(name) for name in item.__code__.co_names]
