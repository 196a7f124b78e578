"""A file that the job reads again is cut short, changed or gone: the loss is told, its content made anew, same bits.

A store damages real files, just after they got their names.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import mapreduce as mr
from mapreduce.dataflow.package import JobContext
from mapreduce.errors import OutputLostError
from mapreduce.storage import block_cache
from mapreduce.storage.block_cache import forget_mapped
from mapreduce.storage.paths import MANIFEST
from tests.faults.stores import Disk

pytestmark = pytest.mark.timeout(60)

TEXT = "".join(f"{word} {number % 7} {number}\n" for number, word in enumerate("der die das und oder".split() * 400))


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size * 2 // 3)


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 4
    path.write_bytes(data)


def zero_a_block(path: Path) -> None:
    """As some file systems do when the power goes."""
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] + bytes(len(data) - len(data) // 2))


def delete(path: Path) -> None:
    path.unlink()


def put_another(path: Path) -> None:
    """The file of another task, whole."""
    name = path.name.replace("-1-", "-0-")
    other = path.with_name(name)
    assert other != path
    path.write_bytes(other.read_bytes())


WAYS: list[Callable[[Path], None]] = [truncate, flip_a_bit, zero_a_block, delete, put_another]


class DamagingDisk(Disk):
    """Damages each file that gets one of these names, once."""

    def __init__(self, damage: Callable[[Path], None], *names: str) -> None:
        super().__init__()
        self.damage = damage
        self.names = set(names)

    def after(self, operation: str, path: str, old: str = "") -> None:
        name = "/".join(Path(path).parts[-2:])
        if operation == "rename" and name in self.names:
            self.names.remove(name)
            self.damage(Path(path))


class Sums(mr.Job):
    """Sums of floats by key, whose last bits show any other order."""

    def map(self, line: str) -> Iterator[tuple[str, float]]:
        word, small, number = line.split()
        yield f"{word}{int(number) % 50}", 0.1 * int(small) + int(number)

    def reduce(self, key: str, values: Iterator[float]) -> float:
        return sum(values)


class Tail(mr.Fold):
    """A fold with partials too large for a message."""

    def map(self, block: Any) -> Any:
        return [0.1 * len(line) for line in block.records()] * 20

    def reduce(self, a: Any, b: Any) -> Any:
        return [x / 3 + y for x, y in zip(a, b, strict=False)]

    def finish(self, partial: Any) -> Any:
        return sum(partial)


@pytest.fixture
def data(tmp_path: Path) -> mr.Dataset:
    (tmp_path / "text.txt").write_text(TEXT)
    return mr.read_text(tmp_path / "text.txt")


def run(job: Any, data: mr.Dataset, out: Path, **more: Any) -> tuple[str, dict[str, Any]]:
    """Digest of the parts, and the manifest."""
    reducers = 2 if isinstance(job, mr.Job) else None
    mr.run(job, data, output=out, engine="inline", split_size=len(TEXT) // 3 + 1, reducers=reducers, **more)
    parts = [hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(out.glob("part-*"))]
    return " ".join(parts), json.loads((out / MANIFEST).read_bytes())


@pytest.mark.parametrize("damage", WAYS)
@pytest.mark.parametrize(("job", "name"), [(Sums, "segments/0-1-0.seg"), (Tail, "partials/0-1-0.partial")])
def test_an_output_between_map_and_reduce(job: type[Any], name: str, damage: Any, data: Any, tmp_path: Path) -> None:
    expected, undisturbed = run(job(), data, tmp_path / "whole")
    assert undisturbed["failed_attempts"] == 0
    disk = DamagingDisk(damage, name)
    with disk.inserted():
        digest, manifest = run(job(), data, tmp_path / "damaged")
    assert disk.names == set()
    assert digest == expected
    assert manifest["failed_attempts"] >= 1
    assert manifest["counters"] == undisturbed["counters"]
    assert manifest["records_in"] == undisturbed["records_in"]


@pytest.mark.parametrize("damage", WAYS[:4])
@pytest.mark.parametrize("stage", ["map", "reduce"])
def test_a_run_inside_an_attempt(
    stage: str, damage: Any, data: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a map spilled, and what a reduce merged because not all fits in its memory."""
    expected, _ = run(Sums(), data, tmp_path / "whole")
    monkeypatch.setattr(JobContext, "buffer_bytes", 20_000)
    name = "attempts/0-1-0.run-0" if stage == "map" else "attempts/1-0-0.run-0"
    disk = DamagingDisk(damage, name)
    with disk.inserted():
        digest, manifest = run(Sums(), data, tmp_path / "damaged")
    assert disk.names == set()
    assert digest == expected
    assert manifest["failed_attempts"] == 1


