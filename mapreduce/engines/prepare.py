"""What exactly will be run? The job's input is cut, its tasks are planned, and the folder of its output is chosen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mapreduce.dataflow.job_work import JobWork, choose_sampled, is_map_only
from mapreduce.dataflow.package import JobContext
from mapreduce.engines.prepared import MadeFrom, Prepared
from mapreduce.errors import UsageError
from mapreduce.job import Fold, Job
from mapreduce.settings import Settings, default_partitions, lasting_partitions
from mapreduce.storage.leftovers import make_temporary_folder
from mapreduce.tracker.plan import Plan, plan_fold, plan_keyed, plan_map_only

if TYPE_CHECKING:
    from mapreduce.dataflow.job_files import JobFile
    from mapreduce.dataflow.origin import Origin
    from mapreduce.dataset import Dataset, PlannedInput

RECORDS = "records"


def prepare(
    job: Job | Fold,
    dataset: Dataset,
    settings: Settings,
    output: str | Path | None,
    job_id: str,
    made_from: MadeFrom | None = None,
) -> Prepared:
    """Cut the input and plan the tasks. Reads no more than headers; writes nothing but a temporary folder."""
    if settings.skip_bad_records and hasattr(job, "map_stream"):
        raise UsageError(
            "skip_bad_records (--skip-bad-records) needs a map that is called record by record or block by block; an "
            "external program is given a whole split: have it skip what it can't read, and leave the option out"
        )
    output_format = settings.output_format or (RECORDS if output is None else _own_format(job))
    suffix = suffix_of(output_format)
    if not isinstance(job, Fold) and not is_map_only(job):
        from mapreduce.dataflow.reduction import reduction_of

        reduction_of(job)
    planned = dataset.plan(settings.split_bytes, lasting=settings.incremental)
    choose_partitions = lasting_partitions if settings.incremental else default_partitions
    partitions = settings.reducers or getattr(job, "reducers", None) or choose_partitions(planned.bytes)
    folder = Path(output) if output is not None else make_temporary_folder()
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
        files=_job_files(settings),
    )
    plan = _plan(job, planned, partitions, sort=settings.sort or bool(getattr(job, "sorted_output", False)))
    work = JobWork(context, planned.splits, [stage.name for stage in plan.stages])
    return Prepared(made_from or MadeFrom(job, planned), context, plan, work, temporary=output is None)


def _job_files(settings: Settings) -> tuple[JobFile, ...]:
    if not settings.files:
        return ()
    from mapreduce.dataflow.job_files import find_job_files

    return find_job_files(settings.files)


def describe(job: Job | Fold, dataset: Dataset, settings: Settings) -> Origin:
    """What a run of the job on the dataset would make its result from."""
    return prepare(job, dataset, settings, "", "").origin_now()


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
