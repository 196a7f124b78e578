"""Map outputs of earlier runs on a cluster: they lie with the tracker, and hosts read them there."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mapreduce as mr
from mapreduce.engines.incremental import NOBODY
from mapreduce.tracker.commands import Command
from mapreduce.tracker.events import AttemptFinished, Event
from mapreduce.tracker.observer import Observer
from tests.engines.lived import Words, make_lines
from tests.faults.killed_runs import hash_of

FILES = 4


class Split(mr.Job):
    """Has no reduce."""

    reduce = None

    def map(self, line: str) -> Iterator[tuple[str, int]]:
        yield line, len(line)


class Vectors(mr.Fold):
    """Its partials are files."""

    def map(self, block: Any) -> Any:
        return np.full(20_000, sum(len(line) / 3 for line in block.records()))

    def reduce(self, a: Any, b: Any) -> Any:
        return a + b


class Mapped(Observer):
    """Counts map tasks that were run."""

    def __init__(self) -> None:
        self.tasks: set[int] = set()

    def handled(self, event: Event, commands: Sequence[Command]) -> None:
        if isinstance(event, AttemptFinished) and event.attempt.task.stage == 0 and event.worker != NOBODY:
            self.tasks.add(event.attempt.task.index)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MAPREDUCE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def cluster() -> Iterator[mr.Engine]:
    with mr.Engine("cluster", hosts="localhost:1,localhost:1") as engine:
        yield engine


def write(folder: Path, number: int, word: str) -> None:
    (folder / f"{number}.txt").write_text("".join(f"{word}{row % 7} {row}\n" for row in range(50)))


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    folder = tmp_path / "texts"
    folder.mkdir()
    for number in range(FILES):
        write(folder, number, "abcd"[number])
    return folder


def run(engine: mr.Engine, job: Any, texts: Path, output: Path) -> int:
    """Run it and compare with a fresh run in one process; how many map tasks ran."""
    mapped = Mapped()
    engine.run(job, mr.read_text(texts), output=output, incremental=True, reducers=2, observer=mapped)
    fresh = output.with_name(f"fresh-{len(list(output.parent.iterdir()))}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAPREDUCE_CACHE", str(fresh / "none"))
        mr.run(job, mr.read_text(texts), output=fresh / "out", engine="inline", incremental=True, reducers=2)
    assert hash_of(output) == hash_of(fresh / "out")
    return len(mapped.tasks)


@pytest.mark.parametrize("job", [Words(), Split(), Vectors()], ids=["words", "map only", "large partials"])
def test_only_what_changed_is_mapped_again(cluster: mr.Engine, job: Any, texts: Path, tmp_path: Path) -> None:
    assert run(cluster, job, texts, tmp_path / "out") == FILES
    write(texts, 2, "x")
    assert run(cluster, job, texts, tmp_path / "out") == 1
    write(texts, 7, "y")
    assert run(cluster, job, texts, tmp_path / "other") == 1  # all others are read from the tracker


def test_one_host_and_several_keep_for_each_other(cluster: mr.Engine, texts: Path, tmp_path: Path) -> None:
    with mr.Engine("inline") as inline:
        assert run(inline, Words(), texts, tmp_path / "first") == FILES
        write(texts, 2, "x")
        assert run(cluster, Words(), texts, tmp_path / "second") == 1
        write(texts, 2, "z")
        assert run(inline, Words(), texts, tmp_path / "third") == 1


def test_a_kept_output_that_is_damaged_is_made_again(
    cluster: mr.Engine, texts: Path, tmp_path: Path, cache: Path
) -> None:
    assert run(cluster, Words(), texts, tmp_path / "first") == FILES
    kept = sorted(path for path in cache.rglob("0") if path.is_file())
    with open(kept[0], "r+b") as file:
        file.seek(40)
        file.write(b"\xff\xff")
    assert run(cluster, Words(), texts, tmp_path / "second") == 1


def test_what_a_run_on_one_host_finished_is_gone_on_with_on_several(cluster: mr.Engine, tmp_path: Path) -> None:
    lines = make_lines(tmp_path)
    code = (
        "import os, signal, sys\n"
        "import mapreduce as mr\n"
        "from tests.engines.lived import Words\n"
        "from mapreduce.tracker.events import AttemptFinished\n"
        "from mapreduce.tracker.observer import Observer\n"
        "class Killer(Observer):\n"
        "    def handled(self, event, commands):\n"
        "        if isinstance(event, AttemptFinished) and event.attempt.task.stage == 1:\n"
        "            os.kill(os.getpid(), signal.SIGKILL)\n"
        f"mr.run(Words(), mr.read_text({str(lines)!r}), output=sys.argv[1], engine='inline', split_size=600,\n"
        "       reducers=3, observer=Killer())\n"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "out")], cwd=root, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    settings: dict[str, Any] = {"split_size": 600, "reducers": 3}
    result = cluster.run(Words(), mr.read_text(lines), output=tmp_path / "out", **settings)
    assert "resumed" in result.notes[0]
    mr.run(Words(), mr.read_text(lines), output=tmp_path / "expected", engine="inline", **settings)
    assert hash_of(tmp_path / "out") == hash_of(tmp_path / "expected")
    assert not result.failures
