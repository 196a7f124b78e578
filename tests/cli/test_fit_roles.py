"""What columns are for, said on the command line: weights, and targets of text."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import CliResult

Cli = Callable[..., CliResult]

ESTIMATOR = '''
import mapreduce as mr

class Total(mr.Fold):
    def map(self, block):
        return {label: float(w) for label, w in zip(block.labels, block.weights)}
    def reduce(self, a, b):
        return {label: a.get(label, 0) + b.get(label, 0) for label in {**a, **b}}

class Shares:
    """The weight of each class."""
    kind = "classifier"
    takes_weights = True
    def fit(self, dataset, engine):
        self.total = engine.run(Total(), dataset).value
    def figures(self):
        return {"total": self.total}
'''


@pytest.fixture(autouse=True)
def files(tmp_path: Path) -> None:
    (tmp_path / "shares.py").write_text(ESTIMATOR)
    (tmp_path / "t.csv").write_text("x,species,w\n1,setosa,0.5\n2,virginica,1\n3,größe,2.5\n")
    (tmp_path / "t.libsvm").write_text("1 1:2\n")


def test_a_classifier_reads_text_and_weights(run_cli: Cli) -> None:
    columns = ("--target", "species", "--weights", "w")
    told = run_cli("fit", "shares.py:Shares", "t.csv", *columns, "--json", "--inline")
    assert told.rc == 0, told.err
    assert json.loads(told.out)["total"] == {"setosa": 0.5, "virginica": 1.0, "größe": 2.5}


def test_who_takes_no_weights_says_so(run_cli: Cli) -> None:
    told = run_cli("fit", "kmeans", "t.csv", "--weights", "w", "--inline")
    assert told.rc == 2
    assert "kmeans takes no weights; leave out --weights" in told.err


def test_a_format_without_columns_has_no_weights(run_cli: Cli) -> None:
    told = run_cli("fit", "shares.py:Shares", "t.libsvm", "--target", "y", "--weights", "w", "--inline")
    assert told.rc == 2
    assert "libsvm files name no" in told.err
