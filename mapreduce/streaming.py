"""How do scripts in any language become a job? As Hadoop Streaming does it, so that its scripts run unchanged.

```text
a split's lines -> mapper -> key<TAB>value lines, sorted by key -> reducer -> key<TAB>value lines
                                          |
                                 combiner (optional, on each sorted run)
```

The mapper runs once a split, the reducer once a partition over all of its sorted lines. What stands before the first
tab of a line is the key, the rest the value; a line without a tab is a key without a value. Keys are bytes and
compare as bytes. Lines `reporter:counter:GROUP,NAME,AMOUNT` on a script's stderr count; what else it says there reaches
the job's log. A script that ends with another code than 0 fails its attempt with its last lines.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from mapreduce.errors import JobError, UsageError
from mapreduce.job import Job

LINES_AT_ONCE = 2_000
"""Pairs that are joined before they go into a pipe: a system call for each would cost more than the script."""

LAST_LINES = 20
"""Of a script's stderr, kept for the message if it fails."""

NOT_RUN = (126, 127)
"""A shell's exit codes for a command that it can't run: another attempt can't either."""

Pair = tuple[bytes, bytes | None]
"""A value of None: the line has no tab. So what a script wrote is what the output holds."""


def streaming_job(mapper: str | None, reducer: str | None, combiner: str | None = None) -> Job:
    """The job of these commands, which the shell runs. No mapper maps a line to itself; the reducer 'NONE' makes a job
    without reduce, no reducer one that only sorts. Raises UsageError for a combiner without a reducer."""
    if (reducer or "").upper() == "NONE":
        if combiner:
            raise UsageError("a combiner without a reducer has nothing to do; leave out --combiner or --reducer NONE")
        return StreamingMap(mapper)
    return CombinedStreaming(mapper, reducer, combiner) if combiner else Streaming(mapper, reducer)


class StreamingMap(Job):
    """The mapper alone: its lines are the output, in input order."""

    input_format = "text"
    output_format = "text"

    def __init__(self, mapper: str | None) -> None:
        self.mapper = mapper

    def map(self, line: Any) -> Iterable[Pair]:
        """One line on its own, where there is no script to run: the engine calls `map_stream` for whole splits."""
        if self.mapper is not None:
            raise UsageError("a streaming job has no keys before its mapper ran, so it can't be sorted over all parts")
        data = line if isinstance(line, bytes) else str(line).encode("utf-8", "surrogateescape")
        return [_pair(data)]

    def map_stream(self, lines: Iterator[bytes]) -> Iterator[Pair]:
        """A split's pairs; `lines` are whole lines in pieces of any size."""
        ended = _ended(lines)
        return self._piped("mapper", self.mapper, ended)

    def _piped(self, role: str, command: str | None, chunks: Iterator[bytes]) -> Iterator[Pair]:
        if command is None:
            return _pairs(chunks)
        from mapreduce.pipes import pipe_through

        told = _Told(self)
        return _pairs(_checked(role, command, pipe_through(command, chunks, told.hear), told))


class Streaming(StreamingMap):
    """Mapper and reducer."""

    def __init__(self, mapper: str | None, reducer: str | None) -> None:
        super().__init__(mapper)
        self.reducer = reducer

    def reduce_stream(self, pairs: Iterator[Pair]) -> Iterator[Pair]:
        """What the reducer makes of a partition's pairs, which come sorted by key; it is not run where none are."""
        return self._reduced("reducer", self.reducer, pairs)

    def _reduced(self, role: str, command: str | None, pairs: Iterator[Pair]) -> Iterator[Pair]:
        if command is None:
            return pairs
        first = list(islice(pairs, 1))
        if not first:
            return iter(())
        return self._piped(role, command, _lines(first, pairs))


class CombinedStreaming(Streaming):
    """Mapper, combiner and reducer."""

    def __init__(self, mapper: str | None, reducer: str | None, combiner: str) -> None:
        super().__init__(mapper, reducer)
        self.combiner = combiner

    def combine_stream(self, pairs: Iterator[Pair]) -> Iterator[Pair]:
        """What the combiner makes of a sorted run of one map task. Its output is sorted again by the engine."""
        return self._reduced("combiner", self.combiner, pairs)


class _Told:
    """What a script says on stderr: counters, the last lines, and the rest for the log."""

    def __init__(self, job: Job) -> None:
        self.last: deque[str] = deque(maxlen=LAST_LINES)
        self._job = job
        self._unfinished = b""

    def hear(self, data: bytes) -> None:
        """Take what was read; b'' at the end."""
        *lines, self._unfinished = (self._unfinished + data).split(b"\n")
        if not data and self._unfinished:
            lines, self._unfinished = [self._unfinished], b""
        for line in lines:
            self._take(line.decode("utf-8", "replace"))

    def _take(self, line: str) -> None:
        kind, _, rest = line.partition(":")[2].partition(":") if line.startswith("reporter:") else ("", "", "")
        if kind == "counter":
            words = rest.split(",")
            if len(words) == 3 and words[2].strip().lstrip("+-").isdigit():
                self._job.count(f"{words[0]}.{words[1]}", int(words[2]))
                return
        if kind != "status":
            self.last.append(line)
            sys.stderr.write(line + "\n")


def _checked(role: str, command: str, output: Iterator[bytes | int], told: _Told) -> Iterator[bytes]:
    """The output's bytes; the exit code, which comes last, is looked at. Raises JobError or UsageError."""
    for item in output:
        if isinstance(item, bytes):
            yield item
        elif item:
            ended = f"was killed by signal {-item}" if item < 0 else f"ended with exit code {item}"
            last = "".join(f"\n  {line}" for line in told.last) or "\n  (it said nothing on stderr)"
            if item in NOT_RUN:
                raise UsageError(f"the {role} {command!r} can't be run:{last}")
            raise JobError(f"the {role} {command!r} {ended}; its last lines on stderr:{last}")


def _pair(line: bytes) -> Pair:
    key, tab, value = line.partition(b"\t")
    return key, value if tab else None


def _pairs(chunks: Iterator[bytes]) -> Iterator[Pair]:
    """Pairs from bytes in pieces that end anywhere."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from map(_pair, lines)
    if rest:
        yield _pair(rest)


def _ended(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The same, with a newline where a file's last line lacks one: scripts must not meet two lines as one."""
    for chunk in chunks:
        yield chunk if chunk.endswith(b"\n") else chunk + b"\n"


def _lines(first: list[Pair], pairs: Iterator[Pair]) -> Iterator[bytes]:
    """As Hadoop gives them to a reducer: with a tab, even where there is no value."""
    batch = first
    while batch:
        yield b"".join([b"%b\t%b\n" % (key, value or b"") for key, value in batch])
        batch = list(islice(pairs, LINES_AT_ONCE))
