"""How does a worker process begin, and how is it ended for certain?

Two ways to begin. A fork takes 2 ms and finds every module loaded, but a process that runs threads must not fork: a
lock that another thread holds at that moment is never released in the child. Then a fresh interpreter is executed
(30 ms), with the same import path and folder. `choose_start` looks each time: a notebook always runs threads, a script
may do so once numpy or pyarrow is loaded, a live display is one.

Either way a worker leads a session of its own: Ctrl-C at the terminal reaches the tracker alone, and whatever user code
starts ends with its worker.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import io
import os
import select
import signal
import socket
import stat
import sys
import threading
import time
from enum import Enum
from typing import NoReturn

from mapreduce.dataclass import dataclass
from mapreduce.errors import ResourceError
from mapreduce.workers.own_group import kill_own_group

ONE_THREAD = dict.fromkeys(
    (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "BLIS_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
        "NUMEXPR_NUM_THREADS",
        "NUMBA_NUM_THREADS",
        "ARROW_IO_THREADS",
        "POLARS_MAX_THREADS",
        "RAYON_NUM_THREADS",
    ),
    "1",
)
"""Workers are the parallelism: with threads besides, 80 cores run 80 x 80 of them."""

LOG_PIPE_BYTES = 1 << 20
_F_SETPIPE_SZ = 1031
_PR_SET_PDEATHSIG = 1
_KILL_SECONDS = 1.0
_LAST_WORDS_BYTES = 1 << 16


class Start(Enum):
    """Ways to begin."""

    FORK = "fork"
    EXEC = "exec"


@dataclass(frozen=True, slots=True)
class Entry:
    """What workers call, as 'package.module:name', so that a fresh interpreter finds it: see `worker.main`."""

    unpack: str = "mapreduce.dataflow.package:unpack_job"
    run_attempt: str = "mapreduce.dataflow.run_attempt:run_attempt"
    warm_up: str = ""  # called, without arguments, while the worker waits for its first attempt


def choose_start() -> Start:
    """FORK if this process has one thread only, counting those that no Python code started."""
    if not sys.platform.startswith("linux") or threading.active_count() > 1:
        return Start.EXEC
    return Start.FORK if len(os.listdir("/proc/self/task")) == 1 else Start.EXEC


class Process:
    """A worker process as its pool sees it. Whoever made it calls `bury`, once it has ended or to end it."""

    __slots__ = ("_log_fd", "_reaped", "channel", "exit_status", "pid", "pid_fd", "start")

    def __init__(self, start: Start, pid: int, channel: socket.socket, log_fd: int) -> None:
        self.start = start
        self.pid = pid
        self.channel = channel
        self.exit_status: int | None = None  # as waitpid has it; None if somebody else took it
        self._log_fd = log_fd
        self._reaped = False
        try:
            self.pid_fd = os.pidfd_open(pid) if hasattr(os, "pidfd_open") else -1
        except OSError:  # a kernel or a sandbox without: the channel's end must do
            self.pid_fd = -1

    def last_words(self) -> str:
        """What it printed and did not send. Once only."""
        with contextlib.suppress(OSError):
            return os.read(self._log_fd, _LAST_WORDS_BYTES).decode(errors="replace")
        return ""

    def signal_group(self, number: signal.Signals) -> None:
        """Signal it and all that it started. Harmless if they are gone."""
        if self._reaped:  # its number may be another's by now
            return
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:  # not yet the leader of its group
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)
        except PermissionError:  # macOS says so of a zombie
            return

    def ended_within(self, seconds: float) -> bool:
        """Wait for its end. It stays a zombie, so that its number stays taken until `bury`."""
        deadline = time.monotonic() + seconds
        if self.pid_fd >= 0:
            poll = select.poll()
            poll.register(self.pid_fd, select.POLLIN)
            return bool(poll.poll(max(0.0, seconds) * 1000))
        while not self._has_ended():
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.002)
        return True

    def _has_ended(self) -> bool:
        if self._reaped:
            return True
        try:
            if hasattr(os, "waitid"):
                return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None
            pid, status = os.waitpid(self.pid, os.WNOHANG)  # macOS: a look takes the status, too
        except ChildProcessError:  # somebody else waits for children, and was faster
            self._reaped = True
            return True
        if pid:
            self.exit_status, self._reaped = status, True
        return self._reaped

    def bury(self) -> None:
        """End it if it lives, kill what it started, take its exit status and close everything. Leaves no zombie."""
        self.ended_within(0.05)  # its streams end a moment before it does, and its own status tells more than our kill
        self.signal_group(signal.SIGKILL)
        if self.ended_within(_KILL_SECONDS):  # else the kernel can't let it go: a file server hangs, say
            with contextlib.suppress(ChildProcessError):
                self.exit_status = self.exit_status if self._reaped else os.waitpid(self.pid, 0)[1]
                self._reaped = True
        self.close_ends()

    def close_ends(self) -> None:
        self.channel.close()
        for fd in (self._log_fd, self.pid_fd):
            if fd >= 0:
                os.close(fd)
        self._log_fd = self.pid_fd = -1

    def is_stopped(self) -> bool:
        """Whether a signal stopped it, and it has not gone on. False where the system doesn't tell (no /proc)."""
        try:
            with open(f"/proc/{self.pid}/stat", "rb") as file:
                return file.read().rpartition(b")")[2].split()[:1] == [b"T"]
        except OSError:
            return False

    def exit_code(self) -> int | None:
        """Below 0 for a signal; None if it is not known."""
        return None if self.exit_status is None else os.waitstatus_to_exitcode(self.exit_status)

    def how_it_ended(self) -> str:
        """'was killed by SIGKILL', 'ended with exit code 3'."""
        code = self.exit_code()
        if code is None:
            return "ended (its exit status is unknown)"
        if code >= 0:
            return f"ended with exit code {code}"
        try:
            return f"was killed by {signal.Signals(-code).name}"
        except ValueError:
            return f"was killed by signal {-code}"


