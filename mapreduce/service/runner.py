"""How does one job of the service run? In a process of its own, which the tracker starts for it.

```text
tracker  ==socket==>  leases, as lines of JSON            job's process  --> its workers
         <==socket==  slots given back, as lines of JSON                 --> <state>/jobs/000012/{log,ended.json,...}
```

The process runs the job as `mapreduce run` would, with a journal, and on no more slots than it was lent. It ends when
the tracker does, whichever way that ends, and leaves what the next one goes on from. What it says goes to the log.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mapreduce.dataclass import dataclass
from mapreduce.engine import Engine
from mapreduce.engines.runs import Runs
from mapreduce.engines.submission import Submission, open_submission, pack_returned
from mapreduce.errors import MapReduceError, ResourceError
from mapreduce.service.leased import LeasedExecutor
from mapreduce.service.state import LOCK, OUTCOME, OUTPUT, PACKAGE, Ended, write_ended
from mapreduce.storage.locks import HeldByAnotherError, take_lock
from mapreduce.storage.store import open_store, write_whole
from mapreduce.tracker.observer import Observer, Observers

if TYPE_CHECKING:
    from mapreduce.engines.prepared import Prepared
    from mapreduce.ids import WorkerId
    from mapreduce.result import Result
    from mapreduce.tracker.executor import Executor
    from mapreduce.tracker.outcome import JobOutcome

LOCK_SECONDS = 20.0
"""A process that an earlier tracker started has so long to end: it hears of that tracker's end at once."""

LINE_BYTES = 1 << 16
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Place:
    """Where a job runs: on how many workers of this machine at the most; or, where it is told to `listen`, on those of
    the agents that join there, who hold the key in the file `key`."""

    folder: Path
    workers: int
    listen: str = ""
    key: str = ""


class Control:
    """The job's end of the socket to the tracker."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._channel.setblocking(False)
        self._buffer = b""
        self.workers = 0  # on which the job ran: hosts may have come since it began
        self._leases: dict[str, int] = {}
        self._ended = False

    def leases(self) -> dict[str, int]:
        """Slots by host, as they are now. When the tracker has ended, this process is told to stop, like by SIGTERM."""
        while not self._ended:
            try:
                data = self._channel.recv(LINE_BYTES)
            except BlockingIOError:
                break
            except OSError:
                data = b""
            if not data:
                self._ended = True
                os.kill(os.getpid(), signal.SIGTERM)
                break
            *lines, self._buffer = (self._buffer + data).split(b"\n")
            for line in lines:
                page = json.loads(line)
                self._leases[page["host"]] = page["slots"]
        return dict(self._leases)

    def give_back(self, host: str, slots: int) -> None:
        """Tell that no more than so many slots of the host are used any more."""
        self.say({"returned": host, "slots": slots})

    def say(self, page: dict[str, Any]) -> None:
        with suppress(OSError):  # nobody is there any more, which `leases` will find
            self._channel.setblocking(True)
            self._channel.sendall(json.dumps(page).encode() + b"\n")
        with suppress(OSError):
            self._channel.setblocking(False)


class LeasedEngine(Engine):
    """An engine that uses as many of its workers as the tracker lends it."""

    def __init__(self, place: Place, control: Control, memory: int | None) -> None:
        if place.listen:
            super().__init__("cluster", memory=memory, listen=place.listen, key=place.key)
        else:
            super().__init__(workers=place.workers, memory=memory)
        self._control = control

    def _make_runs(self) -> Runs:
        runs = LeasedRuns(self.kind)
        runs.control = self._control
        return runs


class LeasedRuns(Runs):
    """Jobs whose driver sees only the workers that are lent."""

    control: Control

    def executor(self, prepared: Prepared) -> Executor:
        executor = super().executor(prepared)
        host_of = getattr(executor, "host_of", _here)
        return LeasedExecutor(executor, self.control.leases, self.control.give_back, host_of)


def _here(_: WorkerId) -> str:
    return HERE


HERE = ""
"""The tracker's own host, among those that lend slots."""


class _Outcomes(Observer):
    def __init__(self) -> None:
        self.all: list[JobOutcome] = []

    def finished(self, outcome: JobOutcome) -> None:
        self.all.append(outcome)


def run_kept_job(place: Place, control: Control, observer: Observer, clock: Callable[[], float] = time.time) -> Ended:
    """Run the job that lies in the folder, to its end; returns what was written there of it.

    Raises KeyboardInterrupt or SystemExit if it was stopped: then nothing is written, and it goes on another time.
    Raises ResourceError if an earlier process still runs it.
    """
    outcomes = _Outcomes()
    lock = _wait_for_lock(place.folder)
    try:
        try:
            result = _run(place, control, Observers([observer, outcomes]))
            returned = pack_returned(result, outcomes.all, control.workers)
            ended = Ended(0, clock())
        except Exception as error:
            code = error.exit_code if isinstance(error, MapReduceError) else 2 if isinstance(error, OSError) else 1
            ended = Ended(code, clock(), type(error).__name__, str(error))
            returned = _pack_failed(error, outcomes.all)
            _write_end(place.folder, returned, ended)
            raise
        _write_end(place.folder, returned, ended)
        return ended
    finally:
        lock.release()


def _write_end(folder: Path, returned: bytes, ended: Ended) -> None:
    write_whole(open_store(str(folder)), OUTCOME, returned, sync=True)
    write_ended(folder, ended)


def _pack_failed(error: Exception, outcomes: list[JobOutcome]) -> bytes:
    import pickle

    failure = error.failure if isinstance(error, MapReduceError) else None
    return pickle.dumps((failure, tuple(outcomes), list(getattr(error, "__notes__", ()))), protocol=5)


def _run(place: Place, control: Control, observer: Observer) -> Result:
    submission: Submission = open_submission((place.folder / PACKAGE).read_bytes())
    settings = dict(submission.settings)
    memory = settings.pop("memory", None)
    settings.pop("workers", None)
    output = submission.output or str(place.folder / OUTPUT)
    if not submission.output:
        settings.setdefault("output_format", RECORDS)
    with LeasedEngine(place, control, memory) as engine:
        result = engine.run(submission.job, submission.dataset, output=output, observer=observer, **settings)
        control.workers = max(place.workers, engine.workers) if place.listen else place.workers
        return result


RECORDS = "records"


def _wait_for_lock(folder: Path) -> Any:
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            return take_lock(folder / LOCK)
        except HeldByAnotherError as error:
            if time.monotonic() >= deadline:
                raise ResourceError(f"an earlier process (pid {error.owner}) still runs {folder}") from None
            time.sleep(0.05)


def die_with_parent() -> None:
    """Have the system end this process when the tracker dies, also where nobody reads the socket: in code of the job's
    that hangs while it is unpickled. Where there is no such call (it is Linux's) the socket must do."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def take_control() -> Control:
    """The socket that the tracker gave us as standard input; what is printed goes to the log, like errors."""
    channel = socket.socket(fileno=os.dup(0))
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    return Control(channel)
