"""A local store and where a job's files lie in it."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import BinaryIO

import pytest

from mapreduce.errors import ResourceError
from mapreduce.ids import AttemptId, TaskId
from mapreduce.storage import store as store_module
from mapreduce.storage.paths import JobPaths
from mapreduce.storage.store import EARLY_BYTES, LocalStore, begin_writing, explained, open_store, write_whole

ATTEMPT = AttemptId(TaskId(0, 7), 2)


def test_read_gives_what_there_is(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path))
    store.write_bytes("a/b/c", b"0123456789")
    assert store.read_bytes("a/b/c") == b"0123456789"
    assert store.read("a/b/c", 8, 10) == b"89"
    assert store.size("a/b/c") == 10


def test_rename_makes_folders_and_replaces(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path))
    store.write_bytes("a", b"new")
    store.write_bytes("x/b", b"old")
    store.rename("a", "x/b")
    store.write_bytes("c", b"c")
    store.rename("c", "y/z/c")
    assert (store.read_bytes("x/b"), store.read_bytes("y/z/c")) == (b"new", b"c")


def test_remove_is_harmless_twice(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path))
    store.write_bytes("a", b"")
    store.remove("a")
    store.remove("a")
    with pytest.raises(FileNotFoundError):
        store.read_bytes("a")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_names_path_needed_and_free_bytes() -> None:
    class Full(LocalStore):
        def create(self, path: str) -> BinaryIO:
            return open("/dev/full", "wb")

    with pytest.raises(ResourceError, match=r"can't write /dev/x: no space left.*needed 100,000 bytes, free [\d,]+"):
        write_whole(Full("/dev"), "x", b"x" * 100_000)


@pytest.mark.skipif(os.geteuid() == 0 or sys.platform == "win32", reason="root may write anywhere")
def test_a_forbidden_folder_is_explained(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(ResourceError, match="no permission"):
            LocalStore(str(tmp_path)).write_bytes("a/b", b"x")
    finally:
        tmp_path.chmod(0o700)


def test_what_is_no_lack_of_resources_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), explained(LocalStore(str(tmp_path)), "x"):
        raise FileNotFoundError(errno.ENOENT, "none")


def test_names_hold_the_attempt() -> None:
    paths = JobPaths("out")
    assert paths.segment(ATTEMPT) == "_job/segments/0-7-2.seg"
    assert paths.partial(ATTEMPT) == "_job/partials/0-7-2.partial"
    assert paths.spill(ATTEMPT, 3) == "_job/attempts/0-7-2.run-3"
    assert paths.part(12, ".tsv") == "part-00012.tsv"
    assert paths.part(0, ".tsv", "rejects") == "rejects/part-00000.tsv"


@pytest.mark.parametrize("there", [True, False])
def test_early_writing_is_no_more_than_a_hint(there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = []

    def begin(descriptor: int, start: int, size: int, flags: int) -> None:
        begun.append((start, size))

    monkeypatch.setattr(store_module, "_sync_file_range", begin if there else store_module._ignore)
    store = open_store(str(tmp_path), early=True)
    data = os.urandom(3 * EARLY_BYTES + 5)
    with store.create("a/large") as file:
        for start in range(0, len(data), 100_001):
            file.write(data[start : start + 100_001])
    store.sync("a/large")
    assert (tmp_path / "a" / "large").read_bytes() == data
    assert [start for start, _ in begun] == [sum(size for _, size in begun[:number]) for number in range(len(begun))]
    assert len(begun) == (2 if there else 0)  # the rest is less than it is worth


def test_the_real_call_does_no_harm(tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as file:
        file.write(b"x" * 10_000)
        file.flush()
        begin_writing(file.fileno(), 0, 10_000)
    assert (tmp_path / "file").stat().st_size == 10_000
