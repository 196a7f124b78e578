"""Faults on hosts: the same seeded plan strikes workers of agents, and agents; the answer keeps its bits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mapreduce.engines.injuries import FaultKind
from tests.faults import chaos_runs

RUNS = [
    ("word count", "kill=0.3,slow=0.1,corrupt=0.2", {"kill", "corrupt"}),
    ("least squares", "stop=0.1,corrupt=0.3", {"corrupt"}),
    ("word count", "kill=0.05,kill-host=0.3", {"kill-host"}),
    ("word count", "stop-host=0.3", {"stop-host"}),
]


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[chaos_runs.Hosts]:
    with chaos_runs.hosts(tmp_path) as made:
        yield made


def test_same_bytes_on_hosts(hosts: chaos_runs.Hosts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mapreduce.engines.sessions.SILENCE_SECONDS", 1.0)
    monkeypatch.setattr("mapreduce.engines.chaos._SECONDS", {FaultKind.STOP: (1.0, 1.5), FaultKind.STOP_HOST: (2, 2.5)})
    expected = {name: chaos_runs.reference(name, tmp_path) for name in ("word count", "least squares")}
    for seed, (name, rates, inflicted) in enumerate(RUNS):
        row = chaos_runs.Row()
        chaos_runs.chaos_run(name, seed, tmp_path, expected[name], row, hosts, rates)
        assert not row.failed
        assert not row.different
        assert inflicted <= set(row.inflicted), rates


def test_same_bytes_though_the_tracker_of_the_hosts_is_killed(hosts: chaos_runs.Hosts, tmp_path: Path) -> None:
    row = chaos_runs.Row()
    expected = chaos_runs.reference("word count", tmp_path)
    chaos_runs.killed_run("word count", 2, tmp_path, expected, row, hosts)
    assert not row.failed
    assert not row.different
    assert row.inflicted["tracker kill"] > 0
