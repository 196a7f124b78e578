"""Do the questions that no peer answers give their tables?"""

from __future__ import annotations

import pytest

from bench import segment_reads, simulate_osdi, tracker_time


def test_tracker_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracker_time, "SIZES", (1_000, 2_000))
    preset = tracker_time.simulated
    monkeypatch.setattr(
        tracker_time, "simulated", lambda words: preset([*words, "--hosts", "20"] if "million" in words else words)
    )
    rows = [line.split("|") for line in tracker_time.table(1).splitlines()]
    assert [row[1].strip() for row in rows[4:]] == ["1,000", "2,000", "`--preset million`"]
    assert all(float(row[4]) > 0 for row in rows[4:])


def test_osdi_sort(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulate_osdi, "SEEDS", range(1, 2))
    rows = [line.split("|") for line in simulate_osdi.table(1).splitlines()]
    ratios = {row[1].strip(" `"): float(row[5]) for row in rows[6:]}
    assert ratios["osdi-sort"] == 1.0
    assert 1.3 < ratios["osdi-sort-no-backups"] < 1.6
    assert 1.0 <= ratios["osdi-sort-killed"] < 1.15


def test_segment_reads() -> None:
    rows = [line.split("|") for line in segment_reads.table(1).splitlines()]
    assert [row[1].strip() for row in rows[4:]] == list(segment_reads.STORES)
    assert all(float(row[2]) > 0 for row in rows[4:])
