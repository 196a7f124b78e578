"""How are NumPy files read? .npy is memory-mapped and cut between rows; .npz is an archive of such arrays, X and y.

In a compressed .npz rows can only be read from the first one on: such a file is one split. Arrays of Python objects
are refused, because reading them would run whatever code the file asks for.
"""

from __future__ import annotations

import ast
import logging
import math
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import IO, Any, BinaryIO, ClassVar, NamedTuple, Self

import numpy as np

from mapreduce.dataclass import dataclass, replace
from mapreduce.errors import InputError, UsageError, near
from mapreduce.formats.arrays import EVERYTHING, Array, ArrayBlock, Rows, plan_rows, select
from mapreduce.formats.base import Extent, InputFile, Split
from mapreduce.formats.inputs import local_path, open_input
from mapreduce.formats.roles import RoleFormat, Roles

log = logging.getLogger(__name__)

MAGIC = b"\x93NUMPY"
ZIP_MAGIC = b"PK"
ZIP_LOCAL_HEADER_BYTES = 30  # before the member's name and extra field
DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)


@dataclass(frozen=True, slots=True)
class Stored:
    """An array in a file: its type and shape, and where its bytes are. `member`: its name in an archive."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    fortran: bool
    offset: int = 0
    member: str = ""
    compressed: bool = False

    @property
    def row_bytes(self) -> int:
        return self.dtype.itemsize * math.prod(self.shape[1:])

    @property
    def bytes(self) -> int:
        return self.row_bytes * self.shape[0]


class Table(NamedTuple):
    """The arrays of one file, equally long."""

    x: Stored
    y: Stored | None = None
    weights: Stored | None = None

    @property
    def row_bytes(self) -> int:
        return max(1, sum(stored.row_bytes for stored in self if stored is not None))

    @property
    def compressed(self) -> bool:
        return any(stored.compressed for stored in self if stored is not None)


@dataclass(frozen=True, slots=True)
class Npy(RoleFormat):
    """.npy and .npz files.

    target, features  columns of a 2-D array by number, or fields of a structured one by name
    weights           likewise, or the name of an array in an .npz
    x, y              names of the arrays in an .npz; y None: the one that `target` names, or 'y' if there is one
    """

    x: str = "X"
    y: str | None = None
    schema: Roles = EVERYTHING

    name: ClassVar[str] = "npy"
    suffixes: ClassVar[tuple[str, ...]] = (".npy", ".npz")

    def resolve(self, files: Sequence[InputFile]) -> Self:
        """Reads each file's header. Raises InputError where types or row shapes differ."""
        first: tuple[InputFile, Table] | None = None
        for file in files:
            table = self._inspect(file)
            if table is None:
                continue
            if first is None:
                first = (file, table)
            elif _row_type(table) != _row_type(first[1]):
                raise InputError(
                    f"{file.path} has rows of {_row_type(table)}, but {first[0].path} has {_row_type(first[1])}; "
                    f"read them apart"
                )
        if first is None:
            return self
        x, y, weights = first[1]
        asked = self.asked
        if y is not None and not _is_number(self.target):
            asked = replace(asked, target=None)
        if weights is not None:
            asked = replace(asked, weights=None)
        return replace(self, schema=select(x.dtype, x.shape, asked))

    def feature_names(self) -> tuple[str, ...] | None:
        """Numbers of columns, as text, or names of fields; None where every column is a feature."""
        return self.schema.features

    def plan_extents(self, file: InputFile, split_bytes: int) -> list[Extent]:
        table = self._inspect(file)
        if table is None or table.x.shape[0] == 0:
            return []
        if table.compressed:
            log.info("%s: a compressed .npz cannot be split, so the file is one split", file.path)
            return [Extent(0, table.x.shape[0], file.size)]
        return plan_rows(table.x.shape[0], file.size, split_bytes)

    def read_blocks(self, split: Split, block_bytes: int) -> Iterator[ArrayBlock]:
        table = self._inspect(split.file)
        if table is None:
            return
        extent = split.extent
        step = max(1, block_bytes // table.row_bytes)
        with ExitStack() as stack:
            read = [None if stored is None else _open_rows(split.file, stored, stack) for stored in table]
            for start in range(extent.start, extent.end, step):
                end = min(start + step, extent.end)
                size = extent.bytes * (end - start) // (extent.end - extent.start)
                try:
                    rows = Rows(*(None if some is None else some(start, end) for some in read))
                except DAMAGE as error:
                    raise _damaged(split.file, f"after row {start}: {error}") from error
                yield ArrayBlock(rows, self.schema, split.file.path, start, size)

    def _inspect(self, file: InputFile) -> Table | None:
        """Where the file's arrays are; None for a file of no bytes."""
        if file.size == 0:
            return None
        with open_input(file) as stream:
            magic = stream.read(len(MAGIC))
            stream.seek(0)
            try:
                if magic.startswith(ZIP_MAGIC):
                    return self._inspect_archive(file, stream)
                return Table(_checked(file, _read_header(file, stream), file.size))
            except DAMAGE as error:
                raise _damaged(file, str(error)) from error

    def _inspect_archive(self, file: InputFile, stream: BinaryIO) -> Table:
        with zipfile.ZipFile(stream) as archive:
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            wanted_y = self.y
            if wanted_y is None and self.target is not None and not _is_number(self.target):
                wanted_y = str(self.target)
            weights = None if self.weights is None or _is_number(self.weights) else str(self.weights)
            for option, wanted in (("x", self.x), ("y", wanted_y), ("weights", weights)):
                if wanted is not None and wanted not in members:
                    raise UsageError(
                        f"{file.path}: no array {wanted!r} in the archive; {near(wanted, list(members))} "
                        f"name it with {option}='...'"
                    )
            wanted_y = wanted_y or ("y" if "y" in members and self.x != "y" else None)
            x = _read_member(file, stream, archive, members[self.x])
            y, w = (
                None if wanted is None else _read_member(file, stream, archive, members[wanted])
                for wanted in (wanted_y, weights)
            )
        for other in (y, w):
            if other is not None and (other.shape[0] != x.shape[0] or len(other.shape) != 1):
                raise InputError(
                    f"{file.path}: {x.member} has shape {x.shape} and {other.member} {other.shape}; "
                    f"they must be equally long, and {other.member.removesuffix('.npy')} of one dimension"
                )
        return Table(x, y, w)


def _read_member(file: InputFile, stream: BinaryIO, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Stored:
    if info.compress_type == zipfile.ZIP_STORED:
        stream.seek(info.header_offset + 26)
        name_bytes, extra_bytes = (int.from_bytes(stream.read(2), "little") for _ in range(2))
        stream.seek(info.header_offset + ZIP_LOCAL_HEADER_BYTES + name_bytes + extra_bytes)
        return replace(_checked(file, _read_header(file, stream), file.size), member=info.filename)
    with archive.open(info) as member:
        return replace(_read_header(file, member), member=info.filename, compressed=True)


def _read_header(file: InputFile, stream: IO[bytes]) -> Stored:
    """The array whose header begins here; its bytes begin where the header ends."""
    if stream.read(len(MAGIC)) != MAGIC:
        raise InputError(f"{file.path}: not a NumPy file (it does not begin with {MAGIC!r}); write it with np.save")
    version = stream.read(2)
    length = int.from_bytes(stream.read(2 if version[:1] == b"\x01" else 4), "little")
    text = stream.read(length)
    try:
        if len(text) < length:
            raise ValueError("it is cut off")
        header = ast.literal_eval(text.decode("latin-1" if version[:1] < b"\x03" else "utf-8").strip())
        dtype = np.lib.format.descr_to_dtype(header["descr"])
        shape = tuple(int(length) for length in header["shape"])
        fortran = bool(header["fortran_order"])
    except (ValueError, SyntaxError, TypeError, KeyError) as error:
        raise _damaged(file, f"its header cannot be read: {error}") from error
    if dtype.hasobject:
        raise InputError(
            f"{file.path}: holds Python objects, and reading them could run any code; save numbers or strings instead: "
            f"np.save(path, array.astype(float))"
        )
    if not shape:
        raise InputError(f"{file.path}: holds a single value of {dtype}, not rows")
    return Stored(dtype, shape, fortran and len(shape) > 1, stream.tell())


def _checked(file: InputFile, stored: Stored, size: int) -> Stored:
    if stored.offset + stored.bytes > size:
        needed = stored.offset + stored.bytes
        raise _damaged(file, f"it has {size} bytes, and its header promises {needed}: it is cut off")
    return stored


def _damaged(file: InputFile, reason: str) -> InputError:
    return InputError(f"{file.path}: not a whole NumPy file: {reason}; write it again")


def _row_type(table: Table) -> str:
    parts = [stored for stored in table if stored is not None]
    return " and ".join(
        f"{stored.dtype.str if not stored.dtype.names else stored.dtype}{stored.shape[1:]}" for stored in parts
    )


def _is_number(column: str | int | None) -> bool:
    return isinstance(column, int) or (column is not None and column.lstrip("-").isdigit())


def _open_rows(file: InputFile, stored: Stored, stack: ExitStack) -> Callable[[int, int], Array]:
    """A function of (start, end) that gives these rows. Must be called with ascending ranges."""
    if stored.bytes == 0:
        empty = np.empty(stored.shape, stored.dtype)
        return lambda start, end: empty[start:end]
    if stored.compressed:
        return _inflate_rows(file, stored, stack)
    path = local_path(file)
    if path is not None:
        order: Any = "F" if stored.fortran else "C"
        mapped = np.memmap(path, stored.dtype, "r", stored.offset, stored.shape, order)
        rows = mapped.view(np.ndarray)
        return lambda start, end: rows[start:end]
    if stored.fortran:
        raise InputError(
            f"{file.path}: its rows lie scattered (Fortran order), which is slow over a network; copy the file here, "
            f"or save it with np.ascontiguousarray"
        )
    stream = stack.enter_context(open_input(file))

    def fetch(start: int, end: int) -> Array:
        stream.seek(stored.offset + start * stored.row_bytes)
        return _rows_of(file, stored, stream, end - start)

    return fetch


def _inflate_rows(file: InputFile, stored: Stored, stack: ExitStack) -> Callable[[int, int], Array]:
    archive = stack.enter_context(zipfile.ZipFile(stack.enter_context(open_input(file))))
    stream = stack.enter_context(archive.open(stored.member))
    _read_header(file, stream)
    if not stored.fortran:
        return lambda start, end: _rows_of(file, stored, stream, end - start)
    values = _rows_of(file, stored, stream, stored.shape[0])  # all at once: a row's values lie apart
    whole = values.reshape(-1).reshape(stored.shape, order="F")
    return lambda start, end: whole[start:end]


def _rows_of(file: InputFile, stored: Stored, stream: IO[bytes], rows: int) -> Array:
    data = stream.read(rows * stored.row_bytes)
    if len(data) < rows * stored.row_bytes:
        raise _damaged(file, "it ends too early")
    return np.frombuffer(data, stored.dtype).reshape(rows, *stored.shape[1:])
