"""Keyed jobs on every engine."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import mapreduce as mr
from tests.conformance.conftest import all_lines


class Words(mr.Job):
    """Word count with a named reducer."""

    reduce = mr.Sum()

    def map(self, line: str) -> Iterator[tuple[str, int]]:
        for word in line.split():
            yield word, 1


class WordsByMethod(Words):
    """The same with methods."""

    def combine(self, key: str, values: Iterator[int]) -> int:
        return sum(values)

    def reduce(self, key: str, values: Iterator[int]) -> int:  # type: ignore[override]
        return sum(values)


class WordsByGenerator(Words):
    """The same with generator methods."""

    def combine(self, key: str, values: Iterator[int]) -> Iterator[tuple[str, int]]:
        yield key, sum(values)

    def reduce(self, key: str, values: Iterator[int]) -> Iterator[tuple[str, int]]:  # type: ignore[override]
        yield key, sum(values)


class WordsByColumns(mr.Job):
    """The same in the columnar lane."""

    reduce = mr.Sum()

    def map_block(self, block: Any) -> tuple[Any, Any]:
        words = [word for line in block.arrow.column(0).to_pylist() for word in line.split()]
        return words, [1] * len(words)


def expected_counts() -> dict[str, int]:
    return dict(Counter(word for line in all_lines() for word in line.split()))


@pytest.mark.parametrize("job", [Words(), WordsByMethod(), WordsByGenerator(), WordsByColumns()], ids=repr)
@pytest.mark.parametrize("split_size", [None, 1, 7])
def test_word_count(engine: mr.Engine, text: Path, job: mr.Job, split_size: int | None) -> None:
    with_settings = engine.run(job, mr.read_text(text), split_size=split_size, reducers=3)
    assert dict(with_settings.records()) == expected_counts()


def test_keys_are_sorted_within_each_part(engine: mr.Engine, text: Path, tmp_path: Path) -> None:
    result = engine.run(Words(), mr.read_text(text), reducers=2, output=tmp_path / "out")
    for part in result.part_files():
        keys = [line.split("\t")[0] for line in part.read_text().splitlines()]
        assert keys == sorted(keys)


def test_total_order_over_all_parts(engine: mr.Engine, text: Path, tmp_path: Path) -> None:
    result = engine.run(Words(), mr.read_text(text), reducers=4, sort=True, output=tmp_path / "out")
    lines = [line for part in result.part_files() for line in part.read_text().splitlines()]
    assert [line.split("\t")[0] for line in lines] == sorted(expected_counts())


class Mixed(mr.Job):
    """Keys of many types; equal ones must meet."""

    def map(self, number: int) -> Iterator[tuple[Any, int]]:
        yield from ((key, number) for key in (1, 1.0, True, "1", b"1", None, (1, "a"), (1.0, "a"), frozenset([1, 2])))

    def reduce(self, key: Any, values: Iterator[int]) -> list[int]:
        return sorted(values)


def test_equal_keys_meet(engine: mr.Engine) -> None:
    records = list(engine.run(Mixed(), mr.from_records(range(5)), reducers=3).records())
    found = {repr(key) if isinstance(key, str | bytes) else key: values for key, values in records}
    assert len(records) == len(found) == 6
    assert found[1] == sorted(list(range(5)) * 3)
    assert found[(1, "a")] == sorted(list(range(5)) * 2)
    assert found["'1'"] == found["b'1'"] == found[None] == found[frozenset([1, 2])] == list(range(5))


class InOrder(mr.Job):
    """Values reach reduce in input order."""

    def map(self, number: int) -> Iterator[tuple[int, int]]:
        yield number % 3, number

    def reduce(self, key: int, values: Iterator[int]) -> list[int]:
        return list(values)


def test_values_come_in_input_order(engine: mr.Engine) -> None:
    numbers = [(7 * number) % 100 for number in range(100)]
    result = dict(engine.run(InOrder(), mr.from_records(numbers)).records())
    assert result == {rest: [number for number in numbers if number % 3 == rest] for rest in range(3)}


class Secondary(InOrder):
    """Values reach reduce in descending order."""

    def value_order(self, key: int, value: int) -> int:
        return -value


def test_secondary_sort(engine: mr.Engine) -> None:
    result = dict(engine.run(Secondary(), mr.from_records(range(50)), reducers=2).records())
    assert result == {rest: [n for n in range(49, -1, -1) if n % 3 == rest] for rest in range(3)}


class First(Secondary):
    """Leaves most values unread."""

    def reduce(self, key: int, values: Iterator[int]) -> int:  # type: ignore[override]
        return next(values)


def test_values_may_be_left_unread(engine: mr.Engine) -> None:
    assert dict(engine.run(First(), mr.from_records(range(50))).records()) == {0: 48, 1: 49, 2: 47}


class OwnPartition(InOrder):
    """All keys in the last partition."""

    def partition(self, key: int, partitions: int) -> int:
        return partitions - 1


def test_own_partition(engine: mr.Engine, tmp_path: Path) -> None:
    result = engine.run(OwnPartition(), mr.from_records(range(9)), reducers=3, output=tmp_path / "out")
    sizes = [len(part.read_text().splitlines()) for part in result.part_files()]
    assert sizes == [0, 0, 3]


class Counting(mr.Job):
    """Counters, setup and teardown."""

    reduce = mr.Count()

    def setup(self) -> None:
        self.seen: list[int] = []
        self.count("setups")

    def map(self, number: int) -> Iterator[tuple[str, int]]:
        self.seen.append(number)
        self.count("even" if number % 2 == 0 else "odd")
        yield "n", number

    def teardown(self) -> None:
        self.count("seen", len(self.seen))


def test_counters_setup_and_teardown(engine: mr.Engine) -> None:
    result = engine.run(Counting(), mr.from_records(range(11)), reducers=1)
    assert dict(result.records()) == {"n": 11}
    assert (result.counters["even"], result.counters["odd"], result.counters["seen"]) == (6, 5, 11)
    assert result.counters["setups"] == 11 + 1  # eleven maps of one record each, one reduce
    assert result.counters["never counted"] == 0


class MapOnly(mr.Job):
    """No reduce: input order."""

    reduce = None

    def map(self, number: int) -> Iterator[tuple[int, int]]:
        if number % 2:
            yield number, number * number


def test_map_only_keeps_input_order(engine: mr.Engine) -> None:
    numbers = list(range(20, 0, -1))
    expected = [(number, number * number) for number in numbers if number % 2]
    assert list(engine.run(MapOnly(), mr.from_records(numbers)).records()) == expected


class Sieve(mr.Job):
    """Several outputs."""

    def map(self, number: int) -> Iterator[tuple[int, int]]:
        yield number, number

    def reduce(self, key: int, values: Iterator[int]) -> Iterator[Any]:
        if key % 3:
            yield key, "kept"
        else:
            yield mr.Named("threes", key, "dropped")


def test_named_outputs(engine: mr.Engine, tmp_path: Path) -> None:
    result = engine.run(Sieve(), mr.from_records(range(10)), output=tmp_path / "out", reducers=2)
    main = sorted(line for part in result.part_files() for line in part.read_text().splitlines())
    threes = sorted(line for part in result.part_files("threes") for line in part.read_text().splitlines())
    assert main == [f"{n}\tkept" for n in (1, 2, 4, 5, 7, 8)]
    assert threes == [f"{n}\tdropped" for n in (0, 3, 6, 9)]


def test_chaining_by_dataset(engine: mr.Engine, text: Path) -> None:
    class ByCount(mr.Job):
        reduce = mr.Collect()

        def map(self, entry: tuple[str, int]) -> Iterator[tuple[int, str]]:
            yield entry[1], entry[0]

    counts = engine.run(Words(), mr.read_text(text))
    by_count = dict(engine.run(ByCount(), counts.dataset()).records())
    expected: dict[int, list[str]] = defaultdict(list)
    for word, count in sorted(expected_counts().items()):
        expected[count].append(word)
    assert {count: sorted(words) for count, words in by_count.items()} == expected


def test_closures_and_lambdas(engine: mr.Engine, text: Path) -> None:
    threshold = 4
    longer = lambda word: len(word) > threshold  # noqa: E731

    class Long(mr.Job):
        reduce = mr.Sum()

        def __init__(self, keep: Any) -> None:
            self.keep = keep

        def map(self, line: str) -> Iterator[tuple[str, int]]:
            yield from ((word, 1) for word in line.split() if self.keep(word))

    result = dict(engine.run(Long(longer), mr.read_text(text)).records())
    assert result == {word: count for word, count in expected_counts().items() if len(word) > threshold}


def test_empty_input(engine: mr.Engine, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_bytes(b"")
    result = engine.run(Words(), mr.read_text(tmp_path / "empty.txt"), output=tmp_path / "out")
    assert list(result.records()) == []
    assert (tmp_path / "out" / "_SUCCESS").exists()


@pytest.mark.parametrize("output_format", ["tsv", "csv", "jsonl", "parquet"])
def test_output_formats_agree(engine: mr.Engine, text: Path, tmp_path: Path, output_format: str) -> None:
    result = engine.run(Words(), mr.read_text(text), output=tmp_path / "out", output_format=output_format, reducers=2)
    records = [(key, int(value)) for key, value in result.records()]
    assert dict(records) == expected_counts()
    assert len(records) == len(expected_counts())


class Shared(mr.Job):
    """Yields one list again and again."""

    reduce = mr.Sum()

    def setup(self) -> None:
        self.list = [1]

    def map(self, number: int) -> Iterator[tuple[str, list[int]]]:
        yield "k", self.list
        yield "k", self.list


def test_sum_leaves_the_users_values_alone(engine: mr.Engine) -> None:
    assert dict(engine.run(Shared(), mr.from_records([1, 2])).records()) == {"k": [1, 1, 1, 1]}
