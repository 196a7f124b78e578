"""What happens in a worker, or to a file, when a fault is inflicted on purpose?

An `Injured` spec stands for another and travels in its place. The worker that runs it carries out the other one, and
suffers the fault at its moment: by its own hand, so it is certain that this attempt is hit, and no other, on whichever
host it runs. Who stops leaves somebody behind who lets it go on. What can't be seen from its end is told in a line of
its log.
"""

from __future__ import annotations

import os
import re
import signal
import threading
import time
import weakref
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mapreduce.dataclass import dataclass, replace
from mapreduce.workers.process import die_with

if TYPE_CHECKING:
    from mapreduce.dataflow.attempt import Attempt
    from mapreduce.dataflow.results import Output
    from mapreduce.ids import AttemptId

NAP_SECONDS = 0.05
TOLD_SECONDS = 0.15
"""A worker looks every 50 ms whether something was printed. Whoever stands still sends nothing any more, and may be
killed before it goes on."""

_TOLD = re.compile(r"chaos: ([a-z-]+) strikes (\d+:\d+#\d+)\n")


class FaultKind(Enum):
    """What an attempt suffers. The order is that in which a draw is shared out among them."""

    KILL = "kill"
    STOP = "stop"
    SLOW = "slow"
    CORRUPT = "corrupt"
    KILL_HOST = "kill-host"
    STOP_HOST = "stop-host"

    @property
    def of_host(self) -> bool:
        """Whether it strikes the agent of the host, and so all its workers."""
        return self in (FaultKind.KILL_HOST, FaultKind.STOP_HOST)


class Moment(Enum):
    """When it does."""

    START = "start"
    WITHIN = "within"
    END = "end"  # its output is written and not yet reported
    REPORTED = "reported"


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault and its moment. `seconds`: after how long WITHIN strikes, how long a stop or a pause lasts. `place`, from
    0 to below 1, says how and where a file is damaged."""

    kind: FaultKind
    moment: Moment
    seconds: float
    place: float = 0.0


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Injured:
    """A spec with a fault that its attempt suffers."""

    spec: Any
    fault: Fault

    def run(self, attempt: Attempt) -> Output:
        """The other spec's body, and the fault."""
        from mapreduce.dataflow.run_attempt import body_of

        body, fault = body_of(self.spec), self.fault
        if fault.kind is FaultKind.SLOW:
            _tell(fault.kind, attempt.id)
            _pause(fault.seconds, attempt)
            return body(attempt, self.spec)
        if fault.kind is FaultKind.CORRUPT:
            output = body(attempt, self.spec)
            damaged = damage(attempt.context.root, output, fault)
            if damaged is not None:
                _tell(fault.kind, attempt.id)
            return damaged or output
        strike = _Strike(fault, attempt)
        if fault.kind is FaultKind.STOP:  # whoever is stopped can't see that its tracker was killed meanwhile
            die_with(os.getppid())
        if fault.moment is Moment.START:
            strike()
        elif fault.moment is Moment.WITHIN:
            strike.after(fault.seconds)
        try:
            output = body(attempt, self.spec)
        except BaseException:
            strike.disarm()
            raise
        if fault.moment is Moment.REPORTED:
            # The worker lets go of its spec when it has sent the report, and before it takes the next attempt.
            weakref.finalize(self, strike)
        else:
            strike()
        return output


class _Strike:
    """Kills or stops this process, or the agent that it works for, once at the most."""

    def __init__(self, fault: Fault, attempt: Attempt) -> None:
        self._fault = fault
        self._attempt = attempt.id
        self._lock = threading.Lock()
        self._armed = True

    def __call__(self) -> None:
        with self._lock:
            if not self._armed:
                return
            self._armed = False
            victim = os.getppid() if self._fault.kind.of_host else os.getpid()
            if self._fault.kind in (FaultKind.KILL, FaultKind.KILL_HOST):
                os.kill(victim, signal.SIGKILL)
                return
            _tell(self._fault.kind, self._attempt)
            time.sleep(TOLD_SECONDS)
            _stop(victim, self._fault.seconds)

    def after(self, seconds: float) -> None:
        timer = threading.Timer(seconds, self)
        timer.daemon = True
        timer.start()

    def disarm(self) -> None:
        with self._lock:
            self._armed = False


def _stop(pid: int, seconds: float) -> None:
    """Stop a process; a child of ours lets it go on after so long, whatever has become of us."""
    null = os.devnull
    quiet = [(os.POSIX_SPAWN_OPEN, fd, null, os.O_RDWR, 0) for fd in range(3)]
    command = ["sh", "-c", f"sleep {seconds:.3f}; kill -CONT {pid}"]
    helper = os.posix_spawn("/bin/sh", command, os.environ, file_actions=quiet)
    os.kill(pid, signal.SIGSTOP)
    threading.Thread(target=os.waitpid, args=(helper, 0), name="stop", daemon=True).start()


def _tell(kind: FaultKind, attempt: AttemptId) -> None:
    """A line of the attempt's log, which reaches the tracker before its end does."""
    os.write(2, f"chaos: {kind.value} strikes {attempt}\n".encode())


class Told(NamedTuple):
    """That an attempt was struck."""

    kind: FaultKind
    attempt: str


def without_told(text: str) -> tuple[str, list[Told]]:
    """Lines of a log without what was told there of faults, and what that was."""
    return _TOLD.sub("", text), [Told(FaultKind(kind), attempt) for kind, attempt in _TOLD.findall(text)]


def _pause(seconds: float, attempt: Attempt) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        attempt.monitor.check()
        time.sleep(NAP_SECONDS)


def damage(root: str, output: Output, fault: Fault) -> Output | None:
    """Flip a bit of a finished output, cut it short, or delete it. Returns the output as it is reported then, or None
    if it cannot be damaged: it is empty, or a folder of parts, which nobody reads again."""
    way = int(fault.place * 3)
    place = fault.place * 3 - way
    if output.inline:
        position = int(place * len(output.inline))
        if way == 0:
            return replace(output, inline=output.inline[:position])
        return replace(output, inline=_flipped(output.inline, position))
    path = Path(root, output.path) if output.path else None
    if path is None or not path.is_file() or not (size := path.stat().st_size):
        return None
    if way == 0:
        os.truncate(path, int(place * size))
    elif way == 1:
        path.unlink()
    else:
        with open(path, "r+b") as file:
            file.seek(int(place * size))
            byte = file.read(1)
            file.seek(int(place * size))
            file.write(_flipped(byte, 0))
    return output


def _flipped(data: bytes, position: int) -> bytes:
    """With one bit changed."""
    return data[:position] + bytes([data[position] ^ 0x10]) + data[position + 1 :]
