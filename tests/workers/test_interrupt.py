"""Ctrl-C at a terminal ends a job and everything it runs on, at once and without a word from the workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

SCRIPT = """
import sys
from mapreduce.engines.local import LocalExecutor
from mapreduce.tracker.driver import run_job
from mapreduce.tracker.plan import plan_map_only
from mapreduce.workers.pool import Pool
from mapreduce.workers.process import Start
from tests.workers.jobs import ENTRY

class Work:
    def spec(self, attempt, outputs):
        return ("stubborn", f"{sys.argv[2]}/{attempt.task.index}")
    def commit(self, attempt, output):
        pass
    discard = commit

pool = Pool(2, entry=ENTRY, start=Start(sys.argv[1]))
try:
    run_job(plan_map_only(20), Work(), LocalExecutor(pool, lambda: "context"))
finally:
    pool.close()
"""


@pytest.mark.parametrize("start", ["fork", "exec"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_job_and_workers(tmp_path: Path, start: str, number: signal.Signals) -> None:
    tracker = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, start, str(tmp_path)], stderr=subprocess.PIPE, start_new_session=True, text=True
    )
    deadline = time.monotonic() + 20
    while len([note for note in tmp_path.iterdir() if note.read_text()]) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    pids = [int(note.read_text()) for note in tmp_path.iterdir()]
    os.killpg(tracker.pid, number)
    asked = time.monotonic()
    _, said = tracker.communicate(timeout=20)
    assert time.monotonic() - asked < 2
    assert tracker.returncode == (143 if number is signal.SIGTERM else -signal.SIGINT)
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    assert said.strip().splitlines()[-1:] == ([] if number is signal.SIGTERM else ["KeyboardInterrupt"])
