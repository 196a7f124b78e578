"""An unfinished output is gone on with only if what it is made from is the same; else the job starts afresh, and says
why. Damage to what was kept costs what was damaged, and nothing else."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import mapreduce as mr
from mapreduce.dataflow import origin
from mapreduce.dataflow.job_source import digest_of, sources_of
from mapreduce.storage.paths import MADE, JobPaths
from tests.faults.killed_runs import When, finished_tasks, hash_of, killed_at_record

JOB = """
import mapreduce as mr
from {helper} import weight

class Words(mr.Job):
    reduce = mr.Sum()

    def __init__(self, step=1, stop=()):
        self.step = step
        self.stop = stop

    def map(self, line):
        for word in line.split():
            if word not in self.stop:
                yield word, weight(word) * self.step
"""


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "in.txt"
    path.write_text("a b c d\n" * 30)
    return path


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Makes the job of a file that may be changed, and which imports another."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "helper_of_words.py").write_text("def weight(word):\n    return 1\n")
    path = tmp_path / "words_job.py"
    path.write_text(JOB.format(helper="helper_of_words"))

    def load(**options: Any) -> Any:
        for name in ("words_job", "helper_of_words"):
            sys.modules.pop(name, None)
        spec = importlib.util.spec_from_file_location("words_job", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["words_job"] = module
        spec.loader.exec_module(module)
        return module.Words(**options)

    yield load
    for name in ("words_job", "helper_of_words"):
        sys.modules.pop(name, None)


def run(job: Any, text: Path, out: Path, **settings: Any) -> mr.Result:
    given = {"engine": "inline", "reducers": 2, "split_size": 80, **settings}
    return mr.run(job, mr.read_text(text), output=out, **given)


def kill(job: Any, text: Path, out: Path, **settings: Any) -> None:
    """Two of the maps are done."""
    assert killed_at_record(lambda: run(job, text, out, **settings), 2, When.AFTER)
    assert finished_tasks(out) == [(0, 0), (0, 1)]


def gone_on(result: mr.Result) -> bool:
    assert result.outcome is not None
    return result.outcome.past_tasks > 0


def test_nothing_changed(text: Path, tmp_path: Path, words: Any, caplog: pytest.LogCaptureFixture) -> None:
    kill(words(), text, tmp_path / "out")
    result = run(words(), text, tmp_path / "out")
    assert gone_on(result)
    (said,) = caplog.messages
    assert said.startswith("resuming: 2 of 5 tasks were finished by the run that ended at 20")
    assert result.notes == [f"resumed: {said.removeprefix('resuming: ')}"]
    assert dict(result.records()) == {"a": "30", "b": "30", "c": "30", "d": "30"}


SETTINGS = [
    ({"reducers": 3}, "reducers: 2 -> 3"),
    ({"split_size": 100}, "split_size: 80 -> 100"),
    ({"block_size": 4096}, "block_size: 1048576 -> 4096"),
    ({"sort": True}, "sort: False -> True"),
    ({"output_format": "csv"}, "output_format: tsv -> csv"),
    ({"memory": "256MiB"}, "memory: 1073741824 -> 268435456"),
]


@pytest.mark.parametrize(("settings", "reason"), SETTINGS)
def test_a_changed_setting(
    settings: dict[str, Any], reason: str, text: Path, tmp_path: Path, words: Any, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "out"
    kill(words(), text, out)
    assert not gone_on(run(words(), text, out, **settings))
    assert caplog.messages == [f"an earlier run to {out} did not finish; starting afresh: {reason}"]


@pytest.mark.parametrize(
    "settings", [{"max_attempts": 7}, {"engine": "local", "workers": 2}, {"skip_bad_records": 0.1}]
)
def test_settings_that_shape_nothing(settings: dict[str, Any], text: Path, tmp_path: Path, words: Any) -> None:
    kill(words(), text, tmp_path / "out")
    assert gone_on(run(words(), text, tmp_path / "out", **settings))


def test_a_changed_job(text: Path, tmp_path: Path, words: Any, caplog: pytest.LogCaptureFixture) -> None:
    out = tmp_path / "out"
    afresh = f"an earlier run to {out} did not finish; starting afresh: "
    kill(words(), text, out)
    kill(words(step=2, stop={"d"}), text, out)
    path = tmp_path / "words_job.py"
    path.write_text(path.read_text() + "\n# a remark\n")
    kill(words(step=2, stop={"d"}), text, out)
    (tmp_path / "helper_of_words.py").write_text("def weight(word):\n    return 3\n")
    result = run(words(step=2, stop={"d"}), text, out)
    assert dict(result.records()) == {"a": "180", "b": "180", "c": "180"}
    assert caplog.messages == [f"{afresh}the source of the job has changed (helper_of_words.py)"]


def test_what_is_said_of_options_and_source(text: Path, tmp_path: Path, words: Any) -> None:
    def made(job: Any) -> origin.Origin:
        return _origin(job, text)

    before = made(words())
    assert origin.changes(before, made(words(step=2))) == ["option step: 1 -> 2"]
    assert origin.changes(before, made(words(stop=("x" * 90,)))) != []
    path = tmp_path / "words_job.py"
    path.write_text(path.read_text() + "\n# a remark\n")
    assert origin.changes(before, made(words())) == ["the source of the job has changed (words_job.py)"]


def test_another_version(
    text: Path, tmp_path: Path, words: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "out"
    kill(words(), text, out)
    version = mr.__version__
    monkeypatch.setattr(origin, "__version__", "99.0")
    assert not gone_on(run(words(), text, out))
    assert caplog.messages == [
        f"an earlier run to {out} did not finish; starting afresh: the version of mapreduce: {version} -> 99.0"
    ]


def test_another_version_of_a_library_that_computes(
    text: Path, tmp_path: Path, words: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Lest half of an output has the bits of the one, and half those of the other."""
    from numpy import __version__ as version

    out = tmp_path / "out"
    kill(words(), text, out)
    newer = tmp_path / "newer"
    (newer / "numpy-99.0.dist-info").mkdir(parents=True)
    with monkeypatch.context() as patch:
        patch.syspath_prepend(newer)
        assert not gone_on(run(words(), text, out))
    assert caplog.messages == [
        f"an earlier run to {out} did not finish; starting afresh: the version of numpy: {version} -> 99.0"
    ]
    assert run(words(), text, out).outcome is None  # what is complete stays so


