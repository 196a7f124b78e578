"""What do hosts say to each other, and how does it look on the wire?

A message is a header of fixed size and a body of any number of frames:

    header    magic 4 | version 2 | kind 1 | flags 1 | job 4 | worker 4 | stage 2 | index 4 | number 4 |
              frames 2 | bytes 8
    body      `frames` frames of together `bytes` bytes

The first eight bytes are the same in every version, and so is the body of REFUSED: whoever is told that its version is
another one can say so. Anything that is not exactly such a message raises WireError. Nothing is unpickled here: what
the frames mean is the business of those who send and take them, and they hear only from holders of the cluster's key.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from dataclasses import asdict, fields
from enum import IntEnum
from typing import Any, Self, TypeVar

from mapreduce.dataclass import dataclass
from mapreduce.errors import WireError
from mapreduce.ids import AttemptId, TaskId

MAGIC = b"MRdw"
VERSION = 1

MAX_FRAMES = 1024
"""Of a body. More would be a list that belongs into one frame."""

MAX_WORDS_BYTES = 1 << 20
"""Of a body that is JSON."""

_HEADER = struct.Struct("!4sHBBIIHIIHQ")
_BEGIN = struct.Struct("!4sHB")
_NO_STAGE = 0xFFFF

Frame = bytes | memoryview


class VersionError(WireError):
    """The other side speaks another version of the protocol."""


class Kind(IntEnum):
    """What a message says. Who sends it, and its body."""

    HELLO = 1  # agent or client -> tracker: who I am (JSON)
    WELCOME = 2  # tracker -> agent or client: you are in (JSON)
    REFUSED = 3  # listener -> anybody: you are not, and why (JSON)
    HEARTBEAT = 4  # both ways: I live
    BUNDLE = 6  # both ways: several small messages, see `wire.bundles`
    BYE = 5  # both ways: I leave of my own accord; a reason
    BEGIN = 10  # tracker -> agent: a job's package
    START = 11  # tracker -> agent: an attempt's spec
    CANCEL = 12  # tracker -> agent: end an attempt
    END = 13  # tracker -> agent: the job is over; agent -> tracker: nothing of it runs here any more
    FORGET = 14  # tracker -> agent: nobody will ask for the files of this job
    LIST = 15  # tracker -> agent: segments that reduce tasks read; its name, and what is new
    READY = 20  # agent -> tracker: a worker has come
    FINISHED = 21  # agent -> tracker: an attempt's result
    FAILED = 22  # agent -> tracker: an attempt's failure
    CANCELLED = 23  # agent -> tracker: an attempt obeyed a cancel
    PROGRESS = 24  # agent -> tracker: figures of a running attempt
    LOG = 25  # agent -> tracker: lines that a worker printed
    LOST = 26  # agent -> tracker: a worker is gone
    NO_WORKERS = 27  # agent -> tracker: none is left and none can be made
    COPY = 30  # tracker -> agent: copy an attempt's output that lies on another host
    HAVE = 31  # agent -> tracker: the copy lies here
    NO_COPY = 32  # agent -> tracker: it does not, and why
    PLACES = 35  # tracker -> agent: where the data of other hosts is served
    SUBMIT = 40  # client -> tracker: a job
    ACCEPTED = 41  # tracker -> client: its number
    QUERY = 42  # client -> tracker: what of this job, or of all
    STATUS = 43  # tracker -> client: the answer
    KILL = 47  # client -> tracker: end this job
    LEND = 49  # tracker that stays -> agent: the jobs to lend to, and where each listens (a page)
    FAILURE = 48  # tracker -> client: your request can't be met, and why


_KINDS = {int(kind): kind for kind in Kind}


@dataclass(frozen=True, slots=True)
class Message:
    """One message. `job` and `worker` are numbers of whoever gives them out; 0 is none."""

    kind: Kind
    job: int = 0
    attempt: AttemptId | None = None
    worker: int = 0
    body: tuple[Frame, ...] = ()


def encode_message(message: Message) -> list[Frame]:
    """The frames of a message; `decode_message` is the inverse. Raises WireError for what does not fit into one."""
    stage, index, number = _NO_STAGE, 0, 0
    if message.attempt is not None:
        (stage, index), number = message.attempt
    body = message.body
    size = sum(frame.nbytes if isinstance(frame, memoryview) else len(frame) for frame in body)
    if len(body) > MAX_FRAMES:
        raise WireError(f"a message of {len(body)} frames can't be sent; at most {MAX_FRAMES} may be")
    try:
        header = _HEADER.pack(
            MAGIC, VERSION, message.kind, 0, message.job, message.worker, stage, index, number, len(body), size
        )
    except struct.error as error:
        raise WireError(f"a {message.kind.name} message with such numbers can't be sent: {error}") from None
    return [header, *body]


def size_of(message: Message) -> int:
    """Bytes of its frames."""
    return _HEADER.size + sum(frame.nbytes if isinstance(frame, memoryview) else len(frame) for frame in message.body)


def decode_message(frames: Sequence[Frame]) -> Message:
    """The message that these frames are. Raises WireError for anything else, VersionError for another version."""
    if not frames or len(frames[0]) < _BEGIN.size:
        raise WireError("not a message of ours: it is too short")
    magic, version, kind = _BEGIN.unpack_from(frames[0])
    if magic != MAGIC:
        raise WireError("not a message of ours: it begins with other bytes")
    if version != VERSION:
        raise VersionError(_told_of_version(version, kind, frames))
    if len(frames[0]) != _HEADER.size:
        raise WireError(f"a header of {len(frames[0])} bytes, where {_HEADER.size} are due")
    _, _, _, flags, job, worker, stage, index, number, count, size = _HEADER.unpack(frames[0])
    body = tuple(frames[1:])
    if kind not in _KINDS or flags:
        raise WireError(f"a message of unknown kind {kind}, flags {flags}")
    if count != len(body) or count > MAX_FRAMES:
        raise WireError(f"a body of {len(body)} frames, where {count} were announced")
    if size != sum(frame.nbytes if isinstance(frame, memoryview) else len(frame) for frame in body):
        raise WireError(f"a body of another size than the {size} bytes announced")
    if stage != _NO_STAGE:
        return Message(_KINDS[kind], job, AttemptId(TaskId(stage, index), number), worker, body)
    if index or number:
        raise WireError("an attempt without a stage")
    return Message(_KINDS[kind], job, None, worker, body)


def _told_of_version(version: int, kind: int, frames: Sequence[Frame]) -> str:
    """What to say of a message of another version; a refusal is quoted."""
    text = f"the other side speaks version {version} of the protocol, this one {VERSION}; both need the same mapreduce"
    if kind == Kind.REFUSED and len(frames) == 2:
        try:
            return f"{Refused.decode(frames[1:]).reason} ({text})"
        except WireError:
            return text
    return text


_Words = TypeVar("_Words", bound="Words")


class Words:
    """Base of the bodies that are one JSON object in one frame: exactly the fields of the class, with their types.

    They are read before anybody is trusted with more, so nothing in them is left to chance: sizes are bounded, and
    anything else than what `encode` writes raises WireError.
    """

    __slots__ = ()

    def encode(self) -> tuple[bytes]:
        """The body of a message."""
        data = json.dumps(asdict(self), ensure_ascii=True, allow_nan=False).encode()  # type: ignore[call-overload]
        if len(data) > MAX_WORDS_BYTES:
            raise WireError(f"{type(self).__name__} of {len(data)} bytes; at most {MAX_WORDS_BYTES} may be sent")
        return (data,)

    @classmethod
    def decode(cls, body: Sequence[Frame]) -> Self:
        """The inverse of `encode`. Raises WireError."""
        name = cls.__name__
        if len(body) != 1 or len(body[0]) > MAX_WORDS_BYTES:
            raise WireError(f"{name} is one frame of at most {MAX_WORDS_BYTES} bytes")
        page = parse_json(body[0], name)
        wanted = {field.name: str(field.type) for field in fields(cls)}  # type: ignore[arg-type]
        if not isinstance(page, dict) or page.keys() != wanted.keys():
            raise WireError(f"{name} must have exactly the fields {', '.join(wanted)}")
        return cls(**{field: _checked(f"{name}.{field}", kind, page[field]) for field, kind in wanted.items()})


def parse_json(frame: Frame, name: str) -> Any:
    """What a frame holds as JSON: finite numbers, proper text. Raises WireError for anything else."""
    try:
        page = json.loads(str(frame, "utf-8"), parse_constant=_refuse_constant)
        json.dumps(page, ensure_ascii=False).encode()  # half a surrogate pair is no text
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
        raise WireError(f"{name} is not JSON: {type(error).__name__}") from None
    return page


def _refuse_constant(word: str) -> None:
    raise ValueError(word)


MAX_TEXT = 4096
MAX_INTEGER = 1 << 63


def _checked(name: str, kind: str, value: Any) -> Any:
    """A field's value, if it is of the kind that its annotation names."""
    if kind == "int" and type(value) is int and 0 <= value < MAX_INTEGER:
        return value
    if kind == "float" and type(value) in (int, float) and 0 <= value < 1e300:
        return float(value)
    if kind == "bool" and type(value) is bool:
        return value
    if kind == "str" and type(value) is str and len(value) <= MAX_TEXT and "\0" not in value:
        return value
    if kind == "tuple[str, ...]" and type(value) is list:
        return tuple(_checked(name, "str", each) for each in value)
    raise WireError(f"{name} is not a proper {kind}")


