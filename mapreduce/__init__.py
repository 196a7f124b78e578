"""A MapReduce engine for one machine or several: jobs are a map and a reduce, answers have the same bits everywhere.

```python
import mapreduce as mr

class WordCount(mr.Job):
    reduce = mr.Sum()

    def map(self, line):
        for word in line.split():
            yield word, 1

mr.run(WordCount(), mr.read_text("books/*.txt"), output="counts/")
```

Names are loaded when they are first used, so that importing this package costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mapreduce.columns import assign_nearest, count_words, fixed_column, nearest, number_column, prefixes
    from mapreduce.counters import Counters
    from mapreduce.dataset import Dataset
    from mapreduce.engine import Engine, run
    from mapreduce.errors import (
        EmptyInputError,
        InputError,
        InternalError,
        JobError,
        LostWorkerError,
        MapReduceError,
        OutputLostError,
        ResourceError,
        UsageError,
        WireError,
        WorkerMemoryError,
        near,
    )
    from mapreduce.formats.base import cell
    from mapreduce.job import Chain, Fold, Job, Named
    from mapreduce.kernels.slices import Slices
    from mapreduce.laws import Verdict, check_job_laws, check_laws
    from mapreduce.readers import (
        from_arrays,
        from_records,
        read,
        read_arrow,
        read_csv,
        read_fixed,
        read_jsonl,
        read_libsvm,
        read_npy,
        read_parquet,
        read_text,
        read_tsv,
        read_whole,
        union,
    )
    from mapreduce.reducers.base import Monoid, Reducer, Streaming
    from mapreduce.reducers.named import Collect, Count, CountDistinct, Identity, Max, Min, Quantiles, TopK
    from mapreduce.reducers.sums import Mean, Sum
    from mapreduce.result import Result
    from mapreduce.settings import Settings
    from mapreduce.tracker.observer import Observer
    from mapreduce.vertical import beside

__version__ = "0.1.0"

_WHERE = {
    "columns": ("assign_nearest", "count_words", "fixed_column", "nearest", "number_column", "prefixes"),
    "counters": ("Counters",),
    "dataset": ("Dataset",),
    "engine": ("Engine", "run"),
    "errors": (
        "EmptyInputError", "InputError", "InternalError", "JobError", "LostWorkerError", "MapReduceError",
        "OutputLostError", "ResourceError", "UsageError", "WireError", "WorkerMemoryError", "near",
    ),
    "formats.base": ("cell",),
    "job": ("Chain", "Fold", "Job", "Named"),
    "kernels.slices": ("Slices",),
    "laws": ("Verdict", "check_job_laws", "check_laws"),
    "readers": (
        "from_arrays", "from_records", "read", "read_arrow", "read_csv", "read_fixed", "read_jsonl", "read_libsvm",
        "read_npy", "read_parquet", "read_text", "read_tsv", "read_whole", "union",
    ),
    "reducers.base": ("Monoid", "Reducer", "Streaming"),
    "reducers.named": ("Collect", "Count", "CountDistinct", "Identity", "Max", "Min", "Quantiles", "TopK"),
    "reducers.sums": ("Mean", "Sum"),
    "result": ("Result",),
    "settings": ("Settings",),
    "tracker.observer": ("Observer",),
    "vertical": ("beside",),
}  # fmt: skip

_MODULE_OF = {name: module for module, names in _WHERE.items() for name in names}

__all__ = [
    "Chain", "Collect", "Count", "CountDistinct", "Counters", "Dataset", "EmptyInputError", "Engine", "Fold",
    "Identity", "InputError", "InternalError", "Job", "JobError", "LostWorkerError", "MapReduceError", "Max", "Mean",
    "Min", "Monoid", "Named", "Observer", "OutputLostError", "Quantiles", "Reducer", "ResourceError", "Result",
    "Settings", "Slices", "Streaming", "Sum", "TopK", "UsageError", "Verdict", "WireError", "WorkerMemoryError",
    "assign_nearest", "beside", "cell", "check_job_laws", "check_laws", "count_words", "fixed_column", "from_arrays",
    "from_records", "near", "nearest", "number_column", "prefixes", "read", "read_arrow", "read_csv", "read_fixed",
    "read_jsonl", "read_libsvm", "read_npy", "read_parquet", "read_text", "read_tsv", "read_whole", "run", "union",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module 'mapreduce' has no attribute {name!r}")
    value = getattr(import_module(f"mapreduce.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
