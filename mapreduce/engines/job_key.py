"""What must be the same so that a map output of an earlier run is what this run would make?

All that a map task looks at but its split: the job's class, its code with the modules of the user's that it can reach,
its settings with the files that these name, the reader with its options, our settings that shape a map's output, and
the versions and processor by which numbers are computed. In doubt a thing counts: then a split is mapped once more.

What is not seen: data that a job's `setup` reads from places which its settings do not name, and the clock.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping
from itertools import islice
from types import FunctionType, ModuleType
from typing import Any

import mapreduce
from mapreduce.dataflow.batches import COLUMNS_FROM_BYTES
from mapreduce.dataflow.job_reach import functions_of, names_of
from mapreduce.dataflow.job_source import digest_of, sources_of
from mapreduce.dataflow.job_work import is_map_only
from mapreduce.dataflow.libraries import computing_versions
from mapreduce.dataflow.package import JobContext
from mapreduce.job import Fold

logger = logging.getLogger(__name__)

SCHEMA = 2
"""Of what is kept. Raise it when a map output of the same job and split becomes another."""

NAMED_FILE_BYTES = 64 << 20
"""A file that a setting names is hashed up to this size; a larger one is known by its times."""

MOST_NAMES, MOST_CHARACTERS = 100, 4096
"""A list of more strings, or a longer string, is data and names no files."""

LOOKS_AT_PLACES = {"place", "where"}
"""Names of the methods of a block that tell."""


def key_of_job(context: JobContext) -> str:
    """All that shapes the map outputs but the splits, as a hash in hex. Raises UsageError for what can't be carried."""
    digest = hashlib.sha256()
    for part in _parts(context):
        data = part if isinstance(part, bytes) else part.encode("utf-8", "surrogateescape")
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()


def looks_at_places(job: object) -> bool:
    """Whether the job's code may ask where a record stands: then an output holds for that place alone."""
    return any(LOOKS_AT_PLACES & names_of(function.__code__) for function in functions_of(job))


def _parts(context: JobContext) -> Iterator[str | bytes]:
    job, settings = context.job, context.settings
    cls = type(job)
    yield f"{SCHEMA} {mapreduce.__version__} {sys.version} {sys.platform}"
    yield from _named(computing_versions())
    yield _processor()
    yield f"{cls.__module__}.{cls.__qualname__}"
    sources = sources_of(job)
    yield from sorted(sources.digests.values())
    yield from _named(sources.packages)
    yield from _globals_of(job)  # whose values no source tells: a script may take them from its arguments
    state = {name: value for name, value in vars(job).items() if name != "_counters"}
    yield _digest_of(state)
    yield from _named_files(state)
    yield repr(context.format)
    if context.files:
        yield " ".join(f"{file.name} {file.digest}" for file in context.files)
    yield f"{settings.block_bytes} {settings.memory_bytes} {settings.skip_bad_records}"
    if isinstance(job, Fold):
        yield "fold"
    elif is_map_only(job):
        yield f"map only {context.output_format}"
    else:
        yield f"keyed {context.partitions} {settings.sort} {context.input_bytes >= COLUMNS_FROM_BYTES}"


def _globals_of(job: object) -> Iterator[str]:
    """The values of all globals that the job's code uses, but for modules, functions and classes."""
    for function in functions_of(job):
        used = function.__globals__
        for name in sorted(names_of(function.__code__) & used.keys()):
            if not isinstance(used[name], type | FunctionType | ModuleType):
                yield f"{name} {_digest_of(used[name])}"


def _digest_of(value: Any) -> str:
    """What can't be looked into counts as another value every time."""
    try:
        return digest_of(value)
    except Exception as error:
        logger.info("nothing is reused: %s can't be looked into (%r)", type(value).__name__, str(error))
        return os.urandom(8).hex()


def _named(versions: Mapping[str, str]) -> Iterator[str]:
    return (f"{name} {version}" for name, version in sorted(versions.items()))


def _processor() -> str:
    """BLAS takes other paths on other processors, and a cache folder may be shared by unlike machines."""
    from mapreduce.kernels.cache import processor

    try:
        return processor()
    except ImportError:
        return ""


def _named_files(state: dict[str, Any]) -> Iterator[str]:
    """Files that a setting names, alone or in a command: scripts, word lists. Their contents are settings too."""
    for value in state.values():
        several = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else [value]
        for each in islice(several, MOST_NAMES):
            for word in _words(each):
                path = word if os.path.isfile(word) else shutil.which(word) if word != each else None
                if path is not None:
                    yield f"{word} {_identity(path)}"


def _words(value: Any) -> list[str]:
    """What may be the name of a file: a path or a string, and the words of a string that may be a command."""
    if isinstance(value, os.PathLike):
        return [os.fsdecode(value)]
    if not isinstance(value, str) or "\0" in value or len(value) > MOST_CHARACTERS:
        return []
    try:
        return list(dict.fromkeys([value, *shlex.split(value)]))
    except ValueError:  # a quote that does not close
        return [value]


def _identity(path: str) -> str:
    from mapreduce.storage.content_hash import hash_file

    status = os.stat(path)
    if status.st_size <= NAMED_FILE_BYTES:
        return f"{hash_file(path)}"
    return f"{status.st_size} {status.st_mtime_ns}"
