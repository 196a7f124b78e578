"""Inputs that lie on agents, and what is kept between jobs and runs: caches, map outputs, finished tasks."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mapreduce as mr
from algorithms.kmeans import KMeans
from mapreduce.engines.host_inputs import ClusterInputs
from mapreduce.wire.keys import default_key_path, make_key, write_key
from tests.engines.lived import HandAgents, Words, hand_agents, wait_until
from tests.faults.killed_runs import hash_of
from tests.hosts import patched

ROOT = Path(__file__).resolve().parents[2]
LINES = "".join(f"{row % 13} {row % 7} word{row}\n" for row in range(600))
JOB = f"{Path(__file__).with_name('lived.py')}:Words"
QUICK = ("mapreduce.engines.host_inputs.SETTLE_SECONDS=0.5", "mapreduce.engines.cluster_start.RETURN_SECONDS=0.5")
SETTINGS: dict[str, Any] = {"split_size": 2000, "reducers": 2}


@pytest.fixture
def agents() -> Iterator[HandAgents]:
    if not default_key_path().exists():
        write_key(default_key_path(), make_key())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with hand_agents(port) as made:
        yield made


def offer(folder: Path, host: str, name: str, text: str) -> Path:
    path = folder / host / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def test_a_fit_reads_what_hosts_offer_once(agents: HandAgents, tmp_path: Path) -> None:
    X = np.random.default_rng(0).normal(size=(300, 2))
    points = offer(tmp_path, "a", "points.csv", "x,y\n" + "".join(f"{x!r},{y!r}\n" for x, y in X.tolist()))
    agents.begin("a", "--data", str(tmp_path / "a"))
    agents.begin("b")
    with mr.Engine("cluster", listen=agents.address) as engine:  # the cache is the first that it is asked for
        found = KMeans(n_clusters=3).fit(mr.read_csv("data:points.csv"), engine=engine)
    with mr.Engine("inline") as engine:
        expected = KMeans(n_clusters=3).fit(mr.read_csv(points), engine=engine)
    assert found.cluster_centers_.tobytes() == expected.cluster_centers_.tobytes()


def test_what_has_changed_on_hosts_is_not_known(agents: HandAgents, tmp_path: Path) -> None:
    offer(tmp_path, "a", "lines.txt", LINES)
    agents.begin("a", "--data", str(tmp_path / "a"))
    with (
        mr.Engine("cluster", listen=agents.address) as engine,
        pytest.raises(mr.UsageError, match=r"which parts of data:lines.txt have changed.* leave it out, or name"),
    ):
        engine.run(Words(), mr.read_text("data:*.txt"), output=tmp_path / "out", incremental=True)
    assert not (tmp_path / "out").exists()


def begin_run(agents: HandAgents, tmp_path: Path) -> subprocess.Popen[str]:
    words = ["run", JOB, "data:lines.txt", "--set", f"folder={tmp_path / 'gate'}", "-o", str(tmp_path / "out")]
    options = ["--listen", agents.address, "--split-size", "2000", "--reducers", "2"]
    return subprocess.Popen(
        [sys.executable, patched.__file__, *QUICK, "--", *words, *options],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_run_goes_on_with_what_another_host_offers(agents: HandAgents, tmp_path: Path) -> None:
    """Its tracker is killed when some maps of `a` are done and one of `b` waits. Then `a`, which had the input, is
    gone, and `c` has it."""
    path = offer(tmp_path, "a", "lines.txt", LINES)
    gate = tmp_path / "gate"
    gate.mkdir()
    kept = agents.begin("a", "--data", str(tmp_path / "a"))
    waiting = agents.begin("b")
    run = begin_run(agents, tmp_path)
    journal = tmp_path / "out/_job/journal"
    try:
        wait_until((gate / f"at-{waiting.pid}").exists, "a map of b waits")
        (gate / f"open-{kept.pid}").touch()
        wait_until(lambda: journal.exists() and len(journal.read_bytes().splitlines()) > 2, "some maps are done")
    finally:
        run.send_signal(signal.SIGKILL)
        run.communicate()
    other = offer(tmp_path, "c", "lines.txt", LINES)
    os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    kept.terminate()
    agents.end("a")
    agents.begin("c", "--data", str(tmp_path / "c"))
    (gate / "open").touch()
    again = begin_run(agents, tmp_path)
    _, said = again.communicate(timeout=30)
    assert again.returncode == 0, said
    assert "resuming" in said
    mr.run(Words(), mr.read_text(path), output=tmp_path / "expected", engine="inline", **SETTINGS)
    assert hash_of(tmp_path / "out") == hash_of(tmp_path / "expected"), said


class OneAtATime:
    """Stands in for a data client: it fails when two threads are in it, or after it was closed."""

    def __init__(self) -> None:
        self.free = threading.Lock()
        self.is_open = True

    def read(self, host: str, path: str, offset: int, size: int) -> bytes:
        assert self.free.acquire(blocking=False)
        time.sleep(0.001)
        assert self.is_open
        self.free.release()
        return bytes(size)

    def close(self) -> None:
        self.is_open = False


def test_a_fit_may_hash_its_input_while_its_job_is_planned() -> None:
    connect: Any = OneAtATime
    nobody: Any = None
    inputs = ClusterInputs(nobody, nobody, connect)
    try:
        with ThreadPoolExecutor(3) as threads:
            reads = [threads.submit(inputs.read, "a", "0/points.csv", 0, 8) for _ in range(30)]
            for _ in range(10):
                inputs.rest()
                time.sleep(0.001)
            assert [read.result() for read in reads] == [bytes(8)] * 30
    finally:
        inputs.close()
