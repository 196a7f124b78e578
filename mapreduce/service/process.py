"""How does the tracker start the process of a job, talk to it, and notice its end?"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from mapreduce.errors import ResourceError
from mapreduce.service.state import LOG

MODULE = "mapreduce.cli.job_process"
"""By its name: it is of a higher room, and nothing of it is imported here."""

LINE_BYTES = 1 << 16


class JobProcess:
    """The process of one job. Raises ResourceError if it can't be started."""

    def __init__(self, folder: Path, workers: int, *cluster: str) -> None:
        """`cluster`: where it listens for agents, and the file of their key; without, it has workers here."""
        ours, theirs = socket.socketpair()
        try:
            with open(folder / LOG, "ab") as log:
                self._popen: subprocess.Popen[bytes] = subprocess.Popen(
                    [sys.executable, "-m", MODULE, str(folder), str(workers), *cluster],
                    stdin=theirs.fileno(),
                    stdout=log,
                    stderr=log,
                    cwd=folder,
                    env=_environment(),
                    start_new_session=True,  # Ctrl-C is for the tracker, which tells its jobs
                )
        except OSError as error:
            ours.close()
            raise ResourceError(f"can't start the process of a job: {error.strerror or error}") from error
        finally:
            theirs.close()
        ours.setblocking(False)
        self.channel: socket.socket = ours
        self.pid = self._popen.pid
        self._buffer = b""
        self._outbox = b""

    def lend(self, host: str, slots: int) -> None:
        """Tell how many slots of the host the job may use."""
        self._outbox += json.dumps({"host": host, "slots": slots}).encode() + b"\n"
        with suppress(OSError):  # what does not fit waits; what can't be sent concerns a process that has ended
            sent = self.channel.send(self._outbox)
            self._outbox = self._outbox[sent:]

    def read(self) -> list[dict[str, Any]]:
        """What the process said since the last look."""
        pages: list[dict[str, Any]] = []
        while True:
            try:
                data = self.channel.recv(LINE_BYTES)
            except OSError:
                return pages
            if not data:
                return pages
            *lines, self._buffer = (self._buffer + data).split(b"\n")
            for line in lines:
                with suppress(ValueError):  # torn by a process that was killed
                    pages.append(json.loads(line))

    def stop(self, *, at_once: bool = False) -> None:
        """Ask it to end; at once with everything that it started."""
        with suppress(ProcessLookupError):
            if at_once:
                os.killpg(self.pid, signal.SIGKILL)
            else:
                self._popen.terminate()

    def exit_code(self) -> int | None:
        """None while it runs; below 0 the signal that killed it."""
        return self._popen.poll()

    def wait(self, seconds: float) -> bool:
        """Whether it has ended."""
        with suppress(subprocess.TimeoutExpired):
            self._popen.wait(seconds)
        return self._popen.poll() is not None

    def close(self) -> None:
        """After its end."""
        self.channel.close()


def why_it_died(code: int) -> str:
    """How a process ended that has not said it."""
    if code >= 0:
        return f"it ended with code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


def _environment() -> dict[str, str]:
    """Ours; and the package is found there, too, where it runs from its sources."""
    source = str(Path(__file__).resolve().parents[2])
    paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    return {**os.environ, "PYTHONPATH": os.pathsep.join([*paths, *([] if source in paths else [source])])}
