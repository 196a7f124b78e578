"""Are rates and times left right, without a clock?"""

from __future__ import annotations

import pytest

from mapreduce.report.rates import Rate, seconds_left, share


def test_rate_needs_two_readings() -> None:
    rate = Rate()
    assert rate.per_second == 0.0
    rate.read(1.0, 100)
    assert rate.per_second == 0.0
    rate.read(3.0, 300)
    assert rate.per_second == 100.0


def test_rate_forgets_what_is_older_than_the_window() -> None:
    rate = Rate(window_seconds=5.0)
    for second in range(11):  # 100 a second for five seconds, then nothing
        rate.read(second, 100 * min(second, 5))
    assert rate.per_second == 0.0


def test_rate_spans_the_window_when_readings_are_rare() -> None:
    rate = Rate(window_seconds=5.0)
    rate.read(0.0, 0)
    rate.read(100.0, 1000)
    assert rate.per_second == 10.0


def test_rate_survives_equal_times_and_amounts_taken_back() -> None:
    rate = Rate()
    rate.read(1.0, 10)
    rate.read(1.0, 20)
    assert rate.per_second == 0.0
    rate.read(2.0, 5)
    assert rate.per_second == 0.0


@pytest.mark.parametrize(
    ("fraction", "elapsed", "left"),
    [(0.5, 10.0, 10.0), (0.25, 10.0, 30.0), (1.0, 10.0, 0.0), (0.0, 10.0, None), (0.005, 10.0, None), (0.5, 0.0, None)],
)
def test_seconds_left(fraction: float, elapsed: float, left: float | None) -> None:
    assert seconds_left(fraction, elapsed) == left


def test_share() -> None:
    assert share(1, 4) == 0.25
    assert share(5, 4) == 1.0
    assert share(0, 0) == 1.0
