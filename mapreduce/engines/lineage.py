"""What was a model made from, so that a later reader can tell? Hashes of the code and of the input's splits."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from mapreduce.dataflow.job_source import sources_of
from mapreduce.engines.partials import names_of_contents

if TYPE_CHECKING:
    from mapreduce.dataset import Dataset


def lineage_of(learner: object, dataset: Dataset | None, split_bytes: int | None = None) -> dict[str, Any]:
    """`code` and `splits` are SHA-256 in hex; the latter of what the splits hold, in input order, whatever the files
    are called. `packages` are versions of other packages that the code uses."""
    sources = sources_of(learner)
    code = {"code": _digest(sorted(sources.digests.values())), "packages": dict(sorted(sources.packages.items()))}
    if dataset is None:
        return code
    if dataset.is_vertical:
        from mapreduce.vertical import apart

        dataset = apart(dataset)
    planned = dataset.plan(split_bytes, lasting=True)
    contents = names_of_contents(planned)
    return {
        **code,
        "splits": _digest(contents),
        "split_count": len(contents),
        "files": len(planned.files),
        "bytes": planned.bytes,
    }


def _digest(parts: list[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
