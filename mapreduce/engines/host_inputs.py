"""How does the tracker's side know which inputs lie on hosts, and let hosts read those that lie with it?

One for each cluster: it is asked when a dataset names `data:` paths, and offers the files of each job while that runs.
"""

from __future__ import annotations

import errno
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

from mapreduce.errors import ResourceError
from mapreduce.formats.inputs import (
    find_files,
    forget_host_files,
    is_on_hosts,
    is_remote,
    local_path,
    open_input,
    use_host_files,
)
from mapreduce.storage.host_store import Place
from mapreduce.wire.host_files import TRACKER, HostInputs, Listed, offered_as, share_of

if TYPE_CHECKING:
    from mapreduce.engines.hub import Hub
    from mapreduce.formats.base import InputFile
    from mapreduce.wire.data_client import DataClient
    from mapreduce.wire.data_server import DataServer

LOOK_SECONDS = 0.05

SETTLE_SECONDS = 2.0
"""Agents that are begun by hand have all joined when none has come for so long. A file that only a later one offers is
not found: which agents were asked stands in the log."""

NO_DATA_SECONDS = 10.0
"""While no agent that has joined offers files, one that does is waited for so long."""

_log = logging.getLogger(__name__)


class ClusterInputs:
    """The inputs of a cluster's jobs, for this process, until `close`. `expected` hosts were named: before names are
    looked up, all of them are waited for, since what they offer decides what the input is."""

    def __init__(
        self,
        hub: Hub,
        server: DataServer,
        connect: Callable[[], DataClient],
        expected: int = 0,
        wait_seconds: float = 30.0,
    ) -> None:
        self._hub = hub
        self._server = server
        self._expected = expected
        self._wait_seconds = wait_seconds
        self._connect = connect
        self._made: DataClient | None = None
        self._lock = threading.Lock()
        self._settled = False
        self._inputs = HostInputs(TRACKER, (), self, self)
        self.use()

    def use(self) -> None:
        """Of several clusters of this process, this one's inputs are meant from now on."""
        use_host_files(self._inputs)

    # --- reading, as a client does that is there when it is needed

    @contextmanager
    def _client(self) -> Iterator[DataClient]:
        """For one thread at a time: a fit hashes its input while its job is planned."""
        with self._lock:
            if self._made is None:
                self._made = self._connect()
            yield self._made

    def size(self, host: str, path: str) -> int:
        with self._client() as client:
            return client.size(host, path)

    def read(self, host: str, path: str, offset: int, size: int) -> bytes:
        with self._client() as client:
            return client.read(host, path, offset, size)

    def will_read(self, places: Sequence[Place]) -> None:
        with self._client() as client:
            client.will_read(places)

    def forget(self, host: str, path: str) -> None:
        with self._client() as client:
            client.forget(host, path)

    def rest(self) -> None:
        """Nothing is read for now."""
        with self._lock:
            if self._made is not None:
                self._made.close()
                self._made = None

    # --- what hosts offer

    def listings(self, folder: str) -> Mapping[str, Sequence[Listed]]:
        """Raises ResourceError if a host that was named is not there, or does not answer."""
        self._wait_for_hosts()
        found: dict[str, list[Listed]] = {}
        for agent in self._hub.agents():
            for number in range(len(agent.hello.data)):
                found.setdefault(agent.name, []).extend(self._listing(agent.name, number, folder))
        _log.info("inputs are looked for on %s", ", ".join(found) or "no host")
        return found

    def content_hash(self, host: str, file: Listed) -> str:
        try:
            with self._client() as client:
                return client.content_hash(host, f"{share_of(file.folder)}/{file.path}")
        except OSError as error:
            raise _unanswered(host, error) from error

    def _listing(self, host: str, number: int, folder: str) -> list[Listed]:
        share = share_of(number)
        try:
            with self._client() as client:
                rows = client.listing(host, f"{share}/{folder}" if folder else share)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR):
                return []
            raise _unanswered(host, error) from error
        prefix = f"{folder}/" if folder else ""
        return [Listed(prefix + path, number, size, mtime_ns) for path, size, mtime_ns in rows]

    def _wait_for_hosts(self) -> None:
        deadline = time.monotonic() + self._wait_seconds
        if not self._expected and not self._settled:
            self._wait_until_settled()
        while len(agents := self._hub.agents()) < self._expected:
            if time.monotonic() > deadline:
                there = ", ".join(agent.name for agent in agents) or "none"
                raise ResourceError(
                    f"of {self._expected} hosts only these have joined: {there}; without the others it is not known "
                    "which inputs there are"
                )
            time.sleep(LOOK_SECONDS)

    def _wait_until_settled(self) -> None:
        begun = since = time.monotonic()
        joined = -1
        while (now := time.monotonic()) < since + SETTLE_SECONDS or (joined <= 0 and now < begun + NO_DATA_SECONDS):
            offering = sum(bool(agent.hello.data) for agent in self._hub.agents())
            if offering != joined:
                joined, since = offering, now
            time.sleep(LOOK_SECONDS)
        self._settled = True

    # --- what we offer

    def offer(self, files: Iterable[InputFile]) -> None:
        """Let hosts read these, where they lie with us and a host does not see them. The job is planned by now."""
        self.rest()
        self._server.folders.offer_files({offered_as(path): os.path.abspath(path) for path in _ours(files)})

    def withdraw(self, files: Iterable[InputFile]) -> None:
        self._server.folders.withdraw_files(offered_as(path) for path in _ours(files))

    def offer_files(self, files: Mapping[str, str]) -> None:
        """What jobs open besides their input, by the names under which hosts ask for them."""
        self._server.folders.offer_files(files)

    def withdraw_files(self, names: Iterable[str]) -> None:
        self._server.folders.withdraw_files(names)

    def close(self) -> None:
        """A second call is harmless."""
        forget_host_files(self._inputs)
        self.rest()


class _WhenAsked:
    """Of an engine whose cluster has not begun: it begins when an input is looked for that lies there."""

    def __init__(self, meet: Callable[[], None]) -> None:
        self._meet = meet

    def knows(self, file: InputFile) -> bool:
        return False

    def find(self, path: str) -> list[InputFile]:
        self._meet()
        return find_files([path])  # of those who are asked from now on

    def open(self, file: InputFile) -> BinaryIO:
        self._meet()
        return open_input(file)

    def local_path(self, file: InputFile) -> str | None:
        self._meet()
        return local_path(file)


def find_when_asked(meet: Callable[[], None]) -> Callable[[], None]:
    """Have `meet` called, which lets others be used, as soon as `data:` paths are looked for. What ends that."""
    inputs = _WhenAsked(meet)
    use_host_files(inputs)
    return lambda: forget_host_files(inputs)


def _ours(files: Iterable[InputFile]) -> set[str]:
    return {
        file.path for file in files if not (is_remote(file.path) or is_on_hosts(file.path) or file.path.startswith("<"))
    }


def _unanswered(host: str, error: OSError) -> ResourceError:
    return ResourceError(f"host {host} can't say what it has: {error.strerror or error}; see its log, and try again")
