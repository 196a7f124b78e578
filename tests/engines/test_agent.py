"""An agent obeys, and lets go when its tracker is gone. Nothing here waits: line, pool and clock are made up."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from mapreduce import __version__
from mapreduce.dataflow.results import AttemptResult, Output
from mapreduce.engines.agent import Agent, Habits
from mapreduce.engines.agent_job import AgentPackage
from mapreduce.engines.meeting import Begin, decode_finished
from mapreduce.engines.scratch import Scratch
from mapreduce.engines.sessions import PYTHON
from mapreduce.errors import UsageError
from mapreduce.ids import AttemptId, TaskId, WorkerId
from mapreduce.tracker.executor import Finished, LogLines, Lost, Ready, Report
from mapreduce.wire.bundles import unbundled
from mapreduce.wire.messages import Hello, Kind, Message, Refused, Welcome

FIRST = AttemptId(TaskId(0, 0), 0)
RESULT = AttemptResult(Output(inline=b"partial", bytes=7))


@dataclass
class FakeLine:
    """A connection that stands at once."""

    sessions: int = 1
    connected: bool = True
    trouble: str = ""
    refusals: int = 0
    inbox: list[Message] = field(default_factory=list)
    sent: list[Message] = field(default_factory=list)
    full: bool = False
    closed: bool = False

    def fileno(self) -> int:
        return -1

    def send(self, message: Message) -> bool:
        if not self.full:
            self.sent += unbundled(message)
        return not self.full

    def receive(self, timeout_seconds: float) -> list[Message]:
        messages, self.inbox = self.inbox, []
        return messages

    def close(self) -> None:
        self.closed = True

    def kinds(self) -> list[Kind]:
        """What was said since the last look, heartbeats apart."""
        kinds: list[Kind] = [message.kind for message in self.sent if message.kind != Kind.HEARTBEAT]
        self.sent.clear()
        return kinds


@dataclass
class FakePool:
    """Two workers; writes down what it is asked."""

    calls: list[tuple[Any, ...]] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    workers: list[WorkerId] = field(default_factory=lambda: [WorkerId(0), WorkerId(1)])

    def begin(self, pack: Callable[[], object], memory_bytes: int | None = None) -> int:
        package = pack()
        assert isinstance(package, AgentPackage)
        self.calls.append(("begin", package.packed, Path(package.root).name, memory_bytes))
        return 1

    def ready(self) -> Sequence[WorkerId]:
        return list(self.workers)

    def pid(self, worker: WorkerId) -> int | None:
        return 500 + worker

    def start(self, attempt: AttemptId, worker: WorkerId, spec: bytes) -> None:
        self.calls.append(("start", attempt, worker, spec))

    def cancel(self, attempt: AttemptId, worker: WorkerId) -> None:
        self.calls.append(("cancel", attempt, worker))

    def wait(self, timeout_seconds: float) -> list[Report]:
        reports, self.reports = self.reports, []
        return reports

    def settle(self, seconds: float) -> None:
        self.calls.append(("settle",))

    def called(self) -> list[str]:
        names = [str(call[0]) for call in self.calls]
        self.calls.clear()
        return names


class Scene:
    """An agent, and a tracker that says what the test wants."""

    def __init__(self, folder: Path, habits: Habits | None = None) -> None:
        self.time = 100.0
        self.lines: list[FakeLine] = []
        self.pool = FakePool()
        self.scratch = Scratch(folder)
        hello = Hello("agent", __version__, PYTHON, "a", 0, self.scratch.id, workers=2)
        numbers = count(1)
        self.agent = Agent(
            self.connect, self.pool, self.scratch, hello, habits, clock=lambda: self.time, draw=lambda: next(numbers)
        )

    def connect(self) -> FakeLine:
        self.lines.append(FakeLine())
        return self.lines[-1]

    @property
    def line(self) -> FakeLine:
        return self.lines[-1]

    def hear(self, *messages: Message) -> bool:
        self.line.inbox += messages
        return self.agent.step()

    def join(self) -> None:
        self.agent.step()
        *_, hello = [message for message in self.line.sent if message.kind == Kind.HELLO]
        welcome = Welcome(Hello.decode(hello.body).session, 1, "a")
        assert self.hear(Message(Kind.WELCOME, body=welcome.encode()))

    def begin(self, job: int = 1, key: str = "job-1") -> None:
        self.hear(Message(Kind.BEGIN, job, body=(*Begin(key, 1000).encode(), b"package")))

    def pass_time(self, seconds: float, *, heartbeats: bool = False) -> bool:
        for _ in range(round(seconds / 0.5)):
            self.time += 0.5
            if not self.hear(*([Message(Kind.HEARTBEAT)] if heartbeats else [])):
                return False
        return True


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path / "scratch")
    yield made
    made.scratch.close()


def test_it_joins_and_tells_of_its_workers(scene: Scene) -> None:
    scene.join()
    assert scene.line.kinds() == [Kind.HELLO, Kind.READY, Kind.READY]


def test_it_obeys(scene: Scene) -> None:
    scene.join()
    scene.line.kinds()
    scene.begin()
    scene.hear(Message(Kind.START, 1, FIRST, 1, (b"spec",)), Message(Kind.CANCEL, 1, FIRST, 1))
    assert scene.pool.calls == [
        ("begin", b"package", "job-1", 1000),
        ("start", FIRST, WorkerId(1), b"spec"),
        ("cancel", FIRST, WorkerId(1)),
    ]
    assert Path(scene.scratch.folder, "job-1", "_job", "segments").is_dir()
    scene.pool.reports = [LogLines(WorkerId(1), FIRST, "hello\n"), Finished(WorkerId(1), FIRST, RESULT)]
    scene.agent.step()
    log, finished = scene.line.sent
    assert (log.kind, bytes(log.body[0])) == (Kind.LOG, b"hello\n")
    assert (finished.kind, finished.job, finished.attempt, finished.worker) == (Kind.FINISHED, 1, FIRST, 1)
    assert decode_finished(finished.body) == RESULT


def test_a_start_of_another_job_is_not_for_us(scene: Scene) -> None:
    scene.join()
    scene.begin(job=2)
    scene.pool.called()
    scene.hear(Message(Kind.START, 1, FIRST, 1, (b"spec",)))
    assert scene.pool.called() == []


def test_the_end_of_a_job_is_answered_when_nothing_of_it_runs(scene: Scene) -> None:
    scene.join()
    scene.begin()
    scene.pool.called()
    scene.line.kinds()
    scene.hear(Message(Kind.END, 1))
    assert scene.pool.called() == ["settle"]
    assert scene.line.kinds() == [Kind.END]
    assert scene.scratch.kept() == ("job-1",), "others may still read there"
    scene.hear(Message(Kind.FORGET, body=(b"job-1",)))
    assert scene.scratch.kept() == ()


def test_workers_that_changed_between_jobs_are_told_of(scene: Scene) -> None:
    scene.join()
    scene.line.kinds()
    scene.pool.workers = [WorkerId(1), WorkerId(2)]
    scene.begin()
    scene.agent.step()
    assert [(message.kind, message.worker) for message in scene.line.sent] == [(Kind.LOST, 0), (Kind.READY, 2)]


def test_a_silent_tracker_is_let_go_of(scene: Scene) -> None:
    scene.join()
    scene.begin()
    scene.pool.called()
    scene.pass_time(4.5)
    assert scene.pool.called() == [] and len(scene.lines) == 1
    scene.pass_time(1)
    assert scene.pool.called() == ["settle"]
    assert len(scene.lines) == 2 and scene.lines[0].closed
    scene.pool.reports = [Finished(WorkerId(1), FIRST, RESULT)]
    scene.time += 1
    scene.join()
    assert Kind.FINISHED not in scene.line.kinds(), "nobody asked the new session for that"


def test_the_next_hello_tells_what_is_kept(scene: Scene) -> None:
    scene.join()
    scene.begin()
    scene.pass_time(5.5)
    scene.agent.step()
    (hello,) = [Hello.decode(message.body) for message in scene.line.sent if message.kind == Kind.HELLO][-1:]
    assert hello.kept == ("job-1",)


def test_a_connection_that_broke_is_a_new_session(scene: Scene) -> None:
    scene.join()
    scene.begin()
    scene.pool.called()
    scene.line.sessions += 1
    scene.line.kinds()
    scene.agent.step()
    assert scene.pool.called() == ["settle"]
    assert scene.line.kinds() == [Kind.HELLO]
    late = Welcome(1, 1, "a")
    scene.hear(Message(Kind.WELCOME, body=late.encode()))
    assert scene.line.kinds() == [], "that was the answer to an earlier HELLO"


def test_a_session_that_the_tracker_gave_up_begins_anew(scene: Scene) -> None:
    scene.join()
    scene.begin()
    scene.hear(Message(Kind.REFUSED, body=Refused("this session is over", again=True).encode()))
    assert len(scene.lines) == 2
    assert scene.pool.called()[-1] == "settle"


def test_a_refusal_ends_the_agent(scene: Scene) -> None:
    with pytest.raises(UsageError, match="install the same"):
        scene.hear(Message(Kind.REFUSED, body=Refused("install the same on both").encode()))


def test_the_wrong_key_ends_the_agent_too(scene: Scene) -> None:
    scene.line.refusals, scene.line.trouble = 3, "it holds another key"
    assert scene.agent.step()
    scene.line.refusals = 4
    with pytest.raises(UsageError, match="it holds another key; see --key"):
        scene.agent.step()


def test_an_agent_that_was_stopped_does_not_blame_the_tracker(scene: Scene) -> None:
    scene.join()
    scene.time += 60
    scene.agent.step()
    assert len(scene.lines) == 1


def test_files_of_jobs_outlast_their_tracker_for_a_while(tmp_path: Path) -> None:
    scene = Scene(tmp_path / "scratch", Habits(keep_seconds=60))
    scene.join()
    scene.begin()
    scene.pass_time(100, heartbeats=True)
    assert scene.scratch.kept() == ("job-1",)
    scene.pass_time(60)
    assert scene.scratch.kept() == ("job-1",)
    scene.pass_time(20)
    assert scene.scratch.kept() == ()
    scene.scratch.close()


def test_who_was_begun_by_a_tracker_ends_without_it(tmp_path: Path) -> None:
    scene = Scene(tmp_path / "scratch", Habits(keep_seconds=60, stays=False))
    scene.join()
    assert scene.pass_time(50)
    assert not scene.pass_time(20)
    scene.scratch.close()
    scene = Scene(tmp_path / "scratch", Habits(stays=False))
    scene.join()
    assert not (scene.hear(Message(Kind.BYE)) and scene.agent.step())
    scene.scratch.close()


def test_others_wait_for_the_next_tracker(scene: Scene) -> None:
    scene.join()
    scene.line.kinds()
    first = scene.line
    assert scene.hear(Message(Kind.BYE))
    assert first.kinds()[0] == Kind.BYE  # the answer, before anything that takes time
    assert scene.pass_time(1000)


def test_it_says_goodbye(scene: Scene) -> None:
    scene.join()
    scene.line.kinds()
    scene.agent.stop("ended by SIGTERM")
    assert not scene.agent.step()
    assert scene.line.kinds() == [Kind.BYE]
    assert scene.line.closed


def test_a_slow_line_holds_up_what_matters_and_drops_what_does_not(scene: Scene) -> None:
    scene.join()
    scene.begin()
    scene.line.kinds()
    scene.line.full = True
    scene.pool.reports = [LogLines(WorkerId(0), FIRST, "x\n")] * 2000
    scene.pool.reports += [Finished(WorkerId(0), FIRST, RESULT), Lost(WorkerId(1), "died"), Ready(WorkerId(2), 7)]
    scene.agent.step()
    assert scene.line.kinds() == []
    scene.line.full = False
    scene.agent.step()
    kinds = scene.line.kinds()
    assert kinds[-3:] == [Kind.FINISHED, Kind.LOST, Kind.READY] and len(kinds) == 1003


def test_two_agents_do_not_share_a_scratch_folder(scene: Scene) -> None:
    with pytest.raises(UsageError, match="another agent"):
        Scratch(scene.scratch.folder)


@pytest.mark.parametrize("key", ["", "..", "a/b", ".hidden", "id", "x" * 200])
def test_a_job_is_no_path(scene: Scene, key: str) -> None:
    with pytest.raises(ValueError, match="no name of a job"):
        scene.scratch.open_job(key, 0.0)
