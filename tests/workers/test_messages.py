"""Messages survive however the stream is cut; limits and failures are pure."""

from __future__ import annotations

import mmap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapreduce.dataflow.monitor import InHand, Monitor, OverMemoryError
from mapreduce.dataflow.results import AttemptResult, FailureKind, Output, TaskStats
from mapreduce.ids import AttemptId, TaskId
from mapreduce.settings import MiB
from mapreduce.workers.failures import MESSAGE_CHARS, RECORD_CHARS, describe, over_memory
from mapreduce.workers.limits import MemoryGauge, Verdict, verdict
from mapreduce.workers.messages import (
    Figures,
    Inbox,
    Kind,
    Message,
    decode_figures,
    decode_result,
    encode,
    encode_figures,
    encode_result,
)

attempts = st.none() | st.builds(
    AttemptId, st.builds(TaskId, st.integers(0, 1000), st.integers(0, 2**32 - 1)), st.integers(0, 2**32 - 1)
)
messages = st.builds(
    Message, st.sampled_from([int(kind) for kind in Kind]), st.integers(0, 2**32 - 1), attempts, st.binary(max_size=50)
)


@given(st.lists(messages, max_size=8), st.lists(st.integers(1, 60), min_size=1, max_size=30))
def test_inbox_is_the_inverse_of_encode_for_any_cut(sent: list[Message], cuts: list[int]) -> None:
    stream = b"".join(encode(*message) for message in sent)
    inbox, received, position, turn = Inbox(), list[Message](), 0, 0
    while position < len(stream):
        size = cuts[turn % len(cuts)]
        received += inbox.feed(stream[position : position + size])
        position, turn = position + size, turn + 1
    assert received == sent


def test_inbox_asks_for_the_rest_of_a_large_message() -> None:
    message = encode(Kind.START, 1, None, bytes(MiB))
    inbox = Inbox()
    assert inbox.feed(message[:1000]) == []
    assert inbox.wanted == len(message) - 1000
    assert len(inbox.feed(message[1000:])) == 1
    assert inbox.wanted < MiB


def test_bodies_decode_to_what_was_encoded() -> None:
    result = AttemptResult(Output("a/b", b"x", 3, 4), {"n": 5}, TaskStats(1, 2, 3, 4, 0.5, 0.25, 7, 8))
    assert decode_result(encode_result(result)) == result
    figures = Figures(1, 2, 3, 4, 5.5)
    assert decode_figures(encode_figures(figures)) == figures


def test_verdict_asks_a_task_to_end_and_ends_a_worker_just_below_the_limit() -> None:
    assert verdict(89 * MiB, 100 * MiB) is Verdict.FINE
    assert verdict(90 * MiB, 100 * MiB) is Verdict.LARGE
    assert verdict(94 * MiB, 100 * MiB) is Verdict.LARGE
    assert verdict(95 * MiB, 100 * MiB) is Verdict.OVER
    assert verdict(10**15, 0) is Verdict.FINE


def test_gauge_sees_what_is_touched() -> None:
    gauge = MemoryGauge()
    with mmap.mmap(-1, 32 * MiB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as held:  # none that was touched before
        for page in range(0, len(held), mmap.PAGESIZE):
            held[page] = 1
        assert 31 * MiB < gauge.anonymous_bytes() < 40 * MiB
        assert gauge.resident_bytes() > len(held)


def test_descriptions_are_bounded_and_never_raise() -> None:
    class Odd:
        def __repr__(self) -> str:
            raise RuntimeError

    monitor = Monitor()
    monitor.record = "x" * 10_000
    failure = describe(ValueError("m" * 100_000), monitor)
    assert len(failure.message) < MESSAGE_CHARS + 100
    assert failure.record is not None
    assert len(failure.record) < RECORD_CHARS + 100
    monitor.record = Odd()
    assert describe(ValueError("m"), monitor).record == "(a Odd, whose repr raises RuntimeError)"
    assert describe(ValueError("m")).record is None


def test_what_was_in_hand_is_told_of_failures_for_memory_only() -> None:
    monitor = Monitor()
    monitor.in_hand = lambda: InHand("a record", "a.txt, byte 7")
    for error in (MemoryError("no room"), OverMemoryError("it used all")):
        failure = describe(error, monitor)
        assert (failure.kind, failure.record, failure.place) == (FailureKind.MEMORY, "a record", "a.txt, byte 7")
    assert describe(ValueError("m"), monitor).place is None  # it may have left that record behind
    assert over_memory("it used all", monitor).record == "a record"


def test_a_task_that_cannot_tell_what_it_has_in_hand_still_fails_in_order() -> None:
    monitor = Monitor()
    monitor.in_hand = lambda: InHand([1][7])
    assert describe(MemoryError(), monitor).record is None


def test_a_large_task_ends_at_its_next_check_unless_a_spill_made_room() -> None:
    monitor = Monitor()

    def checked() -> Monitor:
        monitor.check()
        return monitor

    monitor.over_memory = lambda: ""
    assert checked().over_memory is None  # until the watch thread finds it large again
    monitor.over_memory = lambda: "it used all"
    batches = monitor.watched([1, 2])
    with pytest.raises(OverMemoryError, match="it used all"):
        next(batches)
    monitor.over_memory = None
    assert list(monitor.watched([1, 2])) == [1, 2]
    assert monitor.steps == 2


def test_steps_within_a_batch_count_and_never_raise() -> None:
    monitor = Monitor()
    monitor.steps = 3
    assert monitor.steps_so_far() == 3
    monitor.within = lambda: 4
    assert monitor.steps_so_far() == 7
    monitor.within = lambda: [1][7]
    assert monitor.steps_so_far() == 3
