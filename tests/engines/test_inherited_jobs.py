"""Jobs of a script, on workers that were forked for them and on workers that were not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HEAD = '''
import os, sys, threading
import mapreduce as mr

ADDED = 1

class Lengths(mr.Job):
    reduce = mr.Sum()

    def map(self, line):
        yield "all", len(line) + ADDED

class Killed(Lengths):
    """By a signal, once."""

    def map(self, line):
        if line == "line 7" and not os.path.exists("killed"):
            open("killed", "w").close()
            os.kill(os.getpid(), 9)
        yield from super().map(line)

def total(engine, job=Lengths, **settings):
    return dict(engine.run(job(), mr.read_text("lines.txt"), split_size=100, **settings).records())["all"]
'''

SCRIPTS = {
    # dill is loaded neither here nor there
    "at once": """
class Careful(Lengths):
    def map(self, line):
        assert "dill" not in sys.modules
        yield from super().map(line)

with mr.Engine(workers=2) as engine:
    print(total(engine, Careful), "dill" in sys.modules)
""",
    # what changed since is seen by workers that were forked before
    "again, changed": """
with mr.Engine(workers=2) as engine:
    first = total(engine)
    ADDED = 2
    print(first, total(engine) - first)
""",
    # workers are there, but the first job never began
    "refused, then changed": """
with mr.Engine(workers=2) as engine:
    try:
        engine.run(Lengths(), mr.read_text("missing.txt"))
    except mr.InputError:
        ADDED = 2
    print(total(engine))
""",
    # another that was forked takes its place
    "a worker is killed": """
with mr.Engine(workers=2) as engine:
    print(total(engine, Killed), os.path.exists("killed"))
""",
    # the one in its place is no fork, for by now there are threads here
    "a worker is killed, and threads run": """
from mapreduce.tracker.observer import Observer

class Threads(Observer):
    def started(self, *given):
        threading.Thread(target=threading.Event().wait, daemon=True).start()

with mr.Engine(workers=1) as engine:
    print(total(engine, Killed, observer=Threads()), "dill" in sys.modules)
""",
    # no fork at all
    "threads": """
threading.Thread(target=threading.Event().wait, daemon=True).start()
with mr.Engine(workers=2) as engine:
    print(total(engine), "dill" in sys.modules)
""",
    # what could not be carried is refused, whatever the workers have
    "a generator": """
NUMBERS = (number for number in range(10))

class Careful(Lengths):
    def map(self, line):
        yield "all", next(NUMBERS)

try:
    mr.run(Careful(), mr.read_text("lines.txt"), workers=2)
except mr.UsageError as error:
    print(str(error)[:41])
""",
    # between its jobs observers run, and its first job may have left something in the workers
    "a chain": """
class Halves(mr.Job):
    reduce = mr.Sum()

    def map(self, pair):
        yield pair[0], pair[1] / 2

class Both(mr.Chain):
    def jobs(self):
        return [Lengths(), Halves()]

print(dict(mr.run(Both(), mr.read_text("lines.txt"), workers=2).records()), "dill" in sys.modules)
""",
}
"""Each prints one line. Of 1,000 lines, 7,890 characters."""

SAID = {
    "at once": "8890 False",
    "again, changed": "8890 1000",
    "refused, then changed": "9890",
    "a worker is killed": "8890 True",
    "a worker is killed, and threads run": "8890 True",
    "threads": "8890 True",
    "a generator": "the job cannot be carried to workers: Typ",
    "a chain": "{'all': 4445.0} True",
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_what_a_script_prints(tmp_path: Path, name: str) -> None:
    (tmp_path / "lines.txt").write_text("".join(f"line {number}\n" for number in range(1000)))
    (tmp_path / "job.py").write_text(HEAD + SCRIPTS[name])
    done = subprocess.run([sys.executable, "job.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.stdout.strip(), done.returncode) == (SAID[name], 0), done.stderr
