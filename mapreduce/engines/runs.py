"""How is one job of an engine seen through? From its dataset to its Result, on the workers that are there.

```text
run: plan input -> claim output folder -> pack job -> plan tasks -> drive -> commit output -> Result
```
"""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mapreduce.dataclass import dataclass, replace
from mapreduce.dataflow.package import name_job, pack_job, remove_state
from mapreduce.engines.failing import error_of
from mapreduce.engines.prepare import RECORDS, prepare
from mapreduce.engines.prepared import MadeFrom, Prepared
from mapreduce.engines.warm import compile_kernels
from mapreduce.job import Chain, Fold, Job
from mapreduce.result import Result
from mapreduce.settings import Settings
from mapreduce.storage.leftovers import make_temporary_folder, remove_temporary_folder
from mapreduce.tracker.driver import run_job
from mapreduce.tracker.observer import Observer
from mapreduce.tracker.policy import REMOTE_QUEUE_DEPTH, policy_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from mapreduce.dataset import Dataset
    from mapreduce.engines.chaos import Chaos, Hosts
    from mapreduce.engines.cluster_start import Cluster
    from mapreduce.engines.steps import Steps
    from mapreduce.tracker.executor import Executor
    from mapreduce.tracker.outcome import JobOutcome
    from mapreduce.tracker.policy import Policy
    from mapreduce.workers.pool import Pool


