"""The large data of a job: workers of a host have one copy of it, and another host fetches it once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mapreduce as mr
from mapreduce.dataflow.package import StateFile
from mapreduce.engines import broadcast, cluster_start
from mapreduce.errors import JobError
from mapreduce.storage.traffic import Way
from tests.engines.lived import wait_for_workers

MiB = 1 << 20


class Look(mr.Fold):
    """Looks records up in a table, and says in which process and with how much memory of its own."""

    def __init__(self, table: Any) -> None:
        self.table = table

    def map(self, block: Any) -> Any:
        found = sum(float(self.table[int(line)]) for line in block.records())
        total = float(self.table.sum())  # all of it is used
        status = Path("/proc/self/status").read_text()
        return found, total, {os.getpid(): int(status.partition("RssAnon:")[2].split()[0]) << 10}

    def reduce(self, a: Any, b: Any) -> Any:
        return a[0] + b[0], a[1], {**a[2], **b[2]}


class Marks(mr.Fold):
    """Writes into its own array, as a job may."""

    def __init__(self, marks: Any) -> None:
        self.marks = marks

    def map(self, block: Any) -> Any:
        self.marks[0] += 1
        return {os.getpid(): self.marks[0]}

    def reduce(self, a: Any, b: Any) -> Any:
        return {pid: max(a.get(pid, 0), b.get(pid, 0)) for pid in a.keys() | b.keys()}


@pytest.fixture
def lines(tmp_path: Path) -> mr.Dataset:
    (tmp_path / "lines").write_text("".join(f"{number}\n" for number in range(4000)))
    return mr.read_text(tmp_path / "lines")


def moved(result: mr.Result, way: Way) -> int:
    """Bytes that were passed on in this way."""
    assert result.outcome is not None
    return sum(amount.bytes for link, amount in result.outcome.moved.items() if link.way is way)


@pytest.mark.parametrize("start", ["fork", "exec"])
def test_workers_share_one_copy(lines: mr.Dataset, start: str) -> None:
    from mapreduce.workers.process import Start

    with mr.Engine(workers=2, start=Start(start)) as engine:
        before = engine.run(Look(np.ones(1)), mr.from_records([0])).value[2]  # a fork has all that we had
        table = np.arange(24_000_000.0)  # 192 MB
        result = engine.run(Look(table), lines, split_size=2000)
    found, total, memory = result.value
    assert found == sum(range(4000))
    assert total == table.sum()
    assert max(memory.values()) - max(before.values()) < 100 * MiB
    assert moved(result, Way.MAPPED) // table.nbytes == len(memory)
    assert moved(result, Way.MESSAGE) < MiB


def test_a_small_job_has_no_file(lines: mr.Dataset) -> None:
    result = mr.run(Look(np.arange(5000.0)), lines, workers=1)
    assert moved(result, Way.MAPPED) == 0


def test_a_long_pickle_takes_the_same_way(lines: mr.Dataset) -> None:
    class Words(mr.Fold):  # by value: nobody can import it
        def __init__(self, words: dict[str, int]) -> None:
            self.words = words
            self.scale: Any = lambda count: 2 * count
            self.array = np.ones(20_000)

        def map(self, block: Any) -> int:
            counted: int = sum(self.scale(self.words[line]) for line in block.records())
            return counted + int(self.array.sum()) - 20_000

        def reduce(self, a: int, b: int) -> int:
            return a + b

    result = mr.run(Words({str(number): number for number in range(50_000)}), lines, workers=2, split_size=9000)
    assert result.value == 2 * sum(range(4000))
    assert moved(result, Way.MAPPED) > 2 * 160_000
    assert moved(result, Way.MESSAGE) < 100_000


def test_a_job_may_write_into_its_array(lines: mr.Dataset) -> None:
    marks = np.zeros(1_000_000)
    result = mr.run(Marks(marks), lines, workers=2, split_size=1000)
    assert marks[0] == 0
    assert sum(result.value.values()) == len(result.outcome.stages[0].task_seconds)  # type: ignore[union-attr]


def test_a_read_only_array_stays_so(lines: mr.Dataset) -> None:
    marks = np.zeros(1_000_000)
    marks.flags.writeable = False
    with pytest.raises(JobError, match="read-only"):
        mr.run(Marks(marks), lines, workers=1, max_attempts=1)


def test_nothing_is_left(lines: mr.Dataset, tmp_path: Path) -> None:
    mr.run(Look(np.zeros(1_000_000)), lines, workers=1, output=tmp_path / "out")
    assert not (tmp_path / "out" / "_job").exists()


class Fails(Look):
    """On the last records."""

    def map(self, block: Any) -> Any:
        if "3999" in block.records():
            raise ValueError("the last one")
        return super().map(block)


def test_a_job_that_failed_keeps_its_outputs_and_no_state(lines: mr.Dataset, tmp_path: Path) -> None:
    with pytest.raises(JobError, match="the last one"):
        mr.run(Fails(np.zeros(1_000_000)), lines, workers=1, output=tmp_path / "out", split_size=2000, max_attempts=1)
    left = {path.name for path in (tmp_path / "out" / "_job").iterdir()}
    assert "journal" in left
    assert "state" not in left


# --- other hosts


@pytest.fixture(scope="module")
def cluster() -> Iterator[mr.Engine]:
    with mr.Engine("cluster", hosts="localhost:2,localhost:2") as engine:
        with pytest.MonkeyPatch.context() as patch:  # what is opened once is open before the first test
            hide_file(patch)
            engine.run(Gradient(np.ones(1_000_000)), mr.from_records([0]))
        wait_for_workers(engine, 4)
        yield engine


def hide_file(patch: pytest.MonkeyPatch) -> None:
    """No host sees the tracker's file, as if it had a disk of its own."""
    named = broadcast.named
    patch.setattr(cluster_start, "named", lambda state: replace(named(state), mtime_ns=1))


