"""Is the store of kept outputs bounded, whole, and safe to use by many?"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapreduce.errors import UsageError
from mapreduce.settings import GiB
from mapreduce.storage.kept_outputs import (
    MOST_BYTES,
    Kept,
    KeptFile,
    KeptOutputs,
    Use,
    choose_evicted,
    decode_entry,
    encode_entry,
    is_being_written,
    kept_folder,
    most_kept_bytes,
)

KEY = "3f" + 30 * "0"

uses = st.lists(st.builds(Use, st.uuids().map(lambda name: Path(str(name))), st.integers(0, 100), st.floats(0, 9)))
names = st.text(max_size=9)


@given(uses, st.integers(0, 1000))
def test_what_was_used_longest_ago_goes_and_no_more_than_must(uses: list[Use], most: int) -> None:
    evicted = choose_evicted(uses, most)
    left = [use for use in uses if use not in evicted]
    kept = sum(use.bytes for use in left)
    assert kept <= most or not left
    assert all(gone.used <= use.used for gone in evicted for use in left)
    if evicted:
        assert kept + evicted[-1].bytes > most


@given(names, st.lists(st.builds(KeptFile, names, st.integers(0, 1 << 50), names)))
def test_entries_are_read_as_written(facts: str, files: list[KeptFile]) -> None:
    data = encode_entry(facts, files)
    assert decode_entry(KEY, data) == Kept(KEY, facts, tuple(files))


@given(st.data())
def test_damage_in_an_entry_is_seen(data: st.DataObject) -> None:
    whole = encode_entry("facts", [KeptFile("part", 10, "00ff")])
    cut = data.draw(st.integers(0, len(whole) - 1))
    assert decode_entry(KEY, whole[:cut]) is None
    changed = bytearray(whole)
    changed[cut] ^= 1 << data.draw(st.integers(0, 7))
    assert decode_entry(KEY, bytes(changed)) is None


@pytest.fixture
def store(tmp_path: Path) -> KeptOutputs:
    return KeptOutputs(tmp_path / "kept")


@pytest.fixture
def output(tmp_path: Path) -> dict[str, Path]:
    """Two files by their names in an output."""
    files = {"part": tmp_path / "a", "named/part": tmp_path / "b"}
    for path in files.values():
        path.write_text(f"bytes of {path.name}")
    return files


def test_kept_and_taken(store: KeptOutputs, output: dict[str, Path], tmp_path: Path) -> None:
    assert store.find(KEY) is None
    assert store.keep(KEY, "facts", output, hashed=True) == 20
    assert store.keep(KEY, "other", output, hashed=True) == 0  # the first stays
    kept = store.find(KEY)
    assert kept is not None
    assert kept.facts == "facts"
    for copied in (True, False):
        target = tmp_path / f"copied-{copied}"
        assert store.take(kept, target, copied=copied)
        assert (target / "named" / "part").read_text() == "bytes of b"
        assert os.path.samefile(target / "part", output["part"]) is not copied
    assert [path.name for path in store.folder.iterdir()] == ["outputs"]


def test_taken_while_it_is_removed(store: KeptOutputs, output: dict[str, Path], tmp_path: Path) -> None:
    store.keep(KEY, "facts", output, hashed=True)
    kept = store.find(KEY)
    store.drop(KEY)
    store.drop(KEY)
    assert kept is not None
    assert not store.take(kept, tmp_path / "target", copied=False)
    assert store.find(KEY) is None


def test_a_copy_is_checked(store: KeptOutputs, output: dict[str, Path], tmp_path: Path) -> None:
    store.keep(KEY, "facts", output, hashed=True)
    kept = store.find(KEY)
    output["part"].write_text("BYTES of a")  # a link: the user wrote into the output
    assert kept is not None
    assert not store.take(kept, tmp_path / "target", copied=True)
    assert store.find(KEY) is None


def test_shrinks_to_the_bound_and_removes_remainders(store: KeptOutputs, output: dict[str, Path]) -> None:
    keys = [f"{number:032x}" for number in range(5)]
    for number, key in enumerate(keys):
        store.keep(key, "facts", output, hashed=False)
        entry = store.folder / "outputs" / key[:2] / key / "entry"
        os.utime(entry, (number, number))
    size = next(iter(store.uses())).bytes
    dead, alive = store.folder / ".new-999999999-x", store.folder / f".new-{os.getpid()}-y"
    dead.mkdir()
    alive.mkdir()
    store.find(keys[0])  # used just now
    assert store.shrink(2 * size, now=alive.stat().st_mtime) == 3 * size
    assert [key for key in keys if store.find(key)] == [keys[0], keys[4]]
    assert not dead.exists()
    assert alive.exists()
    assert not is_being_written(alive, now=alive.stat().st_mtime + 100_000)


def test_where_and_how_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MAPREDUCE_CACHE", raising=False)
    monkeypatch.delenv("MAPREDUCE_KEPT_SIZE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert kept_folder() == Path("/x/mapreduce/kept")
    monkeypatch.setenv("MAPREDUCE_CACHE", "/y")
    assert kept_folder() == Path("/y/kept")
    assert 0 < most_kept_bytes(tmp_path / "not" / "there") <= MOST_BYTES
    monkeypatch.setenv("MAPREDUCE_KEPT_SIZE", "3GiB")
    assert most_kept_bytes(tmp_path) == 3 * GiB
    monkeypatch.setenv("MAPREDUCE_KEPT_SIZE", "much")
    with pytest.raises(UsageError, match="MAPREDUCE_KEPT_SIZE: 'much' is not a size"):
        most_kept_bytes(tmp_path)
