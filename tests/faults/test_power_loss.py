"""The power goes at any moment of a job: the same command then gives the same bytes, and repeats nothing that was done.

A disk that knows what was synced tells, before every single operation of a job, what a file system may leave if the
power goes now. Whatever the journal still tells of must be there, and need not run again.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import mapreduce as mr
from mapreduce.storage.paths import JobPaths
from mapreduce.tracker.journal import read_journal
from tests.faults.stores import Disk, Loss, LossyDisk

pytestmark = pytest.mark.timeout(60)

TEXT = "".join(f"{word} {number % 7} {number}\n" for number, word in enumerate("der die das und oder".split() * 40))
mapped: Counter[str] = Counter()


class Words(mr.Job):
    """A keyed job with a further output."""

    def setup(self) -> None:
        mapped["attempts"] += 1

    def map(self, line: str) -> Iterator[tuple[str, float]]:
        word, small, _ = line.split()
        yield word, 0.1 * int(small)

    def reduce(self, key: str, values: Iterator[float]) -> Iterator[Any]:
        yield key, sum(values)
        if "d" in key:
            yield mr.Named("with-d", key, 1)


class Upper(mr.Job):
    """Without a reduce: what is mapped is the output."""

    reduce = None

    def setup(self) -> None:
        mapped["attempts"] += 1

    def map(self, line: str) -> Iterator[tuple[str, int]]:
        yield line.upper(), 1


class Tail(mr.Fold):
    """A fold with partials too large for a message."""

    def setup(self) -> None:
        mapped["attempts"] += 1

    def map(self, block: Any) -> Any:
        return [0.1 * len(line) for line in block.records()] * 50

    def reduce(self, a: Any, b: Any) -> Any:
        return [x / 3 + y for x, y in zip(a, b, strict=False)]

    def finish(self, partial: Any) -> Any:
        return sum(partial)


JOBS: dict[str, tuple[type[Any], dict[str, Any]]] = {
    "keyed": (Words, {"reducers": 2}),
    "map only": (Upper, {}),
    "fold": (Tail, {}),
}


@pytest.fixture
def data(tmp_path: Path) -> mr.Dataset:
    (tmp_path / "text.txt").write_text(TEXT)
    return mr.read_text(tmp_path / "text.txt")


def run(name: str, data: mr.Dataset, disk: Path, **more: Any) -> None:
    job, settings = JOBS[name]
    mr.run(job(), data, output=disk / "out", engine="inline", split_size=len(TEXT) // 3 + 1, **{**settings, **more})


def digest(disk: Path) -> str:
    """Of all parts and their names."""
    out = disk / "out"
    assert (out / "_SUCCESS").exists()
    sums = [f"{path.relative_to(out)} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in out.rglob("part-*")]
    return "\n".join(sorted(sums))


def lossy(tmp_path: Path) -> LossyDisk:
    folder = tmp_path / "disk"
    folder.mkdir()
    return LossyDisk(folder)


def restored(tmp_path: Path, disk: LossyDisk) -> Iterator[tuple[Path, str]]:
    """A folder for all that may be left of a disk, and how that came about."""
    for loss in Loss:
        for number, remains in enumerate(disk.remains[loss]):
            folder = tmp_path / f"{loss.value}-{number}"
            folder.mkdir()
            remains.restore(folder)
            yield folder, f"{loss} before {remains.operation}"


def tasks_done(name: str, disk: Path) -> int:
    """Of how many tasks the journal tells; all, where the output is complete."""
    out = disk / "out"
    if (out / "_SUCCESS").exists():
        return TASKS[name]
    try:
        return len(read_journal((out / JobPaths("").journal).read_bytes()).events)
    except FileNotFoundError:
        return 0


TASKS = {"keyed": 3 + 2, "map only": 3, "fold": 3 + 1}


@pytest.mark.parametrize("name", JOBS)
def test_power_cut_at_every_operation(name: str, data: mr.Dataset, tmp_path: Path) -> None:
    disk = lossy(tmp_path)
    with disk.inserted():
        run(name, data, disk.top)
    disk.note("the end")
    expected = digest(disk.top)
    kept = set()
    for folder, moment in restored(tmp_path, disk):
        done = tasks_done(name, folder)
        kept.add(done)
        mapped.clear()
        run(name, data, folder)
        assert digest(folder) == expected, moment
        assert mapped["attempts"] == TASKS[name] - done, moment
    assert kept == set(range(TASKS[name] + 1))  # some cuts came after each of the tasks


def test_what_was_told_to_be_complete_survives(data: mr.Dataset, tmp_path: Path) -> None:
    disk = lossy(tmp_path)
    with disk.inserted():
        run("keyed", data, disk.top)
    disk.note("the end")
    for loss in Loss:
        left = set(disk.remains[loss][-1].files)
        assert {"out/_SUCCESS", "out/_manifest.json", "out/part-00000.tsv", "out/with-d/part-00001.tsv"} <= left


def test_an_output_that_is_replaced_is_never_mixed_with_the_old_one(data: mr.Dataset, tmp_path: Path) -> None:
    """There were more parts than the new job writes; those that come back must go."""
    disk = lossy(tmp_path)
    with disk.inserted():
        run("keyed", data, disk.top, reducers=4)
        disk.remains = {loss: [] for loss in Loss}
        run("keyed", data, disk.top, fresh=True)
    disk.note("the end")
    expected = digest(disk.top)
    for folder, moment in restored(tmp_path, disk):
        try:
            run("keyed", data, folder)
        except mr.UsageError:  # the old one is still complete
            assert (folder / "out" / "part-00003.tsv").exists()
            run("keyed", data, folder, fresh=True)
        assert digest(folder) == expected, moment


def test_a_second_power_cut_while_going_on(data: mr.Dataset, tmp_path: Path) -> None:
    first = lossy(tmp_path)
    with first.inserted():
        run("keyed", data, first.top)
    expected = digest(first.top)
    halfway = first.remains[Loss.TAIL][len(first.remains[Loss.TAIL]) // 2]
    second = LossyDisk(tmp_path / "second")
    second.top.mkdir()
    halfway.restore(second.top)
    second.adopt()
    with second.inserted():
        run("keyed", data, second.top)
    for folder, moment in restored(tmp_path, second):
        run("keyed", data, folder)
        assert digest(folder) == expected, moment


def test_jobs_whose_result_is_temporary_wait_for_no_disk(data: mr.Dataset) -> None:
    disk = Disk()
    with disk.inserted():
        result = mr.run(Words(), data, engine="inline")
    assert len(list(result.records())) > 0
    result.close()
    assert [operation for operation in disk.log if operation.startswith("sync")] == []
