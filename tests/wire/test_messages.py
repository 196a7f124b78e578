"""Do messages come back as they were sent, and is anything else refused, whatever it is?"""

from __future__ import annotations

import json
import struct
import tracemalloc
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mapreduce.errors import WireError
from mapreduce.ids import AttemptId, TaskId
from mapreduce.wire.messages import (
    MAGIC,
    MAX_FRAMES,
    MAX_WORDS_BYTES,
    VERSION,
    Frame,
    Hello,
    Kind,
    Message,
    Refused,
    VersionError,
    Welcome,
    Words,
    decode_message,
    encode_message,
    reason_to_refuse,
)

NUMBERS = st.integers(0, 2**32 - 1)
ATTEMPTS = st.builds(AttemptId, st.builds(TaskId, st.integers(0, 2**16 - 2), NUMBERS), NUMBERS)
BODIES = st.lists(st.binary(max_size=50), max_size=5).map(tuple)
MESSAGES = st.builds(Message, st.sampled_from(Kind), NUMBERS, st.none() | ATTEMPTS, NUMBERS, BODIES)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
SIZES = st.integers(0, 2**63 - 1)
HELLOS = st.builds(Hello, TEXTS, TEXTS, TEXTS, TEXTS, SIZES, TEXTS, SIZES, SIZES, SIZES, TEXTS,
                   st.lists(TEXTS, max_size=5).map(tuple))  # fmt: skip
WELCOMES = st.builds(Welcome, SIZES, SIZES, TEXTS)
REFUSALS = st.builds(Refused, TEXTS, st.booleans())
HELLO = Hello("agent", "0.4.0", "3.11", "a", 7)


def frames_of(message: Message) -> list[bytes]:
    return [bytes(frame) for frame in encode_message(message)]


# --- messages


@given(MESSAGES)
def test_a_message_comes_back_as_it_was_sent(message: Message) -> None:
    assert decode_message(encode_message(message)) == message


@given(MESSAGES)
def test_frames_may_be_views(message: Message) -> None:
    views: list[Frame] = [memoryview(frame) for frame in frames_of(message)]
    decoded = decode_message(views)
    assert replace(decoded, body=tuple(map(bytes, decoded.body))) == message


def test_views_are_measured_in_bytes() -> None:
    numbers = memoryview(bytes(80)).cast("H")
    frames = encode_message(Message(Kind.START, body=(numbers,)))
    assert decode_message([frames[0], bytes(80)]).body == (bytes(80),)


@given(st.lists(st.binary(max_size=100), max_size=6))
@example([])
@example([b""])
@example([MAGIC])
@example([MAGIC + struct.pack("!HB", VERSION, Kind.HELLO)])
@example([MAGIC + struct.pack("!HB", VERSION + 1, Kind.REFUSED), b'{"reason": 5}'])
def test_any_frames_are_a_message_or_a_wire_error(frames: list[bytes]) -> None:
    try:
        decode_message(frames)
    except WireError:
        return


