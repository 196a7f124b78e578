"""What do a reader of data and the host that has it say to each other?

A reader asks for pieces of files, and gets an answer to every question, in any order. Both are a frame of fixed size
and a body. Nothing here is pickled.

    reader -> host    READ    path             bytes of a file from an offset, at most a piece; TAIL counts from its end
                      LIST    path             the files of a folder
                      WHERE   name of a host   where that host's data is served
                      SUM     path             the checksum of a piece of a file, without its bytes
                      STREAM  name of a cipher a stream for large answers, see `sealing`
    host -> reader    PIECE   the bytes        with the file's size and version, and a checksum if that was asked for
                      NAMES   JSON             [path, size] of each file
                      PLACE   address
                      OFFER   Offer            where the stream is to be had
                      GONE    a sentence       with the number of the OSError that it stands for

The reader never has more questions open than it has room for the answers: that is its credit, and the host keeps no
state for a reader beyond the questions that it has not come to.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from enum import IntEnum
from typing import Any

from mapreduce.dataclass import dataclass
from mapreduce.errors import MapReduceError

MAGIC = b"MRd2"
"""The last letter is the version: one that differs is answered with nothing."""

PIECE_BYTES = 1 << 20
"""The most that one answer carries."""

SUM_BYTES = 8 << 20
"""The most of which one answer tells the checksum: nobody else is answered meanwhile, for some 5 ms."""

PATH_BYTES = 4096

QUESTION_BYTES = 8 << 10
"""A longer question ends its connection."""

_QUESTION = struct.Struct("<4sBBHQqQ")  # magic, kind, flags, 0, number, offset, size
QUESTION_HEAD_BYTES = _QUESTION.size
_ANSWER = struct.Struct("<4sBBHQQQQI")  # magic, kind, flags, errno, number, offset, size and version of file, checksum
ANSWER_BYTES = _ANSWER.size


class DataError(MapReduceError):
    """A message that no reader and no server of this version sends."""


class Ask(IntEnum):
    """What a question asks for."""

    READ = 1
    LIST = 2
    WHERE = 3
    SUM = 4
    STREAM = 5


class Tell(IntEnum):
    """What an answer tells."""

    PIECE = 1
    NAMES = 2
    PLACE = 3
    GONE = 4
    OFFER = 5


CHECKED = 1
TAIL = 2


@dataclass(frozen=True, slots=True)
class Question:
    """`number` comes back with the answer. `text` is a path or a host; `offset` of a TAIL counts back from the
    end of the file."""

    kind: Ask
    number: int
    text: str
    offset: int = 0
    size: int = 0
    checked: bool = False
    tail: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer without its body. `version` differs if the file was written anew."""

    kind: Tell
    number: int
    offset: int = 0
    file_bytes: int = 0
    version: int = 0
    checksum: int = 0
    checked: bool = False
    errno: int = 0


def encode_question(question: Question) -> list[bytes]:
    flags = CHECKED * question.checked | TAIL * question.tail
    head = _QUESTION.pack(MAGIC, question.kind, flags, 0, question.number, question.offset, question.size)
    return [head, question.text.encode()]


def decode_question(frames: Sequence[bytes]) -> Question:
    """The inverse of `encode_question`. Raises DataError for anything else."""
    if len(frames) != 2 or len(frames[0]) != QUESTION_HEAD_BYTES:
        raise DataError("a question of another form")
    magic, kind, flags, zero, number, offset, size = _QUESTION.unpack(frames[0])
    if magic != MAGIC or zero or flags & ~(CHECKED | TAIL) or kind not in _ASKS or offset < 0:
        raise DataError("a question of another version")
    if not 0 < len(frames[1]) <= PATH_BYTES:
        raise DataError("a question of another form")
    if kind == Ask.SUM and not 0 < size <= SUM_BYTES:
        raise DataError(f"a question for the checksum of {size} bytes, of at most {SUM_BYTES}")
    if kind == Ask.READ and not 0 <= size <= PIECE_BYTES:
        raise DataError(f"a question for {size} bytes, of at most {PIECE_BYTES}")
    try:
        text = frames[1].decode()
    except UnicodeDecodeError:
        raise DataError("a path that is no UTF-8") from None
    return Question(Ask(kind), number, text, offset, size, bool(flags & CHECKED), bool(flags & TAIL))


def encode_answer(answer: Answer) -> bytes:
    flags = CHECKED if answer.checked else 0
    return _ANSWER.pack(
        MAGIC,
        answer.kind,
        flags,
        answer.errno,
        answer.number,
        answer.offset,
        answer.file_bytes,
        answer.version,
        answer.checksum,
    )


def decode_answer(head: Any) -> Answer:
    """The inverse of `encode_answer`. Raises DataError for anything else."""
    if len(head) != _ANSWER.size:
        raise DataError("an answer of another form")
    magic, kind, flags, number, asked, offset, file_bytes, version, checksum = _ANSWER.unpack(head)
    if magic != MAGIC or kind not in _TELLS:
        raise DataError("an answer of another version")
    return Answer(Tell(kind), asked, offset, file_bytes, version, checksum, bool(flags & CHECKED), number)


_ASKS = frozenset(Ask)
_TELLS = frozenset(Tell)
