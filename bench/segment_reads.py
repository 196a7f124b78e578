"""Would segments be read faster if they were mapped? A shuffle of 500 MB, without the sorting.

`python -m bench segment_reads`: 16 segments of eight partitions, in the page cache. Each partition is read by the
engine's own reader, which checks every byte, in a process of its own, and by three stores: one that reads (the
engine's), one that maps each file once and keeps it, one that maps what is asked for each time.
"""

from __future__ import annotations

import json
import mmap
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import chain

from mapreduce.settings import MiB
from mapreduce.storage.segment_format import Frame, FrameKind
from mapreduce.storage.segment_reader import open_segment
from mapreduce.storage.segment_writer import SegmentWriter
from mapreduce.storage.store import LocalStore

SEGMENTS, PARTITIONS, FRAMES = 16, 8, 4
FRAME_BYTES = MiB


class MappedStore(LocalStore):
    """Maps what is read."""

    def read(self, path: str, offset: int, size: int) -> bytes:
        return self.whole(path)[offset : offset + size]  # type: ignore[return-value]  # as good for the reader

    def whole(self, path: str) -> memoryview:
        handle = os.open(self.locate(path), os.O_RDONLY)
        try:
            return memoryview(mmap.mmap(handle, os.fstat(handle).st_size, access=mmap.ACCESS_READ))
        finally:
            os.close(handle)


class KeptStore(MappedStore):
    """Maps each file once."""

    def whole(self, path: str) -> memoryview:
        kept = _kept.get(path)
        if kept is None:
            kept = _kept[path] = MappedStore.whole(self, path)
        return kept


_kept: dict[str, memoryview] = {}
STORES = {"read": LocalStore, "mapped, kept": KeptStore, "mapped each time": MappedStore}


def table(rounds: int) -> str:
    """A row a store, the median of so many rounds, in turns."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in STORES}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(SEGMENTS):
            write_segment(LocalStore(folder), f"{number}.seg")
        for _ in range(rounds):
            for name, runs in found.items():
                command = [sys.executable, "-m", "bench.segment_reads", folder, name]
                done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=300)
                runs.append(tuple(json.loads(done.stdout)))
    size = SEGMENTS * PARTITIONS * FRAMES * FRAME_BYTES
    lines = [
        f"### Segments of one host, {size / 1e6:.0f} MB: read, or mapped",
        "",
        "| segments | CPU seconds | seconds | descriptors held |",
        "|---|---:|---:|---:|",
    ]
    for name, runs in found.items():
        cpu, seconds = (statistics.median(run[at] for run in runs) for at in (0, 1))
        held = {"read": "0", "mapped, kept": "one a segment", "mapped each time": "one a frame in use"}[name]
        lines.append(f"| {name} | {cpu:.3f} | {seconds:.3f} | {held} |")
    return "\n".join(lines) + "\n"


def write_segment(store: LocalStore, path: str) -> None:
    with SegmentWriter(store, path, PARTITIONS) as writer:
        for partition in range(PARTITIONS):
            for _ in range(FRAMES):
                writer.write(partition, Frame(FrameKind.ARROW, 1, os.urandom(FRAME_BYTES)))
        writer.finish()


def read_all(store: LocalStore) -> Iterator[Frame]:
    """As reduce tasks do: a partition of all segments, then the next."""
    names = store.files("")
    for partition in range(PARTITIONS):
        yield from chain.from_iterable(open_segment(store, name).frames(partition) for name in names)


def main(folder: str, name: str) -> None:
    store = STORES[name](folder)
    started, cpu = time.perf_counter(), time.process_time()
    total = sum(len(frame.payload) for frame in read_all(store))
    assert total == SEGMENTS * PARTITIONS * FRAMES * FRAME_BYTES
    print(json.dumps([time.process_time() - cpu, time.perf_counter() - started]))


if __name__ == "__main__":
    main(*sys.argv[1:])
