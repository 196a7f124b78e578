"""What does a worker process do all day? It runs attempts, one at a time, and says how they go.

    socket --> main thread: reads when it has nothing to do, runs attempts, sends their ends
       |
       +-----> watch thread: looks 20 times a second while something runs; reads in the main thread's place, so that a
               cancel and the end of the pool are seen though user code never returns; carries what was printed,
               weighs the memory, reports progress

Small attempts never meet the watch thread: the next attempt waits in the socket's buffer, and the main thread takes it
from there without a switch of threads. User code runs in the main thread, as it would in a script.

Standard output and error are one pipe whose two ends the worker holds itself: at the end of an attempt it empties the
pipe, so every line is tagged with the attempt that printed it, also if C code or a child process wrote it. The pool has
the reading end too, for a worker's last words.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import socket
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from importlib import import_module
from typing import Any, NoReturn

from mapreduce.dataclass import replace
from mapreduce.dataflow.monitor import Monitor
from mapreduce.dataflow.results import AttemptResult, Failure, FailureKind
from mapreduce.ids import AttemptId
from mapreduce.workers.failures import describe, over_memory
from mapreduce.workers.limits import MemoryGauge, Verdict, over_limit_sentence, verdict
from mapreduce.workers.messages import (
    Figures,
    Inbox,
    Kind,
    Message,
    encode,
    encode_figures,
    encode_result,
)

TICK_SECONDS = 0.05
"""How often the watch thread looks: memory grows by up to 2 GB/s, so 100 MB at most between two looks."""

PROGRESS_TICKS = 4
IDLE_TICKS = 20  # then the watch thread parks until the next attempt
LOG_BYTES = 1 << 16
LINE_BYTES = 1 << 16  # a line longer than that is cut
EXIT_OVER_LIMIT = 86
EXIT_POOL_GONE = 87
EXIT_WATCH_FAILED = 88

RunAttempt = Callable[[Any, AttemptId, Any, Monitor], AttemptResult]
Unpack = Callable[[Any], Any]


class Worker:
    """One worker process. `unpack(package)` makes the context of a job, `run_attempt(context, attempt, spec, monitor)`
    runs one attempt; what they raise, `sys.exit()` included, is the attempt's failure and not the worker's."""

    def __init__(
        self,
        channel: socket.socket,
        log_fd: int,
        unpack: Unpack,
        run_attempt: RunAttempt,
        when_busy: Callable[[], None] = lambda: None,
        warm_up: str = "",
    ) -> None:
        self._warm_up = warm_up
        self._channel = channel
        self._when_busy = when_busy
        self._unpack = unpack
        self._run_attempt = run_attempt
        self._inbox = Inbox()
        self._todo: deque[Message] = deque()
        self._reading = threading.Lock()  # guards _inbox, _todo, _current
        self._sending = threading.Lock()
        self._log = LogPipe(log_fd)
        self._gauge = MemoryGauge()
        self._limit_bytes = 0
        self._peak_bytes = 0  # of the attempt at hand, as seen by the watch thread
        self._job = 0
        self._package = b""
        self._context: Any = None
        self._current: Running | None = None
        self._started = 0  # attempts, so far
        self._parked = False
        self._wake = threading.Event()

    def serve(self) -> NoReturn:
        """Run attempts until the pool ends."""
        threading.Thread(target=self._watch, name="watch", daemon=True).start()
        self._send(encode(Kind.HELLO, 0, None))
        if self._warm_up:
            with contextlib.suppress(ImportError):  # whoever needs what is missing says so
                resolve(self._warm_up)()
        while True:
            message = self._next()
            if message.kind == Kind.BEGIN:
                self._begin(message)
            else:
                self._attempt(message)

    # --- the main thread

    def _next(self) -> Message:
        with self._reading:
            while not self._todo:
                self._receive(0)
            message = self._todo.popleft()
            if message.kind == Kind.START:
                assert message.attempt is not None
                self._current = Running(message.job, message.attempt)
                self._peak_bytes = 0
                self._started += 1
        if self._parked:
            self._wake.set()
        return message

    def _begin(self, message: Message) -> None:
        self._context = None  # the old job's memory is free before the new one's is taken
        self._job = message.job
        self._package, self._limit_bytes = pickle.loads(message.body)

    def _attempt(self, message: Message) -> None:
        current = self._current
        assert current is not None
        attempt = current.attempt
        try:
            if self._context is None:
                self._context = self._unpack(pickle.loads(self._package))
            spec = pickle.loads(message.body)
            result = self._run_attempt(self._context, attempt, spec, current.monitor)
            kind, body = Kind.FINISHED, encode_result(result)
        except BaseException as error:
            kind, body = self._ending(error, current.monitor)
        self._flush_streams()
        report = encode(kind, current.job, attempt, body)
        with self._log.lock:
            lines = self._log.take(to_the_end=True)
            self._current = None
        if lines:
            self._send(encode(Kind.LOG, current.job, attempt, lines) + report)
        else:
            self._send(report)
        if kind is Kind.LEAVING:  # what user code keeps would be the next attempt's burden
            os._exit(EXIT_OVER_LIMIT)

    def _ending(self, error: BaseException, monitor: Monitor) -> tuple[Kind, bytes]:
        """How an attempt that raised has ended."""
        if monitor.cancelled:  # whatever user code made of the CancelledError
            return Kind.CANCELLED, b""
        failure = describe(error, monitor, skip_frames=1)
        if failure.kind is not FailureKind.MEMORY:
            return Kind.FAILED, pickle.dumps(failure, protocol=5)
        return Kind.LEAVING, self._weighed(failure)

    def _weighed(self, failure: Failure) -> bytes:
        peak_bytes = max(self._peak_bytes, self._gauge.anonymous_bytes())
        failure = replace(failure, peak_memory_bytes=peak_bytes, limit_bytes=self._limit_bytes)
        return pickle.dumps(failure, protocol=5)

    def _flush_streams(self) -> None:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except Exception as error:  # user code closed or replaced it
                with contextlib.suppress(OSError):  # the descriptor, too: then there is nowhere to say so
                    os.write(2, f"a standard stream could not be flushed: {error!r}\n".encode())

    # --- either thread

    def _receive(self, flags: int) -> None:
        """Read once and file what came. Needs the reading lock. The end of the pool is the end of this process."""
        try:
            data = self._channel.recv(self._inbox.wanted, flags)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._pool_is_gone()
        for message in self._inbox.feed(data):
            if message.kind == Kind.CANCEL:
                self._cancel(message)
            else:
                self._todo.append(message)

    def _cancel(self, message: Message) -> None:
        current = self._current
        if current is not None and (current.job, current.attempt) == (message.job, message.attempt):
            current.monitor.cancelled = True
            return
        for waiting in self._todo:
            if waiting.kind == Kind.START and (waiting.job, waiting.attempt) == (message.job, message.attempt):
                self._todo.remove(waiting)
                self._send(encode(Kind.CANCELLED, message.job, message.attempt))
                return

    def _send(self, data: bytes) -> None:
        with self._sending:
            try:
                self._channel.sendall(data)
            except OSError:
                self._pool_is_gone()

    def _pool_is_gone(self) -> NoReturn:
        from mapreduce.workers.own_group import kill_own_group

        kill_own_group()  # with the programs that user code started
        os._exit(EXIT_POOL_GONE)

    # --- the watch thread

    def _watch(self) -> None:
        try:
            self._watch_on()
        except BaseException:  # without it nobody would notice the end of the pool
            traceback.print_exc()
            os._exit(EXIT_WATCH_FAILED)

    def _watch_on(self) -> NoReturn:
        ticks = idle_ticks = seen = 0
        while True:
            time.sleep(TICK_SECONDS)
            current = self._current
            idle_ticks = 0 if current is not None or seen != self._started else idle_ticks + 1
            seen = self._started
            if idle_ticks >= IDLE_TICKS:
                self._park()
                idle_ticks = 0
            elif current is not None:
                ticks += 1
                if ticks == 1:
                    self._when_busy()
                self._look(current, ticks % PROGRESS_TICKS == 0)

    def _park(self) -> None:
        self._parked = True
        if self._current is None:  # else the main thread may not have seen that we park
            self._wake.wait()
        self._wake.clear()
        self._parked = False

    def _look(self, current: Running, report: bool) -> None:
        if self._reading.acquire(blocking=False):  # else the main thread reads
            try:
                self._receive(socket.MSG_DONTWAIT)
            finally:
                self._reading.release()
        with self._log.lock:
            running = self._current
            lines = self._log.take(to_the_end=False) if running else b""
            if running and lines:
                self._send(encode(Kind.LOG, running.job, running.attempt, lines))
        self._weigh(current)
        if report:
            monitor = current.monitor
            resident_bytes, seconds = self._gauge.resident_bytes(), time.process_time()
            steps = monitor.steps_so_far()
            figures = Figures(monitor.bytes_in, monitor.records_in, steps, resident_bytes, seconds)
            self._send(encode(Kind.PROGRESS, current.job, current.attempt, encode_figures(figures)))

    def _weigh(self, current: Running) -> None:
        """Ask the task to end when this process is large, and end it here and now when it is too large."""
        used_bytes = self._gauge.anonymous_bytes()
        self._peak_bytes = max(self._peak_bytes, used_bytes)
        judged = verdict(used_bytes, self._limit_bytes)
        if judged is Verdict.LARGE and current.monitor.over_memory is None:
            from mapreduce.dataflow.frugal import give_back_freed

            give_back_freed()
            current.monitor.over_memory = self._too_large
        elif judged is Verdict.OVER:
            failure = self._weighed(over_memory(self._too_large(), current.monitor))
            self._send(encode(Kind.LEAVING, current.job, current.attempt, failure))
            os._exit(EXIT_OVER_LIMIT)

    def _too_large(self) -> str:
        """How much memory this process uses, if that is too much for its task to go on."""
        used_bytes = self._gauge.anonymous_bytes()
        if verdict(used_bytes, self._limit_bytes) is Verdict.FINE:
            return ""
        return over_limit_sentence(used_bytes, self._limit_bytes)


class Running:
    """The attempt at hand."""

    __slots__ = ("attempt", "job", "monitor")

    def __init__(self, job: int, attempt: AttemptId) -> None:
        self.job = job
        self.attempt = attempt
        self.monitor = Monitor()


class LogPipe:
    """The reading end of standard output and error, cut into whole lines. Hold `lock` from taking to sending."""

    def __init__(self, fd: int) -> None:
        self.lock = threading.Lock()
        self._fd = fd
        self._partial = b""

    def take(self, *, to_the_end: bool) -> bytes:
        """Lines printed since the last call. `to_the_end`: nothing more will come for these, end the last line."""
        chunks = [self._partial]
        try:
            while chunk := os.read(self._fd, LOG_BYTES):
                chunks.append(chunk)
                if len(chunk) < LOG_BYTES:
                    break
        except BlockingIOError:
            if not any(chunks):  # nothing was printed: nearly always
                return b""
        data = b"".join(chunks)
        if to_the_end and data and not data.endswith(b"\n"):
            data += b"\n"
        cut = len(data) if len(data) > LINE_BYTES and b"\n" not in data else data.rfind(b"\n") + 1
        self._partial = data[cut:]
        return data[:cut]


def resolve(name: str) -> Any:
    """The object that 'package.module:name' names."""
    module, _, attribute = name.partition(":")
    return getattr(import_module(module), attribute)


def main(
    channel_fd: int, log_fd: int, unpack: str, run_attempt: str, when_busy: Callable[[], None], warm_up: str = ""
) -> NoReturn:
    """A worker process from here to its end, whichever way it was started. Standard streams are set already.

    `when_busy` is called once, in the watch thread, by the time that an attempt has run for a moment.
    """
    channel = socket.socket(fileno=channel_fd)
    Worker(channel, log_fd, resolve(unpack), resolve(run_attempt), when_busy, warm_up).serve()
