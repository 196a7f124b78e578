"""Does the page on failures name the figures that hold, and tests that exist?"""

from __future__ import annotations

import re
from pathlib import Path

from mapreduce.settings import Settings
from mapreduce.tracker.policy import SILENCE_SECONDS, Policy
from mapreduce.workers.limits import ASK_SHARE, END_SHARE
from mapreduce.workers.pool import MAX_IDLE_DEATHS, STOPPED_SECONDS
from mapreduce.workers.worker import TICK_SECONDS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "failures.md").read_text(encoding="utf-8")


def test_figures_are_those_of_the_code() -> None:
    policy, settings = Policy(), Settings()
    for said in (
        f"memory: {ASK_SHARE:.0%} of `--memory` reached".replace("%", " %"),
        f"memory: {END_SHARE:.0%} reached".replace("%", " %"),
        f"looks {1 / TICK_SECONDS:.0f} times a second",
        f"no sign of life for {SILENCE_SECONDS:.0f} s",
        f"the pool, after {STOPPED_SECONDS:.0f} s",
        f"a backup after {policy.backup_seconds:.0f} s",
        f"`--task-timeout` ({settings.task_timeout_seconds:.0f} s)",
        f"a rest of {policy.first_rest_seconds} s that doubles",
        f"A task may fail {settings.max_attempts} times",
        f"up to {policy.max_lost_inputs} times",
        f"{MAX_IDLE_DEATHS} in a row",
    ):
        assert said in PAGE


def test_the_tests_that_it_names_are_there() -> None:
    named = re.findall(r"`((?:tests/\w+/)?test_\w+\.py)`", PAGE)
    assert len(named) >= 9
    for name in named:
        assert (ROOT / ("" if "/" in name else "tests/faults") / name).is_file(), name
