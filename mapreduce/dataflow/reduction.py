"""What does a job's `reduce` ask of the dataflow? Read once from the job, so that no task asks in its loops.

`reduce` may be a named reducer, a method, a generator method, or None; `combine` a method or a generator method. Here
they become plain functions with one shape each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from types import CodeType
from typing import Any

from mapreduce.dataclass import dataclass
from mapreduce.dataflow.order import order_key
from mapreduce.errors import JobError, UsageError
from mapreduce.job import Job
from mapreduce.reducers.base import Monoid, Reducer, Streaming
from mapreduce.reducers.named import Identity

ReduceGroup = Callable[[Any, Iterator[Any]], Iterable[Any]]
"""(key, values) -> output pairs."""

CombineGroup = Callable[[Any, Iterator[Any]], Iterable[Any]]
"""(key, values) -> fewer values of the same key."""

CombineRun = Callable[[Iterator[tuple[Any, Any]]], Iterable[tuple[Any, Any]]]
"""Pairs of a whole sorted run -> fewer pairs."""

_CO_GENERATOR = 0x20  # inspect.CO_GENERATOR


@dataclass(frozen=True, slots=True)
class Reduction:
    """How pairs of this job are combined, ordered and reduced."""

    monoid: Monoid | None  # partials by key
    reduce_group: ReduceGroup | None  # None: pairs pass as they are
    combine: CombineGroup | None
    value_order: Callable[[Any, Any], Any] | None
    drops_repeats: bool = False
    combine_stream: CombineRun | None = None

    @property
    def passes_pairs(self) -> bool:
        """True if pairs are only sorted, not reduced."""
        return self.monoid is None and self.reduce_group is None


def reduction_of(job: Job) -> Reduction:
    """Read a job's `reduce`, `combine` and `value_order`. Raises UsageError for what is neither method nor reducer."""
    reduce = job.reduce
    value_order = getattr(job, "value_order", None)
    if hasattr(job, "reduce_stream"):
        return Reduction(None, None, None, value_order, combine_stream=getattr(job, "combine_stream", None))
    if isinstance(reduce, Monoid):
        if value_order is None:
            return Reduction(reduce, None, None, None)
        raise UsageError(f"{type(job).__name__}: {reduce!r} takes values in any order; drop value_order")
    if isinstance(reduce, Identity):
        return Reduction(None, None, None, value_order)
    if isinstance(reduce, Streaming):
        streaming = reduce
        order = (lambda key, value: value) if streaming.sorts_values else value_order
        return Reduction(
            None,
            lambda key, values: [(key, streaming.reduce_values(values))],
            None,
            order,
            streaming.drops_repeats,
        )
    if isinstance(reduce, type) and issubclass(reduce, Reducer):
        raise UsageError(f"{type(job).__name__}.reduce is the class {reduce.__name__}; write {reduce.__name__}()")
    if not callable(reduce):
        raise UsageError(f"{type(job).__name__}.reduce is {reduce!r}; make it a method or a named reducer")
    combine = getattr(job, "combine", None)
    return Reduction(None, _group_reducer(reduce), _group_combiner(combine) if combine else None, value_order)


def _yields(function: Callable[..., Any]) -> bool:
    """Whether a call of it makes a generator. What is no plain function or method is looked into by `inspect`, which
    takes 4 ms to load."""
    code = getattr(function, "__code__", None)
    if isinstance(code, CodeType):
        return bool(code.co_flags & _CO_GENERATOR)
    import inspect

    return inspect.isgeneratorfunction(function)


def _group_reducer(reduce: Callable[..., Any]) -> ReduceGroup:
    """What `reduce` returns is the key's value; what it yields are pairs."""
    if _yields(reduce):
        return reduce
    return lambda key, values: [(key, reduce(key, values))]


def _group_combiner(combine: Callable[..., Any]) -> CombineGroup:
    """What `combine` returns is one value; what it yields are pairs, whose key must be the group's."""
    if not _yields(combine):
        return lambda key, values: [combine(key, values)]

    def values_of(key: Any, values: Iterator[Any]) -> Iterator[Any]:
        for pair in combine(key, values):
            if not isinstance(pair, tuple) or len(pair) != 2:
                raise JobError(f"combine yielded {pair!r:.80} for key {key!r:.80}; it must yield (key, value) pairs")
            if pair[0] != key and order_key(pair[0]) != order_key(key):
                raise JobError(f"combine turned key {key!r:.80} into {pair[0]!r:.80}; it must keep the key")
            yield pair[1]

    return values_of
