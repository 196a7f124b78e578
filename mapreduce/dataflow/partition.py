"""Which reduce task gets a key?

By hash: `stable_hash` is the same in every process and on every host, and equal keys hash equal (1, 1.0, True and
Decimal(1)), so they meet. By range, for an output in total order: cuts chosen from a sample, and a key's partition is
the number of cuts at or below it. Both come in three shapes with the same answer: a key, a list of keys, a column.

    numbers   Python's own hash, which is not randomised and knows that 1 == 1.0
    str       CRC-32 of the UTF-8 bytes; bytes: CRC-32
    others    the order key, hashed part by part; a class of the user's by its dataclass fields or enum name
"""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections.abc import Callable, Iterable
from enum import Enum
from typing import TYPE_CHECKING, Any
from zlib import crc32

from mapreduce.dataclass import dataclass, is_dataclass_instance
from mapreduce.dataflow.order import (
    BYTES,
    DATE,
    NAN,
    NONE,
    NUMBER,
    SET,
    STR,
    TUPLE,
    OrderKey,
    natural_type,
    order_key,
    sorted_keys,
)
from mapreduce.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

MASK = (1 << 64) - 1
MIX = 0x9E3779B97F4A7C15
"""2^64 over the golden ratio (Knuth 6.4): multiplying spreads neighbours over the high bits."""

HASH_OF_NONE, HASH_OF_NAN = 0x6E6F6E65, 0x6E616E


def stable_hash(key: Any) -> int:
    """A whole number, the same for equal keys, in every process and on every host. Raises UsageError."""
    kind = type(key)
    if kind is str:
        return crc32(key.encode("utf-8", "surrogatepass"))
    if kind is int or kind is bool:
        return hash(key)
    if kind is bytes:
        return crc32(key)
    if kind is tuple:
        return _combine(TUPLE, map(stable_hash, key))
    return _hash_of_order_key(order_key(key))


def partition_rows(keys: list[Any], partitions: int) -> list[int]:
    """The partition of each key by hash, 0 <= p < `partitions`. Raises UsageError."""
    if partitions == 1:
        return [0] * len(keys)
    if set(map(type, keys)) != {str}:
        return [_reduce(stable_hash(key), partitions) for key in keys]
    try:
        hashes = map(crc32, map(str.encode, keys))
        np = sys.modules.get("numpy")
        if np is None:  # not worth its import
            return [((h * MIX & MASK) >> 32) * partitions >> 32 for h in hashes]  # _reduce of 32 bits
        placed: list[int] = _reduce_all(np.fromiter(hashes, np.uint64, len(keys)), partitions).tolist()
        return placed
    except UnicodeEncodeError:  # a lone surrogate among them
        return [_reduce(stable_hash(key), partitions) for key in keys]


def _reduce(hashed: int, partitions: int) -> int:
    """Fold 64 bits to 32, multiply, and scale the high half: cheaper and fairer than a remainder."""
    hashed &= MASK
    return (((hashed ^ hashed >> 32) * MIX & MASK) >> 32) * partitions >> 32


def _hash_of_order_key(order: OrderKey) -> int:
    rank = order[0]
    if rank == NUMBER:
        return hash(order[1])
    if rank == NONE:
        return HASH_OF_NONE
    if rank == NAN:
        return HASH_OF_NAN
    if rank in (STR, BYTES):
        return stable_hash(order[1])
    if rank == DATE:
        return _combine(rank, order[1:])
    if rank in (TUPLE, SET):
        return _combine(rank, map(_hash_of_order_key, order[1]))
    return stable_hash((order[1], *_parts_of(order[2].key)))


def _combine(start: int, hashes: Iterable[int]) -> int:
    hashed = start
    for part in hashes:
        hashed = ((hashed ^ part) * MIX) & MASK
        hashed ^= hashed >> 29
    return hashed


