"""Is a job that skips its bad records the job on the input without them, and is what was skipped told exactly?"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mapreduce as mr
from mapreduce.dataflow.skipped_records import RECORD_BYTES, decode_skipped, encode_skipped
from mapreduce.dataflow.skipping import Death, SkipBook, Suspicion, find_bad, is_bad_record, most_skipped, suspect
from mapreduce.formats.base import Where

MOST = 0.999999
"""A ratio under which a job may skip all but one of the records of these tests."""


class BadNumber(ValueError):
    """Raised by a job here, on a record that it was told is bad."""


def refuse(numbers: Sequence[int], bad: frozenset[int]) -> None:
    found = sorted(bad.intersection(numbers))
    if found:
        raise BadNumber(f"{found[0]} is bad")


class ByRow(mr.Job):
    """Counts and yields before it raises: neither may be seen."""

    reduce: Any = mr.Sum()

    def __init__(self, bad: frozenset[int] = frozenset()) -> None:
        self.bad = bad

    def map(self, number: int) -> Iterator[tuple[Any, Any]]:
        self.count("begun")
        yield number % 3, number
        refuse([number], self.bad)
        yield "all", 1


class MapOnly(ByRow):
    reduce = None


class ByBlock(mr.Job):
    reduce: Any = mr.Sum()

    def __init__(self, bad: frozenset[int] = frozenset()) -> None:
        self.bad = bad

    def map_block(self, block: Any) -> Any:
        numbers = block["value"].to_pylist()
        self.count("begun", len(numbers))
        refuse(numbers, self.bad)
        return [number % 3 for number in numbers], numbers


class BlockOnly(ByBlock):
    reduce = None


class Added(mr.Fold):
    """Exact sums, so that it does not matter how the records lie in blocks."""

    def __init__(self, bad: frozenset[int] = frozenset()) -> None:
        self.bad = bad

    def map(self, block: Any) -> tuple[int, int]:
        numbers = list(block.records())
        self.count("begun", len(numbers))
        refuse(numbers, self.bad)
        return len(numbers), sum(numbers)

    def reduce(self, a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
        return a[0] + b[0], a[1] + b[1]

    def zero(self) -> tuple[int, int]:
        return 0, 0


def answer(result: mr.Result) -> Any:
    return sorted(result.records(), key=repr) if result.value is None else result.value


@pytest.mark.parametrize("job", [ByRow, MapOnly, ByBlock, BlockOnly, Added])
@settings(max_examples=15)
@given(bad=st.frozensets(st.integers(1, 59)), block_size=st.integers(1, 2000))
def test_law(job: Any, bad: frozenset[int], block_size: int) -> None:
    """Same result and counters as without the bad records; the side files list exactly those, in order."""
    numbers = list(range(60))
    good = [number for number in numbers if number not in bad]
    skipped = mr.run(job(bad), mr.from_records(numbers), engine="inline", skip_bad_records=MOST, block_size=block_size)
    clean = mr.run(job(), mr.from_records(good), engine="inline")
    assert answer(skipped) == answer(clean)
    assert skipped.counters["begun"] == clean.counters["begun"] == len(good)
    assert skipped.counters["records skipped"] == len(bad)
    told = list(skipped.skipped())
    assert [record.record for record in told] == [str(number) for number in sorted(bad)]
    assert [record.place for record in told] == [f"record {number}" for number in sorted(bad)]
    assert {record.error for record in told} == {f"BadNumber: {number} is bad" for number in bad}
    skipped.close()
    clean.close()


def test_rest_of_a_block_is_one_block() -> None:
    """The bits of a fold over floats are those of the block without its bad records, not of its halves."""
    np = pytest.importorskip("numpy")

    class Gram(mr.Fold):
        def map(self, block: Any) -> Any:
            if not np.isfinite(block.X).all():
                raise ValueError("not finite")
            return block.X.T @ block.X

        def reduce(self, a: Any, b: Any) -> Any:
            return a + b

    X = np.random.default_rng(0).normal(size=(1000, 3))
    X[[5, 500, 501]] = np.nan
    good = X[np.isfinite(X).all(axis=1)]
    data = mr.from_arrays(X)
    value = mr.run(Gram(), data, engine="inline", split_size="1MB", skip_bad_records=0.01).value
    assert value.tobytes() == (good.T @ good).tobytes()


FILES = {
    "a.jsonl": (b'{"a": 1}\n{"a": \n\n{"a": 2}\nnonsense\n{"a": 3}', ['{"a": ', "nonsense"], [9, 26]),
    "a.csv": (b'a,b\n1,2\n3\n"4",5\n6,x,7\n8,"9"\n', ["3", "6,x,7"], [8, 16]),
    "a.libsvm": (b"1 1:1\n0 1:x\n# c\n1 1:2\n", ["0 1:x"], [6]),
    "a.txt": (b"good\nbad\xff\ngood\n", ["bad"], [5]),
}


class Each(mr.Job):
    reduce: Any = mr.Count()

    def map(self, record: Any) -> Iterator[tuple[int, int]]:
        yield 0, 1


class Rows(mr.Fold):
    def map(self, block: Any) -> int:
        return int(block.X.shape[0]) if hasattr(type(block), "qids") else block.arrow.num_rows

    def reduce(self, a: int, b: int) -> int:
        return a + b


@pytest.mark.parametrize("job", [Each, Rows])
@pytest.mark.parametrize("name", FILES)
def test_records_that_cannot_be_read(name: str, job: Any, tmp_path: Path) -> None:
    """What the reader refuses is skipped too, where a record is a line, and kept as it stands in the file."""
    content, bad, offsets = FILES[name]
    path = tmp_path / name
    path.write_bytes(content)
    options: dict[str, Any] = {"features": 1} if name.endswith("libsvm") else {}
    if name.endswith("csv"):
        options = {"types": {"a": "int", "b": "int"}}
    result = mr.run(job(), mr.read(str(path), **options), engine="inline", skip_bad_records=0.5)
    count = result.value if result.value is not None else dict(result.records())[0]
    told = list(result.skipped())
    shown = [each.record.decode("latin-1") if isinstance(each.record, bytes) else each.record for each in told]
    assert [text.removesuffix("\xff") for text in shown] == bad
    assert [each.place for each in told] == [f"byte {offset}" for offset in offsets]
    assert all(each.cause == "raised" and each.file == str(path) for each in told)
    assert count == {"a.jsonl": 3, "a.csv": 3, "a.libsvm": 2, "a.txt": 2}[name]


def test_over_the_ratio(tmp_path: Path) -> None:
    out = tmp_path / "out"
    job = ByRow(frozenset(range(5, 25)))
    with pytest.raises(mr.JobError) as caught:
        mr.run(job, mr.from_records(range(100)), engine="inline", skip_bad_records=0.1, output=out)
    text = str(caught.value)
    assert "skipped 20 of 100 records (20 %), more than the 10 % that --skip-bad-records allows" in text
    assert "record 5: BadNumber: 5 is bad" in text
    assert str(out / "_skipped") in text
    assert not (out / "_SUCCESS").exists()
    result = mr.run(job, mr.from_records(range(100)), engine="inline", skip_bad_records=0.2, output=out)
    assert dict(result.records())["all"] == "80"
    assert len(list(result.skipped())) == 20
    again = mr.run(job, mr.from_records(range(100)), engine="inline", skip_bad_records=0.2, output=out)
    assert again.already_complete
    assert [each.record for each in again.skipped()] == [str(number) for number in range(5, 25)]
    lines = [
        json.loads(line) for file in sorted((out / "_skipped").iterdir()) for line in file.read_text().splitlines()
    ]
    assert [line["record"] for line in lines] == [str(number) for number in range(5, 25)]
    manifest = json.loads((out / "_manifest.json").read_text())
    assert manifest["counters"]["records skipped"] == 20


def test_off_by_default() -> None:
    with pytest.raises(mr.JobError, match="BadNumber: 7 is bad"):
        mr.run(ByRow(frozenset([7])), mr.from_records(range(9)), engine="inline", max_attempts=1)


class PairsAreWrong(mr.Job):
    reduce: Any = mr.Sum()

    def map(self, number: int) -> Iterator[Any]:
        yield (1, number) if number != 4 else 4


def test_a_wrong_pair_is_the_jobs_fault() -> None:
    """`map` did not raise: it gave something else than pairs. That is not the record's fault."""
    with pytest.raises(mr.JobError, match="must yield \\(key, value\\) pairs") as caught:
        mr.run(PairsAreWrong(), mr.from_records(range(9)), engine="inline", max_attempts=1, skip_bad_records=0.5)
    assert caught.value.failure is not None
    assert caught.value.failure.record == "4"


