"""What must a format do? Cut a file into extents, read a split as blocks, and say where a record stands.

```text
file --plan_extents--> extents --(numbered over all files)--> splits --read_blocks--> blocks --records--> records
```

A format is a frozen dataclass of its options. It is picklable, holds no open file, and its cuts depend on the file
and the split size alone. Every record belongs to exactly one split, whatever the split size.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar, NamedTuple, Self

from mapreduce.dataclass import dataclass, field
from mapreduce.errors import InputError, near
from mapreduce.settings import MAX_SPLIT_BYTES, MIN_SPLIT_BYTES, SPLITS_AIMED_AT, default_split_bytes

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from mapreduce.kernels.slices import Slices


COUNT_BYTES = 1 << 20
"""Looked at a time where records are only counted."""


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file of a dataset: a local path or a URI, its size in bytes, and its time of change (0 where unknown). `hosts`
    are those of a cluster that have it; none where each worker opens it by its path."""

    path: str
    size: int
    mtime_ns: int = 0
    hosts: tuple[str, ...] = field(default=(), compare=False)

    def behind(self) -> tuple[InputFile, ...]:
        """The files that it stands for: itself, as a rule."""
        return (self,)


@dataclass(frozen=True, slots=True)
class Extent:
    """A piece of a file, [start, end) in the format's own unit: bytes, rows or row groups. `bytes` is for progress."""

    start: int
    end: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Split:
    """A piece of the input, cut at record boundaries: the unit of a map task. Numbered over the whole dataset."""

    number: int
    file: InputFile
    extent: Extent

    @property
    def files(self) -> tuple[InputFile, ...]:
        """The files that are read for it: one as a rule."""
        return self.file.behind()

    @property
    def place(self) -> str:
        """Where it stands, for a person: the file, and which of its bytes where the format cuts by bytes."""
        start, end = self.extent.start, self.extent.end
        return f"{self.file.path}, bytes {start} to {end}" if end - start == self.extent.bytes else self.file.path


class Piece(NamedTuple):
    """A piece of the input: a file, and what of it."""

    file: InputFile
    extent: Extent


Raw = bytes
"""The bytes of a record as in the file. (Within a block `bytes` is its size.)"""


@dataclass(frozen=True, slots=True)
class Where:
    """Where a record stands: in which file, and its number there in the format's own unit, such as byte or row."""

    file: str
    unit: str | None = None  # None: the file is the record
    number: int = 0

    def __str__(self) -> str:
        return self.file if self.unit is None else f"{self.file}, {self.unit} {self.number}"


class Block(ABC):
    """A batch of records inside a split, in whichever form the job asks for; each form is made when asked for.

    `records()` is the row lane, `arrow` the columnar lane, `X` and `y` the numeric lane of folds. `bytes` is the size
    in the file, for progress.
    """

    bytes: int = 0

    @abstractmethod
    def __len__(self) -> int:
        """How many records. May have to scan the block the first time."""

    @abstractmethod
    def records(self) -> Iterator[Any]:
        """The records in file order. Raises InputError that names file, place and value."""

    @abstractmethod
    def place(self, index: int) -> str:
        """Where record `index` of this block stands, for a person: 'books/a.txt, byte 1042' or '..., line 7'."""

    def select(self, rows: Sequence[int]) -> Block:
        """A block of these records alone, whose places are still those in the file. `rows` ascend.

        Where records are lines it is made of their bytes, so that one which cannot be read does not spoil the others.
        """
        from mapreduce.formats.selection import Selection

        return Selection(self, rows)

    def raw(self, index: int) -> Raw | None:
        """The bytes of record `index` as in the file; None where a record is no run of bytes."""
        return None

    def where(self, index: int) -> Where:
        """The place of record `index` for a program. Cheap: it reads no file."""
        file, _, text = self.place(index).rpartition(", ")
        unit, _, number = text.rpartition(" ")
        return Where(file, unit, int(number)) if file and number.isdigit() else Where(self.place(index))

    @property
    @abstractmethod
    def arrow(self) -> pa.RecordBatch:
        """All records as one Arrow batch."""

    def __getitem__(self, column: str) -> pa.Array:
        """A column by name. Raises InputError with near names."""
        return column_of(self.arrow, column)

    @property
    def X(self) -> np.ndarray[Any, Any]:
        """The features, (rows, features) float64, C order (a scipy CSR matrix for sparse formats)."""
        raise InputError(f"{type(self).__name__} has no numeric columns; read the input as CSV, Parquet, npy or libsvm")

    @property
    def y(self) -> np.ndarray[Any, Any]:
        """The target, (rows,) float64. Raises UsageError when the dataset names no target."""
        raise InputError(f"{type(self).__name__} has no target column; read the input as CSV, Parquet, npy or libsvm")

    @property
    def labels(self) -> np.ndarray[Any, Any]:
        """The target as names of classes, (rows,): its values as they are, which are text (objects of str), int64,
        float64 or truth values, whichever the column's type says. A dataset `with_labels` allows text."""
        raise InputError(f"{type(self).__name__} has no target column; read the input as CSV, Parquet, npy or libsvm")

    def categories(self, names: Sequence[str] | None = None) -> list[np.ndarray[Any, Any]]:
        """These columns (default: the features), each an array of its values as they are, as for `labels`. A dataset
        `with_categories` allows text."""
        raise InputError(f"{type(self).__name__} has no columns with names; read the input as CSV or Parquet")

    @property
    def weights(self) -> np.ndarray[Any, Any] | None:
        """The weight of each row, (rows,) float64, none negative; None where the dataset names no weights."""
        return None

    def exact_weights(self) -> Slices | None:
        """The weights as exact numbers, in one column; None where the dataset names none."""
        return None

    @property
    def feature_names(self) -> tuple[str, ...] | None:
        """Names of X's columns; None where they have none."""
        return None

    def exact(self, *, target: bool = True) -> Slices:
        """[X y] (X without `target`) as exact numbers, for sums that do not round: text as the decimals that it is,
        floats as the binary fractions that they are. Raises InputError for NaN and infinity, naming the place."""
        import numpy as np

        from mapreduce.kernels.slices import Slices

        X = self.X.toarray() if hasattr(self.X, "toarray") else self.X
        rows = np.column_stack([X, self.y]) if target else X
        if not np.isfinite(rows).all():
            row, column = np.argwhere(~np.isfinite(rows))[0].tolist()
            names = self.feature_names or range(X.shape[1])
            name = "the target" if column == X.shape[1] else f"column {names[column]!r}"
            raise InputError(f"{self.place(row)}: {name} holds {rows[row, column]}; drop or fill such rows first")
        return Slices.of(rows)


