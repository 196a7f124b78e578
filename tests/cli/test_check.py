"""Does `mapreduce check` find what breaks the laws, and show few rows?"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mapreduce.cli.main import main

JOBS = """
import mapreduce as mr

class Total(mr.Fold):
    input_format = "csv"

    def map(self, block):
        return float(block.X.sum())

    def reduce(self, a, b):
        return a + b

class Last(mr.Job):
    input_format = "csv"

    def map(self, row):
        yield "x", row["x"]

    def reduce(self, key, values):
        return list(values)[-1]
"""

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def check(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """What is said of each law, by name."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "jobs_checked.py").write_text(JOBS)
    (tmp_path / "rows.csv").write_text("x\n" + "".join(f"{number / 7}\n" for number in range(200)))
    (tmp_path / "rows.txt").write_text("a b a\nc\nb b\n" * 20)

    def run(job: str, name: str, code: int) -> dict[str, Any]:
        assert main(["check", job, str(tmp_path / name), "--json"]) == code
        return {law["law"]: law for law in json.loads(capsys.readouterr().out)["laws"]}

    return run


def test_word_count_keeps_all(check: Run) -> None:
    laws = check("wordcount", "rows.txt", 0)
    assert set(laws) == {"split", "associative", "commutative", "permute", "zero"}
    assert all(law["holds"] and law["trials"] for law in laws.values())


def test_float_sums_are_not_associative(check: Run) -> None:
    laws = check("jobs_checked.py:Total", "rows.csv", 1)
    assert laws["commutative"]["holds"]
    assert not laws["associative"]["holds"]
    assert len(laws["associative"]["rows"]) == 3
    assert laws["associative"]["left"] != laws["associative"]["right"]


def test_the_last_value_depends_on_the_order(check: Run) -> None:
    laws = check("jobs_checked.py:Last", "rows.csv", 1)
    assert laws["split"]["holds"]
    assert [len(laws[name]["rows"]) for name in ("commutative", "permute")] == [2, 2]


def test_people_read_a_line_a_law(check: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "jobs_checked.py:Last", "rows.csv"]) == 1
    told = capsys.readouterr().out.splitlines()
    assert told[0].split("\t")[:2] == ["split", "holds"]
    assert any(line.strip().startswith("row    {'x'") for line in told)


def test_what_cannot_be_checked(check: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["check", "top_k", "rows.txt"]) == 2
    assert "is a chain; check its jobs one by one" in capsys.readouterr().err
    (tmp_path / "empty.txt").write_text("")
    assert main(["check", "wordcount", "empty.txt"]) == 2
    assert "no rows to try the laws on" in capsys.readouterr().err


TABLE = "city,w,x,y\n" + "".join(
    f"{'ab'[row % 2]},{row % 4}.25,{row * 7 % 10}.{row % 9},{row % 5}.5\n" for row in range(60)
)


@pytest.mark.parametrize(
    ("algorithm", "options"),
    [
        ("linear_regression", ["--target", "y"]),
        ("ridge_cv", ["--target", "y", "--set", "folds=3"]),
        ("linear_regression", ["--target", "y", "--features", "x", "--weights", "w"]),
        ("gaussian_naive_bayes", ["--target", "city"]),
        ("categorical_naive_bayes", ["--target", "city"]),
        ("anova", ["--target", "y", "--features", "city"]),
        ("pca", []),
    ],
)
def test_the_sums_of_an_algorithm_keep_all_laws(
    algorithm: str, options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "table.csv").write_text(TABLE)
    assert main(["check", algorithm, str(tmp_path / "table.csv"), "--json", *options]) == 0
    laws = json.loads(capsys.readouterr().out)["laws"]
    assert {law["law"] for law in laws} == {"split", "associative", "commutative", "permute", "subtract"}
    assert all(law["holds"] and law["trials"] for law in laws)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["kmeans"], "does not learn from sums of one pass"),
        (["ridge"], "ridge needs a target; name the column to predict with --target COLUMN"),
        (["ridge", "--target", "y", "--set", "alpha=-1"], "alpha is -1"),
        (["summary", "--target", "y"], "summary is a job, which says by itself what it reads; leave out --target"),
        (["regression"], "unknown job 'regression'"),
    ],
)
def test_what_is_no_sum_is_refused(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "table.csv").write_text(TABLE)
    name, *options = arguments
    assert main(["check", name, str(tmp_path / "table.csv"), *options]) == 2
    assert message in capsys.readouterr().err


def test_float_sums_of_an_algorithm_break_laws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "table.csv").write_text(TABLE)
    options = ["--target", "y", "--set", "sums=float", "--json"]
    assert main(["check", "linear_regression", str(tmp_path / "table.csv"), *options]) == 1
    assert not all(law["holds"] for law in json.loads(capsys.readouterr().out)["laws"])
