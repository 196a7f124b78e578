"""How does data go through a command without a deadlock? Whatever end is ready is served, in one thread.

A command may write before it has read, read all before it writes, never read, or say much on stderr: the input is
taken from its iterator only when the command has room for it, so memory stays bounded whichever it does.
"""

from __future__ import annotations

import os
import selectors
import subprocess
from collections.abc import Callable, Iterator

READ_BYTES = 1 << 18
WRITE_BYTES = 1 << 16
"""A pipe's usual room."""

EXIT_POLL_SECONDS = 0.05
"""Only for a command that has closed its output and still runs."""


def pipe_through(command: str, chunks: Iterator[bytes], hear: Callable[[bytes], None]) -> Iterator[bytes | int]:
    """Run a shell command; yield its output in pieces, and at the very end its exit code (below 0: the signal).

    `hear` gets what it says on stderr, and b'' at the end. A command that stops reading is no error in itself. If the
    caller goes away, the command is killed.
    """
    process = subprocess.Popen(
        command, shell=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
    )
    try:
        yield from _serve(process, chunks, hear)
        yield process.wait()
    finally:
        if process.poll() is None:
            process.kill()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()
        process.wait()


def _serve(process: subprocess.Popen[bytes], chunks: Iterator[bytes], hear: Callable[[bytes], None]) -> Iterator[bytes]:
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    feeder = _Feeder(process.stdin.fileno(), chunks)
    with selectors.DefaultSelector() as ready:
        ready.register(process.stdin, selectors.EVENT_WRITE)
        ready.register(process.stdout, selectors.EVENT_READ)
        ready.register(process.stderr, selectors.EVENT_READ)
        while ready.get_map():
            only_exit = process.stdout.fileno() not in ready.get_map()
            for key, _ in ready.select(EXIT_POLL_SECONDS if only_exit else None):
                if key.fileobj is process.stdin:
                    if not feeder.feed():
                        ready.unregister(process.stdin)
                        process.stdin.close()
                    continue
                data = os.read(key.fd, READ_BYTES)
                if not data:
                    ready.unregister(key.fileobj)
                if key.fileobj is process.stderr:
                    hear(data)
                elif data:
                    yield data
            if only_exit and process.poll() is not None:
                _hear_rest(process.stderr.fileno(), hear)  # a child of the command may hold stderr open for ever
                return


class _Feeder:
    """Writes chunks into a pipe without ever waiting for it."""

    def __init__(self, handle: int, chunks: Iterator[bytes]) -> None:
        self._handle = handle
        self._chunks = chunks
        self._waiting = memoryview(b"")
        os.set_blocking(handle, False)

    def feed(self) -> bool:
        """Write what fits. False when all is written or nobody reads any more."""
        if not self._waiting:
            chunk = next(self._chunks, None)
            if chunk is None:
                return False
            self._waiting = memoryview(chunk)
        try:
            written = os.write(self._handle, self._waiting[:WRITE_BYTES])
        except BlockingIOError:
            return True
        except BrokenPipeError:
            return False
        self._waiting = self._waiting[written:]
        return True


def _hear_rest(handle: int, hear: Callable[[bytes], None]) -> None:
    os.set_blocking(handle, False)
    try:
        while data := os.read(handle, READ_BYTES):
            hear(data)
    except BlockingIOError:
        pass  # open in a child of the command, and nothing there
    hear(b"")
