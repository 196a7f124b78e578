"""Do these sums keep the laws on which their bits rest? Tried on real rows; a law that fails comes with few rows.

    split        of(rows)      = of(rows before a cut) + of(rows behind it)
    associative  (a + b) + c   = a + (b + c)
    commutative  a + b         = b + a
    permute      of(rows)      = of(the same rows in another order)
    zero         zero + a      = a = a + zero                                where there is a zero
    subtract     (a + b) - b   = a                                           where there is a -

Both sides are compared to the last bit. The engine needs none but `zero`: it reduces in an order that the input alone
decides. A job that keeps all of them gives the same bits also where the input is cut, merged or ordered otherwise.
"""

from __future__ import annotations

import copy
import operator
import pickle
import random
from collections.abc import Callable, Iterator, Sequence
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Any

from mapreduce.dataclass import dataclass
from mapreduce.errors import UsageError
from mapreduce.job import Fold, Job, check_job
from mapreduce.reducers.base import Monoid

if TYPE_CHECKING:
    from mapreduce.dataset import Dataset

SIZES = (1, 2, 3, 5, 8, 21, 89, 400)
"""Rows of a trial, the fewest first: so what fails, fails on few."""
DRAWS = 6
"""Trials of each size."""
SMALL = 5
"""Rows up to which every cut is tried; of more, a few."""
MOST_ROWS = 20_000
"""Rows of the input that trials are drawn from: the first ones of each of its first splits."""
MOST_SPLITS = 8


