"""Do scripts written for Hadoop Streaming run unchanged, and do those that misbehave neither hang nor hide?"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator

import pytest

from mapreduce.errors import JobError, UsageError
from mapreduce.job import check_job
from mapreduce.pipes import pipe_through
from mapreduce.streaming import CombinedStreaming, Streaming, StreamingMap, streaming_job


def python(code: str) -> str:
    return f"{sys.executable} -S -c {shlex.quote(code)}"


WORDS = python("import sys\nfor line in sys.stdin:\n    for word in line.split(): print(word + '\\t1')")
TOTALS = python(
    "import sys, itertools as it\n"
    "rows = (line.rstrip('\\n').split('\\t') for line in sys.stdin)\n"
    "for key, group in it.groupby(rows, lambda row: row[0]): print(key, sum(int(n) for _, n in group), sep='\\t')"
)


def piped(command: str, chunks: list[bytes]) -> tuple[bytes, int, bytes]:
    heard: list[bytes] = []
    *output, code = pipe_through(command, iter(chunks), heard.append)
    assert heard[-1] == b""
    assert isinstance(code, int)
    return b"".join(piece for piece in output if isinstance(piece, bytes)), code, b"".join(heard)


def test_pipe_of_much_data_both_ways() -> None:
    chunks = [b"x" * 99_991 + b"\n"] * 40
    assert piped("cat", chunks) == (b"".join(chunks), 0, b"")


def test_pipe_to_a_command_that_writes_only_at_the_end() -> None:
    assert piped("sort", [b"b\n", b"a\n" * 100_000])[0] == b"a\n" * 100_000 + b"b\n"


def test_pipe_to_a_command_that_stops_reading() -> None:
    assert piped("head -n 1", [b"line\n" * 100_000] * 5)[:2] == (b"line\n", 0)


def test_pipe_to_a_command_that_never_reads_and_says_much() -> None:
    assert piped("yes | head -n 100000 >&2; exit 3", [b"x\n" * 200_000]) == (b"", 3, b"y\n" * 100_000)


def test_pipe_to_a_command_that_leaves_a_child_with_its_stderr() -> None:
    output, code, _ = piped("sleep 2 >/dev/null & echo done", [])
    assert (output, code) == (b"done\n", 0)


def test_pipe_of_nothing() -> None:
    assert piped("cat", []) == (b"", 0, b"")


def test_the_input_is_taken_only_as_the_command_reads() -> None:
    taken = 0

    def chunks() -> Iterator[bytes]:
        nonlocal taken
        for _ in range(1000):
            taken += 1
            yield b"x" * 65_536

    command = pipe_through("echo started; sleep 9", chunks(), lambda data: None)
    assert next(command) == b"started\n"
    command.close()  # type: ignore[attr-defined]
    assert taken < 10


def test_a_split_through_a_mapper() -> None:
    job = streaming_job(WORDS, TOTALS)
    check_job(job)
    assert isinstance(job, Streaming)
    mapped = sorted(job.map_stream(iter([b"a b\na ", b"c"])))
    assert mapped == [(b"a", b"1"), (b"a", b"1"), (b"b", b"1"), (b"c", b"1")]
    assert list(job.reduce_stream(iter(mapped))) == [(b"a", b"2"), (b"b", b"1"), (b"c", b"1")]


def test_lines_are_cut_at_the_first_tab() -> None:
    job = streaming_job(None, "cat")
    assert list(job.map_stream(iter([b"a\tb\tc\nno tab\n\n", b"\tonly value"]))) == [  # type: ignore[attr-defined]
        (b"a", b"b\tc"),
        (b"no tab", None),
        (b"", None),
        (b"", b"only value"),
    ]


def test_bytes_that_are_no_text_pass_unharmed() -> None:
    job = streaming_job("cat", "cat")
    pairs = [(b"\xff\x00", b"\xfe"), (b"\xc3\xa9", b"")]
    # a reducer gets a tab even where there is no value
    assert list(job.reduce_stream(iter(pairs))) == pairs  # type: ignore[attr-defined]


def test_kinds_of_job() -> None:
    assert type(streaming_job("cat", "NONE")) is StreamingMap
    assert type(streaming_job("cat", "none")) is StreamingMap
    assert type(streaming_job("cat", None)) is Streaming
    assert type(streaming_job("cat", "cat", "cat")) is CombinedStreaming
    with pytest.raises(UsageError) as caught:
        streaming_job("cat", "NONE", "cat")
    assert str(caught.value) == (
        "a combiner without a reducer has nothing to do; leave out --combiner or --reducer NONE"
    )


def test_a_combiner_reduces_a_run() -> None:
    job = streaming_job(WORDS, TOTALS, TOTALS)
    assert isinstance(job, CombinedStreaming)
    assert list(job.combine_stream(iter([(b"a", b"1"), (b"a", b"2")]))) == [(b"a", b"3")]


def test_a_reducer_of_no_pairs_is_not_run() -> None:
    assert list(streaming_job("cat", "exit 5").reduce_stream(iter(()))) == []  # type: ignore[attr-defined]


def test_a_failing_script_says_its_last_lines(capsys: pytest.CaptureFixture[str]) -> None:
    job = streaming_job("echo one >&2; echo two >&2; cat; exit 7", "cat")
    with pytest.raises(JobError) as caught:
        list(job.map_stream(iter([b"a\n"])))  # type: ignore[attr-defined]
    assert str(caught.value) == (
        "the mapper 'echo one >&2; echo two >&2; cat; exit 7' ended with exit code 7; "
        "its last lines on stderr:\n  one\n  two"
    )
    assert capsys.readouterr().err == "one\ntwo\n"


def test_a_silent_failure_and_a_signal() -> None:
    with pytest.raises(JobError, match="ended with exit code 1; its last lines on stderr:\n  .it said nothing"):
        list(streaming_job("false", "cat").map_stream(iter([b"a\n"])))  # type: ignore[attr-defined]
    with pytest.raises(JobError, match="was killed by signal 9"):
        list(streaming_job("kill -9 $$", "cat").map_stream(iter([b"a\n"])))  # type: ignore[attr-defined]


def test_a_command_that_is_not_there_is_the_users_to_mend() -> None:
    with pytest.raises(UsageError, match="the mapper 'no-such-command-here' can't be run:\n.*not found"):
        list(streaming_job("no-such-command-here", "cat").map_stream(iter([b"a\n"])))  # type: ignore[attr-defined]


def test_counters_of_hadoop(capsys: pytest.CaptureFixture[str]) -> None:
    says = "echo reporter:counter:lines,bad,2 >&2; echo reporter:status:going on >&2; printf last >&2; cat"
    job = streaming_job(says, "cat")
    assert list(job.map_stream(iter([b"a\n"]))) == [(b"a", None)]  # type: ignore[attr-defined]
    assert job._counters is not None
    assert job._counters["lines.bad"] == 2
    assert capsys.readouterr().err == "last\n"
