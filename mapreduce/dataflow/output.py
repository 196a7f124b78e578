"""Where do a task's final pairs go? Into files that nobody sees until the attempt is committed.

```text
_job/attempts/1-0-0/part                 an attempt writes its pairs here (and 1-0-0/rejects/part for a named output)
        | commit: rename, once
part-00000.tsv   rejects/part-00000.tsv
```
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mapreduce.dataflow.attempt import Attempt
from mapreduce.dataflow.results import Output
from mapreduce.errors import JobError
from mapreduce.job import Named
from mapreduce.storage.paths import JobPaths
from mapreduce.storage.store import LocalStore, explained

if TYPE_CHECKING:
    from typing import BinaryIO

    import pyarrow as pa

    from mapreduce.formats.base import RecordWriter

WRITE_BYTES = 1 << 20


class PartWriter:
    """Writes one attempt's pairs; `close` makes them ready to commit, `abort` removes them."""

    def __init__(self, attempt: Attempt) -> None:
        self.attempt = attempt
        self.folder = JobPaths(attempt.context.root).attempt(attempt.id)
        self.store = LocalStore(attempt.context.root)
        self.path = Path(attempt.context.root, self.folder)
        self.files: dict[str, BinaryIO] = {}
        self.writers: dict[str, RecordWriter] = {}
        with explained(self.store, self.folder, 0):
            shutil.rmtree(self.path, ignore_errors=True)  # of an attempt with this number before a restart
            self.path.mkdir(parents=True)
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
        with explained(self.store, self.folder, 0):
            for name, file in self.files.items():
                self.writers[name].close()
                file.flush()
                if self.attempt.context.durable:
                    os.fsync(file.fileno())
                size += file.tell()
                file.close()
        return Output(path=self.folder, bytes=size)

    def abort(self) -> None:
        for file in self.files.values():
            file.close()
        shutil.rmtree(self.path, ignore_errors=True)

    def _named(self, name: str) -> RecordWriter:
        writer = self.writers.get(name)
        if writer is None:
            if not name.isidentifier() and not name.replace("-", "_").isidentifier():
                raise JobError(f"{name!r} is no name for an output; use letters, digits, - and _")
            writer = self._open(name)
        return writer

    def _open(self, name: str) -> RecordWriter:
        from mapreduce.dataflow.records import open_part_writer

        with explained(self.store, self.folder, 0):
            folder = self.path / name
            folder.mkdir(exist_ok=True)
            self.files[name] = open(folder / "part", "wb", buffering=WRITE_BYTES)
        self.writers[name] = open_part_writer(self.attempt.context.output_format, self.files[name])
        return self.writers[name]


def not_a_pair(thing: Any) -> JobError:
    return JobError(f"{thing!r:.100} is no (key, value) pair; yield pairs, or return one value for the key")


def commit_part(root: str, output: Output, number: int, suffix: str) -> None:
    """Give an attempt's files their final names. Harmless when done already: what was moved is not there to move."""
    assert output.path is not None
    folder = Path(root, output.path)
    with explained(LocalStore(root), output.path, 0):
        for file in sorted(folder.rglob("part")) if folder.is_dir() else []:
            target = Path(root, file.parent.relative_to(folder), f"part-{number:05d}{suffix}")
            target.parent.mkdir(exist_ok=True)
            file.replace(target)
        shutil.rmtree(folder, ignore_errors=True)


def discard(root: str, output: Output) -> None:
    """Remove what an attempt wrote."""
    if output.path is None:
        return
    path = Path(root, output.path)
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
