"""Does what dead processes left go away, without a new job having to wait for all of it?"""

from __future__ import annotations

from pathlib import Path

import pytest

from mapreduce.storage.leftovers import OWNER, PREFIX, find_dead_folders, remove_dead_folders


@pytest.fixture
def dead(tmp_path: Path) -> Path:
    """A folder with files, a folder of files, and a link, whose owner is gone."""
    folder = tmp_path / f"{PREFIX}dead"
    (folder / "deep" / "er").mkdir(parents=True)
    for number in range(50):
        (folder / f"{number}").write_text("x")
        (folder / "deep" / "er" / f"{number}").write_text("x")
    (folder / "deep" / OWNER).write_text("")  # no owner's, at that place
    (folder / "link").symlink_to(tmp_path)
    (folder / OWNER).write_text("")
    return folder


def test_a_folder_of_the_dead_is_removed(dead: Path) -> None:
    kept = dead.parent / "kept"
    kept.write_text("x")
    assert remove_dead_folders(dead.parent) == [dead]
    assert not dead.exists()
    assert kept.exists()


def test_what_is_not_removed_in_time_is_left_for_the_next(dead: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter(range(10**6))
    monkeypatch.setattr("time.monotonic", lambda: next(ticks))
    before = len(list(dead.rglob("*")))
    assert remove_dead_folders(dead.parent, seconds=20) == []
    left = len(list(dead.rglob("*")))
    assert 0 < left < before
    assert find_dead_folders(dead.parent) == [dead]  # its owner's file goes last
    assert remove_dead_folders(dead.parent, seconds=0) == []
    assert len(list(dead.rglob("*"))) == left
    assert remove_dead_folders(dead.parent) == [dead]
