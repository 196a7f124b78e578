"""What is an output made from, and what has changed since? Said in pieces that a person can be told.

    version    ours, and Python's
    libraries  that numbers are computed with
    job        its class, the files of its source, the packages that they use, its options
    inputs     path, size and time of change
    settings   those that shape the answer, or what is kept on the way to it
    reading    the format's options

All that shapes the answer, apart from the input's bytes, makes up the fingerprint. Workers shape no answer. Memory does
not shape what is told of a finished output, but where a map task spills: so it counts while a job is going on, as
Python's version and the libraries' do, lest one output be made by two.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mapreduce import __version__
from mapreduce.dataclass import dataclass, is_dataclass_instance, replace
from mapreduce.dataflow.job_source import digest_of, show_value, sources_of
from mapreduce.dataflow.libraries import COMPUTING, computing_versions
from mapreduce.dataflow.package import JobContext
from mapreduce.formats.base import Format, InputFile
from mapreduce.job import Fold

SCHEMA = 3
NAMES_TOLD = 3
MEMORY = "memory"
SKIPPING = "skip_bad_records"
STDIN_FOLDER = "mapreduce-stdin-"
_NOT_READING = (
    "items",
    "folder",
)  # of records in memory, of a cache: the input's name tells the one, the other is ours


class Input(NamedTuple):
    """An input file as it was found when the job was planned."""

    path: str
    bytes: int
    mtime_ns: int


class Option(NamedTuple):
    """An option of the job: as it is shown, and what tells it from others."""

    shown: str
    digest: str


@dataclass(frozen=True, slots=True)
class Origin:
    """What an output is made from."""

    schema: int
    version: str
    python: str
    libraries: Mapping[str, str]
    job: str
    sources: Mapping[str, str]
    packages: Mapping[str, str]
    options: Mapping[str, Option]
    settings: Mapping[str, str]
    reading: Mapping[str, str]
    inputs: tuple[Input, ...]

    def fingerprint(self) -> str:
        """Of all that shapes the answer but the input's bytes. Where files lie shapes nothing."""
        settings = {name: text for name, text in self.settings.items() if name not in (MEMORY, SKIPPING)}
        sources = sorted(self.sources.values())
        options = {name: option.digest for name, option in self.options.items()}
        parts = [self.schema, self.version, self.job, sources, self.packages, options, settings, self.reading]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__match_args__}


def origin_of(context: JobContext, cuts: str, files: Sequence[InputFile]) -> Origin:
    """What `context.job` would make of these files; `cuts` tells how they are split."""
    cls = type(context.job)
    settings = context.settings
    chosen = {
        "reducers": context.partitions,
        "split_size": cuts,
        "block_size": settings.block_bytes,
        "sort": settings.sort,
        "output_format": context.output_format,
        SKIPPING: "on" if settings.skip_bad_records else "off",
    }
    if context.files:
        chosen["files"] = " ".join(f"{file.name} {file.digest}" for file in context.files)
    if not isinstance(context.job, Fold):  # has no buffer to spill
        chosen[MEMORY] = settings.memory_bytes
    options = {name: value for name, value in vars(context.job).items() if name != "_counters"}
    sources = sources_of(context.job)
    return Origin(
        schema=SCHEMA,
        version=__version__,
        python=sys.version.split()[0],
        libraries=computing_versions(),
        job=f"{cls.__module__}.{cls.__qualname__}",
        sources=sources.digests,
        packages={name: version for name, version in sources.packages.items() if name not in COMPUTING},
        options={name: Option(show_value(value), digest_of(value)) for name, value in options.items()},
        settings={name: str(value) for name, value in chosen.items()},
        reading=dict(_reading(context.format)),
        inputs=inputs_of(files),
    )


def inputs_of(files: Sequence[InputFile]) -> tuple[Input, ...]:
    """Standard input was copied to a file of any name: its content is its name."""
    return tuple(map(_input_of, files))


def _input_of(file: InputFile) -> Input:
    if Path(file.path).parent.name.startswith(STDIN_FOLDER):
        from mapreduce.storage.content_hash import hash_file

        return Input(f"<standard input {hash_file(file.path)}>", file.size, 0)
    return Input(file.path, file.size, file.mtime_ns)


def origin_from_json(page: Any) -> Origin | None:
    """The inverse of `to_json`; None for what is none of this schema."""
    try:
        if page["schema"] != SCHEMA:
            return None
        return Origin(
            **{
                **{name: page[name] for name in Origin.__match_args__},
                "options": {name: Option(*option) for name, option in page["options"].items()},
                "inputs": tuple(Input(*each) for each in page["inputs"]),
            }
        )
    except (KeyError, TypeError, AttributeError):
        return None


