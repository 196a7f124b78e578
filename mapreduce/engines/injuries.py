"""What happens in a worker, or to a file, when a fault is inflicted on purpose?

An `Injured` spec stands for another and travels in its place. The worker that runs it carries out the other one, and
suffers the fault at its moment: by its own hand, so it is certain that this attempt is hit, and no other.
"""

from __future__ import annotations

import os
import signal
import threading
import time
import weakref
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mapreduce.workers.process import die_with

if TYPE_CHECKING:
    from mapreduce.dataflow.attempt import Attempt
    from mapreduce.dataflow.results import Output

NAP_SECONDS = 0.05


class FaultKind(Enum):
    """What an attempt suffers. The order is that in which a draw is shared out among them."""

    KILL = "kill"
    STOP = "stop"
    SLOW = "slow"
    CORRUPT = "corrupt"


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
        from mapreduce.dataflow.attempt import body_of

        body = body_of(self.spec)
        if self.fault.kind is FaultKind.SLOW:
            _pause(self.fault.seconds, attempt)
            return body(attempt, self.spec)
        strike = _Strike(signal.SIGKILL if self.fault.kind is FaultKind.KILL else signal.SIGSTOP)
        if self.fault.kind is FaultKind.STOP:  # whoever is stopped can't see that its tracker was killed meanwhile
            die_with(os.getppid())
        if self.fault.moment is Moment.START:
            strike()
        elif self.fault.moment is Moment.WITHIN:
            strike.after(self.fault.seconds)
        try:
            output = body(attempt, self.spec)
        except BaseException:
            strike.disarm()
            raise
        if self.fault.moment is Moment.REPORTED:
            # The worker lets go of its spec when it has sent the report, and before it takes the next attempt.
            weakref.finalize(self, strike)
        else:
            strike()
        return output


class _Strike:
    """Sends this process a signal, once at the most."""

    def __init__(self, number: signal.Signals) -> None:
        self._number = number
        self._lock = threading.Lock()
        self._armed = True

    def __call__(self) -> None:
        with self._lock:
            if self._armed:
                self._armed = False
                os.kill(os.getpid(), self._number)

    def after(self, seconds: float) -> None:
        timer = threading.Timer(seconds, self)
        timer.daemon = True
        timer.start()

    def disarm(self) -> None:
        with self._lock:
            self._armed = False


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
