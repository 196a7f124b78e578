"""A tracker that stays, as a process of its own with folders of its own, and clients that talk to it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[2]

JOBS = '''
import time
from pathlib import Path

import mapreduce as mr


class Counted(mr.Job):
    """Counts lines, slowly; and leaves a trace of each record that it mapped."""

    reduce = mr.Sum()

    def __init__(self, trace: str, seconds: float = 0.05) -> None:
        self.trace, self.seconds = trace, seconds

    def map(self, line):
        with open(self.trace, "a") as file:
            file.write(line + "\\n")
        time.sleep(self.seconds)
        yield line, 1


class Bad(mr.Job):
    reduce = mr.Sum()

    def map(self, line):
        yield int(line), 1
'''


class Tracker:
    """`start` may be called again after `kill` or `stop`: the next one takes up what the last left."""

    def __init__(self, top: Path, *options: str) -> None:
        self.top = top
        self.options = options
        self.address = "127.0.0.1:0"
        self.process: subprocess.Popen[str] | None = None
        self.env = {**os.environ, "XDG_CONFIG_HOME": str(top / "config"), "PYTHONPATH": str(ROOT)}
        self.env.pop("MAPREDUCE_TRACKER", None)
        (top / "jobs.py").write_text(JOBS)

    def start(self) -> Self:
        command = ["tracker", "--listen", self.address, "--state", str(self.top / "state"), *self.options]
        self.process = self.begin(*command)
        assert self.process.stderr is not None
        said = self.process.stderr.readline()
        found = re.match(r"tracker at (\S+),", said)
        assert found, said + self.process.stderr.read()
        self.address = found[1]
        self.env["MAPREDUCE_TRACKER"] = self.address
        return self

    def begin(self, *arguments: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "mapreduce", *map(str, arguments)],
            cwd=self.top,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def call(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "mapreduce", *map(str, arguments)],
            cwd=self.top,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    def run(self, job: str, *arguments: object) -> subprocess.Popen[str]:
        return self.begin("run", job, *arguments, "--tracker", self.address)

    def jobs(self) -> list[dict[str, Any]]:
        done = self.call("ps", "--json")
        assert done.returncode == 0, done.stderr
        jobs: list[dict[str, Any]] = json.loads(done.stdout)["jobs"]
        return jobs

    def kill(self) -> None:
        """As a machine that loses its power would, as far as a process can tell."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self._gone()

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self._gone()

    def _gone(self) -> None:
        if self.process is not None:
            self.process.communicate(timeout=20)
            self.process = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def wait_for(what: Any, seconds: float = 15.0) -> Any:
    """What `what()` returns as soon as that is anything."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := what():
            return found
        time.sleep(0.02)
    raise AssertionError("it never came")


def lines_of(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def digest_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("part-*"))}
