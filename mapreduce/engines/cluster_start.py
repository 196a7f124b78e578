"""How does an engine come by its hosts, and how does it let go of them?

Engine --> Cluster --> hub, which listens for agents
              |
              +------> agents that we began on the hosts that were named; those begun by hand join, too
"""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from mapreduce.dataclass import replace
from mapreduce.dataflow.package import pack_job
from mapreduce.engines.agent_data import serve_data
from mapreduce.engines.broadcast import named, offered_as
from mapreduce.engines.carrier import PartCarrier
from mapreduce.engines.cluster import ClusterExecutor
from mapreduce.engines.host_inputs import ClusterInputs
from mapreduce.engines.hosts import ClusterOptions, HostAgents, HostSpec, name_for_ssh, own_address_towards
from mapreduce.engines.hub import Hub
from mapreduce.engines.hub_books import TRACKER
from mapreduce.engines.job_code import code_of
from mapreduce.engines.meeting import Begin
from mapreduce.errors import ResourceError, UsageError
from mapreduce.storage.host_paths import join_path, split_path
from mapreduce.tracker.events import AttemptFinished, Event

if TYPE_CHECKING:
    from mapreduce.engines.prepared import Prepared
    from mapreduce.wire.data_client import DataClient

_log = logging.getLogger(__name__)


JOIN_SECONDS = 30.0
"""For the first worker of the first host: over ssh, to a host that is busy, with a cold disk."""


RETURN_SECONDS = 4.0
"""Agents look for their tracker every two seconds."""


class Cluster:
    """The hosts of one engine, until `close`. `agents` have been begun already, and are ended with it. Raises
    UsageError for addresses, hosts and keys that are no good, and ResourceError if no worker comes."""

    def __init__(self, options: ClusterOptions, agents: HostAgents) -> None:
        options.check()
        self._resources = ExitStack()
        self._agents = agents
        self._state = ""  # by which name the job's large data is offered
        self._listens, self._named = bool(options.listen), len(options.specs())
        self._asked = 0  # workers of the hosts that were named, where it was said how many
        try:
            self._open(options, options.specs())
        except BaseException:
            self.close()
            raise

    def _open(self, options: ClusterOptions, specs: Sequence[HostSpec]) -> None:
        from mapreduce.wire.keys import Address, check_address, make_key, parse_address
        from mapreduce.wire.transport import Listener

        address, towards = _choose_address(options.listen, specs)
        path = Path(options.key) if options.key is not None else None
        key = check_address(address, path) if options.listen or path is not None else make_key()
        listener = Listener(address, key)
        self.address = listener.address
        self.hub = Hub(listener)
        self._resources.callback(self.hub.close)
        self._key = key
        self._data = serve_data(parse_address(self.address).host, key)
        self._resources.callback(self._data.close)
        self.hub.own_data = self._data.address
        self.hub.told_places = self._data.set_places
        self._inputs = ClusterInputs(self.hub, self._data, self._data_client, len(specs), JOIN_SECONDS)
        self._resources.callback(self._inputs.close)
        self.hub.keep_alive()
        if options.listen:
            _log.warning("agents may join: mapreduce agent %s", self.address.removeprefix("tcp://"))
        self._resources.callback(self._agents.close)
        self._asked = sum(spec.workers or options.workers or 0 for spec in specs)
        self._agents.tell({spec.target: str(Address(towards[spec.target], listener.port)) for spec in specs}, key)
        if specs and not options.listen:
            self.hub.hopeless = self._agents.problem
        self._wait_for_first(options, specs)

    def _wait_for_first(self, options: ClusterOptions, specs: Sequence[HostSpec]) -> None:
        if self.hub.wait_for_workers(1, JOIN_SECONDS):
            return
        why = self.hub.hopeless()
        if why:
            raise ResourceError(why)
        whom = ", ".join(spec.target for spec in specs)
        command = f"mapreduce agent {self.address.removeprefix('tcp://')}"
        raise ResourceError(
            f"no agent joined at {self.address} within {JOIN_SECONDS:g} s; "
            + (f"see whether {whom} can reach that address" if whom else f"run `{command}` on a host that has the key")
        )

    def worker_count(self) -> int:
        """How many workers are there or have been announced, so far."""
        return max(self._asked, sum(agent.hello.workers for agent in self.hub.agents()))

    def executor(self, prepared: Prepared) -> ClusterExecutor:
        """An executor for one job."""
        context = prepared.context
        begin = Begin(job_key(prepared), context.settings.memory_bytes)
        carrier = PartCarrier(context.root, begin.key, self._data_client, durable=context.durable)
        self._inputs.offer(file for split in prepared.work.splits for file in split.files)
        self._place_past(prepared, begin.key)
        self._inputs.offer_files({file.offered_as: file.path for file in context.files})
        context = replace(context, folder=os.getcwd())
        package = replace(pack_job(context), sources=(), carried=code_of(context.job))
        if package.state is not None:
            state = named(package.state)
            package, self._state = replace(package, state=state), offered_as(state)
            self._inputs.offer_files({self._state: state.path})
        return ClusterExecutor(
            self.hub,
            begin,
            package,
            prepared.plan.last_stage,
            carrier,
            prepared.notes.append,
            kept_stage=prepared.work.map_stage if prepared.keeper is not None and not prepared.work.sampled else -1,
            forgives_losses=bool(context.settings.chaos),
            replicas=context.settings.replicas,
            may_come=self._may_come,
        )

    def _may_come(self) -> bool:
        """Whether hosts may join that are not here."""
        return self._listens or (len(self.hub.agents()) < self._named and not self.hub.hopeless())

    def finder(self, prepared: Prepared) -> Callable[[str], str]:
        """Says which hosts still have an output of an earlier run of this job. Hosts that are about to come back are
        waited for, all together RETURN_SECONDS at the most."""
        key = job_key(prepared)
        left = [RETURN_SECONDS]

        def where(path: str) -> str:
            hosts, rest = split_path(path)
            here = [TRACKER] if TRACKER in hosts and Path(prepared.context.root, rest).is_file() else []
            hosts = tuple(host for host in hosts if host != TRACKER)
            started = time.monotonic()
            self.hub.wait_until(lambda: all(self.hub.keeps(host, key) for host in hosts), left[0])
            left[0] -= time.monotonic() - started
            there = [host for host in hosts if self.hub.keeps(host, key)] + here
            return join_path(there, rest) if there else ""

        return where

    def _place_past(self, prepared: Prepared, key: str) -> None:
        """What earlier runs left in the job's folder here is read by all hosts from here."""
        last = prepared.plan.last_stage
        prepared.past = [_placed(event, last) for event in prepared.past]
        if prepared.past or prepared.context.settings.incremental:
            self._data.offer(key, prepared.context.root)

    def _data_client(self) -> DataClient:
        from mapreduce.wire.data_client import DataClient

        return DataClient(self._key, {TRACKER: self._data.address}, me=TRACKER)

    def use(self) -> None:
        """A job of this cluster is planned."""
        self._inputs.use()

    def end(self, prepared: Prepared, *, goes_on: bool) -> None:
        """Our inputs are no longer for other hosts to read. Unless the job goes on another time, its files there may
        go: agents keep them for a while (`--keep`)."""
        self._inputs.withdraw(file for split in prepared.work.splits for file in split.files)
        self._inputs.withdraw_files([self._state, *(file.offered_as for file in prepared.context.files)])
        self._data.withdraw(job_key(prepared))
        if not goes_on:
            self.hub.forget_job(job_key(prepared))

    def close(self) -> None:
        """End the agents that we began, and let the others go. A second call is harmless."""
        self._resources.close()


