"""Is an output that reuses work of earlier runs the one of a fresh run, and is no more mapped than has changed?"""

from __future__ import annotations

import os
import random
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import mapreduce as mr
from tests.incremental.desk import (
    JOBS,
    Desk,
    FloatSum,
    Listed,
    MapOnly,
    Words,
    bytes_of,
    desk_of,
    lines_of,
    write,
)


@pytest.mark.parametrize("job", JOBS, ids=lambda job: type(job).__name__)
def test_files_added_changed_removed_renamed(job: Any, texts: Path, tmp_path: Path) -> None:
    desk = desk_of(tmp_path, texts, job)
    assert desk.reused() == "reused 0 of 5 splits"
    assert desk.reused() == "nothing ran"
    write(texts / "5.txt", seed=5)
    assert desk.reused() == "reused 5 of 6 splits"
    write(texts / "2.txt", seed=22)
    assert desk.reused() == "reused 5 of 6 splits"
    (texts / "1.txt").unlink()
    assert desk.reused() == "reused 5 of 5 splits"
    (texts / "0.txt").rename(texts / "9.txt")
    assert desk.reused() == "reused 5 of 5 splits"
    (texts / "9.txt").rename(texts / "0.txt")
    write(texts / "2.txt", seed=2)  # what it held at first
    assert desk.reused() == "reused 5 of 5 splits"


