"""How do many small Python strings reach a kernel? As one text, which is made in a fourth of an Arrow array's time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mapreduce.dataclass import dataclass
from mapreduce.kernels.load import kernels_of
from mapreduce.kernels.memory import Area, seen

if TYPE_CHECKING:
    import pyarrow as pa

_LARGEST_TEXT = (1 << 31) - 1  # bytes that 32-bit offsets reach


@dataclass(frozen=True, slots=True)
class JoinedStrings:
    """A column of strings: `data` is UTF-8 with newlines between them, string i begins at the i-th of `offsets` (int32,
    one more than `rows`, as if a newline came last, too). Valid until its joiner makes the next one."""

    data: bytes
    rows: int
    offsets: Area
    first: int = 0

    def __len__(self) -> int:
        return self.rows

    @property
    def type(self) -> pa.DataType:
        """Of the array that it stands for."""
        import pyarrow as pa

        return pa.string()

    def slice(self, row: int) -> JoinedStrings:
        """The strings from a row on."""
        return JoinedStrings(self.data, self.rows - row, self.offsets, self.first + row)

    @contextmanager
    def seen(self) -> Iterator[tuple[int, int, int]]:
        """For kernels: the address and size of the text, and the address of the first string's offset."""
        with seen(self.data) as span:
            yield span.address, span.size, self.offsets.address + 4 * self.first

    def to_array(self) -> pa.Array:
        """The same as an array."""
        import pyarrow as pa

        return pa.array(self.data.decode().split("\n")[self.first :], pa.string())


class StringJoiner:
    """Joins strings, in memory that is kept for the next."""

    def __init__(self) -> None:
        self._kernels = kernels_of("words")
        self._offsets = Area(0)

    def join(self, strings: list[str]) -> JoinedStrings | None:
        """None where one holds a newline or can't be encoded, where all together take 2 GiB, where there is none, and
        without kernels."""
        if self._kernels is None or not strings:
            return None
        try:
            data = "\n".join(strings).encode()
        except UnicodeEncodeError:  # a lone surrogate
            return None
        rows = len(strings)
        if len(data) >= _LARGEST_TEXT:
            return None
        if self._offsets.size < 4 * (rows + 1):
            self._offsets = Area(4 * (rows + 1))
        with seen(data) as span:
            found = self._kernels["find_lines"](span.address, span.size, rows, self._offsets.address)
        return JoinedStrings(data, rows, self._offsets) if found == rows else None
