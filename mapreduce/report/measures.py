"""What do the attempts of a run amount to? Series and shares for pictures, reckoned from its log; pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

from mapreduce.dataclass import dataclass
from mapreduce.report.job_log import AttemptRecord, AttemptState, RunLog
from mapreduce.report.scaling import measured_fraction

BINS = 24


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many values lie in each of equally wide bins from `low` to `high`; the last one holds `high` too."""

    low: float
    high: float
    counts: tuple[int, ...]

    @property
    def width(self) -> float:
        return (self.high - self.low) / len(self.counts)


def histogram(values: Sequence[float], bins: int = BINS) -> Histogram:
    """From 0 to the largest value, so that the shapes of two stages compare. Needs a value."""
    high = max(values) or 1.0
    counts = [0] * bins
    for value in values:
        counts[min(bins - 1, int(value / high * bins))] += 1
    return Histogram(0.0, high, tuple(counts))


@dataclass(frozen=True, slots=True)
class Skew:
    """How unequal the shares of a stage's tasks are, in bytes or records, by task number."""

    shares: tuple[int, ...]
    unit: str

    @property
    def worst(self) -> float:
        """The largest share over the mean one; 1 is perfectly even."""
        total = sum(self.shares)
        return max(self.shares) * len(self.shares) / total if total else 1.0


def done(attempts: Iterable[AttemptRecord]) -> list[AttemptRecord]:
    """Those whose output counts, by an earlier run too."""
    return [attempt for attempt in attempts if attempt.state in (AttemptState.FINISHED, AttemptState.PAST)]


def key_skew(run: RunLog) -> Skew | None:
    """What each reduce task of a keyed job was given; None where there are not two that tell."""
    for number, stage in enumerate(run.head.stages):
        if stage.name == "reduce" and stage.tasks > 1:
            tasks = {attempt.index: attempt.figures for attempt in done(run.of_stage(number))}
            shares = tuple(tasks[index].records_in for index in sorted(tasks))
            if len(shares) > 1 and any(shares):
                return Skew(shares, "records")
    return None


def throughput(run: RunLog, bins: int = 100) -> list[float]:
    """Bytes of the input read a second, in equal spans of the run: each map's bytes are spread over its time."""
    rates = [0.0] * bins
    if run.seconds <= 0:
        return rates
    span = run.seconds / bins
    for attempt in _reading(run):
        length = attempt.end - attempt.start
        if length <= 0:
            continue
        rate = attempt.figures.bytes_in / length
        first, last = int(attempt.start / span), min(bins - 1, int(attempt.end / span))
        for number in range(first, last + 1):
            overlap = min(attempt.end, (number + 1) * span) - max(attempt.start, number * span)
            rates[number] += rate * max(0.0, overlap) / span
    return rates


def _reading(run: RunLog) -> list[AttemptRecord]:
    maps = {number for number, stage in enumerate(run.head.stages) if stage.name == "map"}
    return [attempt for attempt in run.attempts if attempt.stage in maps and attempt.state is AttemptState.FINISHED]


def task_seconds(run: RunLog, stage: int) -> list[float]:
    """The seconds of each finished task of a stage, in order of task."""
    return [attempt.figures.seconds for attempt in sorted(done(run.of_stage(stage)), key=lambda done: done.index)]


def middle(values: Sequence[float]) -> float:
    return median(values) if values else 0.0


def parallel_fraction(run: RunLog) -> float | None:
    """p: seconds within tasks of stages that have several, against those plus the seconds in which none of them ran.

    None for a run that did not succeed, or of which earlier runs had done a part.
    """
    if run.outcome != "succeeded" or any(attempt.state is AttemptState.PAST for attempt in run.attempts):
        return None
    work, busy, reached = 0.0, 0.0, 0.0
    several = [number for number, stage in enumerate(run.head.stages) if stage.tasks > 1]
    spans = []
    for number in several:
        finished = [attempt for attempt in run.of_stage(number) if attempt.state is AttemptState.FINISHED]
        if finished:
            work += sum(attempt.figures.seconds for attempt in finished)
            spans.append((min(attempt.start for attempt in finished), max(attempt.end for attempt in finished)))
    for start, end in sorted(spans):
        busy += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return measured_fraction(work, max(0.0, run.seconds - busy)) if work else None


def lanes(run: RunLog) -> list[list[int]]:
    """Workers by lane of a timeline: who took a lost worker's place goes on in its lane."""
    found: list[list[int]] = []
    free: list[tuple[float, int]] = []  # when each lane's worker was lost
    for worker in sorted(run.workers, key=lambda worker: (worker.joined, worker.worker)):
        open_lanes = [(lost, lane) for lost, lane in free if lost <= worker.joined]
        if open_lanes:
            lost, lane = min(open_lanes)
            free.remove((lost, lane))
            found[lane].append(worker.worker)
        else:
            lane = len(found)
            found.append([worker.worker])
        if worker.lost is not None:
            free.append((worker.lost, lane))
    known = {worker.worker for worker in run.workers}
    unknown = {attempt.worker for attempt in run.attempts if attempt.worker >= 0} - known
    return found + [[worker] for worker in sorted(unknown)]
