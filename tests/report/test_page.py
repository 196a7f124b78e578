"""Is the page whole, well formed, self-contained, and does it show what happened?"""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from mapreduce.report.charts import LEFT, RIGHT, WIDTH, Mark, area, bars, ticks, timeline
from mapreduce.report.job_log import AttemptState, FailureRecord, JobLog, LostOutput, RunLog, WorkerRecord
from mapreduce.report.page import ROWS_SHOWN, render_page
from tests.report.runs import attempt, run

VOID = {"meta"}
KILLED = FailureRecord("lost", "LostWorkerError", "worker 0 was killed by SIGKILL", "run again", place="a.txt, byte 7")


class Balanced(HTMLParser):
    """Fails at a tag that is not closed, and gathers the text and what is referred to."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.links: list[str] = []
        self.classes: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]
        self.classes += [word for name, value in attrs if name == "class" for word in (value or "").split()]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag("meta", attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def read(page: str) -> Balanced:
    parser = Balanced()
    parser.feed(page)
    parser.close()
    assert parser.open == []
    return parser


def log_of(*runs: RunLog) -> JobLog:
    return JobLog(Path("_events.jsonl"), runs)


TROUBLED = run(
    attempt("map 0", 0.0, 0.4, AttemptState.FAILED, failure=KILLED),
    attempt("map 0", 0.5, 1.0, number=1, worker=2, bytes_in=2000, records_in=20),
    attempt("map 1", 0.0, 1.2, AttemptState.CANCELLED, worker=1),
    attempt("map 1", 0.6, 1.1, number=1, worker=2, backup=True, bytes_in=2000),
    attempt("reduce 0", 1.2, 1.4, worker=1, records_in=30),
    attempt("reduce 1", 1.2, 1.3, worker=2, records_in=10),
    workers=(WorkerRecord(0, 0.0, lost=0.4, why="killed by SIGKILL"), WorkerRecord(1, 0.0), WorkerRecord(2, 0.45)),
    lost=(LostOutput(1.15, "map 0"),),
    notes=("chaos (seed 7) inflicted 1 kill; all survived",),
)


def test_everything_that_happened_is_on_the_page() -> None:
    page = render_page(log_of(TROUBLED), [(1, 1.0), (2, 1.7), (4, 1.8)])
    parser = read(page)
    text = " ".join(parser.texts)
    for told in (
        "WordCount", "succeeded", "4.0 KB in 2 files", "worker 0…2", "LostWorkerError: worker 0 was killed by SIGKILL",
        "run again", "a.txt, byte 7", "output of map 0 was lost", "bad lines", "memory_bytes", "1,073,741,824",
        "chaos (seed 7) inflicted 1 kill; all survived", "map: median 500 ms, longest 500 ms", "1.50 times the mean",
        "simulated with these tasks", "backup attempt", "cancelled, or finished second",
    ):  # fmt: skip
        assert told in text
    assert {"failed", "unwanted", "backup", "loss", "simulated"} <= set(parser.classes)


def test_it_needs_nothing_else() -> None:
    page = render_page(log_of(TROUBLED))
    assert read(page).links == []
    assert not re.search(r"<script|https?://|url\(|@import", page)


def test_what_users_wrote_stays_text() -> None:
    evil = "<script>alert(1)</script>&\"'"
    failure = FailureRecord("user", evil, evil, "give up", place=evil)
    hurt = run(
        attempt("map 0", 0, 1, AttemptState.FAILED, failure=failure),
        job=evil,
        notes=(evil,),
        outcome="failed",
        reason=evil,
    )
    page = render_page(log_of(hurt))
    assert "<script" not in page
    assert evil in "".join(read(page).texts)


@pytest.mark.parametrize("ran", [run(), run(outcome=None), run(attempt("map 0", 0, 0)), run(outcome="stopped")])
def test_a_run_of_which_little_is_known_has_a_page(ran: RunLog) -> None:
    text = " ".join(read(render_page(log_of(ran))).texts)
    assert ran.outcome in text
    assert ("was killed, or is still going on" in text) is (ran.end is None)


def test_runs_of_a_resumed_job_stand_one_after_the_other() -> None:
    first = run(attempt("map 0", 0, 1), attempt("map 1", 0, 1, AttemptState.RUNNING, worker=1), outcome=None)
    second = run(attempt("map 0", 0, 0, AttemptState.PAST), attempt("map 1", 0, 1), number=2)
    text = " ".join(read(render_page(log_of(first, second))).texts)
    assert text.index("Run 1: unfinished") < text.index("Run 2: succeeded")
    assert "2 of 2" in text


def test_a_million_attempts_make_no_page_of_a_million_rectangles() -> None:
    marks = [Mark(0, number / 1e5, (number + 0.9) / 1e5, "stage0", f"map {number}") for number in range(100_000)]
    drawn = timeline(["worker 0"], marks, [], 1.0)
    assert drawn.count("<rect") < 2 * WIDTH
    assert "attempts; first: map 0" in drawn
    many = run(*(attempt(f"map {number}", 0, 1, AttemptState.FAILED, failure=KILLED) for number in range(1000)))
    page = render_page(log_of(many))
    assert page.count("<tr>") < ROWS_SHOWN + 20
    assert "and 800 more" in page


def test_rectangles_lie_where_the_time_says() -> None:
    drawn = timeline(["a"], [Mark(0, 0.0, 5.0, "stage0", "x"), Mark(0, 5.0, 10.0, "failed", "y")], [], 10.0)
    found = re.findall(r'<rect class="(\w+)" x="([\d.]+)" y="\d+" width="([\d.]+)"', drawn)
    half = (WIDTH - LEFT - RIGHT) / 2
    assert [(kind, float(x), float(width)) for kind, x, width in found] == [
        ("stage0", LEFT, half),
        ("failed", LEFT + half, half),
    ]


def test_bars_are_as_high_as_their_values() -> None:
    drawn = bars([1, 2, 4, 0], ["a", "b", "c", "d"], [], lambda value: f"{value:g}")
    heights = [float(text) for text in re.findall(r'width="[\d.]+" height="([\d.]+)"', drawn)]
    assert heights[1] / heights[0] == pytest.approx(2, rel=0.01)
    assert heights[2] / heights[0] == pytest.approx(4, rel=0.01)
    assert len(heights) == 3


@pytest.mark.parametrize("high", [0.003, 0.7, 1.0, 9.0, 64.0, 1234.0, 3e9])
def test_ticks_are_round_and_few(high: float) -> None:
    found = ticks(high)
    assert 2 <= len(found) <= 7
    assert found[0] == 0
    assert found[-1] <= high * (1 + 1e-9)


def test_an_area_of_nothing_is_drawn() -> None:
    assert "<path" in area([0.0, 0.0], 1.0, str)
