"""Small messages travel together, and come out as they went in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapreduce.errors import WireError
from mapreduce.ids import AttemptId, TaskId
from mapreduce.wire.bundles import BUNDLE_BYTES, SMALL_BYTES, bundled, unbundled
from mapreduce.wire.messages import Kind, Message

attempts = st.none() | st.builds(
    AttemptId, st.builds(TaskId, st.integers(0, 9), st.integers(0, 10**6)), st.integers(0, 99)
)
messages = st.builds(
    Message,
    st.sampled_from([Kind.START, Kind.FINISHED, Kind.HEARTBEAT, Kind.LOG]),
    st.integers(0, 2**32 - 1),
    attempts,
    st.integers(0, 1000),
    st.lists(st.binary(max_size=40), max_size=3).map(tuple),
)


@given(st.lists(messages, max_size=30))
def test_what_comes_out_is_what_went_in(given: list[Message]) -> None:
    sent = list(bundled(given))
    assert len(sent) <= 1 or not given
    assert [each for message in sent for each in unbundled(message)] == given


def test_large_ones_travel_alone_and_in_turn() -> None:
    small, large = Message(Kind.LOG, body=(b"x" * 1000,)), Message(Kind.LOG, body=(b"x" * (SMALL_BYTES + 1),))
    given = [small, small, large, small, large, large]
    sent = list(bundled(given))
    assert [message.kind for message in sent] == [Kind.BUNDLE, Kind.LOG, Kind.LOG, Kind.LOG, Kind.LOG]
    assert sent[1] is large
    assert [each for message in sent for each in unbundled(message)] == given


def test_a_bundle_is_bounded() -> None:
    given = [Message(Kind.LOG, body=(b"x" * SMALL_BYTES,))] * 100
    sent = list(bundled(given))
    assert len(sent) > 1
    assert all(len(message.body[0]) <= BUNDLE_BYTES + 100 * 50 for message in sent)


@given(st.binary(max_size=200))
def test_any_bytes_are_messages_or_refused(data: bytes) -> None:
    try:
        unbundled(Message(Kind.BUNDLE, body=(data,)))
    except WireError:
        return


def test_a_bundle_that_is_cut_off() -> None:
    (bundle,) = bundled([Message(Kind.LOG, body=(b"lines",)), Message(Kind.LOG, body=(b"lines",))])
    data = bytes(bundle.body[0])
    for end in range(1, len(data)):
        if end != len(data) // 2:
            with pytest.raises(WireError):
                unbundled(Message(Kind.BUNDLE, body=(data[:end],)))


def test_no_bundle_in_a_bundle() -> None:
    (bundle,) = bundled([Message(Kind.LOG), Message(Kind.LOG)])
    (nested,) = bundled([bundle, Message(Kind.LOG)])
    with pytest.raises(WireError, match="in a bundle"):
        unbundled(nested)
