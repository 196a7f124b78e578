"""What does a user declare? A map/reduce pair: keyed (`Job`) or in summation form (`Fold`).

A job holds its settings as constructor arguments and no open resources: it is carried to workers by value, and every
attempt starts from a fresh copy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from mapreduce.counters import Counters
from mapreduce.errors import UsageError

if TYPE_CHECKING:
    from mapreduce.reducers.base import Reducer


class Named(NamedTuple):
    """A pair for a further output: `yield mr.Named("rejects", key, value)` writes it under `rejects/`."""

    output: str
    key: Any
    value: Any


class _Task:
    """What both kinds of job share: counters, setup and teardown."""

    _counters: Counters | None = None

    def setup(self) -> None:
        """Called once a task attempt, before the first record."""

    def teardown(self) -> None:
        """Called once a task attempt, after the last record."""

    def count(self, name: str, amount: int = 1) -> None:
        """Add to a counter. Counted once a task, however many attempts ran."""
        if self._counters is None:
            self._counters = Counters()
        self._counters.count(name, amount)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_counters"}


class Job(_Task):
    """A keyed job: `map` yields (key, value) pairs, `reduce` sees one key at a time with all of its values.

    `reduce` is one of
      - a named reducer, such as `mr.Sum()`, which is its own combiner and works in both lanes;
      - a method `reduce(self, key, values)`: what it returns is the key's value, or it yields (key, value) pairs
        itself. `values` is an iterator in a fixed order: that of the input, or of `value_order` if defined;
      - None: no reduction, the mapped pairs are the output, in input order.

    Instead of `map(self, record)` a job may define `map_block(self, block)`, which returns two equally long columns
    (Arrow arrays, numpy arrays or lists) of keys and values: the columnar lane.

    Keys may be None, numbers, strings, bytes, dates, tuples and frozensets of these, or any class with `__lt__`,
    `__eq__` and `__hash__`. Equal keys meet: 1, 1.0 and True are one key.
    """

    reduce: Reducer | Any = None

    if TYPE_CHECKING:

        def map(self, record: Any) -> Iterable[tuple[Any, Any]]: ...

        def map_block(self, block: Any) -> tuple[Any, Any]: ...

        def combine(self, key: Any, values: Iterator[Any]) -> Any:
            """Optional: reduce a key's values within a map task. Same conventions as `reduce`; the key stays."""

        def partition(self, key: Any, partitions: int) -> int:
            """Optional: which of `partitions` reduce tasks gets a key. The same for equal keys, everywhere."""

        def value_order(self, key: Any, value: Any) -> Any:
            """Optional: secondary sort. Values reach `reduce` in ascending order of what this returns."""


class Fold(_Task):
    """A job in summation form: `map` turns a block into a partial, `reduce` adds two, `finish` makes the value.

    Partials are reduced in a binary tree fixed by block number, so the result has the same bits for any number of
    workers. `zero` gives the partial of no blocks at all (needed only for empty input).
    """

    if TYPE_CHECKING:

        def map(self, block: Any) -> Any: ...

        def reduce(self, a: Any, b: Any) -> Any: ...

        def zero(self) -> Any: ...

    def finish(self, partial: Any) -> Any:
        return partial


class Chain:
    """Jobs one after the other: the output of each is the dataset of the next, and the last one's is the result.

    A subclass takes its settings in the constructor and gives the jobs in `jobs`.
    """

    def jobs(self) -> list[Job | Fold]:
        raise NotImplementedError


def method_of(job: _Task, name: str) -> Any:
    """The job's method `name`, or None where it defines none."""
    return getattr(job, name, None)


def check_job(job: object) -> None:
    """Refuse what is not a job, before anything runs. Raises UsageError with the remedy."""
    if isinstance(job, Chain):
        for link in job.jobs():
            check_job(link)
        return
    if isinstance(job, type) and issubclass(job, _Task | Chain):
        raise UsageError(f"{job.__name__} is a class; pass an instance: {job.__name__}()")
    name = type(job).__name__
    if isinstance(job, Fold):
        for method in ("map", "reduce"):
            if not callable(method_of(job, method)):
                raise UsageError(f"{name} lacks {method}; a Fold defines map(self, block) and reduce(self, a, b)")
    elif isinstance(job, Job):
        if not callable(method_of(job, "map")) and not callable(method_of(job, "map_block")):
            raise UsageError(f"{name} lacks map; a Job defines map(self, record) or map_block(self, block)")
    else:
        raise UsageError(f"{name} is not a job; derive it from mapreduce.Job or mapreduce.Fold")
