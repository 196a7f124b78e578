"""Does the same seed write the same bytes, and are they what the benches need?"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from data import generate


@pytest.mark.parametrize("kind", generate.KINDS)
def test_same_seed_same_bytes(tmp_path: Path, kind: str) -> None:
    digests = []
    for name, seed in [("a", 1), ("b", 1), ("c", 2)]:
        generate.generate(kind, 100_000, tmp_path / name, seed=seed)
        digests.append(hashlib.sha256((tmp_path / name).read_bytes()).hexdigest())
    assert digests[0] == digests[1] != digests[2]
    assert 80_000 < (tmp_path / "a").stat().st_size < 120_000
    assert not list(tmp_path.glob("*.partial"))


def test_chunks_do_not_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generate.write_records(tmp_path / "whole", 1000)
    monkeypatch.setattr(generate, "CHUNK", 300)
    generate.write_records(tmp_path / "parts", 1000)
    numbers = [[line[12:44] for line in (tmp_path / name).read_bytes().splitlines()] for name in ("whole", "parts")]
    assert numbers[0] == numbers[1] == [b"%032d" % row for row in range(1000)]


def test_csv_bytes_are_those_of_printf() -> None:
    rng = np.random.default_rng(5)
    scaled = np.concatenate([rng.integers(-(10**9), 10**9, 200), [0, 1, -1, 10**6, -(10**6), 999_999]])
    expected = "".join(f"{number},{number / 10**6:.6f}\n" for number in scaled)
    column = scaled.reshape(-1, 1)
    assert generate.csv_bytes([column, column], [0, 6]).decode() == expected


def test_records_are_lines_of_a_hundred_bytes(tmp_path: Path) -> None:
    generate.write_records(tmp_path / "records", 500)
    lines = (tmp_path / "records").read_bytes().split(b"\n")
    assert lines.pop() == b""
    assert {len(line) for line in lines} == {99}
    assert len({line[:10] for line in lines}) == 500


def test_words_follow_zipf_and_are_distinct() -> None:
    words = generate.vocabulary(20_000, seed=3)
    assert len(set(words)) == 20_000
    assert all(word.isalpha() for word in words)


def test_wide_text_has_as_many_words_as_asked(tmp_path: Path) -> None:
    generate.write_wide_text(tmp_path / "wide", 9 * 5000, distinct=100)
    assert len(set((tmp_path / "wide").read_bytes().split())) == 100