def test_all_outputs_at_once(data: Any, tmp_path: Path) -> None:
    expected, _ = run(Sums(), data, tmp_path / "whole")
    disk = DamagingDisk(flip_a_bit, *(f"segments/0-{index}-0.seg" for index in range(3)))
    with disk.inserted():
        digest, manifest = run(Sums(), data, tmp_path / "damaged")
    assert digest == expected
    assert manifest["failed_attempts"] >= 1


def test_a_disk_that_damages_everything_ends_the_job(data: Any, tmp_path: Path) -> None:
    class Bad(DamagingDisk):
        def after(self, operation: str, path: str, old: str = "") -> None:
            if operation == "rename" and path.endswith(".seg"):
                self.damage(Path(path))

    with Bad(flip_a_bit).inserted(), pytest.raises(OutputLostError, match=r"segments/0-\d-\d+.seg"):
        run(Sums(), data, tmp_path / "damaged")


class Totals(mr.Fold):
    """Reads one form of each block."""

    def __init__(self, form: str) -> None:
        self.form = form

    def map(self, block: Any) -> Any:
        rows: Any = list(block.records()) if self.form == "records" else getattr(block, self.form)
        if self.form == "arrow":
            return sum(row["a"] for row in rows.to_pylist())
        return float(rows.sum()) if self.form == "X" else sum(float(row["a"]) for row in rows)

    def reduce(self, a: float, b: float) -> float:
        return a / 3 + b


@pytest.mark.parametrize("which", ["", ".json", "the index"])
@pytest.mark.parametrize("damage", WAYS[:4])
@pytest.mark.parametrize("form", ["X", "arrow", "records"])
def test_a_block_that_an_engine_keeps(form: str, damage: Any, which: str, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("a,b\n" + "".join(f"{number * 0.1},{number}\n" for number in range(3000)))
    with mr.Engine("inline") as engine:
        rows = engine.cache(mr.read_csv(tmp_path / "rows.csv"))
        values = [engine.run(Totals(form), rows, block_size=4096).value for _ in range(2)]
        assert engine._cache_folder is not None
        pattern = "0.*[0-9].json" if which == "the index" else f"0.*.{form}{which}"
        (file,) = engine._cache_folder.rglob(pattern)
        forget_mapped(engine._cache_folder)  # as a process that comes to it for the first time
        damage(file)
        values += [engine.run(Totals(form), rows, block_size=4096).value for _ in range(2)]
        assert len(set(values)) == 1
        assert file.exists()  # made again
        assert list(engine._cache_folder.rglob("*.tmp")) == []


def test_a_full_disk_costs_the_cache_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rows.csv").write_text("a,b\n" + "".join(f"{number * 0.1},{number}\n" for number in range(3000)))
    put = block_cache._Form._put
    puts = []

    def put_twice(form: Any, data: Any) -> None:
        puts.append(form)
        if len(puts) > 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        put(form, data)

    with mr.Engine("inline") as engine:
        rows = engine.cache(mr.read_csv(tmp_path / "rows.csv"))
        expected = engine.run(Totals("X"), mr.read_csv(tmp_path / "rows.csv"), block_size=4096).value
        monkeypatch.setattr(block_cache._Form, "_put", put_twice)
        values = {engine.run(Totals("X"), rows, block_size=4096).value for _ in range(2)}
        assert values == {expected}
        assert len(puts) > 2
        assert engine._cache_folder is not None
        assert [path.name for path in engine._cache_folder.rglob("*") if ".X" in path.name] == []
