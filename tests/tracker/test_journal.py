"""Does the journal give back what was written, and say so when it cannot?"""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapreduce.dataflow.results import AttemptResult, Failure, FailureKind, Output, TaskStats
from mapreduce.errors import InternalError, ResourceError
from mapreduce.ids import AttemptId, TaskId, WorkerId
from mapreduce.tracker.commands import Commit, Relocate
from mapreduce.tracker.events import AttemptFailed, AttemptFinished, Event, OutputLost, OutputMoved, Tick
from mapreduce.tracker.journal import JournalWriter, decode_event, encode_event, read_journal
from mapreduce.tracker.plan import plan_keyed
from mapreduce.tracker.tracker import Tracker
from mapreduce.tracker.work import is_kept
from tests.tracker.scene import Scene, replay

TASK = st.builds(TaskId, st.integers(0, 9), st.integers(0, 2**40))
ATTEMPT = st.builds(AttemptId, TASK, st.integers(0, 99))
WORKER = st.integers(0, 2**40).map(WorkerId)
TIME = st.floats(allow_nan=False, allow_infinity=False)
TEXT = st.text(st.characters())  # lone surrogates too: file names have them
COUNT = st.integers(0, 2**64)
STATS = st.builds(TaskStats, COUNT, COUNT, COUNT, COUNT, TIME, TIME, COUNT, COUNT)
OUTPUT = st.builds(Output, st.none() | TEXT, st.none() | st.binary(), COUNT, COUNT)
RESULT = st.builds(AttemptResult, OUTPUT, st.dictionaries(TEXT, st.integers()), STATS)
MAYBE = st.none() | TEXT
FAILURE = st.builds(
    Failure, st.sampled_from(FailureKind), TEXT, TEXT, TEXT, MAYBE, MAYBE, st.none() | st.binary(), st.tuples(TASK)
)
EVENT = st.one_of(
    st.builds(AttemptFinished, TIME, ATTEMPT, WORKER, RESULT),
    st.builds(AttemptFailed, TIME, ATTEMPT, WORKER, FAILURE),
    st.builds(OutputLost, TIME, TASK),
    st.builds(OutputMoved, TIME, ATTEMPT, TEXT),
)


def finished(index: int) -> AttemptFinished:
    attempt = AttemptId(TaskId(0, index), 0)
    output = Output(f"map-{index}.seg", b"\n\x00", checksum=index, bytes=9)
    return AttemptFinished(1.5, attempt, WorkerId(1), AttemptResult(output, {"words": index}, TaskStats(records_in=7)))


EVENTS: list[Event] = [finished(0), OutputLost(2.0, TaskId(0, 0)), finished(1), finished(2)]


def written(events: list[Event], fingerprint: str = "job-1") -> bytes:
    file = io.BytesIO()
    writer = JournalWriter(file)
    writer.begin(fingerprint)
    for event in events:
        writer.append(event)
    return file.getvalue()


@given(EVENT)
def test_decode_undoes_encode(event: AttemptFinished | AttemptFailed | OutputLost | OutputMoved) -> None:
    payload = encode_event(event)
    assert b"\n" not in payload
    assert decode_event(payload) == event


def test_the_format_byte_by_byte() -> None:
    """The format of version 1: a change here needs a new version."""
    assert written([finished(3), OutputLost(2.0, TaskId(0, 3))]) == (
        b'0000001b 1f295976 {"journal":1,"job":"job-1"}\n'
        b'00000055 334e7ddc ["finished",1.5,[0,3,0],1,["map-3.seg","CgA=",3,9],{"words":3},[0,7,0,0,0.0,0.0,0,0]]\n'
        b'00000012 52ec3ca0 ["lost",2.0,[0,3]]\n'
    )


def test_a_whole_journal_reads_back() -> None:
    data = written(EVENTS)
    journal = read_journal(data)
    assert journal.fingerprint == "job-1"
    assert list(journal.events) == EVENTS
    assert (journal.good_bytes, journal.dropped_bytes, journal.problem()) == (len(data), 0, "")


def test_an_empty_file_is_an_empty_journal() -> None:
    journal = read_journal(b"")
    assert (journal.fingerprint, journal.events, journal.dropped_bytes, journal.problem()) == (None, (), 0, "")


def test_cut_at_any_byte_all_whole_lines_before_are_read() -> None:
    data = written(EVENTS)
    ends = [number + 1 for number, byte in enumerate(data) if byte == ord("\n")]
    for cut in range(len(data)):
        journal = read_journal(data[:cut])
        whole = [end for end in ends if end <= cut]
        assert list(journal.events) == EVENTS[: max(0, len(whole) - 1)]
        assert journal.good_bytes == (whole[-1] if whole else 0)
        assert journal.dropped_bytes == cut - journal.good_bytes
        assert journal.torn == (journal.dropped_bytes > 0)
        assert not journal.damaged
        if journal.torn:
            assert f"the last {journal.dropped_bytes} bytes were never written whole" in journal.problem()