def _parts_of(key: Any) -> tuple[Any, ...]:
    """Plain values that equal keys of a class share. `__hash__` is no help: it may differ from process to process."""
    cls = type(key)
    if isinstance(key, Enum):
        return (key.name,)
    if is_dataclass_instance(key) and _is_generated(cls.__eq__):
        from dataclasses import fields

        return tuple(getattr(key, field.name) for field in fields(key) if field.compare)
    parts = _KNOWN_PARTS.get(f"{cls.__module__}.{cls.__qualname__}")
    if parts is None:
        raise UsageError(
            f"key {key!r:.80} of type {cls.__name__} has no hash that is the same in every process; "
            f"use a str, a number, a tuple of these or a dataclass as the key, "
            f"or define partition(self, key, partitions)"
        )
    return parts(key)


def _is_generated(method: Any) -> bool:
    """Did `dataclass` write this method? One of the user's own may ignore case, say: then fields don't tell."""
    return getattr(getattr(method, "__code__", None), "co_filename", None) == "<string>"


_KNOWN_PARTS: dict[str, Callable[[Any], tuple[Any, ...]]] = {
    "datetime.timedelta": lambda key: (key.days, key.seconds, key.microseconds),
    "uuid.UUID": lambda key: (key.int,),
    "pathlib.PosixPath": lambda key: (str(key),),
    "pathlib.PurePosixPath": lambda key: (str(key),),
    "ipaddress.IPv4Address": lambda key: (int(key),),
    "ipaddress.IPv6Address": lambda key: (str(key),),
}


# columns


