"""Each job of `test_resume`, killed at every single step that it takes in the file system, and then again at every step
of the run that goes on: `python -m tests.faults.resume_everywhere`. Some minutes."""

from __future__ import annotations

import logging
import sys
import tempfile
import time
from pathlib import Path

from tests.faults.test_resume import JOBS, kill_again_everywhere, kill_everywhere, run, write_input


def main() -> int:
    """0: every output had the undisturbed bytes. A difference raises."""
    logging.getLogger("mapreduce").setLevel(logging.ERROR)
    for name in JOBS:
        started = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            top = Path(folder)
            text = write_input(top / "in.txt")
            run(name, text, top / "whole")
            (top / "once").mkdir()
            (top / "twice").mkdir()
            once = kill_everywhere(name, text, top / "once", top / "whole", every=1)
            twice = kill_again_everywhere(name, text, top / "twice", top / "whole", every=1)
        print(
            f"{name:<14} killed at {once} steps, and at {twice} of a run that goes on: the same bytes each time", end=""
        )
        print(f" ({time.monotonic() - started:.0f} s)", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
