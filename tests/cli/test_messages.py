"""Does every mistake on the command line get one clear message and the right exit code?

In this process and with the inline engine: what is tested is what a person reads, not the engine.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import mapreduce
from mapreduce.cli.main import main
from mapreduce.cli.messages import user_traceback
from tests.conftest import CliResult

JOBS = '''
import mapreduce as mr

class Lengths(mr.Job):
    "How many lines have each length."
    reduce = mr.Sum()
    def __init__(self, step: int = 1, unit: str = "letters") -> None:
        self.step = step
    def map(self, line):
        yield len(line) // self.step * self.step, 1

class Numbers(mr.Job):
    reduce = mr.Sum()
    def map(self, line):
        yield helper(line), 1

def helper(line):
    return int(line)

class NoMap(mr.Job):
    reduce = mr.Sum()

class Total(mr.Fold):
    "Count and longest."
    def map(self, block):
        return sum(1 for _ in block.records())
    def reduce(self, a, b):
        return a + b
    def zero(self):
        return 0
    def finish(self, n):
        return {"lines": n, "nested": {"half": n / 2}}

class Longer(mr.Job):
    """Long lines.

    limit: only lines with more letters
    """
    def __init__(self, limit: int) -> None:
        self.limit = limit
    def map(self, line):
        if len(line) > self.limit:
            yield line, None

class Prints(mr.Job):
    reduce = None
    def map(self, line):
        print("hello from map")
        yield line, None
'''

Command = Callable[..., CliResult]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> Command:
    """Runs a command in this process, in a folder with jobs.py, words.txt and numbers.txt."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("COLUMNS", "100")
    (tmp_path / "jobs.py").write_text(JOBS)
    (tmp_path / "words.txt").write_text("a bb a\nccc\n")
    (tmp_path / "numbers.txt").write_text("1\n2\nthree\n")
    (tmp_path / "table.csv").write_text("x,y\n1,2\n2,4\n3,7\n")

    def run(*arguments: str) -> CliResult:
        code = main(arguments)
        out, err = capfdbinary.readouterr()
        return CliResult(code, out.decode(), err.decode())

    return run


LISTED = "(`mapreduce jobs` lists all; your own is package.module:Class or path/file.py:Class)"
HELP = "\ntry: mapreduce run -h"

MISTAKES = {
    "runn wordcount words.txt": "no command 'runn'; did you mean 'run'?\ntry: mapreduce -h",
    "run": "JOB is missing" + HELP,
    "run wordcount": "INPUT... is missing" + HELP,
    "run wordcount words.txt --memroy 1G": "no option --memroy; did you mean --memory or --key?" + HELP,
    "run wordcount words.txt --workers 0": (
        "Invalid value for '--workers': '0' is not a whole number from 1 on" + HELP
    ),
    "run wordcount words.txt --split-size 5X": (
        "Invalid value for '--split-size': '5X' is not a size; write a number with a unit, such as 64MB, 512MiB or 2G"
        + HELP
    ),
    "run wordcuont words.txt": (
        "unknown job 'wordcuont'; did you mean 'wordcount' or 'wordcount_columns'? " + LISTED
    ),
    "run job.py:Lengths words.txt": "no file job.py; did you mean 'jobs.py'?",
    "run jobs.py:Lenghts words.txt": "jobs.py has no 'Lenghts'; did you mean 'Lengths'?",
    "run jobs.py words.txt": (
        "jobs.py defines Lengths, Longer, NoMap, Numbers, Prints, Total; say which: jobs.py:Lengths"
    ),
    "run jobs.py:NoMap words.txt": "NoMap lacks map; a Job defines map(self, record) or map_block(self, block)",
    "run jobs.py:Lengths words.txt --set stpe=2": (
        "--set stpe=2: jobs.py:Lengths has no option 'stpe'; did you mean 'step'?"
    ),
    "run jobs.py:Lengths words.txt --set step=two": "--set step=two: 'two' is not a whole number",
    "run jobs.py:Longer words.txt": (
        "jobs.py:Longer needs limit (only lines with more letters); add --set limit=INT"
    ),
    "run wordcount nothing.txt": (
        "nothing.txt: no such file; folder '.' holds 'jobs.py', 'numbers.txt', 'table.csv', 'words.txt'"
    ),
    "run wordcount words.txt --format jsonn": "no format 'jsonn'; did you mean 'jsonl'?",
    "run jobs.py:Lengths table.csv --format csv --read delimeter=;": (
        "--read delimeter=;: format csv has no option 'delimeter'; did you mean 'delimiter'?"
    ),
    "run wordcount words.txt --output-format parquet": "Parquet can't be printed; name a folder for it with -o DIR",
    "run wordcount words.txt --output-format xml": (
        "Invalid value for '--output-format': 'xml' is not one of 'tsv', 'csv', 'jsonl', 'parquet', 'text', 'raw'."
        + HELP
    ),
    "fit linear_regresion table.csv --target y": (
        "unknown algorithm 'linear_regresion'; did you mean 'linear_regression' or 'logistic_regression' "
        "or 'stepwise_regression'? " + LISTED
    ),
    "fit linear_regression table.csv": (
        "linear_regression needs a target; name the column to predict with --target COLUMN"
    ),
    "fit linear_regression table.csv --target z --inline": "no column 'z' to serve as target; known: x, y",
    "fit linear_regression words.txt --target y": (
        "the name of words.txt does not say what columns it has; name the format, such as --format csv"
    ),
    "fit linear_regression words.txt --target y --format text": (
        "text files name no target; leave out --target, or choose another --format"
    ),
    "fit linear_regression - --target y": (
        "standard input has no suffix; name its format, such as --format csv"
    ),
    "predict nomodel table.csv": (
        "nomodel is no model: it has no model.json; `mapreduce fit ... -o nomodel` makes one"
    ),
    "show kmean": (
        "no job or algorithm 'kmean'; did you mean 'kmeans' or 'mean_by_key'? (`mapreduce jobs` lists all)"
    ),
    "stream --mapper cat --reducer NONE --combiner cat words.txt": (
        "a combiner without a reducer has nothing to do; leave out --combiner or --reducer NONE"
    ),
}  # fmt: skip


