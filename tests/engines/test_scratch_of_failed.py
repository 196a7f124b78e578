"""What do agents keep of a job that failed or was stopped? What a later run can go on with, and nothing else."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import mapreduce as mr
from mapreduce.tracker.observer import Observer
from mapreduce.wire.keys import default_key_path, make_key, write_key
from tests.engines.lived import HandAgents, hand_agents, make_lines, wait_until


@pytest.fixture
def agents() -> Iterator[HandAgents]:
    if not default_key_path().exists():
        write_key(default_key_path(), make_key())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with hand_agents(port) as made:
        yield made


class Fails(mr.Job):
    """In the map, or when all maps are done."""

    def __init__(self, in_map: bool) -> None:
        self.in_map = in_map

    def map(self, line: str) -> Iterator[tuple[str, int]]:
        if self.in_map:
            raise ValueError("no")
        yield line, 1

    def reduce(self, key: str, values: Iterator[int]) -> int:
        raise ValueError("no")


class Interrupts(Observer):
    """As Ctrl-C in the midst of a job would."""

    def handled(self, event: Any, commands: Any) -> None:
        if type(event).__name__ == "AttemptFinished":
            raise KeyboardInterrupt


def test_a_failed_job_leaves_what_can_be_gone_on_with(agents: HandAgents, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    agents.begin("a", "--scratch", str(scratch))
    dataset = mr.read_text(make_lines(tmp_path))

    def folders() -> list[str]:
        return [entry.name for entry in scratch.iterdir() if (entry / "_job").exists()]

    with mr.Engine("cluster", listen=agents.address) as engine:

        def run(job: mr.Job, error: type[BaseException], **more: Any) -> None:
            with pytest.raises(error):
                engine.run(job, dataset, max_attempts=1, split_size=500, reducers=2, **more)

        run(Fails(in_map=True), mr.JobError)
        wait_until(lambda: not folders(), "its scratch is empty")
        run(Fails(in_map=False), mr.JobError)
        wait_until(lambda: not folders(), "its scratch is empty")
        run(Fails(in_map=True), mr.JobError, output=tmp_path / "nothing")
        wait_until(lambda: not folders(), "its scratch is empty")
        run(Fails(in_map=False), mr.JobError, output=tmp_path / "maps")
        assert len(folders()) == 1  # the same command goes on with the maps
        (kept,) = folders()
        run(Fails(in_map=False), KeyboardInterrupt, observer=Interrupts())
        wait_until(lambda: folders() == [kept], "its scratch is empty but for that")
        assert engine._cluster is not None
        shared = engine._cluster._data.folders
        assert not shared._folders and not shared._single  # and nothing is offered any more


class FailsOnce(mr.Job):
    """In its reduce, until there is a file."""

    def __init__(self, mark: str) -> None:
        self.mark = mark

    def map(self, line: str) -> Iterator[tuple[str, int]]:
        yield line, 1

    def reduce(self, key: str, values: Iterator[int]) -> int:
        if not Path(self.mark).exists():
            raise ValueError("not yet")
        return sum(values)


def test_the_same_engine_goes_on_with_a_failed_job(agents: HandAgents, tmp_path: Path) -> None:
    agents.begin("a")
    dataset, mark = mr.read_text(make_lines(tmp_path)), tmp_path / "mark"
    with mr.Engine("cluster", listen=agents.address) as engine:
        with pytest.raises(mr.JobError):
            engine.run(FailsOnce(str(mark)), dataset, output=tmp_path / "out", max_attempts=1, split_size=500)
        mark.touch()
        result = engine.run(FailsOnce(str(mark)), dataset, output=tmp_path / "out", max_attempts=1, split_size=500)
    assert result.notes[0].startswith("resumed: ") and " 0 of " not in result.notes[0]
    assert not result.failures
