"""How do iterations read their input only once? The first job that reads a block leaves it for the next, as arrays.

Each form that jobs ask for (X, y, Arrow columns, records) gets one file a split, in the engine's own folder:

```text
7.X     the rows of all blocks one after the other, float64, as they lie in memory: later jobs map the file
7.json  rows of each block, and the shape of each form
```

The files are page cache that all workers share: nothing is copied to them, memory is given back under pressure, and a
block need not go to the worker that parsed it. A form is visible only once all blocks of its split are there.
"""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from mapreduce.formats.base import Block, Extent, Format, InputFile, Split, Where

if TYPE_CHECKING:
    import pyarrow as pa

_mapped: dict[str, Any] = {}
"""Arrays that this process has mapped already: the second iteration faults no page again."""


def forget_mapped(folder: str | Path) -> None:
    """Let go of the arrays of a cache that is closed: each holds a file, though that is removed."""
    for path in [path for path in _mapped if path.startswith(f"{folder}/")]:
        del _mapped[path]


class _Form:
    """One form of one split: read from its file if it is complete, else gathered block by block."""

    suffix = ""

    def __init__(self, path: str) -> None:
        self.path = path
        self.complete = os.path.exists(path + ".json")
        self.sizes: list[int] = []
        self._file: Any = None

    def load(self, index: int) -> Any:
        raise NotImplementedError

    def append(self, index: int, value: Any) -> None:
        """Keep block `index`. Blocks come in order; one that was skipped makes the form incomplete."""
        if index != len(self.sizes):
            return
        if self._file is None:
            self._file = open(f"{self.path}.{os.getpid()}.tmp", "wb")
        self.sizes.append(self._write(value))

    def _write(self, value: Any) -> int:
        raise NotImplementedError

    def _facts(self) -> dict[str, Any]:
        return {"sizes": self.sizes}

    def commit(self, blocks: int) -> None:
        """Make the form visible if it has all blocks; else forget it."""
        if self._file is None:
            return
        self._file.close()
        temporary = self._file.name
        self._file = None
        if len(self.sizes) != blocks:
            os.unlink(temporary)
            return
        os.replace(temporary, self.path)
        facts = f"{self.path}.json.{os.getpid()}.tmp"
        Path(facts).write_text(json.dumps(self._facts()))
        os.replace(facts, self.path + ".json")

    def abandon(self) -> None:
        """Remove what was not committed: the job failed on the way. Harmless after `commit`."""
        if self._file is not None:
            self._file.close()
            os.unlink(self._file.name)
            self._file = None


class _ArrayForm(_Form):
    """Float64 rows (or scalars) of all blocks, one after the other."""

    columns: int | None = None

    def _write(self, value: Any) -> int:
        import numpy as np

        array = np.ascontiguousarray(value, np.float64)
        self.columns = array.shape[1] if array.ndim == 2 else None
        self._file.write(array.data)
        return len(array)

    def _facts(self) -> dict[str, Any]:
        return {"sizes": self.sizes, "columns": self.columns}

    def load(self, index: int) -> Any:
        found = _mapped.get(self.path)
        if found is None:
            found = _mapped[self.path] = self._map()
        array, ends = found
        return array[ends[index] : ends[index + 1]]

    def _map(self) -> tuple[Any, list[int]]:
        from itertools import accumulate

        import numpy as np

        facts = json.loads(Path(self.path + ".json").read_text())
        ends = [0, *accumulate(facts["sizes"])]
        shape = (ends[-1],) if facts["columns"] is None else (ends[-1], facts["columns"])
        if 0 in shape:
            return np.zeros(shape), ends
        return np.memmap(self.path, np.float64, "r", shape=shape).view(np.ndarray), ends


class _PickleForm(_Form):
    """Any Python value a block."""

    def _write(self, value: Any) -> int:
        return int(self._file.write(pickle.dumps(value, protocol=5)))

    def load(self, index: int) -> Any:
        sizes = json.loads(Path(self.path + ".json").read_text())["sizes"]
        with open(self.path, "rb") as file:
            file.seek(sum(sizes[:index]))
            return pickle.loads(file.read(sizes[index]))


_FORMS: dict[str, type[_Form]] = {"X": _ArrayForm, "y": _ArrayForm, "arrow": _PickleForm, "records": _PickleForm}


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
            return form.load(self._index)
        made = list(self._made().records()) if name == "records" else getattr(self._made(), name)
        if not hasattr(made, "tocsr"):  # sparse rows are parsed anew: they have no one array
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


@dataclass(frozen=True, slots=True)
class CachedFormat(Format):
    """Another format, with its blocks kept in `folder`."""

    name: ClassVar[str] = "cached"
    inner: Format
    folder: str

    def feature_names(self) -> tuple[str, ...] | None:
        return self.inner.feature_names()

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
        if index_path.exists():
            index = json.loads(index_path.read_text())
            for number, (rows, size) in enumerate(index):
                yield CachedBlock(number, rows, size, source, forms)
            return len(index)
        index = []
        while (block := source.at(len(index))) is not None:
            index.append([len(block), block.bytes])
            yield CachedBlock(len(index) - 1, len(block), block.bytes, source, forms)
        temporary = Path(f"{index_path}.{os.getpid()}.tmp")
        temporary.write_text(json.dumps(index))
        os.replace(temporary, index_path)
        return len(index)
