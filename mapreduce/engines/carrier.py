"""How do the parts of an output come from the hosts where they were written to the tracker's?

Threads fetch them, each one attempt after the other, while the driver goes on. Each piece is checked on its way. A file
lies under the attempt's name until it is committed, as if the attempt had run here.

What waits is bounded: an attempt is over for the tracker when its part is here, and a worker has two attempts at most.
So it must not be one slow host for which the parts of all others wait.
"""

from __future__ import annotations

import logging
import posixpath
import queue
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from mapreduce.dataflow.results import Failure, FailureKind, failure_from
from mapreduce.errors import InternalError, MapReduceError
from mapreduce.ids import AttemptId
from mapreduce.storage.store import explained, open_store
from mapreduce.wire.traffic import add_links

if TYPE_CHECKING:
    from mapreduce.wire.data_client import DataClient
    from mapreduce.wire.traffic import Links

_log = logging.getLogger(__name__)


class _StoppedError(Exception):
    """The job is over, and nobody wants the rest."""


AT_ONCE = 4
"""Parts that come at the same time. More share the same link and the same disk."""

Wanted = tuple[AttemptId, Sequence[str], Sequence[str]]


class PartCarrier:
    """Brings outputs to the folder `root`; on their hosts that folder is shared as `share`. `connect` makes a client,
    in the thread that uses it. Not for two threads at once."""

    def __init__(self, root: str, share: str, connect: Callable[[], DataClient], *, durable: bool) -> None:
        self._root = root
        self._share = share
        self._connect = connect
        self._durable = durable
        self._wanted: queue.SimpleQueue[Wanted | None] = queue.SimpleQueue()
        self._arrived: deque[tuple[AttemptId, Failure | None]] = deque()
        self._came: deque[Links] = deque()  # of threads that have ended
        self._under_way = 0
        self._stopped = False
        self._threads: list[threading.Thread] = []
        self.moved: Links = {}  # what came, once it is closed

    def fetch(self, attempt: AttemptId, hosts: Sequence[str], paths: Sequence[str]) -> None:
        self._under_way += 1
        if len(self._threads) < min(self._under_way, AT_ONCE):
            name = f"parts {len(self._threads)}"
            self._threads.append(threading.Thread(target=self._carry, name=name, daemon=True))
            self._threads[-1].start()
        self._wanted.put((attempt, hosts, paths))

    def fetched(self) -> list[tuple[AttemptId, Failure | None]]:
        found = []
        while self._arrived:
            found.append(self._arrived.popleft())
        self._under_way -= len(found)
        return found

    def close(self) -> None:
        """What is still on its way is given up. A second call is harmless."""
        self._stopped = True
        for _ in self._threads:
            self._wanted.put(None)
        for thread in self._threads:
            thread.join()
        self._threads.clear()
        self.moved = add_links(self.moved, *self._came)
        self._came.clear()

    # --- the threads

    def _carry(self) -> None:
        client = self._connect()
        try:
            while (wanted := self._wanted.get()) is not None and not self._stopped:
                attempt, hosts, paths = wanted
                with suppress(_StoppedError):
                    self._arrived.append((attempt, self._bring(client, hosts, paths)))
        finally:
            self._came.append(client.take_moved())
            client.close()

    def _bring(self, client: DataClient, hosts: Sequence[str], paths: Sequence[str]) -> Failure | None:
        last: Failure | None = None
        for host in hosts:
            try:
                for path in paths:
                    self._copy(client, host, path)
                return None
            except MapReduceError as error:
                return failure_from(error)
            except OSError as error:
                message = f"its output could not be fetched from host {host}: {error.strerror or error}"
                last = Failure(FailureKind.LOST, "LostWorkerError", message)
            except _StoppedError:
                raise
            except Exception as error:  # ours; a thread that ended would leave the job waiting
                _log.exception("a part could not be brought here")
                return failure_from(InternalError(f"a part could not be brought here: {error!r}; please report it"))
        return last

    def _copy(self, client: DataClient, host: str, path: str) -> None:
        """A file, or a folder with all that is in it."""
        store = open_store(self._root)
        try:
            paths = [posixpath.join(path, name) for name, _ in client.files(host, f"{self._share}/{path}")]
        except NotADirectoryError:
            paths = [path]
        for each in paths:
            with explained(store, each), store.create(each) as file:
                client.fetch(host, f"{self._share}/{each}", file, self._check)
            if self._durable:
                with explained(store, each):
                    store.sync(each)
        if self._durable:
            with explained(store, path):
                for folder in {path, *map(posixpath.dirname, paths), posixpath.dirname(path)} - {""}:
                    if folder not in paths:
                        store.sync(folder)

    def _check(self) -> None:
        if self._stopped:
            raise _StoppedError
