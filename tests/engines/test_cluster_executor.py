"""What the cluster's executor makes of what hosts say: where outputs lie, and which hosts are avoided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from mapreduce.dataflow.attempt import ReduceSpec
from mapreduce.dataflow.package import JobPackage
from mapreduce.dataflow.results import AttemptResult, Failure, FailureKind, Output
from mapreduce.dataflow.skipping import COUNTER
from mapreduce.engines.cluster import ClusterExecutor
from mapreduce.engines.host_record import HostRecord, retryable_elsewhere
from mapreduce.engines.hub import Hub
from mapreduce.engines.meeting import Begin, encode_failure, encode_finished, encode_pid
from mapreduce.ids import AttemptId, TaskId, WorkerId
from mapreduce.tracker.executor import Cancelled, Failed, Finished, Lost, OutputsGone, Ready, Report
from mapreduce.wire.messages import Hello, Kind, Message
from mapreduce.wire.traffic import Link, Moved
from tests.engines.test_hub import HELLO, FakeWire

FULL = Failure(FailureKind.RESOURCE, "ResourceError", "no space left")


def map_(index: int) -> AttemptId:
    return AttemptId(TaskId(0, index), 0)


@dataclass
class FakeCarrier:
    """What was asked for arrives when the test says so."""

    wanted: list[tuple[AttemptId, tuple[str, ...], tuple[str, ...]]] = field(default_factory=list)
    here: list[tuple[AttemptId, Failure | None]] = field(default_factory=list)
    moved: dict[Link, Moved] = field(default_factory=dict)

    def fetch(self, attempt: AttemptId, hosts: Sequence[str], paths: Sequence[str]) -> None:
        self.wanted.append((attempt, tuple(hosts), tuple(paths)))

    def fetched(self) -> list[tuple[AttemptId, Failure | None]]:
        here, self.here = self.here, []
        return here

    def close(self) -> None: ...


class Scene:
    """A job of two stages on hosts with a worker each."""

    def __init__(self, *hosts: str, may_come: bool = False) -> None:
        self.wire = FakeWire()
        self.carrier = FakeCarrier()
        self.notes: list[str] = []
        self.may_come = may_come
        hub = Hub(self.wire, clock=self.wire.clock)
        self.executor = ClusterExecutor(
            hub,
            Begin("job-1"),
            JobPackage("job-1", b""),
            1,
            self.carrier,
            self.notes.append,
            may_come=lambda: self.may_come,
            clock=self.wire.clock,
        )
        self.workers: dict[str, WorkerId] = {}
        for host in hosts:
            self.join(host)
        self.wait()

    def join(self, host: str) -> None:
        hello = Hello("agent", HELLO.release, HELLO.python, host, 1, f"scratch of {host}")
        self.say(host, Message(Kind.HELLO, body=hello.encode()))
        self.say(host, Message(Kind.READY, worker=0, body=encode_pid(500)))

    def say(self, host: str, message: Message) -> None:
        self.wire.inbox.append((host.encode(), message))

    def wait(self) -> list[Report]:
        reports = self.executor.wait(0)
        for report in reports:
            if isinstance(report, Ready):
                self.workers[self.executor.host_of(report.worker)] = report.worker
        return reports

    def start(self, attempt: AttemptId, host: str) -> WorkerId:
        self.executor.start(attempt, self.workers[host], "spec")
        return self.workers[host]

    def finish(self, attempt: AttemptId, host: str, result: AttemptResult) -> list[Report]:
        self.say(host, Message(Kind.FINISHED, 1, attempt, 0, encode_finished(result)))
        return self.wait()

    def fail(self, attempt: AttemptId, host: str, failure: Failure) -> list[Report]:
        self.start(attempt, host)
        self.say(host, Message(Kind.FAILED, 1, attempt, 0, encode_failure(failure)))
        return self.wait()


def test_an_output_stays_on_its_host() -> None:
    scene = Scene("a", "b")
    worker = scene.start(map_(0), "b")
    (report,) = scene.finish(map_(0), "b", AttemptResult(Output("_job/segments/0-0-0.seg", bytes=7)))
    assert report == Finished(worker, map_(0), AttemptResult(Output("@b/_job/segments/0-0-0.seg", bytes=7)))
    scene.executor.close()
    assert scene.notes == ["by host: a 0 tasks (1 worker); b 1 tasks (1 worker)"]


def test_what_the_last_stage_wrote_is_brought_here_first() -> None:
    scene = Scene("a")
    attempt = AttemptId(TaskId(1, 0), 0)
    result = AttemptResult(Output("_job/attempts/1-0-0", bytes=7))
    worker = scene.start(attempt, "a")
    assert scene.finish(attempt, "a", result) == []
    assert scene.carrier.wanted == [(attempt, ("a",), ("_job/attempts/1-0-0",))]
    scene.carrier.here = [(attempt, None)]
    assert scene.wait() == [Finished(worker, attempt, result)]


def test_what_does_not_arrive_has_failed() -> None:
    scene = Scene("a")
    attempt = AttemptId(TaskId(1, 0), 0)
    worker = scene.start(attempt, "a")
    scene.finish(attempt, "a", AttemptResult(Output("_job/attempts/1-0-0")))
    failure = Failure(FailureKind.LOST, "LostWorkerError", "gone")
    scene.carrier.here = [(attempt, failure)]
    assert scene.wait() == [Failed(worker, attempt, failure)]


def test_skipped_records_are_brought_here_as_well() -> None:
    scene = Scene("a")
    scene.start(map_(3), "a")
    assert scene.finish(map_(3), "a", AttemptResult(Output(inline=b"partial"), {COUNTER: 2})) == []
    assert scene.carrier.wanted == [(map_(3), ("a",), ("_job/attempts/0-3-0.skipped",))]


def test_a_task_whose_inputs_went_with_a_host_is_not_sent() -> None:
    scene = Scene("a", "b")
    scene.say("a", Message(Kind.BYE))
    assert [type(report) for report in scene.wait()] == [Lost, OutputsGone]
    attempt = AttemptId(TaskId(1, 0), 0)
    tasks = (TaskId(0, 0), TaskId(0, 1))
    spec = ReduceSpec(0, tasks, ("@a/_job/segments/0-0-0.seg", "@b/_job/segments/0-1-0.seg"), (1, 2))
    scene.executor.start(attempt, scene.workers["b"], spec)
    (report,) = scene.wait()
    assert isinstance(report, Failed) and report.failure.kind is FailureKind.OUTPUT_LOST
    assert report.failure.lost == (TaskId(0, 0),)


def test_a_host_whose_disk_is_full_is_avoided_from_the_third_failure_on() -> None:
    scene = Scene("a", "b")
    for index in range(2):
        (report,) = scene.fail(map_(index), "a", FULL)
        assert isinstance(report, Failed) and report.failure.kind is FailureKind.LOST
        assert report.failure.message == "host a: no space left"
    _, withdrawn = scene.fail(map_(2), "a", FULL)
    assert isinstance(withdrawn, Lost) and withdrawn.withdrawn
    assert withdrawn.worker == scene.workers["a"]
    # On the last host that is left it is the job's end.
    assert scene.fail(map_(3), "b", FULL) == [Failed(scene.workers["b"], map_(3), FULL)]


def test_the_only_host_is_full_until_another_comes() -> None:
    scene = Scene("a", may_come=True)
    assert scene.fail(map_(0), "a", FULL) == []
    assert scene.wait() == []
    scene.join("b")
    assert [type(report) for report in scene.wait()] == [Ready]
    (report,) = scene.wait()
    assert isinstance(report, Failed) and report.failure.kind is FailureKind.LOST
    assert (report.attempt, report.failure.message) == (map_(0), "host a: no space left")


def test_the_only_host_is_full_and_no_other_comes() -> None:
    scene = Scene("a", may_come=True)
    assert scene.fail(map_(0), "a", FULL) == []
    for _ in range(29):
        scene.wire.time += 1.0
        scene.say("a", Message(Kind.HEARTBEAT))
        assert scene.wait() == []
    scene.wire.time += 1.0
    (report,) = scene.wait()
    assert isinstance(report, Failed) and report.failure.kind is FailureKind.RESOURCE
    assert report.failure.message == "no space left; no other host has come within 30 s"


def test_who_waits_for_another_host_can_be_told_to_stop() -> None:
    scene = Scene("a", may_come=True)
    scene.fail(map_(0), "a", FULL)
    scene.executor.cancel(map_(0), scene.workers["a"])
    assert scene.wait() == [Cancelled(scene.workers["a"], map_(0))]
    scene.fail(map_(1), "a", FULL)
    scene.may_come = False  # those that were named have ended
    (report,) = scene.wait()
    assert isinstance(report, Failed) and report.failure.message == "no space left; no other host will come"


def test_a_failure_of_the_job_is_not_the_hosts() -> None:
    scene = Scene("a", "b")
    failure = Failure(FailureKind.USER, "ValueError", "no")
    for index in range(5):
        assert scene.fail(map_(index), "a", failure) == [Failed(scene.workers["a"], map_(index), failure)]


@pytest.mark.parametrize(
    ("failed", "there", "avoided"),
    [
        ("aa", "abc", ""),
        ("aaa", "abc", "a"),
        ("aaabbb", "abc", "ab"),
        ("aaabbb", "ab", ""),
        ("aaa", "a", ""),
        ("aaa", "bc", ""),
    ],
)
def test_never_all_hosts_are_avoided(failed: str, there: str, avoided: str) -> None:
    record = HostRecord()
    for host in failed:
        record.note(host)
    assert record.choose_avoided(there) == set(avoided)


def test_only_want_of_something_is_excused() -> None:
    assert retryable_elsewhere(FULL, "a", others=0) is FULL
    assert retryable_elsewhere(FULL, "a", others=1).kind.retryable
