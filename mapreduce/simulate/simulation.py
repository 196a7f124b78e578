"""What happens when the tracker's commands are carried out on simulated hosts?

    timetable --what is due--> hosts --event--> Tracker.handle --[command]--> hosts --what will happen--> timetable
                                 ^
                            misfortunes

As `tracker.driver` does for real workers, this loop decides nothing: it turns what happens into events and carries out
the commands in their order. Time passes only when everything that is due has been done. The tracker's ticks come when
it asks for them.
"""

from __future__ import annotations

import math
import time as clocks
from array import array
from collections.abc import Callable
from random import Random

from mapreduce.dataflow.results import AttemptResult, Failure, FailureKind, Output
from mapreduce.errors import InternalError
from mapreduce.ids import WorkerId
from mapreduce.simulate.cluster import Host, Run, Worker, make_hosts
from mapreduce.simulate.misfortunes import Misfortunes
from mapreduce.simulate.network import Network
from mapreduce.simulate.outputs import Outputs
from mapreduce.simulate.results import Cost, Simulated, StageSpan, Tally, peak_memory_bytes
from mapreduce.simulate.scenario import Scenario as Scenario
from mapreduce.simulate.timetable import Timetable
from mapreduce.tracker.commands import CancelAttempt, Command, Commit, NoteFailure, StartAttempt
from mapreduce.tracker.events import (
    AttemptCancelled,
    AttemptFailed,
    AttemptFinished,
    AttemptProgressed,
    Event,
    Stop,
    Tick,
    WorkerJoined,
    WorkerLost,
)
from mapreduce.tracker.tracker import Tracker

PROGRESS_SECONDS = 20.0
"""Between two signs of life of an attempt: a third of what the tracker takes for standing still."""

OBEY_SECONDS = 0.5
"""From a cancel to the end of a running attempt: it looks between two blocks of its input."""

ATTEMPTS_A_TASK = 4
"""When so many attempts a task have run (and 10,000), the job is stopped: where hosts are lost faster than their maps
are repeated, a job goes round in circles, and nobody would wait for it."""

_RESULT = AttemptResult(Output())


def simulate(scenario: Scenario, clock: Callable[[], float] = clocks.perf_counter) -> Simulated:
    """Run the scenario to the end of its job, whichever that is. `clock` measures what that costs, nothing else."""
    return Simulation(scenario, clock).run()


