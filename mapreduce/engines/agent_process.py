"""How does an agent begin, what does it wait for, and how does it end?

It waits for its line to the tracker, for its workers, and, where it was begun by a tracker over ssh, for the end of its
standard input: that comes when the tracker has ended, whichever way. Such an agent is begun before its tracker listens:
it makes its workers, and is told then where to go.
"""

from __future__ import annotations

import importlib
import logging
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from mapreduce import __version__
from mapreduce.dataclass import dataclass, replace
from mapreduce.engines.agent_job import RUN_ATTEMPT, UNPACK, WARM_UPS
from mapreduce.engines.hosts import ADDRESS_WORD
from mapreduce.engines.scratch import Scratch
from mapreduce.errors import UsageError
from mapreduce.settings import available_cpus
from mapreduce.workers.pool import Pool
from mapreduce.workers.process import Entry

if TYPE_CHECKING:
    from mapreduce.wire.keys import ClusterKey

_log = logging.getLogger(__name__)

SHARED = (
    "mapreduce.dataflow.reduce_task",
    "mapreduce.engines.agent",
    "mapreduce.engines.agent_data",
    "mapreduce.engines.lender",
    "mapreduce.wire.data_client",
    "mapreduce.wire.data_server",
    "mapreduce.wire.transport",
)
"""Loaded before workers are forked, which need the half of it as well: 50 ms of each."""

KEY_BYTES = 4096
WAIT_MILLISECONDS = 100
"""Time passes for an agent even where nothing happens: heartbeats, silence, a cancel that is not obeyed."""


@dataclass(frozen=True, slots=True)
class AgentOptions:
    """What an agent is begun with. `with_stdin`: it gets its key from its standard input, and lives as long as that;
    `tracker` "-" comes from there, too. `expect`: the kind of jobs, of WARM_UPS, for which workers load code."""

    tracker: str
    workers: int | None = None
    memory_bytes: int = 0
    offers: tuple[str, ...] = ()
    scratch: str | None = None
    name: str = ""
    keep_seconds: float = 600.0
    with_stdin: bool = False
    expect: str = "keyed"


def serve(options: AgentOptions, key: ClusterKey | None) -> None:
    """Be an agent until SIGTERM, Ctrl-C, or the tracker's end. `key` None: it comes with standard input. Raises
    UsageError if the tracker refuses us."""
    for folder in options.offers:
        if not Path(folder).is_dir():
            raise UsageError(f"--data {folder} is no folder")
    workers = options.workers or available_cpus()
    if key is None and stdin_has_ended():
        return
    with ExitStack() as until_end:
        scratch = Scratch(options.scratch)
        until_end.callback(scratch.close)
        for name in SHARED:
            importlib.import_module(name)
        # Before the first thread: workers are forked then, which takes 2 ms each.
        entry = Entry(unpack=UNPACK, run_attempt=RUN_ATTEMPT, warm_up=WARM_UPS[options.expect])
        pool = Pool(workers, memory_bytes=options.memory_bytes, entry=entry)
        until_end.callback(pool.close)
        if key is None:
            address, key = read_from_stdin()
            options = replace(options, tracker=address or options.tracker)
        _serve(options, key, scratch, pool, workers)


def _serve(options: AgentOptions, key: ClusterKey, scratch: Scratch, pool: Pool, workers: int) -> None:
    from mapreduce.engines.agent import Agent, Habits
    from mapreduce.engines.agent_data import AgentData
    from mapreduce.engines.hosts import own_address_towards
    from mapreduce.engines.lender import Lender, agent_command
    from mapreduce.wire.keys import encode_key, parse_address
    from mapreduce.wire.messages import Hello
    from mapreduce.wire.transport import Connection

    data = AgentData(own_address_towards(parse_address(options.tracker).host), key, options.offers)
    hello = Hello(
        role="agent",
        release=__version__,
        python=f"{sys.version_info.major}.{sys.version_info.minor}",
        host=options.name or socket.gethostname(),
        session=0,
        scratch=scratch.id,
        cpus=os.cpu_count() or 1,
        workers=workers,
        memory_bytes=options.memory_bytes,
        data_address=data.address,
        data=options.offers,
    )
    habits = Habits(options.keep_seconds, stays=not options.with_stdin, memory_bytes=options.memory_bytes)
    agent = Agent(lambda: Connection(options.tracker, key), pool, scratch, hello, habits, data=data)
    command = agent_command(workers, hello.host, options.memory_bytes, options.offers)
    lender = Lender(command, encode_key(key).encode(), scratch.folder)
    agent.lend = lender.keep
    with _signals(agent.stop):
        try:
            while agent.step():
                poll = select.poll()
                for fd in (agent.line.fileno(), pool.fileno(), *data.filenos(), *((0,) if options.with_stdin else ())):
                    poll.register(fd, select.POLLIN)
                ready = [fd for fd, _ in poll.poll(WAIT_MILLISECONDS)]
                if 0 in ready and not os.read(0, 1 << 12):
                    agent.stop("its tracker has ended")
        finally:
            agent.line.close()
            data.close()
            lender.close()


@contextmanager
def _signals(stop: Callable[[str], None]) -> Iterator[None]:
    """SIGTERM and Ctrl-C have the agent leave in order. A second one ends it at once, and its workers with it."""
    before: dict[signal.Signals, object] = {}

    def note(number: int, frame: FrameType | None) -> None:
        restore()
        stop(f"ended by {signal.Signals(number).name}")

    def restore() -> None:
        while before:
            number, handler = before.popitem()
            signal.signal(number, handler)  # type: ignore[arg-type]

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            before[number] = signal.signal(number, note)
    try:
        yield
    finally:
        restore()


def stdin_has_ended() -> bool:
    """Has whoever began us left already, without a word?"""
    poll = select.poll()
    poll.register(0, select.POLLIN)
    return any(event & select.POLLHUP and not event & select.POLLIN for _, event in poll.poll(0))


def read_from_stdin() -> tuple[str, ClusterKey]:
    """The tracker's address, if it is said, and the cluster's key from standard input, which stays open. Raises
    UsageError if that holds something else."""
    from mapreduce.wire.keys import decode_key

    text = b""
    while b"\nsecret = " not in text or not text.endswith(b"\n"):
        more = os.read(0, 1 << 12)  # by hand: nothing of what follows may be lost in a buffer
        if not more or len(text) > KEY_BYTES:
            break
        text += more
    said = text.decode(errors="replace")
    address = ""
    if said.startswith(ADDRESS_WORD):
        address, _, said = said.removeprefix(ADDRESS_WORD).partition("\n")
    return address, decode_key(said, "standard input")
