"""What becomes of kept outputs when jobs stop in between, files are damaged, or the store is full or used by others?"""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import mapreduce as mr
from tests.incremental.desk import (
    BigFold,
    FloatSum,
    Listed,
    MapOnly,
    Words,
    bytes_of,
    desk_of,
    lines_of,
    write,
)


@pytest.mark.parametrize("changed", [False, True])
def test_a_job_that_failed_goes_on_with_what_it_had(changed: bool, texts: Path, tmp_path: Path) -> None:
    trouble, mapped = tmp_path / "trouble", tmp_path / "mapped"

    class Stumbles(mr.Job):
        reduce = mr.Sum()

        def map_block(self, block: Any) -> Any:
            lines = list(block.records())
            if os.path.exists(trouble) and lines[0] == first:
                raise ValueError("no luck")
            with open(mapped, "a") as file:
                file.write("mapped\n")
            return lines, [1] * len(lines)

    first = (texts / "3.txt").read_text().splitlines()[0]
    trouble.write_text("")

    def run() -> mr.Result:
        return mr.run(Stumbles(), lines_of(texts), output=tmp_path / "out", engine="inline", incremental=True)

    with pytest.raises(mr.JobError):
        mr.run(Stumbles(), lines_of(texts), output=tmp_path / "out", engine="inline", incremental=True, max_attempts=1)
    before = mapped.read_text().count("mapped")
    assert before >= 3
    trouble.unlink()
    if changed:
        write(texts / "5.txt", seed=5)
    result = run()
    assert mapped.read_text().count("mapped") == (6 if changed else 5)
    assert result.reused_splits == (before if changed else 0)  # the others were finished before
    assert len(dict(result.records())) > 100


def test_faults_on_purpose_do_no_harm(texts: Path, tmp_path: Path) -> None:
    expected = sorted(mr.run(Words(), lines_of(texts), engine="inline").records())
    with mr.Engine(workers=2) as engine:
        for seed in range(3):
            chaos = f"{seed}:corrupt=0.3,kill=0.1"
            assert sorted(engine.run(Words(), lines_of(texts), incremental=True, chaos=chaos).records()) == expected
        assert sorted(engine.run(Words(), lines_of(texts), incremental=True).records()) == expected


def entries(cache: Path) -> list[Path]:
    return sorted((cache / "kept" / "outputs").glob("*/*"))


def data_files(cache: Path) -> list[Path]:
    return [path for entry in entries(cache) for path in sorted(entry.iterdir()) if path.name != "entry"]


DAMAGES: dict[str, Callable[[Path], object]] = {
    "flipped": lambda path: path.write_bytes(bytes(byte ^ 0x40 for byte in path.read_bytes())),
    "shorter": lambda path: os.truncate(path, path.stat().st_size - 3),
    "empty": lambda path: os.truncate(path, 0),
    "gone": lambda path: path.unlink(),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("job", [Words(), MapOnly(), BigFold()], ids=lambda job: type(job).__name__)
def test_damaged_files_are_made_again(job: Any, damage: str, texts: Path, tmp_path: Path, cache: Path) -> None:
    desk = desk_of(tmp_path, texts, job)
    desk.run()
    for path in data_files(cache)[:2]:
        DAMAGES[damage](path)
    write(texts / "5.txt", seed=5)
    result = desk.run()
    assert int(result.notes[0].split()[1]) <= 4
    write(texts / "6.txt", seed=6)
    assert desk.reused() == "reused 6 of 7 splits"  # what was damaged has been kept anew


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_entries_are_made_again(damage: str, texts: Path, tmp_path: Path, cache: Path) -> None:
    desk = desk_of(tmp_path, texts, FloatSum())
    desk.run()
    for entry in entries(cache):
        DAMAGES[damage](entry / "entry")
    write(texts / "5.txt", seed=5)
    assert desk.reused() == "reused 0 of 6 splits"


def test_the_users_output_shares_no_file_with_the_next(texts: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        mr.run(MapOnly(), lines_of(texts), engine="inline", incremental=True, output=tmp_path / name)
    with open(tmp_path / "a" / "part-00000.tsv", "r+b") as file:
        file.write(b"written over")
    assert not (tmp_path / "b" / "part-00000.tsv").read_bytes().startswith(b"written over")
    result = mr.run(MapOnly(), lines_of(texts), engine="inline", incremental=True, output=tmp_path / "c")
    assert bytes_of(tmp_path / "c") == bytes_of(tmp_path / "b")
    assert result.notes == ["reused 4 of 5 splits"]


def test_the_bound_is_kept(texts: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAPREDUCE_KEPT_SIZE", "5KB")
    for seed in range(4):
        write(texts / "0.txt", seed=100 + seed)
        mr.run(Listed(), lines_of(texts), engine="inline", incremental=True)
        assert sum(path.stat().st_size for path in cache.rglob("*") if path.is_file()) <= 5000
    assert entries(cache)


def test_a_store_that_cannot_be_written_fails_no_job(texts: Path, tmp_path: Path, cache: Path) -> None:
    cache.write_text("a file where a folder should be")
    result = mr.run(Words(), lines_of(texts), engine="inline", incremental=True)
    assert result.notes == ["reused 0 of 5 splits"]


def test_a_file_that_changes_under_the_job_is_not_kept(texts: Path, cache: Path) -> None:
    class Rewrites(mr.Job):
        reduce = mr.Sum()

        def map(self, line: str) -> Iterator[tuple[str, int]]:
            path = texts / "4.txt"
            status = path.stat()
            path.write_text(path.read_text().replace("w", "v"))
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))  # even where the time does not tell
            yield line, 1

    mr.run(Rewrites(), lines_of(texts), engine="inline", incremental=True)
    assert len(entries(cache)) == 4


def test_runs_at_the_same_time(texts: Path, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They share a store that is so small that each removes what the others use."""
    import subprocess
    import sys

    program = textwrap.dedent(
        """
        import sys
        import mapreduce as mr
        from tests.incremental.desk import Words, lines_of
        for _ in range(4):
            result = mr.run(Words(), lines_of(sys.argv[1]), engine="inline", incremental=True)
            print(sorted(result.records()))
        """
    )
    monkeypatch.setenv("MAPREDUCE_KEPT_SIZE", "6KB")
    root = str(Path(__file__).parents[2])
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", program, texts],
            env={**os.environ, "PYTHONPATH": root},
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )
        for _ in range(3)
    ]
    printed = {line for run in runs for line in run.communicate(timeout=50)[0].splitlines()}
    assert [run.returncode for run in runs] == [0, 0, 0]
    expected = mr.run(Words(), lines_of(texts), engine="inline", incremental=True)
    assert printed == {str(sorted(expected.records()))}
