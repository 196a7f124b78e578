"""How does a job end for each fault at each stage, if it happens always, and if it happens once?

Always: one clear error, which names the task, how often it failed, and why. Once: the answer, as if nothing had been.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mapreduce as mr
from tests.faults.crash_jobs import ANSWER, FAULTS, FOLD_STAGES, LINES, STAGES, CrashingCount, CrashingSum, Trap

WORKERS = 2
SPLIT_BYTES = 32  # of a text of 64: two maps, so no attempt ever waits behind one that is about to crash
ATTEMPTS = 2  # that fail, in a job which fails always
TIMEOUT_SECONDS = 1.0  # of jobs that hang
CELL_SECONDS = 30.0  # no cell takes so long

WIDTH = max(map(len, (*STAGES, *FOLD_STAGES, "answer/answer"))) + 2  # of a column of the table

RAISED = ("raise", "not picklable", "not unpicklable", "sys.exit")
HUNG = ("SIGSTOP", "endless loop")

MEANINGLESS = {
    (fault, "commit"): "no code of the job runs when its output is committed, and an exception in a destructor, "
    "which is the nearest to it, is printed by Python and passed over"
    for fault in RAISED
}
"""Cells that there is no use in, and why."""

ALWAYS_SAYS: dict[str, tuple[type[mr.MapReduceError], str]] = {
    "SIGKILL": (mr.LostWorkerError, "was killed by SIGKILL"),
    "segfault": (mr.LostWorkerError, "was killed by SIGSEGV"),
    "sys.exit": (mr.JobError, "SystemExit: 3"),
    "os._exit(0)": (mr.LostWorkerError, "ended with exit code 0"),
    "raise": (mr.JobError, "ValueError"),
    "not picklable": (mr.JobError, "holds a lock"),
    "not unpicklable": (mr.JobError, "bell and book"),
    "SIGSTOP": (mr.LostWorkerError, "no progress for 1 s"),
    "endless loop": (mr.LostWorkerError, "no progress for 1 s"),
    "memory balloon": (mr.MapReduceError, "--memory"),
    "stack overflow": (mr.LostWorkerError, "was killed by SIGSEGV"),
}


@dataclass(frozen=True, slots=True)
class Cell:
    """A fault at a stage; `once`: only the first attempt that comes there suffers."""

    fault: str
    stage: str
    once: bool

    def __str__(self) -> str:
        return f"{self.fault} at {self.stage}, {'once' if self.once else 'always'}"


@dataclass(frozen=True, slots=True)
class Expected:
    """How the job must end: with the answer, or with an error of that class whose message holds these words."""

    error: type[mr.MapReduceError] | None = None
    words: tuple[str, ...] = ()


def cells() -> Iterator[Cell]:
    """All that make sense."""
    for fault in FAULTS:
        for stage in (*STAGES, *FOLD_STAGES):
            if (fault, stage) not in MEANINGLESS:
                yield Cell(fault, stage, once=False)
                yield Cell(fault, stage, once=True)


def some_cells() -> list[Cell]:
    """Each fault twice or more, and each stage."""
    faults = list(FAULTS)
    return [
        cell
        for cell in cells()
        if (cell.stage in STAGES and (faults.index(cell.fault) + STAGES.index(cell.stage)) % len(STAGES) in (1, 5))
        or (cell.stage in FOLD_STAGES and FOLD_STAGES.index(cell.stage) == faults.index(cell.fault))
    ]


def expected(cell: Cell) -> Expected:
    """What the job must come to."""
    if cell.stage == "unpickle job" and cell.fault in RAISED and cell.fault != "sys.exit":
        return Expected(mr.UsageError, ("could not be unpickled in the worker",))  # it would fail again: no retry
    if cell.once or cell.stage == "commit":  # its output is there: that a worker dies then costs nothing
        return Expected()
    error, words = ALWAYS_SAYS[cell.fault]
    task = "reduce 0" if cell.stage in ("reduce", "fold: reduce", "fold: finish") else "map "
    return Expected(error, (task, f"failed {ATTEMPTS} times", words))


def run_cell(cell: Cell, folder: Path) -> str:
    """Run the job of a cell; an empty text, or what was wrong about its end."""
    marker = str(folder / "marker") if cell.once else ""
    hangs = cell.fault in HUNG
    settings: dict[str, Any] = {"task_timeout_seconds": TIMEOUT_SECONDS} if hangs else {}
    if not cell.once and cell.stage != "commit":
        settings["max_attempts"] = ATTEMPTS
    started = time.monotonic()
    try:
        text = folder / "text.txt"
        text.write_text("\n".join(LINES) + "\n")
        trap = Trap(cell.fault, cell.stage, marker)
        job = CrashingSum(trap) if cell.stage in FOLD_STAGES else CrashingCount(trap)
        with mr.Engine(workers=WORKERS, memory="128MB") as engine:
            result = engine.run(job, mr.read_text(text), split_size=SPLIT_BYTES, reducers=1, **settings)
            wrong = _wrong_answer(cell, result)
            result.close()
    except mr.MapReduceError as error:
        wrong = _wrong_error(cell, error)
    seconds = time.monotonic() - started
    if not wrong and marker and cell.stage != "commit" and not Path(marker).exists():
        wrong = "the fault never happened"
    return wrong or (f"took {seconds:.0f} s" if seconds > CELL_SECONDS else "")


def _wrong_answer(cell: Cell, result: mr.Result) -> str:
    want = expected(cell)
    if want.error is not None:
        return f"ended well, not with {want.error.__name__}"
    fold = cell.stage in FOLD_STAGES
    got = result.value if fold else dict(result.records())
    if got != (sum(ANSWER.values()) if fold else ANSWER):
        return f"gave {got}"
    return "" if result.counters["tasks"] == 3 else f"counted {result.counters['tasks']} tasks, not 3"


def _wrong_error(cell: Cell, error: mr.MapReduceError) -> str:
    want = expected(cell)
    told = f"{type(error).__name__}: {error}"
    if want.error is None:
        return f"failed: {told}"
    if not isinstance(error, want.error):
        return f"failed with {told}, not with {want.error.__name__}"
    missing = [words for words in want.words if words not in str(error)]
    return f"{told} does not say {missing}" if missing else ""


def run_matrix() -> bool:
    """Run every cell and print the table; whether each ended as it must, and left nothing behind."""
    with tempfile.TemporaryDirectory() as folder:  # what others leave in /tmp is no leak of ours
        tempfile.tempdir = folder
        try:
            return _run_matrix()
        finally:
            tempfile.tempdir = None


def _run_matrix() -> bool:
    from tests.conftest import left_behind

    ends: dict[tuple[str, str], str] = dict.fromkeys(MEANINGLESS, "-")
    wrong: list[str] = []
    started = time.monotonic()
    count = 0
    for cell in cells():
        before = left_behind()
        with tempfile.TemporaryDirectory() as folder:
            trouble = run_cell(cell, Path(folder))
        leaked = left_behind() - before
        if leaked and not trouble:
            trouble = f"left behind {', '.join(sorted(leaked))}"
        count += 1
        if trouble:
            wrong.append(f"{cell}: {trouble}")
        kind = "WRONG" if trouble else "error" if expected(cell).error else "answer"
        key = (cell.fault, cell.stage)
        ends[key] = f"{ends[key]}/{kind}" if key in ends else kind
        if sys.stderr.isatty():
            print(f"\r{count} {cell!s:<60}", end="", file=sys.stderr, flush=True)
    print("\rHow a job ends with the fault always / once. '-': meaningless")
    for stages in (STAGES, FOLD_STAGES):
        print(f"{'':<16}" + "".join(f"{stage:<{WIDTH}}" for stage in stages))
        for fault in FAULTS:
            print(f"{fault:<16}" + "".join(f"{ends[fault, stage]:<{WIDTH}}" for stage in stages))
    print(*wrong, sep="\n", end="\n" if wrong else "")
    print(f"{count} cells in {time.monotonic() - started:.0f} s, {len(wrong)} wrong")
    return not wrong