def _reading(format: Format, prefix: str = "") -> Iterator[tuple[str, str]]:
    """A format's options by name; of one that wraps others, theirs."""
    yield f"{prefix}format", format.name
    from dataclasses import fields

    described: Any = format
    for name in [field.name for field in fields(described)] if is_dataclass_instance(format) else ():
        value = getattr(format, name)
        if isinstance(value, Format):
            yield from _reading(value, f"{prefix}{name}.")
        elif isinstance(value, tuple) and any(isinstance(getattr(each, "format", None), Format) for each in value):
            for number, member in enumerate(value):
                yield f"{prefix}{number}.tag", repr(member.tag)
                yield from _reading(member.format, f"{prefix}{number}.")
        elif name not in _NOT_READING:
            yield f"{prefix}{name}", repr(value)


# What has changed?


def changes(then: Origin, now: Origin) -> list[str]:
    """Why work done for `then` is no good for `now`, in words; empty if it is good. Settings that are derived from the
    input are told only where the input is the same."""
    if then.job != now.job:
        return [f"the job was {then.job}, and is {now.job} now"]
    found = []
    if then.version != now.version:
        found.append(f"the version of mapreduce: {then.version} -> {now.version}")
    if then.python != now.python:
        found.append(f"the version of Python: {then.python} -> {now.python}")
    found += _version_changes({**then.libraries, **then.packages}, {**now.libraries, **now.packages})
    if sorted(then.sources.values()) != sorted(now.sources.values()):
        found.append(_source_change(then.sources, now.sources))
    found += _option_changes(then.options, now.options)
    inputs = input_changes(then.inputs, now.inputs)
    return found + (inputs or _setting_changes(then, now))


def output_changes(then: Origin, now: Origin) -> list[str]:
    """Why a complete output is not what `now` would make, apart from its input; empty if it is."""
    same_places = replace(then, inputs=now.inputs, python=now.python, libraries=now.libraries)
    if MEMORY in now.settings:
        same_places = replace(same_places, settings={**then.settings, MEMORY: now.settings[MEMORY]})
    return changes(same_places, now)


def _version_changes(then: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    for name in sorted({*then, *now}):
        old, new = then.get(name, "(not there)"), now.get(name, "(not there)")
        if old != new:
            yield f"the version of {name}: {old} -> {new}"


def _source_change(then: Mapping[str, str], now: Mapping[str, str]) -> str:
    names = [Path(name).name for name in sorted({*then, *now}) if then.get(name) != now.get(name)]
    return f"the source of the job has changed ({_listed(names)})"


def _option_changes(then: Mapping[str, Option], now: Mapping[str, Option]) -> Iterator[str]:
    for name in sorted({*then, *now}):
        old, new = then.get(name), now.get(name)
        if old is not None and new is not None and old.digest == new.digest:
            continue
        shown = [option.shown if option is not None else "(not there)" for option in (old, new)]
        yield f"option {name}: {shown[0]} -> {shown[1]}" if shown[0] != shown[1] else f"option {name} has changed"


def input_changes(then: Sequence[Input], now: Sequence[Input]) -> list[str]:
    """Which files are not what they were, by size and time of change."""
    if tuple(then) == tuple(now):
        return []
    old, new = {each.path: each for each in then}, {each.path: each for each in now}
    found = [f"input {path} is gone" for path in old if path not in new]
    found += [f"input {path} is new" for path in new if path not in old]
    found += [f"input {path} has changed: {_shown(old[path], new[path])}" for path in new if _differ(old, new, path)]
    if not found:
        return ["the inputs come in another order, or another number of times"]
    more = [f"{len(found) - NAMES_TOLD:,} other inputs"] if len(found) > NAMES_TOLD else []
    return found[:NAMES_TOLD] + more


def _differ(old: Mapping[str, Input], new: Mapping[str, Input], path: str) -> bool:
    return path in old and old[path] != new[path]


def _shown(then: Input, now: Input) -> str:
    if then.bytes != now.bytes:
        return f"{then.bytes:,} -> {now.bytes:,} bytes"
    from datetime import datetime

    times = [datetime.fromtimestamp(each.mtime_ns / 1e9).isoformat(" ", "milliseconds") for each in (then, now)]
    return f"written {times[0]} -> {times[1]}"


def _setting_changes(then: Origin, now: Origin) -> list[str]:
    found = [
        f"{name}: {then.settings.get(name)} -> {now.settings.get(name)}"
        for name in {**then.settings, **now.settings}
        if then.settings.get(name) != now.settings.get(name) and not _harmless(name, then, now)
    ]
    return found + [
        f"reading, {name}: {then.reading.get(name)} -> {now.reading.get(name)}"
        for name in {**then.reading, **now.reading}
        if then.reading.get(name) != now.reading.get(name)
    ]


def _harmless(name: str, then: Origin, now: Origin) -> bool:
    """Tasks that finished when no record might be skipped have skipped none."""
    return name == SKIPPING and (then.settings.get(name), now.settings.get(name)) == ("off", "on")


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMES_TOLD:,} more" if len(names) > NAMES_TOLD else ""
    return ", ".join(names[:NAMES_TOLD]) + more
