"""Parts come here from several hosts at once, a slow one holds up only its own, and whatever fails is reported."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from mapreduce.dataflow.results import Failure, FailureKind
from mapreduce.engines import carrier
from mapreduce.engines.carrier import AT_ONCE, PartCarrier
from mapreduce.ids import AttemptId, TaskId
from mapreduce.wire.traffic import Link, Moved

Fetch = Callable[[str, str, Callable[[], None]], bytes]


class Client:
    """Stands in for a data client: what `fetch` returns is what lies on the host."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._bytes = 0

    def files(self, host: str, folder: str) -> list[tuple[str, int]]:
        raise NotADirectoryError

    def fetch(self, host: str, path: str, file: BinaryIO, check: Callable[[], None]) -> int:
        data = self._fetch(host, path, check)
        file.write(data)
        self._bytes += len(data)
        return len(data)

    def take_moved(self) -> dict[Link, Moved]:
        return {Link("b", "tracker"): Moved(self._bytes)}

    def close(self) -> None:
        pass


@contextmanager
def carrying(folder: Path, fetch: Fetch) -> Iterator[PartCarrier]:
    made: Any = lambda: Client(fetch)  # noqa: E731
    parts = PartCarrier(str(folder), "job", made, durable=False)
    try:
        yield parts
    finally:
        parts.close()


def attempt(number: int) -> AttemptId:
    return AttemptId(TaskId(1, number), 0)


def arrived(parts: PartCarrier, wanted: int) -> dict[AttemptId, Failure | None]:
    found: dict[AttemptId, Failure | None] = {}
    deadline = time.monotonic() + 10
    while len(found) < wanted:
        assert time.monotonic() < deadline
        found.update(parts.fetched())
    return found


def test_a_slow_host_holds_up_only_its_own(tmp_path: Path) -> None:
    others_are_here = threading.Event()

    def fetch(host: str, path: str, check: Callable[[], None]) -> bytes:
        if host == "slow":
            assert others_are_here.wait(10)
        return f"{host} {path}".encode()

    with carrying(tmp_path, fetch) as parts:
        parts.fetch(attempt(0), ["slow"], ["p0"])
        for number in range(1, 20):
            parts.fetch(attempt(number), ["b"], [f"p{number}"])
        assert arrived(parts, 19) == {attempt(number): None for number in range(1, 20)}
        others_are_here.set()
        assert arrived(parts, 1) == {attempt(0): None}
        assert len(parts._threads) == AT_ONCE
    assert (tmp_path / "p0").read_text() == "slow job/p0"
    assert (tmp_path / "p19").read_text() == "b job/p19"
    assert parts.moved == {Link("b", "tracker"): Moved(sum(path.stat().st_size for path in tmp_path.iterdir()))}


def test_one_at_a_time_is_one_thread(tmp_path: Path) -> None:
    with carrying(tmp_path, lambda host, path, check: b"x") as parts:
        for number in range(5):
            parts.fetch(attempt(number), ["b"], [f"p{number}"])
            arrived(parts, 1)
        assert len(parts._threads) == 1


def test_the_next_host_is_asked_where_one_is_out_of_reach(tmp_path: Path) -> None:
    def fetch(host: str, path: str, check: Callable[[], None]) -> bytes:
        if host != "c":
            raise OSError(113, "no way to it")
        return b"from c"

    with carrying(tmp_path, fetch) as parts:
        parts.fetch(attempt(0), ["b", "c"], ["p0"])
        parts.fetch(attempt(1), ["b"], ["p1"])
        found = arrived(parts, 2)
        assert found[attempt(0)] is None
        failure = found[attempt(1)]
        assert failure is not None
        assert failure.kind is FailureKind.LOST
        assert "from host b: no way to it" in failure.message
    assert (tmp_path / "p0").read_text() == "from c"


def test_what_nobody_thought_of_is_reported_and_the_rest_goes_on(tmp_path: Path) -> None:
    def fetch(host: str, path: str, check: Callable[[], None]) -> bytes:
        if path == "job/p0":
            raise KeyError("a mistake of ours")
        return b"x"

    with carrying(tmp_path, fetch) as parts:
        for number in range(3):
            parts.fetch(attempt(number), ["b"], [f"p{number}"])
        found = arrived(parts, 3)
        failure = found[attempt(0)]
        assert failure is not None
        assert "a mistake of ours" in failure.message
        assert (found[attempt(1)], found[attempt(2)]) == (None, None)


def test_closing_gives_up_what_is_on_its_way(tmp_path: Path) -> None:
    begun = threading.Semaphore(0)

    def fetch(host: str, path: str, check: Callable[[], None]) -> bytes:
        begun.release()
        while True:
            check()
            time.sleep(0.001)

    with carrying(tmp_path, fetch) as parts:
        for number in range(3 * carrier.AT_ONCE):
            parts.fetch(attempt(number), ["b"], [f"p{number}"])
        for _ in range(carrier.AT_ONCE):
            assert begun.acquire(timeout=10)
    assert parts.fetched() == []
    parts.close()
