"""What does a worker of an agent do with the package of a job? It opens it, as ever, and works in the agent's folder.

The package was made on another host. Only workers open it, never the agent.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass, replace

from mapreduce.dataflow.package import JobContext, JobPackage, unpack_job
from mapreduce.engines.agent_data import Reach, reach_others
from mapreduce.errors import UsageError

UNPACK = "mapreduce.engines.agent_job:unpack"


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
    context = unpack_job(packed)
    if package.reach is not None:
        reach_others(package.root, package.reach, context.folder)
    # What a host loses with its power is made again elsewhere; what is to last rests with the tracker.
    return replace(context, root=package.root, durable=False)
