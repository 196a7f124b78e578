"""Is what the replay of a past job says what that job would have taken?"""

from __future__ import annotations

from heapq import heappop, heappush
from random import Random

import pytest

from mapreduce.errors import InputError
from mapreduce.report.job_log import AttemptFigures, AttemptRecord, AttemptState, RunEnd, RunHead, RunLog, StageRecord
from mapreduce.simulate.replay import past_job
from mapreduce.simulate.simulation import Scenario, simulate
from mapreduce.simulate.speedup import Prediction, last_that_pays, predict_speedup, serial_seconds_of
from mapreduce.simulate.tables import advice, speedup_table
from mapreduce.tracker.plan import plan_fold, plan_keyed, plan_map_only

STAGES = (StageRecord("map", 40), StageRecord("reduce", 6, "all"))
WORKERS = (1, 2, 3, 4, 8, 16)


def attempt(stage: int, index: int, seconds: float, state: AttemptState = AttemptState.FINISHED) -> AttemptRecord:
    name = f"{STAGES[stage].name} {index}"
    return AttemptRecord(name, stage, index, 0, 0, 0.0, 0.0, seconds, state, figures=AttemptFigures(seconds))


def run_log(attempts: list[AttemptRecord], seconds: float, outcome: str = "succeeded", workers: int = 4) -> RunLog:
    head = RunHead(1, 0.0, "0", "Job", "m", {}, {}, STAGES, workers, 8, "h", 1, 0, 0)
    end = RunEnd(seconds, outcome, "", 0, 0, 0, 0, 0, {}, AttemptFigures(), ())
    return RunLog(head, tuple(attempts), (), (), (), end, seconds)


def drawn() -> list[list[float]]:
    random = Random(7)
    return [[random.lognormvariate(0, 0.6) for _ in range(40)], [random.uniform(1, 3) for _ in range(6)]]


def attempts_of(seconds: list[list[float]]) -> list[AttemptRecord]:
    return [attempt(stage, index, took) for stage, tasks in enumerate(seconds) for index, took in enumerate(tasks)]


def measured(seconds: list[list[float]], workers: int) -> float:
    """What a job takes whose workers take the next task whenever they are free, a stage after the other."""
    now = 0.0
    for tasks in seconds:
        free = [now] * workers
        for took in tasks:
            heappush(free, heappop(free) + took)
        now = max(free)
    return now


@pytest.mark.parametrize("workers", WORKERS)
def test_the_replay_takes_what_the_job_took(workers: int) -> None:
    """The tracker gives tasks out two ahead, so that it is not the same to the second."""
    seconds = drawn()
    job = past_job(run_log(attempts_of(seconds), measured(seconds, workers), workers=workers))
    assert simulate(Scenario(job.workload, hosts=workers)).makespan == pytest.approx(job.wall_seconds, rel=0.2)


def test_what_no_task_accounts_for_is_serial() -> None:
    seconds = drawn()
    job = past_job(run_log(attempts_of(seconds), 100 + measured(seconds, 4)))
    serial = serial_seconds_of(job)
    assert serial == pytest.approx(100, rel=0.05)
    table = predict_speedup(job.plan, job.seconds, (1, 4, 1000), serial)
    assert table[1].seconds == pytest.approx(job.wall_seconds)
    assert table[0].seconds == pytest.approx(sum(map(sum, seconds)) + serial)
    assert table[2].seconds == pytest.approx(max(seconds[0]) + max(seconds[1]) + serial)


def test_speedup_stays_below_amdahl_and_below_the_number_of_workers() -> None:
    table = predict_speedup(plan_keyed(40, 6), drawn(), WORKERS, serial_seconds=2.0)
    for line in table:
        assert line.speedup <= line.amdahl + 1e-9 <= line.workers + 1e-6
        assert line.efficiency == pytest.approx(line.speedup / line.workers)
    assert table[0].speedup == pytest.approx(1.0)


def test_equal_tasks_share_out_evenly() -> None:
    table = predict_speedup(plan_map_only(8), [[2.0] * 8], (1, 2, 3, 4, 8, 16))
    assert [line.seconds for line in table] == [16, 8, 6, 4, 2, 2]
    folded = predict_speedup(plan_fold(64), [[1.0] * 64, [1.0] * 2, [1.0]], (1, 64))
    assert [line.seconds for line in folded] == [67, 3]


def row(workers: int, seconds: float, alone: float = 100.0) -> Prediction:
    return Prediction(workers, seconds, alone / seconds, alone / seconds / workers, workers)


def test_advice_names_the_last_row_that_pays() -> None:
    """A step pays while each added worker brings a quarter of the first one's work."""
    table = [row(1, 100), row(2, 50), row(4, 25), row(8, 21), row(16, 21)]
    assert last_that_pays(table) == table[2]
    assert advice([row(1, 100), row(2, 50), row(4, 48)]) == (
        "2 workers pay: 2.0 times as fast as one. 4 workers would be 4% faster."
    )
    assert advice([row(1, 100), row(2, 100)]) == "1 worker is enough: 2 workers would be no faster."
    assert advice([row(1, 100), row(2, 50)]) == "Up to 2 workers each row pays; try more."
    assert advice([row(1, 100)]) == ""


def test_table() -> None:
    lines = speedup_table([row(1, 100), row(16, 12.5)]).splitlines()
    assert lines[0].split() == ["workers", "makespan", "speed-up", "efficiency", "Amdahl", "wasted"]
    assert lines[2].split() == ["16", "12.5", "s", "8.00", "50%", "16.00", "0.0%"]


def test_a_run_that_did_not_finish_has_no_times() -> None:
    attempts = attempts_of(drawn())[:-1]
    with pytest.raises(InputError, match="no time of reduce 5: the run failed; run the job to its end"):
        past_job(run_log(attempts, 10, "failed"))


def test_a_resumed_run_knows_all_tasks_but_not_how_long_it_took() -> None:
    seconds = drawn()
    attempts = attempts_of(seconds)
    attempts[0] = attempt(0, 0, seconds[0][0], AttemptState.PAST)
    job = past_job(run_log(attempts, 10))
    assert job.wall_seconds is None
    assert serial_seconds_of(job) == 0
    assert job.task_seconds == pytest.approx(sum(map(sum, seconds)))
