"""What is there to say of a job that has ended? Times, amounts, counters, failures, and how it would scale.

`summarise` turns the driver's outcome into a `JobSummary`, which prints as text and as JSON. Time counts as parallel
where a stage has several tasks, and as serial where no task runs or where a stage has one task only, because more
workers would not shorten that.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mapreduce.counters import Counters
from mapreduce.dataclass import dataclass, field, replace
from mapreduce.report.passing import Passed, merge_passed, passed_of, passed_text
from mapreduce.report.scaling import WORKERS_SHOWN, amdahl, karp_flatt, measured_fraction, measured_speedup
from mapreduce.report.units import format_bytes, format_count, format_plural, format_rate, format_seconds

if TYPE_CHECKING:
    from mapreduce.dataflow.results import Failure
    from mapreduce.tracker.outcome import FailureReport, JobOutcome, StageTimes

FAILURES_SHOWN = 5
NOTES_KEPT = 20
LOST_WORDS = "its worker was lost: "

SCALING_FROM_SECONDS = 1.0
"""Of a shorter job most is start and end, which says nothing of a larger one."""


@dataclass(frozen=True, slots=True)
class StageSummary:
    """A stage: its tasks, the seconds from its first start to its last commit, and the seconds within its tasks."""

    name: str
    tasks: int
    seconds: float
    task_seconds: float
    longest_task_seconds: float


@dataclass(frozen=True, slots=True)
class FailureSummary:
    """An attempt that failed: why in one line, when, and what was done ('ran again'). Unknown figures are 0."""

    task: str
    attempt: int
    worker: int
    kind: str
    message: str
    place: str | None
    seconds: float
    then: str = ""
    exit_code: int | None = None  # of its process, below 0 for a signal
    memory_bytes: int = 0
    limit_bytes: int = 0


@dataclass(frozen=True, slots=True)
class JobSummary:
    """A job's figures. None stands for what was not measured."""

    outcome: str
    seconds: float
    workers: int
    bytes_in: int
    records_in: int
    records_out: int
    bytes_out: int
    cpu_seconds: float
    peak_memory_bytes: int
    spills: int
    stages: tuple[StageSummary, ...]
    failed_attempts: int
    lost_workers: int
    failures: tuple[FailureSummary, ...]
    parallel_fraction: float | None
    speedup: float | None
    karp_flatt: float | None
    parallel_seconds: float = 0.0  # within tasks of stages that have several, over all workers
    serial_seconds: float = 0.0  # in which no such task ran
    counters: Mapping[str, int] = field(default_factory=dict)
    jobs: int = 1
    notes: tuple[str, ...] = ()
    backups: int = 0
    backups_won: int = 0
    past_tasks: int = 0  # were done before the run began
    passed: tuple[Passed, ...] = ()  # between processes, by link and way

    @property
    def predicted_speedups(self) -> dict[int, float]:
        """Amdahl's S(n) by number of workers n; empty where no fraction was measured."""
        p = self.parallel_fraction
        return {} if p is None else {n: amdahl(p, n) for n in WORKERS_SHOWN}

    def to_json(self) -> dict[str, Any]:
        """Plain values, ready for json.dumps."""
        from dataclasses import asdict

        page = asdict(self)
        page["counters"] = dict(self.counters)
        page["predicted_speedups"] = {str(n): round(speedup, 4) for n, speedup in self.predicted_speedups.items()}
        return page

    def to_text(self, *, scaling_from_seconds: float = SCALING_FROM_SECONDS, events: str | None = None) -> str:
        """Some lines for a person; without a newline at the end. How it would scale is told of jobs from that length
        on. `events` is where all failures can be read, if they can."""
        rows = [
            ("read", f"{format_bytes(self.bytes_in)}, {_records(self.records_in)}{self._rates()}"),
            ("wrote", f"{format_bytes(self.bytes_out)}, {_records(self.records_out)}"),
            *[("stage", _stage_text(stage)) for stage in self.stages if stage.tasks],
            ("memory", self._memory_text()),
            *[("passed", text) for text in [passed_text(self.passed)] if text],
            *[("counter", f"{name} = {amount:,}") for name, amount in sorted(self.counters.items())],
            *self._failure_rows(events),
            *[("note", note) for note in self.notes],
            *(self._scaling_rows() if self.seconds >= scaling_from_seconds else []),
        ]
        done = self.outcome if self.jobs == 1 else f"{self.jobs} jobs {self.outcome}"
        head = f"{done} in {format_seconds(self.seconds)} on {format_plural(self.workers, 'worker')}"
        return "\n".join([head, *_indented(rows)])

    def failures_text(self, events: str | None = None) -> str:
        """What failed on the way, and nothing else."""
        return "\n".join(_indented(self._failure_rows(events)))

    def _rates(self) -> str:
        if self.seconds <= 0 or not self.bytes_in or self.past_tasks:  # of which others read a part, in their time
            return ""
        rate = format_rate(self.bytes_in, self.seconds)
        return f" ({rate}, {format_count(self.records_in / self.seconds)} records/s)"

    def _memory_text(self) -> str:
        peak = (
            f"{format_bytes(self.peak_memory_bytes)} at a worker's peak" if self.peak_memory_bytes else "not measured"
        )
        return f"{peak}, {format_plural(self.spills, 'spill')}" if self.spills else peak

    def _failure_rows(self, events: str | None) -> list[tuple[str, str]]:
        rows = []
        if self.failed_attempts or self.lost_workers:
            lost = f", {format_plural(self.lost_workers, 'lost worker')}" if self.lost_workers else ""
            done = "; all made up for" if self.outcome == "succeeded" else ""
            rows.append(("failures", f"{format_plural(self.failed_attempts, 'failed attempt')}{lost}{done}"))
        rows += [("", _failure_text(failure)) for failure in self.failures[:FAILURES_SHOWN]]
        hidden = self.failed_attempts - FAILURES_SHOWN
        if hidden > 0 and self.failures:
            rows.append(("", f"and {hidden:,} more" + (f"; see {events}" if events else "")))
        if self.backups:
            started = f"{format_plural(self.backups, 'attempt')} beside slow ones, {self.backups_won:,} finished first"
            rows.append(("backups", started))
        return rows

    def _scaling_rows(self) -> list[tuple[str, str]]:
        if self.parallel_fraction is None:
            return []
        e = self.karp_flatt
        serial = (
            "" if e is None else f", Karp-Flatt serial fraction {e:.3f}" if e <= 1 else ", no speed-up at this size"
        )
        speedups = "  ".join(f"S({n}) {speedup:.2f}" for n, speedup in self.predicted_speedups.items())
        return [("parallel", f"p = {self.parallel_fraction:.4f}{serial}"), ("Amdahl", speedups)]


