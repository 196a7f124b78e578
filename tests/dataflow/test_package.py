"""Does a job reach a worker that could not import it?"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

JOB = """
import mapreduce as mr


class Letters(mr.Job):
    reduce = mr.Sum()

    def map(self, line):
        for letter in line:
            yield letter, 1
"""

CALLER = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("ghost.town.jobs", sys.argv[1])
module = importlib.util.module_from_spec(spec)
sys.modules["ghost.town.jobs"] = module
spec.loader.exec_module(module)
import mapreduce as mr
with mr.Engine(workers=1, start="exec") as engine:
    print(sorted(engine.run(module.Letters(), mr.read_text(sys.argv[2])).records()))
"""


def test_a_module_whose_package_is_nowhere(tmp_path: Path) -> None:
    """Its dotted name was given by whoever loaded it; a fresh interpreter has no package of that name."""
    (tmp_path / "jobs.py").write_text(JOB)
    (tmp_path / "text").write_text("abba\n")
    command = [sys.executable, "-c", CALLER, str(tmp_path / "jobs.py"), str(tmp_path / "text")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[('a', 2), ('b', 2)]\n"