@pytest.mark.parametrize("line", MISTAKES)
def test_wrong_usage(command: Command, line: str) -> None:
    result = command(*line.split(" "))
    assert result.err == f"error: {MISTAKES[line]}\n"
    assert result.out == ""
    assert result.rc == 2


def test_an_output_that_exists(command: Command, tmp_path: Path) -> None:
    first = command("run", "wordcount", "words.txt", "-o", "counts", "--inline")
    assert first.rc == 0
    assert first.err.startswith("wrote counts\nsucceeded in ")
    again = command("run", "wordcount", "words.txt", "-o", "counts", "--inline")
    assert (again.rc, again.out, again.err) == (0, "", "already complete: counts (--fresh runs it again)\n")
    other = command("run", "wordcount", "numbers.txt", "-o", "counts", "--inline")
    assert other.rc == 2
    assert other.err.startswith("error: the output counts exists, ")
    assert "--fresh" in other.err
    fresh = command("run", "wordcount", "numbers.txt", "-o", "counts", "--inline", "--fresh", "-q")
    assert (fresh.rc, fresh.out, fresh.err) == (0, "", "")
    assert (tmp_path / "counts/part-00000.tsv").read_text() == "1\t1\n2\t1\nthree\t1\n"


def test_the_jobs_own_error_comes_with_its_traceback_record_and_place(command: Command) -> None:
    result = command("run", "jobs.py:Numbers", "numbers.txt", "--inline", "-q")
    assert result.rc == 1
    assert result.out == ""
    lines = result.err.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[1].endswith('jobs.py", line 15, in map')
    assert "    return int(line)" in lines
    assert not any("mapreduce/" in line for line in lines)
    assert "ValueError: invalid literal for int() with base 10: 'three'" in lines
    assert any(line.startswith("error: map ") for line in lines)
    assert "numbers.txt, byte 4" in result.err
    assert "'three'" in lines[-1]


def test_very_verbose_shows_our_traceback(command: Command) -> None:
    result = command("run", "wordcount", "nothing.txt", "-vv")
    assert result.rc == 2
    assert "Traceback" in result.err
    command("run", "wordcount", "words.txt", "--inline", "-q")  # verbosity is of one command only
    assert "Traceback" not in command("run", "wordcount", "nothing.txt").err