def test_a_flipped_bit_anywhere_is_noticed_and_nothing_from_there_on_is_used() -> None:
    data = written(EVENTS)
    starts = [0] + [number + 1 for number, byte in enumerate(data) if byte == ord("\n")]
    for position in range(len(data)):
        for bit in range(8):
            bad = bytearray(data)
            bad[position] ^= 1 << bit
            line = max(number for number, start in enumerate(starts) if start <= position)
            journal = read_journal(bytes(bad))
            assert list(journal.events) == EVENTS[: max(0, line - 1)]
            assert (journal.fingerprint is None) == (line == 0)
            assert journal.good_bytes == starts[line]
            # A line break lost from the last line but one joins it to the last: then no whole line follows.
            last = line == len(EVENTS) or (line == len(EVENTS) - 1 and data[position] == ord("\n"))
            assert journal.damaged == (not last)
            assert journal.torn == last


def test_damage_is_told_with_its_place() -> None:
    data = bytearray(written(EVENTS))
    data[60] ^= 1
    journal = read_journal(bytes(data))
    assert journal.problem().startswith("journal: damaged at byte 46; the ")
    assert f"the {journal.dropped_bytes} bytes from there on are not used" in journal.problem()


def test_a_journal_of_another_version_is_no_journal_of_ours() -> None:
    file = io.BytesIO()
    writer = JournalWriter(file)
    writer._write(b'{"journal":2,"job":"job-1"}')
    writer.append(finished(0))
    journal = read_journal(file.getvalue())
    assert (journal.fingerprint, journal.events, journal.good_bytes) == (None, (), 0)


def test_writing_goes_on_where_good_bytes_end() -> None:
    torn = written(EVENTS)[:-5]
    good = torn[: read_journal(torn).good_bytes]
    file = io.BytesIO(good)
    file.seek(0, io.SEEK_END)
    JournalWriter(file).append(finished(9))
    assert list(read_journal(file.getvalue()).events) == [*EVENTS[:-1], finished(9)]


def test_the_disk_is_waited_for_when_asked_and_once_for_all_before() -> None:
    file = io.BytesIO()
    sizes: list[int] = []
    writer = JournalWriter(file, to_disk=lambda: sizes.append(len(file.getvalue())))
    writer.begin("job-1")
    writer.append(EVENTS[0])
    assert sizes == []
    writer.sync()
    writer.sync()  # nothing new
    assert sizes == [len(written(EVENTS[:1]))]


class FullDisk:
    """A file of which the disk takes only so much."""

    def __init__(self, room: int | None) -> None:
        self.room = room

    def write(self, data: bytes, /) -> int:
        if self.room is None:
            raise OSError(28, "No space left on device")
        return min(self.room, len(data))


@pytest.mark.parametrize(("room", "words"), [(None, "No space left on device"), (10, "10 of 46 bytes written")])
def test_a_full_disk_is_a_resource_error(room: int | None, words: str) -> None:
    with pytest.raises(ResourceError, match=words):
        JournalWriter(FullDisk(room)).begin("job-1")


def test_events_that_are_not_kept_cannot_be_encoded() -> None:
    with pytest.raises(InternalError, match="Tick is not an event that the journal keeps"):
        encode_event(Tick(0.0))


@pytest.mark.parametrize("payload", [b"[]", b'["lost",1]', b'["finished"', b'["lost",1,[1,2,3]]', b'["lost",1,7]'])
def test_a_payload_that_is_no_event_is_our_bug(payload: bytes) -> None:
    with pytest.raises(InternalError, match="is no event"):
        decode_event(payload)


def test_only_what_changes_committed_outputs_is_kept() -> None:
    failure = Failure(FailureKind.OUTPUT_LOST, "OutputLostError", "", lost=(TaskId(0, 1),))
    attempt = AttemptId(TaskId(1, 0), 0)
    event = finished(0)
    assert is_kept(event, [Commit(event.attempt, event.result)])
    assert not is_kept(event, [])
    assert is_kept(OutputLost(0.0, TaskId(0, 0)), [])
    moved = OutputMoved(0.0, event.attempt, "@a+b/x")
    assert is_kept(moved, [Relocate(moved.attempt, moved.path)]) and not is_kept(moved, [])
    assert is_kept(AttemptFailed(0.0, attempt, WorkerId(0), failure), [])
    assert not is_kept(AttemptFailed(0.0, attempt, WorkerId(0), Failure(FailureKind.USER, "E", "")), [])
    assert not is_kept(Tick(0.0), [])


def test_recovery_runs_only_what_is_missing() -> None:
    journal: list[Event] = [finished(2), finished(0), OutputLost(2.0, TaskId(0, 0))]
    scene = Scene(plan_keyed(3, 1), queue_depth=1)
    again = replay(scene.tracker, journal)
    assert [scene.words(command) for command in again] == ["commit map 2", "commit map 0"]
    assert scene.joins(1) == ["start map 0#1 on 1"]  # number 0 was used before
    assert scene.finishes("map 0#1") == ["commit map 0#1", "start map 1 on 1"]


def test_an_older_attempt_that_was_committed_after_a_younger_one_failed_is_replayed() -> None:
    lost = Failure(FailureKind.OUTPUT_LOST, "OutputLostError", "", lost=(TaskId(0, 0),))
    older, younger = (AttemptId(TaskId(1, 0), number) for number in (0, 1))
    result = AttemptResult(Output("part"))
    journal: list[Event] = [
        finished(0),
        AttemptFailed(1.0, younger, WorkerId(2), lost),
        AttemptFinished(2.0, older, WorkerId(1), result),
    ]
    tracker = Tracker(plan_keyed(1, 1))
    assert Commit(older, result) in replay(tracker, journal)
    assert tracker.outcome is not None
