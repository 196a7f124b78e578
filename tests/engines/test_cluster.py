"""Jobs on agents that are real processes of this machine: the same bytes as inline, whatever happens to the agents."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mapreduce as mr
from algorithms.kmeans import KMeans
from mapreduce.errors import ResourceError, UsageError
from mapreduce.storage.leftovers import remove_dead_folders
from mapreduce.tracker.commands import Command
from mapreduce.tracker.events import Event, WorkerJoined, WorkerLost
from mapreduce.tracker.observer import Observer
from mapreduce.wire.keys import default_key_path, make_key, write_key
from tests.engines.lived import (
    HandAgents,
    Sums,
    Words,
    hand_agents,
    make_lines,
    make_numbers,
    wait_for_workers,
    wait_until,
)
from tests.faults.killed_runs import hash_of

HOSTS = "localhost:1,localhost:2"


@pytest.fixture(scope="module")
def cluster() -> Iterator[mr.Engine]:
    with mr.Engine("cluster", hosts=HOSTS) as engine:
        engine.run(Words(), mr.from_records([]))
        wait_for_workers(engine, 3)
        yield engine


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def agents(port: int) -> Iterator[HandAgents]:
    if not default_key_path().exists():
        write_key(default_key_path(), make_key())
    with hand_agents(port) as made:
        yield made


class Split(mr.Job):
    """Has no reduce: the pairs are the output."""

    reduce = None

    def map(self, line: str) -> Iterator[tuple[str, int]]:
        yield line, len(line)


class Lengths(mr.Job):
    """How many words are how frequent: the second job of a chain."""

    reduce = mr.Count()

    def map(self, pair: tuple[str, int]) -> Iterator[tuple[int, int]]:
        yield pair[1], 1


class Twice(mr.Chain):
    """Two jobs, one after the other."""

    def jobs(self) -> list[mr.Job | mr.Fold]:
        return [Words(), Lengths()]


@pytest.mark.parametrize(
    ("make", "settings"),
    [
        (Words, {"reducers": 3}),
        (Words, {"reducers": 3, "sort": True}),
        (Split, {}),
        (Twice, {"reducers": 2}),
        (Sums, {}),
    ],
    ids=["words", "sorted", "map only", "chain", "float fold"],
)
def test_the_same_bytes_as_inline(
    cluster: mr.Engine, tmp_path: Path, make: Callable[[], Any], settings: dict[str, Any]
) -> None:
    path = make_numbers(tmp_path) if make is Sums else make_lines(tmp_path)
    outputs = []
    for name, engine in (("inline", mr.Engine("inline")), ("cluster", cluster)):
        engine.run(make(), mr.read_text(path), output=tmp_path / name, split_size=300, **settings)
        outputs.append(hash_of(tmp_path / name))
    assert outputs[0] == outputs[1]
    assert sorted(entry.name for entry in (tmp_path / "cluster").iterdir() if entry.name == "_job") == []


def test_kmeans_is_the_same_to_the_last_bit() -> None:
    X = np.random.default_rng(3).normal(size=(600, 3))
    X[300:] += 5
    found = []
    for made in (mr.Engine("inline"), mr.Engine("cluster", hosts=HOSTS)):
        with made as engine:
            found.append(KMeans(n_clusters=3).fit(mr.from_arrays(X), engine=engine).cluster_centers_.tobytes())
    assert found[0] == found[1]


class Picky(mr.Job):
    """Does not like every line."""

    reduce = mr.Sum()

    def map(self, line: str) -> Iterator[tuple[str, int]]:
        if line.startswith("7"):
            raise ValueError("seven")
        yield line.split()[1], 1


def test_skipped_records_come_from_all_hosts(cluster: mr.Engine, tmp_path: Path) -> None:
    path = make_lines(tmp_path)
    results = [
        engine.run(
            Picky(),
            mr.read_text(path),
            output=tmp_path / name,
            split_size=300,
            skip_bad_records=0.5,
        )
        for name, engine in (("inline", mr.Engine("inline")), ("cluster", cluster))
    ]
    assert hash_of(tmp_path / "inline") == hash_of(tmp_path / "cluster")
    skipped = [[str(record) for record in result.skipped()] for result in results]
    assert skipped[0] == skipped[1] and len(skipped[0]) > 10


class Watcher(Observer):
    """Remembers workers that came and went."""

    def __init__(self) -> None:
        self.joined = 0
        self.lost: list[str] = []

    def handled(self, event: Event, commands: Any) -> None:
        assert all(isinstance(command, Command) for command in commands)
        if isinstance(event, WorkerJoined):
            self.joined += 1
        elif isinstance(event, WorkerLost):
            self.lost.append(event.reason)


class Scene:
    """A job with a gate, on agents begun by hand, to which something happens while their maps wait."""

    def __init__(self, agents: HandAgents, folder: Path) -> None:
        self.agents = agents
        self.folder = folder
        self.gate = folder / "gate"
        self.gate.mkdir()
        self.watcher = Watcher()
        self.problem: BaseException | None = None
        self.workers = 0  # as the summary has it

    def at_gate(self, name: str) -> bool:
        return Path(self.gate, f"at-{self.agents.running[name].pid}").exists()

    def run(self, happening: Callable[[], None], job: type[Any] = Words) -> None:
        """Run it while `happening` does what it does, and then opens the gate; expect what inline gives."""
        path = make_numbers(self.folder) if job is Sums else make_lines(self.folder)
        thread = threading.Thread(target=self._happen, args=(happening,))
        thread.start()
        settings: dict[str, Any] = {"split_size": 300} if job is Sums else {"split_size": 300, "reducers": 2}
        try:
            with mr.Engine("cluster", listen=self.agents.address) as engine:
                engine.run(
                    job(str(self.gate)),
                    mr.read_text(path),
                    output=self.folder / "out",
                    observer=self.watcher,
                    **settings,
                )
                self.workers = engine.workers
        finally:
            thread.join()
        if self.problem is not None:
            raise self.problem
        mr.run(job(), mr.read_text(path), output=self.folder / "expected", engine="inline", **settings)
        assert hash_of(self.folder / "out") == hash_of(self.folder / "expected")

    def _happen(self, happening: Callable[[], None]) -> None:
        try:
            happening()
        except BaseException as error:
            self.problem = error
        finally:
            Path(self.gate, "open").touch()


@pytest.fixture
def scene(agents: HandAgents, tmp_path: Path) -> Scene:
    return Scene(agents, tmp_path)


@pytest.mark.parametrize("job", [Words, Sums])
def test_an_agent_is_killed(scene: Scene, job: type[Any]) -> None:
    scene.agents.begin("a", workers=2)
    scene.agents.begin("b")

    def happening() -> None:
        wait_until(lambda: scene.at_gate("a") and scene.at_gate("b"), "both are at work")
        scene.agents.running["a"].kill()
        scene.agents.end("a")
        wait_until(remove_dead_folders, "its folder can be removed by who comes next")
        wait_until(lambda: scene.watcher.lost, "the tracker knows")

    scene.run(happening, job)
    assert len(scene.watcher.lost) == 2
    assert all(reason.startswith("host a ") for reason in scene.watcher.lost)


def test_a_zombie_cannot_commit(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mapreduce.engines.sessions.SILENCE_SECONDS", 2.0)
    zombie = scene.agents.begin("a")
    scene.agents.begin("b")

    def happening() -> None:
        wait_until(lambda: scene.at_gate("a") and scene.at_gate("b"), "both are at work")
        zombie.send_signal(signal.SIGSTOP)
        wait_until(lambda: scene.watcher.lost, "it is missed")
        Path(scene.gate, f"open-{zombie.pid}").touch()  # its worker goes on
        zombie.send_signal(signal.SIGCONT)
        wait_until(lambda: scene.watcher.joined >= 3, "it is back")

    scene.run(happening)
    assert scene.watcher.lost == ["host a has not been heard of for 2 s"]


def test_an_agent_joins_while_the_job_runs(scene: Scene) -> None:
    scene.agents.begin("a")

    def happening() -> None:
        wait_until(lambda: scene.at_gate("a"), "the first is at work")
        scene.agents.begin("b")
        wait_until(lambda: scene.at_gate("b"), "the second is at work")

    scene.run(happening)
    assert scene.watcher.joined == 2 and scene.watcher.lost == []
    assert scene.workers == 2


def test_an_agent_leaves_in_order(scene: Scene) -> None:
    scene.agents.begin("a")
    scene.agents.begin("b")
    left: list[tuple[int, str]] = []

    def happening() -> None:
        wait_until(lambda: scene.at_gate("a") and scene.at_gate("b"), "both are at work")
        scene.agents.running["a"].terminate()
        left.append(scene.agents.end("a"))
        wait_until(lambda: scene.watcher.lost, "the tracker knows")

    scene.run(happening)
    assert scene.watcher.lost == ["host a left: ended by SIGTERM"]
    assert [code for code, _ in left] == [0]


def test_who_begins_an_agent_sees_whether_it_has_joined(scene: Scene) -> None:
    scene.agents.begin("a")
    scene.run(lambda: wait_until(lambda: scene.at_gate("a"), "it is at work"))
    told = scene.agents.hear("a", "goodbye")
    scene.agents.running["a"].terminate()
    code, _ = scene.agents.end("a")
    assert code == 0
    assert "joined the tracker as a" in told
    assert "the tracker said goodbye" in told


def test_agents_serve_one_tracker_after_another(agents: HandAgents, tmp_path: Path) -> None:
    agents.begin("a")
    path = make_lines(tmp_path)
    for _ in range(2):
        with mr.Engine("cluster", listen=agents.address) as engine:
            assert sum(count for _, count in engine.run(Words(), mr.read_text(path)).records()) == 1200


@pytest.mark.parametrize(("how", "code"), [(signal.SIGKILL, -9), (signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_agents_end_with_the_tracker_that_began_them(tmp_path: Path, how: signal.Signals, code: int) -> None:
    path, gate = make_lines(tmp_path), tmp_path / "gate"
    gate.mkdir()
    job = f"{Path(__file__).with_name('lived.py')}:Words"
    command = ["run", job, str(path), "--set", f"folder={gate}", "--hosts", HOSTS, "-o", str(tmp_path / "out")]
    root = str(Path(__file__).resolve().parents[2])
    tracker = subprocess.Popen(
        [sys.executable, "-m", "mapreduce", *command, "--split-size", "300"],
        env={**os.environ, "PYTHONPATH": root},
        stderr=subprocess.PIPE,
    )
    try:
        wait_until(lambda: len(list(gate.glob("at-*"))) == 2, "both agents are at work")
        tracker.send_signal(how)
        said = tracker.communicate(timeout=10)[1].decode()
    finally:
        tracker.kill()
        tracker.wait()
    assert tracker.returncode == code, said
    agents = [int(marker.name.removeprefix("at-")) for marker in gate.glob("at-*")]
    wait_until(lambda: not any(Path(f"/proc/{agent}").exists() for agent in agents), "the agents have ended")


# --- what can be wrong


def test_no_agent_comes(port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mapreduce.engines.cluster_start.JOIN_SECONDS", 0.3)
    with (
        pytest.raises(ResourceError, match=f"within 0.3 s; run `mapreduce agent 127.0.0.1:{port}` on a host"),
        mr.Engine("cluster", listen=f"127.0.0.1:{port}") as engine,
    ):
        engine.run(Words(), mr.from_records([]))


@pytest.mark.parametrize(
    ("hosts", "ssh", "error", "words"),
    [
        ("192.0.2.7", "false", ResourceError, "no agent on 192.0.2.7: it ended with exit code 1"),
        ("192.0.2.7", "no-such-ssh", UsageError, "can't run 'no-such-ssh' to reach 192.0.2.7: No such file"),
        ("192.0.2.7", "sh -c 'echo permission denied >&2; exit 255'", ResourceError, "permission denied"),
        ("no host", None, UsageError, "'no host' is not a host"),
        ("", None, UsageError, "a cluster needs --hosts"),
    ],
)
def test_hosts_that_are_no_good(hosts: str, ssh: str | None, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words), mr.Engine("cluster", hosts=hosts, ssh=ssh) as engine:
        engine.run(Words(), mr.from_records([]))


def test_an_agent_with_another_key_says_so_and_ends(agents: HandAgents, port: int, tmp_path: Path) -> None:
    write_key(tmp_path / "other.key", make_key())
    with mr.Engine("cluster", listen=agents.address) as engine:
        agents.begin("good")
        agents.begin("bad", "--key", str(tmp_path / "other.key"))
        assert list(engine.run(Words(), mr.from_records(["x"])).records()) == [("x", 1)]
        code, said = agents.end("bad")
    assert code == 2
    assert "key" in said


def test_nothing_listens_without_a_key(port: int, tmp_path: Path) -> None:
    with (
        pytest.raises(UsageError, match="needs a key"),
        mr.Engine("cluster", listen=f"0.0.0.0:{port}", key=tmp_path / "none") as engine,
    ):
        engine.run(Words(), mr.from_records([]))


def test_hosts_are_for_the_cluster_alone() -> None:
    with pytest.raises(UsageError, match="no hosts"):
        mr.Engine(hosts="a")
