"""How is zlib.crc32 of many short strings computed? Eight bytes a step by eight tables ("slicing by 8", Intel 2006)."""

# numba infers the types; catalogue.py states those of the kernels
# mypy: ignore-errors

from __future__ import annotations

import numpy as np

from mapreduce.kernels.intrinsics import inlined, load64


def _tables() -> np.ndarray:
    """table[k * 256 + b]: the CRC of byte b followed by k zero bytes."""
    rows = [[0] * 256 for _ in range(8)]
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0xEDB88320 if crc & 1 else 0)
        rows[0][byte] = crc
    for k in range(1, 8):
        for byte in range(256):
            rows[k][byte] = (rows[k - 1][byte] >> 8) ^ rows[0][rows[k - 1][byte] & 255]
    return np.array(rows, dtype=np.uint64).ravel()


TABLE = _tables()
U8, U255, LOW32 = np.uint64(8), np.uint64(255), np.uint64(0xFFFFFFFF)


@inlined
def crc_of(data, at, end):
    crc = LOW32
    while at + 8 <= end:
        word = load64(data, at) ^ crc
        crc = np.uint64(0)
        for k in range(8):
            crc ^= TABLE[(7 - k) * 256 + np.int64(word & U255)]
            word >>= U8
        at += 8
    while at < end:
        crc = (crc >> U8) ^ TABLE[np.int64((crc ^ np.uint64(data[at])) & U255)]
        at += 1
    return crc ^ LOW32


def crc_strings(data, offsets, n, out):
    for i in range(n):
        out[i] = np.uint32(crc_of(data, np.int64(offsets[i]), np.int64(offsets[i + 1])))
    return n
