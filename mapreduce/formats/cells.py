"""How is a key or a value written as text? One by one, or a column at a time, with the same characters.

str as it is, int and float as Python's repr, True as true, None as nothing, bytes as they are; anything else (tuples,
lists, dicts, records) as JSON. Sets are written sorted: the same job writes the same bytes in every process.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mapreduce.dataclass import is_dataclass_instance

if TYPE_CHECKING:
    import pyarrow as pa

EXACT_INTEGERS = 1e16
"""From here on repr writes an exponent, and so does Arrow."""


def text_of(value: Any) -> str:
    """The cell's text. Bytes that are no UTF-8 become surrogates, which `encode_text` turns back."""
    kind = type(value)
    if kind is str:
        return str(value)
    if kind is int:
        return str(value)
    if kind is float:
        return repr(value)
    if value is None:
        return ""
    if kind is bool:
        return "true" if value else "false"
    return _text_of_other(value)


def _text_of_other(value: Any) -> str:
    import datetime
    import decimal

    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode("utf-8", "surrogateescape")
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, float):
        return float.__repr__(value)  # of numpy.float64, too
    if isinstance(value, datetime.date | datetime.time | datetime.timedelta | decimal.Decimal):
        return str(value)
    if isinstance(value, int):
        return int.__repr__(value)
    if hasattr(value, "dtype") and not getattr(value, "shape", ()):
        return text_of(value.item())  # a numpy scalar
    return json_of(value)


def encode_text(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half a surrogate pair that was no byte
        return text.encode("utf-8", "surrogatepass")


def json_of(value: Any) -> str:
    """JSON of any value; what JSON does not know becomes what is nearest: lists, objects, else text."""
    try:
        return _ENCODER.encode(value)
    except TypeError:  # a dict whose keys are no strings
        return _ENCODER.encode(_with_text_keys(value))


def _plain(value: Any) -> Any:
    if isinstance(value, set | frozenset):
        return sorted(value, key=lambda member: (type(member).__name__, json_of(member)))
    if is_dataclass_instance(value):
        from dataclasses import fields

        return {field.name: getattr(value, field.name) for field in fields(value)}
    if hasattr(value, "tolist"):
        return value.tolist()  # numpy
    return text_of(value) if isinstance(value, bytes | bytearray | memoryview) else str(value)


_ENCODER = json.JSONEncoder(ensure_ascii=False, default=_plain)


def _with_text_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {text_of(key): _with_text_keys(each) for key, each in value.items()}
    if isinstance(value, set | frozenset):
        return [_with_text_keys(each) for each in _plain(value)]
    if isinstance(value, list | tuple):
        return [_with_text_keys(each) for each in value]
    return _with_text_keys(_plain(value)) if is_dataclass_instance(value) else value


def text_column(array: pa.Array) -> pa.Array | None:
    """The cells' texts as a large_string array without nulls, without a loop; None where there is no such way."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = array.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_integer(kind):
        texts = array.cast(pa.large_string())
    elif pa.types.is_boolean(kind):
        texts = pc.if_else(array, large_text("true"), large_text("false"))
    elif pa.types.is_float64(kind) or pa.types.is_float32(kind):
        texts = _float_texts(array.cast(pa.float64()))
    elif pa.types.is_null(kind):
        texts = pa.nulls(len(array), pa.large_string())
    else:
        return None
    return pc.fill_null(texts, "") if texts.null_count else texts


def _float_texts(array: pa.DoubleArray) -> pa.LargeStringArray:
    """As repr writes them.

    Arrow finds the same digits, but writes 1 for 1.0, 1e+10 for 10000000000.0 and 1e-7 for 1e-07.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    values = array.to_numpy(zero_copy_only=False)
    sizes = np.abs(values)
    is_whole = (sizes < EXACT_INTEGERS) & (np.trunc(values) == values)
    is_other = ((sizes < 1e-4) | ((sizes >= 1e10) & (sizes < EXACT_INTEGERS))) & ~is_whole
    texts = array.cast(pa.large_string())
    if is_whole.any():
        whole = pa.array(values[is_whole].astype(np.int64)).cast(pa.large_string())
        whole = pc.binary_join_element_wise(whole, large_text(".0"), large_text(""))
        is_minus_zero = (values[is_whole] == 0) & np.signbit(values[is_whole])
        if is_minus_zero.any():
            whole = pc.if_else(pa.array(is_minus_zero), large_text("-0.0"), whole)
        texts = pc.replace_with_mask(texts, pa.array(is_whole), whole)
    if is_other.any():
        others = pa.array(list(map(repr, values[is_other].tolist())), pa.large_string())
        texts = pc.replace_with_mask(texts, pa.array(is_other), others)
    return texts


def large_text(text: str) -> pa.LargeStringScalar:
    import pyarrow as pa

    return pa.scalar(text, pa.large_string())


def column_bytes(array: pa.Array) -> bytes:
    """The characters of all cells of a large_string array, one after the other."""
    import numpy as np

    if not len(array):
        return b""
    _, offsets, data = array.buffers()
    bounds = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
    size = int(bounds[-1] - bounds[0])
    return data.slice(int(bounds[0]), size).to_pybytes() if size else b""