def partition_columns(keys: pa.Array, partitions: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """`partition_rows` of a column, as int64: the same answer, without a Python step an element."""
    import numpy as np

    if partitions == 1:
        return np.zeros(len(keys), np.int64)
    return _reduce_all(_hash_column(keys), partitions)


def _reduce_all(hashed: np.ndarray[Any, np.dtype[np.uint64]], partitions: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """`_reduce` each hash, in place."""
    import numpy as np

    hashed ^= hashed >> np.uint64(32)
    hashed *= np.uint64(MIX)
    hashed >>= np.uint64(32)
    hashed *= np.uint64(partitions)
    hashed >>= np.uint64(32)
    return np.asarray(hashed.view(np.int64))


def _hash_column(keys: pa.Array) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """`stable_hash` of each element, modulo 2^64, in an array of its own."""
    import numpy as np
    import pyarrow as pa

    from mapreduce.kernels import hash_strings

    kind = keys.type
    if pa.types.is_dictionary(kind):
        if keys.null_count or keys.dictionary.null_count:
            return _hash_column(keys.dictionary_decode())
        return np.asarray(np.take(_hash_column(keys.dictionary), keys.indices.to_numpy(zero_copy_only=False)))
    if pa.types.is_null(kind):
        return np.full(len(keys), HASH_OF_NONE, np.uint64)
    if keys.null_count:
        hashed = np.full(len(keys), HASH_OF_NONE, np.uint64)
        valid = keys.is_valid()
        hashed[valid.to_numpy(zero_copy_only=False)] = _hash_column(keys.filter(valid))
        return hashed
    if pa.types.is_boolean(kind):
        return np.asarray(keys.to_numpy(zero_copy_only=False)).astype(np.uint64)
    if pa.types.is_integer(kind):
        return hash_integers(keys.to_numpy(zero_copy_only=False))
    if pa.types.is_floating(kind):
        return hash_floats(keys.to_numpy(zero_copy_only=False).astype(np.float64))
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    if is_text or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return hash_strings(keys).astype(np.uint64)
    if pa.types.is_fixed_size_binary(kind):
        return np.fromiter(map(crc32, keys.to_pylist()), np.uint64, len(keys))
    return np.array([stable_hash(key) & MASK for key in keys.to_pylist()], np.uint64)


PRIME = (1 << 61) - 1
"""Python hashes numbers modulo this prime (sys.hash_info.modulus on 64-bit machines)."""

HASH_OF_INF = 314159


def hash_integers(numbers: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """Python's `hash` of each integer: its size modulo PRIME, with its sign; -2 for -1."""
    import numpy as np

    if numbers.dtype.kind == "u":
        return numbers.astype(np.uint64) % np.uint64(PRIME)
    numbers = numbers.astype(np.int64, copy=False)
    if not len(numbers) or (numbers.min() >= 0 and numbers.max() < PRIME):  # most keys: they are their own hashes
        return numbers.astype(np.uint64)
    negative = numbers < 0
    size = np.where(negative, -numbers, numbers).view(np.uint64)  # -2^63 wraps to itself: 2^63 unsigned, as it should
    return _signed(size % np.uint64(PRIME), negative)


def hash_floats(numbers: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """Python's `hash` of each float, which equals the hash of an equal integer or fraction; HASH_OF_NAN for NaN.

    A float is f * 2^e with 0.5 <= f < 1 and 53 bits: f * 2^53 is whole, and multiplying by 2^k modulo 2^61 - 1 is
    a rotation of 61 bits.
    """
    import numpy as np

    finite = np.isfinite(numbers)
    fraction, exponent = np.frexp(np.where(finite, np.abs(numbers), 0.0))
    whole = np.ldexp(fraction, 53).astype(np.uint64)
    turn = ((exponent.astype(np.int64) - 53) % 61).view(np.uint64)
    hashed = ((whole << turn) & np.uint64(PRIME)) | (whole >> (np.uint64(61) - turn))
    hashed[hashed == PRIME] = 0
    hashed = _signed(np.where(finite, hashed, np.uint64(HASH_OF_INF)), numbers < 0)
    hashed[np.isnan(numbers)] = HASH_OF_NAN
    return hashed


def _signed(size: np.ndarray[Any, Any], negative: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """Two's complement of `size` where `negative`; -1 becomes -2, as C's error value is no hash."""
    import numpy as np

    hashed = np.where(negative, ~size + np.uint64(1), size)
    hashed[hashed == MASK] = MASK - 1
    return hashed


# ranges


@dataclass(frozen=True, slots=True)
class Cuts:
    """Keys that cut the order into len(keys) + 1 ranges; a key equal to a cut stands above it."""

    keys: tuple[Any, ...]
    order: tuple[OrderKey, ...]


def choose_cuts(samples: Iterable[Any], partitions: int) -> Cuts:
    """Cuts that give `partitions` ranges about equally many of the samples. Equal samples, in any order: equal cuts.

    Fewer cuts where samples have too few different keys; the last partitions are then empty.
    """
    ordered = sorted_keys(list(samples))
    cuts: list[Any] = []
    for number in range(1, partitions):
        if not ordered:
            break
        cut = ordered[number * len(ordered) // partitions]
        if not cuts or order_key(cuts[-1]) != order_key(cut):
            cuts.append(cut)
    return Cuts(tuple(cuts), tuple(map(order_key, cuts)))


def partition_rows_by_range(keys: list[Any], cuts: Cuts) -> list[int]:
    """The range of each key: the number of cuts at or below it. Ranges ascend, so parts follow each other in order."""
    order = cuts.order
    natural = natural_type(keys)
    if natural is not None and natural_type(cuts.keys) == natural:
        return [bisect_right(cuts.keys, key) for key in keys]
    return [bisect_right(order, order_key(key)) for key in keys]


def partition_columns_by_range(keys: pa.Array, cuts: Cuts) -> np.ndarray[Any, np.dtype[np.int64]]:
    """`partition_rows_by_range` of a column, as int64."""
    import numpy as np

    from mapreduce.dataflow.column_order import count_at_or_below

    if not cuts.keys:
        return np.zeros(len(keys), np.int64)
    found = count_at_or_below(keys, list(cuts.keys))
    if found is not None:
        return found
    return np.array(partition_rows_by_range(keys.to_pylist(), cuts), np.int64)