def start_worker(entry: Entry, start: Start | None = None) -> Process:
    """Begin a worker process; None chooses the way. Raises ResourceError if the system allows no more."""
    start = start or choose_start()
    with contextlib.ExitStack() as on_error:
        try:
            _occupy_standard_fds()
            ours, theirs = socket.socketpair()
            on_error.callback(ours.close)
            log_read, log_write = os.pipe()
            on_error.callback(os.close, log_read)
        except OSError as error:
            raise _cannot_start(error) from error
        try:
            os.set_blocking(log_read, False)
            _enlarge(log_write)
            begin = _fork if start is Start.FORK else _execute
            pid = begin(entry, theirs, log_read, log_write)
        except OSError as error:
            raise _cannot_start(error) from error
        finally:
            theirs.close()
            os.close(log_write)
        on_error.pop_all()
    ours.setblocking(False)
    return Process(start, pid, ours, log_read)


def _occupy_standard_fds() -> None:
    """A tracker started with a standard stream closed must not get a channel of that number: workers overwrite it."""
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(fd, True)
    os.close(fd)


def _cannot_start(error: OSError) -> ResourceError:
    which = {errno.EMFILE: "open files (ulimit -n)", errno.EAGAIN: "processes (ulimit -u)"}.get(error.errno or 0)
    remedy = f"; the limit on {which} is reached, raise it or use fewer --workers" if which else ""
    return ResourceError(f"a worker process could not be started: {error.strerror or error}{remedy}")


def _enlarge(pipe: int) -> None:
    """Room for what is printed between two looks of the watch thread."""
    if sys.platform.startswith("linux"):
        import fcntl

        with contextlib.suppress(OSError):  # the user's share of pipe memory is used up: the usual 64 KiB do
            fcntl.fcntl(pipe, _F_SETPIPE_SZ, LOG_PIPE_BYTES)


# --- by fork


def _fork(entry: Entry, channel: socket.socket, log_read: int, log_write: int) -> int:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # a closed stream holds nothing that the child could print again
            stream.flush()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            _become_worker(entry, channel, log_read, log_write, parent)
        except BaseException:
            with contextlib.suppress(BaseException):
                import traceback

                os.write(2, traceback.format_exc().encode())
        finally:
            os._exit(1)  # never through the parent's exit handlers
    return pid


def _become_worker(entry: Entry, channel: socket.socket, log_read: int, log_write: int, parent: int) -> NoReturn:
    os.setsid()
    _reset_signals()
    null = os.open(os.devnull, os.O_RDWR)
    for source, target in ((null, 0), (log_write, 1), (log_write, 2)):
        os.dup2(source, target)
    os.close(null)
    _close_channels(keep={0, 1, 2, channel.fileno(), log_read})
    gc.freeze()  # the parent's objects stay where they are, and their pages shared
    os.environ.update(ONE_THREAD)
    if (arrow := sys.modules.get("pyarrow")) is not None:
        arrow.set_cpu_count(1)
        arrow.set_io_thread_count(1)
    _open_streams()
    _serve(entry, channel.detach(), log_read, parent)