class Simulation:
    """One run of one scenario."""

    def __init__(self, scenario: Scenario, clock: Callable[[], float]) -> None:
        plan = scenario.workload.plan
        self.timetable = Timetable()
        self.tally = Tally()
        self.outputs = Outputs(plan)
        self.hosts = make_hosts(scenario.hosts, scenario.faults.slow, Random(f"{scenario.seed}/slow"))
        self._scenario = scenario
        self._clock = clock
        self._network: Network | None = None
        self._places: list[tuple[int, ...]] = []
        sources = None
        if scenario.links is not None:
            self._network = Network(scenario.links, scenario.hosts, self.timetable)
            if scenario.workload.work[0].bytes:
                self._places = scenario.places()
                sources = {0: [tuple(map(str, hosts)) for hosts in self._places]}
        self._latency = 0.0 if scenario.links is None else scenario.links.latency
        self._tracker = Tracker(plan, scenario.policy, placement=scenario.placement, sources=sources)
        self._random = Random(f"{scenario.seed}/losses")
        self._misfortunes = Misfortunes(self, scenario.faults, Random(f"{scenario.seed}/faults"))
        self._seconds = scenario.workload.draw(scenario.seed)
        self._took = [array("d", bytes(8 * stage.tasks)) for stage in plan.stages]  # of committed attempts
        self._spans = [[-1.0, 0.0] for _ in plan.stages]
        self._workers: dict[WorkerId, Worker] = {}
        self._next_worker = 0
        self._reporting: Run | None = None
        self._handle_seconds = 0.0
        self._most_attempts = ATTEMPTS_A_TASK * plan.tasks + 10_000

    def run(self) -> Simulated:
        began, cpu_began = self._clock(), clocks.process_time()
        tracker, timetable = self._tracker, self.timetable
        self.tell(Tick(0.0))  # a plan without tasks is done before anything happens
        for host in self.hosts:
            timetable.at(self._scenario.startup_seconds, self.join, host)
        self._misfortunes.enter()
        while tracker.outcome is None:
            wake, due = tracker.wake_time(), timetable.next_time
            if wake is not None and (due is None or wake < due):
                timetable.now = max(timetable.now, wake)
                self.tell(Tick(timetable.now))
            elif due is None:
                raise InternalError("the simulated job hangs: nothing is due, and it has not ended; please report it")
            else:
                timetable.step()
            if self.tally.attempts > self._most_attempts and tracker.outcome is None:
                reason = f"{self.tally.attempts:,} attempts have run and the end is not near: outputs are lost too fast"
                self.tell(Stop(timetable.now, reason))
        for host in self.hosts:
            for worker in host.workers:
                self._stop_counting(worker)
        return self._result(self._clock() - began, clocks.process_time() - cpu_began)

    def tell(self, event: Event) -> None:
        """Give the tracker an event and carry out what it wants."""
        started = self._clock()
        commands = self._tracker.handle(event)
        self._handle_seconds += self._clock() - started
        self.tally.events += 1
        self.tally.commands += len(commands)
        for command in commands:
            self._obey(command)

    def _obey(self, command: Command) -> None:
        match command:
            case StartAttempt():
                self._start(command)
            case Commit():
                self._commit(command)
            case CancelAttempt():
                self._cancel(command)
            case NoteFailure():
                self.tally.failed_attempts += 1

    # Attempts

    def _start(self, command: StartAttempt) -> None:
        worker = self._workers[command.worker]
        run = Run(command.attempt, worker)
        if command.backup:
            run.is_backup = True
            self.tally.backups += 1
        worker.holds.append(run)
        if len(worker.holds) > 1:
            return
        if self._latency:  # the command is on its way
            self.timetable.at(self.timetable.now + self._latency, self._begin_if_idle, worker)
        else:
            self._begin_next(worker)

    def _begin_if_idle(self, worker: Worker) -> None:
        if worker.holds and worker.holds[0].started < 0:
            self._begin_next(worker)

    def _begin_next(self, worker: Worker) -> None:
        """The first of what the worker holds begins, if there is one and the host gets on."""
        host = worker.host
        if not worker.holds or not host.runs_now:
            return
        run, now = worker.holds[0], self.timetable.now
        stage, index = run.attempt.task
        work, seconds = self._scenario.workload.work[stage], self._seconds[stage][index]
        run.started = now
        run.fetched = now + seconds * work.fetch * host.computing
        computing = seconds * (work.disk * host.disk + (1.0 - work.fetch - work.disk) * host.computing)
        run.ends = run.fetched + computing if self._network is None else math.inf
        self.tally.attempts += 1
        span = self._spans[stage]
        if span[0] < 0:
            span[0] = now
        if stage and self.outputs.missing_for(run.attempt.task):
            self.timetable.at(now + self._random.random() * (run.fetched - now), self.read_inputs, run)
        elif self._network is None:
            self.timetable.at(run.ends, self._finish, run)
        else:
            self._fetch(self._network, run)
        if run.ends - now > PROGRESS_SECONDS:
            self.timetable.at(now + PROGRESS_SECONDS, self._progress, run)

    def _computing_seconds(self, run: Run) -> float:
        stage, index = run.attempt.task
        work, host = self._scenario.workload.work[stage], run.worker.host
        share = work.disk * host.disk + (1.0 - work.fetch - work.disk) * host.computing
        return self._seconds[stage][index] * share

    def _fetch(self, network: Network, run: Run) -> None:
        """What the attempt reads of other hosts. A map computes meanwhile, others when all is there."""
        stage, index = run.attempt.task
        here, size = run.worker.host.number, self._scenario.workload.work[stage].bytes
        started, computing = self.timetable.now, self._computing_seconds(run)
        source = None
        if stage:
            size *= 1 - 1 / len(self.hosts)  # what lies here
        elif not size or here in self._places[index]:
            self.tally.bytes_here += size
            size = 0.0
        else:
            source = network.nearest(self._places[index])

        def arrived() -> None:
            now = self.timetable.now
            run.flow = None
            run.ends = now + computing if stage else max(started + computing, now)
            self.timetable.at(run.ends, self._finish, run)

        if size:
            run.flow = network.start(source, here, size, arrived)
        else:
            arrived()

    def _end_flow(self, run: Run) -> None:
        if run.flow is not None and self._network is not None:
            self._network.stop(run.flow)
            run.flow = None

    def _finish(self, run: Run) -> None:
        host = run.worker.host
        if not run.alive or host.stopped >= 0 or self.timetable.now < run.ends:
            return
        self._leave(run)
        if host.cut:
            host.late.append(run)
        elif self._latency:
            self.timetable.at(self.timetable.now + self._latency, self._hear_finished, run)
        else:
            self.report_finished(run)

    def _hear_finished(self, run: Run) -> None:
        """The report has come, unless its host is gone by now and the tracker was told."""
        host = run.worker.host
        if host.cut:
            host.late.append(run)
        elif host.up and run.worker.id in self._workers:
            self.report_finished(run)

    def report_finished(self, run: Run) -> None:
        self._reporting = run
        self.tell(AttemptFinished(self.timetable.now, run.attempt, run.worker.id, _RESULT))

    def _progress(self, run: Run) -> None:
        """A sign of life, and the next one is due."""
        if not run.alive:
            return
        now, host = self.timetable.now, run.worker.host
        if host.runs_now and not host.cut:
            work_done = int(1000 * (now - run.started))
            self.tell(AttemptProgressed(now, run.attempt, run.worker.id, work_done))
        self.timetable.at(now + PROGRESS_SECONDS, self._progress, run)

    def read_inputs(self, run: Run) -> None:
        """An attempt reads what may be gone: it fails and says so, unless it is there again."""
        if not run.alive or run.worker.host.stopped >= 0:
            return
        missing = () if run.worker.host.cut else self.outputs.missing_for(run.attempt.task)
        if not missing:
            if self._network is not None and run.ends == math.inf:
                self._fetch(self._network, run)
            else:
                self.timetable.at(run.ends, self._finish, run)
            return
        self._leave(run)
        failure = Failure(FailureKind.OUTPUT_LOST, "OutputLostError", "an input cannot be read", lost=missing)
        self.tell(AttemptFailed(self.timetable.now, run.attempt, run.worker.id, failure))

    def _cancel(self, command: CancelAttempt) -> None:
        worker = self._workers.get(command.worker)
        for run in worker.holds if worker else ():
            if run.attempt == command.attempt:
                self.timetable.at(self.timetable.now + OBEY_SECONDS * (run.started >= 0), self.end_cancelled, run)

    def end_cancelled(self, run: Run) -> None:
        """A worker obeys a cancel. One that stands still doesn't, and is killed; one that is cut off hears it later."""
        host = run.worker.host
        if not run.alive or not host.up:
            return
        if host.cut:
            host.unheard.append(run)
        elif host.stopped >= 0:
            self.lose_worker(run.worker, "it did not obey")
            host.workers.remove(run.worker)  # in its place comes another when the host goes on
        else:
            self._leave(run)
            self.tell(AttemptCancelled(self.timetable.now, run.attempt, run.worker.id))

    def _leave(self, run: Run) -> None:
        """An attempt is over, and its worker goes on."""
        run.alive = False
        self._end_flow(run)
        worker = run.worker
        worker.holds.remove(run)
        if run.started >= 0:
            run.took = self.timetable.now - run.started
            self.tally.work_seconds += run.took
            self._begin_next(worker)

    def _commit(self, command: Commit) -> None:
        run = self._reporting
        if run is None or run.attempt != command.attempt:
            raise InternalError(f"the tracker commits {command.attempt}, which nobody reported; please report it")
        task = command.attempt.task
        stage, index = task
        self.tally.made_again += self._took[stage][index] > 0
        self._took[stage][index] = run.took
        self._spans[stage][1] = self.timetable.now
        self.tally.backups_won += run.is_backup
        self.outputs.commit(task, run.worker.host)
        rate = self._scenario.faults.lost_outputs
        if rate and self._random.random() < rate:
            self.outputs.lose(task)

    # Workers

    def join(self, host: Host) -> None:
        """The host takes work, with new workers in all of its slots that have none."""
        if not host.up:
            host.up, host.told = True, False
            self._misfortunes.host_is_up(host)
        for _ in range(self._scenario.slots - len(host.workers)):
            worker = Worker(WorkerId(self._next_worker), host)
            self._next_worker += 1
            host.workers.append(worker)
            self._workers[worker.id] = worker
            self.tell(WorkerJoined(self.timetable.now, worker.id, host=str(host.number)))

    def resume(self, host: Host, lost_seconds: float) -> None:
        """After a stop: what ran goes on, that much later."""
        for worker in host.workers:
            if worker.holds and worker.holds[0].started >= 0:
                run = worker.holds[0]
                run.fetched += lost_seconds
                run.ends += lost_seconds
                if run.ends == math.inf:  # it still reads; the end follows from when it has all
                    continue
                is_reading = run.fetched > self.timetable.now
                self.timetable.at(*((run.fetched, self.read_inputs) if is_reading else (run.ends, self._finish)), run)
            else:
                self._begin_next(worker)

    def kill(self, worker: Worker) -> None:
        """The worker's attempts are over. The tracker does not know yet."""
        self._stop_counting(worker)
        for run in worker.holds:
            run.alive = False
            self._end_flow(run)
        worker.holds.clear()

    def lose_worker(self, worker: Worker, reason: str) -> None:
        """The tracker is told that the worker is no more. What it still runs, it runs in vain."""
        if self._workers.pop(worker.id, None) is not None:
            self.tally.workers_lost += 1
            if not worker.host.cut:
                self.kill(worker)
            self.tell(WorkerLost(self.timetable.now, worker.id, reason))

    def running(self) -> list[Run]:
        """All attempts that have begun and not ended."""
        return [worker.holds[0] for host in self.hosts for worker in host.workers if worker.holds and host.runs_now]

    def _stop_counting(self, worker: Worker) -> None:
        for run in worker.holds:
            if run.started >= 0 and run.alive:
                self.tally.work_seconds += self.timetable.now - run.started

    def _result(self, seconds: float, cpu_seconds: float) -> Simulated:
        outcome = self._tracker.outcome
        assert outcome is not None
        if self._network is not None:
            self.tally.bytes_moved = self._network.bytes_moved
        scenario = self._scenario
        stages = scenario.workload.plan.stages
        spans = [
            StageSpan(stage.name, stage.tasks, max(0.0, first), last)
            for stage, (first, last) in zip(stages, self._spans, strict=True)
        ]
        return Simulated(
            outcome=outcome.kind,
            reason=outcome.reason,
            hosts=scenario.hosts,
            slots=scenario.slots,
            makespan=self.timetable.now,
            useful_seconds=sum(map(sum, self._took)),
            stages=tuple(spans),
            tally=self.tally,
            cost=Cost(seconds, cpu_seconds, self._handle_seconds, peak_memory_bytes()),
        )