def _placed(event: Event, last_stage: int) -> Event:
    """An output in the job's folder here, by the path that other hosts know."""
    if not isinstance(event, AttemptFinished) or event.attempt.task.stage == last_stage:
        return event
    output = event.result.output
    if output.path is None or output.path.startswith("@"):
        return event
    return replace(event, result=replace(event.result, output=replace(output, path=join_path([TRACKER], output.path))))


def job_key(prepared: Prepared) -> str:
    """By which name agents keep the files of a job. The same in a run that goes on with it, and in no other."""
    context = prepared.context
    if prepared.temporary or prepared.origin is None:
        return f"{context.job_id}-{hashlib.sha256(context.root.encode()).hexdigest()[:16]}-{_process}"
    what = "\n".join((socket.gethostname(), str(Path(context.root).resolve()), prepared.origin.fingerprint()))
    return f"job-{hashlib.sha256(what.encode()).hexdigest()[:32]}"


_process = secrets.token_hex(4)


def _choose_address(listen: str, specs: Sequence[HostSpec]) -> tuple[str, dict[str, str]]:
    """Where to listen, and by which of our addresses each host reaches us."""
    from mapreduce.wire.keys import parse_address

    if listen:
        asked = parse_address(listen, default_port=0)
        if asked.host not in ("*", "0.0.0.0", "::"):
            return str(asked), {spec.target: asked.host for spec in specs}
        return str(asked), _ways_to_us(specs)
    towards = _ways_to_us(specs)
    ours = set(towards.values())
    return f"tcp://{ours.pop() if len(ours) == 1 else '0.0.0.0'}:*", towards


def _ways_to_us(specs: Sequence[HostSpec]) -> dict[str, str]:
    """By which of our addresses each host reaches us. An agent on this machine goes where others can reach it, too."""
    towards: dict[str, str] = {}
    for spec in specs:
        try:
            towards[spec.target] = own_address_towards(spec.name)
        except UsageError:
            towards[spec.target] = own_address_towards(name_for_ssh(spec.target))
    others = [address for spec in specs if not spec.is_local for address in (towards[spec.target],)]
    return {spec.target: others[0] if others and spec.is_local else towards[spec.target] for spec in specs}