def test_an_interrupt_and_a_fault_of_ours(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def raising(error: BaseException) -> Callable[..., None]:
        def run(*_: object) -> None:
            raise error

        return run

    for error, code, last in [
        (KeyboardInterrupt(), 130, "error: interrupted"),
        (SystemExit(143), 143, "error: terminated"),
        (
            RuntimeError("odd"),
            1,
            "error: RuntimeError: odd (this is a fault in mapreduce itself; please report it)",
        ),
    ]:
        monkeypatch.setattr("mapreduce.cli.results.run_and_tell", raising(error))
        result = command("run", "wordcount", "words.txt")
        assert result.rc == code
        assert result.err.splitlines()[-1] == last
        assert ("Traceback" in result.err) == isinstance(error, RuntimeError)


def test_a_fault_of_ours_in_a_task(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: object) -> None:
        raise LookupError("odd")

    monkeypatch.setattr("mapreduce.formats.text.TextBlock.records", _of_ours(fail))
    result = command("run", "wordcount", "words.txt", "--inline", "-q")
    assert result.rc == 1
    assert "in records" in result.err
    assert result.err.splitlines()[-1] == (
        "error: map 0 failed: LookupError: odd (this is a fault in mapreduce itself; please report it)"
    )


def _of_ours(function: Callable[..., object]) -> Callable[..., object]:
    """The function as if it stood in this package."""
    from types import FunctionType

    from mapreduce.formats import text

    code = function.__code__.replace(co_filename=text.__file__, co_name="records")
    return FunctionType(code, {"LookupError": LookupError})


def test_leaving_the_debugger_is_quiet(command: Command, tmp_path: Path) -> None:
    with open(tmp_path / "jobs.py", "a") as file:
        file.write("import bdb\nclass Stops(mr.Job):\n    def map(self, line):\n        raise bdb.BdbQuit\n")
    result = command("run", "jobs.py:Stops", "words.txt", "--inline")
    assert (result.rc, result.out, result.err) == (130, "", "")


def test_results_go_to_stdout(command: Command) -> None:
    result = command("run", "wordcount", "words.txt", "--inline")
    assert (result.rc, result.out) == (0, "a\t2\nbb\t1\nccc\t1\n")
    assert result.err.startswith("succeeded in ")
    result = command(
        "run", "jobs.py:Lengths", "words.txt", "--set", "step=2", "--inline", "-q", "--output-format", "jsonl"
    )
    assert (result.out, result.err) == ('{"key": 2, "value": 1}\n{"key": 6, "value": 1}\n', "")


def test_what_a_job_prints_is_no_result(command: Command, tmp_path: Path) -> None:
    with open(tmp_path / "jobs.py", "a") as file:
        file.write("print('loading')\n")
    result = command("run", "jobs.py:Prints", "words.txt", "--inline", "-q")
    assert result.out == "a bb a\t\nccc\t\n"
    assert sorted(result.err.splitlines()) == ["hello from map", "hello from map", "loading"]


def test_bad_input_is_told_once(command: Command, tmp_path: Path) -> None:
    (tmp_path / "ragged.csv").write_text("a,b\n1,2\n3\n")
    result = command("run", "mean_by_key", "ragged.csv", "--set", "key=a", "--set", "value=b", "--inline")
    assert (result.rc, result.out) == (2, "")
    assert result.err.startswith("error: ragged.csv, line 3: ")
    assert len(result.err.splitlines()) == 1


def test_a_disk_that_does_not_obey(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device", "/out/part")

    monkeypatch.setattr("mapreduce.cli.results.run_and_tell", fail)
    result = command("run", "wordcount", "words.txt")
    assert (result.rc, result.err) == (2, "error: No space left on device: /out/part\n")


def test_csv_on_stdout_has_one_header(command: Command) -> None:
    result = command("run", "wordcount", "words.txt", "--inline", "-q", "--output-format", "csv", "--reducers", "3")
    header, *rows = result.out.splitlines()
    assert header == "key,value"
    assert sorted(rows) == ["a,2", "bb,1", "ccc,1"]


def test_value_of_a_fold(command: Command) -> None:
    result = command("run", "jobs.py:Total", "words.txt", "--inline", "-q")
    assert (result.rc, result.out, result.err) == (0, "lines\t2\nnested.half\t1.0\n", "")


def test_value_of_a_fold_with_an_output_is_printed_too(command: Command) -> None:
    for _ in range(2):
        result = command("run", "jobs.py:Total", "words.txt", "--inline", "-q", "-o", "total")
        assert (result.rc, result.out, result.err) == (0, "lines\t2\nnested.half\t1.0\n", "")


def test_nothing_asked_is_help(command: Command) -> None:
    result = command()
    assert result.rc == 2
    assert "Commands:" in result.out


def test_json_summary(command: Command) -> None:
    import json

    result = command("run", "jobs.py:Total", "words.txt", "--inline", "--json")
    assert result.out == ""
    page = json.loads(result.err)
    assert page["value"] == {"lines": 2, "nested": {"half": 1.0}}
    assert page["records_in"] == 2
    result = command("run", "wordcount", "words.txt", "--inline", "--json", "-o", "counts")
    assert json.loads(result.out)["output"] == "counts"
    assert result.err == ""


def test_a_model_is_fitted_applied_and_judged(command: Command, tmp_path: Path) -> None:
    fitted = command("fit", "linear_regression", "table.csv", "--target", "y", "-o", "model", "--inline")
    assert fitted.rc == 0
    coefficients = {line.split()[0]: line.split()[1] for line in fitted.out.splitlines()[1:3]}
    assert coefficients == {"x": "2.50000", "intercept": "-0.666667"}
    assert fitted.err.startswith("wrote model\nsucceeded in ")
    again = command("fit", "linear_regression", "table.csv", "--target", "y", "-o", "model", "--inline")
    assert again.err == "error: the output model exists; use --fresh to replace it, or choose another folder\n"
    (tmp_path / "new.csv").write_text("other,x\n9,4\n9,0\n")
    predicted = command("predict", "model", "new.csv", "--inline", "-q")
    assert [round(float(line), 6) for line in predicted.out.split()] == [9.333333, -0.666667]
    judged = command("evaluate", "model", "table.csv", "--inline", "-q")
    assert dict(line.split("\t") for line in judged.out.splitlines())["n"] == "3"


def test_jobs_are_listed_with_a_line_each(command: Command) -> None:
    lines = command("jobs").out.splitlines()
    assert lines[0] == "Jobs, for `mapreduce run`:"
    wordcount = next(line for line in lines if line.startswith("  wordcount "))
    assert "How often each word occurs" in wordcount
    assert not any("(missing)" in line for line in lines)
    assert any(line.startswith("  linear_regression ") for line in lines)


def test_show_prints_documentation_options_and_source(command: Command) -> None:
    text = command("show", "jobs.py:Lengths").out
    assert text.startswith("jobs.py:Lengths\n\nHow many lines have each length.\n\n")
    assert "How many lines have each length." in text
    assert "Options (--set NAME=VALUE):\n  step: int = 1\n  unit: text = 'letters'\n" in text
    assert "class Lengths(mr.Job):" in text
    assert "It takes no options." in command("show", "wordcount").out
    text = command("show", "kmeans").out
    assert text.startswith("kmeans: algorithms.kmeans.KMeans\n")
    assert "n_clusters: int = 8" in text
    once = text.partition("\nSource:\n")
    assert once[0].count("most iterations") == 1
    assert text.count("k-means: centres c_1 .. c_k") == 1


def test_help(command: Command) -> None:
    assert command("-h").out == command("--help").out
    assert "mapreduce run wordcount books/*.txt -o counts/" in command("run", "-h").out
    assert command("--version").out == f"mapreduce {mapreduce.__version__}\n"
    assert command("run", "-h").rc == 0
    assert "--set n_clusters=8" in command("fit", "-h").out


def test_frames_of_ours_are_left_out() -> None:
    from mapreduce.cli import messages

    ours = f'  File "{messages.PACKAGE}/dataflow/map_task.py", line 1, in run\n    x()\n'
    theirs = '  File "job.py", line 2, in map\n    int(line)\n'
    head, tail = "Traceback (most recent call last):\n", "ValueError: no\n"
    assert user_traceback(head + ours + theirs + ours + tail) == (head + theirs + ours + tail).rstrip("\n")
    assert user_traceback(head + ours + tail) == ""
    assert user_traceback("ValueError: no\n") == "ValueError: no"
