"""How does a fold reduce? In a binary tree that the input alone decides.

```text
split 0                 split 1
b0 b1  b2 b3  b4        b0 b1  b2          blocks, in file order
 \\/     \\/    |          \\/    |
   \\___/      |           \\___|          one map task: the tree of a split's blocks
     \\_______|             |
          \\________________/             reduce tasks: groups of 32 splits, each in a tree
```

A tree over n leaves pairs neighbours, (0,1), (2,3), ...; an odd one out moves up as it is. So the shape depends on n
only, never on who computed what or when.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

from mapreduce.dataflow.attempt import Attempt, FoldMapSpec, FoldReduceSpec
from mapreduce.dataflow.buffers import checksum_of, load_apart
from mapreduce.dataflow.mapped import in_block, placed, skipping_of
from mapreduce.dataflow.package import dump_apart, load_value
from mapreduce.dataflow.results import Output
from mapreduce.errors import EmptyInputError, OutputLostError
from mapreduce.job import method_of
from mapreduce.storage.mapping import DamagedError, read_file
from mapreduce.storage.paths import JobPaths
from mapreduce.storage.store import Store, map_whole, open_store, will_read, write_pieces

INLINE_BYTES = 16 << 10
"""A partial up to this size travels in the message; a file costs more than the bytes do."""


class TreeReducer:
    """Reduces partials, given in order, in the fixed tree, and holds only log2(n) of them at a time.

    `levels[k]` waits for its right neighbour: a partial of 2**k leaves. What is left at the end is joined from the
    right, smallest first, which is the tree's odd-one-out rule.
    """

    def __init__(self, reduce: Callable[[Any, Any], Any]) -> None:
        self.reduce = reduce
        self.levels: list[list[Any]] = []  # a list of one partial, or empty

    def add(self, partial: Any) -> None:
        for level in self.levels:
            if not level:
                level.append(partial)
                return
            partial = self.reduce(level.pop(), partial)
        self.levels.append([partial])

    def result(self) -> list[Any]:
        """[the one partial], or [] if none was added."""
        left: list[Any] = []
        for level in self.levels:
            if level:
                left = [self.reduce(level[0], left[0])] if left else [level[0]]
        return left


def run_map(attempt: Attempt, spec: FoldMapSpec) -> Output:
    """Map each block of the split, reduce the partials as they come."""
    context, job, monitor = attempt.context, attempt.job, attempt.monitor
    tree = TreeReducer(job.reduce)
    total = spec.split.extent.bytes
    with skipping_of(attempt) as skipper:
        for block in context.format.read_blocks(spec.split, context.settings.block_bytes):
            monitor.check()
            monitor.in_hand = in_block(block)
            with placed(block, monitor):
                partials = [job.map(block)] if skipper is None else skipper.map_block(job.map, block)
            for partial in partials:
                tree.add(partial)
            monitor.records_in += len(block)
            monitor.bytes_in = min(total, monitor.bytes_in + block.bytes)
        monitor.bytes_in = total
    monitor.in_hand = None
    result = tree.result()
    if result and (close_split := method_of(job, "close_split")) is not None:
        result = [close_split(result[0], spec.split.number)]
    return _keep(attempt, result)


def run_reduce(attempt: Attempt, spec: FoldReduceSpec) -> Output:
    """Reduce the partials of consecutive tasks; the last task of the plan makes the value."""
    job, monitor = attempt.job, attempt.monitor
    tree = TreeReducer(job.reduce)
    store = open_store(attempt.context.root)
    will_read(store, [(output.path, 0, output.bytes) for output in spec.partials if output.path is not None])
    for task, output in zip(spec.tasks, spec.partials, strict=True):
        monitor.check()
        for partial in _fetch(store, output, task):
            tree.add(partial)
        monitor.steps += 1
    result = tree.result()
    if not spec.last:
        return _keep(attempt, result)
    if not result:
        if not callable(getattr(job, "zero", None)):
            raise EmptyInputError(f"the input has no records, and {type(job).__name__} has no zero() to finish from")
        result = [job.zero()]
    return _keep(attempt, [job.finish(result[0])])


def _keep(attempt: Attempt, partial: list[Any]) -> Output:
    """Put away [a partial] or []: a small one in the message, a large one in a file that is named by its attempt. Its
    arrays are written from where they are."""
    apart = dump_apart(partial)
    attempt.monitor.records_out += len(partial)
    if not apart.buffers and len(apart.pickle) <= INLINE_BYTES:
        return Output(inline=apart.pickle, checksum=zlib.crc32(apart.pickle), bytes=len(apart.pickle))
    path = JobPaths(attempt.context.root).partial(attempt.id)
    pieces = apart.pieces()
    write_pieces(open_store(attempt.context.root), path, pieces, sync=attempt.context.durable)
    return Output(path=path, checksum=checksum_of(pieces), bytes=sum(map(len, pieces)))


def _fetch(store: Store, output: Output, task: Any) -> list[Any]:
    """The partial of a task. Arrays of one that lies in a file are on the file's memory: nothing is copied before
    somebody writes into them."""
    if output.inline is not None:
        if zlib.crc32(output.inline) != output.checksum:
            raise lost("the partial in the message is damaged", task)
        partial = load_value(output.inline)
    else:
        assert output.path is not None
        try:
            partial = load_apart(map_whole(store, output.path, output.bytes, output.checksum))
        except OSError as error:
            raise lost(f"the partial {output.path} can't be read: {error.strerror}", task) from None
        except DamagedError as error:
            raise lost(f"the partial {output.path} is damaged: {error}", task) from None
    assert isinstance(partial, list)
    return partial


def load_output(root: str, output: Output) -> Any:
    """The value that the last task of a fold finished with. Raises OutputLostError."""
    if output.inline is not None:
        return load_value(output.inline)[0]
    path = open_store(root).locate(str(output.path))
    try:
        return load_apart(read_file(path, output.bytes, output.checksum))[0]
    except (OSError, DamagedError) as error:
        raise OutputLostError(f"the value {path} can't be read: {error}") from error


def lost(message: str, task: Any) -> OutputLostError:
    error = OutputLostError(message)
    error.tasks = (task,)
    return error
