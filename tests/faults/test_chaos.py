"""Faults on purpose: which they are is a matter of the seed alone, and they are told as what they were."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import mapreduce as mr
from mapreduce.dataflow.attempt import FoldMapSpec, MapSpec, ReduceSpec
from mapreduce.dataflow.results import AttemptResult, Output
from mapreduce.engines.chaos import (
    BACKUP_SECONDS,
    DEFAULT_RATES,
    HOST_FAULTS,
    SUFFERING_ATTEMPTS,
    Chaos,
    ChaosExecutor,
    account,
    chaos_policy,
    one_account,
    parse_chaos,
)
from mapreduce.engines.injuries import Fault, FaultKind, Injured, Moment, damage
from mapreduce.formats.base import Extent, InputFile, Split
from mapreduce.ids import AttemptId, TaskId, WorkerId
from mapreduce.tracker.executor import Cancelled, Finished, LogLines, Lost, Report
from mapreduce.tracker.plan import plan_keyed
from mapreduce.tracker.policy import Policy

WORKER = WorkerId(4)


def attempt(index: int, number: int = 0, stage: int = 0) -> AttemptId:
    return AttemptId(TaskId(stage, index), number)


# --- what is asked for


def test_a_bare_seed_has_the_default_rates() -> None:
    assert parse_chaos("7") == Chaos(7, DEFAULT_RATES)
    assert parse_chaos("-3").seed == -3


def test_faults_that_are_not_named_do_not_happen() -> None:
    assert parse_chaos("7:kill=0.5, slow=1e-1").rates == {FaultKind.KILL: 0.5, FaultKind.SLOW: 0.1}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "'' is no seed"),
        ("seven", "'seven' is no seed"),
        ("7:", "no fault ''"),
        ("7:kil=0.1", "no fault 'kil'; did you mean 'kill'"),
        ("7:kill", "'' is no rate"),
        ("7:kill=often", "'often' is no rate"),
        ("7:kill=1.5", "the rate is 1.5; it must be from 0"),
        ("7:kill=-0.1", "the rate is -0.1"),
        ("7:kill=nan", "the rate is nan"),
        ("7:kill=0.6,stop=0.6", "add up to 1.2"),
        ("7:kill=0.1,kill=0.2", "kill is named twice"),
    ],
)
def test_what_cannot_be_read_is_named(text: str, said: str) -> None:
    with pytest.raises(mr.UsageError) as caught:
        parse_chaos(text)
    assert said in str(caught.value)


# --- which attempt suffers what


def test_faults_are_a_matter_of_seed_job_and_attempt() -> None:
    rates = {FaultKind.KILL: 0.3, FaultKind.STOP: 0.3}
    names = [attempt(index, number) for index in range(50) for number in range(2)]

    def faults(seed: int, job: str) -> list[Fault | None]:
        return [Chaos(seed, rates, job).fault_for(name) for name in names]

    assert faults(1, "job-1") == faults(1, "job-1")
    assert faults(1, "job-1") != faults(2, "job-1")
    assert faults(1, "job-1") != faults(1, "job-2")
    known = Chaos(1, rates).fault_for(attempt(1))
    assert known is not None  # written down: it must not change from one process, or version of Python, to the next
    assert (known.kind, known.moment, round(known.seconds, 6)) == (FaultKind.KILL, Moment.START, 0.011395)


def test_rates_are_shares_of_the_attempts() -> None:
    chaos = Chaos(5, {FaultKind.KILL: 0.2, FaultKind.CORRUPT: 0.5})
    kinds = [fault.kind for index in range(4000) if (fault := chaos.fault_for(attempt(index)))]
    assert kinds.count(FaultKind.KILL) == pytest.approx(800, abs=80)
    assert kinds.count(FaultKind.CORRUPT) == pytest.approx(2000, abs=100)
    assert len(kinds) == kinds.count(FaultKind.KILL) + kinds.count(FaultKind.CORRUPT)


def test_a_task_is_left_alone_in_the_end() -> None:
    chaos = Chaos(5, {FaultKind.KILL: 1.0})
    suffer = [chaos.fault_for(attempt(3, number)) is not None for number in range(6)]
    assert suffer == [True] * SUFFERING_ATTEMPTS + [False] * 4


def test_only_the_first_attempt_of_a_job_takes_others_with_it() -> None:
    chaos = [Chaos(seed, {FaultKind.KILL: 1.0}) for seed in range(20)]
    after = [
        name
        for one in chaos
        for name in (attempt(index, number, stage) for index in range(9) for number in range(2) for stage in range(2))
        if (fault := one.fault_for(name)) and fault.moment is Moment.REPORTED
    ]
    assert set(after) == {attempt(0)}


def test_the_tracker_is_patient_with_losses_and_not_with_silence() -> None:
    policy = chaos_policy(Policy(), plan_keyed(100, 4, 0), parse_chaos("7"))
    assert policy.backup_seconds == BACKUP_SECONDS
    assert policy.max_lost_inputs >= 200
    assert policy.max_attempts == Policy().max_attempts
    with_hosts = chaos_policy(Policy(), plan_keyed(100, 4, 0), parse_chaos("7:kill-host=0.1"))
    assert with_hosts.max_attempts == Policy().max_attempts + HOST_FAULTS


# --- damage


@pytest.mark.parametrize(("place", "way"), [(0.1, "cut short"), (0.5, "gone"), (0.9, "flipped")])
def test_a_file_is_damaged(place: float, way: str, tmp_path: Path) -> None:
    data = bytes(range(100))
    path = tmp_path / "segment"
    path.write_bytes(data)
    output = Output(path="segment", bytes=100)
    assert damage(str(tmp_path), output, Fault(FaultKind.CORRUPT, Moment.END, 0.0, place)) == output
    left = path.read_bytes() if path.exists() else None
    if way == "gone":
        assert left is None
    elif way == "cut short":
        assert left == data[: len(left or b"")] != data
    else:
        assert left is not None
        assert len(left) == 100
        assert sum((a ^ b).bit_count() for a, b in zip(left, data, strict=True)) == 1


@pytest.mark.parametrize("place", [0.0, 0.3, 0.6, 0.999])
def test_a_message_is_damaged(place: float) -> None:
    output = damage("", Output(inline=b"partial", checksum=1), Fault(FaultKind.CORRUPT, Moment.END, 0.0, place))
    assert output is not None
    assert output.inline != b"partial"


def test_nothing_and_parts_are_not_damaged(tmp_path: Path) -> None:
    (tmp_path / "attempt").mkdir()
    fault = Fault(FaultKind.CORRUPT, Moment.END, 0.0)
    assert damage(str(tmp_path), Output(path="attempt"), fault) is None
    assert damage(str(tmp_path), Output(inline=b""), fault) is None


# --- the executor, with no process at all


class Fake:
    """An executor that reports what it is told to, on these hosts."""

    runs_here = False

    def __init__(self, *hosts: str) -> None:
        self.hosts = list(hosts)
        self.started: list[Any] = []
        self.reports: list[Report] = []

    def workers(self) -> Sequence[WorkerId]:
        return [WORKER]

    def host_of(self, worker: WorkerId) -> str:
        return "a"

    def hosts_here(self) -> Sequence[str]:
        return self.hosts

    def start(self, attempt: AttemptId, worker: WorkerId, spec: Any) -> None:
        self.started.append(spec)

    def cancel(self, attempt: AttemptId, worker: WorkerId) -> None: ...

    def wait(self, timeout_seconds: float) -> list[Report]:
        reports, self.reports = self.reports, []
        return reports

    def close(self) -> None: ...


class Scene:
    """A chaos executor around a fake one, where every attempt suffers the same."""

    def __init__(self, kind: FaultKind, *hosts: str) -> None:
        self.fake = Fake(*hosts)
        self.notes: list[str] = []
        self.executor = ChaosExecutor(self.fake, Chaos(1, {kind: 1.0}), self.notes.append, self.fake if hosts else None)

    def note(self) -> str:
        self.executor.close()
        self.executor.close()
        (note,) = self.notes
        return note

    def reports(self, *reports: Report) -> list[Report]:
        self.fake.reports += reports
        return self.executor.wait(1.0)

    def start(self, *attempts: AttemptId, worker: WorkerId = WORKER) -> None:
        for each in attempts:
            self.executor.start(each, worker, FOLD)


SPLIT = Split(0, InputFile("a.txt", 1, 0), Extent(0, 0, 1))


FOLD = FoldMapSpec(SPLIT)


def done(name: AttemptId) -> Finished:
    return Finished(WORKER, name, AttemptResult(Output(inline=b"abc", checksum=1)))


def told(kind: str, name: AttemptId, *, before: str = "", after: str = "") -> LogLines:
    return LogLines(WORKER, name, f"{before}chaos: {kind} strikes {name}\n{after}")


def test_a_kill_is_counted_when_the_worker_dies() -> None:
    scene = Scene(FaultKind.KILL)
    scene.start(attempt(3))
    (sent,) = scene.fake.started
    assert isinstance(sent, Injured)
    assert sent.spec is FOLD
    assert scene.reports(Lost(WORKER, "killed", attempt(3))) == [Lost(WORKER, "killed", attempt(3))]
    scene.reports(done(attempt(3, 2)))
    assert scene.note() == "chaos (seed 1) inflicted 1 kill; all survived"


def test_what_was_not_survived_is_not_said_to_be() -> None:
    scene = Scene(FaultKind.KILL)
    scene.start(attempt(3))
    scene.reports(Lost(WORKER, "killed", attempt(3)))
    assert scene.note() == "chaos (seed 1) inflicted 1 kill"


def test_the_end_of_an_attempt_that_nobody_wants_costs_nothing() -> None:
    scene = Scene(FaultKind.KILL)
    scene.start(attempt(3))
    scene.reports(done(attempt(3, 2)))  # a backup was faster
    scene.executor.cancel(attempt(3), WORKER)
    scene.reports(Lost(WORKER, "killed", attempt(3)))
    assert scene.note() == "chaos (seed 1) inflicted 1 kill; all survived"


def test_what_befalls_attempts_that_were_left_alone_is_no_deed_of_ours() -> None:
    scene = Scene(FaultKind.KILL)
    scene.start(attempt(3, 2))
    assert scene.fake.started == [FOLD]
    scene.reports(Lost(WORKER, "killed", attempt(3, 2)))
    assert "spared every attempt" in scene.note()


def test_only_what_readers_check_is_corrupted() -> None:
    scene = Scene(FaultKind.CORRUPT)
    specs = (FOLD, MapSpec(SPLIT), ReduceSpec(0, (), (), ()))
    for index, spec in enumerate(specs):
        scene.executor.start(attempt(index), WORKER, spec)
    assert [isinstance(sent, Injured) for sent in scene.fake.started] == [True, True, False]


def test_what_a_worker_tells_is_counted_and_not_shown() -> None:
    scene = Scene(FaultKind.STOP)
    scene.start(attempt(3))
    before, after = "loading\n", "Traceback of the job's own\n"
    reports = scene.reports(told("stop", attempt(3)), told("stop", attempt(4), before=before, after=after))
    assert reports == [LogLines(WORKER, attempt(4), before + after)]
    scene.reports(Cancelled(WORKER, attempt(3)))
    assert scene.note() == "chaos (seed 1) inflicted 2 stops; all survived"


def test_a_host_suffers_alone_and_never_the_last() -> None:
    scene = Scene(FaultKind.KILL_HOST, "a", "b")
    scene.start(attempt(0), attempt(1))
    assert [isinstance(sent, Injured) for sent in scene.fake.started] == [True, False]
    scene.fake.hosts = ["b"]
    scene.reports(Lost(WORKER, "host a is gone", attempt(0)))
    scene.start(attempt(2))
    scene.fake.hosts = ["a", "b"]
    scene.start(attempt(3))
    scene.reports(done(attempt(0, 1)), done(attempt(3)))
    scene.start(attempt(4))  # two are enough
    assert [isinstance(sent, Injured) for sent in scene.fake.started] == [True, False, False, True, False]
    assert scene.note() == "chaos (seed 1) inflicted 1 host kill; all survived"


def test_a_host_that_strikes_before_the_report_ahead_of_it_was_sent() -> None:
    scene = Scene(FaultKind.STOP_HOST, "a", "b")
    scene.start(attempt(1, 2), attempt(2))  # the first is left alone
    scene.fake.hosts = ["b"]
    scene.reports(Lost(WORKER, "host a is gone", attempt(1, 2)))
    scene.reports(done(attempt(2, 1)))
    assert scene.note() == "chaos (seed 1) inflicted 1 host stop; all survived"


def test_a_worker_that_dies_takes_no_host_with_it() -> None:
    scene = Scene(FaultKind.KILL_HOST, "a", "b")
    scene.start(attempt(1, 2), attempt(2))
    scene.reports(Lost(WORKER, "killed", attempt(1, 2)))
    assert "spared every attempt" in scene.note()


def test_the_jobs_of_a_fit_are_told_as_one() -> None:
    one = account(7, {FaultKind.KILL: 1, FaultKind.STOP: 2}, all_survived=True)
    two = account(7, {FaultKind.KILL: 3}, all_survived=True)
    none = account(7, {}, all_survived=True)
    lost = account(7, {FaultKind.SLOW: 1}, all_survived=False)
    assert one_account(["first", one, "second", none, two]) == [
        "first",
        "chaos (seed 7) inflicted 4 kills, 2 stops; all survived",
        "second",
    ]
    assert one_account([one, lost]) == ["chaos (seed 7) inflicted 1 kill, 2 stops, 1 slowed attempt"]
    assert one_account([none, none]) == [none]
    assert one_account(["first", one]) == ["first", one]
