"""A relay between a reader and a server that treats the bytes badly: cuts, delays, corrupts, or limits them."""

from __future__ import annotations

import heapq
import selectors
import socket
import threading
import time
from dataclasses import dataclass, field
from itertools import count


@dataclass(slots=True)
class Habits:
    """What it does to bytes on their way to the reader. `cut_after` and `corrupt_at` count the bytes of a connection;
    connections from the `until_connection`-th on are left alone. `delay_seconds` is for both ways."""

    cut_after: int = 0
    corrupt_at: int = -1
    until_connection: int = 1 << 30
    delay_seconds: float = 0.0
    silent_after: int = 0  # says nothing more, and keeps the connection


@dataclass(slots=True)
class _End:
    ours: socket.socket
    other: socket.socket
    to_reader: bool
    number: int
    passed: int = 0


@dataclass(slots=True)
class Relay:
    """Relays to `port` of this machine until `close`."""

    port: int
    habits: Habits
    connections: int = 0
    _listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    _stop: bool = False
    _thread: threading.Thread | None = None

    def start(self) -> str:
        """Its address."""
        self._thread = threading.Thread(target=self._run, name="relay")
        self._thread.start()
        return f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        self._stop = True
        assert self._thread is not None
        self._thread.join()
        self._listener.close()

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            waiting: list[tuple[float, int, _End, bytes]] = []
            numbers = count()
            while not self._stop:
                now = time.monotonic()
                timeout = 0.05 if not waiting else max(0.0, min(0.05, waiting[0][0] - now))
                for key, _ in selector.select(timeout):
                    if key.data is None:
                        self._accept(selector)
                        continue
                    data = self._receive(key.data)
                    if data is None:
                        self._hang_up(selector, key.data)
                    else:
                        heapq.heappush(waiting, (now + self.habits.delay_seconds, next(numbers), key.data, data))
                while waiting and waiting[0][0] <= time.monotonic():
                    _, _, end, data = heapq.heappop(waiting)
                    if end.ours.fileno() >= 0 and not self._pass(end, data):
                        self._hang_up(selector, end)
            for key in list(selector.get_map().values()):
                if key.data is not None and key.data.ours.fileno() >= 0:
                    key.data.ours.close()

    def _accept(self, selector: selectors.BaseSelector) -> None:
        reader, _ = self._listener.accept()
        try:
            server = socket.create_connection(("127.0.0.1", self.port))
        except OSError:
            reader.close()
            return
        for ours, other, to_reader in ((reader, server, False), (server, reader, True)):
            selector.register(ours, selectors.EVENT_READ, _End(ours, other, to_reader, self.connections))
        self.connections += 1

    def _receive(self, end: _End) -> bytes | None:
        try:
            return end.ours.recv(1 << 16) or None
        except OSError:
            return None

    def _pass(self, end: _End, data: bytes) -> bool:
        """Whether the connection goes on."""
        habits = self.habits
        if end.to_reader and end.number < habits.until_connection:
            if habits.silent_after and end.passed >= habits.silent_after:
                return True
            at = habits.corrupt_at - end.passed
            if 0 <= at < len(data):
                data = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
            if habits.cut_after and end.passed + len(data) > habits.cut_after:
                return False
        end.passed += len(data)
        try:
            end.other.sendall(data)
        except OSError:
            return False
        return True

    def _hang_up(self, selector: selectors.BaseSelector, end: _End) -> None:
        for each in (end.ours, end.other):
            if each.fileno() >= 0:
                selector.unregister(each)
                each.close()
