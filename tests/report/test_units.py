"""Do quantities read as a person writes them, at every edge?"""

from __future__ import annotations

import pytest

from mapreduce.report.units import format_bytes, format_count, format_plural, format_rate, format_seconds


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "0 B"), (999, "999 B"), (999.6, "1.0 KB"), (1_000, "1.0 KB"), (1_536, "1.5 KB"), (99_949, "99.9 KB"),
        (99_950, "100 KB"), (640_000_000, "640 MB"), (999_499_999, "999 MB"), (999_500_000, "1.0 GB"),
        (3e18, "3000 PB"),
    ],
)  # fmt: skip
def test_bytes(amount: float, text: str) -> None:
    assert format_bytes(amount) == text


def test_rate_before_any_time_has_passed() -> None:
    assert format_rate(10, 0.0) == "-"
    assert format_rate(500_000_000, 2.0) == "250 MB/s"


@pytest.mark.parametrize(("amount", "text"), [(0, "0"), (12_345, "12,345"), (999_999, "999,999"), (1_250_000, "1.2 M")])
def test_counts(amount: int, text: str) -> None:
    assert format_count(amount) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 ms"), (0.0124, "12 ms"), (0.9999, "1.0 s"), (59.94, "59.9 s"), (59.96, "1 min 00 s"), (125, "2 min 05 s"),
     (3_599.6, "1 h 00 min"), (3_725, "1 h 02 min")],
)  # fmt: skip
def test_seconds(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text


def test_plurals() -> None:
    assert [format_plural(count, "task") for count in (0, 1, 2_000)] == ["0 tasks", "1 task", "2,000 tasks"]
