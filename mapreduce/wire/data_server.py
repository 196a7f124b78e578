"""How does a host let others read the files of its jobs and its inputs?

```text
reader --question--> ROUTER --> its queue --+
reader --question--> ROUTER --> its queue --+--> in turn: open, read, send --> zmq's threads encrypt
                                            |
                     not while more than so much of a reader, or of all, is read and not yet sent
```

A reader of much is given a sealed stream (see `stream_server`), which is for this server a second reader.

One thread, in the process of an agent or of the tracker. It reads files with `pread`, not by mapping them: whoever cuts
a mapped file short ends the process that looks at it. What it read is sent without another copy.

A reader gets its pieces in the order in which it asked, readers take turns, and one that asks and does not listen
holds up nobody but itself: what is read for it and not yet sent is bounded, so is what waits to be read.
"""

from __future__ import annotations

import errno
import json
import logging
import math
import os
import threading
from collections import deque
from typing import TYPE_CHECKING, Any
from zlib import crc32

import zmq

from mapreduce.dataclass import dataclass, field
from mapreduce.wire.admission import open_server
from mapreduce.wire.data_messages import (
    PIECE_BYTES,
    QUESTION_BYTES,
    Answer,
    Ask,
    DataError,
    Question,
    Tell,
    decode_question,
    encode_answer,
)
from mapreduce.wire.gate import Gate
from mapreduce.wire.sealing import CIPHER, can_seal
from mapreduce.wire.shared_folders import SharedFolders
from mapreduce.wire.stream_server import Stream, Streams
from mapreduce.workers.process import keep_freed_memory

if TYPE_CHECKING:
    from mapreduce.wire.keys import ClusterKey

UNSENT_BYTES = 64 << 20
"""Read for all readers together and not yet sent: what bounds this server's memory."""

READER_UNSENT_BYTES = 4 << 20
"""The same for one reader. A link of 10 Gbit/s empties it in 3 ms."""

STREAM_ANSWERS = 4
"""To be sent on one stream; they wait as open files. The rest are questions."""

READER_QUESTIONS = 4096
"""Waiting questions of one reader; a `DataClient` never has so many. The rest is answered with an error."""

AT_ONCE = 16
"""Pieces answered before new questions are looked for."""

LOOK_SECONDS = 0.002
"""How often to look whether something was sent, while that is what we wait for."""

