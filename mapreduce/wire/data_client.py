"""How does a worker read what lies on other hosts, without waiting for each piece in turn?

```text
will_read(b, 0-7.seg, range) --+--> questions --> zmq's thread: sends, decrypts, keeps what comes
will_read(c, 1-3.seg, range) --+                                   |
                                                                   v
read(b, 0-7.seg, ...)  <---------------------------- pieces, by range, dropped once read
```

One connection a host, kept and used again. All of it in the reader's thread: what was announced is asked for at once,
from several hosts, and zmq's own thread takes in the answers while the reader computes. As much is asked for as there
is room for: `ahead_bytes` for all ranges together, of which each has its share.

A connection that breaks is made again, and what is missing is asked for again: nothing that came is asked for twice. A
host that can't be reached within `patience_seconds`, or doesn't answer, is an OSError; so is a file that was written
anew while it was read. What comes is what was sent, since it comes encrypted and authenticated.
"""

from __future__ import annotations

import errno
import json
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, BinaryIO

import zmq

from mapreduce.storage.host_store import HEAD_BYTES, TAIL_BYTES, Place
from mapreduce.wire.data_messages import PIECE_BYTES, SUM_BYTES, Ask, Question, Tell
from mapreduce.wire.data_peer import Asked, Call, Peer
from mapreduce.wire.data_range import MOST_WINDOW, Held, Range, Wanted, choose_window
from mapreduce.wire.traffic import Link, Moved

if TYPE_CHECKING:
    from mapreduce.wire.keys import ClusterKey

AHEAD_BYTES = 32 << 20
"""Asked for and not yet read. At 10 Gbit/s and 25 ms it keeps the link full."""

PATIENCE_SECONDS = 4.0
"""How long a host may be out of reach."""

SILENCE_SECONDS = 15.0
"""How long a host that is connected may not answer: its disk, or a slow link, is to blame."""

DOWN_SECONDS = 2.0
"""A host that was out of reach is not tried again for so long: a task that reads much of it fails at once."""


UNKNOWN = 1 << 62
"""End of a file whose size is not known yet."""


