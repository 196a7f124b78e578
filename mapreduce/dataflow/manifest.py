"""How was this output made, and would the same command make it again?

`_manifest.json` lies beside the parts: the job and its settings, the inputs with sizes and content hashes, what was
counted, how long it took, and what it was made from, see `origin`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mapreduce import __version__
from mapreduce.dataclass import dataclass
from mapreduce.dataflow.origin import Origin, inputs_of, origin_from_json
from mapreduce.dataflow.package import JobContext
from mapreduce.formats.base import InputFile
from mapreduce.storage.content_hash import hash_file
from mapreduce.storage.paths import MANIFEST
from mapreduce.storage.store import open_store, write_whole

SCHEMA = 2


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a finished output says of itself."""

    fingerprint: str
    origin: Origin | None
    inputs: tuple[Mapping[str, Any], ...]


def write_manifest(
    context: JobContext,
    hashes: Sequence[str | None],
    origin: Origin,
    figures: Mapping[str, Any],
) -> None:
    """Write the manifest. `figures` are counters, timings and the like, ready for JSON."""
    cls = type(context.job)
    inputs = [
        {"path": found.path, "bytes": found.bytes, "mtime_ns": found.mtime_ns, "xxh3_128": digest}
        for found, digest in zip(origin.inputs, hashes, strict=True)
    ]
    page = {
        "schema": SCHEMA,
        "version": __version__,
        "python": sys.version.split()[0],
        "fingerprint": origin.fingerprint(),
        "origin": {**origin.to_json(), "inputs": []},
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
    write_whole(open_store(context.root), MANIFEST, text.encode(), sync=context.durable)


def read_manifest(root: Path) -> Manifest | None:
    """The manifest of an output; None if there is none that can be read."""
    try:
        page = json.loads(Path(root, MANIFEST).read_bytes())
        return Manifest(page["fingerprint"], origin_from_json(page.get("origin")), tuple(page["inputs"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def same_inputs(manifest: Manifest, files: Sequence[InputFile]) -> bool:
    """True if the files hold what they held then: by size and time of change, or where the time differs by content."""
    if len(manifest.inputs) != len(files):
        return False
    for then, now, file in zip(manifest.inputs, inputs_of(files), files, strict=True):
        if then.get("path") != now.path or then.get("bytes") != now.bytes:
            return False
        if then.get("mtime_ns") != now.mtime_ns and then.get("xxh3_128") != (hash_file(file.path) or ""):
            return False
    return True
