"""What does a worker load while its first job is still being planned? What the first attempt will need anyway.

Each function is named in the worker's entry; it imports modules and places compiled loops that are stored already.
Nothing is compiled here, and nothing that fails to load matters: the attempt that needs it will say so.
"""

from __future__ import annotations

import importlib
from typing import Any

from mapreduce.dataflow.batches import COLUMNS_FROM_BYTES
from mapreduce.job import Chain, Fold


def warm_up_for(job: Any, input_bytes: int) -> str:
    """The name of the function below that suits a job (of a chain, its first) on about so much input."""
    if isinstance(job, Chain):
        return warm_up_for(job.jobs()[0], input_bytes)
    if isinstance(job, Fold):
        return f"{__name__}:folds"
    large = input_bytes >= COLUMNS_FROM_BYTES and takes_columns(job)
    return f"{__name__}:{'columns' if large or hasattr(job, 'map_block') else 'rows'}"


def load_shared(name: str) -> None:
    """Load what this process and workers need both, before they are forked; `name` is their function below."""
    importlib.import_module("mapreduce.dataflow.package")
    importlib.import_module("mapreduce.dataflow.reduction")
    if name.endswith(columns.__name__):
        importlib.import_module("mapreduce.kernels")


def takes_columns(job: Any) -> bool:
    """Does it reduce by sums and counts, which are added up as columns where that pays?"""
    return bool(getattr(getattr(job, "reduce", None), "totals", ()))


def rows() -> None:
    """For keyed jobs in the row lane."""
    importlib.import_module("mapreduce.dataflow.map_task")


def columns() -> None:
    """For keyed jobs in the columnar lane."""
    from mapreduce import kernels
    from mapreduce.dataflow import arrow_start

    arrow_start.load()
    rows()
    importlib.import_module("mapreduce.dataflow.combine_columns")
    kernels.available("csv", "words", "groups", "pairs", "hashes")


def folds() -> None:
    """For folds, most of which use numpy."""
    from mapreduce import kernels

    importlib.import_module("numpy")
    importlib.import_module("mapreduce.dataflow.fold_task")
    kernels.available("csv")