@dataclass(frozen=True, slots=True)
class Algebra:
    """What is tested. `of` makes a state of some rows, `add` one of two; `finish` says what of a state is seen."""

    of: Callable[[Sequence[Any]], Any]
    add: Callable[[Any, Any], Any]
    zero: Callable[[], Any] | None = None
    subtract: Callable[[Any, Any], Any] | None = None
    finish: Callable[[Any], Any] | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a law held in all `trials`; if not, on which few rows it fails, and what either side was."""

    law: str
    trials: int
    rows: tuple[Any, ...] = ()
    left: str = ""
    right: str = ""

    @property
    def holds(self) -> bool:
        return not self.rows


def check_laws(
    of: Callable[[Sequence[Any]], Any],
    add: Callable[[Any, Any], Any],
    rows: Sequence[Any],
    *,
    zero: Callable[[], Any] | None = None,
    subtract: Callable[[Any, Any], Any] | None = None,
    finish: Callable[[Any], Any] | None = None,
    seed: int = 0,
) -> list[Verdict]:
    """Try every law on samples of `rows`, which must be at least one. The same `seed`, the same trials.

    Two states are equal if their digests are (`digest()` where they have one), or all bits of their values, or what
    `finish` makes of them.
    """
    if not len(rows):
        raise UsageError("there are no rows to try the laws on")
    algebra = Algebra(of, add, zero, subtract, finish)
    names = [name for name in _SIDES if getattr(algebra, name, True) is not None]
    return [_check(algebra, name, rows, seed) for name in names]


def check_job_laws(job: Fold | Job, dataset: Dataset, *, seed: int = 0) -> list[Verdict]:
    """Try every law on a job and rows of a dataset. Raises UsageError for an input without rows, or a chain."""
    check_job(job)
    rows = list(islice(_rows_of(dataset), MOST_ROWS))
    if not rows:
        raise UsageError("the input has no rows to try the laws on")
    algebra = _algebra_of_fold(job, rows[0]) if isinstance(job, Fold) else _algebra_of_job(job)
    found = check_laws(
        algebra.of, algebra.add, rows, zero=algebra.zero, subtract=algebra.subtract, finish=algebra.finish, seed=seed
    )
    return [_shown(verdict) for verdict in found]


def fingerprint(value: Any) -> Any:
    """Equal for values with the same bits: floats by their bits, arrays by type, shape and bytes."""
    if callable(getattr(value, "digest", None)):
        return value.digest()
    if isinstance(value, float):
        return ("float", value.hex())
    if isinstance(value, dict):
        return ("dict", sorted((repr(fingerprint(key)), fingerprint(entry)) for key, entry in value.items()))
    if isinstance(value, list | tuple):
        return (type(value).__name__, [fingerprint(entry) for entry in value])
    if hasattr(value, "tobytes") and hasattr(value, "dtype") and value.dtype != object:
        return (str(value.dtype), getattr(value, "shape", ()), value.tobytes())
    if hasattr(value, "__dataclass_fields__"):
        return (type(value).__name__, [fingerprint(getattr(value, name)) for name in value.__dataclass_fields__])
    if value is None or isinstance(value, int | str | bytes):
        return value
    return pickle.dumps(value)


Sides = Iterator[tuple[Any, Any]]


def _cuts(rows: Sequence[Any], pick: random.Random) -> list[int]:
    inside = range(1, len(rows))
    return list(inside) if len(rows) <= SMALL else sorted(pick.sample(inside, 3))


def _split(algebra: Algebra, rows: Sequence[Any], pick: random.Random) -> Sides:
    for cut in _cuts(rows, pick):
        yield algebra.of(rows), _add(algebra, algebra.of(rows[:cut]), algebra.of(rows[cut:]))


def _associative(algebra: Algebra, rows: Sequence[Any], pick: random.Random) -> Sides:
    cuts = _cuts(rows, pick)
    for first, second in pairwise(cuts):
        a, b, c = (algebra.of(part) for part in (rows[:first], rows[first:second], rows[second:]))
        yield _add(algebra, _add(algebra, a, b), c), _add(algebra, a, _add(algebra, b, c))


def _commutative(algebra: Algebra, rows: Sequence[Any], pick: random.Random) -> Sides:
    for cut in _cuts(rows, pick):
        a, b = algebra.of(rows[:cut]), algebra.of(rows[cut:])
        yield _add(algebra, a, b), _add(algebra, b, a)


def _permute(algebra: Algebra, rows: Sequence[Any], pick: random.Random) -> Sides:
    for _ in range(3 if len(rows) > 1 else 0):
        yield algebra.of(rows), algebra.of(pick.sample(list(rows), len(rows)))


def _zero(algebra: Algebra, rows: Sequence[Any], pick: random.Random) -> Sides:
    assert algebra.zero is not None
    a = algebra.of(rows)
    yield a, _add(algebra, algebra.zero(), a)
    yield a, _add(algebra, a, algebra.zero())


def _subtract(algebra: Algebra, rows: Sequence[Any], pick: random.Random) -> Sides:
    assert algebra.subtract is not None
    for cut in _cuts(rows, pick):
        a, b = algebra.of(rows[:cut]), algebra.of(rows[cut:])
        yield a, algebra.subtract(_add(algebra, a, b), copy.deepcopy(b))


_SIDES: dict[str, Callable[[Algebra, Sequence[Any], random.Random], Sides]] = {
    "split": _split,
    "associative": _associative,
    "commutative": _commutative,
    "permute": _permute,
    "zero": _zero,
    "subtract": _subtract,
}


def _add(algebra: Algebra, a: Any, b: Any) -> Any:
    """A reduction may add in place; the other side of the law needs the state as it was."""
    return algebra.add(copy.deepcopy(a), copy.deepcopy(b))


def _check(algebra: Algebra, law: str, rows: Sequence[Any], seed: int) -> Verdict:
    draw = random.Random(f"{law} {seed}")
    trials = 0
    for size in SIZES:
        for _ in range(DRAWS if size <= len(rows) else 0):
            start = draw.randrange(len(rows) - size + 1)
            chosen = [rows[at] for at in sorted(draw.sample(range(len(rows)), size))]
            chosen = list(rows[start : start + size]) if draw.random() < 0.5 else chosen
            trials += 1
            if _failure(algebra, law, chosen, seed) is not None:
                return _smallest(algebra, law, chosen, seed, trials)
    return Verdict(law, trials)


def _failure(algebra: Algebra, law: str, rows: Sequence[Any], seed: int) -> tuple[Any, Any] | None:
    """The sides that differ, if any do."""
    for left, right in _SIDES[law](algebra, rows, random.Random(seed)):
        if fingerprint(left) != fingerprint(right) and not _look_alike(algebra, left, right):
            return left, right
    return None


def _look_alike(algebra: Algebra, left: Any, right: Any) -> bool:
    """States may differ in what is never seen, such as the order of a dictionary."""
    if algebra.finish is None:
        return False
    try:
        ends = [fingerprint(algebra.finish(copy.deepcopy(state))) for state in (left, right)]
    except Exception:  # of so few rows nothing can be made: then the states themselves count
        return False
    return bool(ends[0] == ends[1])


def _smallest(algebra: Algebra, law: str, rows: list[Any], seed: int, trials: int) -> Verdict:
    """Leave out one row after the other while the law still fails."""
    at = 0
    while at < len(rows):
        fewer = rows[:at] + rows[at + 1 :]
        if fewer and _failure(algebra, law, fewer, seed) is not None:
            rows = fewer
        else:
            at += 1
    sides = _failure(algebra, law, rows, seed)
    assert sides is not None
    return Verdict(law, trials, tuple(rows), *(_text(algebra, side) for side in sides))


def _text(algebra: Algebra, state: Any) -> str:
    if algebra.finish is not None:
        try:
            return repr(algebra.finish(copy.deepcopy(state)))
        except Exception:  # as above
            return repr(state)
    return repr(state)


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of the input: where it is in its block."""

    block: Any
    number: int


