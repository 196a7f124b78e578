"""What does the hub know of agents, their workers, and the jobs that run? Plain books, and what is said in them."""

from __future__ import annotations

import re
from collections.abc import Container
from itertools import count
from typing import NamedTuple

from mapreduce.dataclass import dataclass, field
from mapreduce.engines.meeting import Begin, CopyTrouble, Have, decode_failure, decode_finished
from mapreduce.ids import AttemptId, WorkerId
from mapreduce.tracker.executor import Cancelled, Failed, Finished, Report
from mapreduce.wire.messages import Hello, Kind, Message
from mapreduce.wire.transport import PeerId

TRACKER = "tracker"
"""The name of our own host, for those who read data here."""

_NAME = re.compile(r"[^A-Za-z0-9._-]")


@dataclass(slots=True)
class AgentBook:
    """What the hub knows of one agent, in one session."""

    peer: PeerId
    name: str
    hello: Hello
    heard_at: float
    told_at: float
    seats: dict[int, Seat] = field(default_factory=dict)  # by the agent's own numbers
    job: int = 0  # that it works for; 0: none
    lists: int = 0  # of that job's segments, that it has
    why_no_workers: str = ""


@dataclass(slots=True)
class Seat:
    """A worker of an agent."""

    id: WorkerId
    agent: AgentBook
    number: int  # by which the agent knows it
    pid: int
    attempts: list[AttemptId] = field(default_factory=list)  # the first runs, the next waits there


@dataclass(slots=True)
class JobBook:
    """A job that runs, and what is to be told of it."""

    number: int
    begin: Begin
    package: bytes
    tells_hosts: bool = False
    reports: list[HubReport] = field(default_factory=list)
    attended_at: float = 0.0  # when it last had a worker
    gone: set[str] = field(default_factory=set)  # names of hosts that were lost

    def message(self) -> Message:
        return Message(Kind.BEGIN, self.number, body=(*self.begin.encode(), self.package))


class HostJoined(NamedTuple):
    """A host works for the job. Agents with the same `machine` may be of one machine."""

    host: str
    machine: str


class HostLeft(NamedTuple):
    """It does not any more; what it was told to do is forgotten there."""

    host: str


class CopyMade(NamedTuple):
    """A host has copied an output."""

    host: str
    attempt: AttemptId
    have: Have


class CopyFailed(NamedTuple):
    """It could not."""

    host: str
    attempt: AttemptId
    trouble: CopyTrouble


HubReport = Report | HostJoined | HostLeft | CopyMade | CopyFailed


def machine_of(address: str) -> str:
    """The part of a data address that names the machine."""
    return address.rpartition(":")[0]


def choose_name(wished: str, taken: Container[str]) -> str:
    """A name for a host that no other has: two agents on one host are told apart."""
    wished = _NAME.sub("-", wished) or "host"
    names = (wished if number == 1 else f"{wished}.{number}" for number in count(1))
    return next(name for name in names if name not in taken and name != TRACKER)


def ending_of(worker: WorkerId, attempt: AttemptId, message: Message) -> Report:
    """How an attempt has ended, as its agent tells it. Raises ValueError for anything else."""
    match message.kind:
        case Kind.FINISHED:
            return Finished(worker, attempt, decode_finished(message.body))
        case Kind.FAILED:
            return Failed(worker, attempt, decode_failure(message.body))
        case Kind.CANCELLED:
            return Cancelled(worker, attempt)
    raise ValueError(f"not for a tracker: {message.kind.name}")
