"""Which map outputs of earlier runs does this run take over, and which of its own does it leave for the next?

```text
split --bytes--> hash --\\
                         >-- key --> kept?  yes: its files are linked into _job/, and the tracker is told, as of an
job, settings --hash----/                        earlier run of the same job, that the map is done
                                     no: it is mapped; when it is committed, its files are linked into the store
```

The key does not hold the name of the file nor where the split stands in it, unless records or the job's code tell of
that: so a file may be renamed, moved, or have something appended to it. A map output depends on its split and the job
alone, so the reduce tasks see what they would see in a fresh run, and make the same bits.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mapreduce.dataclass import replace
from mapreduce.dataflow.results import Output
from mapreduce.dataflow.skipping import COUNTER
from mapreduce.engines.job_key import key_of_job, looks_at_places
from mapreduce.engines.split_contents import Content, contents_of
from mapreduce.errors import InternalError, MapReduceError, UsageError
from mapreduce.formats.base import InputFile
from mapreduce.formats.inputs import is_on_hosts
from mapreduce.ids import AttemptId, TaskId, WorkerId
from mapreduce.storage.host_paths import split_path
from mapreduce.storage.kept_outputs import Kept, KeptOutputs, kept_folder, most_kept_bytes
from mapreduce.storage.paths import JobPaths
from mapreduce.storage.split_hashes import SplitHashes, Stamp
from mapreduce.tracker.events import AttemptFailed, AttemptFinished, Event, OutputLost
from mapreduce.tracker.journal import decode_event, encode_event
from mapreduce.wire.host_files import TRACKER

if TYPE_CHECKING:
    from mapreduce.dataflow.job_work import JobWork
    from mapreduce.engines.prepared import Prepared

logger = logging.getLogger(__name__)

NOBODY = WorkerId(-1)
"""The worker of an attempt that was made by another run."""


def check_inputs(files: Sequence[InputFile]) -> None:
    """Refuse inputs of which this host can't tell what has changed. Raises UsageError."""
    for file in files:
        if is_on_hosts(file.path):
            raise UsageError(
                f"--incremental (incremental=True) can't tell which parts of {file.path} have changed, as they lie on "
                "other hosts; leave it out, or name the files by a path at which the tracker's host sees them, too"
            )


def reuse_kept(prepared: Prepared) -> Keeper:
    """Find the kept outputs of the job's splits, put them in place, and say so in `prepared.past`, the journal and the
    notes. The Keeper that comes back keeps what this run makes: give it to the driver as its journal."""
    work, settings = prepared.work, prepared.context.settings
    folder = kept_folder()
    keeper = Keeper(prepared, KeptOutputs(folder), most_kept_bytes(folder))
    if work.sampled:
        prepared.notes.append(
            "reused nothing: where the parts of a sorted output begin depends on the whole input "
            "(with --reducers 1 map outputs are reused)"
        )
        return keeper
    contents = contents_of(
        prepared.context.format,
        work.splits,
        SplitHashes(folder / "files"),
        placed=looks_at_places(work.context.job),
    )
    keeper.expect(key_of_job(prepared.context), contents)
    begun = {event.attempt.task for event in prepared.past if isinstance(event, AttemptFinished | AttemptFailed)}
    begun |= {event.task for event in prepared.past if isinstance(event, OutputLost)}
    for index in range(len(work.splits)):
        if TaskId(work.map_stage, index) not in begun:
            keeper.reuse(index, fresh=settings.fresh)
    keeper.tell()
    return keeper


