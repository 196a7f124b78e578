"""Does a tracker that stays run jobs on agents that join it?"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from mapreduce.tracker.policy import REMOTE_QUEUE_DEPTH
from tests.service.trackers import Tracker, digest_of, lines_of, wait_for


def test_two_agents_and_a_tracker_that_is_killed(tmp_path: Path) -> None:
    lines = tmp_path / "lines.txt"
    lines.write_text("".join(f"{number}\n" for number in range(60)))
    trace = tmp_path / "trace"
    with Tracker(tmp_path, "--workers", "0") as tracker:
        agents = [
            tracker.begin("agent", tracker.address, "--workers", 1, "--name", name, "--scratch", tmp_path / name)
            for name in "ab"
        ]
        try:
            options = ("--set", f"trace={trace}", "--set", "seconds=0.1", "--split-size", "8")
            job = tracker.run("jobs.py:Counted", lines, "-o", tmp_path / "out", *options)
            wait_for(lambda: len(lines_of(trace)) > 30)
            tracker.kill()
            tracker.start()
            said = job.communicate(timeout=40)[1]
            assert job.returncode == 0, said
            assert " on 2 workers" in said  # whoever came first when the tracker was there again
            often = Counter(lines_of(trace))
            assert len(often) == 60
            held = 2 * REMOTE_QUEUE_DEPTH * 3  # records of attempts that two workers may hold
            assert sum(often.values()) <= 60 + held  # what was done lies on the agents, and is not done again
            assert tracker.call("run", "wordcount", lines, "-o", tmp_path / "here").returncode == 0
            assert digest_of(tmp_path / "out") == digest_of(tmp_path / "here")
        finally:
            for agent in agents:
                agent.terminate()
            for agent in agents:
                agent.communicate(timeout=20)


def test_two_jobs_share_the_agents_and_one_agent_dies(tmp_path: Path) -> None:
    lines = tmp_path / "lines.txt"
    lines.write_text("".join(f"{number}\n" for number in range(40)))
    with Tracker(tmp_path, "--workers", "0", "--policy", "fair") as tracker:
        agents = {name: tracker.begin("agent", tracker.address, "--workers", 2, "--name", name) for name in "ab"}
        try:
            jobs = []
            for name in ("first", "second"):
                trace = tmp_path / f"{name}.trace"
                options = ("--set", f"trace={trace}", "--set", "seconds=0.25", "--split-size", "8")
                jobs.append(tracker.run("jobs.py:Counted", lines, "-o", tmp_path / name, *options))
                wait_for(lambda trace=trace: lines_of(trace))
            wait_for(lambda: [job["slots"] for job in tracker.jobs()] == [2, 2])
            agents["b"].kill()
            for job in jobs:
                said = job.communicate(timeout=40)[1]
                assert job.returncode == 0, said
            assert digest_of(tmp_path / "first") == digest_of(tmp_path / "second") != {}
        finally:
            for agent in agents.values():
                agent.terminate()
            for agent in agents.values():
                agent.communicate(timeout=20)