WEIGHTS = """
from words_rules import rule

def weight(word):
    return rule(word)
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Any]]:
    """Makes a job of an installed package, which uses another of its modules and another package."""
    folder = tmp_path / "site-packages"
    (folder / "words_pack").mkdir(parents=True)
    (folder / "words_pack" / "__init__.py").touch()
    (folder / "words_pack" / "jobs.py").write_text(JOB.format(helper="words_pack.weights"))
    (folder / "words_pack" / "weights.py").write_text(WEIGHTS)
    (folder / "words_rules.py").write_text("__version__ = '1.0'\ndef rule(word):\n    return 1\n")
    monkeypatch.syspath_prepend(folder)
    names = ("words_pack", "words_pack.jobs", "words_pack.weights", "words_rules")

    def load() -> Any:
        for name in names:
            sys.modules.pop(name, None)
        importlib.invalidate_caches()
        return importlib.import_module("words_pack.jobs").Words()

    yield load
    for name in names:
        sys.modules.pop(name, None)


def test_a_job_of_an_installed_package(
    text: Path, tmp_path: Path, installed: Callable[[], Any], caplog: pytest.LogCaptureFixture
) -> None:
    out, folder = tmp_path / "out", tmp_path / "site-packages"
    kill(installed(), text, tmp_path / "other")
    assert gone_on(run(installed(), text, tmp_path / "other"))
    kill(installed(), text, out)
    (folder / "words_pack" / "weights.py").write_text(f"{WEIGHTS}# a remark\n")
    kill(installed(), text, out)  # afresh: the same two
    (folder / "words_rules.py").write_text("__version__ = '1.01'\ndef rule(word):\n    return 2\n")
    caplog.clear()
    assert dict(run(installed(), text, out).records())["a"] == "60"
    assert caplog.messages == [
        f"an earlier run to {out} did not finish; starting afresh: the version of words_rules: 1.0 -> 1.01"
    ]
    (folder / "words_rules.py").write_text("__version__ = '1.002'\ndef rule(word):\n    return 3\n")
    with pytest.raises(mr.UsageError, match=r"the version of words_rules: 1\.01 -> 1\.002\); use --fresh"):
        run(installed(), text, out)


def test_a_changed_input(text: Path, tmp_path: Path, words: Any, caplog: pytest.LogCaptureFixture) -> None:
    out = tmp_path / "out"
    kill(words(), text, out)
    text.write_text("a b c e\n" * 30)  # of the same size
    result = run(words(), text, out)
    assert not gone_on(result)
    assert dict(result.records())["e"] == "30"
    (said,) = caplog.messages
    assert f"starting afresh: input {text} has changed: written 20" in said


def test_inputs_that_came_went_and_grew() -> None:
    def inputs(**sizes: int) -> list[origin.Input]:
        return [origin.Input(path, size, 0) for path, size in sizes.items()]

    assert origin.input_changes(inputs(a=1, b=2), inputs(a=1, b=2)) == []
    assert origin.input_changes(inputs(a=1, b=2), inputs(a=1, c=2)) == ["input b is gone", "input c is new"]
    assert origin.input_changes(inputs(a=1), inputs(a=2000)) == ["input a has changed: 1 -> 2,000 bytes"]
    assert origin.input_changes(inputs(a=1, b=2), inputs(b=2, a=1)) == [
        "the inputs come in another order, or another number of times"
    ]
    many = inputs(**{f"f{number}": 1 for number in range(9)})
    assert origin.input_changes(many, []) == [
        "input f0 is gone", "input f1 is gone", "input f2 is gone", "6 other inputs",
    ]  # fmt: skip


def test_fresh_goes_on_with_a_fresh_run_only(text: Path, tmp_path: Path, words: Any) -> None:
    kill(words(), text, tmp_path / "out")
    assert not gone_on(run(words(), text, tmp_path / "out", fresh=True))
    kill(words(), text, tmp_path / "out", fresh=True)  # over a complete output
    assert gone_on(run(words(), text, tmp_path / "out", fresh=True))


def test_a_foreign_file_beside_an_unfinished_job(text: Path, tmp_path: Path, words: Any) -> None:
    out = tmp_path / "out"
    kill(words(), text, out)
    (out / "thesis.tex").write_text("years of work")
    with pytest.raises(mr.UsageError, match="thesis.tex"):
        run(words(), text, out)
    assert (out / "thesis.tex").exists()
    assert finished_tasks(out) == [(0, 0), (0, 1)]


@pytest.mark.parametrize("damage", ["torn", "flipped", "empty", "gone", "no made.json", "damaged made.json"])
def test_a_damaged_journal(
    damage: str, text: Path, tmp_path: Path, words: Any, caplog: pytest.LogCaptureFixture
) -> None:
    out, whole = tmp_path / "out", tmp_path / "whole"
    run(words(), text, whole)
    assert killed_at_record(lambda: run(words(), text, out), 5, When.AFTER)
    journal = Path(out, JobPaths("").journal)
    data = journal.read_bytes()
    kept = {"torn": 4, "flipped": 1}.get(damage, 0)
    if damage == "torn":
        journal.write_bytes(data[:-7])
    elif damage == "flipped":
        at = data.index(b"finished", data.index(b"finished") + 1)
        journal.write_bytes(data[:at] + b"F" + data[at + 1 :])
    elif damage == "empty":
        journal.write_bytes(b"")
    elif damage == "gone":
        journal.unlink()
    elif damage == "no made.json":
        Path(out, MADE).unlink()
    else:
        Path(out, MADE).write_bytes(Path(out, MADE).read_bytes()[:-20])
    result = run(words(), text, out)
    assert result.outcome is not None
    assert result.outcome.past_tasks == kept
    assert hash_of(out) == hash_of(whole)
    assert ("damaged at byte" in caplog.text) == (damage == "flipped")


@pytest.mark.parametrize("harm", ["gone", "cut short", "flipped"])
def test_a_damaged_segment(harm: str, text: Path, tmp_path: Path, words: Any) -> None:
    out, whole = tmp_path / "out", tmp_path / "whole"
    run(words(), text, whole)
    assert killed_at_record(lambda: run(words(), text, out), 3, When.AFTER)
    segment = out / "_job" / "segments" / "0-1-0.seg"
    data = segment.read_bytes()
    if harm == "gone":
        segment.unlink()
    else:
        middle = len(data) // 2
        segment.write_bytes(data[:-1] if harm == "cut short" else data[:middle] + b"\xff\xff" + data[middle + 2 :])
    result = run(words(), text, out)
    assert result.outcome is not None
    assert result.outcome.past_tasks == (3 if harm == "flipped" else 2)  # which is seen by who reads it
    assert result.outcome.failed_attempts == (1 if harm == "flipped" else 0)
    assert hash_of(out) == hash_of(whole)


def test_a_committed_part_that_was_removed(text: Path, tmp_path: Path, words: Any) -> None:
    out, whole = tmp_path / "out", tmp_path / "whole"
    run(words(), text, whole)
    assert killed_at_record(lambda: run(words(), text, out), 5, When.TORN)
    (out / "part-00000.tsv").unlink()
    assert run(words(), text, out).notes[0].startswith("resumed: 3 of 5 tasks")
    assert hash_of(out) == hash_of(whole)


def test_attempts_of_each_run_have_numbers_of_their_own(text: Path, tmp_path: Path, words: Any) -> None:
    """So a worker of the first run that was stopped, and awakes, writes where nobody reads."""
    out = tmp_path / "out"
    kill(words(), text, out)
    (out / "_job" / "attempts" / "0-2-0.run-0").write_text("half of it")
    assert killed_at_record(lambda: run(words(), text, out), 2, When.AFTER)
    names = sorted(path.name for path in (out / "_job").glob("[as]*/*"))
    assert names == ["0-0-0.seg", "0-1-0.seg", "0-2-100.seg", "1-0-100"]


def _origin(job: Any, text: Path) -> origin.Origin:
    from mapreduce.engines.prepare import prepare
    from mapreduce.settings import Settings

    return prepare(job, mr.read_text(text), Settings(), text.parent / "out", "job-1").origin_now()


# --- what tells jobs apart


class Holder:
    """An object among a job's options."""

    def __init__(self, value: object) -> None:
        self.value = value