@dataclass(frozen=True, slots=True)
class Hello(Words):
    """Who asks to be let in. `session` is a random number that every connection draws anew."""

    role: str  # "agent" or "client"
    release: str  # of mapreduce
    python: str  # "3.11": pickles of code are not for another
    host: str
    session: int
    scratch: str = ""  # the same as long as the agent's scratch folder is
    cpus: int = 0
    workers: int = 0
    memory_bytes: int = 0
    data_address: str = ""
    data: tuple[str, ...] = ()  # what --data offers
    kept: tuple[str, ...] = ()  # jobs of which there are outputs in its scratch folder


@dataclass(frozen=True, slots=True)
class Welcome(Words):
    """You are in. `session` is that of the HELLO: what comes before it was for an earlier connection."""

    session: int
    epoch: int  # of the tracker: another one after it was restarted
    host: str  # the name under which others know you


@dataclass(frozen=True, slots=True)
class Refused(Words):
    """You are not. `again`: trying later may help. This class never changes: other versions read it."""

    reason: str
    again: bool = False


def reason_to_refuse(hello: Hello, release: str, python: str) -> str | None:
    """Why a host may not join one that runs this release on this Python; None if it may."""
    if hello.role not in ("agent", "client"):
        return f"{hello.role!r} is neither an agent nor a client"
    if hello.release != release:
        return f"{hello.host} has mapreduce {hello.release}, the tracker {release}; install the same on both"
    if hello.python != python:
        return f"{hello.host} has Python {hello.python}, the tracker {python}; code is carried between the same only"
    return None
