"""How does object code come to life without a linker? As every linker does it, for the little that our objects need.

Copy the sections that a running program has into fresh memory, add addresses where the relocations say, make the
memory executable. It takes 1 ms; importing LLVM for it takes 40. Understood: ELF for x86-64, absolute and relative
relocations, three functions of the C library. Anything else is refused, and load.py asks LLVM.
"""

from __future__ import annotations

import ctypes
import mmap
import struct
from collections.abc import Sequence

from mapreduce.dataclass import dataclass
from mapreduce.kernels.cache import Object

_HEADER = b"\x7fELF\x02\x01"  # 64-bit, little-endian
_X86_64 = 62
_SYMBOLS, _RELOCATIONS, _EMPTY = 2, 4, 8  # section types
_IN_MEMORY = 2  # section flag
_COMMON = 0xFFF2  # section number of a symbol that is only to be given room
_ABSOLUTE_64, _RELATIVE_32, _CALL_32, _RELATIVE_64 = 1, 2, 4, 24  # relocation types
_LIBRARY = ("memset", "memcpy", "memmove")


class NotUnderstood(Exception):
    """An object file with more in it than this module knows."""


@dataclass(frozen=True, slots=True)
class _Section:
    name: str
    kind: int
    flags: int
    offset: int
    size: int
    link: int
    info: int
    align: int


def place(objects: Sequence[Object]) -> list[int]:
    """The address of each object's function. The memory is never given back. Raises NotUnderstood, OSError."""
    return [_place(item) for item in objects]


def _text(data: bytes, at: int) -> str:
    return data[at : data.index(b"\0", at)].decode()


def _sections(code: bytes) -> list[_Section]:
    if code[:6] != _HEADER or struct.unpack_from("<H", code, 18)[0] != _X86_64:
        raise NotUnderstood("not ELF for x86-64")
    (table,) = struct.unpack_from("<Q", code, 40)
    size, count, names = struct.unpack_from("<HHH", code, 58)
    rows = [struct.unpack_from("<IIQQQQIIQQ", code, table + i * size) for i in range(count)]
    start = rows[names][4]
    return [
        _Section(_text(code, start + name), kind, flags, offset, length, link, info, align)
        for name, kind, flags, _, offset, length, link, info, align, _ in rows
    ]


def _place(item: Object) -> int:
    code, sections = item.code, _sections(item.code)
    offsets: dict[int, int] = {}
    size = 0
    for number, section in enumerate(sections):
        if section.flags & _IN_MEMORY and section.size and section.name != ".eh_frame":  # no exception passes through
            size = -(-size // max(section.align, 1)) * max(section.align, 1)
            offsets[number] = size
            size += section.size
    memory = mmap.mmap(-1, size + mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    base = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    for number, offset in offsets.items():
        section = sections[number]
        if section.kind != _EMPTY:
            memory[offset : offset + section.size] = code[section.offset : section.offset + section.size]
    bases = {number: base + offset for number, offset in offsets.items()}
    symbols = _Symbols(code, sections, bases)
    for section in sections:
        if section.kind == _RELOCATIONS and section.info in offsets:
            _relocate(code, section, symbols, memory, base, offsets[section.info])
    _make_executable(base, size)
    _placed.append(memory)
    return symbols.named(item.symbol)


_placed: list[mmap.mmap] = []  # own the machine code: must live as long as the process


class _Symbols:
    """Addresses by symbol number."""

    def __init__(self, code: bytes, sections: list[_Section], bases: dict[int, int]) -> None:
        table = next(section for section in sections if section.kind == _SYMBOLS)
        self._names = sections[table.link].offset
        self._code, self._bases = code, bases
        self._rows = [struct.unpack_from("<IBBHQQ", code, table.offset + at) for at in range(0, table.size, 24)]

    def named(self, name: str) -> int:
        for number, row in enumerate(self._rows):
            if row[3] and _text(self._code, self._names + row[0]) == name:
                return self.address(number)
        raise NotUnderstood(f"no symbol {name}")

    def address(self, number: int) -> int:
        name, _, _, section, value, _ = self._rows[number]
        if section in self._bases:
            return int(self._bases[section] + value)
        text = _text(self._code, self._names + name)
        if section == 0 and text in _LIBRARY:
            function = getattr(ctypes.CDLL(None), text)
            return ctypes.cast(function, ctypes.c_void_p).value or 0
        raise NotUnderstood(f"symbol {text} in section {section:#x}")


def _relocate(code: bytes, section: _Section, symbols: _Symbols, memory: mmap.mmap, base: int, offset: int) -> None:
    for at in range(section.offset, section.offset + section.size, 24):
        place, info, addend = struct.unpack_from("<QQq", code, at)
        kind = info & 0xFFFFFFFF
        target = symbols.address(info >> 32) + addend
        here = offset + place
        if kind == _ABSOLUTE_64:
            struct.pack_into("<Q", memory, here, target)
        elif kind == _RELATIVE_64:
            struct.pack_into("<q", memory, here, target - base - here)
        elif kind in (_RELATIVE_32, _CALL_32) and -(1 << 31) <= target - base - here < 1 << 31:
            struct.pack_into("<i", memory, here, target - base - here)
        else:
            raise NotUnderstood(f"relocation of type {kind}")


def _make_executable(base: int, size: int) -> None:
    """Never writable and executable at once."""
    library = ctypes.CDLL(None, use_errno=True)
    library.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    if library.mprotect(base, size, mmap.PROT_READ | mmap.PROT_EXEC):
        raise OSError(ctypes.get_errno(), "mprotect refuses executable memory")
