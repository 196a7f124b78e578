"""What is said and left when a job ends before it is complete, by an interrupt or an error of any kind, and what of
standard input."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import mapreduce as mr
from mapreduce.storage.job_folder import left_behind
from tests.conftest import CliResult
from tests.faults.killed_runs import finished_tasks


class Stops(mr.Job):
    """Raises at the line 'now', as long as there is no file that allows it to go on."""

    reduce = mr.Sum()

    def __init__(self, allowed: str, error: type[BaseException]) -> None:
        self.allowed = allowed
        self.error = error

    def map(self, line: Any) -> Iterator[tuple[str, int]]:
        text = line if isinstance(line, str) else line[0]
        if text == "now" and not Path(self.allowed).exists():
            raise self.error("stop")
        yield text, 1


class Passes(mr.Job):
    """Of a chain: the first job."""

    reduce = mr.Sum()

    def map(self, line: str) -> Iterator[tuple[str, int]]:
        yield line, 1


class StopsLater(mr.Chain):
    """Its second job stops."""

    def __init__(self, allowed: str, error: type[BaseException]) -> None:
        self.allowed = allowed
        self.error = error

    def jobs(self) -> list[Any]:
        return [Passes(), Stops(self.allowed, self.error)]


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "in.txt"
    path.write_text("a\nb\n" * 20 + "now\n")
    return path


@pytest.mark.parametrize("make", [Stops, StopsLater])
@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_what_is_left_is_named_and_gone_on_with(make: Any, error: Any, text: Path, tmp_path: Path) -> None:
    out, allowed = tmp_path / "out", tmp_path / "allowed"

    def run() -> mr.Result:
        job = make(str(allowed), error)
        return mr.run(job, mr.read_text(text), output=out, engine="inline", split_size=30, max_attempts=1)

    with pytest.raises((KeyboardInterrupt, mr.JobError)) as caught:
        run()
    assert caught.value.__notes__ == [left_behind(out)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.txt", "out"]
    allowed.touch()
    result = run()
    assert dict(result.records()) == {"a": "20" if make is Stops else "1", "b": result_of("b", result), "now": "1"}
    assert not (out / "_job").exists()


def result_of(key: str, result: mr.Result) -> str:
    return str(dict(result.records())[key])


def test_a_chain_says_how_far_it_is(text: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    out, allowed = tmp_path / "out", tmp_path / "allowed"

    def run(**settings: Any) -> mr.Result:
        job = StopsLater(str(allowed), ValueError)
        return mr.run(job, mr.read_text(text), output=out, engine="inline", max_attempts=1, **settings)

    with pytest.raises(mr.JobError):
        run()
    with pytest.raises(mr.JobError):
        run()
    (said,) = caplog.messages
    assert said.startswith("resuming: 1 of 2 jobs was finished by the run that ended at 20")
    caplog.clear()
    allowed.touch()
    assert run(reducers=2).notes == []
    assert caplog.messages == [f"an earlier run to {out} did not finish; starting afresh: reducers: 0 -> 2"]


def test_nothing_finished_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("now\n")
    with pytest.raises(mr.JobError) as caught:
        mr.run(
            Stops("/nowhere", ValueError), mr.read_text(tmp_path / "in.txt"), output=tmp_path / "out",
            engine="inline", max_attempts=1,
        )  # fmt: skip
    assert not hasattr(caught.value, "__notes__")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["_events.jsonl"]


def test_standard_input_is_known_by_its_content(tmp_path: Path, run_cli: Callable[..., CliResult]) -> None:
    (tmp_path / "job.py").write_text(
        "import os\nimport mapreduce as mr\n"
        "class Dies(mr.Job):\n"
        "    reduce = mr.Sum()\n"
        "    def map(self, line):\n"
        "        if line == 'now' and not os.path.exists('allowed'):\n"
        f"            os.kill(os.getpid(), {int(signal.SIGKILL)})\n"
        "        yield line, 1\n"
    )
    command = ["run", "job.py:Dies", "-", "-o", "out", "--inline", "--split-size", "30"]
    lines = "a\nb\n" * 20 + "now\n"
    first = run_cli(*command, input=lines)
    assert first.rc == -signal.SIGKILL
    assert len(finished_tasks(tmp_path / "out")) == 2
    (tmp_path / "allowed").touch()
    again = run_cli(*command, input=lines)
    assert (again.rc, again.err.splitlines()[0][:38]) == (0, "resuming: 2 of 4 tasks were finished b")
    assert run_cli(*command, input=lines).err == "already complete: out (--fresh runs it again)\n"
    assert "input has changed" in run_cli(*command, input=lines.replace("b", "c")).err


def test_a_job_from_a_pipe(tmp_path: Path) -> None:
    """Whose code has no file; a lambda of it has another address in each process."""
    code = (
        "import os, sys\nimport mapreduce as mr\n"
        "weigh = {weigh}\n"
        "class Dies(mr.Job):\n"
        "    reduce = mr.Sum()\n"
        "    def map(self, line):\n"
        "        if line == 'now' and not os.path.exists('allowed'):\n"
        f"            os.kill(os.getpid(), {int(signal.SIGKILL)})\n"
        "        yield line, sum(weigh(x) for x in [line])\n"
        "result = mr.run(Dies(), mr.read_text('in.txt'), output='out', engine='inline', split_size=30)\n"
        "print(result.outcome.past_tasks)\n"
    )
    (tmp_path / "in.txt").write_text("a\nb\n" * 20 + "now\n")

    def run(weigh: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-"], input=code.replace("{weigh}", weigh), cwd=tmp_path, capture_output=True, text=True,
            check=False, env={"PYTHONPATH": str(Path(mr.__file__).parents[1]), "PATH": ""}, timeout=50,
        )  # fmt: skip

    assert run("lambda x: 1").returncode == -signal.SIGKILL
    assert run("lambda x: 1").returncode == -signal.SIGKILL
    (tmp_path / "allowed").touch()
    done = run("lambda x: 1")
    assert done.stdout == "2\n", done.stderr


def test_a_changed_job_from_a_pipe_starts_afresh(tmp_path: Path) -> None:
    from mapreduce.dataflow.job_source import digest_of

    namespaces: list[dict[str, Any]] = [{"__name__": "__main__"}, {"__name__": "__main__"}]
    for step, namespace in enumerate(namespaces):
        exec(f"weigh = lambda x: x + {step}\ndef use(x):\n    return weigh(x)\n", namespace)
    assert digest_of(namespaces[0]["weigh"]) != digest_of(namespaces[1]["weigh"])
