"""Do the built-in jobs write the same bytes, whoever does the work?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import mapreduce as mr
from algorithms.cooccurrence import CoOccurrence
from algorithms.distinct import Distinct
from algorithms.grep import Grep
from algorithms.histogram import Histogram
from algorithms.inverted_index import InvertedIndex
from algorithms.join import Join
from algorithms.mean_by_key import MeanByKey
from algorithms.ngrams import NGrams
from algorithms.sort import SortLines, SortRecords
from algorithms.top_k import TopK
from algorithms.wordcount import WordCount, WordCountColumns
from tests.algorithms.conftest import Engines, digest
from tests.conftest import ROOT

Read = Callable[[Path], mr.Dataset]


def text(data: Path) -> mr.Dataset:
    return mr.read_text(data / "text.txt")


def flights(data: Path) -> mr.Dataset:
    return mr.read_csv(data / "flights.csv")


def tables(data: Path) -> mr.Dataset:
    return mr.union(left=mr.read_csv(data / "airlines.csv"), right=flights(data))


JOBS: list[tuple[mr.Job | mr.Chain, Read]] = [
    (WordCount(), text),
    (WordCountColumns(), text),
    (Grep("the"), text),
    (Distinct(), text),
    (SortLines(), text),
    (SortRecords(10, 4), lambda data: mr.read_fixed(data / "text.txt", width=10)),
    (InvertedIndex(), lambda data: mr.read_whole(data / "text.txt", data / "flights.csv", data / "airlines.csv")),
    (NGrams(), text),
    (CoOccurrence(), text),
    (TopK(), text),
    (Histogram("dep_delay", 5), flights),
    (Join("carrier"), tables),
    (MeanByKey("tailnum", "dep_delay"), flights),
]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first pages of real data: a job takes a moment."""
    folder = tmp_path_factory.mktemp("small")
    for name, source, size in (("text.txt", "hamlet.txt", 40_000), ("flights.csv", "flights.csv", 40_000)):
        data = (ROOT / "data" / source).read_bytes()[:size]
        (folder / name).write_bytes(data if name == "text.txt" else data[: data.rindex(b"\n") + 1])
    (folder / "airlines.csv").write_bytes((ROOT / "data" / "airlines.csv").read_bytes())
    return folder


@pytest.mark.parametrize(("job", "read"), JOBS, ids=[type(job).__name__ for job, _ in JOBS])
def test_same_bytes_for_any_number_of_workers(
    job: mr.Job | mr.Chain, read: Read, engines: Engines, small: Path, tmp_path: Path
) -> None:
    digests = set()
    for workers, engine in engines.items():
        out = tmp_path / str(workers)
        engine.run(job, read(small), output=out, split_size="9KB", reducers=3)
        digests.add(digest(out))
    out = tmp_path / "inline"
    mr.run(job, read(small), output=out, engine="inline", split_size="9KB", reducers=3)
    digests.add(digest(out))
    assert len(digests) == 1
    assert any(path.stat().st_size for path in out.glob("part-*"))
