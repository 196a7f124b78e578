"""Does the bench measure, compare and show what it says? And do the light peers give one answer?"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

from bench import answers, runner
from bench.__main__ import FILES, TABLES, questions
from bench.measure import Measurement, measure
from bench.question import OURS, Contestant, Question
from bench.table import Row, header, render

LIGHT = ("_pool", "_duckdb", "_polars", "sort")  # the others take seconds to start


def run_of(seconds: float) -> Measurement:
    return Measurement(0.0, seconds, 300 << 20, 100 << 20, 0, "", "")


def question_of(*contestants: Contestant, name: str = "q") -> Question:
    return Question(name, "Sorting", "records", contestants, answers.digest, answers.same)


def test_measure_sees_time_memory_and_output(tmp_path: Path) -> None:
    code = "import time; held = bytearray(50_000_000); time.sleep(0.3); print('done')"
    run = measure([sys.executable, "-S", "-c", code], cwd=tmp_path, environment={})
    assert run.exit_code == 0
    assert run.output == "done\n"
    assert run.seconds > 0.3
    assert 50_000_000 < run.process_bytes < 100_000_000
    assert run.tree_bytes >= run.process_bytes


def test_measure_ends_what_runs_too_long(tmp_path: Path) -> None:
    code = "import time; time.sleep(30)"
    run = measure([sys.executable, "-S", "-c", code], cwd=tmp_path, environment={}, timeout_seconds=0.2)
    assert run.exit_code == -9
    assert run.seconds < 5


def test_table_shows_paired_ratios_and_misses_in_bold() -> None:
    ours, fast, slow, gone = (
        Contestant(name, (), target) for name, target in [(OURS, None), ("fast", 1.0), ("slow", 2.0), ("gone", 3.0)]
    )
    rows = [
        Row(ours, (1.0, 2.0, 4.0), (run_of(1),) * 3),
        Row(fast, (0.5, 1.0, 2.0), (run_of(1),) * 3),
        Row(slow, (3.0, 7.0, 12.0), (run_of(1),) * 3),
        Row(gone, problem="not installed (gone)"),
    ]
    lines = render(question_of(ours, fast, slow, gone), 200_000_000, rows).splitlines()
    assert "| mapreduce | 2.00 | 3 | 100 | 300 MiB | 100 MiB |  |  | reference |" in lines
    assert "| fast | 1.00 | 3 | 200 | 300 MiB | 100 MiB | **0.50** | ≥ 1 | same |" in lines
    assert "| slow | 7.00 | 3 | 29 | 300 MiB | 100 MiB | 3.00 | ≥ 2 | same |" in lines
    assert "| gone | not installed (gone) |  |  |  |  |  | ≥ 3 |  |" in lines
    assert len({line.count("|") for line in lines if line.startswith("|")}) == 1


def test_header_names_command_and_versions() -> None:
    text = header("python -m bench sort", "2026-01-01")
    assert "`python -m bench sort`" in text
    assert "numpy" in text


def test_answers_are_compared(tmp_path: Path) -> None:
    assert answers.same_counts({b"a": 1}, {b"a": 1}) is None
    assert "b'b' is counted 0 and 2 times" in str(answers.same_counts({b"a": 1}, {b"a": 1, b"b": 2}))
    left, right = np.array([[1.0, 2.0]]), np.array([[1.0, 2.0 + 1e-12]])
    assert answers.close(left, right) is answers.close_means(left, right) is None
    assert "1.0e-06" in str(answers.close_means(left, left * [1, 1 + 1e-6]))
    assert answers.close(left, left * (1 + 1e-6)) is not None
    assert answers.close_means(left, np.array([[2.0, 2.0]])) is not None
    folder = tmp_path / "parts"
    folder.mkdir()
    (folder / "part-1").write_text("b\t2\n")
    (folder / "part-0").write_text("a\t1\n")
    (folder / "_SUCCESS").write_text("")
    assert answers.counts(folder, run_of(1)) == {b"a": 1, b"b": 2}
    with pytest.raises(ValueError, match="twice"):
        (folder / "part-2").write_text("b\t2\n")
        answers.counts(folder, run_of(1))


def test_a_wrong_answer_and_a_failure_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAPREDUCE_BENCH_DATA", str(tmp_path))
    copy = Contestant(OURS, ("cp", "{input}", "{output}"))
    other = Contestant("other", ("touch", "{output}"))
    crash = Contestant("crash", ("false",))
    absent = Contestant("absent", (), modules=("no_such_module",))
    table = runner.ask(question_of(copy, other, crash, absent), size=1000, rounds=1)
    assert "| other | WRONG ANSWER: " in table
    assert "| crash | failed (1): no message |" in table
    assert "| absent | not installed (no_such_module) |" in table
    assert list(tmp_path.glob("bench-*")) == []


@pytest.mark.parametrize("file", FILES)
def test_light_peers_agree(file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAPREDUCE_BENCH_DATA", str(tmp_path))
    for question in questions([file]):
        assert question.contestants[0].name == OURS
        path = runner.input_file(question.data, 50_000)
        found = []
        for contestant in question.contestants[1:]:
            if contestant.missing() or not any(word.endswith(LIGHT) for word in contestant.command):
                continue
            run = runner.run_once(contestant, path, tmp_path / "output")
            assert run.exit_code == 0, run.errors
            found.append(question.answer(tmp_path / "output", run))
        assert all(question.difference(found[0], other) is None for other in found[1:])


def test_every_peer_script_belongs_to_a_question() -> None:
    folder = Path(runner.ROOT, "bench", "peers")
    used = {word for question in questions(list(FILES)) for c in question.contestants for word in c.command}
    scripts = {f"bench.peers.{path.stem}" for path in folder.glob("*.py") if path.stem != "__init__"}
    tables = "".join(Path(runner.ROOT, "bench", f"{name}.py").read_text() for name in TABLES)
    assert {script for script in scripts if f'"{script}"' not in tables} <= used
    assert all(importlib.util.find_spec(script) for script in scripts)
