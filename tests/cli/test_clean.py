"""Does `mapreduce clean` remove what may go, and nothing else?"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from mapreduce.cli.main import main
from mapreduce.kernels.cache import cache_directory
from mapreduce.storage.leftovers import OWNER
from mapreduce.storage.locks import take_lock

Clean = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    monkeypatch.delenv("MAPREDUCE_CACHE", raising=False)
    return folder


@pytest.fixture
def clean(capsys: pytest.CaptureFixture[str]) -> Clean:
    """Runs the command: exit code, standard output, standard error."""

    def run(*arguments: object) -> tuple[int, str, str]:
        code = main(["clean", *map(str, arguments)])
        told = capsys.readouterr()
        return code, told.out, told.err

    return run


def make(root: Path, *names: str) -> Path:
    """Files, each of 10 bytes."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"0123456789")
    return root


def names_in(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


UNFINISHED = (
    *("_job/lock", "_job/journal", "_job/segments/0-1-0.seg", "_events.jsonl", "_skipped/part-00001.jsonl"),
    *("part-00000.tsv", "rejects/part-00000.tsv"),
)


def test_nothing_to_do(clean: Clean, tmp_path: Path) -> None:
    assert clean() == (0, "nothing to remove\n", "")
    assert clean(tmp_path) == (0, "nothing to remove\n", "")


def test_an_unfinished_job_goes_with_its_folder(clean: Clean, tmp_path: Path) -> None:
    root = make(tmp_path / "counts", *UNFINISHED)
    assert clean(root, "--dry-run") == (0, f"would remove 60 B: an unfinished job in {root}\n", "")
    assert len(names_in(root)) == 7
    assert clean(root) == (0, f"removed 60 B: an unfinished job in {root}\n", "")
    assert not root.exists()


def test_what_no_job_wrote_stays(clean: Clean, tmp_path: Path) -> None:
    foreign = ("notes.txt", "mine/part-1", "mine/other", ".hidden/part-2")
    root = make(tmp_path / "counts", *UNFINISHED, *foreign)
    assert clean(root)[0] == 0
    assert names_in(root) == sorted(foreign)
    assert clean(root) == (0, "nothing to remove\n", "")


def test_a_complete_output_stays(clean: Clean, tmp_path: Path) -> None:
    output = ("_SUCCESS", "_manifest.json", "_events.jsonl", "part-00000.tsv", "rejects/part-00000.tsv")
    root = make(tmp_path / "counts", *output)
    assert clean(root) == (0, "nothing to remove\n", "")
    make(root, "_job/lock", "_job/segments/0-1-0.seg")
    assert clean(root) == (0, f"removed 10 B: what a complete job left beside its output in {root}\n", "")
    assert names_in(root) == sorted(output)


def test_a_model_stays(clean: Clean, tmp_path: Path) -> None:
    root = make(tmp_path / "model", "model.json", "arrays-0a.npz", "_events.jsonl")
    assert clean(root) == (0, "nothing to remove\n", "")
    make(root, "_job/lock", "_job/steps/00000.value")
    assert clean(root)[0] == 0
    assert names_in(root) == ["_events.jsonl", "arrays-0a.npz", "model.json"]


def test_what_a_failed_job_said_of_itself_goes(clean: Clean, tmp_path: Path) -> None:
    root = make(tmp_path / "counts", "_events.jsonl", "_log", "_report.html")
    assert clean(root) == (0, f"removed 30 B: what a job that failed said of itself in {root}\n", "")
    assert not root.exists()
    make(root, "_log", "part-00000.tsv")  # no event log: not ours
    assert clean(root) == (0, "nothing to remove\n", "")


def test_parts_of_others_stay(clean: Clean, tmp_path: Path) -> None:
    root = make(tmp_path / "hadoop", "part-00000", "part-00001")
    assert clean(root) == (0, "nothing to remove\n", "")


def test_a_running_job_is_left_alone(clean: Clean, tmp_path: Path) -> None:
    import os

    root = make(tmp_path / "counts", *UNFINISHED)
    lock = take_lock(root / "_job" / "lock")
    try:
        code, out, err = clean(root)
    finally:
        lock.release()
    assert (code, out) == (2, "")
    assert f"a job is running in {root} (pid {os.getpid()}); stop it first" in err
    assert len(names_in(root)) == 7


@pytest.mark.parametrize(("name", "message"), [("missing", "does not exist"), ("file", "is a file")])
def test_what_is_no_folder(name: str, message: str, clean: Clean, tmp_path: Path) -> None:
    make(tmp_path, "file")
    code, _, err = clean(tmp_path / name)
    assert code == 2
    assert f"{name} {message}; name the output folder of a job" in err


def test_without_a_folder(clean: Clean, cache: Path) -> None:
    kept = make(cache / "mapreduce" / "kept", "outputs/3f/3f01/entry", "outputs/3f/3f01/0", "files/77")
    old = make(Path(cache_directory()) / "0123", "words.objects")
    dead = make(Path(tempfile.gettempdir(), "mapreduce-dead"), OWNER, "part")
    alive = make(Path(tempfile.gettempdir(), "mapreduce-alive"), "part")
    lock = take_lock(alive / OWNER)
    try:
        code, out, _ = clean()
        assert alive.exists()
    finally:
        lock.release()
        clean()
    assert code == 0
    assert not kept.exists() and not old.exists() and not dead.exists() and not alive.exists()
    assert f"removed 30 B: 1 kept map output in {kept}\n" in out
    assert f"removed 10 B: compiled loops of other versions or processors in {cache_directory()}\n" in out
    assert "1 temporary folder of processes that died, in " in out
    assert clean() == (0, "nothing to remove\n", "")


def test_kept_alone(clean: Clean, cache: Path, tmp_path: Path) -> None:
    make(cache / "mapreduce" / "kept", "outputs/3f/3f01/entry")
    old = make(Path(cache_directory()) / "0123", "words.objects")
    assert clean("--kept")[0] == 0
    assert not (cache / "mapreduce" / "kept").exists()
    assert old.exists()
    assert clean("--kept", "--all")[0] == 2


def test_loops_in_use_stay_unless_all_is_asked_for(clean: Clean) -> None:
    from mapreduce.kernels.cache import cache_path

    used = Path(cache_path("words"))
    make(used.parent, used.name)
    assert clean() == (0, "nothing to remove\n", "")
    assert clean("--all") == (0, f"removed 10 B: compiled loops in {cache_directory()}\n", "")
    assert not used.exists()


def test_after_a_job_that_failed(run_cli: Callable[..., object], clean: Clean, tmp_path: Path) -> None:
    job = tmp_path / "job.py"
    job.write_text("import mapreduce as mr\nclass Bad(mr.Job):\n    def map(self, line):\n        raise ValueError\n")
    (tmp_path / "in.txt").write_text("a\n")
    run_cli("run", job, tmp_path / "in.txt", "-o", tmp_path / "out", "--max-attempts", "1")
    assert (tmp_path / "out").exists()
    assert clean(tmp_path / "out")[0] == 0
    assert not (tmp_path / "out").exists()
