"""How are files of fixed-length binary records read? A record is `width` bytes; nothing stands between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from mapreduce.dataclass import dataclass
from mapreduce.errors import InputError, UsageError
from mapreduce.formats.base import Block, Extent, Format, InputFile, Split
from mapreduce.formats.bytes_io import ByteReader, is_splittable, plan_even_extents, plan_lasting_extents, stream_end

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa


class FixedBlock(Block):
    """Whole records: `data` holds their bytes, one after the other; `array` is the same memory, a row a record."""

    def __init__(
        self,
        file: InputFile,
        offset: int,
        data: bytes,
        width: int,
        size_in_file: int,
        rows: Sequence[int] | None = None,
    ) -> None:
        """`rows`: which ones of those from `offset` on these are, if not all."""
        self._rows = rows
        self.bytes = size_in_file
        self.data = data
        self.width = width
        self._file = file
        self._offset = offset

    def __len__(self) -> int:
        return len(self.data) // self.width

    def records(self) -> Iterator[bytes]:
        data, width = self.data, self.width
        return (data[start : start + width] for start in range(0, len(data), width))

    def place(self, index: int) -> str:
        row = index if self._rows is None else self._rows[index]
        return f"{self._file.path}, byte {self._offset + row * self.width}"

    def raw(self, index: int) -> bytes:
        return self.data[index * self.width : (index + 1) * self.width]

    def select(self, rows: Sequence[int]) -> FixedBlock:
        data = b"".join(map(self.raw, rows))
        return FixedBlock(self._file, self._offset, data, self.width, len(data), rows)

    @property
    def array(self) -> np.ndarray[Any, Any]:
        """(records, width) uint8, read-only, without a copy."""
        import numpy as np

        return np.frombuffer(self.data, np.uint8).reshape(-1, self.width)

    @property
    def arrow(self) -> pa.RecordBatch:
        """One column, `record`, of fixed-size binary; without a copy."""
        import pyarrow as pa

        column = pa.Array.from_buffers(pa.binary(self.width), len(self), [None, pa.py_buffer(self.data)])
        return pa.RecordBatch.from_arrays([column], names=["record"])


@dataclass(frozen=True, slots=True)
class Fixed(Format):
    """Files of binary records, `width` bytes each."""

    width: int

    name: ClassVar[str] = "fixed"

    def __post_init__(self) -> None:
        if self.width < 1:
            raise UsageError(f"width is {self.width}; a fixed-length record has at least 1 byte")

    def plan_extents(self, file: InputFile, split_bytes: int) -> list[Extent]:
        """Cuts at multiples of the width. Raises InputError where the file is no whole number of records."""
        if is_splittable(file) and file.size % self.width:
            self._refuse_rest(file, file.size)
        return plan_even_extents(file, split_bytes, unit=self.width)

    def plan_lasting_extents(self, file: InputFile, split_bytes: int | None) -> list[Extent]:
        if is_splittable(file) and file.size % self.width:
            self._refuse_rest(file, file.size)
        return plan_lasting_extents(file, split_bytes, unit=self.width)

    def bytes_of(self, split: Split) -> range | None:
        return range(split.extent.start, split.extent.end) if is_splittable(split.file) else None

    def read_blocks(self, split: Split, block_bytes: int) -> Iterator[FixedBlock]:
        end = stream_end(split.file, split.extent)
        at_once = max(1, block_bytes // self.width) * self.width
        with ByteReader(split.file, split.extent.start) as reader:
            position = reader.position
            while reader.offset < end:
                offset = reader.offset
                data = reader.read_before(end, at_once)
                if len(data) % self.width:
                    self._refuse_rest(split.file, reader.offset)
                if not data:
                    return
                yield FixedBlock(split.file, offset, data, self.width, reader.position - position)
                position = reader.position

    def _refuse_rest(self, file: InputFile, size: int) -> None:
        rest = size % self.width
        raise InputError(
            f"{file.path}: {size} bytes are not a multiple of the record width {self.width}: the last record, from "
            f"byte {size - rest}, has {rest}; is the file cut off, or the width another?"
        )
