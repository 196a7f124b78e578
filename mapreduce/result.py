"""What does a job hand back? Its records or value, what it counted, how long it took, what failed on the way."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mapreduce.counters import Counters
from mapreduce.dataclass import dataclass
from mapreduce.errors import UsageError
from mapreduce.storage.leftovers import remove_temporary_folder

if TYPE_CHECKING:
    from mapreduce.dataflow.skipped_records import SkippedRecord
    from mapreduce.dataset import Dataset
    from mapreduce.tracker.outcome import FailureReport, JobOutcome


@dataclass(frozen=True, slots=True)
class StageTiming:
    """A stage's tasks, and when it ran in seconds since the job's start. `task_seconds` is the sum over its tasks."""

    name: str
    tasks: int
    start_seconds: float
    end_seconds: float
    task_seconds: float


@dataclass(frozen=True, slots=True)
class Timings:
    """`seconds` from the call of `run` to its return; `stages` in order."""

    seconds: float
    stages: tuple[StageTiming, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "seconds": round(self.seconds, 6),
            "stages": [
                {
                    "name": stage.name,
                    "tasks": stage.tasks,
                    "start_seconds": round(stage.start_seconds, 6),
                    "end_seconds": round(stage.end_seconds, 6),
                    "task_seconds": round(stage.task_seconds, 6),
                }
                for stage in self.stages
            ],
        }


def timings_of(outcome: JobOutcome, seconds: float) -> Timings:
    stages = [
        StageTiming(stage.name, len(stage.task_seconds), stage.first_start, stage.last_commit, sum(stage.task_seconds))
        for stage in outcome.stages
    ]
    return Timings(seconds, tuple(stages))


class Result:
    """The result of one job.

    Attributes:
        value: what a fold finished with (None for a keyed job).
        counters: what the job counted, once a task.
        timings: seconds by stage.
        failures: attempts that failed and were made up for, at most 100.
        notes: what else the summary tells: work reused, records skipped, faults inflicted.
        splits, reused_splits: with `incremental`, pieces of the input, and how many of their map outputs were reused.
        output: the folder with part files, `_SUCCESS` and `_manifest.json`; None if the job had no `output`.
        already_complete: True if the same job had finished on the same input before, so that nothing ran.
        outcome: all figures of the run (None if nothing ran).

    Without an output, records rest in a temporary folder which goes when the result does.
    """

    def __init__(self, folder: Path, output_format: str, *, temporary: bool, outcome: JobOutcome | None) -> None:
        self.value: Any = None
        self.counters: Counters = outcome.counters if outcome else Counters()
        self.failures: list[FailureReport] = list(outcome.failures) if outcome else []
        self.notes: list[str] = list(outcome.notes) if outcome else []
        self.splits = self.reused_splits = 0
        self.timings = timings_of(outcome, outcome.seconds) if outcome else Timings(0.0, ())
        self.output: Path | None = None if temporary else folder
        self.already_complete = outcome is None
        self.outcome = outcome
        self.folder = folder  # where its files lie, with an output or without
        self._before: tuple[Result, ...] = ()  # of a chain without an output: those of its other jobs
        self._format = output_format
        if temporary:
            self._close = weakref.finalize(self, remove_temporary_folder, folder)

    def records(self) -> Iterator[tuple[Any, Any]]:
        """The output's (key, value) pairs, part by part.

        Without an output they are the Python objects that the job made. Of part files they are what the file holds:
        typed in Parquet and JSON lines, text in TSV and CSV.
        """
        from mapreduce.dataflow.records import RECORDS, read_parts

        if self._format == RECORDS:  # a generator of our own: it holds this result, and so the folder, until it ends
            yield from read_parts(self.folder)
        else:
            from mapreduce.formats.writers import read_pairs

            yield from read_pairs(self._format, self.part_files())

    def skipped(self) -> Iterator[SkippedRecord]:
        """The records that the job left out because `map` failed on them, in the order of its input.

        Of a chain those of its first job come first. Of a fit they lie beside the model.
        """
        from mapreduce.dataflow.skipped_records import read_skipped

        for result in self._before:
            yield from result.skipped()
        yield from read_skipped(self.folder)

    def part_files(self, name: str = "") -> list[Path]:
        """Part files in order; of a named output with its name."""
        return sorted(Path(self.folder, name).glob("part-*"))

    def dataset(self, name: str = "") -> Dataset:
        """The output as input of a next job. Records are (key, value) pairs, unless the output is a text format."""
        from mapreduce.dataflow.records import RECORDS, RecordsFormat
        from mapreduce.dataset import Dataset
        from mapreduce.readers import read

        paths = [str(path) for path in self.part_files(name)]
        if self._format == RECORDS:
            return Dataset(tuple(paths), RecordsFormat(), owner=self)
        if not paths:
            raise UsageError(f"the job has no output{' ' + name if name else ''} to read")
        return read(*paths, format={"tsv": "text"}.get(self._format, self._format))

    def close(self) -> None:
        """Remove the temporary folder, if there is one. A second call is harmless."""
        if self.output is None:
            self._close()

    def __repr__(self) -> str:
        where = str(self.output) if self.output else "temporary"
        return f"<Result {where} {self.timings.seconds:.2f} s, {len(self.failures)} failures>"
