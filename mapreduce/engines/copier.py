"""How does a host copy outputs of others to its own disk?

A thread of the agent reads them, one after the other, as any reader does: straight from a host that has the file, each
piece checked on its way. A copy has another name until it is whole. It lies where its original lies on the other host,
so it is read by the same path, and goes with the folder of its job. A disk that is nearly full gets none.
"""

from __future__ import annotations

import errno
import os
import queue
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, TypeVar, cast

from mapreduce.dataclass import dataclass
from mapreduce.engines.meeting import CopyOrder, CopyTrouble, Have
from mapreduce.ids import AttemptId
from mapreduce.storage.host_paths import split_path
from mapreduce.storage.host_store import choose_order
from mapreduce.storage.paths import JOB
from mapreduce.storage.store import TEMPORARY, Store, open_store

if TYPE_CHECKING:
    from mapreduce.wire.data_client import DataClient

_T = TypeVar("_T")

MOST_WISHES = 64
"""Orders that wait here; a tracker has few underway."""

SPARED = 0.05
"""Of a disk is left to the tasks: a copy for others must not cost them the room that they need."""

IDLE_SECONDS = 10.0
"""After so long without an order the connections are closed."""

CLOSE_SECONDS = 1.0
"""So long the end of an agent waits for a copy that waits for a host out of reach."""


@dataclass(frozen=True, slots=True)
class Wish:
    """An order: the folder `root` of the job is shared as `share` by all hosts."""

    job: int
    attempt: AttemptId
    root: str
    share: str
    order: CopyOrder


class Answer(NamedTuple):
    """What became of an order."""

    job: int
    attempt: AttemptId
    told: Have | CopyTrouble


class _NotWantedError(Exception):
    """The job is over, or our session."""


class _NoRoomError(Exception):
    """This host's disk refuses."""


class Copier:
    """Carries out orders of a job until it is told to `stop`. `connect` makes the client, in the thread that uses
    it."""

    def __init__(self, me: str, connect: Callable[[], DataClient]) -> None:
        self._me = me
        self._connect = connect
        self._wishes: queue.SimpleQueue[tuple[int, Wish] | None] = queue.SimpleQueue()
        self._answers: deque[Answer] = deque()
        self._lock = threading.Lock()  # of names in folders of jobs, and of the number of the turn
        self._turn = 0
        self._thread: threading.Thread | None = None
        self._ear, self._bell = os.pipe()
        os.set_blocking(self._bell, False)
        os.set_blocking(self._ear, False)

    def fileno(self) -> int:
        """Readable when there are answers."""
        return self._ear

    def ask(self, wish: Wish) -> None:
        if self._wishes.qsize() >= MOST_WISHES:
            self._put(Answer(wish.job, wish.attempt, CopyTrouble("too many orders at once")))
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="copies", daemon=True)
            self._thread.start()
        self._wishes.put((self._turn, wish))

    def answers(self) -> list[Answer]:
        found = []
        with suppress(BlockingIOError):
            os.read(self._ear, 1 << 10)
        while self._answers:
            found.append(self._answers.popleft())
        return found

    def stop(self) -> None:
        """What was ordered is not wanted any more: from here on nothing is written. Does not wait."""
        with self._lock:
            self._turn += 1
        self._answers.clear()

    def close(self) -> None:
        """A second call is harmless."""
        self.stop()
        if self._thread is not None:
            self._wishes.put(None)
            self._thread.join(CLOSE_SECONDS)
            self._thread = None
        for end in {self._ear, self._bell} - {-1}:
            os.close(end)
        self._ear = self._bell = -1

    def _put(self, answer: Answer) -> None:
        self._answers.append(answer)
        with suppress(BlockingIOError):  # it rings already
            os.write(self._bell, b"x")

    # --- the thread

    def _run(self) -> None:
        while (wanted := self._wishes.get()) is not None:
            client = self._connect()
            try:
                while wanted is not None:
                    turn, wish = wanted
                    with suppress(_NotWantedError):
                        self._answer(turn, wish, self._told(client, turn, wish))
                    wanted = self._wishes.get(timeout=IDLE_SECONDS)
                return
            except queue.Empty:
                continue
            finally:
                client.close()

    def _answer(self, turn: int, wish: Wish, told: Have | CopyTrouble) -> None:
        with self._lock:
            self._check(turn)
            self._put(Answer(wish.job, wish.attempt, told))

    def _check(self, turn: int) -> None:
        if turn != self._turn:
            raise _NotWantedError

    def _told(self, client: DataClient, turn: int, wish: Wish) -> Have | CopyTrouble:
        hosts, rest = split_path(wish.order.path)
        if not rest.startswith(f"{JOB}/") or ".." in rest.split("/"):
            return CopyTrouble(f"{rest!r:.80} is no output of a job")
        store, why = open_store(wish.root), "no host has it"
        with suppress(OSError):
            if store.size(rest) == wish.order.bytes:
                return Have(self._me, 0, 0.0)
        if not _has_room(wish.root, wish.order.bytes):
            return CopyTrouble(f"less than {SPARED:.0%} of its disk would be left free", ours=True)
        for host in choose_order(hosts, self._me, rest) if hosts else ():
            started = time.monotonic()
            try:
                self._bring(client, store, turn, wish, host, rest)
                return Have(host, wish.order.bytes, time.monotonic() - started)
            except _NoRoomError as error:
                return CopyTrouble(str(error), ours=True)
            except OSError as error:
                why = f"host {host}: {error.strerror or error}"
        return CopyTrouble(why)

    def _bring(self, client: DataClient, store: Store, turn: int, wish: Wish, host: str, rest: str) -> None:
        """Raises OSError if it can't be had there, _NoRoomError if it can't be written here."""
        unfinished = f"{rest}{TEMPORARY}"
        with self._lock:  # or the folder of a job that is over would be made anew
            self._check(turn)
            file = _on_our_disk(lambda: store.create(unfinished))
        try:
            with file:
                writer = _Writer(file)
                client.fetch(host, f"{wish.share}/{rest}", cast("BinaryIO", writer), lambda: self._check(turn))
                _on_our_disk(file.flush)
            if writer.bytes != wish.order.bytes:
                raise OSError(errno.EIO, f"{writer.bytes:,} bytes instead of {wish.order.bytes:,}")
            with self._lock:
                self._check(turn)
                _on_our_disk(lambda: store.rename(unfinished, rest))
        except BaseException:
            with suppress(OSError):
                store.remove(unfinished)
            raise


def _has_room(folder: str, size: int) -> bool:
    try:
        disk = shutil.disk_usage(folder)
    except OSError:  # whoever writes will say it better
        return True
    return disk.free - size >= SPARED * disk.total


class _Writer:
    """A file whose own errors are told from those of who is read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.bytes = 0

    def write(self, data: bytes) -> int:
        written = _on_our_disk(lambda: self._file.write(data))
        self.bytes += written
        return written


def _on_our_disk(do: Callable[[], _T]) -> _T:
    try:
        return do()
    except OSError as error:
        raise _NoRoomError(error.strerror or str(error)) from error
