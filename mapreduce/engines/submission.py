"""What does a client submit to a tracker that stays, and what does it get back?

A job with its input and settings, packed so that the tracker need not open it: that is done by the job's own process,
which runs nothing else. What a job's code does when it is unpickled can't hurt the tracker. Back comes what a Result is
made of.
"""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mapreduce.dataclass import dataclass, field, replace
from mapreduce.dataflow.package import JobPackage, dump_value, open_package, pack
from mapreduce.engines.job_code import code_of
from mapreduce.errors import UsageError
from mapreduce.formats.inputs import is_on_hosts, is_remote
from mapreduce.result import Timings

if TYPE_CHECKING:
    from mapreduce.dataset import Dataset
    from mapreduce.job import Chain, Fold, Job
    from mapreduce.result import Result
    from mapreduce.tracker.outcome import JobOutcome


@dataclass(frozen=True, slots=True)
class Submission:
    """What is to be run. Paths are absolute; `output` "" is a folder of the tracker's, for the client to fetch from."""

    job: Any
    dataset: Any
    output: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Parcel:
    """`folders` are where the client's modules are imported from; a tracker that sees them looks there, too."""

    package: JobPackage
    folders: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Returned:
    """What a job's process hands back: of a Result all but its files. `value` is pickled by itself: its classes may be
    the client's alone."""

    output_format: str
    already_complete: bool
    timings: Timings
    splits: int
    reused_splits: int
    value: bytes
    outcomes: tuple[JobOutcome, ...]
    workers: int


def pack_submission(
    job: Job | Fold | Chain, dataset: Dataset, output: str | Path | None, settings: Mapping[str, Any]
) -> bytes:
    """Raises UsageError for what can't be carried."""
    if dataset.reads_stdin:
        raise UsageError("a tracker can't read standard input; write it to a file that the tracker sees, and name that")
    where = "" if output is None else os.path.abspath(output)
    submission = Submission(job, _as_carried(dataset), where, dict(settings))
    folders = [os.getcwd(), os.path.abspath(sys.path[0] or ".")]
    package = replace(pack("", submission, job), sources=(), carried=code_of(job))
    return pickle.dumps(_Parcel(package, tuple(dict.fromkeys(folders))), protocol=5)


def open_submission(data: bytes) -> Submission:
    """Runs code of the job: only for the job's own process. Raises UsageError."""
    parcel = pickle.loads(data)
    if not isinstance(parcel, _Parcel):
        raise UsageError("what was submitted is no job")
    sys.path += [folder for folder in parcel.folders if folder not in sys.path and os.path.isdir(folder)]
    submission = open_package(parcel.package)
    if not isinstance(submission, Submission):
        raise UsageError("what was submitted is no job")
    return submission


def pack_returned(result: Result, outcomes: Sequence[JobOutcome], workers: int) -> bytes:
    """What the client makes its Result of. Raises UsageError for a value that can't be carried."""
    returned = Returned(
        output_format=result._format,
        already_complete=result.already_complete,
        timings=result.timings,
        splits=result.splits,
        reused_splits=result.reused_splits,
        value=dump_value(result.value),
        outcomes=tuple(outcomes),
        workers=workers,
    )
    return pickle.dumps(returned, protocol=5)


def _as_carried(dataset: Dataset) -> Dataset:
    """With absolute paths, and without what keeps files alive in this process."""
    planned = None if dataset.planned is None else replace(dataset.planned, owner=None)
    found = dataset.found
    if found is not None:
        found = tuple(replace(file, path=_absolute(file.path)) for file in found)
    members = tuple(_as_carried(member) for member in dataset.members)
    paths = tuple(map(_absolute, dataset.paths))
    return replace(dataset, paths=paths, members=members, found=found, planned=planned, owner=None)


def _absolute(path: str) -> str:
    is_elsewhere = is_remote(path) or is_on_hosts(path)
    return path if is_elsewhere or path.startswith(("<", "file://")) else os.path.abspath(path)
