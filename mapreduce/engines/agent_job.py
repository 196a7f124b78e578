"""What does a worker of an agent do with the package of a job? It opens it, as ever, and works in the agent's folder.

The package was made on another host. Only workers open it, never the agent.
"""

from __future__ import annotations

import importlib
import os
import pickle

from mapreduce.dataclass import dataclass, replace
from mapreduce.dataflow.attempt import Spec
from mapreduce.dataflow.monitor import Monitor
from mapreduce.dataflow.package import JobContext, JobPackage, unpack_job, use_folder
from mapreduce.dataflow.results import AttemptResult
from mapreduce.dataflow.run_attempt import run_attempt
from mapreduce.dataflow.warm_up import folds, rows
from mapreduce.engines.agent_data import Reach, end_attempt, fetch_files, reach_others
from mapreduce.engines.broadcast import bring
from mapreduce.engines.scratch import CACHES
from mapreduce.errors import UsageError
from mapreduce.formats.base import Format
from mapreduce.ids import AttemptId

UNPACK = "mapreduce.engines.agent_job:unpack"
RUN_ATTEMPT = "mapreduce.engines.agent_job:run"
WARM_UPS = {"keyed": "mapreduce.engines.agent_job:warm_up", "folds": "mapreduce.engines.agent_job:warm_up_for_folds"}
"""By what kind of jobs is expected."""


@dataclass(frozen=True, slots=True)
class AgentPackage:
    """A job on its way from an agent to its workers: a pickled JobPackage, the folder for its files, and how to read
    those of other hosts."""

    packed: bytes
    root: str
    reach: Reach | None = None


def unpack(package: AgentPackage) -> JobContext:
    """Open a package in a worker. Raises UsageError if the job cannot be unpickled here."""
    packed = pickle.loads(package.packed)
    if not isinstance(packed, JobPackage):
        raise UsageError("the tracker sent something that is no job")
    if packed.state is not None:
        packed = replace(packed, state=bring(packed.state, package.root, package.reach))
    context = unpack_job(packed)
    if package.reach is not None:
        reach_others(package.root, package.reach, context.folder)
    if context.files:
        context.files_folder = fetch_files(context.files, package.root)
        use_folder(context.files_folder)
    context.format = with_own_cache(context.format, package.root)
    # What a host loses with its power is made again elsewhere; what is to last rests with the tracker.
    return replace(context, root=package.root, durable=False)


def warm_up() -> None:
    """What the first attempts will need, loaded while the agent looks for its tracker."""
    importlib.import_module("mapreduce.wire.data_client")
    importlib.import_module("mapreduce.dataflow.reduce_task")
    rows()


def warm_up_for_folds() -> None:
    """The same where a model is to be fitted."""
    importlib.import_module("mapreduce.wire.data_client")
    folds()


def with_own_cache(format: Format, root: str) -> Format:
    """A cache in a folder of the tracker's host is kept in one of ours, if we don't see that one."""
    if format.name != "cached":
        return format
    from mapreduce.storage.block_cache import CachedFormat

    assert isinstance(format, CachedFormat)
    if os.path.isdir(format.folder):
        return format
    folder = os.path.join(os.path.dirname(root), CACHES, os.path.basename(format.folder))
    os.makedirs(folder, exist_ok=True)
    return replace(format, folder=folder)


def run(context: JobContext, attempt: AttemptId, spec: Spec, monitor: Monitor) -> AttemptResult:
    """Run an attempt, as ever; its result also tells what it moved between hosts."""
    try:
        result = run_attempt(context, attempt, spec, monitor)
    except BaseException:
        end_attempt({})
        raise
    return replace(result, counters=end_attempt(result.counters))