class DataClient:
    """Reads files of other hosts. `me` names the reader's host; `places` are addresses by host. A host that is not
    among them is asked for at `places[me]`, the reader's own host. Not for two threads at once."""

    def __init__(
        self,
        key: ClusterKey | None,
        places: Mapping[str, str],
        *,
        me: str = "",
        ahead_bytes: int = AHEAD_BYTES,
        patience_seconds: float = PATIENCE_SECONDS,
        silence_seconds: float = SILENCE_SECONDS,
        piece_bytes: int = PIECE_BYTES,
    ) -> None:
        self.me = me
        self._bytes: defaultdict[str, int] = defaultdict(int)  # read since the last `take_moved`, by host
        self._waited: defaultdict[str, float] = defaultdict(float)
        self._key = key
        self._places = dict(places)
        self._found: dict[str, str] = {}  # what our own host told us
        self._ahead_bytes = ahead_bytes
        self._patience = patience_seconds
        self._silence = silence_seconds
        self._piece_bytes = min(piece_bytes, PIECE_BYTES)
        self._context: zmq.Context[zmq.Socket[bytes]] | None = None
        self._peers: dict[str, Peer] = {}
        self._down: dict[str, tuple[float, OSError]] = {}
        self._ranges: dict[tuple[str, str], list[Range]] = {}
        self._starved: deque[Range] = deque()  # announced, and no room for them yet
        self._live = 0
        self._held = Held()
        self._number = 0
        self._poller = zmq.Poller()

    # --- reading

    def size(self, host: str, path: str) -> int:
        """Of a file, whose head and tail are on their way then as well. Raises OSError."""
        ranges = self._ranges.get((host, path), [])
        tail = next((known for known in ranges if known.tail), None) or self._open(host, path)
        try:
            self._wait(host, lambda: tail.error is not None or tail.located)
        except OSError:
            self._forget(tail)
            raise
        if tail.error is not None:
            self.forget(host, path)
            raise tail.error
        if tail.start == 0:  # all of the file: nobody needs its head besides
            for other in [known for known in ranges if known is not tail and known.end <= HEAD_BYTES]:
                self._forget(other)
        return tail.file_bytes

    def read(self, host: str, path: str, offset: int, size: int) -> bytes:
        """Bytes of a file: `size`, or fewer where it ends earlier. Raises OSError."""
        range_ = self._covering(host, path, offset, size)
        held = range_.held_bytes
        try:
            data = self._bytes_of(range_, offset, size)
        except OSError:
            self._forget(range_)
            raise
        if offset + size >= range_.end:
            self._forget(range_)
            for other in list(self._ranges.get((host, path), ())):
                if other.located and offset <= other.start and other.end <= offset + size:
                    self._forget(other)  # head and tail of a file that was read as a whole
        elif range_.held_bytes < held:
            self._top_up(range_)
        if self._starved:
            self._feed_starved()
        self._bytes[host] += len(data)
        return data

    def will_read(self, places: Sequence[Place]) -> None:
        """These are read soon, each from front to back and all at the same time. Harmless if they are not, or if their
        host is gone."""
        ranges = [
            self._add(Range(place.host, place.path, place.offset, place.offset + place.size, self._held))
            for place in places
            if place.size and not self._is_down(place.host)
        ]
        self._starved.extend(ranges)
        self._feed_starved()

    def will_open(self, host: str, path: str) -> None:
        """The size is asked for soon, then head and tail are read."""
        if not self._is_down(host) and self._held.bytes + TAIL_BYTES <= self._ahead_bytes:
            self._open(host, path)

    def fetch(self, host: str, path: str, file: BinaryIO, check: Callable[[], None] = lambda: None) -> int:
        """Copy a file; its length. `check` is called now and then, and may raise. Raises OSError."""
        is_bare = self._key is None  # else each piece is authenticated
        range_ = self._add(Range(host, path, 0, UNKNOWN, self._held, checked=is_bare, window=MOST_WINDOW))
        position = 0
        try:
            while position < range_.end:
                check()
                data = self._bytes_of(range_, position, self._piece_bytes)
                file.write(data)
                position += len(data)
        finally:
            self._forget(range_)
        self._bytes[host] += position
        return position

    def files(self, host: str, folder: str) -> list[tuple[str, int]]:
        """Paths, relative to it, and sizes of the files in a folder and those below. Raises OSError."""
        return [(path, size) for path, size, _ in self.listing(host, folder)]

    def listing(self, host: str, folder: str) -> list[tuple[str, int, int]]:
        """The same, with times of change in nanoseconds. Raises OSError."""
        rows = json.loads(self._call(host, Ask.LIST, folder).data)
        return [(str(path), int(size), int(mtime_ns)) for path, size, mtime_ns in rows]

    def content_hash(self, host: str, path: str) -> str:
        """Equal for files of equal contents: the checksums of their pieces. None of their bytes travel. Raises
        OSError."""
        digest, offset, size = sha256(), 0, 1
        while offset < size:
            answer = self._call(host, Ask.SUM, path, offset, SUM_BYTES).answer
            assert answer is not None
            if answer.offset == offset:
                break
            offset, size = answer.offset, answer.file_bytes
            digest.update(f"{offset} {answer.checksum};".encode())
        return digest.hexdigest()

    def take_moved(self) -> dict[Link, Moved]:
        """What was moved since the last call."""
        hosts = {**self._bytes, **self._waited}
        moved = {Link(host, self.me): Moved(self._bytes[host], self._waited[host]) for host in hosts}
        self._bytes.clear()
        self._waited.clear()
        return moved

    def forget_all(self) -> None:
        """Whatever was announced is not read any more."""
        for ranges in list(self._ranges.values()):
            for range_ in list(ranges):
                self._forget(range_)
        self._starved.clear()

    def close(self) -> None:
        """A second call is harmless."""
        for peer in self._peers.values():
            peer.close()
        self._peers.clear()
        if self._context is not None:
            self._context.destroy(linger=0)
            self._context = None

    # --- ranges

    def _open(self, host: str, path: str) -> Range:
        head = self._add(Range(host, path, 0, HEAD_BYTES, self._held))
        tail = self._add(Range(host, path, 0, TAIL_BYTES, self._held, tail=True, window=2 * TAIL_BYTES))
        self._top_up(head, urgent_to=HEAD_BYTES)
        self._top_up(tail, urgent_to=TAIL_BYTES)
        return tail

    def _add(self, range_: Range) -> Range:
        self._ranges.setdefault((range_.host, range_.path), []).append(range_)
        self._live += 1
        return range_

    def _bytes_of(self, range_: Range, offset: int, size: int) -> bytes:
        if not range_.has(offset, size):
            self._top_up(range_, urgent_to=offset + size)
            self._wait(range_.host, lambda: range_.has(offset, size), range_, offset + size)
        return range_.read(offset, size)

    def _covering(self, host: str, path: str, offset: int, size: int) -> Range:
        for known in list(self._ranges.get((host, path), ())):
            if known.error is not None:
                self._forget(known)
            elif known.covers(offset, size):
                return known
        return self._add(Range(host, path, offset, offset + size, self._held, window=MOST_WINDOW))

    def _forget(self, range_: Range) -> None:
        ranges = self._ranges.get((range_.host, range_.path), [])
        if any(known is range_ for known in ranges):
            ranges[:] = [known for known in ranges if known is not range_]
            self._live -= 1
        if not ranges:
            self._ranges.pop((range_.host, range_.path), None)
        range_.drop()
        range_.end = range_.next

    def forget(self, host: str, path: str) -> None:
        """What was announced of a file is not read any more."""
        for range_ in list(self._ranges.get((host, path), ())):
            self._forget(range_)

    def _feed_starved(self) -> None:
        while self._starved:
            range_ = self._starved[0]
            if range_.sizes or range_.next >= range_.end:
                self._starved.popleft()  # it was read meanwhile
                continue
            if not self._top_up(range_):
                return
            self._starved.popleft()

    def _top_up(self, range_: Range, urgent_to: int = 0) -> bool:
        """Ask for what there is room for, and in any case for what is wanted now. Whether anything is asked for."""
        if range_.checked or range_.tail or range_.window == MOST_WINDOW:
            window = range_.window
        else:
            window = range_.window = choose_window(self._ahead_bytes, self._live)
        while (piece := range_.choose_piece(self._piece_bytes)) is not None:
            held = range_.held_bytes
            if held and held + piece.size > window and range_.next >= urgent_to:
                break
            if range_.next >= urgent_to and self._held.bytes + piece.size > self._ahead_bytes:
                break
            if held and range_.end == UNKNOWN:  # its end is not known yet: one piece tells
                break
            try:
                self._ask_piece(range_, piece)
            except OSError as error:
                range_.error = error
        return bool(range_.sizes)

    def _ask_piece(self, range_: Range, piece: Wanted) -> None:
        range_.asked(piece)
        self._number += 1
        offset = piece.size if range_.tail else piece.offset
        question = Question(
            Ask.READ, self._number, range_.path, offset, piece.size, checked=range_.checked, tail=range_.tail
        )
        self._peer(range_.host).ask(Asked(question, range_, piece), time.monotonic())

    # --- connections

    def _peer(self, host: str) -> Peer:
        known = self._peers.get(host)
        if known is not None:
            return known
        now = time.monotonic()
        if host in self._down:
            until, error = self._down[host]
            if now < until:
                raise error
            del self._down[host]
        address = self._address(host)
        if self._context is None:
            self._context = zmq.Context(io_threads=1)
        peer = self._peers[host] = Peer(self._context, self._poller, self._key, host, address, self.me, now)
        return peer

    def _is_down(self, host: str) -> bool:
        return host in self._down and time.monotonic() < self._down[host][0]

    def _address(self, host: str) -> str:
        address = self._places.get(host) or self._found.get(host)
        if address is not None:
            return address
        if self.me not in self._places or host == self.me:
            raise OSError(errno.EHOSTUNREACH, f"no host {host!r:.80} is known here")
        self._found[host] = self._call(self.me, Ask.WHERE, host).data.decode()
        return self._found[host]

    def _call(self, host: str, kind: Ask, text: str, offset: int = 0, size: int = 0) -> Call:
        call = Call()
        self._number += 1
        self._peer(host).ask(Asked(Question(kind, self._number, text, offset, size), call), time.monotonic())
        self._wait(host, lambda: call.answer is not None)
        assert call.answer is not None
        if call.answer.kind is Tell.GONE:
            raise OSError(call.answer.errno or errno.EIO, call.data.decode(errors="replace"), f"{host}:{text}")
        return call

    def _wait(self, host: str, done: Callable[[], bool], range_: Range | None = None, urgent_to: int = 0) -> None:
        """Take in answers until it is done. Raises OSError if the host is out of reach."""
        if done():
            return
        peer = self._peer(host)
        started = now = time.monotonic()
        self._take(peer, now)
        while not done():
            ready = {socket for socket, _ in self._poller.poll(100)}
            now = time.monotonic()
            for known in list(self._peers.values()):
                if known.monitor in ready:
                    known.look(now)
                if known is peer or known.has_news(ready):
                    self._take(known, now)
            if range_ is not None:
                self._top_up(range_, urgent_to)
            error = peer.hindrance(now, self._patience, self._silence)
            if error is not None and not done():
                self._lose(peer, error, now)
                raise error
        self._waited[host] += now - started

    def _take(self, peer: Peer, now: float) -> None:
        for asked, answer, data in peer.answers(now):
            if isinstance(asked.to, Call):
                asked.to.answer, asked.to.data = answer, bytes(data)
                continue
            assert asked.piece is not None
            if not asked.to.take(asked.piece, answer, data):
                peer.ask(asked, now)

    def _lose(self, peer: Peer, error: OSError, now: float) -> None:
        del self._peers[peer.host]
        self._found.pop(peer.host, None)  # it may come back elsewhere
        peer.close()
        self._down[peer.host] = now + DOWN_SECONDS, error
        for ranges in list(self._ranges.values()):
            for range_ in [known for known in ranges if known.host == peer.host]:
                range_.error = error
