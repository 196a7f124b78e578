"""Where do a task's final pairs go? Into files that nobody sees until the attempt is committed.

```text
_job/attempts/1-0-0/part                 an attempt writes its pairs here (and 1-0-0/rejects/part for a named output)
        | commit: rename, once
part-00000.tsv   rejects/part-00000.tsv
```
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from contextlib import suppress
from io import BufferedWriter
from typing import TYPE_CHECKING, Any

from mapreduce.dataflow.attempt import Attempt
from mapreduce.dataflow.results import Output
from mapreduce.errors import JobError, ResourceError
from mapreduce.job import Named
from mapreduce.storage.paths import JobPaths
from mapreduce.storage.store import ExplainedFile, explained, open_store

if TYPE_CHECKING:
    import pyarrow as pa

    from mapreduce.formats.base import RecordWriter

WRITE_BYTES = 1 << 20
PART = "part"


class PartWriter:
    """Writes one attempt's pairs; `close` makes them ready to commit, `abort` removes them."""

    def __init__(self, attempt: Attempt) -> None:
        self.attempt = attempt
        self.folder = JobPaths(attempt.context.root).attempt(attempt.id)
        self.store = open_store(attempt.context.root, early=attempt.context.durable)
        self.files: dict[str, BufferedWriter] = {}
        self.writers: dict[str, RecordWriter] = {}
        with explained(self.store, self.folder):
            self.store.remove(self.folder)  # of an attempt with this number before a restart
        self.main = self._open("")

    def write_pairs(self, pairs: Iterable[Any]) -> None:
        """Write (key, value) pairs, and Named ones to their own output."""
        write, monitor, written = self.main.write, self.attempt.monitor, 0
        for pair in pairs:
            if isinstance(pair, Named):
                self._named(pair.output).write(pair.key, pair.value)
            elif isinstance(pair, tuple) and len(pair) == 2:
                write(pair[0], pair[1])
            else:
                raise not_a_pair(pair)
            written += 1
        monitor.records_out += written

    def write_columns(self, keys: pa.Array, values: pa.Array) -> None:
        self.main.write_columns(keys, values)
        self.attempt.monitor.records_out += len(keys)

    def close(self) -> Output:
        """Finish the files and, where the output is kept, see that they rest on disk."""
        size = 0
        for name, file in self.files.items():
            self.writers[name].close()
            size += file.tell()
            file.close()
        if self.attempt.context.durable:
            self._sync()
        return Output(path=self.folder, bytes=size)

    def _sync(self) -> None:
        """Files first, then the folders that name them."""
        with explained(self.store, self.folder):
            for name in self.files:
                self.store.sync(self._path(name))
            for name in self.files:
                self.store.sync(posixpath.dirname(self._path(name)))
            self.store.sync(posixpath.dirname(self.folder))

    def abort(self) -> None:
        for file in self.files.values():
            with suppress(OSError, ResourceError):  # closing writes what is buffered, which may fail as before
                file.close()
        with suppress(OSError):  # what can't be removed goes with `_job`
            self.store.remove(self.folder)

    def _path(self, name: str) -> str:
        return posixpath.join(self.folder, name, PART)

    def _named(self, name: str) -> RecordWriter:
        writer = self.writers.get(name)
        if writer is None:
            if not name.isidentifier() and not name.replace("-", "_").isidentifier():
                raise JobError(f"{name!r} is no name for an output; use letters, digits, - and _")
            writer = self._open(name)
        return writer

    def _open(self, name: str) -> RecordWriter:
        from mapreduce.dataflow.records import open_part_writer

        path = self._path(name)
        with explained(self.store, path):
            raw = ExplainedFile(self.store, path, self.store.create(path))
        self.files[name] = BufferedWriter(raw, WRITE_BYTES)
        self.writers[name] = open_part_writer(self.attempt.context.output_format, self.files[name])
        return self.writers[name]


def not_a_pair(thing: Any) -> JobError:
    return JobError(f"{thing!r:.100} is no (key, value) pair; yield pairs, or return one value for the key")


def commit_part(root: str, output: Output, number: int, suffix: str) -> None:
    """Give an attempt's files their final names. Harmless when done already: what was moved is not there to move.

    The empty folder stays until the job ends: its removal could reach the disk before the new names do.
    """
    assert output.path is not None
    store, paths = open_store(root), JobPaths(root)
    with explained(store, output.path):
        for path in store.files(output.path):
            name = posixpath.dirname(posixpath.relpath(path, output.path))
            store.rename(path, paths.part(number, suffix, name))


def discard(root: str, output: Output) -> None:
    """Remove what an attempt wrote."""
    if output.path is None:
        return
    with suppress(OSError):  # what can't be removed goes with `_job`
        open_store(root).remove(output.path)