class Format(ABC):
    """How files of one kind are split, read and, where sensible, written."""

    name: ClassVar[str]
    suffixes: ClassVar[tuple[str, ...]] = ()
    tells_path: ClassVar[bool] = False  # whether a record holds the path of its file

    def resolve(self, files: Sequence[InputFile]) -> Self:
        """Look at the input once, before splitting: header, column types, feature count. Returns a fixed format."""
        return self

    def feature_names(self) -> tuple[str, ...] | None:
        """Names of X's columns, of a resolved format; None where the format has no names."""
        return None

    def target_name(self) -> str | None:
        """The name of y's column; None where the format has no names, or nobody named one."""
        return None

    def weights_name(self) -> str | None:
        """The name of the column of weights; None where there is none."""
        return None

    def with_labels(self) -> Self:
        """The same, with a target that names classes: it may be text. Whoever has a target allows it."""
        return self

    def with_categories(self) -> Self:
        """The same, with features that name classes: they may be text. Whoever has features with names allows it."""
        return self

    @abstractmethod
    def plan_extents(self, file: InputFile, split_bytes: int) -> list[Extent]:
        """Cut a file; [] if it holds no record. Depends on the file and `split_bytes` alone."""

    def plan_lasting_extents(self, file: InputFile, split_bytes: int | None) -> list[Extent]:
        """As `plan_extents`, by the file alone, and where the format allows it so that growth moves no earlier cut."""
        sixteenth = max(MIN_SPLIT_BYTES, -(-file.size // SPLITS_AIMED_AT))
        return self.plan_extents(file, split_bytes or min(MAX_SPLIT_BYTES, sixteenth))

    def plan_pieces(self, files: Sequence[InputFile], split_bytes: int | None, *, lasting: bool) -> list[Piece]:
        """All files cut, in reading order. With `lasting` each as if it were the only one, and where it was cut before
        it grew; else None takes a size that suits them all together."""
        even_bytes = split_bytes or default_split_bytes(sum(file.size for file in files))
        return [
            Piece(file, extent)
            for file in files
            for extent in (
                self.plan_lasting_extents(file, split_bytes) if lasting else self.plan_extents(file, even_bytes)
            )
        ]

    def count_rows(self, split: Split) -> int:
        """How many records a split has: of the file's own index where it has one, else all of it is read."""
        return sum(len(block) for block in self.read_blocks(split, COUNT_BYTES))

    def bytes_of(self, split: Split) -> range | None:
        """The bytes of its file that, with the format, decide what the split's records are. None: all of them do."""
        return None

    @abstractmethod
    def read_blocks(self, split: Split, block_bytes: int) -> Iterator[Block]:
        """The records of a split, in file order, in blocks of about `block_bytes`; never an empty block."""


class RecordWriter(ABC):
    """Writes key-value pairs to one part file. `write_columns` serves the columnar lane."""

    suffix: ClassVar[str]

    def __init__(self, file: BinaryIO) -> None:
        self.file = file

    @abstractmethod
    def write(self, key: Any, value: Any) -> None: ...

    @abstractmethod
    def write_columns(self, keys: pa.Array, values: pa.Array) -> None: ...

    def close(self) -> None:
        """Flush what is buffered; the caller closes (and syncs) the file."""


def column_of(batch: pa.RecordBatch, column: str) -> pa.Array:
    names = batch.schema.names
    if column not in names:
        raise InputError(f"no column {column!r}; {near(column, names)}")
    return batch.column(column)


def cell(row: Mapping[str, Any], column: str) -> Any:
    """A row's value by column name. Raises InputError with near names, where `row[column]` would only say KeyError."""
    try:
        return row[column]
    except KeyError:
        raise InputError(f"no column {column!r}; {near(column, list(row))}") from None
