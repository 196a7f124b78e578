"""Jobs run from wherever Python runs: a script without a main guard, a pipe, a prompt, a kernel with threads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

JOB = '''
import mapreduce as mr

factor = 2

class Sums:
    """A partial whose class lives in __main__."""
    def __init__(self, total): self.total = total
    def __add__(self, other):
        assert type(other) is Sums, "the class came to the worker twice"
        return Sums(self.total + other.total)

class Total(mr.Fold):
    def map(self, block): return Sums(sum(factor * number for number in block.records()))
    def reduce(self, a, b): return a + b

class Words(mr.Job):
    reduce = mr.Sum()
    def __init__(self, clean): self.clean = clean
    def map(self, line):
        for word in line.split(): yield self.clean(word), 1
'''

RUN = """
with mr.Engine(workers=2) as engine:
    value = engine.run(Total(), mr.from_records(range(100))).value
    counts = dict(engine.run(Words(lambda word: word.lower()), mr.from_records(["A b a", "B c"])).records())
print(type(value).__name__, value.total, sorted(counts.items()))
"""

EXPECTED = "Sums 9900 [('a', 2), ('b', 2), ('c', 1)]\n"

THREAD = """
import threading
stop = threading.Event()
thread = threading.Thread(target=stop.wait)
thread.start()
"""


def run_python(arguments: list[str], source: str = "", cwd: Path | None = None) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        input=source,
        capture_output=True,
        text=True,
        timeout=50,
        cwd=cwd,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": "/nonexistent"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_script_without_guard(tmp_path: Path) -> None:
    path = tmp_path / "my job.py"
    path.write_text(JOB + RUN)
    assert run_python([str(path)]) == EXPECTED


def test_script_with_threads_starts_fresh_interpreters(tmp_path: Path) -> None:
    path = tmp_path / "threaded.py"
    path.write_text(JOB + THREAD + RUN + "\nstop.set()\nthread.join()\n")
    assert run_python([str(path)]) == EXPECTED


def test_script_beside_a_module_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "helpers.py").write_text("def clean(word):\n    return word.strip('.').lower()\n")
    path = tmp_path / "main.py"
    source = JOB + THREAD + "from helpers import clean\n" + RUN.replace("lambda word: word.lower()", "clean")
    path.write_text(source + "\nstop.set()\nthread.join()\n")
    assert run_python([str(path)]) == EXPECTED


def test_piped_into_python() -> None:
    assert run_python(["-"], JOB + RUN) == EXPECTED


def test_piped_into_python_with_threads() -> None:
    assert run_python(["-"], JOB + THREAD + RUN + "\nstop.set()\nthread.join()\n") == EXPECTED


def test_command_line_argument() -> None:
    assert run_python(["-c", JOB + RUN]) == EXPECTED


@pytest.mark.parametrize("threads", [False, True])
def test_prompt(threads: bool) -> None:
    """As typed at >>>, statement by statement: no source file, classes of __main__, a thread or none."""
    console = f"""
import code, sys
console = code.InteractiveConsole({{"__name__": "__main__"}})
import __main__
console.locals = __main__.__dict__
for statement in {[JOB, THREAD if threads else "", RUN, "stop.set()" if threads else ""]!r}:
    exec(compile(statement, "<stdin>", "exec"), console.locals)
"""
    assert run_python(["-i", "-c", console], "") == EXPECTED


def test_import_is_light() -> None:
    source = """
import sys
import mapreduce as mr
class Words(mr.Job):
    reduce = mr.Sum()
    def map(self, line):
        yield line, 1
assert dict(mr.run(Words(), mr.from_records(["a", "a"]), workers=1).records()) == {"a": 2}
heavy = {"numpy", "pyarrow", "numba", "psutil", "rich", "click", "sklearn", "scipy", "pandas"} & set(sys.modules)
print(sorted(heavy))
"""
    assert run_python(["-c", source]) == "[]\n"
