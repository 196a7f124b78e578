"""Is the data that ships what its README says?"""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import pytest

SUFFIXES = {".txt", ".csv", ".libsvm", ".parquet"}


def test_every_file_has_its_checksum(datadir: Path) -> None:
    lines = (datadir / "SHA256SUMS").read_text().splitlines()
    expected = {name: digest for digest, name in (line.split("  ") for line in lines)}
    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in datadir.iterdir()
        if path.suffix in SUFFIXES
    }
    assert found == expected


def test_every_file_has_origin_and_licence(datadir: Path) -> None:
    readme = (datadir / "README.md").read_text()
    missing = [
        path.name for path in datadir.iterdir() if path.suffix in SUFFIXES and f"| `{path.name}` |" not in readme
    ]
    assert not missing


@pytest.mark.parametrize(("name", "target"), [("houses", "price"), ("diabetes", "progression"), ("norris", "y")])
def test_tables_are_numeric(datadir: Path, name: str, target: str) -> None:
    with (datadir / f"{name}.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert target in rows[0]
    assert all(float(value) == float(value) for row in rows for value in row.values())


def test_the_odd_file_stays_odd(datadir: Path) -> None:
    text = (datadir / "poemata.txt").read_bytes()
    assert text.startswith(b"\xef\xbb\xbf")
    assert text.count(b"\r\n") == text.count(b"\n") > 2000
