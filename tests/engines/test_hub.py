"""Sessions, silence and late messages, as lists of what is said. Nothing here waits: wire and clock are made up."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from mapreduce import __version__
from mapreduce.dataflow.results import AttemptResult, Failure, FailureKind, Output
from mapreduce.engines.hub import Hub
from mapreduce.engines.hub_books import HubReport
from mapreduce.engines.meeting import Begin, encode_failure, encode_finished, encode_lost, encode_pid
from mapreduce.engines.sessions import GOODBYE_SECONDS, PYTHON
from mapreduce.errors import UsageError
from mapreduce.ids import AttemptId, TaskId, WorkerId
from mapreduce.tracker.executor import Failed, Finished, Lost, NoWorkers, OutputsGone, Ready
from mapreduce.wire.bundles import unbundled
from mapreduce.wire.messages import Hello, Kind, Message, Refused, Welcome

FIRST = AttemptId(TaskId(0, 0), 0)
SECOND = AttemptId(TaskId(0, 1), 0)
HELLO = Hello("agent", __version__, PYTHON, "a", session=7, scratch="scratch of a", workers=1)
RESULT = AttemptResult(Output(path="_job/segments/0-0-0.seg", bytes=5), {"lines": 3})


@dataclass
class FakeWire:
    """What was sent to whom; what is put into `inbox` is heard next. Time passes when nothing comes."""

    time: float = 100.0
    inbox: list[tuple[bytes, Message]] = field(default_factory=list)
    sent: list[tuple[bytes, Message]] = field(default_factory=list)
    dropped: list[bytes] = field(default_factory=list)
    broken: set[bytes] = field(default_factory=set)

    def clock(self) -> float:
        return self.time

    def receive(self, timeout_seconds: float) -> list[tuple[bytes, Message]]:
        messages, self.inbox = self.inbox, []
        if not messages:
            self.time += timeout_seconds
        return messages

    def send(self, peer: bytes, message: Message) -> bool:
        self.sent += [(peer, each) for each in unbundled(message)]
        return peer not in self.broken

    def drop(self, peer: bytes) -> None:
        self.dropped.append(peer)

    def close(self) -> None: ...

    def kinds(self, peer: bytes) -> list[Kind]:
        """What was said to a peer since the last look, heartbeats apart."""
        kinds: list[Kind] = [message.kind for to, message in self.sent if to == peer and message.kind != Kind.HEARTBEAT]
        self.sent = [(to, message) for to, message in self.sent if to != peer]
        return kinds


class Scene:
    """A hub with a job, and agents that say what the test wants."""

    def __init__(self, lonely_seconds: float = 30.0) -> None:
        self.wire = FakeWire()
        self.hub = Hub(self.wire, clock=self.wire.clock, lonely_seconds=lonely_seconds)
        self.job = self.hub.open_job(Begin("job-1"), b"the package")

    def join(self, peer: bytes, host: str = "a", workers: int = 1, kept: tuple[str, ...] = ()) -> list[HubReport]:
        hello = replace(HELLO, host=host, scratch=f"scratch of {host}", workers=workers, kept=kept)
        self.say(peer, Message(Kind.HELLO, body=hello.encode()))
        for number in range(workers):
            self.say(peer, Message(Kind.READY, worker=number, body=encode_pid(500 + number)))
        return self.wait()

    def say(self, peer: bytes, message: Message) -> None:
        self.wire.inbox.append((peer, message))

    def finish(self, peer: bytes, attempt: AttemptId, worker: int = 0, job: int | None = None) -> list[HubReport]:
        body = encode_finished(RESULT)
        self.say(peer, Message(Kind.FINISHED, self.job if job is None else job, attempt, worker, body))
        return self.wait()

    def wait(self, seconds: float = 0.0) -> list[HubReport]:
        return self.hub.wait(self.job, seconds)

    def pass_time(self, seconds: float, *alive: bytes) -> list[HubReport]:
        """Some time, in which these agents send their heartbeats."""
        reports: list[HubReport] = []
        for _ in range(round(seconds / 0.5)):
            self.wire.time += 0.5
            for peer in alive:
                self.say(peer, Message(Kind.HEARTBEAT))
            reports += self.wait()
        return reports


def test_an_agent_joins_and_works() -> None:
    scene = Scene()
    assert scene.join(b"A", workers=2) == [Ready(WorkerId(0), 500), Ready(WorkerId(1), 501)]
    assert scene.wire.kinds(b"A") == [Kind.WELCOME, Kind.PLACES, Kind.BEGIN]
    scene.hub.start(scene.job, FIRST, WorkerId(1), b"spec")
    scene.wait()
    (peer, start), *_ = scene.wire.sent
    assert (peer, start) == (b"A", Message(Kind.START, scene.job, FIRST, 1, (b"spec",)))
    assert scene.finish(b"A", FIRST, worker=1) == [Finished(WorkerId(1), FIRST, RESULT)]
    assert scene.hub.host_of(WorkerId(1)) == "a"


def test_a_payload_and_a_failure_come_through() -> None:
    scene = Scene()
    scene.join(b"A")
    scene.hub.start(scene.job, FIRST, WorkerId(0), b"")
    scene.hub.start(scene.job, SECOND, WorkerId(0), b"")
    result = AttemptResult(Output(inline=b"x" * 1000, bytes=1000))
    failure = Failure(FailureKind.USER, "ValueError", "no")
    scene.say(b"A", Message(Kind.FINISHED, scene.job, FIRST, 0, encode_finished(result)))
    scene.say(b"A", Message(Kind.FAILED, scene.job, SECOND, 0, encode_failure(failure)))
    assert scene.wait() == [Finished(WorkerId(0), FIRST, result), Failed(WorkerId(0), SECOND, failure)]


def test_numbers_of_workers_are_never_used_again() -> None:
    scene = Scene()
    scene.join(b"A")
    scene.hub.start(scene.job, FIRST, WorkerId(0), b"")
    scene.say(b"A", Message(Kind.LOST, worker=0, body=encode_lost(Lost(WorkerId(0), "was killed by SIGKILL", FIRST))))
    scene.say(b"A", Message(Kind.READY, worker=1, body=encode_pid(502)))
    assert scene.wait() == [Lost(WorkerId(0), "host a: was killed by SIGKILL", FIRST), Ready(WorkerId(1), 502)]
    assert scene.finish(b"A", FIRST, worker=0) == []
    assert scene.join(b"B", "b") == [Ready(WorkerId(2), 500)]


def test_a_silent_host_is_lost_with_all_that_lies_there() -> None:
    scene = Scene()
    scene.join(b"A", "a", workers=2)
    scene.join(b"B", "b")
    scene.hub.start(scene.job, FIRST, WorkerId(0), b"")
    assert scene.pass_time(4.5, b"B") == []
    reason = "host a has not been heard of for 5 s"
    assert scene.pass_time(1, b"B") == [
        Lost(WorkerId(0), reason, FIRST),
        Lost(WorkerId(1), reason),
        OutputsGone("a"),
    ]
    assert scene.hub.host_is_gone(scene.job, "a") and not scene.hub.host_is_gone(scene.job, "b")


def test_what_a_zombie_says_is_not_listened_to() -> None:
    scene = Scene()
    scene.join(b"A", "a")
    scene.join(b"B", "b")
    scene.hub.start(scene.job, FIRST, WorkerId(0), b"")
    scene.pass_time(6, b"B")
    scene.wire.kinds(b"A")
    assert scene.finish(b"A", FIRST) == []
    (refused,) = [message for to, message in scene.wire.sent if to == b"A"]
    assert refused.kind == Kind.REFUSED and Refused.decode(refused.body).again
    # On a new connection it is welcome, with new workers.
    assert scene.join(b"A2", "a") == [Ready(WorkerId(2), 500)]
    assert not scene.hub.host_is_gone(scene.job, "a")
    assert scene.finish(b"A2", FIRST) == [], "its worker was not given this attempt"


def test_the_attempt_of_another_job_is_not_listened_to() -> None:
    scene = Scene()
    scene.join(b"A")
    scene.hub.start(scene.job, FIRST, WorkerId(0), b"")
    assert scene.finish(b"A", FIRST, job=scene.job + 5) == []
    assert scene.finish(b"A", SECOND) == []
    assert len(scene.finish(b"A", FIRST)) == 1
    assert scene.finish(b"A", FIRST) == [], "once is enough"


def test_who_joins_anew_has_lost_its_workers_but_not_its_outputs() -> None:
    scene = Scene()
    scene.join(b"A", "a")
    scene.hub.start(scene.job, FIRST, WorkerId(0), b"")
    reports = scene.join(b"A2", "a", kept=("job-1",))
    assert reports == [Lost(WorkerId(0), "host a joined anew", FIRST), Ready(WorkerId(1), 500)]
    reports = scene.join(b"A3", "a", kept=("another job",))
    assert OutputsGone("a") in reports


def test_goodbye_is_a_loss_at_once() -> None:
    scene = Scene()
    scene.join(b"A", "a")
    scene.say(b"A", Message(Kind.BYE, body=(b"left: ended by SIGTERM",)))
    assert scene.wait() == [Lost(WorkerId(0), "host a left: ended by SIGTERM"), OutputsGone("a")]


def test_who_cannot_be_sent_to_is_lost() -> None:
    scene = Scene()
    scene.join(b"A", "a")
    scene.wire.broken.add(b"A")
    scene.hub.start(scene.job, FIRST, WorkerId(0), b"")
    assert scene.wait() == [Lost(WorkerId(0), "host a can't be reached any more", FIRST), OutputsGone("a")]


def test_a_hub_that_was_stopped_itself_blames_nobody() -> None:
    scene = Scene()
    scene.join(b"A", "a")
    scene.wire.time += 60
    assert scene.wait() == []
    assert scene.pass_time(4.5) == []
    assert len(scene.pass_time(1)) == 2


def test_heartbeats_go_out_each_second() -> None:
    scene = Scene()
    scene.join(b"A", "a")
    scene.wire.sent.clear()
    scene.pass_time(10, b"A")
    assert 9 <= sum(message.kind == Kind.HEARTBEAT for _, message in scene.wire.sent) <= 11


@pytest.mark.parametrize(
    ("hello", "why"),
    [(replace(HELLO, release="0.0.1"), "0.0.1"), (replace(HELLO, python="2.7"), "Python 2.7")],
    ids=["another release", "another Python"],
)
def test_another_version_is_refused(hello: Hello, why: str) -> None:
    scene = Scene()
    scene.say(b"A", Message(Kind.HELLO, body=hello.encode()))
    assert scene.wait() == []
    ((_, message),) = scene.wire.sent
    assert message.kind == Kind.REFUSED
    refused = Refused.decode(message.body)
    assert why in refused.reason and not refused.again


@pytest.mark.parametrize(
    "message",
    [
        Message(Kind.HELLO, body=(b"[]",)),
        Message(Kind.READY, worker=9, body=(b"not a number",)),
        Message(Kind.READY, worker=9),
        Message(Kind.FINISHED, 1, FIRST, 0, (b"no pickle",)),
        Message(Kind.FAILED, 1, FIRST, 0, (b"N.",)),
        Message(Kind.LOST, worker=0, body=(b"N.",)),
        Message(Kind.START, 1, FIRST, 0, (b"",)),
    ],
    ids=lambda message: message.kind.name,
)
def test_nonsense_costs_the_connection_and_nothing_else(message: Message) -> None:
    scene = Scene()
    scene.join(b"A", "a")
    scene.join(b"B", "b")
    scene.hub.start(scene.job, FIRST, WorkerId(0), b"")
    scene.hub.start(scene.job, SECOND, WorkerId(1), b"")
    scene.say(b"A", message)
    assert [type(report) for report in scene.wait()] == [Lost, OutputsGone]
    assert b"A" in scene.wire.dropped
    assert len(scene.finish(b"B", SECOND)) == 1


def test_two_agents_on_one_host_are_told_apart() -> None:
    scene = Scene()
    scene.join(b"A", "a")
    hello = replace(HELLO, host="a", scratch="another")
    scene.say(b"B", Message(Kind.HELLO, body=hello.encode()))
    scene.wait()
    (welcome,) = [message for to, message in scene.wire.sent if to == b"B" and message.kind == Kind.WELCOME]
    assert Welcome.decode(welcome.body).host == "a.2"
    assert Welcome.decode(welcome.body).session == hello.session


def test_a_name_is_no_path() -> None:
    scene = Scene()
    scene.join(b"A", "../../etc")
    assert [agent.name for agent in scene.hub.agents()] == ["..-..-etc"]


def test_a_job_without_hosts_waits_and_then_fails() -> None:
    scene = Scene(lonely_seconds=10)
    assert scene.pass_time(9) == []
    assert [type(report) for report in scene.pass_time(1)] == [NoWorkers]


def test_a_job_whose_hosts_have_all_gone_does_not_wait() -> None:
    scene = Scene()
    scene.hub.hopeless = lambda: "no agent on a: ssh: connection refused"
    assert scene.wait() == [NoWorkers("no agent on a: ssh: connection refused")]


def test_a_host_without_workers_says_why() -> None:
    scene = Scene()
    scene.join(b"A", "a", workers=0)
    scene.say(b"A", Message(Kind.NO_WORKERS, body=(b"workers die at their start",)))
    assert scene.wait() == [NoWorkers("host a: workers die at their start")]


def test_the_next_job_finds_the_workers_of_the_last() -> None:
    scene = Scene()
    scene.join(b"A", "a")
    scene.hub.start(scene.job, FIRST, WorkerId(0), b"")
    scene.wait()
    scene.wire.kinds(b"A")
    scene.say(b"A", Message(Kind.END, scene.job))
    scene.hub.close_job(scene.job)
    assert scene.wire.kinds(b"A") == [Kind.END]
    scene.job = scene.hub.open_job(Begin("job-2"), b"")
    assert scene.wait() == [Ready(WorkerId(0), 500)]
    assert scene.finish(b"A", FIRST) == []
    assert scene.wire.kinds(b"A") == [Kind.BEGIN]


def test_closing_a_job_waits_for_what_runs_but_not_for_ever() -> None:
    scene = Scene()
    scene.join(b"A", "a")
    scene.hub.start(scene.job, FIRST, WorkerId(0), b"")
    before = scene.wire.time
    scene.hub.close_job(scene.job)
    assert 1 < scene.wire.time - before < 5
    scene.hub.close_job(scene.job)


def test_a_job_that_is_too_large_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mapreduce.engines.hub.PACKAGE_BYTES", 1000)
    with pytest.raises(UsageError, match="read large data from a file"):
        Scene().hub.open_job(Begin("job-2"), b"x" * 1001)


@pytest.mark.parametrize("answer", [Kind.BYE, Kind.HEARTBEAT])
def test_the_wire_closes_when_goodbyes_are_answered(answer: Kind) -> None:
    """Or when there was time enough to answer. Who can't be reached is not waited for."""
    scene = Scene()
    for peer in (b"A", b"B", b"C"):
        scene.join(peer, host=peer.decode())
    scene.wire.broken = {b"C"}
    began = scene.wire.time
    scene.say(b"A", Message(Kind.BYE))
    scene.say(b"B", Message(answer))
    scene.hub.close()
    assert scene.wire.time - began == (0 if answer == Kind.BYE else GOODBYE_SECONDS)


def test_goodbye_to_all() -> None:
    scene = Scene()
    scene.join(b"A", "a")
    scene.wire.kinds(b"A")
    scene.hub.close()
    assert scene.wire.kinds(b"A") == [Kind.BYE]
    scene.hub.close()
