"""What does a person read, on the command line, when a job can't be saved? One error, the exit code, and no hang."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import CliResult

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="faults as Linux has them")

JOB = """
import os, sys
import mapreduce as mr

class Job(mr.Job):
    "Fails at one record, whenever it comes to it."
    reduce = mr.Sum()
    def __init__(self, fault: str) -> None:
        self.fault = fault
    def __getstate__(self):
        return {"fault": self.fault, "pid": os.getpid()}
    def __setstate__(self, state):
        self.__dict__.update(state)
        if self.fault == "unpickle" and os.getpid() != state["pid"]:
            raise KeyError("not here")
    def map(self, line):
        if line == "boom":
            getattr(self, "fail_" + self.fault)(line)
        yield line, 1
    def fail_unpickle(self, line): ...
    def fail_raise(self, line): raise ValueError("I dislike " + line)
    def fail_memory(self, line): raise MemoryError("no room for more")
    def fail_exit(self, line): os._exit(0)
    def fail_leave(self, line): sys.exit("enough")
    def fail_loop(self, line):
        while True: pass
"""

TRACEBACK = r'Traceback \(most recent call last\):\n  File ".*job.py", line \d+, in map\n'
AT = r"\nat input.txt, byte 4\nrecord: 'boom'\n"
IN_SPLIT = r"\nat input.txt, bytes 0 to 12"

ENDS: dict[str, tuple[int, str]] = {
    "raise": (1, TRACEBACK + r"(.|\n)*error: map 0 failed 3 times; the last time: ValueError: I dislike boom" + AT),
    "leave": (1, TRACEBACK + r"(.|\n)*error: map 0 failed 3 times; the last time: SystemExit: enough" + AT),
    "memory": (
        2,
        TRACEBACK + r"(.|\n)*error: map 0 failed 3 times; the last time: MemoryError: no room for more; "
        r"give workers more with --memory, or smaller pieces with --split-size" + AT,
    ),
    "exit": (
        1,
        r"error: map 0 failed 3 times; .* ended with exit code 0 though it had work: the job's code.*" + IN_SPLIT,
    ),
    "loop": (1, r"error: map 0 failed 3 times; .*: no progress for 0.5 s; .* set a longer task timeout" + IN_SPLIT),
    "unpickle": (2, r"error: the job could not be unpickled in the worker: KeyError: 'not here'"),
}


@pytest.mark.parametrize("fault", ENDS)
def test_one_error_says_what_happened(run_cli: Callable[..., CliResult], tmp_path: Path, fault: str) -> None:
    (tmp_path / "job.py").write_text(JOB)
    (tmp_path / "input.txt").write_text("abc\nboom\nde\n")
    settings = ["--workers", 2, "--split-size", "1MB", "--max-attempts", 3, "--task-timeout", 0.5]
    done = run_cli("run", "job.py:Job", "input.txt", "--set", f"fault={fault}", *settings)
    code, words = ENDS[fault]
    assert done.rc == code, done.err
    assert re.search(words, done.err), done.err
    assert done.err.count("Traceback") <= 1
    assert "of 4 times" not in done.err
