"""Pools of one worker, which leave no process and no descriptor behind."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from mapreduce.workers.pool import Pool
from mapreduce.workers.process import Start
from tests.workers.harness import children
from tests.workers.jobs import ENTRY


@pytest.fixture(params=[Start.FORK, Start.EXEC], ids=["fork", "exec"])
def either(request: pytest.FixtureRequest) -> Iterator[Pool]:
    yield from _pool(request.param)


@pytest.fixture
def pool() -> Iterator[Pool]:
    yield from _pool(Start.FORK)


def _pool(start: Start) -> Iterator[Pool]:
    before, alive = set(os.listdir("/proc/self/fd")), children()
    pool = Pool(1, entry=ENTRY, start=start)
    yield pool
    pool.close()
    pool.close()
    assert set(os.listdir("/proc/self/fd")) == before
    assert children() == alive
