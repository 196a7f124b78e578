"""What does a worker of an agent do with the package of a job? It opens it, as ever, and works in the agent's folder.

The package was made on another host. Only workers open it, never the agent.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass, replace

from mapreduce.dataflow.package import JobContext, JobPackage, unpack_job
from mapreduce.errors import UsageError

UNPACK = "mapreduce.engines.agent_job:unpack"


@dataclass(frozen=True, slots=True)
class AgentPackage:
    """A job on its way from an agent to its workers: a pickled JobPackage, and the folder for its files."""

    packed: bytes
    root: str


def unpack(package: AgentPackage) -> JobContext:
    """Open a package in a worker. Raises UsageError if the job cannot be unpickled here."""
    packed = pickle.loads(package.packed)
    if not isinstance(packed, JobPackage):
        raise UsageError("the tracker sent something that is no job")
    return replace(unpack_job(packed), root=package.root)
