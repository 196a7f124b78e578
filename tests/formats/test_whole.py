"""Is a whole file one record, an empty one too?"""

from __future__ import annotations

import bz2
from pathlib import Path

import pytest

from mapreduce.formats.whole import Whole, WholeFile
from tests.formats.laws import check_format


@pytest.mark.parametrize("content", [b"", b"\x00\xff\n", b"x" * 1000])
def test_one_record_a_file(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    check_format(Whole(), content, path, expected=[WholeFile(str(path), content)])


def test_contents_are_decompressed(tmp_path: Path) -> None:
    path = tmp_path / "a.bin.bz2"
    check_format(Whole(), bz2.compress(b"hello"), path, expected=[WholeFile(str(path), b"hello")])
