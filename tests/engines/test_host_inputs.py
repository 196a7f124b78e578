"""Do jobs read inputs that lie on agents, on the tracker, or on both, wherever their tasks run?"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import mapreduce as mr
from mapreduce.dataset import Dataset
from mapreduce.errors import InputError
from mapreduce.formats.base import InputFile
from mapreduce.tracker.commands import StartAttempt
from mapreduce.tracker.events import Event, WorkerJoined
from mapreduce.tracker.observer import Observer
from mapreduce.wire.keys import default_key_path, make_key, write_key
from tests.engines.lived import HandAgents, Words, hand_agents, wait_for_workers


def lines(first: int, count: int) -> str:
    return "".join(f"{row % 13} {row % 7} word{row}\n" for row in range(first, first + count))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a and b offer: a file each, and one that both have."""
    root = tmp_path_factory.mktemp("hosts")
    for host, name, text in (
        ("a", "logs/1.txt", lines(0, 400)),
        ("b", "logs/2.txt", lines(400, 400)),
        ("a", "logs/3.txt", lines(800, 400)),
        ("b", "logs/3.txt", lines(800, 400)),
        ("a", "unequal.txt", "one\n"),
        ("b", "unequal.txt", "two\n"),
    ):
        path = root / host / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.fixture(scope="module")
def cluster(folders: Path) -> Iterator[mr.Engine]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    if not default_key_path().exists():
        write_key(default_key_path(), make_key())
    with hand_agents(port) as agents, mr.Engine("cluster", listen=f"127.0.0.1:{port}") as engine:
        _begin(agents, folders)
        engine.run(Words(), mr.from_records([]))
        wait_for_workers(engine, 2)
        yield engine


def _begin(agents: HandAgents, folders: Path) -> None:
    for name in ("a", "b"):
        agents.begin(name, "--data", str(folders / name))


class Where(Observer):
    """On which host each map ran."""

    def __init__(self) -> None:
        self.hosts: dict[int, str] = {}
        self._names: dict[int, str] = {}

    def handled(self, event: Event, commands: Any) -> None:
        if isinstance(event, WorkerJoined):
            self._names[event.worker] = event.host
        for command in commands:
            if isinstance(command, StartAttempt) and command.attempt.task.stage == 0:
                self.hosts[command.attempt.task.index] = self._names[command.worker]


def counts(result: mr.Result) -> dict[str, int]:
    found = dict(result.records())
    result.close()
    return found


def expected() -> dict[str, int]:
    found: dict[str, int] = {}
    for word in lines(0, 1200).split():
        found[word] = found.get(word, 0) + 1
    return found


@pytest.mark.parametrize("placement", ["balance", "locality", "hybrid"])
def test_a_job_on_what_hosts_offer(cluster: mr.Engine, placement: str) -> None:
    dataset = mr.read_text("data:logs/*.txt")
    assert counts(cluster.run(Words(), dataset, placement=placement, split_size=1000)) == expected()


def test_by_locality_each_host_maps_its_own(cluster: mr.Engine) -> None:
    where = Where()
    cluster.run(
        Words(), mr.read_text("data:logs/[12].txt"), placement="locality", split_size=1000, observer=where
    ).close()
    files = [split.file.hosts[0] for split in mr.read_text("data:logs/[12].txt").plan(1000).splits]
    assert [where.hosts[number] for number in range(len(files))] == files
    assert set(files) == {"a", "b"}


def test_a_name_for_two_contents_names_both_hosts(cluster: mr.Engine) -> None:
    with pytest.raises(InputError, match=r"data:unequal.txt is one file on host a .* another on host b"):
        cluster.run(Words(), mr.read_text("data:unequal.txt"))


def test_a_name_that_nobody_has(cluster: mr.Engine) -> None:
    with pytest.raises(InputError, match=r"none of a, b has it; .*logs/1.txt"):
        cluster.run(Words(), mr.read_text("data:logs/1.tx"))


def test_a_file_that_hosts_do_not_see_comes_from_the_tracker(tmp_path: Path) -> None:
    """Its time of change is another one, as if a host had a file of this name, but not the same."""
    path = tmp_path / "here.txt"
    path.write_text(lines(0, 1200))
    file = InputFile(str(path), path.stat().st_size, 12345)
    dataset = Dataset((str(path),), "text", found=(file,))
    with mr.Engine("cluster", hosts="localhost:1") as engine:
        assert counts(engine.run(Words(), dataset, split_size=1000)) == expected()


def test_a_chain_and_a_cache_of_what_hosts_offer(cluster: mr.Engine) -> None:
    class Lengths(mr.Job):
        reduce = mr.Count()

        def map(self, pair: tuple[str, int]) -> Iterator[tuple[int, int]]:
            yield len(pair[0]), 1

    class Twice(mr.Chain):
        def jobs(self) -> list[mr.Job | mr.Fold]:
            return [Words(), Lengths()]

    found: dict[Any, int] = counts(cluster.run(Twice(), mr.read_text("data:logs")))
    assert found == {
        length: sum(len(word) == length for word in expected()) for length in {len(word) for word in expected()}
    }