@given(MESSAGES, st.data())
def test_a_message_with_bytes_changed_cut_or_added_is_a_message_or_a_wire_error(
    message: Message, data: st.DataObject
) -> None:
    frames = [bytearray(frame) for frame in frames_of(message)]
    which = data.draw(st.integers(0, len(frames) - 1))
    at = data.draw(st.integers(0, len(frames[which])))
    frames[which][at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    try:
        decode_message([bytes(frame) for frame in frames])
    except WireError:
        return


@given(MESSAGES)
def test_frames_lost_or_added_are_noticed(message: Message) -> None:
    frames = frames_of(message)
    for wrong in ([*frames, b""], frames[1:], frames[:-1]):
        with pytest.raises(WireError):
            decode_message(wrong)
    if len(frames) > 1:
        with pytest.raises(WireError, match="a body of another size"):
            decode_message([*frames[:-1], frames[-1] + b"x"])


@pytest.mark.parametrize(
    ("at", "value", "told"),
    [
        (0, b"HTTP", "begins with other bytes"),
        (6, b"\xff", "of unknown kind 255"),
        (7, b"\x01", "flags 1"),
        (26, b"\x00\x05", "a body of 1 frames, where 5 were announced"),
        (28, b"\x00\x00\x00\x10\x00\x00\x00\x00", "another size than the 68719476736 bytes announced"),
    ],
)
def test_what_is_wrong_is_told(at: int, value: bytes, told: str) -> None:
    header, body = frames_of(Message(Kind.START, 1, AttemptId(TaskId(0, 1), 2), 3, (b"spec",)))
    with pytest.raises(WireError, match=told):
        decode_message([header[:at] + value + header[at + len(value) :], body])


def test_numbers_that_don_t_fit_and_too_many_frames_are_not_sent() -> None:
    for message in (Message(Kind.START, job=2**32), Message(Kind.START, worker=-1),
                    Message(Kind.START, body=(b"",) * (MAX_FRAMES + 1))):  # fmt: skip
        with pytest.raises(WireError, match="can't be sent"):
            encode_message(message)


def test_what_is_announced_costs_no_memory() -> None:
    header = frames_of(Message(Kind.START))[0]
    tracemalloc.start()
    for frames in ([header[:26] + b"\xff" * 10], [MAGIC + b"\xff" * 32, b"x"], [b"\xff" * 36]):
        with pytest.raises(WireError):
            decode_message(frames)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100_000


# --- versions


def test_another_version_is_told_apart_whatever_its_header() -> None:
    for version in (0, VERSION + 1, 65535):
        with pytest.raises(VersionError, match=f"the other side speaks version {version} of the protocol, this one 1"):
            decode_message([MAGIC + struct.pack("!HB", version, 200) + b"what comes later", b"x", b"y"])


def test_a_refusal_is_understood_in_every_version() -> None:
    refusal = frames_of(Message(Kind.REFUSED, body=Refused("get out").encode()))
    refusal[0] = MAGIC + struct.pack("!HB", VERSION + 1, Kind.REFUSED) + b"a longer header"
    with pytest.raises(VersionError, match="get out"):
        decode_message(refusal)


def test_the_bytes_of_the_first_version() -> None:
    """Others have these on the wire: a change here needs another VERSION."""
    header, *body = frames_of(Message(Kind.FINISHED, 1, AttemptId(TaskId(2, 3), 4), 5, (b"abc", b"d")))
    numbers = "00000001 00000005 0002 00000003 00000004 0002 0000000000000004"
    assert header == bytes.fromhex("4d526477 0001 15 00" + numbers)
    assert body == [b"abc", b"d"]
    assert Refused("no").encode() == (b'{"reason": "no", "again": false}',)
    assert [(kind.name, kind.value) for kind in (Kind.HELLO, Kind.WELCOME, Kind.REFUSED)] == [
        ("HELLO", 1), ("WELCOME", 2), ("REFUSED", 3)]  # fmt: skip


# --- who is who


@given(HELLOS | WELCOMES | REFUSALS)
def test_words_come_back_as_they_were_said(words: Words) -> None:
    assert type(words).decode(words.encode()) == words


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.sampled_from([Hello, Welcome, Refused]),
    st.binary(max_size=200) | JSON.map(lambda page: json.dumps(page).encode()),
)
def test_any_bytes_are_words_or_a_wire_error(cls: type[Words], data: bytes) -> None:
    try:
        cls.decode((data,))
    except WireError:
        return


@given(st.data())
def test_a_field_of_any_value_is_as_it_should_be_or_a_wire_error(data: st.DataObject) -> None:
    page = json.loads(HELLO.encode()[0])
    field = data.draw(st.sampled_from(sorted(page)))
    page[field] = value = data.draw(JSON)
    try:
        hello = Hello.decode((json.dumps(page).encode(),))
    except WireError:
        return
    got = getattr(hello, field)
    assert got == (tuple(value) if isinstance(value, list) else value) and type(got) in (str, int, tuple)


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"[]", b"null", b"\xff\xfe", b'"' + b"x" * 100, b"[" * 100_000, b'{"a":' * 50_000, b"9" * 10_000,
     b'{"reason": "x"}', b'{"reason": "x", "again": 1}', b'{"reason": "x", "again": false, "more": 0}',
     b'{"reason": "\\ud800", "again": false}', b'{"reason": "\\u0000", "again": false}',
     b'{"reason": "%s", "again": false}' % (b"x" * 5000), b'{"reason": NaN, "again": false}'],
    ids=lambda data: repr(data[:20]),
)  # fmt: skip
def test_no_refusal(data: bytes) -> None:
    with pytest.raises(WireError):
        Refused.decode((data,))


def test_words_are_one_frame_of_bounded_size() -> None:
    with pytest.raises(WireError, match="one frame of at most"):
        Refused.decode(())
    with pytest.raises(WireError, match="one frame of at most"):
        Refused.decode((b"{}", b"{}"))
    with pytest.raises(WireError, match="one frame of at most"):
        Refused.decode((b" " * (MAX_WORDS_BYTES + 1),))
    with pytest.raises(WireError, match="at most 1048576 may be sent"):
        replace(HELLO, data=("x" * 4000,) * 300).encode()


def test_views_are_read_too() -> None:
    assert Refused.decode((memoryview(Refused("no").encode()[0]),)) == Refused("no")


def test_who_may_join() -> None:
    assert reason_to_refuse(HELLO, "0.4.0", "3.11") is None
    assert reason_to_refuse(replace(HELLO, role="client"), "0.4.0", "3.11") is None
    assert reason_to_refuse(replace(HELLO, role="boss"), "0.4.0", "3.11") == "'boss' is neither an agent nor a client"
    assert reason_to_refuse(HELLO, "0.5.0", "3.11") == (
        "a has mapreduce 0.4.0, the tracker 0.5.0; install the same on both"
    )
    assert "a has Python 3.11, the tracker 3.12" in str(reason_to_refuse(HELLO, "0.4.0", "3.12"))
