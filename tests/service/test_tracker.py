"""Does a tracker that stays keep its promises to clients, as processes on loopback?"""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mapreduce as mr
from algorithms.kmeans import KMeans
from mapreduce.engines.steps import Steps
from tests.service.trackers import Tracker, digest_of, lines_of, wait_for


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    path = tmp_path / "lines.txt"
    path.write_text("".join(f"{number}\n" for number in range(40)))
    return path


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[Tracker]:
    with Tracker(tmp_path, "--workers", "2") as tracker:
        yield tracker


def counted(trace: Path, seconds: float = 0.02) -> tuple[str, ...]:
    return ("--set", f"trace={trace}", "--set", f"seconds={seconds}", "--split-size", "8")


def test_a_job_runs_there_as_it_would_here(tracker: Tracker, lines: Path, tmp_path: Path) -> None:
    here = tracker.call("run", "wordcount", lines, "-o", "here")
    there = tracker.call("run", "wordcount", "lines.txt", "-o", "there", "--tracker", tracker.address)
    assert (here.returncode, there.returncode) == (0, 0), there.stderr
    assert "wrote there" in there.stderr and there.stderr.count("succeeded in") == 1
    assert digest_of(tmp_path / "there") == digest_of(tmp_path / "here") != {}
    printed = tracker.call("run", "wordcount", "lines.txt", "--tracker", tracker.address)
    assert sorted(printed.stdout.split()) == sorted(tracker.call("run", "wordcount", lines).stdout.split())
    assert not list((tmp_path / "state").glob("jobs/*/output"))  # fetched
    first, second = tracker.jobs()
    assert (first["name"], first["state"], first["output"]) == ("WordCount", "succeeded", str(tmp_path / "there"))
    assert "succeeded in" in tracker.call("logs", second["job"]).stdout


def test_python(tracker: Tracker, monkeypatch: pytest.MonkeyPatch) -> None:
    class Longest(mr.Fold):
        def zero(self) -> int:
            return 0

        def map(self, block: mr.Block) -> int:
            return max((len(record) for record in block.records()), default=0)

        def reduce(self, a: int, b: int) -> int:
            return max(a, b)

    class Count(mr.Job):
        reduce = mr.Sum()

        def map(self, word: str) -> Iterator[tuple[str, int]]:
            self.count("words")
            yield word, 1

    monkeypatch.setenv("XDG_CONFIG_HOME", tracker.env["XDG_CONFIG_HOME"])
    with mr.Engine(tracker=tracker.address) as engine:
        result = engine.run(Count(), mr.from_records(["a", "b", "a"]))
        assert dict(result.records()) == {"a": 2, "b": 1}
        assert result.counters["words"] == 3 and engine.workers == 2
        assert engine.run(Longest(), mr.from_records(["a", "long", "word"])).value == 4
        with pytest.raises(mr.InputError, match="nowhere.txt"):
            engine.run(Count(), mr.read_text("nowhere.txt"))


