"""How are columns of keys sorted and searched, in the order of `order.py`, without a Python step a key?

Numbers are sorted as numbers. Text is sorted by words: eight bytes at a time read as one big-endian number, which
compares as the bytes do; only rows that tie look at their next eight. Sorting numbers is what processors do best: a
million random words of ten letters take 0.10 s here, Arrow's own sort_indices 0.27 s, Python's 0.46 s.

numpy's fastest argsort is not stable. Ties are therefore told apart afterwards by row number, which is cheaper than
its stable one.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mapreduce.dataclass import dataclass
from mapreduce.dataflow.batches import ColumnBatch
from mapreduce.dataflow.order import order_keys
from mapreduce.kernels.packed_rows import BITS, sort_packed

if TYPE_CHECKING:
    Ints = np.ndarray[Any, np.dtype[np.int64]]
    Words = np.ndarray[Any, np.dtype[np.uint64]]

WORD_BYTES = 8
MAX_WORDS = 6
"""Text that ties over this many words is left to Arrow: each word more costs as much as half of its sort."""

EXACT = 1 << 53
"""Integers up to this are floats without loss."""


def sort_columns(batch: ColumnBatch) -> ColumnBatch:
    """The batch sorted stably by key."""
    order = sort_indices(batch.keys)
    return batch if order is None else ColumnBatch(batch.table.take(pa.array(order)))


def sort_indices(keys: pa.Array, *, unique: bool = False) -> Ints | None:
    """Row numbers in stable order of key; None if the rows are in order as they are. `unique`: no two keys are equal,
    so that any order is stable."""
    kind = keys.type
    if len(keys) < 2:
        return None
    if keys.null_count == 0:
        codes = _codes(keys)
        if codes is not None:
            if bool((codes[:-1] <= codes[1:]).all()):
                return None
            return _stable_order(codes, unique=unique)
        text = _Text.of(keys)
        if text is not None:
            order = _order_of_text(text)
            return np.asarray(pc.sort_indices(keys).to_numpy().astype(np.int64)) if order is None else order
        if pa.types.is_dictionary(kind):
            return sort_indices(keys.dictionary_decode())
    order_of = order_keys(keys.to_pylist())
    return np.array(sorted(range(len(keys)), key=order_of.__getitem__), np.int64)


def sort_by_partition(keys: pa.Array, partitions: Any, *, unique: bool = False) -> Ints:
    """Row numbers by partition (uint16, one a row), and within each in stable order of key."""
    codes = None if keys.null_count or not len(keys) else _codes(keys)
    if codes is not None and codes.dtype == np.int64:
        smallest = int(codes.min())
        key_bits = (int(codes.max()) - smallest).bit_length()
        if int(partitions.max()).bit_length() + key_bits < BITS:
            packed = sort_packed((codes - smallest) | partitions.astype(np.int64) << key_bits)
            if packed is not None:
                return packed.rows
    order = sort_indices(keys, unique=unique)
    # Sorted by key, then stably by partition: a radix sort of two bytes.
    by_partition = np.argsort(partitions if order is None else partitions[order], kind="stable")
    return by_partition if order is None else order[by_partition]


def count_at_or_below(keys: pa.Array, cuts: list[Any]) -> Ints | None:
    """For each key the number of ascending `cuts` at or below it; None where their types don't compare as columns."""
    if keys.null_count:
        return None
    kind, types = keys.type, set(map(type, cuts))
    if pa.types.is_integer(kind) and kind != pa.uint64() and types == {int}:
        if all(-(1 << 63) <= cut < 1 << 63 for cut in cuts):
            values = keys.to_numpy(zero_copy_only=False).astype(np.int64)
            return np.asarray(np.searchsorted(np.array(cuts, np.int64), values, side="right"), np.int64)
    elif pa.types.is_floating(kind) and types <= {int, float}:
        if all(type(cut) is float or abs(cut) <= EXACT for cut in cuts):
            numbers = keys.to_numpy(zero_copy_only=False).astype(np.float64)
            return np.asarray(np.searchsorted(np.array(cuts, np.float64), numbers, side="right"), np.int64)
    elif types == {str} and (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return _count_text(keys, [cut.encode("utf-8", "surrogatepass") for cut in cuts])
    elif types == {bytes} and not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return _count_text(keys, cuts)
    return None


def _codes(keys: pa.Array) -> np.ndarray[Any, Any] | None:
    """Numbers that sort as the keys do, with one code for 0.0 and -0.0 and one for all NaN; None if not numeric."""
    kind = keys.type
    if pa.types.is_boolean(kind):
        return np.asarray(keys.to_numpy(zero_copy_only=False).astype(np.int64))
    if pa.types.is_integer(kind):
        return np.asarray(keys.to_numpy(zero_copy_only=False))
    if pa.types.is_floating(kind):
        numbers = keys.to_numpy(zero_copy_only=False).astype(np.float64) + 0.0
        numbers[np.isnan(numbers)] = np.nan
        bits = numbers.view(np.int64)
        return np.asarray(bits ^ ((bits >> 63) & np.int64((1 << 63) - 1)))
    return None


def _stable_order(codes: np.ndarray[Any, Any], *, unique: bool = False) -> Ints:
    """Row numbers that sort `codes` stably."""
    packed = sort_packed(codes) if codes.dtype == np.int64 else None
    if packed is not None:
        return packed.rows
    order = np.argsort(codes)
    if unique:
        return order
    ranks = _ranks_of_sorted(codes[order])
    if ranks[-1] == len(codes) - 1 and bool((ranks[1:] != ranks[:-1]).all()):
        return order
    return np.sort(ranks << 32 | order) & 0xFFFFFFFF


def _ranks_of_sorted(codes: np.ndarray[Any, Any]) -> Ints:
    """For each of the ascending codes, where its equals start."""
    starts = np.arange(len(codes))
    starts[1:][codes[1:] == codes[:-1]] = 0
    return np.maximum.accumulate(starts)


@dataclass(frozen=True, slots=True)
class _Text:
    """A column of text or bytes as its buffer, and where each element starts and how long it is."""

    data: np.ndarray[Any, np.dtype[np.uint8]]  # with a word of zeros behind it
    starts: Ints
    lengths: Ints

    @classmethod
    def of(cls, keys: pa.Array) -> _Text | None:
        kind = keys.type
        if pa.types.is_fixed_size_binary(kind):
            width = kind.byte_width
            offsets = np.arange(keys.offset, keys.offset + len(keys) + 1) * width
        elif pa.types.is_string(kind) or pa.types.is_binary(kind):
            offsets = _offsets(keys, np.int32)
        elif pa.types.is_large_string(kind) or pa.types.is_large_binary(kind):
            offsets = _offsets(keys, np.int64)
        else:
            return None
        buffer = keys.buffers()[-1]
        size = int(offsets[-1] - offsets[0])
        data = np.zeros(size + WORD_BYTES, np.uint8)
        if size:
            data[:size] = np.frombuffer(buffer, np.uint8)[offsets[0] : offsets[-1]]
        return cls(data, offsets[:-1] - offsets[0], np.diff(offsets))

    def words(self, skip: int, rows: Ints | slice = slice(None)) -> Words:
        """Eight bytes of each row from byte `skip` on as a number; zeros stand for what is missing."""
        size = len(self.data) - WORD_BYTES
        unaligned = np.ndarray((size + 1,), ">u8", self.data.data, 0, (1,))
        left = self.lengths[rows] - skip
        words = unaligned[np.minimum(self.starts[rows] + skip, size)].astype(np.uint64)
        if int(left.min()) >= WORD_BYTES:
            return words
        missing = ((WORD_BYTES - np.clip(left, 0, WORD_BYTES)) * 8).astype(np.uint64)
        words = (words >> missing) << missing
        words[left <= 0] = 0  # a shift by 64 bits is not defined
        return words

    def common_bytes(self) -> int:
        """How many first bytes all rows share, up to MAX_WORDS words."""
        for word in range(MAX_WORDS):
            words = self.words(word * WORD_BYTES)
            differ = int(np.bitwise_or.reduce(words ^ words[0]))
            if differ:
                return word * WORD_BYTES + (64 - differ.bit_length()) // 8
        return MAX_WORDS * WORD_BYTES


def _offsets(keys: pa.Array, kind: Any) -> Ints:
    buffer = keys.buffers()[1]
    return np.frombuffer(buffer, kind)[keys.offset : keys.offset + len(keys) + 1].astype(np.int64)


def _order_of_text(text: _Text) -> Ints | None:
    """Stable order of the rows; None if more than MAX_WORDS words past the common first bytes don't tell them apart."""
    read = text.common_bytes()
    words = text.words(read)
    read += WORD_BYTES
    order = np.argsort(words)
    ranks = np.empty(len(words), np.int64)  # of each row: how many rows are below it, as far as is known
    ranks[order] = _ranks_of_sorted(words[order])
    del words, order
    for _ in range(MAX_WORDS):
        tied = _tied(ranks, text.lengths > read)
        if not len(tied):
            break
        _tell_apart(ranks, tied, text.words(read, tied))
        read += WORD_BYTES
    else:
        if len(_tied(ranks, text.lengths > read)):
            return None
    if not text.data[:-WORD_BYTES].all():  # a zero byte looks as if the text had ended there: then the shorter is first
        tied = _tied(ranks, np.ones(len(ranks), bool))
        _tell_apart(ranks, tied, text.lengths[tied])
    return np.sort(ranks << 32 | np.arange(len(ranks))) & 0xFFFFFFFF


def _tied(ranks: Ints, unread: np.ndarray[Any, np.dtype[np.bool_]]) -> Ints:
    """Rows whose rank others share, where any of these has something unread."""
    open_ranks = np.bincount(ranks, minlength=len(ranks)) > 1
    has_unread = np.zeros(len(ranks), bool)
    has_unread[ranks[unread]] = True
    return np.flatnonzero((open_ranks & has_unread)[ranks])


def _tell_apart(ranks: Ints, tied: Ints, codes: np.ndarray[Any, Any]) -> None:
    """Refine the ranks of the tied rows (whole groups of equal rank) by their codes, in place."""
    if not len(tied):
        return
    by_code = np.argsort(codes)
    code_ranks = np.empty(len(tied), np.int64)
    code_ranks[by_code] = _ranks_of_sorted(codes[by_code])
    both = ranks[tied] * len(tied) + code_ranks
    order = np.argsort(both)
    groups = ranks[tied][order]
    ranks[tied[order]] = groups + _ranks_of_sorted(both[order]) - _ranks_of_sorted(groups)


def _count_text(keys: pa.Array, cuts: list[bytes]) -> Ints | None:
    text = _Text.of(keys)
    if text is None or not len(keys):
        return None
    words = text.words(0)
    cut_words = np.array([int.from_bytes(cut[:WORD_BYTES].ljust(WORD_BYTES, b"\0"), "big") for cut in cuts], np.uint64)
    below = np.searchsorted(cut_words, words, side="left").astype(np.int64)
    unsure = np.flatnonzero(np.searchsorted(cut_words, words, side="right") != below)
    if len(unsure):
        binary = pa.large_binary() if pa.types.is_large_string(keys.type) else pa.binary()
        some = keys.take(pa.array(unsure))
        some = some if pa.types.is_fixed_size_binary(keys.type) else some.cast(binary)
        below[unsure] = [bisect_right(cuts, key) for key in some.to_pylist()]
    return below
