"""Do the commands work as processes of their own, with pipes, terminals and signals, as a person runs them?"""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.conftest import ROOT, CliResult

RunCli = Callable[..., CliResult]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100", "TERM": "xterm-256color"}

SLOW = """
import time
import mapreduce as mr

class Slow(mr.Job):
    reduce = mr.Sum()
    def map(self, line):
        print("at", line)
        time.sleep(float(line))
        yield line, 1
"""


def start(*arguments: str, cwd: Path, stdout: int | None = None, stderr: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "mapreduce", *arguments]
    return subprocess.Popen(command, cwd=cwd, env=ENVIRONMENT, stdout=stdout, stderr=stderr)


@pytest.fixture
def slow(tmp_path: Path) -> Path:
    (tmp_path / "slow.py").write_text(SLOW)
    return tmp_path


def test_word_count_of_real_text(run_cli: RunCli, datadir: Path) -> None:
    texts = [datadir / "hamlet.txt", datadir / "paradise_lost.txt"]
    result = run_cli("run", "wordcount", *texts, "--workers", 2, "-v")
    assert result.rc == 0, result.err
    counted = {key: int(count) for key, _, count in (line.partition("\t") for line in result.out.splitlines())}
    expected = Counter(" ".join(text.read_text(encoding="utf-8") for text in texts).split())
    assert counted == expected
    assert re.search(r"^succeeded in .* on 2 workers$", result.err, re.M)
    assert re.search(r"^  Amdahl +S\(2\) [\d.]+  S\(4\)", result.err, re.M)


def test_standard_input_and_quiet(run_cli: RunCli) -> None:
    result = run_cli("run", "wordcount", "-", "-q", "--sort", input="b a b\n")
    assert (result.rc, result.out, result.err) == (0, "a\t1\nb\t2\n", "")


def test_a_small_job_in_a_pipe_loads_nothing_heavy(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a b a\n")
    code = (
        "import sys; from mapreduce.cli.main import main; main(['run', 'wordcount', 'a.txt']);"
        "heavy = {'rich', 'numpy', 'pyarrow', 'numba', 'psutil', 'dill', 'scipy', 'asyncio', 'zmq'} & set(sys.modules);"
        "sys.exit(f'loaded {sorted(heavy)}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()[-500:]
    assert done.stdout == b"a\t2\nb\t1\n"


def test_streaming_as_hadoop_does_it(run_cli: RunCli, datadir: Path) -> None:
    text = datadir / "hamlet.txt"
    result = run_cli(
        "stream", "--mapper", "tr -s ' ' '\\n' | grep .", "--reducer", "cut -f1 | uniq -c", "--reducers", 2, text, "-q"
    )
    assert result.rc == 0, result.err
    shell = f"tr -s ' ' '\\n' < '{text}' | grep . | LC_ALL=C sort | uniq -c"
    expected = subprocess.run(shell, shell=True, capture_output=True, text=True, check=True).stdout
    assert sorted(result.out.splitlines()) == sorted(expected.splitlines())


def test_a_combiner_changes_nothing_but_the_amount(run_cli: RunCli, datadir: Path) -> None:
    mapper = "tr -s ' ' '\\n' | sed 's/$/\\t1/'"
    total = "awk -F'\\t' '{ n[$1] += $2 } END { for (k in n) print k \"\\t\" n[k] }'"
    arguments = ("stream", "--mapper", mapper, "--reducer", total, datadir / "hamlet.txt", "-q")
    plain, combined = run_cli(*arguments), run_cli(*arguments, "--combiner", total)
    assert (plain.rc, combined.rc) == (0, 0), combined.err
    assert sorted(plain.out.splitlines()) == sorted(combined.out.splitlines())
    assert "Ah,\t3" in plain.out


def test_streaming_without_reduce_keeps_lines_as_they_are(run_cli: RunCli, tmp_path: Path) -> None:
    text = "b\\x\ta\tc\nno tab\n\n  blanks \n"
    (tmp_path / "a.txt").write_text(text)
    assert run_cli("stream", "--mapper", "cat", "--reducer", "NONE", "a.txt", "-q").out == text


def test_a_script_that_fails(run_cli: RunCli, datadir: Path) -> None:
    result = run_cli("stream", "--mapper", "echo bad thing >&2; exit 4", "--reducer", "cat", datadir / "iris.csv", "-q")
    assert result.rc == 1
    assert "Traceback" not in result.err
    assert "the mapper 'echo bad thing >&2; exit 4' ended with exit code 4" in result.err
    assert "  bad thing" in result.err


def test_a_reader_that_goes_away(datadir: Path) -> None:
    command = f"{sys.executable} -m mapreduce run wordcount '{datadir}/kjv.txt' -q | head -n 1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.splitlines()[1] in ("141", "0")  # 0 if all fitted into the pipe


@pytest.mark.parametrize(
    ("number", "code", "said"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_signals_end_everything_soon(slow: Path, number: signal.Signals, code: int, said: str) -> None:
    (slow / "in.txt").write_text("30\n30\n")
    process = start("run", "slow.py", "in.txt", "-o", "out", cwd=slow, stderr=subprocess.PIPE)
    assert process.stderr is not None
    line = process.stderr.readline()  # what a worker printed: the job runs
    assert re.fullmatch(rb"\[map \d\] at 30\n", line), line
    before = time.monotonic()
    process.send_signal(number)
    _, err = process.communicate(timeout=20)
    assert process.returncode == code
    assert err.decode().splitlines()[-1] == f"error: {said}"
    assert time.monotonic() - before < 5
    assert not (slow / "out/_SUCCESS").exists()


def test_the_view_on_a_terminal(slow: Path) -> None:
    (slow / "in.txt").write_text("0.8\n0.7\n")
    terminal, stderr = pty.openpty()
    process = start("run", "slow.py", "in.txt", cwd=slow, stdout=subprocess.PIPE, stderr=stderr)
    os.close(stderr)
    shown = b""
    with suppress(OSError):  # how Linux says that the other end is closed
        while data := os.read(terminal, 65536):
            shown += data
    out, _ = process.communicate(timeout=20)
    os.close(terminal)
    assert process.returncode == 0, shown
    assert out == b"0.7\t1\n0.8\t1\n"
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    assert "map     ━━" in text
    assert "worker 0" in text
    assert "[map 0] at 0.8" in text
    assert "succeeded in" in text
    assert shown.rindex(b"\x1b[?25h") > shown.rindex(b"\x1b[?25l")