class TogetherOnly(mr.Fold):
    """Raises on two records or more, never on one."""

    def map(self, block: Any) -> int:
        if len(block) > 1:
            raise BadNumber("too many")
        return 1

    def reduce(self, a: int, b: int) -> int:
        return a + b


def test_a_block_without_a_record_at_fault() -> None:
    with pytest.raises(mr.JobError, match="too many"):
        data = mr.from_records(range(64))
        mr.run(TogetherOnly(), data, engine="inline", max_attempts=1, skip_bad_records=0.5, block_size="1MB")


def test_streams_are_refused(tmp_path: Path) -> None:
    from mapreduce.streaming import Streaming

    (tmp_path / "a.txt").write_text("a\n")
    with pytest.raises(mr.UsageError, match="external program"):
        mr.run(Streaming("cat", "cat"), mr.read_text(tmp_path / "a.txt"), engine="inline", skip_bad_records=0.5)


# --- decisions


@given(st.frozensets(st.integers(0, 40)), st.integers(1, 40))
def test_find_bad(bad: frozenset[int], count: int) -> None:
    def attempt(rows: Sequence[int]) -> BadNumber | None:
        found = bad.intersection(rows)
        return BadNumber(min(found)) if found else None

    rows = range(count)
    error = attempt(rows)
    if error is not None:
        found = find_bad(rows, error, attempt)
        assert list(found) == sorted(bad.intersection(rows))
        assert all(each.args == (row,) for row, each in found.items())


