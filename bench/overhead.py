"""What does an empty task cost, and how long is it from the command to the first map?"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from bench.answers import same
from bench.measure import Measurement
from bench.question import OURS, Contestant, Question, peer


def seconds_a_task(output: Path, _: Measurement) -> float:
    return float(json.loads(output.read_text())["seconds_a_task"])


def seconds_to_first_task(output: Path, run: Measurement) -> float:
    return float(json.loads(output.read_text())["first_task"]) - run.started


def is_positive(output: Path, run: Measurement) -> bool:
    return seconds_a_task(output, run) > 0 and seconds_to_first_task(output, run) > 0


CONTESTANTS = (
    Contestant(OURS, (sys.executable, "-m", "bench.empty_tasks", "{input}", "{output}")),
    Contestant(
        f"{OURS}, a part file a task", (sys.executable, "-m", "bench.empty_tasks", "{input}", "{output}", "--files")
    ),
    peer("Dask distributed", "empty_tasks_dask", 10, "distributed"),
    peer("Ray", "empty_tasks_ray", 3, "ray", environment={"RAY_AUTH_MODE": "disabled"}),
    peer("loky", "empty_tasks_loky", 0.7, "loky"),
)
EMPTY_TASKS = Question(
    name="empty_tasks",
    title="Empty tasks",
    data="records",
    contestants=CONTESTANTS,
    answer=is_positive,
    difference=same,
    size="500KB",
    seconds=seconds_a_task,
    rate="tasks/s",
    work=lambda _: 1.0,
    note="A task a record, 5,000 at 500 KB; seconds are a task's, without start-up. Ours are a fold's map tasks.",
)
FIRST_MAP = Question(
    name="first_map",
    title="From the command to the first map",
    data="records",
    contestants=tuple(contestant for contestant in CONTESTANTS if "--files" not in contestant.command),
    answer=is_positive,
    difference=same,
    size="500KB",
    seconds=seconds_to_first_task,
    rate="",
)
QUESTIONS = (EMPTY_TASKS, FIRST_MAP)
