"""How is a link delayed by a kernel without netem? By a relay: `relay.py LISTEN_PORT HOST PORT MILLISECONDS`.

Every byte of a connection comes so many milliseconds later, in order, in both directions. One thread; what is on its
way is bounded, so that a sender feels the delay and not an endless buffer.
"""

from __future__ import annotations

import selectors
import socket
import sys
import time
from collections import deque
from dataclasses import dataclass, field

PIECE_BYTES = 1 << 16
MOST_BYTES = 8 << 20  # on their way in one direction


@dataclass(slots=True, eq=False)
class Flow:
    """One direction of one connection: what was read, and when it may go on."""

    source: socket.socket
    target: socket.socket
    waiting: deque[tuple[float, bytes]] = field(default_factory=deque)
    size: int = 0
    ended: bool = False

    def read(self, due: float) -> bool:
        """Take what came; False: that was the last."""
        try:
            piece = self.source.recv(PIECE_BYTES)
        except BlockingIOError:
            return True
        except OSError:
            piece = b""
        self.ended = not piece
        self.waiting.append((due, piece))
        self.size += len(piece)
        return not self.ended

    def write(self, now: float) -> bool:
        """Hand on what is due; False: the connection is over."""
        while self.waiting and self.waiting[0][0] <= now:
            _, piece = self.waiting.popleft()
            try:
                if not piece:
                    self.target.shutdown(socket.SHUT_WR)
                    continue
                sent = self.target.send(piece)
            except BlockingIOError:
                sent = 0
            except OSError:
                return False
            self.size -= sent
            if sent < len(piece):
                self.waiting.appendleft((now + 0.001, piece[sent:]))
                return True
        return True


def relay(listen_port: int, host: str, port: int, delay_seconds: float) -> None:
    """Until the process is ended."""
    flows: list[Flow] = []
    with socket.create_server(("0.0.0.0", listen_port)) as server, selectors.DefaultSelector() as readable:
        server.setblocking(False)
        readable.register(server, selectors.EVENT_READ)
        while True:
            now = time.monotonic()
            nearest = min((flow.waiting[0][0] for flow in flows if flow.waiting), default=now + 1)
            ready = {key.fileobj for key, _ in readable.select(max(0.0, nearest - now))}
            now = time.monotonic()
            if server in ready:
                flows += _accept(server, host, port, readable)
            for flow in flows:
                wanted = flow.source in ready and not flow.ended and flow.size < MOST_BYTES
                if wanted and not flow.read(now + delay_seconds):
                    readable.unregister(flow.source)
            over = {end for flow in flows if not flow.write(now) for end in (flow.source, flow.target)}
            done = {flow.source for flow in flows if flow.ended and not flow.waiting}
            for flow in flows:
                if flow.source in over or {flow.source, flow.target} <= done:
                    _close(flow, readable)
            flows = [flow for flow in flows if flow.source.fileno() >= 0 and flow.target.fileno() >= 0]


def _accept(server: socket.socket, host: str, port: int, readable: selectors.BaseSelector) -> list[Flow]:
    near, _ = server.accept()
    try:
        far = socket.create_connection((host, port), 5)
    except OSError:
        near.close()
        return []
    for end in (near, far):
        end.setblocking(False)
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        readable.register(end, selectors.EVENT_READ)
    return [Flow(near, far), Flow(far, near)]


def _close(flow: Flow, readable: selectors.BaseSelector) -> None:
    for end in (flow.source, flow.target):
        if end.fileno() >= 0:
            if end in readable.get_map():
                readable.unregister(end)
            end.close()


if __name__ == "__main__":
    relay(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4]) / 1000)
