"""How is a question asked fairly? Same bytes, warm cache, two CPUs, everybody in turn, and the answers must agree.

A run follows a small one of the same tool, and its input is read before it: while others ran for minutes, a kernel that
reclaims what is not used may have dropped a tool's program from the page cache.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.measure import Measurement, measure
from bench.question import Contestant, Question
from bench.table import Row, render
from data.generate import generate

ROOT = Path(__file__).resolve().parent.parent
SEED = 20041206  # the day OSDI'04 opened
SLOW_SECONDS = 60  # who takes longer runs once
WARM_UP_BYTES = 200_000


def cache() -> Path:
    """Where generated data is kept: $MAPREDUCE_BENCH_DATA or ~/.cache/mapreduce-bench."""
    return Path(os.environ.get("MAPREDUCE_BENCH_DATA") or Path.home() / ".cache" / "mapreduce-bench")


def input_file(kind: str, size: int) -> Path:
    """The data of a kind and size, made once."""
    suffix = {"text": ".txt", "wide": ".txt", "numeric": ".csv", "keyed": ".csv", "points": ".parquet"}.get(
        kind, ".dat"
    )
    path = cache() / f"{kind}-{size}-{SEED}{suffix}"
    if not path.exists():
        _say(f"making {path}")
        generate(kind, size, path, SEED)
    return path


@dataclass(slots=True)
class Score:
    """What a contestant has done so far."""

    contestant: Contestant
    seconds: list[float] = field(default_factory=list)
    runs: list[Measurement] = field(default_factory=list)
    answer: Any = None
    problem: str = ""

    @property
    def is_out(self) -> bool:
        return bool(self.problem) or any(run.seconds > SLOW_SECONDS for run in self.runs)


def ask(question: Question, size: int, rounds: int, only: frozenset[str] = frozenset()) -> str:
    """Run everybody and return the table. `only` names the peers wanted; ours always runs."""
    path, warm_up = input_file(question.data, size), input_file(question.data, WARM_UP_BYTES)
    if question.prepare:
        question.prepare(path)
        question.prepare(warm_up)
    ours, *peers = question.contestants
    scores = [Score(contestant) for contestant in (ours, *(c for c in peers if not only or c.name in only))]
    for score in scores:
        if missing := score.contestant.missing():
            score.problem = f"not installed ({missing})"
    with tempfile.TemporaryDirectory(prefix="bench-", dir=cache()) as scratch:
        for _ in range(rounds):
            for score in scores:
                _warm_up(score, warm_up, Path(scratch, "output"))
                _read(path)
                _run(question, score, path, Path(scratch, "output"))
    agreed = _agreement(question, scores)
    rows = [Row(s.contestant, tuple(s.seconds), tuple(s.runs), s.contestant.name in agreed, s.problem) for s in scores]
    return render(question, path.stat().st_size, rows)


def _warm_up(score: Score, path: Path, output: Path) -> None:
    if not score.is_out:
        score.problem = _problem(score.contestant, run_once(score.contestant, path, output))


def _run(question: Question, score: Score, path: Path, output: Path) -> None:
    if score.is_out:
        return
    contestant = score.contestant
    run = run_once(contestant, path, output)
    score.problem = _problem(contestant, run)
    if not score.problem:
        score.runs.append(run)
        score.seconds.append(question.seconds(output, run))
        if score.answer is None and contestant.comparable:
            score.answer = question.answer(output, run)
        _say(f"{question.name}, {path.name}, {contestant.name}: {score.seconds[-1]:.6g} s, {run.tree_bytes >> 20} MiB")
    _remove(output)


def run_once(contestant: Contestant, path: Path, output: Path) -> Measurement:
    """One run; its output is new."""
    _remove(output)
    command = [word.replace("{input}", str(path)).replace("{output}", str(output)) for word in contestant.command]
    python_path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    environment = {**os.environ, "PYTHONPATH": python_path, "POLARS_MAX_THREADS": "2", **contestant.environment}
    return measure(command, cwd=ROOT, environment=environment)


def _agreement(question: Question, scores: list[Score]) -> set[str]:
    """Who gave the reference's answer (ours, else the first there is); who gave another has a problem."""
    answered = [score for score in scores if score.answer is not None]
    agreed: set[str] = set()
    for score in answered:
        difference = question.difference(answered[0].answer, score.answer)
        if difference is None:
            agreed.add(score.contestant.name)
        else:
            score.problem = f"WRONG ANSWER: {difference}"
    return agreed


def _problem(contestant: Contestant, run: Measurement) -> str:
    if run.exit_code == 0:
        return ""
    _say(f"{contestant.name} failed ({run.exit_code}): {' '.join(contestant.command)}\n{run.errors[-2000:]}")
    last = (run.errors.strip().splitlines() or ["no message"])[-1]
    return f"failed ({run.exit_code}): {last[:100].replace('|', '/')}"


def _read(path: Path) -> None:
    with path.open("rb") as file:
        while file.read(1 << 22):
            pass


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
