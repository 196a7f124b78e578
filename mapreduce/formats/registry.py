"""Which formats are there, what are they called, and which one does a file name suggest?

A format's module is imported when it is asked for: most jobs need one, and some import numpy or pyarrow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, cast

from mapreduce.dataclass import dataclass, field
from mapreduce.errors import UsageError, near
from mapreduce.formats.base import Format, InputFile
from mapreduce.formats.compression import compression_of, uncompressed_name


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a format is defined, which options its name implies, and which suffixes suggest it."""

    module: str
    cls: str
    suffixes: tuple[str, ...] = ()
    implied: Mapping[str, Any] = field(default_factory=dict)
    compressible: bool = True


FORMATS: dict[str, Entry] = {
    "text": Entry("text", "Text", (".txt", ".text", ".log", ".md")),
    "csv": Entry("csv", "Csv", (".csv",)),
    "tsv": Entry("csv", "Csv", (".tsv", ".tab"), {"delimiter": "\t"}),
    "jsonl": Entry("jsonl", "JsonLines", (".jsonl", ".ndjson")),
    "libsvm": Entry("libsvm", "Libsvm", (".libsvm", ".svm", ".svmlight")),
    "parquet": Entry("parquet", "Parquet", (".parquet", ".pq"), compressible=False),
    "npy": Entry("npy", "Npy", (".npy", ".npz"), compressible=False),
    "arrow": Entry("arrow", "Arrow", (".arrow", ".arrows", ".feather", ".ipc"), compressible=False),
    "fixed": Entry("fixed", "Fixed"),
    "whole": Entry("whole", "Whole"),
}

NOT_AN_OPTION = frozenset({"schema", "labels", "categories", "given"})
"""Fields in which a format keeps what `resolve` found, and what others than its user set."""


def format_by_name(name: str, options: Mapping[str, Any] | None = None) -> Format:
    """A format with its options. Raises UsageError for an unknown name or option, with near names."""
    entry = FORMATS.get(name)
    if entry is None:
        raise UsageError(f"no format {name!r}; {near(name, list(FORMATS))}")
    cls: Any = getattr(import_module(f"mapreduce.formats.{entry.module}"), entry.cls)
    known = [name for name in cls.__match_args__ if name not in NOT_AN_OPTION]
    given = {**entry.implied, **(options or {})}
    for option in given:
        if option not in known:
            known_words = near(option, known) if known else "it takes none"
            raise UsageError(f"format {name!r} has no option {option!r}; {known_words}")
    try:
        return cast(Format, cls(**given))
    except TypeError as error:
        raise UsageError(f"format {name!r}: {str(error).replace('.__init__()', '')}; options: {known}") from error


def guess_format(files: Sequence[InputFile]) -> str:
    """The one format that the files' names suggest; text where they suggest none. Raises UsageError for several."""
    first: dict[str, InputFile] = {}
    for file in files:
        first.setdefault(_suggested(file.path), file)
    if len(first) > 1:
        found = " and ".join(f"{file.path} ({name})" for name, file in list(first.items())[:3])
        raise UsageError(f"the input has files of several formats: {found}; name the format, or read them apart")
    return next(iter(first), "text")


def _suggested(path: str) -> str:
    main = path.partition("?")[0] if "://" in path else path  # options of a URI
    name = uncompressed_name(main).lower()
    for format, entry in FORMATS.items():
        if name.endswith(entry.suffixes):
            compression = compression_of(main)
            if compression is not None and not entry.compressible:
                raise UsageError(
                    f"{path}: a {format} file cannot be read through {compression.name}; decompress it first "
                    f"({format} files can be compressed inside)"
                )
            return format
    return "text"
