"""How does a reduce task on another host learn where all segments are, without being told each time?

    tracker --LIST 0, 1, ...--> agent --files--> its workers        once a host, and again for what has changed since
    tracker --START: 2 lists--> agent ---------> a worker            once an attempt

All reduce tasks of a job read the same segments, a partition of each. Which these are is sent as lists, each with what
is new against those before it; the spec that travels says only how many of them count. An agent keeps them as files
beside the segments, unopened. Compressed, a list takes 12 bytes a map instead of 53: paths are much alike.
"""

from __future__ import annotations

import os
import pickle
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mapreduce.dataclass import dataclass, replace
from mapreduce.dataflow.attempt import ReduceSpec
from mapreduce.dataflow.run_attempt import body_of
from mapreduce.errors import ResourceError
from mapreduce.ids import TaskId
from mapreduce.storage.paths import JOB

if TYPE_CHECKING:
    from mapreduce.dataflow.attempt import Attempt
    from mapreduce.dataflow.results import Output

LISTED_FROM = 50
"""Segments. With fewer a list is hardly longer than a message, and one that is not sent can't be missed."""


class Segment(NamedTuple):
    """Where the output of a map task is."""

    path: str
    checksum: int


@dataclass(frozen=True, slots=True)
class ListedReduce:
    """A ReduceSpec whose segments are those of the first `lists` lists of this name."""

    partition: int
    name: str
    lists: int

    def run(self, attempt: Attempt) -> Output:
        """The spec's body, with its segments. Raises ResourceError if a list is not here."""
        segments = _read_lists(attempt.context.root, self.name, self.lists)
        tasks = tuple(sorted(segments))
        found = [segments[task] for task in tasks]
        paths, checksums = tuple(each.path for each in found), tuple(each.checksum for each in found)
        spec = ReduceSpec(self.partition, tasks, paths, checksums)
        return body_of(spec)(attempt, spec)


class SegmentLists:
    """The tracker's side: the lists of one job, as they are sent. `name` tells them from those of its earlier runs."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lists: list[bytes] = []
        self._last: ReduceSpec | None = None
        self._known: dict[TaskId, Segment] = {}

    def shorten(self, spec: Any) -> Any:
        """The spec as it travels, for a host that has all lists: also where another is around it."""
        if isinstance(spec, ReduceSpec):
            return self._listed(spec) or spec
        inner = getattr(spec, "spec", None)
        listed = self._listed(inner) if isinstance(inner, ReduceSpec) else None
        return spec if listed is None else replace(spec, spec=listed)

    def _listed(self, spec: ReduceSpec) -> ListedReduce | None:
        if len(spec.tasks) < LISTED_FROM:
            return None
        last = self._last
        if last is None or (last.tasks, last.segments, last.checksums) != (spec.tasks, spec.segments, spec.checksums):
            self._enter(spec)
        if len(self._known) != len(spec.tasks):  # some that were read before are not read any more
            return None
        return ListedReduce(spec.partition, self.name, len(self.lists))

    def _enter(self, spec: ReduceSpec) -> None:
        self._last = spec
        now = zip(spec.tasks, map(Segment, spec.segments, spec.checksums), strict=True)
        new = [(task, segment) for task, segment in now if self._known.get(task) != segment]
        if not new:
            return
        self._known.update(new)
        tasks = tuple(task for task, _ in new)
        paths, checksums = tuple(each.path for _, each in new), tuple(each.checksum for _, each in new)
        self.lists.append(zlib.compress(pickle.dumps((tasks, paths, checksums), protocol=5)))


def keep_list(root: str, name: str, data: bytes | memoryview) -> None:
    """An agent's side: a list, `NAME-NUMBER`, for its workers. Raises ValueError for another name, and OSError."""
    if not name.replace("-", "").isalnum():
        raise ValueError(f"{name!r} is no name of a list")
    path = _place(root, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_bytes(data)
    os.replace(temporary, path)


def _place(root: str, name: str) -> Path:
    return Path(root, JOB, "lists", name)


_name = ""
_lists = 0
_segments: dict[TaskId, Segment] = {}


def _read_lists(root: str, name: str, lists: int) -> dict[TaskId, Segment]:
    """What the first lists of this name tell together; a worker reads each once."""
    global _name, _lists, _segments
    if name != _name or lists < _lists:
        _name, _lists, _segments = name, 0, {}
    while _lists < lists:
        path = _place(root, f"{name}-{_lists}")
        try:
            tasks, paths, checksums = pickle.loads(zlib.decompress(path.read_bytes()))
        except OSError as error:
            raise ResourceError(
                f"the list of segments {path} can't be read: {error.strerror}; see whether that disk has space"
            ) from error
        _segments.update(zip(tasks, map(Segment, paths, checksums), strict=True))
        _lists += 1
    return _segments