BLOCK = Death(100, 50)


@pytest.mark.parametrize(
    ("deaths", "killers", "blocks"),
    [
        ([], set(), set()),
        ([Death(7, 1)], set(), set()),
        ([Death(7, 1), Death(8, 1)], set(), set()),
        ([Death(7, 1), Death(7, 1)], {7}, set()),
        ([BLOCK], set(), {100}),
        ([BLOCK, BLOCK], set(), {100}),
        ([BLOCK, Death(120, 1)], {120}, {100}),
        ([BLOCK, Death(99, 1)], set(), {100}),
        ([BLOCK, Death(120, 1), Death(130, 1)], {120}, {100}),  # one death in the block, charged once
        ([BLOCK, Death(120, 1), Death(130, 1), Death(130, 1)], {120, 130}, {100}),
        ([BLOCK, BLOCK, Death(120, 1), Death(130, 1)], {120, 130}, {100}),
    ],
)
def test_suspect(deaths: list[Death], killers: set[int], blocks: set[int]) -> None:
    assert suspect(deaths) == Suspicion(frozenset(killers), frozenset(blocks))
    assert suspect(reversed(deaths)) == suspect(deaths)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=8), st.permutations(range(8)))
def test_book_does_not_depend_on_order(tasks: list[tuple[int, int]], order: list[int]) -> None:
    """A job fails, sooner or later, if and only if it is over the ratio in the end; whatever comes first."""
    ratio = 0.1
    sizes = [(min(skipped, records), records) for skipped, records in tasks]
    total = sum(records for _, records in sizes)
    book = SkipBook(ratio, len(sizes), most_records=2 * total)
    ever_over = False
    for task in order:
        if task < len(sizes):
            book.enter(task, *sizes[task])
            ever_over = ever_over or book.is_over
    assert ever_over == (sum(skipped for skipped, _ in sizes) > Fraction(1, 10) * total)


def test_book_ends_a_hopeless_job_early() -> None:
    book = SkipBook(0.01, 10, most_records=1000)
    over = []
    for skipped in (10, 11):
        book.enter(3, skipped, 20)
        over.append(book.is_over)
    assert over == [False, True]
    assert "skipped 11 of 20 records read so far (55 %)" in book.sentence()


def test_most_skipped_is_exact() -> None:
    assert most_skipped(0.1, 10) == 1
    assert most_skipped(0.29, 100) == 29  # 0.29 * 100 is 28.999...
    assert most_skipped(0.001, 999) == 0


@pytest.mark.parametrize(
    ("error", "bad"),
    [
        (ValueError(), True),
        (SystemExit(1), True),
        (RecursionError(), True),
        (mr.InputError("ragged"), True),
        (mr.JobError("mine"), True),
        (mr.UsageError("no target"), False),
        (mr.ResourceError("full"), False),
        (MemoryError(), False),
        (KeyboardInterrupt(), False),
        (GeneratorExit(), False),
    ],
)
def test_what_a_record_is_skipped_for(error: BaseException, bad: bool) -> None:
    assert is_bad_record(error) is bad


# --- side files


@given(st.binary(max_size=40), st.text(max_size=20))
def test_lines_of_side_files(record: bytes, message: str) -> None:
    line = encode_skipped(Where("a.txt", "byte", 7), ValueError(message), record)
    told = decode_skipped(line)
    assert line.count(b"\n") == 1
    assert (told.record if isinstance(told.record, bytes) else told.record.encode()) == record
    assert (told.file, told.place, told.cause, told.cut_from) == ("a.txt", "byte 7", "raised", None)


def test_lines_are_bounded_and_tell_no_address() -> None:
    line = encode_skipped(Where("x"), ValueError(f"{object()!r} {'x' * 10_000}"), "é".encode() * RECORD_BYTES)
    told = decode_skipped(line)
    assert len(told.record) == RECORD_BYTES // 2
    assert told.cut_from == 2 * RECORD_BYTES
    assert told.error.startswith("ValueError: <object object at 0x...> xxx")
    assert len(told.error) < 2100
    odd = decode_skipped(encode_skipped(Where("x"), None, b"a" + "é".encode() * RECORD_BYTES))
    assert len(odd.record) == 1 + (RECORD_BYTES - 1) // 2
    assert (odd.cause, odd.place) == ("killed", "")
