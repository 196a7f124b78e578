"""How long do streams take that share links? `flows.py receive PORT`, `flows.py send HOST PORT BYTES`, all at once.

A sender connects, prints "ready" and waits for a line: the time at which it sends. The receiver prints "ready", later
the time of the last byte. Times are of `time.monotonic`, which all hosts of one machine share.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from tests.hosts.network import Network

FIRST_PORT = 7200
HEAD_START_SECONDS = 0.1


class Stream(NamedTuple):
    """So many bytes from a host to a host."""

    source: str
    target: str
    size: int


def measure_ends(net: Network, streams: Sequence[Stream]) -> list[float]:
    """Seconds from the common start to the last byte of each."""
    python = (sys.executable, "-I", "-S", __file__)
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    numbered = list(enumerate(streams, FIRST_PORT))
    receivers = [net[stream.target].start(*python, "receive", port, **pipes) for port, stream in numbered]
    for receiver in receivers:
        _next_line(receiver)
    senders = [net[s.source].start(*python, "send", s.target, port, s.size, **pipes) for port, s in numbered]
    for sender in senders:
        _next_line(sender)
    start = time.monotonic() + HEAD_START_SECONDS
    for sender in senders:
        assert sender.stdin is not None
        sender.stdin.write(f"{start}\n")
        sender.stdin.flush()
    ends = [float(_next_line(receiver)) - start for receiver in receivers]
    for process in (*senders, *receivers):
        process.communicate(timeout=10)
        net.processes.remove(process)
    return ends


def _next_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, "a stream ended before its time"
    return line


def receive(port: int) -> None:
    with socket.create_server(("0.0.0.0", port)) as server:
        print("ready", flush=True)
        connection, _ = server.accept()
        with connection:
            buffer = bytearray(1 << 18)
            while connection.recv_into(buffer):
                pass
            print(time.monotonic(), flush=True)


def send(host: str, port: int, size: int) -> None:
    piece = bytes(1 << 18)
    with socket.create_connection((host, port), 10) as connection:
        connection.settimeout(None)
        print("ready", flush=True)
        time.sleep(max(0.0, float(sys.stdin.readline()) - time.monotonic()))
        for start in range(0, size, len(piece)):
            connection.sendall(piece[: size - start])


if __name__ == "__main__":
    if sys.argv[1] == "receive":
        receive(int(sys.argv[2]))
    else:
        send(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