def _indented(rows: Sequence[tuple[str, str]]) -> list[str]:
    return [f"  {label:<9}{text}" for label, text in rows]


def summarise(outcome: JobOutcome, workers: int) -> JobSummary:
    """The summary of a job that has ended, on so many workers."""
    stats = outcome.stats
    stages = tuple(_summarise_stage(stage) for stage in outcome.stages)
    busy = _union_seconds([stage for stage in outcome.stages if len(stage.task_seconds) > 1])
    work = sum(stage.task_seconds for stage in stages if stage.tasks > 1)
    serial = max(0.0, outcome.seconds - busy)
    measured = outcome.succeeded and work > 0
    speedup = measured_speedup(work, serial, outcome.seconds) if measured else None
    return JobSummary(
        outcome=outcome.kind.value,
        seconds=outcome.seconds,
        workers=workers,
        bytes_in=stats.bytes_in,
        records_in=stats.records_in,
        records_out=stats.records_out,
        bytes_out=stats.bytes_out,
        cpu_seconds=stats.cpu_seconds,
        peak_memory_bytes=stats.peak_memory_bytes,
        spills=stats.spills,
        stages=stages,
        failed_attempts=outcome.failed_attempts,
        lost_workers=outcome.lost_workers,
        failures=tuple(_summarise_failure(failure) for failure in outcome.failures),
        parallel_fraction=measured_fraction(work, serial) if measured else None,
        speedup=speedup,
        karp_flatt=karp_flatt(speedup, workers) if speedup else None,
        parallel_seconds=work,
        serial_seconds=serial,
        counters=dict(outcome.counters),
        notes=outcome.notes,
        backups=outcome.backups,
        backups_won=outcome.backups_won,
        past_tasks=outcome.past_tasks,
        passed=passed_of(outcome.moved),
    )


def merge_summaries(summaries: Sequence[JobSummary]) -> JobSummary | None:
    """Jobs that ran one after the other, as one: the passes of a fit. None if there is none."""
    if len(summaries) < 2:
        return summaries[0] if summaries else None
    first, *rest = summaries
    merged = first
    for after in rest:
        merged = _merge(merged, after)
    return merged


