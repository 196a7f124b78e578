"""How do many bytes go from one host to another so that only the reader opens them, at the speed of the link?

zmq's CURVE takes 0.5 s of CPU a gigabyte at each end; AES-256-GCM, for which processors have instructions, 0.05 to 0.2.
So a reader of much gets keys inside CURVE, and then asks and is answered on a TCP stream beside it, all of it sealed.

Each way has a key of its own. It consists of records, each sealed with the number of those before it: one that is
changed, left out, repeated or exchanged does not open, and ends the stream. AES-GCM is that of the `cryptography`
package; on a host without it everything goes through CURVE.

    reader -> host    ticket      in the clear, good once; it names the keys and opens nothing
                      question    its length in the clear, 2 bytes; the question as a record
    host -> reader    head        a record of fixed size: the answer, and the length of its body
                      body        records of RECORD_BYTES; the last has the rest
"""

from __future__ import annotations

import secrets
import struct
from functools import cache

from mapreduce.dataclass import dataclass, field
from mapreduce.wire.data_messages import (
    ANSWER_BYTES,
    PIECE_BYTES,
    QUESTION_BYTES,
    QUESTION_HEAD_BYTES,
    Answer,
    DataError,
    Question,
    decode_answer,
    decode_question,
    encode_answer,
    encode_question,
)

CIPHER = "aes-256-gcm"
KEY_BYTES = 32
TICKET_BYTES = 16
TAG_BYTES = 16

RECORD_BYTES = 256 << 10
"""Small enough to stay in a processor's cache from the file to the socket: records of a mebibyte cost half more."""

MAGIC = b"MRs1"
HELLO_BYTES = len(MAGIC) + TICKET_BYTES

_OFFER = struct.Struct(f"!H{TICKET_BYTES}s{KEY_BYTES}s{KEY_BYTES}s")
_LENGTH = struct.Struct("!H")
_BODY_LENGTH = struct.Struct("!I")
HEAD_BYTES = ANSWER_BYTES + _BODY_LENGTH.size


@cache
def can_seal() -> bool:
    """Whether this host has what it takes. Loads it: 10 ms, and so not before there is much to read."""
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError:
        return False
    return hasattr(AESGCM, "encrypt_into")  # releases before 47 lack it


@dataclass(frozen=True, slots=True)
class Offer:
    """Where a stream can be had, by whom, and its keys. It travels inside CURVE alone."""

    port: int
    ticket: bytes = field(repr=False)
    questions_key: bytes = field(repr=False)
    answers_key: bytes = field(repr=False)

    def encode(self) -> bytes:
        return _OFFER.pack(self.port, self.ticket, self.questions_key, self.answers_key)


def make_offer(port: int) -> Offer:
    draw = secrets.token_bytes
    return Offer(port, draw(TICKET_BYTES), draw(KEY_BYTES), draw(KEY_BYTES))


def decode_offer(data: bytes) -> Offer:
    """The inverse of `Offer.encode`. Raises DataError."""
    if len(data) != _OFFER.size:
        raise DataError("an offer of another form")
    return Offer(*_OFFER.unpack(data))


def hello_of(ticket: bytes) -> bytes:
    """What a reader says first on its stream."""
    return MAGIC + ticket


def ticket_in(hello: bytes) -> bytes | None:
    """The inverse of `hello_of`; None for anything else."""
    return hello[len(MAGIC) :] if len(hello) == HELLO_BYTES and hello.startswith(MAGIC) else None


class Sealer:
    """Seals the records of one way."""

    def __init__(self, key: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._cipher = AESGCM(key)
        self.records = 0

    def seal(self, data: bytes | memoryview, into: memoryview) -> memoryview:
        """Write a record into a buffer that has room for it, and may begin with the data; the part that it takes."""
        record = into[: len(data) + TAG_BYTES]
        self._cipher.encrypt_into(self.records.to_bytes(12, "big"), data, None, record)
        self.records += 1
        return record

    def seal_question(self, question: Question) -> bytes:
        """A question as it travels."""
        data = b"".join(encode_question(question))
        record = self._cipher.encrypt(self.records.to_bytes(12, "big"), data, None)
        self.records += 1
        return _LENGTH.pack(len(record)) + record


class Opener:
    """Opens the records of one way."""

    def __init__(self, key: bytes) -> None:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._cipher = AESGCM(key)
        self._damaged = InvalidTag
        self._records = 0

    def open(self, record: bytes | memoryview, into: memoryview) -> None:
        """Write what is in a record, TAG_BYTES less. Raises DataError if it is not the next one of this stream."""
        try:
            self._cipher.decrypt_into(self._records.to_bytes(12, "big"), record, None, into)
        except self._damaged:
            raise DataError("a record that is not the next one of its stream") from None
        self._records += 1

    def open_questions(self, data: bytes) -> tuple[list[Question], bytes]:
        """The questions that have come as a whole, and what has come of the next. Raises DataError for nonsense."""
        found: list[Question] = []
        at = 0
        while len(data) - at >= _LENGTH.size:
            (size,) = _LENGTH.unpack_from(data, at)
            if not TAG_BYTES < size <= QUESTION_BYTES + TAG_BYTES:
                raise DataError(f"a question of {size} bytes")
            start, end = at + _LENGTH.size, at + _LENGTH.size + size
            if end > len(data):
                break
            opened = memoryview(bytearray(size - TAG_BYTES))
            self.open(data[start:end], opened)
            found.append(decode_question((bytes(opened[:QUESTION_HEAD_BYTES]), bytes(opened[QUESTION_HEAD_BYTES:]))))
            at = end
        return found, data[at:]

    def open_head(self, record: memoryview) -> tuple[Answer, int]:
        """An answer and the length of its body. Raises DataError."""
        head = memoryview(bytearray(HEAD_BYTES))
        self.open(record, head)
        (size,) = _BODY_LENGTH.unpack(head[ANSWER_BYTES:])
        if size > PIECE_BYTES:
            raise DataError(f"an answer of {size} bytes, of at most {PIECE_BYTES}")
        return decode_answer(head[:ANSWER_BYTES]), size


def head_of(answer: Answer, body_bytes: int) -> bytes:
    """The head of an answer."""
    return encode_answer(answer) + _BODY_LENGTH.pack(body_bytes)
