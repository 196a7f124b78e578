"""What an output folder promises, how failures are told, and that the answer has the same bits for any workers."""

from __future__ import annotations

import hashlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import mapreduce as mr
from mapreduce.storage.job_folder import JobFolder

DATA = Path(__file__).resolve().parents[1] / "data"


class Words(mr.Job):
    """Word count."""

    reduce = mr.Sum()

    def map(self, line: str) -> Iterator[tuple[str, int]]:
        for word in line.split():
            yield word, 1


class Letters(mr.Job):
    """Another job."""

    reduce = mr.Sum()

    def map(self, line: str) -> Iterator[tuple[str, int]]:
        yield from ((letter, 1) for letter in line)


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "in.txt"
    path.write_text("a b a\nc a\n")
    return path


def folder_hash(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.glob("part-*")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def test_output_folder(text: Path, tmp_path: Path) -> None:
    result = mr.run(Words(), mr.read_text(text), output=tmp_path / "new" / "out", engine="inline")
    out = tmp_path / "new" / "out"
    assert result.output == out
    assert sorted(path.name for path in out.iterdir()) == [
        "_SUCCESS",
        "_events.jsonl",
        "_manifest.json",
        "part-00000.tsv",
    ]
    assert (out / "part-00000.tsv").read_text() == "a\t3\nb\t1\nc\t1\n"
    manifest = json.loads((out / "_manifest.json").read_text())
    assert manifest["inputs"][0]["path"] == str(text)
    assert manifest["inputs"][0]["bytes"] == 10
    assert len(manifest["inputs"][0]["xxh3_128"]) == 32
    assert manifest["job"]["name"] == "Words"
    assert manifest["records_in"] == 2
    assert manifest["records_out"] == 3
    assert [stage["name"] for stage in manifest["timings"]["stages"]] == ["map", "reduce"]


def test_same_job_on_same_input_is_already_complete(text: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert not mr.run(Words(), mr.read_text(text), output=out, engine="inline").already_complete
    before = (out / "_manifest.json").stat().st_mtime_ns
    again = mr.run(Words(), mr.read_text(text), output=out, workers=2)
    assert again.already_complete
    assert dict(again.records()) == {"a": "3", "b": "1", "c": "1"}
    assert (out / "_manifest.json").stat().st_mtime_ns == before


def test_touched_input_is_the_same_input(text: Path, tmp_path: Path) -> None:
    mr.run(Words(), mr.read_text(text), output=tmp_path / "out", engine="inline")
    os.utime(text, (1, 1))
    assert mr.run(Words(), mr.read_text(text), output=tmp_path / "out", engine="inline").already_complete


def test_changed_input_is_refused(text: Path, tmp_path: Path) -> None:
    mr.run(Words(), mr.read_text(text), output=tmp_path / "out", engine="inline")
    text.write_text("x y x\nz x\n")
    with pytest.raises(mr.UsageError, match="the input has changed since.*--fresh"):
        mr.run(Words(), mr.read_text(text), output=tmp_path / "out", engine="inline")
    fresh = mr.run(Words(), mr.read_text(text), output=tmp_path / "out", engine="inline", fresh=True)
    assert dict(fresh.records()) == {"x": "3", "y": "1", "z": "1"}


@pytest.mark.parametrize("other", [{"job": Letters()}, {"reducers": 2}, {"output_format": "csv"}])
def test_another_jobs_output_is_refused(text: Path, tmp_path: Path, other: dict[str, Any]) -> None:
    mr.run(Words(), mr.read_text(text), output=tmp_path / "out", engine="inline")
    job = other.pop("job", Words())
    with pytest.raises(mr.UsageError, match="another job or other settings made it.*--fresh"):
        mr.run(job, mr.read_text(text), output=tmp_path / "out", engine="inline", **other)
    assert (tmp_path / "out" / "part-00000.tsv").read_text() == "a\t3\nb\t1\nc\t1\n"


def test_foreign_files_are_never_removed(text: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.tex").write_text("years of work")
    with pytest.raises(mr.UsageError, match="is not empty"):
        mr.run(Words(), mr.read_text(text), output=out, engine="inline")
    with pytest.raises(mr.UsageError, match=r"'thesis\.tex', which no job wrote"):
        mr.run(Words(), mr.read_text(text), output=out, engine="inline", fresh=True)
    assert (out / "thesis.tex").read_text() == "years of work"


def test_output_that_is_a_file(text: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    for fresh in (False, True):
        with pytest.raises(mr.UsageError, match="is a file; name a folder"):
            mr.run(Words(), mr.read_text(text), output=tmp_path / "out", engine="inline", fresh=fresh)


def test_two_runs_to_one_folder(text: Path, tmp_path: Path) -> None:
    other = JobFolder(tmp_path / "out")
    other.claim()
    try:
        with pytest.raises(mr.ResourceError, match=f"another run is writing.*pid {os.getpid()}"):
            mr.run(Words(), mr.read_text(text), output=tmp_path / "out", engine="inline")
    finally:
        other.release()
    assert dict(mr.run(Words(), mr.read_text(text), output=tmp_path / "out", engine="inline").records())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_output_without_permission(text: Path, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(mr.ResourceError, match="no permission"):
        mr.run(Words(), mr.read_text(text), output=tmp_path / "locked" / "out", engine="inline")


class Fails(mr.Job):
    """Raises at one record."""

    reduce = mr.Sum()

    def map(self, line: str) -> Iterator[tuple[str, int]]:
        yield line, len(line) // (0 if line == "bad" else 1)


@pytest.mark.parametrize("engine", ["inline", "local"])
def test_failure_names_record_and_place(tmp_path: Path, engine: Any) -> None:
    path = tmp_path / "in.txt"
    path.write_text("good\nbad\n" + "good\n" * 7)
    with pytest.raises(mr.JobError) as caught:
        mr.run(Fails(), mr.read_text(path), output=tmp_path / "out", engine=engine)
    message = str(caught.value)
    assert "failed 4 times" in message
    assert "ZeroDivisionError" in message
    assert f"{path}, byte 5" in message
    assert "'bad'" in message
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert not (tmp_path / "out" / "_SUCCESS").exists()


class FailsInReduce(mr.Job):
    """Raises at one key."""

    def map(self, line: str) -> Iterator[tuple[str, int]]:
        yield line, 1

    def reduce(self, key: str, values: Iterator[int]) -> int:
        if key == "b":
            raise LookupError("no b today")
        return sum(values)


def test_failure_in_reduce_names_the_key(tmp_path: Path) -> None:
    with pytest.raises(mr.JobError, match=r"no b today(.|\n)*'b'"):
        mr.run(FailsInReduce(), mr.from_records(["a", "b"]), engine="inline")


class NoPairs(mr.Job):
    """Yields what is no pair."""

    reduce = mr.Sum()

    def map(self, line: str) -> Iterator[Any]:
        yield line


@pytest.mark.parametrize("engine", ["inline", "local"])
def test_map_that_yields_no_pairs(engine: Any) -> None:
    with pytest.raises(mr.JobError, match=r"NoPairs\.map must yield \(key, value\) pairs"):
        mr.run(NoPairs(), mr.from_records(["one"]), engine=engine)


def test_what_is_no_job() -> None:
    dataset = mr.from_records([1])
    with pytest.raises(mr.UsageError, match=r"Words is a class; pass an instance: Words\(\)"):
        mr.run(Words, dataset)  # type: ignore[arg-type]
    with pytest.raises(mr.UsageError, match="is not a job"):
        mr.run(42, dataset)  # type: ignore[arg-type]
    with pytest.raises(mr.UsageError, match="lacks map"):
        mr.run(mr.Job(), dataset)
    with pytest.raises(mr.UsageError, match="no setting 'reducer'; did you mean 'reducers'"):
        mr.run(Words(), dataset, reducer=3)
    with pytest.raises(mr.UsageError, match="'12 parsecs' is not a size"):
        mr.run(Words(), dataset, split_size="12 parsecs")


class KillsOnce(mr.Job):
    """Its worker dies, once."""

    reduce = mr.Sum()

    def __init__(self, marker: str) -> None:
        self.marker = marker

    def map(self, number: int) -> Iterator[tuple[str, int]]:
        if number == 5 and not os.path.exists(self.marker):
            Path(self.marker).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        yield "n", number


def test_killed_worker_is_made_up_for(tmp_path: Path) -> None:
    result = mr.run(KillsOnce(str(tmp_path / "killed")), mr.from_records(range(20)), workers=2)
    assert dict(result.records()) == {"n": 190}
    assert len(result.failures) == 1
    assert "SIGKILL" in result.failures[0].failure.message


class Dies(mr.Job):
    """Its worker dies at one record, each time."""

    reduce = mr.Sum()

    def map(self, line: str) -> Iterator[tuple[str, int]]:
        if line == "bad":
            os._exit(7)
        yield line, 1


def test_a_task_whose_workers_die_names_its_input(tmp_path: Path) -> None:
    path = tmp_path / "in.txt"
    path.write_text("good\nbad\n")
    with pytest.raises(mr.LostWorkerError) as caught:
        mr.run(Dies(), mr.read_text(path), workers=1, max_attempts=2)
    message = str(caught.value)
    assert "map 1 failed 2 times" in message
    assert "ended with exit code 7" in message
    assert f"at {path}, bytes 4 to 9" in message


@pytest.mark.parametrize("split_size", [None, 100_000])
def test_same_bytes_for_any_workers(tmp_path: Path, split_size: int | None) -> None:
    hashes = set()
    for workers in (1, 2, 3, 7):
        out = tmp_path / str(workers)
        mr.run(Words(), mr.read_text(DATA / "*.txt"), output=out, workers=workers, reducers=3, split_size=split_size)
        hashes.add(folder_hash(out))
    out = tmp_path / "inline"
    mr.run(Words(), mr.read_text(DATA / "*.txt"), output=out, engine="inline", reducers=3, split_size=split_size)
    assert hashes == {folder_hash(out)}


def test_result_without_output_is_temporary(text: Path) -> None:
    result = mr.run(Words(), mr.read_text(text), engine="inline")
    (folder,) = {part.parent for part in result.part_files()}
    assert list(result.records()) == [("a", 3), ("b", 1), ("c", 1)]
    result.close()
    assert not folder.exists()


class Top(mr.Chain):
    """The most frequent word: two jobs."""

    def jobs(self) -> list[Any]:
        return [Words(), Best()]


class Best(mr.Job):
    """The pair with the greatest count."""

    reduce = mr.TopK(1, by=lambda pair: pair[1])

    def map(self, pair: tuple[str, int]) -> Iterator[tuple[None, tuple[str, int]]]:
        yield None, pair


def test_chain(text: Path, tmp_path: Path) -> None:
    assert list(mr.run(Top(), mr.read_text(text), engine="inline").records()) == [(None, [("a", 3)])]
    first = mr.run(Top(), mr.read_text(text), output=tmp_path / "out", engine="inline")
    assert not first.already_complete
    assert mr.run(Top(), mr.read_text(text), output=tmp_path / "out", engine="inline").already_complete
    manifest = json.loads((tmp_path / "out" / "_manifest.json").read_text())
    assert manifest["job"]["name"] == "Top"
    assert manifest["inputs"][0]["path"] == str(text)


def test_unfinished_job_leaves_its_journal(text: Path, tmp_path: Path) -> None:
    from mapreduce.tracker.events import AttemptFailed, AttemptFinished
    from mapreduce.tracker.journal import read_journal

    lines = tmp_path / "lines.txt"
    lines.write_text("good\n" * 8 + "bad\n")
    with pytest.raises(mr.JobError):
        mr.run(Fails(), mr.read_text(lines), output=tmp_path / "out", engine="inline")
    journal = read_journal((tmp_path / "out" / "_job" / "journal").read_bytes())
    assert journal.fingerprint
    assert not journal.damaged
    finished = [event.attempt.task.index for event in journal.events if isinstance(event, AttemptFinished)]
    assert finished == [0]
    assert not any(isinstance(event, AttemptFailed) for event in journal.events)
    lines.write_text("good\n" * 9)
    result = mr.run(Fails(), mr.read_text(lines), output=tmp_path / "out", engine="inline")
    assert dict(result.records()) == {"good": "36"}
    assert not (tmp_path / "out" / "_job").exists()
