"""How does a test run a job on hosts, and do something to them at an instant that it chooses?

    with `hosts` (tests/hosts/fixture.py):
        cluster = Cluster(hosts, tmp_path)
        cluster.close_gate("map")                 the tasks that begin wait
        cluster.begin_agents("a", "b", "c")
        run = cluster.begin_run()
        cluster.wait_for("map", "a", "b", "c")    each of them has begun a map
        hosts["a"].cut()
        cluster.open_gate("map")
        cluster.expect_same(run)

Silence is noticed after 1.5 s instead of 5, so that the tests don't take so long.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from tests.faults.killed_runs import counters_of, hash_of
from tests.hosts import fake_ssh, gated, patched
from tests.hosts.network import Host, Network, wait_until

PORT = 7077
JOB = f"{gated.__file__}:GatedCount"
QUICK = {
    "mapreduce.engines.meeting.HEARTBEAT_SECONDS": 0.3,
    "mapreduce.engines.meeting.SILENCE_SECONDS": 1.5,
}
LINES, TASKS, REDUCERS = 120, 12, 3
SSH = f"{sys.executable} {fake_ssh.__file__}"


def make_input(path: Path) -> None:
    """Lines of equal length, of which every task has ten."""
    words = [f"w{number:03}" for number in range(97)]
    lines = [" ".join(words[(7 * row + 3 * column) % 97] for column in range(8)) for row in range(LINES)]
    path.write_text("".join(f"{line}\n" for line in lines))


@dataclass(slots=True)
class Run:
    """A job that runs, on the host of the tracker."""

    process: subprocess.Popen[str]
    output: Path
    errors: Path

    def end(self, timeout_seconds: float = 45) -> int:
        return self.process.wait(timeout_seconds)

    def told(self) -> str:
        return self.errors.read_text()


@dataclass
class Cluster:
    """Agents and runs on the hosts of a test; `folder` is what all hosts see."""

    hosts: Network
    folder: Path
    is_shared: bool = False  # the output lies where all hosts see it; else on the tracker's host alone
    has_input_apart: bool = False  # the input, too
    quick: dict[str, float] = field(default_factory=lambda: dict(QUICK))
    agents: dict[str, subprocess.Popen[str]] = field(default_factory=dict)
    running: list[Run] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.gates.mkdir()
        self.home.mkdir(exist_ok=True)
        make_input(self.input)
        key = self.folder / "cluster.key"
        done = self.tracker.run(*self.tracker.mapreduce("keys", key))
        assert done.returncode == 0, done.stderr

    @property
    def gates(self) -> Path:
        return self.folder / "gates"

    @property
    def tracker(self) -> Host:
        return self.hosts["tracker"]

    @property
    def home(self) -> Path:
        """Of the output. Of its own for each test: the hosts live longer."""
        return self.folder if self.is_shared else self.tracker.home / self.folder.name

    @property
    def input(self) -> Path:
        return (self.home if self.has_input_apart else self.folder) / "lines.txt"

    # --- gates

    def close_gate(self, stage: str, *names: str) -> None:
        for name in names or ("",):
            self._gate(stage, name).touch()

    def open_gate(self, stage: str, *names: str) -> None:
        for name in names or ("",):
            self._gate(stage, name).unlink()

    def _gate(self, stage: str, name: str) -> Path:
        return self.gates / ".".join(filter(None, (stage, name, "closed")))

    def begun(self, stage: str) -> Counter[str]:
        """How many records of the stage each host has begun; of reduces, how many tasks."""
        names = (path.name.split(".") for path in self.gates.glob(f"{stage}.*.*"))
        return Counter(words[1] for words in names if words[-1] != "closed")

    def wait_for(self, stage: str, *names: str) -> None:
        """Return when each of these hosts has begun a task of the stage; AssertionError if the run has ended."""

        def is_so() -> bool:
            assert all(run.process.poll() is None for run in self.running[-1:]), self.running[-1].told()
            return set(names) <= set(self.begun(stage))

        wait_until(f"a {stage} on each of {names}", is_so)

    # --- processes

    def command(self, *arguments: object, patches: Sequence[object] = ()) -> list[object]:
        constants = [f"{name}={value}" for name, value in self.quick.items()]
        return [sys.executable, patched.__file__, *constants, *patches, "--", *arguments]

    @cached_property
    def environment(self) -> dict[str, str]:
        return {"MAPREDUCE_KEY": str(self.folder / "cluster.key"), "PYTHONHASHSEED": "random"}

    def begin_agent(self, name: str, *options: object, patches: Sequence[object] = ()) -> subprocess.Popen[str]:
        """An agent with one worker; what it says lies in `agent.<name>`."""
        words = ("agent", f"tracker:{PORT}", "--workers", 1, "--scratch", self.hosts[name].scratch, "-v", *options)
        with (self.folder / f"agent.{name}").open("a") as told:
            command = self.command(*words, patches=patches)
            agent = self.hosts[name].start(*command, env=self.environment, stdout=told, stderr=told)
        self.agents[name] = agent
        return agent

    def begin_agents(self, *names: str) -> None:
        for name in names:
            self.begin_agent(name)

    def told_by(self, name: str) -> str:
        return (self.folder / f"agent.{name}").read_text()

    def begin_run(self, *options: object, again: Run | None = None, patches: Sequence[object] = ()) -> Run:
        """The job on whoever joins; `again` goes on with what another run left."""
        number = len(self.running) + 1
        output = self.home / f"output{number}" if again is None else again.output
        errors = self.folder / f"run{number}"
        words = self._job(output) + ["-v", *(options or ("--listen", f"tracker:{PORT}"))]
        with errors.open("w") as told:
            command = self.command(*words, patches=patches)
            process = self.tracker.start(*command, env=self.environment, stdout=told, stderr=told)
        self.running.append(Run(process, output, errors))
        return self.running[-1]

    def _job(self, output: Path) -> list[object]:
        size = (self.input).stat().st_size // TASKS
        return ["run", JOB, self.input, "--set", f"gates={self.gates}", "-o", output,
                "--reducers", REDUCERS, "--split-size", size]  # fmt: skip

    # --- what came of it

    @cached_property
    def reference(self) -> tuple[str, dict[str, int]]:
        """What the same job gives in one process, on one host."""
        gates, output = self.folder / "open", self.home / "reference"
        gates.mkdir()
        words = [f"gates={gates}" if word == f"gates={self.gates}" else word for word in self._job(output)]
        done = self.tracker.run(*self.tracker.mapreduce(*words, "--inline"))
        assert done.returncode == 0, done.stderr
        return hash_of(output), counters_of(output)

    def expect_same(self, run: Run) -> None:
        """The run ends well, with the bytes and counters of the reference."""
        assert run.end() == 0, run.told()
        assert (hash_of(run.output), counters_of(run.output)) == self.reference, run.told()

    def events(self, run: Run) -> list[dict[str, object]]:
        return [json.loads(line) for line in (run.output / "_events.jsonl").read_text().splitlines()]


__all__ = ["LINES", "PORT", "SSH", "Cluster", "Run"]
