"""Is an output that reuses work of earlier runs the one of a fresh run, and is no more mapped than has changed?"""

from __future__ import annotations

import os
import random
import shutil
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import mapreduce as mr
from mapreduce.dataset import Dataset

FILES = 5


class Words(mr.Job):
    """The row lane."""

    reduce = mr.Sum()

    def map(self, line: str) -> Iterator[tuple[str, int]]:
        self.count("lines")
        for word in line.split():
            yield word, 1


class WordsByColumn(mr.Job):
    """The columnar lane."""

    reduce = mr.Count()

    def map_block(self, block: Any) -> Any:
        return block["line"], block["line"]


class Listed(mr.Job):
    """Values in their order; no combiner."""

    def map(self, line: str) -> Iterator[tuple[str, str]]:
        yield line[:2], line

    def reduce(self, key: str, values: Iterator[str]) -> str:
        return ",".join(values)


class MapOnly(mr.Job):
    """No reduce; two outputs."""

    def map(self, line: str) -> Iterator[Any]:
        yield line[:3], line
        if line.endswith("7"):
            yield mr.Named("sevens", line, None)


class FloatSum(mr.Fold):
    """Bits that depend on the order in which sums are taken."""

    def map(self, block: Any) -> float:
        return sum(1.0 / (1 + len(line) + index) for index, line in enumerate(block.records()))

    def reduce(self, a: float, b: float) -> float:
        return a + b


class BigFold(mr.Fold):
    """Partials too large for a message."""

    def map(self, block: Any) -> list[float]:
        partial = [0.1] * 4000
        for line in block.records():
            partial[len(line) * 7 % 4000] += 0.1
        return partial

    def reduce(self, a: list[float], b: list[float]) -> list[float]:
        return [x + y for x, y in zip(a, b, strict=True)]


class Places(mr.Job):
    """Tells where records stand."""

    reduce = mr.Collect()

    def map_block(self, block: Any) -> Any:
        return ["places"], [block.place(0)]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("MAPREDUCE_CACHE", str(folder))
    return folder


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    folder = tmp_path / "texts"
    folder.mkdir()
    for number in range(FILES):
        write(folder / f"{number}.txt", seed=number)
    return folder


def write(path: Path, *, seed: int, lines: int = 60) -> None:
    generator = random.Random(seed)
    path.write_text("".join(f"w{generator.randrange(50)} x{generator.randrange(10)}\n" for _ in range(lines)))


def lines_of(folder: Path) -> Dataset:
    return mr.read_text(str(folder))


def bytes_of(output: Path) -> dict[str, bytes]:
    """All parts of an output, by name."""
    return {str(path.relative_to(output)): path.read_bytes() for path in sorted(output.rglob("part-*"))}


class Desk:
    """Runs a job again and again on the same input, and a fresh run beside it."""

    def __init__(self, tmp_path: Path, job: Any, dataset: Callable[[], Dataset], **settings: Any) -> None:
        self.tmp_path = tmp_path
        self.job = job
        self.dataset = dataset
        self.settings = {"engine": "inline", "incremental": True, **settings}
        self.runs = 0

    def run(self) -> mr.Result:
        """Bring the output up to date, and see that it is that of a fresh run with an empty store."""
        output = self.tmp_path / "output"
        result = mr.run(self.job, self.dataset(), output=output, **self.settings)
        expected = self.tmp_path / f"fresh-{self.runs}"
        self.runs += 1
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MAPREDUCE_CACHE", str(self.tmp_path / "empty"))
            fresh = mr.run(self.job, self.dataset(), output=expected, **self.settings)
        shutil.rmtree(self.tmp_path / "empty", ignore_errors=True)
        assert bytes_of(output) == bytes_of(expected)
        if not result.already_complete:
            assert result.counters == fresh.counters
            assert repr(result.value) == repr(fresh.value)
            assert fresh.notes[0].startswith("reused 0 of ")
        return result

    def reused(self) -> str:
        """What the summary tells of a run."""
        result = self.run()
        return "nothing ran" if result.already_complete else result.notes[0]


def desk_of(tmp_path: Path, texts: Path, job: Any, **settings: Any) -> Desk:
    return Desk(tmp_path, job, lambda: lines_of(texts), **settings)


