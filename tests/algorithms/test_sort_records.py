"""Are fixed-length records sorted as numpy sorts them, and never torn?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import mapreduce as mr
from algorithms.sort import SortRecords
from data.generate import write_records
from mapreduce.dataflow.output import PartWriter
from tests.algorithms.conftest import Shell, parts


@pytest.fixture
def records(tmp_path: Path) -> Path:
    """Random bytes, newlines and zeros among them; keys of which many are equal."""
    rng = np.random.default_rng(3)
    rows = rng.integers(0, 256, (3000, 100), dtype=np.uint8)
    rows[:, :10] = rng.integers(0, 2, (3000, 10), dtype=np.uint8)
    (tmp_path / "records.bin").write_bytes(rows.tobytes())
    return tmp_path / "records.bin"


@pytest.mark.parametrize("reducers", [1, 3])
def test_equal_keys_keep_their_order(reducers: int, records: Path, engine: mr.Engine, tmp_path: Path) -> None:
    rows = np.frombuffer(records.read_bytes(), np.uint8).reshape(-1, 100)
    order = np.lexsort(rows[:, 9::-1].T)  # stable; the last key counts first
    dataset = mr.read_fixed(records, width=100)
    engine.run(SortRecords(), dataset, output=tmp_path / "out", split_size=70_000, reducers=reducers)
    assert parts(tmp_path / "out") == rows[order].tobytes()


def test_sorts_as_gnu_sort(engine: mr.Engine, tmp_path: Path, shell: Shell) -> None:
    write_records(tmp_path / "records.txt", 5000)
    dataset = mr.read_fixed(tmp_path / "records.txt", width=100)
    engine.run(SortRecords(), dataset, output=tmp_path / "out", split_size="100KB", reducers=2)
    assert parts(tmp_path / "out") == shell('sort "$1"', tmp_path / "records.txt")


def test_records_never_leave_their_columns(records: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[pa.DataType] = []
    as_it_is = PartWriter.write_columns

    def noting(self: PartWriter, keys: Any, values: Any) -> None:
        written.append((keys.type, values.type))
        as_it_is(self, keys, values)

    monkeypatch.setattr(PartWriter, "write_columns", noting)
    monkeypatch.setattr(PartWriter, "write_pairs", lambda self, pairs: pytest.fail("records went one by one"))
    mr.run(SortRecords(), mr.read_fixed(records, width=100), engine="inline", output=tmp_path / "out")
    assert set(written) == {(pa.binary(10), pa.binary(100))}


def test_another_width(engine: mr.Engine, tmp_path: Path) -> None:
    (tmp_path / "words.bin").write_bytes(b"catdogantbee")
    engine.run(SortRecords(3, 1), mr.read_fixed(tmp_path / "words.bin", width=3), output=tmp_path / "out")
    assert parts(tmp_path / "out") == b"antbeecatdog"


def test_a_file_that_is_cut_off(tmp_path: Path, run_cli: Callable[..., Any]) -> None:
    (tmp_path / "cut.bin").write_bytes(bytes(250))
    done = run_cli("run", "sort_records", "cut.bin", "-o", "out")
    assert done.rc == 2
    assert "cut.bin: 250 bytes are not a multiple of the record width 100" in done.err
    assert "Traceback" not in done.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("width", "key_bytes"), [(100, 0), (100, 101)])
def test_keys_lie_within_the_record(width: int, key_bytes: int) -> None:
    with pytest.raises(mr.UsageError, match="between 1 and the width"):
        SortRecords(width, key_bytes)