@pytest.mark.parametrize("job", [Words(), FloatSum(), MapOnly()], ids=lambda job: type(job).__name__)
def test_appending_keeps_the_splits_before(job: Any, tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    write(log, seed=0, lines=1000)
    desk = Desk(tmp_path, job, lambda: mr.read_text(str(log)), split_size=1000)
    splits = -(-log.stat().st_size // 1000)
    assert desk.reused() == f"reused 0 of {splits} splits"
    with open(log, "a") as file:
        file.write("one more line\n")
    assert desk.reused() == f"reused {splits - 1} of {splits} splits"
    log.write_text("a line in front\n" + log.read_text())
    assert desk.reused().startswith("reused 0 of ")


def test_without_a_split_size_growth_moves_no_cut(tmp_path: Path) -> None:
    mebibyte = 1 << 20
    log = tmp_path / "app.log"
    log.write_bytes(b"0123456789abcde\n" * (3 * mebibyte // 16))
    dataset = mr.read_text(str(log))
    before = dataset.plan(lasting=True).splits
    log.write_bytes(b"0123456789abcde\n" * (40 * mebibyte // 16))
    after = dataset.plan(lasting=True).splits
    assert [split.extent for split in before] == [split.extent for split in after[:3]]
    assert [split.extent.bytes // mebibyte for split in after] == 16 * [1] + 8 * [2] + 2 * [4]


def test_sorted_output_in_one_part(texts: Path, tmp_path: Path) -> None:
    desk = desk_of(tmp_path, texts, Words(), sort=True, reducers=1)
    assert desk.reused() == "reused 0 of 5 splits"
    write(texts / "5.txt", seed=5)
    assert desk.reused() == "reused 5 of 6 splits"


def test_sorted_output_in_parts_says_why_nothing_is_reused(texts: Path) -> None:
    for _ in range(2):
        result = mr.run(Words(), lines_of(texts), engine="inline", incremental=True, sort=True, reducers=3)
        assert result.notes[0].startswith("reused nothing: ")


def test_several_parts(texts: Path, tmp_path: Path) -> None:
    desk = desk_of(tmp_path, texts, Listed(), reducers=3)
    desk.run()
    write(texts / "2.txt", seed=22)
    assert desk.reused() == "reused 4 of 5 splits"


def test_as_a_plain_run_where_the_cuts_agree(texts: Path, tmp_path: Path) -> None:
    for number in range(2):
        write(texts / "0.txt", seed=number)
        mr.run(Words(), lines_of(texts), engine="inline", incremental=True, output=tmp_path / "kept")
    mr.run(Words(), lines_of(texts), engine="inline", reducers=1, output=tmp_path / "plain")
    assert bytes_of(tmp_path / "kept") == bytes_of(tmp_path / "plain")


def test_a_chain_reuses_in_each_link(texts: Path, tmp_path: Path) -> None:
    mapped = tmp_path / "mapped"

    class Counted(mr.Job):
        reduce = mr.Sum()

        def map(self, line: str) -> Iterator[tuple[str, int]]:
            with open(mapped, "a") as file:
                file.write("1")
            for word in line.split():
                yield word, 1

    class Longest(mr.Job):
        reduce = mr.Max()

        def map(self, pair: Any) -> Iterator[tuple[int, int]]:
            with open(mapped, "a") as file:
                file.write("2")
            yield len(pair[0]), pair[1]

    class Both(mr.Chain):
        def jobs(self) -> list[Any]:
            return [Counted(), Longest()]

    def maps() -> tuple[int, int]:
        """How often the map of each link is called by a run that has no output of an earlier one, but what was kept."""
        mapped.write_text("")
        mr.run(Both(), lines_of(texts), engine="inline", incremental=True)
        told = mapped.read_text()
        return told.count("1"), told.count("2")

    lines, words = maps()
    assert (lines, words) == (5 * 60, len({word for path in texts.iterdir() for word in path.read_text().split()}))
    assert maps() == (0, 0)
    write(texts / "5.txt", seed=5)
    assert maps()[0] == 60
    desk = desk_of(tmp_path, texts, Both())
    desk.run()
    write(texts / "6.txt", seed=6)
    desk.run()


@pytest.mark.parametrize(
    "change",
    [{"reducers": 2}, {"block_size": 512}, {"memory": "300MB"}, {"split_size": 100}],
    ids=lambda change: next(iter(change)),
)
def test_another_setting_reuses_nothing(change: dict[str, Any], texts: Path) -> None:
    mr.run(Words(), lines_of(texts), engine="inline", incremental=True)
    result = mr.run(Words(), lines_of(texts), engine="inline", incremental=True, **change)
    assert result.notes[0].startswith("reused 0 of")


def test_fresh_reuses_nothing_and_keeps_anew(texts: Path) -> None:
    for fresh, expected in ((False, 0), (True, 0), (False, 5)):
        result = mr.run(Words(), lines_of(texts), engine="inline", incremental=True, fresh=fresh)
        assert result.notes == [f"reused {expected} of 5 splits"]


def test_plain_runs_keep_nothing(texts: Path, cache: Path) -> None:
    mr.run(Words(), lines_of(texts), engine="inline")
    assert not cache.exists()


def test_another_jobs_output_is_refused(texts: Path, tmp_path: Path) -> None:
    mr.run(Words(), lines_of(texts), engine="inline", incremental=True, output=tmp_path / "output")
    write(texts / "1.txt", seed=11)
    with pytest.raises(mr.UsageError, match="another job or other settings made it"):
        mr.run(Listed(), lines_of(texts), engine="inline", incremental=True, output=tmp_path / "output")
    with pytest.raises(mr.UsageError, match="another job or other settings made it"):
        mr.run(Words(), lines_of(texts), engine="inline", output=tmp_path / "output")


def test_on_workers_and_without_links(texts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: Any, target: Any) -> None:
        raise OSError(18, "Invalid cross-device link")

    with mr.Engine(workers=2) as engine:
        first = sorted(engine.run(Words(), lines_of(texts), incremental=True).records())
        monkeypatch.setattr("os.link", refuse)
        for job in (Words(), MapOnly(), FloatSum()):
            engine.run(job, lines_of(texts), incremental=True)
            again = engine.run(job, lines_of(texts), incremental=True)
            assert again.notes == ["reused 5 of 5 splits"]
        assert sorted(engine.run(Words(), lines_of(texts), incremental=True).records()) == first


SCRIPT = """
    import sys
    import mapreduce as mr
    from helper import normal

    STOP = {"x1", "x2", "x3"}
    SUFFIX = sys.argv[2]

    class Count(mr.Job):
        reduce = mr.Sum()

        def __init__(self, path="words.txt"):
            self.path = path

        def map(self, line):
            for word in line.split():
                if word not in STOP:
                    yield normal(word) + SUFFIX, 1

    result = mr.run(Count(), mr.read_text(sys.argv[1]), engine="inline", incremental=True)
    print(result.notes[0])
"""


def test_what_a_script_uses_is_part_of_the_key(texts: Path, tmp_path: Path) -> None:
    """Its text, the modules that it imports, the globals that it computes, the files that its settings name."""
    import subprocess
    import sys

    script, helper, listed = tmp_path / "script.py", tmp_path / "helper.py", tmp_path / "words.txt"
    script.write_text(textwrap.dedent(SCRIPT))
    helper.write_text("def normal(word):\n    return word.lower()\n")
    listed.write_text("a\n")

    def run(suffix: str = "") -> str:
        root = str(Path(__file__).parents[2])
        done = subprocess.run(
            [sys.executable, script, texts, suffix],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": root},
            capture_output=True,
            encoding="utf-8",
            check=True,
            timeout=50,
        )
        return done.stdout.split()[1]

    assert [run(), run()] == ["0", "5"]  # though sets of strings have another order in each process
    assert [run("s"), run("s"), run()] == ["0", "5", "5"]
    helper.write_text("def normal(word):\n    return word.upper()\n")
    assert [run(), run()] == ["0", "5"]
    listed.write_text("b\n")
    assert run() == "0"
    script.write_text(script.read_text() + "# a comment\n")
    assert run() == "0"


@pytest.mark.parametrize("seed", range(4))
def test_random_edits(seed: int, texts: Path, tmp_path: Path) -> None:
    generator = random.Random(seed)
    job = [Words(), MapOnly(), FloatSum(), Listed()][seed]
    desk = desk_of(tmp_path, texts, job, split_size=200, reducers=2)
    for _ in range(5):
        files = sorted(texts.iterdir())
        path = generator.choice(files)
        match generator.choice(["add", "append", "change", "remove", "rename", "swap"]):
            case "add":
                write(texts / f"{generator.randrange(100)}.txt", seed=generator.randrange(100))
            case "append":
                path.write_text(path.read_text().rstrip("\n") + generator.choice(["y", "\ny", "\ny\n"]))
            case "change":
                data = bytearray(path.read_bytes())
                data[generator.randrange(len(data))] = generator.choice(b"a7\n")
                path.write_bytes(data)
            case "remove" if len(files) > 1:
                path.unlink()
            case "rename":
                path.rename(texts / f"{generator.randrange(100, 200)}.txt")
            case _:
                other = generator.choice(files)
                first, second = path.read_bytes(), other.read_bytes()
                path.write_bytes(second)
                other.write_bytes(first)
        desk.run()