class Keeper:
    """Takes map outputs from the store and gives it new ones. The driver's journal: it is told of every commit and of
    every loss, and hands on what it is told. What fails in keeping is logged, and nothing else."""

    def __init__(self, prepared: Prepared, store: KeptOutputs, most_bytes: int) -> None:
        self.reused: set[int] = set()
        self._prepared = prepared
        self._store = store
        self._most_bytes = most_bytes
        self._work: JobWork = prepared.work
        self._keys: list[str | None] = [None] * len(self._work.splits)
        self._contents: Sequence[Content | None] = ()
        self._kept_bytes = 0
        self._keeps = True
        self._note: int | None = None

    def expect(self, job_key: str, contents: Sequence[Content | None]) -> None:
        """From now on the splits have these contents."""
        self._contents = contents
        self._keys = [None if content is None else _key(job_key, content.hash) for content in contents]

    def reuse(self, index: int, *, fresh: bool) -> None:
        """Put the kept output of a split in place, if there is one and it is whole."""
        key = self._keys[index]
        if key is None or not self._keeps:
            return
        try:
            if fresh:
                self._store.drop(key)
                return
            kept = self._store.find(key)
            event = None if kept is None else self._put(index, kept)
        except OSError as error:
            self._give_up(error)
            return
        if event is not None:
            self.reused.add(index)
            self._prepared.past.append(event)
            if self._prepared.journal is not None:
                self._prepared.journal.append(event)

    def tell(self) -> None:
        """A note for the summary; after a loss the same note tells less."""
        splits = len(self._work.splits)
        text = f"reused {len(self.reused):,} of {splits:,} split{'' if splits == 1 else 's'}"
        if self._note is None:
            self._note = len(self._prepared.notes)
            self._prepared.notes.append(text)
        self._prepared.notes[self._note] = text

    def append(self, event: Event) -> None:
        """An event that matters: a commit or a loss."""
        if self._prepared.journal is not None:
            self._prepared.journal.append(event)
        if isinstance(event, AttemptFinished) and event.attempt.task.stage == self._work.map_stage:
            self._keep(event)
        elif isinstance(event, OutputLost):
            self._lose(event.task)
        elif isinstance(event, AttemptFailed):
            for task in event.failure.lost:
                self._lose(task)

    def sync(self) -> None:
        """What the journal was told rests on disk."""
        if self._prepared.journal is not None:
            self._prepared.journal.sync()

    def close(self) -> None:
        """Let the store take no more than it may. A second call is harmless."""
        if self._kept_bytes:
            self._kept_bytes = 0
            try:
                self._store.shrink(self._most_bytes, time.time())
            except OSError as error:
                self._give_up(error)

    def _put(self, index: int, kept: Kept) -> AttemptFinished | None:
        attempt = AttemptId(TaskId(self._work.map_stage, index), 0)
        try:
            made = decode_event(kept.facts.encode("ascii"))
        except (InternalError, UnicodeEncodeError):  # of a version that wrote other events
            made = None
        if not isinstance(made, AttemptFinished):
            self._store.drop(kept.key)
            return None
        output = made.result.output
        if output.path is not None:
            root = self._prepared.context.root
            output = replace(output, path=self._path(attempt))
            if not self._store.take(kept, Path(root, str(output.path)), copied=self._work.map_only):
                return None
            if self._work.map_only and self._prepared.context.durable:
                self._sync(output)
        stats = replace(made.result.stats, seconds=0.0, cpu_seconds=0.0, peak_memory_bytes=0)  # it cost nothing now
        return AttemptFinished(0.0, attempt, NOBODY, replace(made.result, output=output, stats=stats))

    def _path(self, attempt: AttemptId) -> str:
        paths = JobPaths(self._prepared.context.root)
        if self._work.map_only:
            return paths.attempt(attempt)
        return paths.partial(attempt) if self._work.fold else paths.segment(attempt)

    def _sync(self, output: Output) -> None:
        """What is about to become a part rests on disk, as if a worker had written it here."""
        from mapreduce.storage.store import open_store

        store = open_store(self._prepared.context.root)
        for path in store.files(str(output.path)):
            store.sync(path)
            store.sync(path.rpartition("/")[0])

    def _keep(self, event: AttemptFinished) -> None:
        index = event.attempt.task.index
        key = self._keys[index]
        if key is None or not self._keeps or COUNTER in event.result.counters or not self._is_still(index):
            return  # of records that were skipped there is a file that names their places
        path = event.result.output.path
        hosts, rest = split_path(path or "")
        if hosts and TRACKER not in hosts:
            return  # it lies on others
        try:
            files = _files(Path(self._prepared.context.root, rest)) if path is not None else {}
            facts = encode_event(event).decode("ascii")
            self._kept_bytes += 1 + self._store.keep(key, facts, files, hashed=self._work.map_only)
        except (OSError, MapReduceError) as error:
            self._give_up(error)
        if self._kept_bytes > self._most_bytes:
            self._keeps = False
            logger.info("no further map outputs are kept: these take as much as may be kept (MAPREDUCE_KEPT_SIZE)")

    def _is_still(self, index: int) -> bool:
        """Whether the split holds what it was found to hold before it was mapped."""
        content, path = self._contents[index], self._work.splits[index].file.path
        if content is None or Stamp.of(path) != content.file.stamp:
            return False
        if not content.file.is_racy:
            return True
        again = SplitHashes(self._store.folder / "files").hash_pieces(path, [content.piece])
        return again is not None and content.hash.startswith(again.hashes[0])

    def _lose(self, task: TaskId) -> None:
        """An output can't be read: if it was a kept one, that is damaged."""
        key = self._keys[task.index] if task.stage == self._work.map_stage else None
        if key is None:
            return
        try:
            self._store.drop(key)
        except OSError as error:
            self._give_up(error)
        if task.index in self.reused:
            self.reused.discard(task.index)
            self.tell()

    def _give_up(self, error: Exception) -> None:
        if self._keeps:
            self._keeps = False
            logger.warning("no map outputs are reused or kept from here on: %s", str(error))


def _key(job_key: str, content: str) -> str:
    import xxhash

    return str(xxhash.xxh3_128_hexdigest(f"{job_key}\0{content}".encode("utf-8", "surrogateescape")))


def _files(path: Path) -> dict[str, Path]:
    """The files of an output by their names in it; one that is a file itself has the name ""."""
    if not path.is_dir():
        return {"": path}
    return {str(file.relative_to(path)): file for file in sorted(path.rglob("*")) if file.is_file()}
