"""Is the right class found for each way of naming a job, and is every wrong name answered with the remedy?"""

from __future__ import annotations

import pickle
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

from mapreduce.cli.load_job import Found, load_algorithm, load_job, make_job
from mapreduce.errors import JobError, UsageError
from mapreduce.job import Job

ONE = """
from mapreduce.job import Job

class Lines(Job):
    "Each line."
    def __init__(self, width: int = 3) -> None:
        self.width = width
    def map(self, line):
        yield line, self.width
"""

TWO = ONE + "\nclass Words(Lines):\n    pass\n\nclass NotAJob:\n    pass\n"


@pytest.fixture(autouse=True)
def clean_modules(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = set(sys.modules)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    for name in set(sys.modules) - before:
        if name.startswith(("mapreduce_job_", "own_jobs")):
            del sys.modules[name]


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = types.ModuleType("algorithms")
    vars(fake)["JOBS"] = {"wordcount": "fake_jobs:Lines", "tf_idf": "fake_jobs:Lines", "grep": "fake_jobs:Lines"}
    vars(fake)["ESTIMATORS"] = {"linear_regression": "fake_jobs:Fit"}
    monkeypatch.setitem(sys.modules, "algorithms", fake)
    jobs = types.ModuleType("fake_jobs")
    exec(ONE + "\nclass Fit:\n    def fit(self, dataset): ...\n", vars(jobs))
    monkeypatch.setitem(sys.modules, "fake_jobs", jobs)


def write(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_text(text)
    return str(path)


def test_builtin_by_name(registry: None) -> None:
    assert load_job("wordcount").cls.__name__ == "Lines"
    assert load_job("tf-idf").cls.__name__ == "Lines"
    assert load_algorithm("linear_regression").cls.__name__ == "Fit"


def test_file_with_one_job_and_with_named_class(tmp_path: Path) -> None:
    path = write(tmp_path, "lines.py", ONE)
    found = load_job(path)
    assert found.cls.__name__ == "Lines"
    assert load_job(f"{path}:Lines").cls is found.cls  # executed once
    assert sys.modules[found.cls.__module__].__dict__["Lines"] is found.cls
    assert pickle.loads(pickle.dumps(found.cls(5))).width == 5


def test_file_imports_its_neighbours(tmp_path: Path) -> None:
    write(tmp_path, "own_jobs_helper.py", "WIDTH = 7\n")
    path = write(tmp_path, "uses.py", "from own_jobs_helper import WIDTH\n" + ONE)
    assert load_job(path).cls.__name__ == "Lines"


def test_module_of_the_current_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "own_jobs.py", TWO)
    monkeypatch.chdir(tmp_path)
    assert load_job("own_jobs:Words").cls.__name__ == "Words"


def refusal(name: str) -> str:
    with pytest.raises(UsageError) as caught:
        load_job(name)
    return str(caught.value)


def test_unknown_names(registry: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert refusal("wordcuont") == (
        "unknown job 'wordcuont'; did you mean 'wordcount'? (`mapreduce jobs` lists all; "
        "your own is package.module:Class or path/file.py:Class)"
    )
    write(tmp_path, "mine.py", ONE)
    assert refusal("mine") == "unknown job 'mine'; for the file write mine.py or mine.py:Class"
    assert refusal("mien.py") == "no file mien.py; did you mean 'mine.py'?"
    assert refusal("own_jobs_nowhere:A") == (
        "'own_jobs_nowhere:A': No module named 'own_jobs_nowhere'; is the name right, and the package installed here?"
    )
    assert refusal("a b:C") == "'a b:C' is no job; write package.module:Class or path/file.py:Class"


def test_unknown_algorithm(registry: None) -> None:
    with pytest.raises(UsageError, match="unknown algorithm 'linear_regresion'; did you mean 'linear_regression'"):
        load_algorithm("linear_regresion")


def test_wrong_class(tmp_path: Path) -> None:
    path = write(tmp_path, "two.py", TWO)
    assert refusal(path) == f"{path} defines Lines, Words; say which: {path}:Lines"
    assert refusal(f"{path}:Wrods") == f"{path} has no 'Wrods'; did you mean 'Words'?"
    assert refusal(f"{path}:NotAJob") == (
        f"{path}:NotAJob is not a job; a job is a class derived from mapreduce.Job or mapreduce.Fold"
    )
    empty = write(tmp_path, "empty.py", "")
    with pytest.raises(UsageError, match=r"a class with fit\(dataset, engine=...\), figures\(\), metrics\(\) and save"):
        load_algorithm(empty)
    assert refusal(empty) == (f"{empty} defines no job; a job is a class derived from mapreduce.Job or mapreduce.Fold")


def test_files_that_do_not_load(tmp_path: Path) -> None:
    broken = write(tmp_path, "broken.py", "x = 1\nclass A(\n")
    assert refusal(broken).startswith(f"{broken}, line 2: ")
    lacking = write(tmp_path, "lacking.py", "import own_jobs_missing\n")
    assert refusal(lacking) == f"{lacking}: No module named 'own_jobs_missing'"
    raising = write(tmp_path, "raising.py", "def f():\n    return 1 / 0\nf()\n")
    with pytest.raises(JobError) as caught:
        load_job(raising)
    assert str(caught.value) == f"{raising} raised while it was loaded: ZeroDivisionError: division by zero"
    assert "return 1 / 0" in caught.value.__notes__[0]


def test_make_job() -> None:
    class Empty(Job):
        pass

    class Picky(Job):
        def __init__(self, k: int) -> None:
            raise ValueError(f"k is {k}; it must be at least 1")

    with pytest.raises(UsageError) as caught:
        make_job(Found("empty", Empty), {})
    assert str(caught.value) == "Empty lacks map; a Job defines map(self, record) or map_block(self, block)"
    with pytest.raises(UsageError) as caught:
        make_job(Found("picky", Picky), {"k": 0})
    assert str(caught.value) == "picky refuses its settings: k is 0; it must be at least 1"
