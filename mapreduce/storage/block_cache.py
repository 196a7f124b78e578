"""How do iterations read their input only once? The first job that reads a block leaves it for the next, as arrays.

Each form that jobs ask for (X, y, Arrow columns, records) gets one file a split, in the engine's own folder:

```text
7.X     the rows of all blocks one after the other, float64, as they lie in memory: later jobs map the file
7.json  rows of each block, and the shape of each form
```

The files are page cache that all workers share: nothing is copied to them, memory is given back under pressure, and a
block need not go to the worker that parsed it. A form is visible only once all blocks of its split are there.

A cache may be lost at any time: each process checks a file against its hash before it uses it, once, and what is
damaged or gone is read from the input again. Where the disk is full nothing more is kept.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import pickle
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self
from zlib import crc32

from mapreduce.dataclass import dataclass, replace
from mapreduce.errors import UsageError
from mapreduce.formats.base import Block, Extent, Format, InputFile, Split, Where
from mapreduce.storage.content_hash import hash_file

if TYPE_CHECKING:
    import pyarrow as pa

logger = logging.getLogger(__name__)

_mapped: dict[str, Any] = {}
"""Arrays that this process has mapped already: the second iteration faults no page again."""

_checked: set[str] = set()
"""Files of pickles that this process has compared with their hash."""


def forget_mapped(folder: str | Path) -> None:
    """Let go of the arrays of a cache that is closed: each holds a file, though that is removed."""
    for path in [path for path in _mapped if path.startswith(f"{folder}/")]:
        del _mapped[path]
    _checked.difference_update([path for path in _checked if path.startswith(f"{folder}/")])


class _DamagedError(Exception):
    """A file of the cache is not what was written."""


def _write_facts(path: str, facts: Any) -> None:
    """JSON behind its checksum, in one step."""
    text = json.dumps(facts)
    temporary = f"{path}.{os.getpid()}.tmp"
    Path(temporary).write_text(f"{crc32(text.encode()):08x} {text}")
    os.replace(temporary, path)


def _read_facts(path: str) -> Any:
    """Raises _DamagedError."""
    try:
        checksum, _, text = Path(path).read_bytes().partition(b" ")
    except OSError as error:
        raise _DamagedError(f"{path} can't be read: {error.strerror}") from None
    if checksum != b"%08x" % crc32(text):
        raise _DamagedError(f"{path} is damaged")
    return json.loads(text)


class _Form:
    """One form of one split: read from its file if it is complete, else gathered block by block."""

    suffix = ""

    def __init__(self, path: str) -> None:
        self.path = path
        self.complete = os.path.exists(path + ".json")
        self.sizes: list[int] = []
        self._file: Any = None
        self._digest: Any = None
        self._is_given_up = False

    def load(self, index: int) -> Any:
        """Block `index` of a complete form. Raises _DamagedError."""
        raise NotImplementedError

    def forget(self) -> None:
        """Remove what turned out to be damaged."""
        self.complete = False
        _mapped.pop(self.path, None)
        _checked.discard(self.path)
        for path in (self.path + ".json", self.path):
            Path(path).unlink(missing_ok=True)

    def append(self, index: int, value: Any) -> None:
        """Keep block `index`. Blocks come in order; one that was skipped makes the form incomplete."""
        if index != len(self.sizes) or self._is_given_up:
            return
        try:
            if self._file is None:
                from xxhash import xxh3_128

                self._file, self._digest = open(f"{self.path}.{os.getpid()}.tmp", "wb"), xxh3_128()
            self.sizes.append(self._write(value))
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise error
        logger.warning("%s is not kept, so its split is read again each time: %s", self.path, error.strerror)
        self._is_given_up = True
        self.abandon()

    def _put(self, data: Any) -> None:
        self._file.write(data)
        self._digest.update(data)

    def _write(self, value: Any) -> int:
        raise NotImplementedError

    def _facts(self) -> dict[str, Any]:
        return {"sizes": self.sizes, "hash": self._digest.hexdigest()}

    def commit(self, blocks: int) -> None:
        """Make the form visible if it has all blocks; else forget it."""
        if self._file is None:
            return
        if len(self.sizes) != blocks:
            self.abandon()
            return
        try:
            self._file.close()
            os.replace(self._file.name, self.path)
            _write_facts(self.path + ".json", self._facts())
        except OSError as error:
            self._give_up(error)
        self._file = None

    def abandon(self) -> None:
        """Remove what was not committed: the job failed on the way. Harmless after `commit`."""
        if self._file is not None:
            with suppress(OSError):  # closing writes what is buffered, and the disk may be full
                self._file.close()
            Path(self._file.name).unlink(missing_ok=True)
            self._file = None


class _ArrayForm(_Form):
    """Float64 rows (or scalars) of all blocks, one after the other."""

    columns: int | None = None

    def _write(self, value: Any) -> int:
        import numpy as np

        array = np.ascontiguousarray(value, np.float64)
        self.columns = array.shape[1] if array.ndim == 2 else None
        self._put(array.data.cast("B") if array.size else b"")
        return len(array)

    def _facts(self) -> dict[str, Any]:
        return {**super()._facts(), "columns": self.columns}

    def load(self, index: int) -> Any:
        found = _mapped.get(self.path)
        if found is None:
            found = _mapped[self.path] = self._map()
        array, ends = found
        return array[ends[index] : ends[index + 1]]

    def _map(self) -> tuple[Any, list[int]]:
        from itertools import accumulate

        import numpy as np
        from xxhash import xxh3_128

        facts = _read_facts(self.path + ".json")
        ends = [0, *accumulate(facts["sizes"])]
        shape = (ends[-1],) if facts["columns"] is None else (ends[-1], facts["columns"])
        if 0 in shape:
            return np.zeros(shape), ends
        try:
            array = np.memmap(self.path, np.float64, "r", shape=shape).view(np.ndarray)
        except (OSError, ValueError) as error:  # gone, or too short
            raise _DamagedError(f"{self.path} can't be mapped: {error}") from None
        if xxh3_128(array.data.cast("B")).hexdigest() != facts["hash"]:
            raise _DamagedError(f"{self.path} is damaged")
        return array, ends


class _PickleForm(_Form):
    """Any Python value a block."""

    def _write(self, value: Any) -> int:
        data = pickle.dumps(value, protocol=5)
        self._put(data)
        return len(data)

    def load(self, index: int) -> Any:
        facts = _read_facts(self.path + ".json")
        sizes = facts["sizes"]
        if self.path not in _checked and hash_file(self.path) != facts["hash"]:
            raise _DamagedError(f"{self.path} is damaged")
        _checked.add(self.path)
        try:
            with open(self.path, "rb") as file:
                file.seek(sum(sizes[:index]))
                return pickle.loads(file.read(sizes[index]))
        except OSError as error:
            raise _DamagedError(f"{self.path} can't be read: {error.strerror}") from None


_FORMS: dict[str, type[_Form]] = {
    "X": _ArrayForm, "y": _ArrayForm, "weights": _ArrayForm, "labels": _PickleForm, "arrow": _PickleForm,
    "records": _PickleForm,
}  # fmt: skip


class _Source:
    """The blocks of a split as its format reads them, in order, read only when a form must be made."""

    def __init__(self, blocks: Iterator[Block]) -> None:
        self.blocks = blocks
        self.index = -1
        self.block: Block | None = None

    def at(self, index: int) -> Block | None:
        while self.index < index:
            self.block = next(self.blocks, None)
            self.index += 1
        return self.block


class CachedBlock(Block):
    """A block whose forms come from the cache, or go there."""

    def __init__(self, index: int, rows: int, size: int, source: _Source, forms: dict[str, _Form]) -> None:
        self._index = index
        self._rows = rows
        self.bytes = size
        self._source = source
        self._forms = forms

    def __len__(self) -> int:
        return self._rows

    def _made(self) -> Block:
        block = self._source.at(self._index)
        assert block is not None
        return block

    def _get(self, name: str) -> Any:
        form = self._forms[name]
        if form.complete:
            try:
                return form.load(self._index)
            except _DamagedError as error:
                logger.warning("%s; its split is read again", error)
                form.forget()
        made = list(self._made().records()) if name == "records" else getattr(self._made(), name)
        if made is not None and not hasattr(made, "tocsr"):  # sparse rows are parsed anew: they have no one array
            form.append(self._index, made)
        return made

    def records(self) -> Iterator[Any]:
        return iter(self._get("records"))

    def place(self, index: int) -> str:
        return self._made().place(index)

    def select(self, rows: Sequence[int]) -> Block:
        return self._made().select(rows)

    def raw(self, index: int) -> bytes | None:
        return self._made().raw(index)

    def where(self, index: int) -> Where:
        return self._made().where(index)

    @property
    def arrow(self) -> pa.RecordBatch:
        return self._get("arrow")

    @property
    def X(self) -> Any:
        return self._get("X")

    @property
    def y(self) -> Any:
        return self._get("y")

    @property
    def labels(self) -> Any:
        return self._get("labels")

    def categories(self, names: Sequence[str] | None = None) -> Any:
        return self._made().categories(names)

    @property
    def weights(self) -> Any:
        return self._get("weights")

    def exact_weights(self) -> Any:
        return self._made().exact_weights()

    @property
    def feature_names(self) -> tuple[str, ...] | None:
        return self._made().feature_names

    def exact(self, *, target: bool = True) -> Any:
        return self._made().exact(target=target)  # not kept: it is asked for once


@dataclass(frozen=True, slots=True)
class CachedFormat(Format):
    """Another format, with its blocks kept in `folder`."""

    name: ClassVar[str] = "cached"
    inner: Format
    folder: str

    def resolve(self, files: Sequence[InputFile]) -> Self:
        return replace(self, inner=self.inner.resolve(files))

    def feature_names(self) -> tuple[str, ...] | None:
        return self.inner.feature_names()

    def target_name(self) -> str | None:
        return self.inner.target_name()

    def weights_name(self) -> str | None:
        return self.inner.weights_name()

    def with_labels(self) -> Self:
        return replace(self, inner=self.inner.with_labels())

    def with_categories(self) -> Self:
        """What is kept as X may have been other columns."""
        if self.inner.with_categories() != self.inner:
            raise UsageError("a cached dataset reads no more columns; say with_categories() before engine.cache")
        return self

    def plan_extents(self, file: InputFile, split_bytes: int) -> list[Extent]:
        return self.inner.plan_extents(file, split_bytes)

    def read_blocks(self, split: Split, block_bytes: int) -> Iterator[Block]:
        base = f"{self.folder}/{split.number}.{block_bytes}"
        forms = {name: form(f"{base}.{name}") for name, form in _FORMS.items()}
        source = _Source(self.inner.read_blocks(split, block_bytes))
        try:
            blocks = yield from self._blocks(Path(base + ".json"), source, forms)
            for form in forms.values():
                form.commit(blocks)
        finally:
            for form in forms.values():
                form.abandon()

    def _blocks(self, index_path: Path, source: _Source, forms: dict[str, _Form]) -> Generator[Block, None, int]:
        """The blocks, and how many they were. Their sizes are kept once all have been read."""
        known = _known_blocks(index_path)
        if known is not None:
            for number, (rows, size) in enumerate(known):
                yield CachedBlock(number, rows, size, source, forms)
            return len(known)
        index: list[list[int]] = []
        while (block := source.at(len(index))) is not None:
            index.append([len(block), block.bytes])
            yield CachedBlock(len(index) - 1, len(block), block.bytes, source, forms)
        try:
            _write_facts(str(index_path), index)
        except OSError as error:
            logger.warning("%s is not kept: %s", index_path, error.strerror)
        return len(index)


def _known_blocks(path: Path) -> list[list[int]] | None:
    """Rows and bytes of each block; None if they are not known, or no more."""
    if not path.exists():
        return None
    try:
        known: list[list[int]] = _read_facts(str(path))
    except _DamagedError as error:
        logger.warning("%s; its split is read again", error)
        return None
    return known
