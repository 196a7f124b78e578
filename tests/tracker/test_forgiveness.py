"""Do deaths that may have found a bad record spare a task's attempts, and only so many?"""

from __future__ import annotations

import pytest

from mapreduce.dataflow.results import Failure, FailureKind
from mapreduce.ids import WorkerId
from mapreduce.settings import Settings
from mapreduce.tracker.policy import FORGIVEN_DEATHS, Policy, policy_of
from mapreduce.tracker.recovery import Trouble, Verdict, judge, reason_to_give_up

DEATH = Failure(FailureKind.LOST, "LostWorkerError", "killed")
RAISED = Failure(FailureKind.USER, "ValueError", "no")


def verdicts(failures: list[Failure], policy: Policy, trouble: Trouble) -> list[Verdict]:
    return [judge(failure, trouble, WorkerId(0), policy) for failure in failures]


def test_deaths_are_forgiven_up_to_a_bound() -> None:
    trouble = Trouble()
    given = verdicts([DEATH] * 5, Policy(max_attempts=2, forgiven_deaths=3), trouble)
    assert given == [Verdict.RUN_AGAIN] * 4 + [Verdict.GIVE_UP]
    assert "map 7 failed 5 times" in reason_to_give_up("map 7", DEATH, trouble)


def test_exceptions_are_not() -> None:
    policy = Policy(max_attempts=2, forgiven_deaths=3)
    assert verdicts([RAISED, DEATH, RAISED], policy, Trouble())[-1] is Verdict.GIVE_UP


@pytest.mark.parametrize(("ratio", "deaths"), [(0.0, 0), (0.001, FORGIVEN_DEATHS)])
def test_only_where_bad_records_are_skipped(ratio: float, deaths: int) -> None:
    assert policy_of(Settings(skip_bad_records=ratio)).forgiven_deaths == deaths
