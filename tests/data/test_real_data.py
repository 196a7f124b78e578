"""Is the data that ships what its README says?"""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import pytest

from data.certified import analyses, regressions, univariate

SUFFIXES = {".txt", ".csv", ".libsvm", ".parquet", ".dat", ".gz"}


def files_in(datadir: Path) -> dict[str, Path]:
    return {str(path.relative_to(datadir)): path for path in datadir.rglob("*") if path.suffix in SUFFIXES}


def test_every_file_has_its_checksum(datadir: Path) -> None:
    lines = (datadir / "SHA256SUMS").read_text().splitlines()
    expected = {name: digest for digest, name in (line.split("  ") for line in lines)}
    found = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files_in(datadir).items()}
    assert found == expected


def test_every_file_has_origin_and_licence(datadir: Path) -> None:
    readme = (datadir / "README.md").read_text()
    missing = [name for name in files_in(datadir) if f"| `{name}` |" not in readme and not name.startswith("nist/")]
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


def test_nist_certifies_what_its_files_say() -> None:
    tables = [
        *(each.table for each in regressions()),
        *(each.table for each in univariate()),
        *(each.table for each in analyses()),
    ]
    counts = {table.name: len(table.rows) for table in tables}
    assert counts["Filip"] == 82
    assert counts["PiDigits"] == 5000
    assert (counts["SmLs09"], counts["NumAcc4"]) == (18009, 1001)
    for each in regressions():
        terms = each.degree * (len(each.table.columns) - 1)
        assert len(each.coef) == len(each.std_error) == terms + each.has_intercept
    for analysis in analyses():
        assert analysis.between[0] + analysis.within[0] + 1 == len(analysis.table.rows)