def test_equal_values_look_equal_and_others_do_not() -> None:
    import re
    from functools import partial

    words = [f"w{number}" for number in range(50)]
    other_way = dict.fromkeys(reversed(words), 1)
    assert digest_of(set(words)) == digest_of(other_way.keys() | set())
    assert digest_of(Holder(frozenset(words))) == digest_of(Holder(frozenset(other_way)))
    values: list[object] = [
        1, 1.0, True, "1", b"1", (1,), [1], {1}, {1: 2}, {2: 1}, None, Holder(1), Holder(2), re.compile("a"),
        re.compile("b"), partial(int, base=2), partial(int, base=8), lambda x: x + 1, lambda x: x + 2, Path("a"), int,
        lambda rows: [row + 1 for row in rows], lambda rows: [row + 2 for row in rows],
    ]  # fmt: skip
    assert len({digest_of(value) for value in values}) == len(values)
    cycle: list[Any] = []
    cycle.append(cycle)
    assert digest_of(cycle) != digest_of([[]])


def test_the_same_in_another_process() -> None:
    code = (
        "from mapreduce.dataflow.job_source import digest_of;"
        "print(digest_of([{'a', 'b', 'c', 'd'}, lambda x: {y for y in x}, 1.5]))"
    )
    import subprocess

    said = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(said) == 1


