"""Do the questions about a cluster give their figures?"""

from __future__ import annotations

import json

import pytest

from bench import cluster, cluster_tasks, cluster_wire
from tests.hosts.network import why_not


def test_each_question_is_put_to_agents_and_to_workers_of_our_own() -> None:
    for question in cluster.QUESTIONS:
        agents, local = question.contestants
        assert "--hosts" in agents.command
        assert "--workers" in local.command
        assert local.target == pytest.approx(0.909, abs=0.001)


def test_tasks(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(cluster_tasks, "EMPTY_TASKS", 50)
    cluster_tasks.main()
    figures = json.loads(capsys.readouterr().out)
    assert figures["tasks_a_second"] > 0
    assert 0 < figures["seconds_from_joined"] < figures["seconds_to_first_task"]


def test_link() -> None:
    if reason := why_not():
        pytest.skip(reason)
    rows = [line.split("|") for line in cluster_wire.link_table(1, 8 << 20).splitlines()]
    assert [row[1].strip() for row in rows[4:]] == list(cluster_wire.available_ways())
    assert all(float(row[2].replace(",", "")) > 0 for row in rows[4:])