def _rows_of(dataset: Dataset) -> Iterator[_Row]:
    fixed = dataset.resolved()
    planned = fixed.plan()
    for split in planned.splits[:MOST_SPLITS]:
        for block in islice(planned.format.read_blocks(split, 1 << 18), 2):
            yield from (_Row(block, number) for number in range(min(len(block), MOST_ROWS // MOST_SPLITS)))


def _pieces(rows: Sequence[_Row]) -> Iterator[Any]:
    """The rows as blocks, in their order: neighbours of one block together."""
    start = 0
    for end in range(1, len(rows) + 1):
        last = rows[end - 1]
        if end < len(rows) and rows[end].block is last.block and rows[end].number > last.number:
            continue
        yield last.block.select([row.number for row in rows[start:end]])
        start = end


def _shown(verdict: Verdict) -> Verdict:
    rows = tuple(next(iter(next(_pieces([row])).records())) for row in verdict.rows)
    return Verdict(verdict.law, verdict.trials, rows, verdict.left, verdict.right)


def _algebra_of_fold(job: Fold, sample: _Row) -> Algebra:
    def of(rows: Sequence[_Row]) -> Any:
        states = [job.map(block) for block in _pieces(rows)]
        total = states[0]
        for state in states[1:]:
            total = job.reduce(total, state)
        return total

    try:
        job.zero()
        zero = job.zero
    except Exception:  # a fold may refuse an empty input: then it has no zero
        zero = None
    takes_away = hasattr(type(of([sample])), "digest") and hasattr(type(of([sample])), "__sub__")
    return Algebra(of, job.reduce, zero, operator.sub if takes_away else None, job.finish)


def _algebra_of_job(job: Job) -> Algebra:
    """A state is what each key has: a named reducer's partial, or the values until they are reduced."""
    reducer: Any = job.reduce
    is_named = isinstance(reducer, Monoid)
    if not is_named and not callable(reducer):
        raise UsageError(f"{type(job).__name__} has no reduction whose laws could be checked")

    def of(rows: Sequence[_Row]) -> dict[Any, Any]:
        state: dict[Any, Any] = {}
        for block in _pieces(rows):
            for key, value in _pairs(job, block):
                one = reducer.first(value) if is_named else [value]
                state[key] = (reducer.merge(state[key], one) if is_named else state[key] + one) if key in state else one
        return state

    def add(a: dict[Any, Any], b: dict[Any, Any]) -> dict[Any, Any]:
        for key, more in b.items():
            a[key] = (reducer.merge(a[key], more) if is_named else a[key] + more) if key in a else more
        combine = getattr(job, "combine", None)
        if not is_named and callable(combine):
            a = {key: [combine(key, iter(values))] for key, values in a.items()}
        return a

    def finish(state: dict[Any, Any]) -> dict[Any, Any]:
        if is_named:
            return {key: reducer.finish(partial) for key, partial in state.items()}
        ends = {key: reducer(key, iter(values)) for key, values in state.items()}
        return {key: list(end) if hasattr(end, "__next__") else end for key, end in ends.items()}

    return Algebra(of, add, dict, None, finish)


def _pairs(job: Job, block: Any) -> Iterator[tuple[Any, Any]]:
    if callable(getattr(job, "map", None)):
        for record in block.records():
            yield from job.map(record)
        return
    made: Any = job.map_block(block)
    keys, values = (made.counts() if hasattr(made, "counts") else made)[:2]
    yield from zip(_listed(keys), _listed(values), strict=True)


def _listed(column: Any) -> list[Any]:
    if hasattr(column, "to_pylist"):
        return list(column.to_pylist())
    return list(column.tolist() if hasattr(column, "tolist") else column)
