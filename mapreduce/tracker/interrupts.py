"""How does Ctrl-C end a job in order? Not by an exception between any two lines, but as a note that the driver reads.

An exception in the middle of starting or burying a worker would leave a process behind. So while a job runs on other
processes, SIGINT and SIGTERM leave a note; the driver looks for it several times a second, stops the job and raises
what the signal means. A second signal does not wait for that.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Self


class Interrupts:
    """A context in which SIGINT and SIGTERM are noted. Only where they would end the program at once: a handler that
    the program has set itself stays, and in other threads than the main one nothing is touched."""

    def __init__(self) -> None:
        self.noted: signal.Signals | None = None
        self._process = os.getpid()
        self._before: dict[signal.Signals, object] = {}

    @property
    def reason(self) -> str:
        """What happened, for people; empty if nothing has."""
        if self.noted is None:
            return ""
        return "interrupted by Ctrl-C" if self.noted is signal.SIGINT else "ended by SIGTERM"

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL)):
                if signal.getsignal(number) == usual:
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()
        if kind is None:
            self.raise_noted()

    def raise_noted(self) -> None:
        """Raise what the signal means, if there was one: KeyboardInterrupt, or SystemExit with the shell's code."""
        noted, self.noted = self.noted, None
        if noted is signal.SIGINT:
            raise KeyboardInterrupt
        if noted is signal.SIGTERM:
            raise SystemExit(128 + signal.SIGTERM)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:  # a child forked under us: not its business
            return
        self.noted = signal.Signals(number)
        self._restore()

    def _restore(self) -> None:
        while self._before:
            number, handler = self._before.popitem()
            signal.signal(number, handler)  # type: ignore[arg-type]


def quit_debugger(error: BaseException) -> bool:
    """Whoever leaves the debugger wants to leave, not to debug the second attempt."""
    bdb = sys.modules.get("bdb")
    return bdb is not None and isinstance(error, bdb.BdbQuit)
