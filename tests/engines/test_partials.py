"""Is the partial of each split there once, and is what is known not read?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import mapreduce as mr

KINDS = ("inline", "local")


class Lines(mr.Fold):
    """Lists its lines: so order and repetition show."""

    def map(self, block: Any) -> list[str]:
        return list(block.records())

    def reduce(self, a: list[str], b: list[str]) -> list[str]:
        return a + b


def write(path: Path, first: int, last: int) -> Path:
    path.write_text("".join(f"line {number:03}\n" for number in range(first, last)))
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_each_split_has_its_own_partial(kind: Any, tmp_path: Path) -> None:
    write(tmp_path / "a.txt", 0, 40)
    write(tmp_path / "b.txt", 40, 90)
    dataset = mr.read_text(tmp_path)
    with mr.Engine(kind, workers=2) as engine:
        found = engine.partials(Lines(), dataset, split_size="100B", block_size="30B")
        whole = engine.run(Lines(), dataset).value
    assert len(found) > 5
    assert [line for each in found for line in each.partial] == whole
    for each in found:
        cells = Path(each.path).read_bytes()[each.start : each.end].decode().split("\n")
        assert each.partial[-2] in cells  # a record belongs to the split in which it begins
    assert len({each.content for each in found}) == len(found)


def test_what_is_known_is_not_read(tmp_path: Path) -> None:
    write(tmp_path / "a.txt", 0, 40)
    dataset = mr.read_text(tmp_path)
    with mr.Engine("inline") as engine:
        found = engine.partials(Lines(), dataset, split_size="100B")
        known = {each.content for each in found[1:]}
        again = engine.partials(Lines(), dataset, known=known, split_size="100B")
        none = engine.partials(Lines(), dataset, known={each.content for each in found}, split_size="100B")
    assert [each.content for each in again] == [each.content for each in found]
    assert again[0].partial == found[0].partial
    assert all(each.partial is None for each in again[1:])
    assert all(each.partial is None for each in none)


def test_what_is_appended_makes_new_splits_and_changes_one_at_most(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", 0, 100)
    with mr.Engine("inline") as engine:
        before = engine.partials(Lines(), mr.read_text(path), split_size="100B")
        write(path, 0, 130)
        after = engine.partials(Lines(), mr.read_text(path), split_size="100B")
    same = [b.content == a.content for b, a in zip(before, after, strict=False)]
    assert len(after) > len(before)
    assert same.count(False) <= 1
    assert [line for each in after for line in each.partial] == [f"line {number:03}" for number in range(130)]


def test_a_renamed_file_holds_what_it_held(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", 0, 100)
    with mr.Engine("inline") as engine:
        before = engine.partials(Lines(), mr.read_text(path), split_size="100B")
        path.rename(tmp_path / "b.txt")
        after = engine.partials(Lines(), mr.read_text(tmp_path / "b.txt"), split_size="100B")
    assert [each.content for each in after] == [each.content for each in before]


def test_empty_input_has_no_partials(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("")
    with mr.Engine("inline") as engine:
        assert [each.partial for each in engine.partials(Lines(), mr.read_text(tmp_path))] in ([], [None])


def test_arrays_have_contents_too() -> None:
    class Rows(mr.Fold):
        def map(self, block: Any) -> int:
            return len(block)

        def reduce(self, a: int, b: int) -> int:
            return a + b

    with mr.Engine("inline") as engine:
        one = engine.partials(Rows(), mr.from_arrays([[1.0], [2.0]]))
        other = engine.partials(Rows(), mr.from_arrays([[1.0], [3.0]]))
    assert sum(each.partial for each in one) == 2
    assert {each.content for each in one}.isdisjoint(each.content for each in other)


def test_a_union_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.txt", 0, 2)
    both = mr.union(mr.read_text(tmp_path), mr.read_text(tmp_path))
    with mr.Engine("inline") as engine, pytest.raises(mr.UsageError, match="one by one"):
        engine.partials(Lines(), both)