class Gradient(mr.Fold):
    """A step of an iteration: what it computes with changes every time."""

    def __init__(self, theta: Any) -> None:
        self.theta = theta

    def map(self, block: Any) -> Any:
        return self.theta * len(block)

    def reduce(self, a: Any, b: Any) -> Any:
        return a + b


def test_a_host_that_sees_the_file_fetches_nothing(cluster: mr.Engine, lines: mr.Dataset) -> None:
    result = cluster.run(Look(table := np.arange(1_000_000.0)), lines, split_size=2000)
    assert result.value[0] == sum(range(4000))
    assert moved(result, Way.READ) < table.nbytes
    assert moved(result, Way.MAPPED) // table.nbytes == len(result.value[2])


def test_a_step_is_sent_once_a_host(cluster: mr.Engine, lines: mr.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not once a worker, not once a task; and what a host still has, not at all."""
    hide_file(monkeypatch)
    sent: list[dict[str, int]] = []
    theta = np.zeros(250_000)
    for step in (1, 2, 2):
        result = cluster.run(Gradient(theta + step), lines, split_size=500)
        assert (result.value == 4000 * step).all()
        assert result.outcome is not None
        moved = result.outcome.moved
        sent.append(
            {
                link.reader: each.bytes
                for link, each in moved.items()
                if (link.source, link.way) == ("tracker", Way.READ) and each.bytes
            }
        )
        messages = sum(each.bytes for link, each in moved.items() if link.way is Way.MESSAGE)
        assert messages < 200_000  # of 40 tasks; theta is 2 MB
    for fetched in sent[:2]:
        assert set(fetched) == {"localhost", "localhost.2"}
        assert all(theta.nbytes < size < theta.nbytes + 10_000 for size in fetched.values())
    assert sent[2] == {}


def test_older_files_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broadcast, "KEPT_BYTES", 25)
    for age, name in enumerate(("newest", "second", "third", "oldest")):
        (tmp_path / name).write_bytes(b"x" * 10)
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    broadcast._remove_older(tmp_path, tmp_path / "newest")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["newest", "second", "third"]


def test_a_file_that_is_another_one_is_not_taken(tmp_path: Path) -> None:
    (path := tmp_path / "state").write_bytes(b"12345")
    state = StateFile(str(path), 5, 0, path.stat().st_mtime_ns)
    assert broadcast._is_here(state)
    assert not broadcast._is_here(replace(state, bytes=6))
    assert not broadcast._is_here(replace(state, mtime_ns=1))
    assert not broadcast._is_here(replace(state, path=str(path) + "x"))
