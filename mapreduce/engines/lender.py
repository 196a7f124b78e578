"""What does an agent do for a tracker that stays? Each of its jobs has a tracker, and an agent here, of its own.

```text
tracker that stays ==LEND==> agent --begins, ends--> agent of job 12 <==wire==> process of job 12
                                                 --> agent of job 13 <==wire==> process of job 13
```

LEND names all jobs that this host lends to, with the address of each; so it may come twice, and late. An empty address:
the job is not at work now, and what was begun for it stays, with its files. How many of its workers a job may use is
between its process and the tracker.
"""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from mapreduce.dataclass import dataclass

_log = logging.getLogger(__name__)

END_SECONDS = 3.0


@dataclass(slots=True)
class _Lent:
    address: str
    process: subprocess.Popen[bytes]


class Lender:
    """The agents of jobs. `command` gives what begins one: for an address, with a scratch folder; `key` is the text of
    the cluster's key, which it reads from its standard input. It ends when that does."""

    def __init__(self, command: Callable[[str, Path], list[str]], key: bytes, scratch: Path) -> None:
        self._command = command
        self._key = key
        self._scratch = scratch
        self._lent: dict[str, _Lent] = {}

    def keep(self, jobs: Mapping[str, str]) -> None:
        """Lend to these jobs, by address, and to no others. Twice is harmless."""
        for job in list(self._lent):
            if job not in jobs or (jobs[job] and jobs[job] != self._lent[job].address):
                self._end(job, forget=job not in jobs)
        for job, address in jobs.items():
            if address and (job not in self._lent or self._lent[job].process.poll() is not None):
                self._begin(job, address)

    def close(self) -> None:
        """A second call is harmless."""
        for lent in self._lent.values():  # all at once
            lent.process.terminate()
        for job in list(self._lent):
            self._end(job, forget=True)

    def _begin(self, job: str, address: str) -> None:
        folder = self._folder(job)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            process = subprocess.Popen(self._command(address, folder), stdin=subprocess.PIPE)
            assert process.stdin is not None
            process.stdin.write(self._key)
            process.stdin.flush()
        except OSError as error:
            _log.warning("can't lend to job %s: %s", job, error.strerror or error)
            return
        self._lent[job] = _Lent(address, process)

    def _end(self, job: str, *, forget: bool) -> None:
        process = self._lent.pop(job).process
        assert process.stdin is not None
        with suppress(OSError):
            process.stdin.close()
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if forget:
            shutil.rmtree(self._folder(job), ignore_errors=True)

    def _folder(self, job: str) -> Path:
        return self._scratch / f"lent-{int(job)}"


def agent_command(
    workers: int, name: str, memory_bytes: int, offers: tuple[str, ...]
) -> Callable[[str, Path], list[str]]:
    """What begins the agent of a job on this host."""

    def command(address: str, scratch: Path) -> list[str]:
        words = [sys.executable, "-m", "mapreduce", "agent", address, "--key-from-stdin", "--quiet"]
        words += ["--workers", str(workers), "--name", name, "--scratch", str(scratch)]
        words += ["--memory", str(memory_bytes)] if memory_bytes else []
        return words + [word for folder in offers for word in ("--data", folder)]

    return command
