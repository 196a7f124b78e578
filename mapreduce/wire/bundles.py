"""How do many small messages travel as one? In a bundle, which costs one call, one encryption and one wake-up.

The body of a bundle is one frame: of each message the lengths of its frames, and then these.

    count 2 | count lengths of 4 each | the frames
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from mapreduce.errors import WireError
from mapreduce.wire.messages import Frame, Kind, Message, decode_message, encode_message

SMALL_BYTES = 16 << 10
"""Copying so much is cheaper than a message of its own."""

BUNDLE_BYTES = 256 << 10
BUNDLE_MESSAGES = 1000

_COUNT = struct.Struct("!H")


def bundled(messages: Iterable[Message]) -> Iterator[Message]:
    """The same messages in the same order, small ones in bundles."""
    waiting: list[Message] = []
    size = 0
    for message in messages:
        bytes_ = sum(map(_size, message.body))
        if waiting and (size + bytes_ > BUNDLE_BYTES or bytes_ > SMALL_BYTES or len(waiting) >= BUNDLE_MESSAGES):
            yield _bundle(waiting)
            waiting, size = [], 0
        if bytes_ > SMALL_BYTES:
            yield message
        else:
            waiting.append(message)
            size += bytes_
    if waiting:
        yield _bundle(waiting)


def unbundled(message: Message) -> list[Message]:
    """The messages that a message stands for: itself, or those of a bundle. Raises WireError for a damaged one."""
    if message.kind != Kind.BUNDLE:
        return [message]
    if len(message.body) != 1:
        raise WireError("a bundle is one frame")
    (body,) = message.body
    data = bytes(body)
    messages: list[Message] = []
    at = 0
    while at < len(data):
        try:
            (count,) = _COUNT.unpack_from(data, at)
            lengths = struct.unpack_from(f"!{count}I", data, at + _COUNT.size)
        except struct.error:
            raise WireError("a bundle that is cut off") from None
        at += _COUNT.size + 4 * count
        frames = []
        for length in lengths:
            frames.append(data[at : at + length])
            at += length
        if at > len(data):
            raise WireError("a bundle that is cut off")
        inner = decode_message(frames)
        if inner.kind == Kind.BUNDLE:
            raise WireError("a bundle in a bundle")
        messages.append(inner)
    return messages


def _bundle(messages: list[Message]) -> Message:
    if len(messages) == 1:
        return messages[0]
    parts: list[Frame] = []
    for message in messages:
        frames = encode_message(message)
        parts.append(struct.pack(f"!H{len(frames)}I", len(frames), *map(_size, frames)))
        parts += frames
    return Message(Kind.BUNDLE, body=(b"".join(parts),))


def _size(frame: Frame) -> int:
    return frame.nbytes if isinstance(frame, memoryview) else len(frame)