def test_a_job_made_by_a_function() -> None:
    def make(step: int) -> Any:
        class Made(mr.Job):
            def map(self, line: str) -> Iterator[tuple[str, int]]:
                yield line, step

        return Made()

    assert sources_of(make(1)) == sources_of(make(1))
    assert sources_of(make(1)) != sources_of(make(2))


def test_a_class_of_a_setting_that_has_no_file() -> None:
    def made(sign: str) -> Any:
        names: dict[str, Any] = {"__name__": "at_a_prompt"}
        exec(f"class Rule:\n    def of(self, x): return {sign}x\n", names)
        return Weighted(names["Rule"]())

    assert sources_of(made("+")) == sources_of(made("+"))
    assert sources_of(made("+")) != sources_of(made("-"))


class Weighted(mr.Job):
    """A job by a rule."""

    def __init__(self, rule: Any) -> None:
        self.rule = rule


class Listed(mr.Chain):
    """Of any jobs."""

    def __init__(self, links: list[Any]) -> None:
        self.links = links

    def jobs(self) -> list[Any]:
        return self.links


def test_the_jobs_of_a_chain(tmp_path: Path, words: Any) -> None:
    before = sources_of(Listed([words()]))
    assert sources_of(Listed([words()])) == before
    (tmp_path / "helper_of_words.py").write_text("def weight(word):\n    return 3\n")
    after = sources_of(Listed([words()]))
    changed = [name for name, digest in after.digests.items() if before.digests[name] != digest]
    assert changed == [str(tmp_path / "helper_of_words.py")]


def test_a_module_of_an_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from zipfile import ZipFile

    def zipped(limit: int) -> Any:
        archive = tmp_path / f"{limit}.zip"
        with ZipFile(archive, "w") as file:
            file.writestr("zipped_rules.py", f"LIMIT = {limit}\ndef rule(x): return x + LIMIT\n")
        monkeypatch.syspath_prepend(archive)
        monkeypatch.delitem(sys.modules, "zipped_rules", raising=False)
        return Weighted(importlib.import_module("zipped_rules").rule)

    first, second = ([*sources_of(zipped(limit)).digests.values()] for limit in (1, 2))
    monkeypatch.delitem(sys.modules, "zipped_rules")
    assert len(set(first) ^ set(second)) == 2
