"""A lock belongs to one, dies with its holder, and is not kept by children or by a file that was removed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mapreduce.errors import ResourceError
from mapreduce.storage.job_folder import JobFolder
from mapreduce.storage.locks import FileLock, HeldByAnotherError, take_lock
from tests.faults.killed_runs import die, in_child


def test_one_at_a_time(tmp_path: Path) -> None:
    lock = take_lock(tmp_path / "lock")
    assert lock.is_ours, "as long as it is not released"
    with pytest.raises(HeldByAnotherError) as caught:
        take_lock(tmp_path / "lock")
    assert caught.value.owner == str(os.getpid())
    lock.release()
    lock.release()
    take_lock(tmp_path / "lock").release()


def test_it_dies_with_its_holder(tmp_path: Path) -> None:
    def take_and_die() -> None:
        take_lock(tmp_path / "lock")
        die()

    assert in_child(take_and_die) < 0
    assert (tmp_path / "lock").read_text().isdigit()
    take_lock(tmp_path / "lock").release()


def test_a_child_has_no_part_in_it(tmp_path: Path) -> None:
    lock = take_lock(tmp_path / "lock")
    waits, ends = os.pipe()
    ready, says_ready = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(ends)
            assert not lock.is_ours
            lock.release()
            with pytest.raises(HeldByAnotherError):
                take_lock(tmp_path / "lock")
            os.write(says_ready, b".")
            os.read(waits, 1)  # until the parent has seen that its own release is enough
            os._exit(0)
        finally:
            os._exit(1)
    os.close(says_ready)
    assert os.read(ready, 1) == b"."
    lock.release()
    take_lock(tmp_path / "lock").release()
    for descriptor in (ends, waits, ready):
        os.close(descriptor)
    assert os.waitpid(pid, 0)[1] == 0


def test_a_file_that_was_removed_is_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its holder removes it when it is done; who had it open meanwhile must not think that it has the folder."""
    path = tmp_path / "lock"
    first: list[FileLock] = [take_lock(path)]
    opening = os.open

    def open_before_it_goes(*arguments: object, **more: object) -> int:
        descriptor = opening(*arguments, **more)  # type: ignore[arg-type]
        if first:
            path.unlink()
            first.pop().release()
        return descriptor

    monkeypatch.setattr(os, "open", open_before_it_goes)
    second = take_lock(path)
    with pytest.raises(HeldByAnotherError):
        take_lock(path)
    second.release()


def test_a_folder_that_its_last_owner_removes_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = JobFolder(tmp_path / "out"), JobFolder(tmp_path / "out")
    first.claim()
    make = JobFolder._make_job_folder
    ended: list[bool] = []

    def make_and_lose(self: JobFolder) -> None:
        make(self)
        if not ended:
            first.remove_job_files()
            ended.append(True)

    monkeypatch.setattr(JobFolder, "_make_job_folder", make_and_lose)
    second.claim()
    assert second.is_claimed
    assert (tmp_path / "out" / "_job" / "segments").is_dir()
    second.release()


def test_a_lock_that_cannot_be_made_is_no_hang(tmp_path: Path) -> None:
    (tmp_path / "out" / "_job").mkdir(parents=True)
    (tmp_path / "out" / "_job" / "lock").symlink_to(tmp_path / "nowhere" / "lock")
    with pytest.raises(ResourceError, match="broken link"):
        JobFolder(tmp_path / "out").claim()