def _merge(a: JobSummary, b: JobSummary) -> JobSummary:
    work, serial = a.parallel_seconds + b.parallel_seconds, a.serial_seconds + b.serial_seconds
    seconds = a.seconds + b.seconds
    measured = work > 0 and a.outcome == b.outcome == "succeeded"
    speedup = measured_speedup(work, serial, seconds) if measured else None
    workers = max(a.workers, b.workers)
    return replace(
        a,
        outcome=b.outcome,
        jobs=a.jobs + b.jobs,
        seconds=seconds,
        workers=workers,
        bytes_in=a.bytes_in + b.bytes_in,
        records_in=a.records_in + b.records_in,
        records_out=a.records_out + b.records_out,
        bytes_out=a.bytes_out + b.bytes_out,
        cpu_seconds=a.cpu_seconds + b.cpu_seconds,
        peak_memory_bytes=max(a.peak_memory_bytes, b.peak_memory_bytes),
        spills=a.spills + b.spills,
        stages=_merge_stages(a.stages, b.stages),
        failed_attempts=a.failed_attempts + b.failed_attempts,
        lost_workers=a.lost_workers + b.lost_workers,
        failures=(a.failures + b.failures)[:100],
        parallel_seconds=work,
        serial_seconds=serial,
        parallel_fraction=measured_fraction(work, serial) if measured else None,
        speedup=speedup,
        karp_flatt=karp_flatt(speedup, workers) if speedup else None,
        counters=dict(Counters(a.counters) + b.counters),
        backups=a.backups + b.backups,
        backups_won=a.backups_won + b.backups_won,
        past_tasks=a.past_tasks + b.past_tasks,
        passed=merge_passed(a.passed, b.passed),
        notes=_merge_notes(a.notes + b.notes),
    )


def _merge_notes(notes: tuple[str, ...]) -> tuple[str, ...]:
    if any(note.startswith("chaos") for note in notes):
        from mapreduce.engines.chaos import one_account

        notes = tuple(one_account(notes))
    return tuple(dict.fromkeys(notes))[:NOTES_KEPT]


def _merge_stages(a: tuple[StageSummary, ...], b: tuple[StageSummary, ...]) -> tuple[StageSummary, ...]:
    merged = {stage.name: stage for stage in a}
    for stage in b:
        before = merged.get(stage.name)
        merged[stage.name] = (
            stage
            if before is None
            else StageSummary(
                stage.name,
                before.tasks + stage.tasks,
                before.seconds + stage.seconds,
                before.task_seconds + stage.task_seconds,
                max(before.longest_task_seconds, stage.longest_task_seconds),
            )
        )
    return tuple(merged.values())


def _summarise_stage(stage: StageTimes) -> StageSummary:
    seconds = max(0.0, stage.last_commit - stage.first_start)
    times = stage.task_seconds
    return StageSummary(stage.name, len(times), seconds, sum(times), max(times, default=0.0))


def _union_seconds(stages: list[StageTimes]) -> float:
    """Seconds in which any of these stages ran; overlaps (a map repeated during the reduce) count once."""
    total, reached = 0.0, 0.0
    for start, end in sorted((stage.first_start, stage.last_commit) for stage in stages):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total


def _summarise_failure(report: FailureReport) -> FailureSummary:
    failure = report.failure
    return FailureSummary(
        task=report.task_name,
        attempt=report.attempt.number,
        worker=report.worker,
        kind=failure.kind.value,
        message=cause_of(failure),
        place=failure.place,
        seconds=report.seconds,
        then=what_was_done(report.verdict),
        exit_code=failure.exit_code,
        memory_bytes=failure.peak_memory_bytes,
        limit_bytes=failure.limit_bytes,
    )


def cause_of(failure: Failure) -> str:
    """Why an attempt failed, in one line: 'ValueError: not a number: x', 'its worker was killed by SIGKILL'."""
    from mapreduce.report.progress import headline

    if not failure.message.startswith(LOST_WORDS):
        return headline(failure)
    who_and_what = failure.message.removeprefix(LOST_WORDS).partition(";")[0]
    return "its worker " + re.sub(r"^worker \d+ (\(process \d+\) )?", "", who_and_what)


def what_was_done(verdict: str) -> str:
    """'run again' is what shall be done; afterwards it 'ran again'."""
    done = {"run again": "ran again", "run after a rest": "ran again after a rest", "give up": "given up"}
    return done.get(verdict, verdict)


def _records(count: int) -> str:
    return format_count(count) + (" record" if count == 1 else " records")


def _stage_text(stage: StageSummary) -> str:
    tasks = format_plural(stage.tasks, "task")
    longest = f", the longest {format_seconds(stage.longest_task_seconds)}" if stage.tasks > 1 else ""
    return f"{stage.name}: {tasks} in {format_seconds(stage.seconds)}{longest}"


def _failure_text(failure: FailureSummary) -> str:
    """'map 3, attempt 1 on worker 1: its worker was killed by SIGKILL at 537 MB of 1.1 GB; ran again'."""
    lost = failure.message.startswith("its worker ")
    where = f" at {failure.place}" if failure.place and not lost else ""
    if lost and failure.memory_bytes:
        limit = f" of {format_bytes(failure.limit_bytes)}" if failure.limit_bytes else ""
        where = f" at {format_bytes(failure.memory_bytes)}{limit}"
    then = f"; {failure.then}" if failure.then else ""
    return f"{failure.task}, attempt {failure.attempt + 1} on worker {failure.worker}: {failure.message}{where}{then}"
