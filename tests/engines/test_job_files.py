"""Does a job find the files that go with it, on every engine?"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import mapreduce as mr
from mapreduce.dataflow.job_files import find_job_files, keep_here
from mapreduce.errors import ResourceError, UsageError


class Weighed(mr.Job):
    """Words with the weights of a file."""

    reduce = mr.Sum()

    def setup(self) -> None:
        folder = Path(os.environ["MAPREDUCE_FILES"])
        self.weights = dict(line.split() for line in (folder / "weights.txt").read_text().splitlines())
        self.more = (folder / "lists" / "stop.txt").read_text().split()

    def map(self, line: str) -> Iterator[tuple[str, int]]:
        for word in line.split():
            if word not in self.more:
                yield word, int(self.weights[word])


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "stop.txt").write_text("the\n")
    (tmp_path / "weights.txt").write_text("a 1\nb 10\n")
    (tmp_path / "in.txt").write_text("the a b\nb the\n")
    return [str(tmp_path / "weights.txt"), str(tmp_path / "lists")]


@pytest.mark.parametrize("engine", ["inline", "local", "cluster"])
def test_a_job_opens_files_that_go_with_it(tmp_path: Path, files: list[str], engine: str) -> None:
    more = {"hosts": "localhost:2"} if engine == "cluster" else {}
    with mr.Engine(engine, **more) as made:  # type: ignore[arg-type]
        result = made.run(Weighed(), mr.read_text(tmp_path / "in.txt"), files=files)
        assert dict(result.records()) == {"a": 1, "b": 20}
        result.close()
        (tmp_path / "weights.txt").write_text("a 2\nb 30\n")
        result = made.run(Weighed(), mr.read_text(tmp_path / "in.txt"), files=files)
        assert dict(result.records()) == {"a": 2, "b": 60}
        result.close()
    assert "MAPREDUCE_FILES" not in os.environ


def test_an_output_is_another_one_if_a_file_changed(tmp_path: Path, files: list[str]) -> None:
    dataset = mr.read_text(tmp_path / "in.txt")
    mr.run(Weighed(), dataset, output=tmp_path / "out", engine="inline", files=files)
    assert mr.run(Weighed(), dataset, output=tmp_path / "out", engine="inline", files=files).already_complete
    assert not (tmp_path / "out" / "_job").exists()
    (tmp_path / "weights.txt").write_text("a 2\nb 30\n")
    with pytest.raises(UsageError, match="other settings made it"):
        mr.run(Weighed(), dataset, output=tmp_path / "out", engine="inline", files=files)


def test_two_files_of_one_name_and_one_that_is_missing(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "f").write_text(folder)
    with pytest.raises(UsageError, match="would both be called f"):
        find_job_files([str(tmp_path / "x" / "f"), str(tmp_path / "y" / "f")])
    with pytest.raises(UsageError, match="--files: .*no such file"):
        find_job_files([str(tmp_path / "z")])


def test_a_host_fetches_a_file_once_and_checks_it(tmp_path: Path) -> None:
    path = tmp_path / "big"
    path.write_bytes(os.urandom(3_000_000))
    (file,) = find_job_files([str(path)])
    reads: list[int] = []

    def read(_: object, offset: int, size: int) -> bytes:
        reads.append(size)
        return path.read_bytes()[offset : offset + size]

    keep_here([file], tmp_path / "kept", read)
    assert (tmp_path / "kept" / file.digest).read_bytes() == path.read_bytes()
    keep_here([file], tmp_path / "kept", read)
    assert sum(reads) == 3_000_000
    path.write_bytes(os.urandom(3_000_000))
    with pytest.raises(ResourceError, match="has changed since the job began"):
        keep_here([file], tmp_path / "other", read)
    assert [entry.name for entry in (tmp_path / "other").iterdir()] == ["lock"]
