"""How does one job take its output folder, go on with what lies there, and end: its output whole, or nothing left that
nobody needs?

    already_complete   the result that is there, or the refusal to replace another's
    claim              the folder is this run's, and cleared of what is no good for it
    go_on              what is done already becomes the past; the journal is open
    finish             value, manifest and `_SUCCESS` are written
    abandon            after an error: what a later run can go on with stays
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mapreduce.dataclass import dataclass, field, replace
from mapreduce.dataflow.job_work import JobWork
from mapreduce.dataflow.package import JobContext
from mapreduce.errors import InternalError, UsageError
from mapreduce.job import Fold
from mapreduce.result import Result, timings_of
from mapreduce.settings import default_split_bytes
from mapreduce.storage.job_folder import JobFolder, check_is_ours, is_complete, is_empty, is_unfinished, left_behind
from mapreduce.storage.leftovers import remove_temporary_folder
from mapreduce.storage.paths import JOB
from mapreduce.tracker.plan import Plan

if TYPE_CHECKING:
    from collections.abc import Callable

    from mapreduce.dataflow.origin import Origin
    from mapreduce.dataset import PlannedInput
    from mapreduce.engines.incremental import Keeper
    from mapreduce.storage.content_hash import InputHasher
    from mapreduce.storage.store import ExplainedFile
    from mapreduce.tracker.events import Event
    from mapreduce.tracker.journal import JournalWriter
    from mapreduce.tracker.outcome import JobOutcome

logger = logging.getLogger(__name__)

VALUE_FILE = "part-00000.value"


@dataclass(frozen=True, slots=True)
class MadeFrom:
    """What an output says that it was made from: the job and input themselves, or those of the chain they end."""

    job: Any
    planned: PlannedInput


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
    journal_file: ExplainedFile | None = None
    hasher: InputHasher | None = None
    origin: Origin | None = None
    runs: int = 1
    """How many runs this output took so far, with this one."""

    ended: str = ""
    """When the run before was last heard of."""

    notes: list[str] = field(default_factory=list)
    """Sentences for the summary; append to them until the job has ended. They end up in `JobOutcome.notes`."""

    elsewhere: Callable[[str], str] = lambda path: ""
    """An earlier run's output, whose path names other hosts, with those on which it can still be read; else ""."""

    keeper: Keeper | None = None
    past: list[Event] = field(default_factory=list)
    """What is done already, as events for the tracker: of an earlier run's journal, or of outputs that are reused."""

    def __post_init__(self) -> None:
        self.folder = JobFolder(Path(self.context.root))
        self.work.tell = self.notes.append

    @property
    def first_attempt(self) -> int:
        """Numbers of attempts that no run before used."""
        if self.runs == 1:
            return 0
        from mapreduce.tracker.resuming import ATTEMPTS_A_RUN

        return (self.runs - 1) * ATTEMPTS_A_RUN

    def already_complete(self) -> Result | None:
        """The result that is there already, if this job made it from this input; raises UsageError for another's."""
        if self.temporary:
            return None
        root = self.folder.root
        if root.exists() and not root.is_dir():
            raise UsageError(f"the output {root} is a file; name a folder")
        self.origin = self.origin_now()
        if self.context.settings.fresh:
            return None
        if is_complete(root):
            done = self._checked_result()
            if done is not None:
                self.folder.remove_remainder()
            return done
        if is_unfinished(root):
            check_is_ours(root)
        elif not is_empty(root):
            raise UsageError(
                f"the output folder {root} is not empty; "
                "use --fresh (fresh=True) to replace an earlier output, or choose another output folder"
            )
        return None

    def origin_now(self) -> Origin:
        """What the output would be made from."""
        from mapreduce.dataflow.origin import origin_of

        origin = self.made_from
        settings = self.context.settings
        partitions = self.context.partitions if origin.job is self.context.job else settings.reducers or 0
        if settings.incremental:  # neither cuts nor parts are named by what the input amounts to: it may grow
            partitions = settings.reducers or getattr(origin.job, "reducers", None) or 0
            cuts = f"lasting {settings.split_bytes or 0}"
        else:
            cuts = str(settings.split_bytes or default_split_bytes(origin.planned.bytes))
        described = replace(self.context, job=origin.job, format=origin.planned.format, partitions=partitions)
        return origin_of(described, cuts, origin.planned.files)

    def _checked_result(self) -> Result | None:
        """The result of a complete output. None if it is to be brought up to date; raises UsageError for another's."""
        from mapreduce.dataflow.manifest import read_manifest, same_inputs
        from mapreduce.dataflow.origin import output_changes

        assert self.origin is not None
        root = self.folder.root
        manifest = read_manifest(root)
        then = manifest.origin if manifest is not None else None
        what = output_changes(then, self.origin) if then is not None else []
        if manifest is None or what or manifest.fingerprint != self.origin.fingerprint():
            raise UsageError(
                f"the output {root} exists, and another job or other settings made it"
                f"{' (' + '; '.join(what) + ')' if what else ''}; "
                "use --fresh (fresh=True) to replace it, or choose another output folder"
            )
        if not same_inputs(manifest, self.made_from.planned.files):
            if self.context.settings.incremental:
                logger.info("the input of %s has changed since; it is made again", root)
                return None
            raise UsageError(
                f"the output {root} exists, but the input has changed since; use --incremental to bring it up to "
                "date, --fresh (fresh=True) to replace it, or choose another output folder"
            )
        logger.info("%s is already complete", root)
        return self._stored_result()

    def close(self) -> None:
        """Let go of what only the run needed, however it ended. A second call is harmless."""
        if self.keeper is not None:
            self.keeper.close()
        if self.hasher is not None:
            self.hasher.stop()
        if self.journal_file is not None:
            self.journal_file.close()
        self.folder.release()

    def claim(self) -> Result | None:
        """Take the folder for this run, and clear it of what an earlier one left that is no good for this one. Returns
        the result if another run completed it just now."""
        self.folder.claim()
        if self.temporary:
            return None
        from mapreduce.engines.resume import begin, ended_at

        if is_complete(self.folder.root) and not self.context.settings.fresh:
            done = self._checked_result()
            if done is not None:
                self.folder.remove_job_files()
                return done
        assert self.origin is not None
        self.ended = ended_at(self.folder.root)
        self.runs = begin(self.folder, self.origin, fresh=self.context.settings.fresh).runs
        return None

    def step_folder(self, number: int) -> Path:
        """Of a chain's job but the last: its output, which is kept until all are done."""
        from mapreduce.storage.paths import JobPaths

        return Path(self.folder.root, JobPaths("").step(number))

    def tell_steps(self, jobs: int) -> None:
        """Of a chain that goes on: say how many of its jobs are done."""
        done = sum(is_complete(self.step_folder(number)) for number in range(jobs - 1))
        if done:
            self._tell_resumed(f"{done} of {jobs} jobs {'was' if done == 1 else 'were'}")

    def _tell_resumed(self, what: str) -> None:
        text = f"{what} finished by the run that ended at {self.ended}"
        logger.warning("resuming: %s", text)
        self.notes.append(f"resumed: {text}")

    def take_over(self, whole: Prepared) -> None:
        """The last job of a chain has the folder that was claimed for the chain."""
        self.folder, self.origin = whole.folder, whole.origin
        self.runs, self.ended = whole.runs, whole.ended
        self.notes += whole.notes

    def go_on(self) -> None:
        """Once the folder is claimed: what is done already becomes the past, and what is being done is written down."""
        if not self.temporary:
            self._recover()
            self._open_journal()
        if self.context.files:
            from mapreduce.dataflow.job_files import lay_out

            self.context.files_folder = os.path.abspath(os.path.join(self.context.root, JOB, "files"))
            lay_out(self.context.files, Path(self.context.files_folder), lambda file: file.path)
        if self.context.settings.incremental:
            from mapreduce.engines.incremental import reuse_kept

            self.keeper = reuse_kept(self)

    def _open_journal(self) -> None:
        """Every event that a later run would need to go on is written down, one write each."""
        from mapreduce.storage.paths import JobPaths
        from mapreduce.storage.store import ExplainedFile, explained, open_store, was_removed
        from mapreduce.tracker.journal import JournalWriter

        store, path = open_store(self.context.root), JobPaths(self.context.root).journal

        def to_disk() -> None:
            self.folder.settle()
            with explained(store, path):
                try:
                    store.sync(path)
                except FileNotFoundError as error:
                    raise was_removed(self.context.root) from error

        with explained(store, path):
            self.journal_file = ExplainedFile(store, path, store.append(path))  # closed by `close`
        self.journal = JournalWriter(self.journal_file, to_disk)

    def _recover(self) -> None:
        from mapreduce.engines.resume import recover

        assert self.origin is not None
        root, is_fold = self.folder.root, isinstance(self.context.job, Fold)
        done = recover(root, self.plan, self.origin.fingerprint(), writes_parts=not is_fold, elsewhere=self.elsewhere)
        self.past += done
        in_chain = self.made_from.job is not self.context.job  # of which most may be done, and none of this job
        if self.runs > 1 and (done or not in_chain):
            self._tell_resumed(f"{len(done):,} of {self.plan.tasks:,} tasks were")

    def start_hashing(self) -> None:
        """Hash the inputs for the manifest while workers work. After they were forked: threads and forks don't mix."""
        if not self.temporary:
            from mapreduce.storage.content_hash import InputHasher

            self.hasher = InputHasher([file.path for file in self.made_from.planned.files])

    def finish(self, outcome: JobOutcome) -> Result:
        """Commit the output and make the Result."""
        root = self.folder.root
        result = Result(root, self.context.output_format, temporary=self.temporary, outcome=outcome)
        if self.keeper is not None:
            result.splits, result.reused_splits = len(self.work.splits), len(self.keeper.reused)
        is_fold = isinstance(self.context.job, Fold)
        if is_fold:
            from mapreduce.dataflow.fold_task import load_output

            (output,) = outcome.outputs.values()
            result.value = load_output(self.context.root, output)
        if self.temporary:
            self.folder.remove_job_files()
            if is_fold and not (self.context.settings.skip_bad_records and any(result.skipped())):
                result.close()
            return result
        if is_fold:
            self._write_value(result.value)
        self._write_manifest(outcome)
        self.folder.commit()
        self.folder.remove_job_files()
        return result

    def abandon(self, error: BaseException) -> None:
        """Leave nothing behind but, in an output folder, what a later run can go on with; then `error` says so."""
        if self.temporary:
            remove_temporary_folder(self.folder.root)
        elif self.folder.is_claimed:
            from mapreduce.engines.resume import is_worth_keeping

            if is_worth_keeping(self.folder.root):
                if JOB not in self.folder.root.parts:  # a job of a chain, which says it of the whole
                    error.add_note(left_behind(self.folder.root))
            else:
                self.folder.leave()

    def _write_value(self, value: Any) -> None:
        """The value of a fold as a part with one pair, so that it can be read back whatever it is."""
        from mapreduce.dataflow.package import dump_value
        from mapreduce.storage.store import open_store, write_whole

        write_whole(open_store(self.context.root), VALUE_FILE, dump_value(value), sync=True)

    def _stored_result(self) -> Result:
        from mapreduce.dataflow.package import load_value

        root = self.folder.root
        result = Result(root, self.context.output_format, temporary=False, outcome=None)
        if isinstance(self.context.job, Fold):
            result.value = load_value(Path(root, VALUE_FILE).read_bytes())
        return result

    def _write_manifest(self, outcome: JobOutcome) -> None:
        from mapreduce.dataflow.manifest import write_manifest

        if self.hasher is None or self.origin is None:
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
        write_manifest(described, self.hasher.hashes(), self.origin, figures)
