"""Is it told what failed, of a job that failed in the end?"""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT, CliResult

BAD = "import mapreduce as mr\nclass Bad(mr.Job):\n    reduce = None\n    def map(self, line):\n        1 / 0\n"


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    (tmp_path / "bad.py").write_text(BAD)
    (tmp_path / "in.txt").write_text("a\n")
    return ["run", "bad.py", "in.txt", "--workers", "1", "--max-attempts", "2", "-o", "out"]


def test_a_program_is_given_all_figures(run_cli: Callable[..., CliResult], command: list[str]) -> None:
    done = run_cli(*command, "--json")
    page = json.loads(done.out)
    assert done.rc == 1 and page["outcome"] == "failed" and page["failed_attempts"] == 2
    assert [failure["then"] for failure in page["failures"]] == ["ran again after a rest", "given up"]
    assert done.err.rstrip().splitlines()[-1].startswith("what was finished") or "error:" in done.err


def test_a_person_at_a_terminal_reads_what_the_view_had_shown(tmp_path: Path, command: list[str]) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "mapreduce", *command],
        cwd=tmp_path, stderr=theirs, stdout=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    os.close(theirs)
    told = b""
    try:
        while data := os.read(ours, 1 << 16):
            told += data
    except OSError:  # the terminal has no other end any more
        assert told
    os.close(ours)
    assert process.wait(timeout=30) == 1
    text = told.decode()
    assert "failures 2 failed attempts" in text
    assert "map 0, attempt 1 on worker 0: ZeroDivisionError: division by zero" in text
    assert text.index("failures 2") < text.index("error:")