JOBS = [Words(), WordsByColumn(), Listed(), MapOnly(), FloatSum(), BigFold()]


@pytest.mark.parametrize("job", JOBS, ids=lambda job: type(job).__name__)
def test_files_added_changed_removed_renamed(job: Any, texts: Path, tmp_path: Path) -> None:
    desk = desk_of(tmp_path, texts, job)
    assert desk.reused() == "reused 0 of 5 splits"
    assert desk.reused() == "nothing ran"
    write(texts / "5.txt", seed=5)
    assert desk.reused() == "reused 5 of 6 splits"
    write(texts / "2.txt", seed=22)
    assert desk.reused() == "reused 5 of 6 splits"
    (texts / "1.txt").unlink()
    assert desk.reused() == "reused 5 of 5 splits"
    (texts / "0.txt").rename(texts / "9.txt")
    assert desk.reused() == "reused 5 of 5 splits"
    (texts / "9.txt").rename(texts / "0.txt")
    write(texts / "2.txt", seed=2)  # what it held at first
    assert desk.reused() == "reused 5 of 5 splits"


@pytest.mark.parametrize("job", [Words(), FloatSum(), MapOnly()], ids=lambda job: type(job).__name__)
def test_appending_keeps_the_splits_before(job: Any, tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    write(log, seed=0, lines=1000)
    desk = Desk(tmp_path, job, lambda: mr.read_text(str(log)), split_size=1000)
    splits = -(-log.stat().st_size // 1000)
    assert desk.reused() == f"reused 0 of {splits} splits"
    with open(log, "a") as file:
        file.write("one more line\n")
    assert desk.reused() == f"reused {splits - 1} of {splits} splits"
    log.write_text("a line in front\n" + log.read_text())
    assert desk.reused().startswith("reused 0 of ")


def test_without_a_split_size_growth_moves_no_cut(tmp_path: Path) -> None:
    mebibyte = 1 << 20
    log = tmp_path / "app.log"
    log.write_bytes(b"0123456789abcde\n" * (3 * mebibyte // 16))
    dataset = mr.read_text(str(log))
    before = dataset.plan(lasting=True).splits
    log.write_bytes(b"0123456789abcde\n" * (40 * mebibyte // 16))
    after = dataset.plan(lasting=True).splits
    assert [split.extent for split in before] == [split.extent for split in after[:3]]
    assert [split.extent.bytes // mebibyte for split in after] == 16 * [1] + 8 * [2] + 2 * [4]


def test_sorted_output_in_one_part(texts: Path, tmp_path: Path) -> None:
    desk = desk_of(tmp_path, texts, Words(), sort=True, reducers=1)
    assert desk.reused() == "reused 0 of 5 splits"
    write(texts / "5.txt", seed=5)
    assert desk.reused() == "reused 5 of 6 splits"


def test_sorted_output_in_parts_says_why_nothing_is_reused(texts: Path) -> None:
    for _ in range(2):
        result = mr.run(Words(), lines_of(texts), engine="inline", incremental=True, sort=True, reducers=3)
        assert result.notes[0].startswith("reused nothing: ")


def test_several_parts(texts: Path, tmp_path: Path) -> None:
    desk = desk_of(tmp_path, texts, Listed(), reducers=3)
    desk.run()
    write(texts / "2.txt", seed=22)
    assert desk.reused() == "reused 4 of 5 splits"


def test_as_a_plain_run_where_the_cuts_agree(texts: Path, tmp_path: Path) -> None:
    for number in range(2):
        write(texts / "0.txt", seed=number)
        mr.run(Words(), lines_of(texts), engine="inline", incremental=True, output=tmp_path / "kept")
    mr.run(Words(), lines_of(texts), engine="inline", reducers=1, output=tmp_path / "plain")
    assert bytes_of(tmp_path / "kept") == bytes_of(tmp_path / "plain")


class Cells(mr.Job):
    reduce = mr.Sum()

    def map(self, row: Any) -> Iterator[tuple[str, float]]:
        yield row["name"], row["amount"] * 0.1


def test_csv(tmp_path: Path) -> None:
    folder = tmp_path / "tables"
    folder.mkdir()
    for number in range(3):
        rows = "".join(f'"a, ""b""\n{row % 7}",{row + number}\n' for row in range(100))
        (folder / f"{number}.csv").write_text(f"name,amount\n{rows}")
    desk = Desk(tmp_path, Cells(), lambda: mr.read_csv(str(folder)), split_size=600)
    first = desk.reused()
    total = int(first.split()[3])
    assert first == f"reused 0 of {total} splits"
    assert total > 6
    with open(folder / "1.csv", "a") as file:
        file.write("more,5\n")
    assert desk.reused() == f"reused {total - 1} of {total} splits"
    (folder / "0.csv").write_text((folder / "0.csv").read_text().replace("name,amount\n", "name,amount\r\n"))
    assert desk.reused().startswith("reused ")


def test_a_type_that_changes_with_the_input_reuses_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "tables"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.csv").write_text("name,amount\na,1\n")
    dataset = mr.read_csv(str(folder))
    mr.run(Cells(), dataset, engine="inline", incremental=True)
    (folder / "0.csv").write_text("name,amount\na,1.5\n")
    result = mr.run(Cells(), dataset, engine="inline", incremental=True)
    assert result.notes == ["reused 0 of 3 splits"]


def test_parquet(tmp_path: Path) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    folder = tmp_path / "tables"
    folder.mkdir()

    def write_table(number: int, rows: int) -> None:
        table = pa.table({"name": [f"n{row % 5}" for row in range(rows)], "amount": list(range(rows))})
        pq.write_table(table, folder / f"{number}.parquet", row_group_size=50)

    for number in range(3):
        write_table(number, 200)
    desk = Desk(tmp_path, Cells(), lambda: mr.read_parquet(str(folder)), split_size=1000)
    total = int(desk.reused().split()[3])
    write_table(1, 201)
    kept, now = desk.reused().split()[1:4:2]
    assert int(kept) == total * 2 // 3
    assert int(now) >= total


def test_whole_files_tell_their_path(texts: Path) -> None:
    class Names(mr.Job):
        def map(self, file: Any) -> Iterator[tuple[str, int]]:
            yield file.path, len(file.contents)

    def run() -> mr.Result:
        return mr.run(Names(), mr.read_whole(str(texts)), engine="inline", incremental=True)

    run()
    assert run().notes == ["reused 5 of 5 splits"]
    (texts / "1.txt").rename(texts / "8.txt")
    result = run()
    assert result.notes == ["reused 4 of 5 splits"]
    assert sorted(os.path.basename(path) for path, _ in result.records()) == [
        "0.txt",
        "2.txt",
        "3.txt",
        "4.txt",
        "8.txt",
    ]


def test_a_job_that_looks_at_places(texts: Path) -> None:
    def run() -> mr.Result:
        return mr.run(Places(), lines_of(texts), engine="inline", incremental=True)

    run()
    assert run().notes == ["reused 5 of 5 splits"]
    (texts / "1.txt").rename(texts / "8.txt")
    result = run()
    assert result.notes == ["reused 4 of 5 splits"]
    assert f"{texts / '8.txt'}, byte 0" in next(iter(result.records()))[1]


def test_compressed_files_and_twins(texts: Path, tmp_path: Path) -> None:
    import gzip

    for path in list(texts.iterdir()):
        (texts / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    shutil.copy(texts / "1.txt.gz", texts / "twin.txt.gz")
    desk = desk_of(tmp_path, texts, Words())
    assert desk.reused() == "reused 0 of 6 splits"
    shutil.copy(texts / "1.txt.gz", texts / "third.txt.gz")
    assert desk.reused() == "reused 7 of 7 splits"


def test_what_is_in_memory_is_mapped_anew() -> None:
    for _ in range(2):
        result = mr.run(Words(), mr.from_records(["a b", "c"]), engine="inline", incremental=True)
        assert result.notes[0] == "reused 0 of 2 splits"


def test_standard_input_and_unions_are_known_by_content(texts: Path, tmp_path: Path) -> None:
    class Both(mr.Job):
        reduce = mr.Count()

        def map(self, tagged: Any) -> Iterator[tuple[str, int]]:
            yield tagged.tag, 1

    (tmp_path / "other.txt").write_text("x\n")

    def run() -> mr.Result:
        tables = mr.union(left=lines_of(texts), right=mr.read_text(str(tmp_path / "other.txt")))
        return mr.run(Both(), tables, engine="inline", incremental=True)

    assert dict(run().records()) == {"left": 300, "right": 1}
    shutil.copy(tmp_path / "other.txt", texts / "6.txt")  # the same bytes in another member
    result = run()
    assert result.notes == ["reused 6 of 7 splits"]
    assert dict(result.records()) == {"left": 301, "right": 1}


def test_a_chain_reuses_in_each_link(texts: Path, tmp_path: Path) -> None:
    class Longest(mr.Job):
        reduce = mr.Max()

        def map(self, pair: Any) -> Iterator[tuple[int, int]]:
            yield len(pair[0]), pair[1]

    class Both(mr.Chain):
        def jobs(self) -> list[Any]:
            return [Words(), Longest()]

    desk = desk_of(tmp_path, texts, Both())
    desk.run()
    write(texts / "5.txt", seed=5)
    desk.run()


@pytest.mark.parametrize(
    "change",
    [{"reducers": 2}, {"block_size": 512}, {"memory": "300MB"}, {"split_size": 100}],
    ids=lambda change: next(iter(change)),
)
def test_another_setting_reuses_nothing(change: dict[str, Any], texts: Path) -> None:
    mr.run(Words(), lines_of(texts), engine="inline", incremental=True)
    result = mr.run(Words(), lines_of(texts), engine="inline", incremental=True, **change)
    assert result.notes[0].startswith("reused 0 of")


def test_fresh_reuses_nothing_and_keeps_anew(texts: Path) -> None:
    for fresh, expected in ((False, 0), (True, 0), (False, 5)):
        result = mr.run(Words(), lines_of(texts), engine="inline", incremental=True, fresh=fresh)
        assert result.notes == [f"reused {expected} of 5 splits"]


def test_plain_runs_keep_nothing(texts: Path, cache: Path) -> None:
    mr.run(Words(), lines_of(texts), engine="inline")
    assert not cache.exists()


def test_another_jobs_output_is_refused(texts: Path, tmp_path: Path) -> None:
    mr.run(Words(), lines_of(texts), engine="inline", incremental=True, output=tmp_path / "output")
    write(texts / "1.txt", seed=11)
    with pytest.raises(mr.UsageError, match="another job or other settings made it"):
        mr.run(Listed(), lines_of(texts), engine="inline", incremental=True, output=tmp_path / "output")
    with pytest.raises(mr.UsageError, match="another job or other settings made it"):
        mr.run(Words(), lines_of(texts), engine="inline", output=tmp_path / "output")


def test_on_workers_and_without_links(texts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: Any, target: Any) -> None:
        raise OSError(18, "Invalid cross-device link")

    with mr.Engine(workers=2) as engine:
        first = sorted(engine.run(Words(), lines_of(texts), incremental=True).records())
        monkeypatch.setattr("os.link", refuse)
        for job in (Words(), MapOnly(), FloatSum()):
            engine.run(job, lines_of(texts), incremental=True)
            again = engine.run(job, lines_of(texts), incremental=True)
            assert again.notes == ["reused 5 of 5 splits"]
        assert sorted(engine.run(Words(), lines_of(texts), incremental=True).records()) == first


# --- jobs that stop in between


@pytest.mark.parametrize("changed", [False, True])
def test_a_job_that_failed_goes_on_with_what_it_had(changed: bool, texts: Path, tmp_path: Path) -> None:
    trouble, mapped = tmp_path / "trouble", tmp_path / "mapped"

    class Stumbles(mr.Job):
        reduce = mr.Sum()

        def map_block(self, block: Any) -> Any:
            lines = list(block.records())
            if os.path.exists(trouble) and lines[0] == first:
                raise ValueError("no luck")
            with open(mapped, "a") as file:
                file.write("mapped\n")
            return lines, [1] * len(lines)

    first = (texts / "3.txt").read_text().splitlines()[0]
    trouble.write_text("")

    def run() -> mr.Result:
        return mr.run(Stumbles(), lines_of(texts), output=tmp_path / "out", engine="inline", incremental=True)

    with pytest.raises(mr.JobError):
        mr.run(Stumbles(), lines_of(texts), output=tmp_path / "out", engine="inline", incremental=True, max_attempts=1)
    before = mapped.read_text().count("mapped")
    assert before >= 3
    trouble.unlink()
    if changed:
        write(texts / "5.txt", seed=5)
    result = run()
    assert mapped.read_text().count("mapped") == (6 if changed else 5)
    assert result.reused_splits == (before if changed else 0)  # the others were finished before
    assert len(dict(result.records())) > 100


def test_faults_on_purpose_do_no_harm(texts: Path, tmp_path: Path) -> None:
    expected = sorted(mr.run(Words(), lines_of(texts), engine="inline").records())
    with mr.Engine(workers=2) as engine:
        for seed in range(3):
            chaos = f"{seed}:corrupt=0.3,kill=0.1"
            assert sorted(engine.run(Words(), lines_of(texts), incremental=True, chaos=chaos).records()) == expected
        assert sorted(engine.run(Words(), lines_of(texts), incremental=True).records()) == expected


# --- the job's code

SCRIPT = """
    import sys
    import mapreduce as mr
    from helper import normal

    STOP = {"x1", "x2", "x3"}
    SUFFIX = sys.argv[2]

    class Count(mr.Job):
        reduce = mr.Sum()

        def __init__(self, path="words.txt"):
            self.path = path

        def map(self, line):
            for word in line.split():
                if word not in STOP:
                    yield normal(word) + SUFFIX, 1

    result = mr.run(Count(), mr.read_text(sys.argv[1]), engine="inline", incremental=True)
    print(result.notes[0])
"""


def test_what_a_script_uses_is_part_of_the_key(texts: Path, tmp_path: Path) -> None:
    """Its text, the modules that it imports, the globals that it computes, the files that its settings name."""
    import subprocess
    import sys

    script, helper, listed = tmp_path / "script.py", tmp_path / "helper.py", tmp_path / "words.txt"
    script.write_text(textwrap.dedent(SCRIPT))
    helper.write_text("def normal(word):\n    return word.lower()\n")
    listed.write_text("a\n")

    def run(suffix: str = "") -> str:
        root = str(Path(__file__).parent.parent)
        done = subprocess.run(
            [sys.executable, script, texts, suffix],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": root},
            capture_output=True,
            encoding="utf-8",
            check=True,
            timeout=50,
        )
        return done.stdout.split()[1]

    assert [run(), run()] == ["0", "5"]  # though sets of strings have another order in each process
    assert [run("s"), run("s"), run()] == ["0", "5", "5"]
    helper.write_text("def normal(word):\n    return word.upper()\n")
    assert [run(), run()] == ["0", "5"]
    listed.write_text("b\n")
    assert run() == "0"
    script.write_text(script.read_text() + "# a comment\n")
    assert run() == "0"


# --- damage, bounds, and others at the same time


def entries(cache: Path) -> list[Path]:
    return sorted((cache / "kept" / "outputs").glob("*/*"))


def data_files(cache: Path) -> list[Path]:
    return [path for entry in entries(cache) for path in sorted(entry.iterdir()) if path.name != "entry"]


DAMAGES: dict[str, Callable[[Path], object]] = {
    "flipped": lambda path: path.write_bytes(bytes(byte ^ 0x40 for byte in path.read_bytes())),
    "shorter": lambda path: os.truncate(path, path.stat().st_size - 3),
    "empty": lambda path: os.truncate(path, 0),
    "gone": lambda path: path.unlink(),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("job", [Words(), MapOnly(), BigFold()], ids=lambda job: type(job).__name__)
def test_damaged_files_are_made_again(job: Any, damage: str, texts: Path, tmp_path: Path, cache: Path) -> None:
    desk = desk_of(tmp_path, texts, job)
    desk.run()
    for path in data_files(cache)[:2]:
        DAMAGES[damage](path)
    write(texts / "5.txt", seed=5)
    result = desk.run()
    assert int(result.notes[0].split()[1]) <= 4
    write(texts / "6.txt", seed=6)
    assert desk.reused() == "reused 6 of 7 splits"  # what was damaged has been kept anew


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_entries_are_made_again(damage: str, texts: Path, tmp_path: Path, cache: Path) -> None:
    desk = desk_of(tmp_path, texts, FloatSum())
    desk.run()
    for entry in entries(cache):
        DAMAGES[damage](entry / "entry")
    write(texts / "5.txt", seed=5)
    assert desk.reused() == "reused 0 of 6 splits"


def test_the_users_output_shares_no_file_with_the_next(texts: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        mr.run(MapOnly(), lines_of(texts), engine="inline", incremental=True, output=tmp_path / name)
    with open(tmp_path / "a" / "part-00000.tsv", "r+b") as file:
        file.write(b"written over")
    assert not (tmp_path / "b" / "part-00000.tsv").read_bytes().startswith(b"written over")
    result = mr.run(MapOnly(), lines_of(texts), engine="inline", incremental=True, output=tmp_path / "c")
    assert bytes_of(tmp_path / "c") == bytes_of(tmp_path / "b")
    assert result.notes == ["reused 4 of 5 splits"]


def test_the_bound_is_kept(texts: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAPREDUCE_KEPT_SIZE", "5KB")
    for seed in range(4):
        write(texts / "0.txt", seed=100 + seed)
        mr.run(Listed(), lines_of(texts), engine="inline", incremental=True)
        assert sum(path.stat().st_size for path in cache.rglob("*") if path.is_file()) <= 5000
    assert entries(cache)


def test_a_store_that_cannot_be_written_fails_no_job(texts: Path, tmp_path: Path, cache: Path) -> None:
    cache.write_text("a file where a folder should be")
    result = mr.run(Words(), lines_of(texts), engine="inline", incremental=True)
    assert result.notes == ["reused 0 of 5 splits"]


def test_a_file_that_changes_under_the_job_is_not_kept(texts: Path, cache: Path) -> None:
    class Rewrites(mr.Job):
        reduce = mr.Sum()

        def map(self, line: str) -> Iterator[tuple[str, int]]:
            path = texts / "4.txt"
            status = path.stat()
            path.write_text(path.read_text().replace("w", "v"))
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))  # even where the time does not tell
            yield line, 1

    mr.run(Rewrites(), lines_of(texts), engine="inline", incremental=True)
    assert len(entries(cache)) == 4


def test_runs_at_the_same_time(texts: Path, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They share a store that is so small that each removes what the others use."""
    import subprocess
    import sys

    program = textwrap.dedent(
        """
        import sys
        import mapreduce as mr
        from tests.test_incremental import Words, lines_of
        for _ in range(4):
            result = mr.run(Words(), lines_of(sys.argv[1]), engine="inline", incremental=True)
            print(sorted(result.records()))
        """
    )
    monkeypatch.setenv("MAPREDUCE_KEPT_SIZE", "6KB")
    root = str(Path(__file__).parent.parent)
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", program, texts],
            env={**os.environ, "PYTHONPATH": root},
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )
        for _ in range(3)
    ]
    printed = {line for run in runs for line in run.communicate(timeout=50)[0].splitlines()}
    assert [run.returncode for run in runs] == [0, 0, 0]
    expected = mr.run(Words(), lines_of(texts), engine="inline", incremental=True)
    assert printed == {str(sorted(expected.records()))}


@pytest.mark.parametrize("seed", range(4))
def test_random_edits(seed: int, texts: Path, tmp_path: Path) -> None:
    generator = random.Random(seed)
    job = [Words(), MapOnly(), FloatSum(), Listed()][seed]
    desk = desk_of(tmp_path, texts, job, split_size=200, reducers=2)
    for _ in range(5):
        files = sorted(texts.iterdir())
        path = generator.choice(files)
        match generator.choice(["add", "append", "change", "remove", "rename", "swap"]):
            case "add":
                write(texts / f"{generator.randrange(100)}.txt", seed=generator.randrange(100))
            case "append":
                path.write_text(path.read_text().rstrip("\n") + generator.choice(["y", "\ny", "\ny\n"]))
            case "change":
                data = bytearray(path.read_bytes())
                data[generator.randrange(len(data))] = generator.choice(b"a7\n")
                path.write_bytes(data)
            case "remove" if len(files) > 1:
                path.unlink()
            case "rename":
                path.rename(texts / f"{generator.randrange(100, 200)}.txt")
            case _:
                other = generator.choice(files)
                first, second = path.read_bytes(), other.read_bytes()
                path.write_bytes(second)
                other.write_bytes(first)
        desk.run()
