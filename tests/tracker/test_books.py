"""Does a task count once, however often it ran?"""

from __future__ import annotations

from mapreduce.dataflow.results import AttemptResult, Output, TaskStats
from mapreduce.ids import AttemptId, TaskId
from mapreduce.tracker.books import Books
from mapreduce.tracker.commands import Outcome, OutcomeKind
from mapreduce.tracker.plan import plan_keyed


def test_a_task_that_ran_again_for_its_lost_output_counts_once() -> None:
    books = Books(plan_keyed(2, 1), 0.0)
    result = AttemptResult(
        Output("a"), {"lines": 3}, TaskStats(bytes_in=100, records_in=3, seconds=1.0, cpu_seconds=0.5)
    )
    for number in range(2):
        books.committed(AttemptId(TaskId(0, 0), number), result, 1.0)
    books.committed(AttemptId(TaskId(0, 1), 0), result, 1.0)
    written = AttemptResult(Output("b"), {}, TaskStats(records_out=5, bytes_out=50, seconds=1.0))
    for number in range(2):
        books.committed(AttemptId(TaskId(1, 0), number), written, 2.0)
    outcome = books.close(Outcome(OutcomeKind.SUCCEEDED), 3.0)
    assert (outcome.stats.bytes_in, outcome.stats.records_in) == (200, 6)
    assert (outcome.stats.bytes_out, outcome.stats.records_out) == (50, 5)
    assert dict(outcome.counters) == {"lines": 6}
    assert outcome.stats.seconds == 5.0  # all of it was spent
