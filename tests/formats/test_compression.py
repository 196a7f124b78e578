"""Does a compressed file read as what it holds, in one split, and does damage never pass for a shorter file?"""

from __future__ import annotations

import bz2
import gzip
import logging
import lzma
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from mapreduce.errors import InputError
from mapreduce.formats.base import Format
from mapreduce.formats.compression import compression_of, uncompressed_name
from mapreduce.formats.csv import Csv
from mapreduce.formats.fixed import Fixed
from mapreduce.formats.jsonl import JsonLines
from mapreduce.formats.libsvm import Libsvm
from mapreduce.formats.text import Text
from tests.formats.laws import ONE, check_format, input_file, read_all


def zstd(data: bytes) -> bytes:
    return bytes(pa.compress(data, codec="zstd", asbytes=True))


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".zst": zstd
}  # fmt: skip
CONTENTS: dict[str, tuple[Format, bytes]] = {
    "a.txt": (Text(), b"\xef\xbb\xbfone\r\ntwo\n\nlast"),
    "a.csv": (Csv(), b'\xef\xbb\xbfa,b\n1,"x\ny"\n2,"p""q"\n'),
    "a.tsv": (Csv(header=False), b"\xef\xbb\xbf1\tx\n2\ty\n"),
    "a.jsonl": (JsonLines(), b'{"a":1}\n\n{"a":2}\n'),
    "a.svm": (Libsvm(), b"# c\n1 1:2\n\n-1 3:4\n"),
    "a.bin": (Fixed(3), b"abcdef"),
}


@pytest.mark.parametrize("suffix", COMPRESS)
@pytest.mark.parametrize("name", CONTENTS)
def test_same_records_as_uncompressed(name: str, suffix: str, tmp_path: Path) -> None:
    format, content = CONTENTS[name]
    plain = check_format(format, content, tmp_path / name, split_sizes=[5], block_sizes=[5])
    packed = COMPRESS[suffix](content)
    path = tmp_path / (name + suffix)
    check_format(format, packed, path, expected=plain, split_sizes=[1, ONE], block_sizes=[1, 7, ONE])
    assert len(format.plan_extents(input_file(path), 1)) == 1


@pytest.mark.parametrize("suffix", COMPRESS)
def test_streams_one_after_the_other_are_one_file(suffix: str, tmp_path: Path) -> None:
    packed = COMPRESS[suffix](b"one\ntw") + COMPRESS[suffix](b"o\n")
    check_format(Text(), packed, tmp_path / f"a.txt{suffix}", expected=["one", "two"], split_sizes=[ONE])


@pytest.mark.parametrize("suffix", COMPRESS)
def test_nothing_compressed_holds_nothing(suffix: str, tmp_path: Path) -> None:
    for format in (Text(), Csv(), JsonLines(), Libsvm()):
        check_format(format, COMPRESS[suffix](b""), tmp_path / f"a.txt{suffix}", expected=[], split_sizes=[ONE])
        check_format(format, b"", tmp_path / f"b.txt{suffix}", expected=[], split_sizes=[ONE])


@pytest.mark.parametrize("suffix", COMPRESS)
@pytest.mark.parametrize("damage", ["cut off", "another format"])
def test_damage_names_the_file(suffix: str, damage: str, tmp_path: Path) -> None:
    content = b"".join(b"line %d\n" % number for number in range(20_000))
    packed = COMPRESS[suffix](content)
    path = tmp_path / f"a.txt{suffix}"
    path.write_bytes(packed[: len(packed) // 2] if damage == "cut off" else content)
    with pytest.raises(InputError, match=rf"{path}: the \w+ data is damaged or cut off after byte \d+.*again"):
        read_all(Text(), input_file(path), ONE, 1000)


def test_it_is_said_that_the_file_is_one_split(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress(b"one\ntwo\n"))
    with caplog.at_level(logging.INFO, "mapreduce"):
        Text().plan_extents(input_file(path), 1)
    assert [record.getMessage() for record in caplog.records] == [
        f"{path}: gzip cannot be split, so the file is one split of {path.stat().st_size} bytes"
    ]


def test_bytes_for_progress_are_those_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress(b"line\n" * 100_000))
    file = input_file(path)
    (extent,) = Text().plan_extents(file, 1)
    from mapreduce.formats.base import Split

    assert sum(block.bytes for block in Text().read_blocks(Split(0, file, extent), 1000)) <= file.size


def test_names() -> None:
    assert uncompressed_name("s3://b/a.CSV.GZ") == "s3://b/a.CSV"
    assert uncompressed_name("a.csv") == "a.csv"
    assert compression_of("a.gzip.csv") is None


def test_small_jobs_load_no_heavy_module(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n1,x\n"))
    script = f"""
import os, sys
from mapreduce.formats.base import InputFile, Split
from mapreduce.formats.csv import Csv
from mapreduce.formats.jsonl import JsonLines
from mapreduce.formats.libsvm import Libsvm
from mapreduce.formats.text import Text
from mapreduce.formats.writers import open_writer
file = InputFile({str(path)!r}, os.path.getsize({str(path)!r}))
for format in (Text(), Csv()):
    format = format.resolve([file])
    for extent in format.plan_extents(file, 10):
        for block in format.read_blocks(Split(0, file, extent), 10):
            list(block.records()), len(block)
writer = open_writer("tsv", sys.stdout.buffer)
writer.write(("a", 1), 2.5)
writer.close()
heavy = {{"numpy", "pyarrow", "scipy", "numba"}} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, cwd=Path(__file__).parents[2], check=False
    )
    assert (done.returncode, done.stderr, done.stdout) == (0, b"", b'["a", 1]\t2.5\n')
