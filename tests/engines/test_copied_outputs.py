"""Map outputs with copies, on agents that are real processes of this machine: who goes takes no work along."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

import mapreduce as mr
from mapreduce.storage.leftovers import remove_dead_folders
from mapreduce.tracker.events import Event, OutputMoved
from mapreduce.tracker.observer import Observer
from mapreduce.wire.keys import default_key_path, make_key, write_key
from tests.engines.lived import HandAgents, hand_agents, make_lines, wait_for_workers, wait_until
from tests.faults.killed_runs import counters_of, hash_of

MAPS = 12


class Slow(mr.Job):
    """Word count whose reduces wait while the gate is closed."""

    def __init__(self, gate: str = "") -> None:
        self.gate = gate

    def map(self, line: str) -> Iterator[tuple[str, int]]:
        self.count("lines")
        for word in line.split():
            yield word, 1

    def reduce(self, key: str, values: Iterable[int]) -> int:
        if self.gate:
            Path(self.gate, f"at-{os.getppid()}").touch()
            wait_until(Path(self.gate, "open").exists, "the gate is open", 40)
        return sum(values)


class Moves(Observer):
    """Where each map output is, and how often it moved."""

    def __init__(self) -> None:
        self.hosts: dict[int, tuple[str, ...]] = {}
        self.moves = 0

    def handled(self, event: Event, commands: Any) -> None:
        if isinstance(event, OutputMoved) and commands:
            self.hosts[event.attempt.task.index] = tuple(event.path[1:].partition("/")[0].split("+"))
            self.moves += 1

    def are(self, on: int) -> bool:
        return sum(len(hosts) == on for hosts in self.hosts.values()) == MAPS


class Scene:
    """A job on agents a, b and c, to which something happens when its maps are done and its reduces have begun."""

    def __init__(self, agents: HandAgents, folder: Path) -> None:
        self.agents = agents
        self.folder = folder
        self.gate = folder / "gate"
        self.gate.mkdir()
        self.moves = Moves()
        self.result: Any = None

    @property
    def output(self) -> Path:
        return self.folder / "cluster"

    def run(self, replicas: int, happening: Callable[[], None]) -> None:
        """Expect what inline gives."""
        path = make_lines(self.folder, 1200)
        settings: dict[str, Any] = {"split_size": -(-path.stat().st_size // MAPS), "reducers": 2}
        problems: list[BaseException] = []
        thread = threading.Thread(target=self._happen, args=(happening, problems))
        with mr.Engine("cluster", listen=self.agents.address, replicas=replicas) as engine:
            for name in "abc":
                self.agents.begin(name)
            engine.run(Slow(), mr.from_records([]))
            wait_for_workers(engine, 3)
            thread.start()
            try:
                dataset = mr.read_text(path)
                job = Slow(str(self.gate))
                self.result = engine.run(job, dataset, output=self.output, observer=self.moves, **settings)
            finally:
                Path(self.gate, "open").touch()
                thread.join()
        assert not problems, problems
        with mr.Engine("inline") as engine:
            engine.run(Slow(), mr.read_text(path), output=self.folder / "inline", **settings)
        assert hash_of(self.output) == hash_of(self.folder / "inline")
        assert counters_of(self.output) == counters_of(self.folder / "inline")

    def _happen(self, happening: Callable[[], None], problems: list[BaseException]) -> None:
        try:
            wait_until(lambda: list(self.gate.glob("at-*")), "a reduce has begun")
            happening()
        except BaseException as error:
            problems.append(error)
        finally:
            Path(self.gate, "open").touch()

    def kill(self, name: str) -> None:
        """With all its workers: they end when their agent does."""
        self.agents.running[name].kill()
        self.agents.end(name)

    def maps_after_a_loss(self) -> int:
        """How many attempts of maps began then, as the event log tells."""
        lines = [json.loads(line) for line in (self.output / "_events.jsonl").read_text().splitlines()]
        kinds = [line["e"] for line in lines]
        assert "lost" in kinds
        later = lines[kinds.index("lost") :]
        return sum(line["e"] == "started" and line["task"].startswith("map") for line in later)

    def hosts_of_outputs(self) -> set[str]:
        return {host for hosts in self.moves.hosts.values() for host in hosts}


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    monkeypatch.setattr("mapreduce.engines.sessions.SILENCE_SECONDS", 2.0)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    if not default_key_path().exists():
        write_key(default_key_path(), make_key())
    with hand_agents(port) as agents:
        yield Scene(agents, tmp_path)
    remove_dead_folders()


def test_with_copies_no_map_of_a_lost_host_runs_again(scene: Scene) -> None:
    def happening() -> None:
        wait_until(lambda: scene.moves.are(2), "each map output has a copy")
        scene.kill("a")
        wait_until(lambda: "a" not in scene.hosts_of_outputs(), "the copies count")

    scene.run(2, happening)
    assert scene.maps_after_a_loss() == 0


def test_without_copies_they_do(scene: Scene) -> None:
    def happening() -> None:
        scene.kill("a")

    scene.run(1, happening)
    assert scene.maps_after_a_loss() > 0
    assert scene.moves.moves == 0


def test_what_has_lost_a_copy_gets_another(scene: Scene) -> None:
    """Two of three hosts are lost, with time in between."""

    def happening() -> None:
        wait_until(lambda: scene.moves.are(2), "each map output has a copy")
        scene.kill("a")
        wait_until(lambda: "a" not in scene.hosts_of_outputs() and scene.moves.are(2), "each has one again")
        scene.kill("b")
        wait_until(lambda: scene.hosts_of_outputs() == {"c"}, "the copies count")

    scene.run(2, happening)
    assert scene.maps_after_a_loss() == 0
    (said,) = [note for note in scene.result.outcome.notes if note.startswith("replicas: ")]
    assert said.startswith(f"replicas: 0 of {MAPS} map outputs were on 2 hosts; ")


def test_copies_go_with_their_job(scene: Scene) -> None:
    scratch = {name: scene.folder / f"scratch-{name}" for name in "abc"}
    begin = scene.agents.begin
    scene.agents.begin = lambda name, *more, workers=1: begin(  # type: ignore[method-assign]
        name, "--scratch", str(scratch[name]), *more, workers=workers
    )
    seen: list[int] = []

    def segments() -> list[Path]:
        return [path for folder in scratch.values() for path in folder.glob("*/_job/segments/*")]

    def happening() -> None:
        wait_until(lambda: scene.moves.are(2), "each map output has a copy")
        seen.append(len(segments()))

    scene.run(2, happening)
    assert seen == [2 * MAPS]
    wait_until(lambda: not segments(), "they are removed")