def test_the_jobs_own_error_comes_to_the_client_and_to_wait(tracker: Tracker, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("1\nxx\n")
    done = tracker.call("run", "jobs.py:Bad", "words.txt", "--tracker", tracker.address, "--max-attempts", "1")
    assert done.returncode == 1
    assert (
        done.stderr.count("ValueError: invalid literal for int() with base 10: 'xx'") == 3
    )  # as it runs, traceback, message
    assert "words.txt, byte 2" in done.stderr
    waited = tracker.call("wait", "1")
    assert waited.returncode == 1 and "job 1 (Bad) failed" in waited.stderr


def test_a_killed_tracker_goes_on_with_every_job(tmp_path: Path, lines: Path) -> None:
    """Same bits, finished work is not repeated, waiting jobs wait, clients don't notice."""
    tracker = Tracker(tmp_path, "--workers", "2", "--max-jobs", "1")
    with tracker:
        trace, out = tmp_path / "trace", tmp_path / "out"
        running = tracker.run("jobs.py:Counted", lines, "-o", out, *counted(trace, 0.05))
        wait_for(lambda: len(lines_of(trace)) > 10)
        waiting = tracker.run("wordcount", lines, "-o", tmp_path / "later")
        wait_for(lambda: len(list((tmp_path / "state" / "jobs").glob("*/job.json"))) == 2)
        tracker.kill()
        tracker.start()
        for client in (running, waiting):
            said = client.communicate(timeout=30)[1]
            assert client.returncode == 0, said
        assert "resuming: " in tracker.call("logs", "1").stdout
        assert [job["state"] for job in tracker.jobs()] == ["succeeded", "succeeded"]
        assert [job["starts"] for job in tracker.jobs()] == [2, 1]
        often = Counter(lines_of(trace))
        assert len(often) == 40
        assert sum(often.values()) < 40 + 10  # what was at work ran twice, no more
        assert tracker.call("run", "wordcount", lines, "-o", tmp_path / "here").returncode == 0
        assert digest_of(out) == digest_of(tmp_path / "here")


def test_a_client_that_goes_leaves_its_job(tracker: Tracker, lines: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    killed = tracker.run("jobs.py:Counted", lines, "-o", "out", *counted(trace))
    wait_for(lambda: lines_of(trace))
    killed.kill()
    killed.communicate()
    interrupted = tracker.run("jobs.py:Counted", lines, "-o", "out2", *counted(tmp_path / "trace2"))
    wait_for(lambda: len(list((tmp_path / "state" / "jobs").glob("*/state.json"))) == 2)
    interrupted.send_signal(signal.SIGINT)
    said = interrupted.communicate(timeout=10)[1]
    assert interrupted.returncode == 130
    assert "the job goes on: " in said and f"--tracker {tracker.address}`" in said
    assert tracker.call("wait", "1", "2").returncode == 0
    assert len(digest_of(tmp_path / "out")) == len(digest_of(tmp_path / "out2")) == 1


def test_kill(tmp_path: Path, lines: Path) -> None:
    with Tracker(tmp_path, "--workers", "1", "--max-jobs", "1") as tracker:
        client = tracker.run("jobs.py:Counted", lines, "-o", "out", *counted(tmp_path / "trace", 1.0))
        wait_for(lambda: lines_of(tmp_path / "trace"))
        waiting = tracker.run("wordcount", lines, "-o", "out2")
        wait_for(lambda: len(list((tmp_path / "state" / "jobs").glob("*/state.json"))) == 2)
        assert tracker.call("kill", "2", "1").returncode == 0
        for each in (client, waiting):
            assert "was killed" in each.communicate(timeout=20)[1]
            assert each.returncode == 2
        assert tracker.call("wait", "1").returncode == 143
        assert [job["state"] for job in tracker.jobs()] == ["killed", "killed"]


@pytest.mark.parametrize("policy", ["fifo", "fair"])
def test_how_jobs_share(tmp_path: Path, lines: Path, policy: str) -> None:
    seconds = 0.1 if policy == "fair" else 0.04  # long enough for the second job to come to its share
    with Tracker(tmp_path, "--workers", "2", "--policy", policy) as tracker:
        clients = []
        for name in "ab":
            clients.append(
                tracker.run("jobs.py:Counted", lines, "-o", name, *counted(tmp_path / f"{name}.trace", seconds))
            )
            wait_for(lambda name=name: policy == "fifo" or lines_of(tmp_path / f"{name}.trace"))
            wait_for(lambda: len(list((tmp_path / "state" / "jobs").glob("*/state.json"))) == len(clients))
        if policy == "fair":
            wait_for(lambda: [job["slots"] for job in tracker.jobs()] == [1, 1])
        for client in clients:
            assert client.wait(30) == 0
            client.communicate()
        first, second = tracker.jobs()
        assert (second["started_at"] >= first["ended_at"]) == (policy == "fifo")
        traces = [lines_of(tmp_path / f"{name}.trace") for name in "ab"]
        assert [len(set(mapped)) for mapped in traces] == [40, 40]
        # A task may begin just as it is called back or taken over, and runs twice then. No more is thrown away.
        assert max(map(len, traces)) < 40 + 10


def test_refusals(tracker: Tracker, tmp_path: Path, lines: Path) -> None:
    unknown = tracker.call("logs", "7")
    assert (unknown.returncode, unknown.stderr) == (2, "error: no job '7'; this tracker has none\n")
    assert tracker.call("run", "wordcount", lines, "--tracker", tracker.address).returncode == 0
    near = tracker.call("kill", "WordCont")
    assert (near.returncode, near.stderr) == (2, "error: no job 'WordCont'; did you mean 1 (WordCount)?\n")
    stdin = tracker.call("run", "wordcount", "-", "--tracker", tracker.address)
    assert stdin.returncode == 2 and "can't read standard input" in stdin.stderr
    inline = tracker.call("run", "wordcount", lines, "--tracker", tracker.address, "--inline")
    assert inline.returncode == 2 and "--inline can't be had of a tracker" in inline.stderr
    assert tracker.call("keys", "other.key").returncode == 0
    stranger = tracker.call("ps", "--key", "other.key")
    assert stranger.returncode == 2 and "lets us not in: " in stranger.stderr and "another key" in stranger.stderr
    second = tracker.call("tracker", "--listen", "127.0.0.1:0", "--state", tmp_path / "state")
    assert second.returncode == 2 and "another tracker (pid" in second.stderr
    tracker.stop()
    nobody = tracker.call("ps")
    assert nobody.returncode == 2
    assert nobody.stderr.startswith(f"error: no tracker at {tracker.address}: ")
    tracker.env.pop("MAPREDUCE_TRACKER")
    assert "no tracker is named" in tracker.call("ps").stderr


def test_a_job_of_a_larger_share_gets_more(tmp_path: Path, lines: Path) -> None:
    with Tracker(tmp_path, "--workers", "4", "--policy", "fair") as tracker:
        clients = [
            tracker.run(
                "jobs.py:Counted", lines, "-o", name, *counted(tmp_path / f"{name}.trace", 0.1), "--share", share
            )
            for name, share in (("one", 1), ("three", 3))
        ]
        wait_for(lambda: {job["share"]: job["slots"] for job in tracker.jobs()} == {1.0: 1, 3.0: 3})
        for client in clients:
            client.communicate(timeout=30)
            assert client.returncode == 0
        refused = tracker.call("run", "wordcount", lines, "--tracker", tracker.address, "--share", "0")
        assert refused.returncode == 2 and "the share of the job is 0; it must be above 0" in refused.stderr
        alone = tracker.call("run", "wordcount", lines, "--share", "2")
        assert alone.returncode == 2 and "name that with --tracker" in alone.stderr


def test_a_fit_goes_on_with_the_step_that_it_had_come_to(
    tracker: Tracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", tracker.env["XDG_CONFIG_HOME"])
    X = np.random.default_rng(1).normal(size=(200, 2))
    points = tmp_path / "points.csv"
    points.write_text("x,y\n" + "".join(f"{x!r},{y!r}\n" for x, y in X.tolist()))

    def fit(engine: mr.Engine) -> bytes:
        return (
            KMeans(n_clusters=3, max_iter=2, tol=0.0).fit(mr.read_csv(points), engine=engine).cluster_centers_.tobytes()
        )

    def fail_from(step: int) -> Callable[..., mr.Result]:
        run, steps = Steps.run, 0

        def counting(self: Steps, *arguments: Any) -> mr.Result:
            nonlocal steps
            steps += 1
            if steps == step:
                raise KeyboardInterrupt
            return run(self, *arguments)

        return counting

    with mr.Engine(tracker=tracker.address) as engine:
        with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(Steps, "run", fail_from(3))
            with engine.resumable(tmp_path / "model"):
                fit(engine)
        assert len(tracker.jobs()) == 2
        with engine.resumable(tmp_path / "model"):
            found = fit(engine)
        steps = len(tracker.jobs())  # each once
    with mr.Engine("inline") as engine:
        assert fit(engine) == found
        assert engine._runs is not None and engine._runs.jobs == steps
