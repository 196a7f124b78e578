"""How was this output made, and would the same command make it again?

`_manifest.json` lies beside the parts: the job and its settings, the inputs with sizes and content hashes, what was
counted, and how long it took. Its fingerprint covers all that shapes the answer: the job's source and settings, the
reader's options, the cut of the work, and our version. Workers and memory shape no answer and are left out.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mapreduce import __version__
from mapreduce.dataflow.package import JobContext, dump_value
from mapreduce.formats.base import InputFile
from mapreduce.storage.content_hash import hash_file
from mapreduce.storage.paths import MANIFEST
from mapreduce.storage.store import LocalStore, write_whole

SCHEMA = 1


def source_of(job: object) -> str:
    """The text of the file that defines the job; of a job from a prompt, its methods' code."""
    cls = type(job)
    try:
        return Path(inspect.getfile(cls)).read_text(encoding="utf-8")
    except (OSError, TypeError, UnicodeDecodeError):
        pass  # typed at a prompt, piped in, or made by exec
    methods = [member for member in vars(cls).values() if inspect.isfunction(member)]
    return "\n".join(f"{m.__qualname__} {m.__code__.co_code.hex()} {m.__code__.co_consts!r}" for m in methods)


def fingerprint(context: JobContext, split_bytes: int) -> str:
    """What shapes the answer, apart from the input's bytes, as a hash in hex."""
    cls = type(context.job)
    state = {name: value for name, value in vars(context.job).items() if name != "_counters"}
    settings = context.settings
    parts = [
        str(SCHEMA),
        __version__,
        f"{cls.__module__}.{cls.__qualname__}",
        source_of(context.job),
        hashlib.sha256(dump_value(state)).hexdigest(),
        repr(context.format),
        f"{split_bytes} {settings.block_bytes} {context.partitions} {settings.sort} {context.output_format}",
    ]
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a finished output says of itself."""

    fingerprint: str
    inputs: tuple[Mapping[str, Any], ...]


def write_manifest(
    context: JobContext,
    files: Sequence[InputFile],
    hashes: Sequence[str | None],
    made_by: str,
    figures: Mapping[str, Any],
) -> None:
    """Write the manifest. `figures` are counters, timings and the like, ready for JSON."""
    cls = type(context.job)
    inputs = [
        {"path": file.path, "bytes": file.size, "mtime_ns": file.mtime_ns, "xxh3_128": digest}
        for file, digest in zip(files, hashes, strict=True)
    ]
    page = {
        "schema": SCHEMA,
        "version": __version__,
        "python": sys.version.split()[0],
        "fingerprint": made_by,
        "job": {
            "name": cls.__name__,
            "module": cls.__module__,
            "settings": {name: repr(value)[:200] for name, value in vars(context.job).items() if name[0] != "_"},
        },
        "inputs": inputs,
        "settings": {
            "partitions": context.partitions,
            "output_format": context.output_format,
            "sort": context.settings.sort,
            "memory_bytes": context.settings.memory_bytes,
            "block_bytes": context.settings.block_bytes,
            "format": repr(context.format)[:2000],
        },
        **figures,
    }
    text = json.dumps(page, indent=2, ensure_ascii=True) + "\n"
    write_whole(LocalStore(context.root), MANIFEST, text.encode(), sync=context.durable)


def read_manifest(root: Path) -> Manifest | None:
    """The manifest of an output; None if there is none that can be read."""
    try:
        page = json.loads(Path(root, MANIFEST).read_bytes())
        return Manifest(page["fingerprint"], tuple(page["inputs"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def same_inputs(manifest: Manifest, files: Sequence[InputFile]) -> bool:
    """True if the files hold what they held then: by size and time of change, or where the time differs by content."""
    if len(manifest.inputs) != len(files):
        return False
    for then, now in zip(manifest.inputs, files, strict=True):
        if then.get("path") != now.path or then.get("bytes") != now.size:
            return False
        if then.get("mtime_ns") != now.mtime_ns and then.get("xxh3_128") != (hash_file(now.path) or ""):
            return False
    return True
