"""Is a map output reused only where the input is the same: of every format, and of inputs that are no plain files?"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import mapreduce as mr
from tests.incremental.desk import (
    Desk,
    Places,
    Words,
    desk_of,
    lines_of,
)


class Cells(mr.Job):
    reduce = mr.Sum()

    def map(self, row: Any) -> Iterator[tuple[str, float]]:
        yield row["name"], row["amount"] * 0.1


def test_csv(tmp_path: Path) -> None:
    folder = tmp_path / "tables"
    folder.mkdir()
    for number in range(3):
        rows = "".join(f'"a, ""b""\n{row % 7}",{row + number}\n' for row in range(100))
        (folder / f"{number}.csv").write_text(f"name,amount\n{rows}")
    desk = Desk(tmp_path, Cells(), lambda: mr.read_csv(str(folder)), split_size=600)
    first = desk.reused()
    total = int(first.split()[3])
    assert first == f"reused 0 of {total} splits"
    assert total > 6
    with open(folder / "1.csv", "a") as file:
        file.write("more,5\n")
    assert desk.reused() == f"reused {total - 1} of {total} splits"
    (folder / "0.csv").write_text((folder / "0.csv").read_text().replace("name,amount\n", "name,amount\r\n"))
    assert desk.reused().startswith("reused ")


def test_a_type_that_changes_with_the_input_reuses_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "tables"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.csv").write_text("name,amount\na,1\n")
    dataset = mr.read_csv(str(folder))
    mr.run(Cells(), dataset, engine="inline", incremental=True)
    (folder / "0.csv").write_text("name,amount\na,1.5\n")
    result = mr.run(Cells(), dataset, engine="inline", incremental=True)
    assert result.notes == ["reused 0 of 3 splits"]


def test_parquet(tmp_path: Path) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    folder = tmp_path / "tables"
    folder.mkdir()

    def write_table(number: int, rows: int) -> None:
        table = pa.table({"name": [f"n{row % 5}" for row in range(rows)], "amount": list(range(rows))})
        pq.write_table(table, folder / f"{number}.parquet", row_group_size=50)

    for number in range(3):
        write_table(number, 200)
    desk = Desk(tmp_path, Cells(), lambda: mr.read_parquet(str(folder)), split_size=1000)
    total = int(desk.reused().split()[3])
    write_table(1, 201)
    kept, now = desk.reused().split()[1:4:2]
    assert int(kept) == total * 2 // 3
    assert int(now) >= total


def test_whole_files_tell_their_path(texts: Path) -> None:
    class Names(mr.Job):
        def map(self, file: Any) -> Iterator[tuple[str, int]]:
            yield file.path, len(file.contents)

    def run() -> mr.Result:
        return mr.run(Names(), mr.read_whole(str(texts)), engine="inline", incremental=True)

    run()
    assert run().notes == ["reused 5 of 5 splits"]
    (texts / "1.txt").rename(texts / "8.txt")
    result = run()
    assert result.notes == ["reused 4 of 5 splits"]
    assert sorted(os.path.basename(path) for path, _ in result.records()) == [
        "0.txt",
        "2.txt",
        "3.txt",
        "4.txt",
        "8.txt",
    ]


def test_a_job_that_looks_at_places(texts: Path) -> None:
    def run() -> mr.Result:
        return mr.run(Places(), lines_of(texts), engine="inline", incremental=True)

    run()
    assert run().notes == ["reused 5 of 5 splits"]
    (texts / "1.txt").rename(texts / "8.txt")
    result = run()
    assert result.notes == ["reused 4 of 5 splits"]
    assert f"{texts / '8.txt'}, byte 0" in next(iter(result.records()))[1]


def test_compressed_files_and_twins(texts: Path, tmp_path: Path) -> None:
    import gzip

    for path in list(texts.iterdir()):
        (texts / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    shutil.copy(texts / "1.txt.gz", texts / "twin.txt.gz")
    desk = desk_of(tmp_path, texts, Words())
    assert desk.reused() == "reused 0 of 6 splits"
    shutil.copy(texts / "1.txt.gz", texts / "third.txt.gz")
    assert desk.reused() == "reused 7 of 7 splits"


def test_what_is_in_memory_is_mapped_anew() -> None:
    for _ in range(2):
        result = mr.run(Words(), mr.from_records(["a b", "c"]), engine="inline", incremental=True)
        assert result.notes[0] == "reused 0 of 2 splits"


def test_standard_input_and_unions_are_known_by_content(texts: Path, tmp_path: Path) -> None:
    class Both(mr.Job):
        reduce = mr.Count()

        def map(self, tagged: Any) -> Iterator[tuple[str, int]]:
            yield tagged.tag, 1

    (tmp_path / "other.txt").write_text("x\n")

    def run() -> mr.Result:
        tables = mr.union(left=lines_of(texts), right=mr.read_text(str(tmp_path / "other.txt")))
        return mr.run(Both(), tables, engine="inline", incremental=True)

    assert dict(run().records()) == {"left": 300, "right": 1}
    shutil.copy(tmp_path / "other.txt", texts / "6.txt")  # the same bytes in another member
    result = run()
    assert result.notes == ["reused 6 of 7 splits"]
    assert dict(result.records()) == {"left": 301, "right": 1}
