"""Which job runs next, and on how many slots? The service's state machine as lists of events."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mapreduce.errors import InternalError
from mapreduce.service.jobs import JOB_TABLE, Cause, JobState, next_state
from mapreduce.service.queue import (
    KILL_SECONDS,
    MOST_DEATHS,
    Command,
    Event,
    JobDied,
    JobEnded,
    JobQueue,
    KillAsked,
    Lease,
    LeaseReturned,
    Limits,
    NoteState,
    Refuse,
    SlotsChanged,
    StartJob,
    StopJob,
    Submitted,
    Tick,
)
from mapreduce.service.shares import Claim, Sharing, choose_hosts, share_slots

A, B, C = 1, 2, 3


def run(queue: JobQueue, *events: Event) -> list[Command]:
    """All commands that follow, but the notes of states."""
    commands = [command for event in events for command in queue.handle(event)]
    return [command for command in commands if not isinstance(command, NoteState)]


def test_a_job_waits_for_slots_and_starts_with_them() -> None:
    queue = JobQueue()
    assert run(queue, Submitted(0, A)) == []
    assert queue.state(A) is JobState.QUEUED
    assert run(queue, SlotsChanged(1, "a", 2)) == [StartJob(A), Lease(A, "a", 2)]
    assert run(queue, JobEnded(2, A, succeeded=True)) == []
    assert queue.state(A) is None


def test_fifo_gives_the_first_all_it_may_use_and_the_next_what_is_left() -> None:
    queue = JobQueue(Sharing.FIFO)
    run(queue, SlotsChanged(0, "a", 4))
    assert run(queue, Submitted(0, A, Claim(most=3))) == [StartJob(A), Lease(A, "a", 3)]
    assert run(queue, Submitted(0, B)) == [StartJob(B), Lease(B, "a", 1)]
    assert run(queue, Submitted(0, C)) == []
    assert run(queue, JobEnded(1, A, succeeded=True)) == [Lease(B, "a", 4)]
    assert run(queue, JobEnded(2, B, succeeded=False)) == [StartJob(C), Lease(C, "a", 4)]


def test_fair_sharing_asks_for_slots_and_lends_them_when_they_are_back() -> None:
    queue = JobQueue(Sharing.FAIR)
    assert run(queue, SlotsChanged(0, "a", 4), Submitted(0, A)) == [StartJob(A), Lease(A, "a", 4)]
    assert run(queue, Submitted(1, B)) == [StartJob(B), Lease(A, "a", 2)]
    assert queue.leases(A) == {"a": 4}
    assert run(queue, LeaseReturned(2, A, "a", 3)) == [Lease(B, "a", 1)]
    assert run(queue, LeaseReturned(3, A, "a", 2)) == [Lease(B, "a", 2)]


def test_what_was_asked_for_and_is_not_back_yet_is_given_again_first() -> None:
    queue = JobQueue(Sharing.FAIR)
    run(queue, SlotsChanged(0, "a", 4), Submitted(0, A), Submitted(1, B))
    assert run(queue, JobEnded(2, B, succeeded=True)) == [Lease(A, "a", 4)]
    assert run(queue, LeaseReturned(3, A, "a", 2)) == []  # it was on its way when we gave again
    assert queue.leases(A) == {"a": 4}


def test_weights() -> None:
    assert share_slots(10, [Claim(3), Claim(1), Claim(1)], Sharing.FAIR) == [6, 2, 2]
    assert share_slots(10, [Claim(1, most=1), Claim(1), Claim(1)], Sharing.FAIR) == [1, 5, 4]
    assert share_slots(2, [Claim(), Claim(), Claim()], Sharing.FAIR) == [1, 1, 0]


def test_a_host_that_is_gone_voids_its_leases() -> None:
    queue = JobQueue(Sharing.FAIR)
    run(queue, SlotsChanged(0, "a", 2), SlotsChanged(0, "b", 2), Submitted(0, A))
    assert queue.leases(A) == {"a": 2, "b": 2}
    assert run(queue, SlotsChanged(1, "b", 0, gone=True)) == []
    assert queue.leases(A) == {"a": 2}
    assert run(queue, LeaseReturned(1, A, "b", 0)) == []  # it noticed, too
    assert run(queue, SlotsChanged(2, "b", 3, gone=True)) == [Lease(A, "b", 3)]


def test_a_host_that_lends_less() -> None:
    queue = JobQueue(Sharing.FIFO)
    run(queue, SlotsChanged(0, "a", 4), Submitted(0, A))
    assert run(queue, SlotsChanged(1, "a", 1)) == [Lease(A, "a", 1)]
    assert run(queue, LeaseReturned(2, A, "a", 1)) == []
    assert queue.leases(A) == {"a": 1}


def test_at_most_so_many_at_once_and_waiting() -> None:
    queue = JobQueue(Sharing.FAIR, Limits(jobs=1, queued=1))
    assert run(queue, SlotsChanged(0, "a", 4), Submitted(0, A)) == [StartJob(A), Lease(A, "a", 4)]
    assert run(queue, Submitted(0, B)) == []
    (refused,) = run(queue, Submitted(0, C))
    assert isinstance(refused, Refuse) and refused.reason.startswith("1 jobs are waiting, and")
    assert queue.state(C) is None
    assert run(queue, Submitted(0, C, restored=True)) == []
    assert queue.state(C) is JobState.QUEUED


def test_a_job_is_killed_in_order_then_at_once() -> None:
    queue = JobQueue()
    run(queue, SlotsChanged(0, "a", 1), Submitted(0, A), Submitted(0, B))
    assert run(queue, KillAsked(1, B)) == []  # it never ran
    assert queue.state(B) is None
    assert run(queue, KillAsked(2, A)) == [StopJob(A)]
    assert run(queue, KillAsked(3, A)) == []
    assert queue.wake_time() == 2 + KILL_SECONDS
    assert run(queue, Tick(2 + KILL_SECONDS)) == [StopJob(A, at_once=True)]
    assert run(queue, JobDied(20, A)) == []
    assert queue.state(A) is None


def test_a_job_whose_process_dies_is_started_again_but_not_for_ever() -> None:
    queue = JobQueue()
    notes: list[NoteState] = []
    run(queue, SlotsChanged(0, "a", 1))
    queue.handle(Submitted(0, A))
    time = 0.0
    for _ in range(MOST_DEATHS):
        assert queue.state(A) is JobState.RUNNING
        notes += [each for each in queue.handle(JobDied(time, A, "killed by SIGSEGV")) if isinstance(each, NoteState)]
        wake = queue.wake_time()
        if wake is not None:
            assert run(queue, Tick(wake - 0.1)) == []
            assert run(queue, Tick(wake)) == [StartJob(A), Lease(A, "a", 1)]
            time = wake
    assert notes[-1] == NoteState(A, JobState.FAILED, "its process died 3 times; the last time: killed by SIGSEGV")
    assert queue.wake_time() is None


@pytest.mark.parametrize(("state", "cause"), sorted(set(product(JobState, Cause)) - set(JOB_TABLE), key=str))
def test_what_the_table_does_not_know(state: JobState, cause: Cause) -> None:
    with pytest.raises(InternalError, match="please report it"):
        next_state(state, cause)


# --- laws

CLAIMS = st.builds(Claim, st.sampled_from([0.5, 1.0, 1.0, 2.0, 5.0]), st.none() | st.integers(1, 9))


@given(st.integers(0, 60), st.lists(CLAIMS, max_size=8), st.sampled_from(Sharing))
def test_shares(slots: int, claims: list[Claim], sharing: Sharing) -> None:
    shares = share_slots(slots, claims, sharing)
    most = [slots if claim.most is None else claim.most for claim in claims]
    assert all(share <= bound for share, bound in zip(shares, most, strict=True))
    assert sum(shares) == min(slots, sum(min(bound, slots) for bound in most))  # nothing lies idle that could be used
    if sharing is Sharing.FAIR:
        for i, j in product(range(len(claims)), repeat=2):
            if shares[i] < min(most[i], slots):  # who could use more has no less than anybody, but for one slot
                assert shares[j] / claims[j].weight <= (shares[i] + 1) / claims[i].weight + 1e-9


@given(st.integers(0, 20), st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 9)))
def test_chosen_hosts(count: int, free: dict[str, int]) -> None:
    taken = choose_hosts(count, free)
    assert sum(taken.values()) == min(count, sum(free.values()))
    assert all(0 < slots <= free[host] for host, slots in taken.items())


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("submit"), CLAIMS),
        st.tuples(st.sampled_from(["end", "die", "kill", "give back"]), st.integers(0, 9)),
        st.tuples(st.just("host"), st.tuples(st.sampled_from("abc"), st.integers(0, 5), st.booleans())),
        st.tuples(st.just("wait"), st.floats(0, 15)),
    ),
    max_size=60,
)


@settings(max_examples=200)
@given(STEPS, st.sampled_from(Sharing), st.integers(1, 4))
def test_the_queue_keeps_its_promises(steps: list[tuple[str, object]], sharing: Sharing, at_once: int) -> None:
    """Random histories against a model of the world, in which jobs obey late."""
    world = World(JobQueue(sharing, Limits(jobs=at_once, queued=5)))
    for what, detail in steps:
        world.step(what, detail)
        world.check()
    world.settle()


class World:
    """Carries out the queue's commands, and knows what jobs really use."""

    def __init__(self, queue: JobQueue) -> None:
        self.queue = queue
        self.time = 0.0
        self.number = 0
        self.taken: set[int] = set()
        self.ended: set[int] = set()
        self.started: list[int] = []
        self.running: set[int] = set()
        self.dead: set[int] = set()  # died at least once
        self.slots: dict[str, int] = {}
        self.allowed: dict[int, dict[str, int]] = {}
        self.used: dict[int, dict[str, int]] = {}

    def tell(self, event: Event) -> None:
        for command in self.queue.handle(event):
            match command:
                case StartJob(job):
                    assert job in self.taken and job not in self.ended and job not in self.running
                    self.running.add(job)
                    self.started.append(job)
                    self.allowed[job], self.used[job] = {}, {}
                case Lease(job, host, slots):
                    assert job in self.running
                    self.allowed[job][host] = slots
                    self.used[job][host] = max(slots, self.used[job].get(host, 0))
                case Refuse(job):
                    self.taken.discard(job)
                case NoteState(job, state):
                    if state.ended:
                        assert job not in self.ended
                        self.ended.add(job)

    def gone(self, job: int) -> None:
        self.running.discard(job)
        self.allowed.pop(job, None)
        self.used.pop(job, None)

    def step(self, what: str, detail: object) -> None:
        self.time += 0.1
        running = sorted(self.running)
        if what == "submit":
            assert isinstance(detail, Claim)
            self.number += 1
            self.taken.add(self.number)
            self.tell(Submitted(self.time, self.number, detail))
        elif what == "host":
            assert isinstance(detail, tuple)
            self.host(*detail)
        elif what == "wait":
            assert isinstance(detail, float)
            self.time += detail
            self.tell(Tick(self.time))
        elif what == "kill" and self.number:
            self.tell(KillAsked(self.time, int(str(detail)) % self.number + 1))
        elif running:
            self.job(what, running[int(str(detail)) % len(running)])

    def host(self, host: str, slots: int, gone: bool) -> None:
        if gone:
            for used in (*self.used.values(), *self.allowed.values()):
                used.pop(host, None)
        self.slots[host] = slots
        self.tell(SlotsChanged(self.time, host, slots, gone))

    def job(self, what: str, job: int) -> None:
        if what == "give back":
            for host, allowed in list(self.allowed[job].items()):
                if self.used[job].get(host, 0) > allowed:
                    self.used[job][host] -= 1
                    self.tell(LeaseReturned(self.time, job, host, self.used[job][host]))
                    return
        else:
            self.gone(job)
            self.dead |= {job} if what == "die" else set()
            self.tell(JobEnded(self.time, job, True) if what == "end" else JobDied(self.time, job, "killed"))

    def check(self) -> None:
        for host, slots in self.slots.items():
            used = sum(each.get(host, 0) for each in self.used.values())
            lasting = [job for job in self.allowed if self.queue.state(job) is JobState.RUNNING]
            shrunk = sum(self.allowed[job].get(host, 0) for job in lasting)  # who is being stopped is asked for nothing
            assert shrunk <= slots, "more slots are lent than there are"
            if used > slots:  # only because the host lends less than it did
                assert used > shrunk
        assert len(self.running) <= self.queue.limits.jobs
        known = {job for job in self.taken if self.queue.state(job) is not None}
        assert known == self.taken - self.ended, "a job was forgotten"
        firsts = [job for number, job in enumerate(self.started) if job not in self.started[:number]]
        fresh = [job for job in firsts if job not in self.dead]
        assert fresh == sorted(fresh), "a job overtook another"

    def settle(self) -> None:
        """With a host of their own and time, all jobs come to their end."""
        self.host("z", 4, True)
        for _ in range(500):
            if self.taken == self.ended:
                return
            self.time += 40
            self.tell(Tick(self.time))
            for job in sorted(self.running):
                for host in list(self.allowed[job]):
                    while self.used[job].get(host, 0) > self.allowed[job][host]:
                        self.job("give back", job)
                self.job("end", job)
                self.check()
        raise AssertionError(f"{self.taken - self.ended} never ended")
