"""What does a person see on a terminal, and is it drawn no more often than it should?"""

from __future__ import annotations

import io

from rich.console import Console

from mapreduce.report.live import LiveView, draw
from mapreduce.report.progress import Progress
from mapreduce.tracker.commands import StartAttempt
from mapreduce.tracker.events import Tick
from tests.report.fakes import (
    W0,
    W1,
    Clock,
    attempt,
    finish,
    note,
    outcome,
    plan,
    result,
    sample,
    start_maps,
    user_failure,
)


def terminal() -> Console:
    return Console(
        width=100, height=30, force_terminal=True, color_system=None, file=io.StringIO(), legacy_windows=False
    )


def text_of(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_view_of_a_moment() -> None:
    from mapreduce.tracker.commands import Commit
    from mapreduce.tracker.events import AttemptFailed, AttemptFinished

    progress = Progress(plan(), 100_000_000, 2, 0.0)
    progress.handle(Tick(0.0), [StartAttempt(attempt(0, 0), W0), StartAttempt(attempt(0, 1), W1)])
    progress.figures(0.0)
    progress.handle(
        AttemptFailed(1.0, attempt(0, 1), W1, user_failure()), [note(attempt(0, 1)), StartAttempt(attempt(0, 1, 1), W1)]
    )
    progress.handle(AttemptFinished(2.0, attempt(0, 0), W0, result()), [Commit(attempt(0, 0), result())])
    progress.sample([sample(W0, None), sample(W1, attempt(0, 1, 1), 25_000_000, "map 1")])
    console = terminal()
    console.print(draw(progress.figures(3.0)))
    lines = [line.rstrip() for line in text_of(console).splitlines()]
    assert lines[0].startswith("map     ━━━━")
    assert lines[0].endswith("75 %  1/2  1 running  3.0 s  1.0 s left")
    assert lines[1].startswith("reduce  ")
    assert lines[1].endswith("0 %  0/1")
    assert lines[2] == "3.0 s  read 75.0 MB, 750,000 records  25.0 MB/s  250,000 records/s"
    assert lines[3:] == [
        "worker 0   98 % CPU  120 MB  waits",
        "worker 1   98 % CPU  120 MB  map 1",
        "1 failed attempt; last: map 1: ValueError: not a number: x",
    ]


def test_many_workers_are_summed_up() -> None:
    from mapreduce.ids import WorkerId

    progress = Progress(plan(), 100, 64, 0.0)
    progress.sample([sample(WorkerId(number), None) for number in range(64)])
    console = terminal()
    console.print(draw(progress.figures(1.0)))
    assert "56 more" in text_of(console)
    assert "5510 % CPU" in text_of(console)


def test_nothing_is_drawn_for_a_short_job() -> None:
    consoles: list[Console] = []

    def make_console() -> Console:
        consoles.append(terminal())
        return consoles[-1]

    view = LiveView(Clock(), make_console)
    start_maps(view, 0.0)
    finish(view, 0.1, attempt(0, 0))
    view.finished(outcome())
    view.close()
    assert consoles == []


def test_drawn_at_most_five_times_a_second_and_removed_at_the_end() -> None:
    clock = Clock()
    console = terminal()
    view = LiveView(clock, lambda: console)
    start_maps(view, 0.0)
    for step in range(101):  # a second
        clock.now = 101.0 + step / 100
        view.sampled([sample(W0, attempt(0, 0), step)])
    assert text_of(console).count("worker 0") in (5, 6)
    view.finished(outcome())
    view.close()
    view.close()
    assert text_of(console).rindex("\x1b[?25h") > text_of(console).rindex("\x1b[?25l")  # the cursor is back


def test_logs_stand_above_the_view() -> None:
    console = terminal()
    view = LiveView(Clock(), lambda: console)
    start_maps(view, 0.0)
    view.logged(W0, attempt(0, 1), "hello [bold]\n")
    view.close()
    assert "[map 1] hello [bold]" in text_of(console)
