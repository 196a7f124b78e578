"""Are unchanged files not read again, and changed ones always?"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mapreduce.storage import split_hashes
from mapreduce.storage.split_hashes import RACY_NS, FileHashes, SplitHashes, Stamp

SIZE = 2 << 20
PIECES = [range(1 << 20), range(1 << 20, SIZE)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "input"
    path.write_bytes(os.urandom(SIZE))
    return path


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[range]:
    """The pieces that were read."""
    read: list[range] = []
    real = split_hashes.hash_range

    def counted(descriptor: int, piece: range) -> str:
        read.append(piece)
        return real(descriptor, piece)

    monkeypatch.setattr(split_hashes, "hash_range", counted)
    return read


def hashed(folder: Path, path: Path, after_ns: int, pieces: list[range] = PIECES) -> FileHashes:
    """As if so much time had passed since the file was changed."""
    changed = max(path.stat().st_mtime_ns, path.stat().st_ctime_ns)
    found = SplitHashes(folder / "files", lambda: changed + after_ns).hash_pieces(str(path), pieces)
    assert found is not None
    return found


def test_an_unchanged_file_is_read_once(file: Path, tmp_path: Path, reads: list[range]) -> None:
    first = hashed(tmp_path, file, 2 * RACY_NS)
    assert hashed(tmp_path, file, 2 * RACY_NS) == first
    assert reads == PIECES
    hashed(tmp_path, file, 2 * RACY_NS, [*PIECES, range(10)])
    assert reads == [*PIECES, range(10)]


def test_a_file_that_was_changed_just_now_is_not_trusted(file: Path, tmp_path: Path, reads: list[range]) -> None:
    assert hashed(tmp_path, file, RACY_NS // 2).is_racy
    assert not hashed(tmp_path, file, 2 * RACY_NS).is_racy
    assert reads == 2 * PIECES


def test_a_change_with_the_old_time_is_seen(file: Path, tmp_path: Path) -> None:
    before = hashed(tmp_path, file, 2 * RACY_NS)
    status = file.stat()
    with open(file, "r+b") as stream:
        stream.write(b"changed")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    after = hashed(tmp_path, file, 2 * RACY_NS)
    assert after.hashes[0] != before.hashes[0]
    assert after.hashes[1] == before.hashes[1]


def test_what_is_remembered_wrongly_is_forgotten(file: Path, tmp_path: Path, reads: list[range]) -> None:
    first = hashed(tmp_path, file, 2 * RACY_NS)
    for damage in (b"", b"{", b"[]", b'{"stamp": []}'):
        (place,) = (tmp_path / "files").iterdir()
        place.write_bytes(damage)
        assert hashed(tmp_path, file, 2 * RACY_NS) == first
    assert len(reads) == 5 * len(PIECES)


def test_small_files_leave_nothing(tmp_path: Path) -> None:
    path = tmp_path / "small"
    path.write_bytes(b"small")
    assert hashed(tmp_path, path, 2 * RACY_NS, [range(5)]).hashes
    assert not (tmp_path / "files").exists()


def test_what_is_no_file(tmp_path: Path) -> None:
    hashes = SplitHashes(tmp_path / "files")
    assert hashes.hash_pieces("<memory 12>", [range(5)]) is None
    assert hashes.hash_pieces("s3://bucket/key", [range(5)]) is None
    assert Stamp.of("zero\0byte") is None


def test_a_piece_beyond_the_end(tmp_path: Path) -> None:
    path = tmp_path / "short"
    path.write_bytes(b"short")
    assert SplitHashes(tmp_path / "files").hash_pieces(str(path), [range(50)]) is None