def _reset_signals() -> None:
    """Signals mean in a worker what they mean in a fresh process, and SIGINT nothing: the tracker decides."""
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _close_channels(keep: set[int]) -> None:
    """Close inherited sockets, pipes and the like, of whichever pool or library: while a copy of the tracker's end is
    open anywhere, nobody sees the tracker's end. Files stay: modules of the user may hold some."""
    for fd in {int(name) for name in os.listdir("/proc/self/fd")} - keep:
        with contextlib.suppress(OSError):
            mode = os.fstat(fd).st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISCHR(mode) or stat.S_ISBLK(mode)):
                os.close(fd)


def _open_streams() -> None:
    """Fresh objects: the parent's may be a notebook's or a test's, and lead elsewhere."""
    sys.stdin = sys.__stdin__ = io.TextIOWrapper(io.FileIO(0, closefd=False), encoding="utf-8")  # type: ignore[misc]
    sys.stdout = sys.__stdout__ = _line_stream(1)  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = _line_stream(2)  # type: ignore[misc]


def _line_stream(fd: int) -> io.TextIOWrapper:
    # Each line is written at once: what was printed before a crash is what explains it.
    raw = io.BufferedWriter(io.FileIO(fd, "w", closefd=False))
    return io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", line_buffering=True)


# --- by exec


def _execute(entry: Entry, channel: socket.socket, log_read: int, log_write: int) -> int:
    import subprocess

    if not sys.executable:
        raise ResourceError("no worker process can be started: this program does not know its own interpreter")
    parent = os.getpid() if threading.current_thread() is threading.main_thread() else 0
    arguments = (channel.fileno(), log_read, entry.unpack, entry.run_attempt, parent, entry.warm_up)
    code = (
        f"import sys; sys.path[:] = {sys.path!r}; sys.argv[:] = {sys.argv!r}; "
        f"from mapreduce.workers.process import serve_executed; serve_executed{arguments!r}"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.DEVNULL,
        stdout=log_write,
        stderr=log_write,
        pass_fds=(channel.fileno(), log_read),
        start_new_session=True,
        env={**os.environ, **ONE_THREAD},
    )
    process.returncode = 0  # it is ours to bury, not Popen's
    return process.pid


def serve_executed(
    channel_fd: int, log_read: int, unpack: str, run_attempt: str, parent: int, warm_up: str
) -> NoReturn:
    """Where a fresh interpreter begins."""
    _reset_signals()
    for fd in (channel_fd, log_read):
        os.set_inheritable(fd, False)
    _open_streams()
    _serve(Entry(unpack, run_attempt, warm_up), channel_fd, log_read, parent)


# --- both


def _serve(entry: Entry, channel_fd: int, log_read: int, parent: int) -> NoReturn:
    import faulthandler

    # A segmentation fault leaves its Python traceback among the last words.
    faulthandler.enable(file=2, all_threads=False)
    from mapreduce.dataflow import arrow_start
    from mapreduce.workers import worker

    arrow_start.begin_worker()
    worker.main(channel_fd, log_read, entry.unpack, entry.run_attempt, lambda: die_with(parent), entry.warm_up)


def die_with(parent: int) -> None:
    """Have the kernel kill us when `parent` ends: user code that never lets go of the interpreter hides the end of the
    channel from us. 0: the parent's thread that started us may end before it, so the kernel can't be asked."""
    if parent and sys.platform.startswith("linux"):
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            kill_own_group()
    keep_freed_memory()


_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
KEPT_BYTES = 64 << 20
ALWAYS_MAPPED_BYTES = 32 << 20  # glibc's own greatest value


def keep_freed_memory() -> None:
    """Have the C library keep some freed memory for the next array, not give it back: touching fresh pages is the
    dearest thing on virtual machines (mean by key of 200 MB: 184,000 page faults became 65,000)."""
    if sys.platform.startswith("linux"):
        import ctypes

        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
        if mallopt is not None:
            mallopt(_M_MMAP_THRESHOLD, ALWAYS_MAPPED_BYTES)
            mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES)