TOLD_ONCE = 1000
"""Readers whose nonsense has been logged; beyond that nothing is."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Reader:
    """What a reader asked for, and what was read for it and is not known to be sent."""

    questions: deque[Question] = field(default_factory=deque)
    unsent: deque[tuple[Any, int]] = field(default_factory=deque)  # tracker of a message and its bytes
    unsent_bytes: int = 0


class DataServer:
    """Serves `folders` at `address` to holders of the key until `close`. `address` as in "tcp://10.0.0.1:*"; what is
    bound is in `self.address`. Raises OSError where it can't be bound."""

    def __init__(
        self,
        address: str,
        key: ClusterKey | None,
        *,
        unsent_bytes: int = UNSENT_BYTES,
    ) -> None:
        """`key` None is for measurements alone: then anybody may read."""
        self.folders = SharedFolders()
        self.places: dict[str, str] = {}
        self._unsent_most = unsent_bytes
        self._unsent_bytes = 0
        self._most_unsent_bytes = 0
        self._readers: dict[bytes | Stream, _Reader] = {}
        self._told: set[bytes] = set()
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context(io_threads=2)
        self._socket = self._context.socket(zmq.ROUTER) if key is None else open_server(self._context, zmq.ROUTER, key)
        self._gate = None if key is None else Gate(self._context, self._socket, key)
        try:
            _configure(self._socket)
            self._socket.setsockopt(zmq.IPV6, "[" in address)
            self._socket.bind(address)
        except zmq.ZMQError as error:
            self._destroy()
            raise OSError(error.errno, f"can't listen at {address}: {error.strerror}") from None
        self.address = self._socket.get_string(zmq.LAST_ENDPOINT)
        self._streams: Streams | None = None  # until somebody asks for one
        self._poller = zmq.Poller()
        self._ear, self._bell = os.pipe()
        self._closed = False
        keep_freed_memory()  # pieces come and go: 570 MB/s without encryption became 1,400
        self._thread = threading.Thread(target=self._run, name="data server", daemon=True)
        self._thread.start()

    # --- from other threads

    def offer(self, name: str, folder: str) -> None:
        """Let others read what is below `folder`, as `<name>/...`."""
        self.folders.offer(name, folder)

    def withdraw(self, name: str) -> None:
        self.folders.withdraw(name)

    def set_places(self, places: dict[str, str]) -> None:
        """Where the data of other hosts is served, by name of the host: this host's own readers ask here."""
        self.places = dict(places)

    @property
    def most_unsent_bytes(self) -> int:
        """The most that was ever read and not yet sent."""
        return self._most_unsent_bytes

    def close(self) -> None:
        """Stop serving. A second call is harmless."""
        if self._closed:
            return
        self._closed = True
        os.write(self._bell, b"x")
        self._thread.join()
        os.close(self._ear)
        os.close(self._bell)

    # --- the thread

    def _run(self) -> None:
        try:
            self._serve()
        except Exception:
            _log.exception("the data server ended: other hosts can't read what lies here")
        finally:
            self._destroy()

    def _destroy(self) -> None:
        if self._gate is not None:
            self._gate.close()
        self._context.destroy(linger=0)
        if self._streams is not None:
            self._streams.close()

    def _serve(self) -> None:
        poller = self._poller
        poller.register(self._socket, zmq.POLLIN)
        poller.register(self._ear, zmq.POLLIN)
        if self._gate is not None:
            for each in self._gate.sockets:
                poller.register(each, zmq.POLLIN)
        timeout: float | None = None
        while not self._closed:
            ready = dict(poller.poll(None if timeout is None else math.ceil(1000 * timeout)))
            if self._streams is not None:
                for stream, question in self._streams.serve():
                    self._file(stream, question)
            if self._gate is not None and any(each in ready for each in self._gate.sockets):
                self._gate.serve(self.address)
            if self._socket in ready:
                self._take()
            timeout = self._answer()
            if self._streams is not None and (others := self._streams.timeout()) is not None:
                timeout = others if timeout is None else min(timeout, others)

    def _take(self) -> None:
        """File the questions that are there."""
        for _ in range(256):
            try:
                sender, *frames = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            try:
                question = decode_question(frames)
            except DataError as error:
                if sender not in self._told and len(self._told) < TOLD_ONCE:
                    self._told.add(sender)
                    _log.warning("a reader sent %s; it gets no answer", error)
                continue
            self._file(sender, question)

    def _file(self, sender: bytes | Stream, question: Question) -> None:
        reader = self._readers.setdefault(sender, _Reader())
        if len(reader.questions) < READER_QUESTIONS:
            reader.questions.append(question)

    def _answer(self) -> float | None:
        """Answer some questions, readers in turn. After how many seconds to come again: None is when asked."""
        answered, waits = 0, False
        for sender in list(self._readers):
            reader = self._readers[sender]
            self._note_sent(reader)
            if isinstance(sender, Stream) and not sender.is_open:
                reader.questions.clear()  # its reader asks again
            while reader.questions and answered < AT_ONCE:
                if not self._has_room(sender, reader) or not self._send(sender, reader, reader.questions[0]):
                    waits = waits or (bool(reader.questions) and not isinstance(sender, Stream))
                    break
                reader.questions.popleft()
                answered += 1
                if len(self._readers) > 1:
                    break  # the next one's turn
            if not reader.questions and not reader.unsent:
                del self._readers[sender]
        if answered:
            self._rotate()
            return 0.0
        return LOOK_SECONDS if waits else (0.25 if self._readers else None)

    def _rotate(self) -> None:
        """The first becomes the last: a turn that ended early goes on with the others."""
        if len(self._readers) > 1:
            first = next(iter(self._readers))
            self._readers[first] = self._readers.pop(first)

    def _has_room(self, sender: bytes | Stream, reader: _Reader) -> bool:
        if isinstance(sender, Stream):
            return sender.waiting < STREAM_ANSWERS
        wanted = min(PIECE_BYTES, reader.questions[0].size)
        if not reader.unsent:
            return self._unsent_bytes + wanted <= self._unsent_most or self._unsent_bytes == 0
        return reader.unsent_bytes + wanted <= READER_UNSENT_BYTES and self._unsent_bytes + wanted <= self._unsent_most

    def _note_sent(self, reader: _Reader) -> None:
        while reader.unsent and reader.unsent[0][0].done:
            _, size = reader.unsent.popleft()
            reader.unsent_bytes -= size
            self._unsent_bytes -= size

    def _send(self, sender: bytes | Stream, reader: _Reader, question: Question) -> bool:
        """Whether the question is done with."""
        if isinstance(sender, Stream):
            self._send_on(sender, question)
            return True
        answer, body = self._answer_to(sender, question)
        try:
            tracker = self._socket.send_multipart(
                [sender, encode_answer(answer), body], zmq.NOBLOCK, copy=False, track=True
            )
        except zmq.Again:
            return False
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            reader.questions.clear()  # it has gone; if it comes back it asks again
            return False
        if len(body) and tracker is not None and not tracker.done:
            reader.unsent.append((tracker, len(body)))
            reader.unsent_bytes += len(body)
            self._unsent_bytes += len(body)
            self._most_unsent_bytes = max(self._most_unsent_bytes, self._unsent_bytes)
        return True

    def _send_on(self, stream: Stream, question: Question) -> None:
        assert self._streams is not None
        if question.kind is not Ask.READ or question.checked:
            self._streams.give(stream, *self._answer_to(stream, question))
            return
        try:
            piece = self.folders.open_piece(question.text, question.offset, question.size, from_end=question.tail)
        except OSError as error:
            self._streams.give(stream, *_failed(question.number, error))
            return
        answer = Answer(Tell.PIECE, question.number, piece.offset, piece.file_bytes, piece.version)
        self._streams.give(stream, answer, piece)

    def _offer(self, sender: bytes | Stream, question: Question) -> tuple[Answer, bytes]:
        if question.text != CIPHER or isinstance(sender, Stream) or self._gate is None or not can_seal():
            raise OSError(errno.EOPNOTSUPP, "there are no such streams here")
        if self._streams is None:
            host = self.address.removeprefix("tcp://").rpartition(":")[0]
            self._streams = Streams(host.strip("[]"))
            self._poller.register(self._streams.fileno(), zmq.POLLIN)
        return Answer(Tell.OFFER, question.number), self._streams.offer(sender)

    def _answer_to(self, sender: bytes | Stream, question: Question) -> tuple[Answer, bytes]:
        number = question.number
        try:
            if question.kind is Ask.READ:
                piece = self.folders.read(question.text, question.offset, question.size, from_end=question.tail)
                checksum = crc32(piece.data) if question.checked else 0
                answer = Answer(
                    Tell.PIECE, number, piece.offset, piece.file_bytes, piece.version, checksum, question.checked
                )
                return answer, piece.data
            if question.kind is Ask.SUM:
                return self._sum_of(question)
            if question.kind is Ask.STREAM:
                return self._offer(sender, question)
            if question.kind is Ask.LIST:
                return Answer(Tell.NAMES, number), json.dumps(self.folders.files(question.text)).encode()
            place = self.places.get(question.text)
            if place is None:
                raise OSError(errno.EHOSTUNREACH, f"no host {question.text!r:.80} is known here")
            return Answer(Tell.PLACE, number), place.encode()
        except OSError as error:
            return _failed(number, error)

    def _sum_of(self, question: Question) -> tuple[Answer, bytes]:
        checksum, offset, end = 0, question.offset, question.offset + question.size
        while offset < end:
            piece = self.folders.read(question.text, offset, min(PIECE_BYTES, end - offset))
            if not piece.data:
                break
            checksum, offset = crc32(piece.data, checksum), offset + len(piece.data)
        piece = self.folders.read(question.text, offset, 0)
        answer = Answer(Tell.PIECE, question.number, offset, piece.file_bytes, piece.version, checksum, checked=True)
        return answer, b""


def _failed(number: int, error: OSError) -> tuple[Answer, bytes]:
    return Answer(Tell.GONE, number, errno=error.errno or errno.EIO), (error.strerror or str(error)).encode()


def _configure(socket: zmq.Socket[bytes]) -> None:
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.ROUTER_MANDATORY, 1)  # else what can't be sent would be dropped without a word
    socket.setsockopt(zmq.ROUTER_HANDOVER, 1)  # who reconnects before we noticed keeps its name
    socket.setsockopt(zmq.MAXMSGSIZE, QUESTION_BYTES)
    socket.setsockopt(zmq.RCVHWM, 1000)
    socket.setsockopt(zmq.SNDHWM, 64)
    socket.setsockopt(zmq.HANDSHAKE_IVL, 5000)
    socket.setsockopt(zmq.HEARTBEAT_IVL, 2000)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 6000)
