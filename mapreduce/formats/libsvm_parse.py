"""How does a line of libsvm become numbers? 'label [qid:n] index:value ... # comment', indices ascending.

`parse_point` reads a line and says what is wrong with it; `parse_points` reads a block of tidy lines without a loop,
and gives up (None) where anything is unusual. Both give the same numbers: a test holds them to it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from mapreduce.dataclass import dataclass

if TYPE_CHECKING:
    import numpy as np

SPACE, COLON, NEWLINE = b" :\n"
_COMMENT = re.compile(rb"[ \t]*#[^\n]*")
_QID = re.compile(rb"(?m)^([^ \n]+) qid:([0-9]{1,18})(?=[ \n])")


@dataclass(frozen=True, slots=True)
class LabeledPoint:
    """A line of libsvm: its label, the indices as the file writes them with their values, and its query id."""

    label: float
    indices: tuple[int, ...]
    values: tuple[float, ...]
    qid: int | None = None

    @property
    def features(self) -> dict[int, float]:
        """The values by index."""
        return dict(zip(self.indices, self.values, strict=True))


@dataclass(frozen=True, slots=True)
class Points:
    """Many points as arrays: row i has indices and values [starts[i], starts[i + 1]). qids is None if none has one."""

    labels: np.ndarray[Any, Any]
    starts: np.ndarray[Any, Any]
    indices: np.ndarray[Any, Any]
    values: np.ndarray[Any, Any]
    qids: list[int | None] | None

    @classmethod
    def of(cls, points: list[LabeledPoint]) -> Points:
        import numpy as np

        starts = np.zeros(len(points) + 1, np.int64)
        np.cumsum([len(point.indices) for point in points], out=starts[1:])
        qids = [point.qid for point in points]
        return cls(
            np.array([point.label for point in points], np.float64),
            starts,
            np.array([index for point in points for index in point.indices], np.int64),
            np.array([value for point in points for value in point.values], np.float64),
            None if all(qid is None for qid in qids) else qids,
        )


def point_text(line: bytes) -> bytes:
    """The line without its comment and the blanks around; empty if it holds no point."""
    return line.partition(b"#")[0].strip()


def parse_point(text: bytes, first_index: int) -> LabeledPoint:
    """The point of a text that `point_text` gave. Raises ValueError that says what is wrong and what would help."""
    label, *pairs = text.split()
    qid = None
    if pairs and pairs[0].startswith(b"qid:"):
        qid = _int(pairs.pop(0)[4:], "the query id")
    indices, values = [], []
    before = first_index - 1
    for pair in pairs:
        word, colon, number = pair.partition(b":")
        if not colon:
            raise ValueError(f"{pair.decode(errors='replace')!r} is not index:value")
        index = _int(word, "the index")
        if index < first_index:
            raise ValueError(
                "index 0, but indices count from 1; if they count from 0, say so: zero_based=True"
                if index == 0
                else f"index {index} is below {first_index}"
            )
        if index <= before:
            raise ValueError(f"index {index} follows {before}; indices must ascend")
        before = index
        indices.append(index)
        values.append(_float(number, f"the value of index {index}"))
    return LabeledPoint(_float(label, "the label"), tuple(indices), tuple(values), qid)


def _int(word: bytes, what: str) -> int:
    try:
        value = int(word)
    except ValueError:
        value = 1 << 63
    if b"_" in word or not -(1 << 63) <= value < 1 << 63:
        raise ValueError(f"{what} is {word.decode(errors='replace')!r}; it must be an integer of 64 bits")
    return value


def _float(word: bytes, what: str) -> float:
    try:
        if b"_" not in word:
            return float(word)
    except ValueError:
        pass
    raise ValueError(f"{what} is {word.decode(errors='replace')!r}; it must be a number")


def parse_points(data: bytes, first_index: int) -> Points | None:
    """The points of whole lines; None where a line is malformed or so unusual that parse_point must judge."""
    import numpy as np
    import pyarrow as pa

    text = _tidy(data)
    qids: list[int | None] | None = None
    if b"qid:" in text:
        qids = [int(qid) for _, qid in _QID.findall(text)]
        text = _QID.sub(rb"\1", text)
    if not text or b"x" in text or b"X" in text:  # Arrow would read 0x10
        return None
    codes = np.frombuffer(text, np.uint8)
    ends = np.flatnonzero((codes == SPACE) | (codes == COLON) | (codes == NEWLINE))
    after = codes[ends]
    before = np.concatenate((np.array([NEWLINE], np.uint8), after[:-1]))
    lengths = np.diff(ends, prepend=-1) - 1
    is_index = after == COLON
    if not lengths.all() or not np.array_equal(is_index, before == SPACE):
        return None
    offsets = np.zeros(len(ends) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    words = pa.StringArray.from_buffers(len(ends), pa.py_buffer(offsets), pa.py_buffer(text.translate(None, b" :\n")))
    try:
        indices = words.filter(pa.array(is_index)).cast(pa.int64()).to_numpy()
        numbers = words.filter(pa.array(~is_index)).cast(pa.float64()).to_numpy()
    except pa.ArrowInvalid:
        return None
    is_label = before[~is_index] == NEWLINE
    starts = np.concatenate(([0], np.cumsum(is_index)[after == NEWLINE]))
    if qids is not None and len(qids) != len(starts) - 1:
        return None
    points = Points(numbers[is_label], starts, indices, numbers[~is_label], qids)
    return points if _ascend(points, first_index) else None


def _ascend(points: Points, first_index: int) -> bool:
    import numpy as np

    if not len(points.indices):
        return True
    rises = np.diff(points.indices, prepend=first_index - 1) > 0
    rises[points.starts[:-1][np.diff(points.starts) > 0]] = True  # each row begins anew
    return bool(rises.all() and points.indices.min() >= first_index)


def _tidy(data: bytes) -> bytes:
    """The same points with single blanks, no comments and no empty lines."""
    text = data
    if b"#" in text:
        text = _COMMENT.sub(b"", text)
    if b"\r" in text:
        text = text.replace(b"\r\n", b"\n")
    if b"\t" in text:
        text = text.replace(b"\t", b" ")
    if b"  " in text:
        text = re.sub(rb" +", b" ", text)
    if b" \n" in text:
        text = text.replace(b" \n", b"\n")
    if b"\n " in text:
        text = text.replace(b"\n ", b"\n")
    if b"\n\n" in text:
        text = re.sub(rb"\n+", b"\n", text)
    text = text.strip(b" \n") if text[:1] in b" \n" else text.rstrip(b" ")
    return text if text.endswith(b"\n") or not text else text + b"\n"


def greatest_index(data: bytes) -> int:
    """The greatest index in whole lines whose indices ascend: the last of each line; -1 if there is none."""
    import numpy as np

    text = _COMMENT.sub(b"", data) if b"#" in data else data
    codes = np.frombuffer(text if text.endswith(b"\n") else text + b"\n", np.uint8)
    colons = np.flatnonzero(codes == COLON)
    if not len(colons):
        return -1
    last = np.searchsorted(colons, np.flatnonzero(codes == NEWLINE)) - 1
    at = colons[np.unique(last[last >= 0])]
    values, scale = np.zeros(len(at), np.int64), 1
    is_digit, has_digit = np.ones(len(at), bool), np.zeros(len(at), bool)
    for _ in range(18):
        at = at - 1
        digits = codes[at].astype(np.int64) - ord("0")
        is_digit &= (digits >= 0) & (digits <= 9) & (at >= 0)
        if not is_digit.any():
            break
        has_digit |= is_digit
        values += np.where(is_digit, digits * scale, 0)
        scale *= 10
    return int(values[has_digit].max()) if has_digit.any() else -1
