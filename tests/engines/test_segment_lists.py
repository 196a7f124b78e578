"""Are reduce tasks told where all segments are, without being told each time?"""

from __future__ import annotations

import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import mapreduce as mr
from mapreduce.dataflow.attempt import FoldMapSpec, ReduceSpec
from mapreduce.engines.injuries import Fault, FaultKind, Injured, Moment
from mapreduce.engines.segment_lists import LISTED_FROM, ListedReduce, SegmentLists, keep_list
from mapreduce.errors import ResourceError
from mapreduce.formats.base import Extent, InputFile, Split
from mapreduce.ids import AttemptId, TaskId, WorkerId
from mapreduce.tracker.executor import Ready
from mapreduce.wire.messages import Kind, Message
from tests.engines.lived import Words, make_lines
from tests.engines.test_hub import Scene
from tests.faults.killed_runs import hash_of

MANY = 1000


def reduce_of(partition: int, maps: int = MANY, **moved: str) -> ReduceSpec:
    """Segments of so many maps; of some, by number, on other hosts."""
    tasks = tuple(TaskId(0, number) for number in range(maps))
    paths = tuple(f"@{moved.get(f'at{number}', 'a')}/_job/segments/0-{number}-0.seg" for number in range(maps))
    return ReduceSpec(partition, tasks, paths, tuple(hash(path) & 0xFFFFFFFF for path in paths))


def read_by(root: Path, spec: Any, monkeypatch: pytest.MonkeyPatch) -> ReduceSpec:
    """The spec that a worker carries out in the end."""
    seen: list[ReduceSpec] = []
    monkeypatch.setattr("mapreduce.engines.segment_lists.body_of", lambda _: lambda attempt, spec: seen.append(spec))
    spec.run(SimpleNamespace(context=SimpleNamespace(root=str(root))))
    return seen[0]


def keep(root: Path, lists: SegmentLists) -> None:
    for number, data in enumerate(lists.lists):
        keep_list(str(root), f"{lists.name}-{number}", data)


def test_what_has_been_told_is_not_told_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lists = SegmentLists("ab12")
    first, second = lists.shorten(reduce_of(0)), lists.shorten(reduce_of(1))
    assert len(lists.lists) == 1
    moved = reduce_of(2, at7="b")  # a map ran again, elsewhere
    third = lists.shorten(moved)
    assert len(lists.lists) == 2 and len(lists.lists[1]) < 200
    assert all(len(pickle.dumps(spec, protocol=5)) < 150 for spec in (first, second, third))
    keep(tmp_path, lists)
    assert read_by(tmp_path, second, monkeypatch) == reduce_of(1)
    assert read_by(tmp_path, third, monkeypatch) == moved
    assert read_by(tmp_path, first, monkeypatch) == reduce_of(0)  # which it was told before the other


def test_also_where_another_spec_is_around_it() -> None:
    lists = SegmentLists("ab12")
    fault = Fault(FaultKind.KILL, Moment.START, 0.0)
    assert lists.shorten(Injured(reduce_of(0), fault)) == Injured(ListedReduce(0, "ab12", 1), fault)


def test_what_is_short_travels_as_it_is() -> None:
    lists = SegmentLists("ab12")
    few = reduce_of(0, LISTED_FROM - 1)
    fold = FoldMapSpec(Split(0, InputFile("a.txt", 1, 0), Extent(0, 0, 1)))
    assert [lists.shorten(spec) for spec in (few, fold, Injured(fold, Fault(FaultKind.SLOW, Moment.START, 0)))] == [
        few,
        fold,
        Injured(fold, Fault(FaultKind.SLOW, Moment.START, 0)),
    ]
    lists.shorten(reduce_of(0))
    assert lists.shorten(reduce_of(1, MANY - 1)) == reduce_of(1, MANY - 1)  # not all that were listed
    assert len(lists.lists) == 1


def test_another_run_has_other_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, host in (("ab12", "a"), ("cd34", "b")):
        lists = SegmentLists(name)
        spec = reduce_of(0, at3=host)
        short = lists.shorten(spec)
        keep(tmp_path, lists)
        assert read_by(tmp_path, short, monkeypatch) == spec


def test_a_list_that_could_not_be_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ResourceError, match=r"list of segments .*ef56-0 can't be read: No such file.* has space"):
        read_by(tmp_path, ListedReduce(0, "ef56", 1), monkeypatch)
    with pytest.raises(ValueError, match="no name"):
        keep_list(str(tmp_path), "../ef56-0", b"")


def test_each_host_is_told_once_in_a_session() -> None:
    scene = Scene()
    workers: dict[bytes, WorkerId] = {}

    def join(peer: bytes) -> None:
        for report in scene.join(peer, peer.decode()):
            if isinstance(report, Ready):
                workers[peer] = report.worker

    join(b"A")
    join(b"B")
    lists = SegmentLists("ab12")

    def told(peer: bytes, partition: int) -> list[Kind]:
        data = pickle.dumps(lists.shorten(reduce_of(partition)), protocol=5)
        scene.hub.start(scene.job, AttemptId(TaskId(1, partition), 0), workers[peer], data, lists)
        scene.wait()
        return [kind for kind in scene.wire.kinds(peer) if kind in (Kind.LIST, Kind.START)]

    both = [Kind.LIST, Kind.START]
    assert [told(b"A", 0), told(b"B", 1), told(b"A", 2)] == [both, both, [Kind.START]]
    scene.say(b"A", Message(Kind.BYE))
    scene.wait()
    join(b"A")
    assert told(b"A", 3) == both


def test_a_job_of_many_maps_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_lines(tmp_path, 700)
    settings: dict[str, Any] = {"split_size": 80, "reducers": 4}
    shortened: list[Any] = []
    shorten = SegmentLists.shorten

    def noted(self: SegmentLists, spec: Any) -> Any:
        shortened.append(shorten(self, spec))
        return shortened[-1]

    monkeypatch.setattr(SegmentLists, "shorten", noted)
    with mr.Engine("cluster", hosts="localhost:1,localhost:1") as engine:
        engine.run(Words(), mr.read_text(path), output=tmp_path / "out", **settings)
    listed = [spec for spec in shortened if isinstance(spec, ListedReduce)]
    assert {spec.partition for spec in listed} == {0, 1, 2, 3}  # a backup attempt may list one again
    mr.run(Words(), mr.read_text(path), output=tmp_path / "expected", engine="inline", **settings)
    assert hash_of(tmp_path / "out") == hash_of(tmp_path / "expected")