@dataclass(slots=True)
class Runs:
    """The jobs of one engine, one after the other. The engine says which workers there are, and where steps are kept;
    a subclass may say otherwise who runs attempts (`executor`), who watches (`watched`), and who enters a job in the
    history (`entry_of`)."""

    kind: str
    workers: int = 1
    pool: Pool | None = None
    cluster: Cluster | None = None
    steps: Steps | None = None
    jobs: int = 0

    def run(
        self,
        job: Job | Fold | Chain,
        dataset: Dataset,
        asked: Settings,
        output: str | Path | None,
        observer: Observer | None,
        started: float,
    ) -> Result:
        """Run a job, each job of a chain, or a step of a fit."""
        with ExitStack() as until_done:
            if dataset.reads_stdin:
                folder = make_temporary_folder("stdin")
                until_done.callback(remove_temporary_folder, folder)
                dataset = dataset.spooled(folder)
            if isinstance(job, Chain):
                return self._run_chain(job, dataset, asked, output, observer, started)
            if self.steps is not None and output is None and isinstance(job, Fold):
                once = replace(asked, fresh=False)
                planned = dataset.plan(asked.split_bytes, lasting=asked.incremental)
                dataset = planned.as_dataset(planned.format)  # so that it is cut once, not by each who looks
                return self.steps.run(
                    job, dataset, once, lambda where: self._run_one(job, dataset, once, where, observer, started)
                )
            return self._run_one(job, dataset, asked, output, observer, started)

    def _run_chain(
        self,
        chain: Chain,
        dataset: Dataset,
        settings: Settings,
        output: str | Path | None,
        observer: Observer | None,
        started: float,
    ) -> Result:
        """Run the jobs of a chain; only the last writes to `output`, in the chain's name and for the chain's input.

        With an output the others write to folders of its `_job`, as jobs with outputs of their own: so a chain that was
        stopped goes on with the job that it had come to.
        """
        from mapreduce.readers import from_records

        *first, last = chain.jobs()
        between = replace(settings, output_format=RECORDS, sort=False, fresh=False)
        made_from = MadeFrom(chain, dataset.plan(settings.split_bytes, lasting=settings.incremental))

        results: list[Result] = []

        def run_first(folder_of: Callable[[int], Path | None]) -> Dataset:
            found = dataset
            for number, job in enumerate(first):
                results.append(self._run_one(job, found, between, folder_of(number), observer, started))
                found = results[-1].dataset()
            return found

        if output is None:
            result = self._run_one(last, run_first(lambda _: None), settings, None, observer, started)
            if settings.skip_bad_records:
                result._before = tuple(results)
            return result
        whole = prepare(last, from_records([]), settings, output, self._next_job_id(), made_from)

        def prepare_last() -> Prepared:
            whole.tell_steps(len(first) + 1)
            found = run_first(whole.step_folder)
            prepared = prepare(last, found, settings, output, self._next_job_id(), made_from)
            prepared.take_over(whole)
            if settings.skip_bad_records:
                from mapreduce.dataflow.skipped_records import keep_skipped

                for number in range(len(first)):
                    keep_skipped(whole.step_folder(number), output, number + 1)
            return prepared

        return self._see_through(whole, prepare_last, observer, started)

    def _run_one(
        self,
        job: Job | Fold,
        dataset: Dataset,
        settings: Settings,
        output: str | Path | None,
        observer: Observer | None,
        started: float,
    ) -> Result:
        prepared = prepare(job, dataset, settings, output, self._next_job_id())
        return self._see_through(prepared, lambda: prepared, observer, started)

    def _see_through(
        self, claimed: Prepared, ready: Callable[[], Prepared], observer: Observer | None, started: float
    ) -> Result:
        """Claim the folder of a job, run what is `ready` then, and leave nothing behind that nobody will need."""
        prepared = claimed
        if claimed.context.settings.incremental:
            from mapreduce.engines.incremental import check_inputs

            check_inputs(claimed.made_from.planned.files)
        try:
            result = claimed.already_complete() or claimed.claim()
            if result is None:
                prepared = ready()
                result = self._run_prepared(prepared, observer or Observer())
        except BaseException as error:
            claimed.abandon(error)
            raise
        finally:
            prepared.close()
            claimed.close()
        result.timings = replace(result.timings, seconds=time.monotonic() - started)
        return result

    def _next_job_id(self) -> str:
        self.jobs += 1
        return f"job-{self.jobs}"

    def executor(self, prepared: Prepared) -> Executor:
        """An executor of this engine's kind for one job; the pool behind it is kept."""
        if self.kind == "inline":
            from mapreduce.dataflow.run_attempt import run_attempt
            from mapreduce.engines.inline import InlineExecutor

            return InlineExecutor(prepared.context, run_attempt)
        if self.cluster is not None:
            self.workers = self.cluster.worker_count()  # so far
            on_hosts = self.cluster.executor(prepared)
            return _with_chaos(on_hosts, prepared, on_hosts)
        from mapreduce.engines.local import LocalExecutor

        assert self.pool is not None
        context = prepared.context
        inherited = name_job(context) if self.pool.inherits else None
        executor = LocalExecutor(self.pool, partial(pack_job, context), context.settings.memory_bytes, inherited)
        return _with_chaos(executor, prepared)

    def watched(self, prepared: Prepared, observer: Observer) -> Observer:
        """Who is told of everything: the caller's observer, the logs beside the output, and the user's history."""
        root = Path(prepared.context.root)
        if self.steps is not None and (prepared.temporary or self.steps.root in root.parents):
            folder: Path | None = self.steps.root  # a step's own folder goes with the step
        else:
            folder = None if prepared.temporary else root
        entry = self.entry_of(prepared)
        if folder is None and entry is None:
            return observer
        from mapreduce.engines.watching import with_logs

        return with_logs(prepared, observer, folder, entry)

    def entry_of(self, prepared: Prepared) -> Observer | None:
        """Who enters the job in the history: each that has an output folder, all steps of a fit as one."""
        if self.steps is None and prepared.temporary:
            return None
        from mapreduce.engines.watching import HistoryEntry

        name = type(prepared.made_from.job).__name__
        if self.steps is None:
            return HistoryEntry(name, sys.argv, Path(prepared.context.root))
        self.steps.entry = self.steps.entry or HistoryEntry(name, sys.argv, self.steps.root, several=True)
        return self.steps.entry

    def _drive(self, prepared: Prepared, observer: Observer) -> JobOutcome:
        executor = self.executor(prepared)
        try:
            prepared.start_hashing()
            return run_job(
                prepared.plan,
                prepared.work,
                executor,
                observer=self.watched(prepared, observer),
                journal=prepared.keeper or prepared.journal,
                past=prepared.past,
                sources=prepared.work.sources(),
                first_attempt=prepared.first_attempt,
                settings=prepared.context.settings,
                policy=_policy_of(prepared, is_remote=self.cluster is not None),
                input_bytes=prepared.context.input_bytes,
                workers=self.workers,
                notes=prepared.notes,
                check=prepared.work.check,
            )
        finally:
            if self.cluster is not None:  # hosts that came while it ran have worked, too
                self.workers = max(self.workers, self.cluster.worker_count())
            executor.close()

    def _run_prepared(self, prepared: Prepared, observer: Observer) -> Result:
        if self.cluster is not None:
            prepared.elsewhere = self.cluster.finder(prepared)
        prepared.go_on()
        compile_kernels(prepared.context.job, prepared.context.format, prepared.context.input_bytes)
        goes_on = not prepared.temporary  # another time
        try:
            outcome = self._drive(prepared, observer)
            goes_on = goes_on and not outcome.succeeded
        finally:
            remove_state(prepared.context.root)
            if self.cluster is not None:
                from mapreduce.engines.resume import is_worth_keeping

                self.cluster.end(prepared, goes_on=goes_on and is_worth_keeping(prepared.folder.root))
        if not outcome.succeeded:
            raise error_of(outcome)
        return prepared.finish(outcome)


def _with_chaos(executor: Executor, prepared: Prepared, hosts: Hosts | None = None) -> Executor:
    """The executor, with faults where they are asked for."""
    chaos = _chaos_of(prepared)
    if chaos is None:
        return executor
    from mapreduce.engines.chaos import ChaosExecutor

    return ChaosExecutor(executor, chaos, prepared.notes.append, hosts)


def _chaos_of(prepared: Prepared) -> Chaos | None:
    if not prepared.context.settings.chaos:
        return None
    from mapreduce.engines.chaos import parse_chaos

    return parse_chaos(prepared.context.settings.chaos, prepared.context.job_id)


def _policy_of(prepared: Prepared, *, is_remote: bool) -> Policy:
    policy, chaos = policy_of(prepared.context.settings), _chaos_of(prepared)
    if is_remote:
        policy = replace(policy, queue_depth=REMOTE_QUEUE_DEPTH)
    if chaos is None:
        return policy
    from mapreduce.engines.chaos import chaos_policy

    return chaos_policy(policy, prepared.plan, chaos)
