"""What exactly will be run, and where will its output lie? One job, from its parts to its Result.

A Prepared job has its input cut, its tasks planned and its folder chosen; it claims the folder, commits the output, and
leaves nothing behind whichever way the job ends.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from mapreduce.dataflow.fold_task import load_output
from mapreduce.dataflow.job_work import JobWork, choose_sampled, is_map_only
from mapreduce.dataflow.package import JobContext
from mapreduce.errors import InternalError, UsageError
from mapreduce.job import Fold, Job
from mapreduce.result import Result, timings_of
from mapreduce.settings import Settings, default_partitions, default_split_bytes
from mapreduce.storage.job_folder import JobFolder, clear, is_complete, is_empty, is_unfinished
from mapreduce.tracker.plan import Plan, plan_fold, plan_keyed, plan_map_only

if TYPE_CHECKING:
    from mapreduce.dataset import Dataset, PlannedInput
    from mapreduce.storage.content_hash import InputHasher
    from mapreduce.tracker.events import Event
    from mapreduce.tracker.journal import JournalWriter
    from mapreduce.tracker.outcome import JobOutcome

logger = logging.getLogger(__name__)

RECORDS = "records"


@dataclass(frozen=True, slots=True)
class MadeFrom:
    """What an output says that it was made from: the job and input themselves, or those of the chain they end."""

    job: Any
    planned: PlannedInput


def prepare(
    job: Job | Fold,
    dataset: Dataset,
    settings: Settings,
    output: str | Path | None,
    job_id: str,
    made_from: MadeFrom | None = None,
) -> Prepared:
    """Cut the input and plan the tasks. Reads no more than headers; writes nothing but a temporary folder."""
    output_format = settings.output_format or (RECORDS if output is None else _own_format(job))
    suffix = suffix_of(output_format)
    if not isinstance(job, Fold) and not is_map_only(job):
        from mapreduce.dataflow.reduction import reduction_of

        reduction_of(job)
    planned = dataset.plan(settings.split_bytes)
    partitions = settings.reducers or getattr(job, "reducers", None) or default_partitions(planned.bytes)
    folder = Path(output) if output is not None else Path(tempfile.mkdtemp(prefix="mapreduce-"))
    context = JobContext(
        job_id=job_id,
        job=job,
        format=planned.format,
        settings=settings,
        root=str(folder),
        partitions=partitions,
        output_format=output_format,
        suffix=suffix,
        durable=output is not None,
        input_bytes=planned.bytes,
    )
    plan = _plan(job, planned, partitions, sort=settings.sort or bool(getattr(job, "sorted_output", False)))
    work = JobWork(context, planned.splits, [stage.name for stage in plan.stages])
    return Prepared(made_from or MadeFrom(job, planned), context, plan, work, temporary=output is None)


def _own_format(job: Any) -> str:
    return str(getattr(job, "output_format", "tsv"))


def suffix_of(output_format: str) -> str:
    """The suffix of part files. Raises UsageError for an unknown format."""
    if output_format == RECORDS:
        return ".records"
    from mapreduce.formats.writers import writer_class

    return writer_class(output_format).suffix


def _plan(job: Job | Fold, planned: PlannedInput, partitions: int, *, sort: bool) -> Plan:
    maps = len(planned.splits)
    if isinstance(job, Fold):
        return plan_fold(maps)
    if is_map_only(job):
        if sort:
            raise UsageError(
                f"{type(job).__name__} has no reduce, so its output cannot be sorted; give it mr.Identity()"
            )
        return plan_map_only(maps)
    sample = len(choose_sampled(planned.splits)) if sort and partitions > 1 else 0
    return plan_keyed(maps, partitions, sample)


@dataclass(slots=True)
class Prepared:
    """One job, ready to run."""

    made_from: MadeFrom
    context: JobContext
    plan: Plan
    work: JobWork
    temporary: bool
    folder: JobFolder = field(init=False)
    journal: JournalWriter | None = None
    journal_file: BinaryIO | None = None
    hasher: InputHasher | None = None
    made_by: str = ""
    notes: list[str] = field(default_factory=list)
    """Sentences for the summary; append to them until the job has ended. They end up in `JobOutcome.notes`."""

    past: list[Event] = field(default_factory=list)
    """What is done already, as events for the tracker: of an earlier run's journal, or of outputs that are reused."""

    def __post_init__(self) -> None:
        self.folder = JobFolder(Path(self.context.root))

    def already_complete(self) -> Result | None:
        """The result that is there already, if this job made it from this input; raises UsageError for another's."""
        if self.temporary:
            return None
        from mapreduce.dataflow.manifest import fingerprint, read_manifest, same_inputs

        root = self.folder.root
        origin = self.made_from
        split_bytes = self.context.settings.split_bytes or default_split_bytes(origin.planned.bytes)
        partitions = self.context.partitions if origin.job is self.context.job else self.context.settings.reducers or 0
        described = replace(self.context, job=origin.job, format=origin.planned.format, partitions=partitions)
        self.made_by = fingerprint(described, split_bytes)
        if root.exists() and not root.is_dir():
            raise UsageError(f"the output {root} is a file; name a folder")
        if self.context.settings.fresh:
            return None
        if is_complete(root):
            manifest = read_manifest(root)
            if manifest is None or manifest.fingerprint != self.made_by:
                raise UsageError(
                    f"the output {root} exists, and another job or other settings made it; "
                    "use --fresh (fresh=True) to replace it, or choose another output folder"
                )
            if not same_inputs(manifest, self.made_from.planned.files):
                raise UsageError(
                    f"the output {root} exists, but the input has changed since; "
                    "use --fresh (fresh=True) to replace it, or choose another output folder"
                )
            logger.info("%s is already complete", root)
            return self._stored_result()
        if not is_empty(root):
            raise UsageError(
                f"the output folder {root} is not empty; "
                "use --fresh (fresh=True) to replace an earlier output, or choose another output folder"
            )
        return None

    def close(self) -> None:
        """Let go of what only the run needed, however it ended. A second call is harmless."""
        if self.hasher is not None:
            self.hasher.stop()
        if self.journal_file is not None:
            self.journal_file.close()
        self.folder.release()

    def claim(self) -> None:
        """Take the folder for this run, and clear it of what an earlier one left."""
        if is_unfinished(self.folder.root):
            logger.warning("an earlier run to %s did not finish; starting afresh", self.folder.root)
        self.folder.claim()
        clear(self.folder.root)
        if not self.temporary:
            self._open_journal()

    def _open_journal(self) -> None:
        """Every event that a later run would need to go on is written down, one write each."""
        from mapreduce.storage.paths import JobPaths
        from mapreduce.storage.store import LocalStore, explained
        from mapreduce.tracker.journal import JournalWriter

        path = JobPaths(self.context.root).journal
        with explained(LocalStore(self.context.root), path, 0):
            self.journal_file = open(Path(self.context.root, path), "wb", buffering=0)  # closed by `close`
        self.journal = JournalWriter(self.journal_file)
        self.journal.begin(self.made_by)

    def start_hashing(self) -> None:
        """Hash the inputs for the manifest while workers work. After they were forked: threads and forks don't mix."""
        if not self.temporary:
            from mapreduce.storage.content_hash import InputHasher

            self.hasher = InputHasher([file.path for file in self.made_from.planned.files])

    def finish(self, outcome: JobOutcome) -> Result:
        """Commit the output and make the Result."""
        root = self.folder.root
        result = Result(root, self.context.output_format, temporary=self.temporary, outcome=outcome)
        is_fold = isinstance(self.context.job, Fold)
        if is_fold:
            (output,) = outcome.outputs.values()
            result.value = load_output(self.context.root, output)
        if self.temporary:
            self.folder.remove_job_files()
            if is_fold:
                result.close()
            return result
        if is_fold:
            self._write_value(result.value)
        self._write_manifest(outcome)
        self.folder.commit()
        self.folder.remove_job_files()
        return result

    def abandon(self) -> None:
        """Leave nothing behind but, in an output folder, an unfinished job."""
        if self.temporary:
            shutil.rmtree(self.folder.root, ignore_errors=True)

    def _write_value(self, value: Any) -> None:
        """The value of a fold as a part with one pair, so that it can be read back whatever it is."""
        from mapreduce.dataflow.package import dump_value
        from mapreduce.storage.store import LocalStore, write_whole

        write_whole(LocalStore(self.context.root), VALUE_FILE, dump_value(value), sync=True)

    def _stored_result(self) -> Result:
        from mapreduce.dataflow.package import load_value

        root = self.folder.root
        result = Result(root, self.context.output_format, temporary=False, outcome=None)
        if isinstance(self.context.job, Fold):
            result.value = load_value(Path(root, VALUE_FILE).read_bytes())
        return result

    def _write_manifest(self, outcome: JobOutcome) -> None:
        from mapreduce.dataflow.manifest import write_manifest

        if self.hasher is None:
            raise InternalError("an output is committed before its inputs were hashed")
        figures = {
            "counters": dict(outcome.counters),
            "timings": timings_of(outcome, outcome.seconds).to_json(),
            "records_in": outcome.stats.records_in,
            "records_out": outcome.stats.records_out,
            "bytes_in": outcome.stats.bytes_in,
            "peak_memory_bytes": outcome.stats.peak_memory_bytes,
            "failed_attempts": outcome.failed_attempts,
        }
        described = replace(self.context, job=self.made_from.job)
        write_manifest(described, self.made_from.planned.files, self.hasher.hashes(), self.made_by, figures)


VALUE_FILE = "part-00000.value"
