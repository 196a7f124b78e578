"""What does one TCP stream carry? `stream.py receive PORT` on one host, `stream.py send HOST PORT BYTES` on another.

The receiver prints "ready", then the megabytes a second from the first byte to the last. It stands in for iperf3 where
that is not installed.
"""

from __future__ import annotations

import socket
import sys
import time

PIECE = bytes(1 << 20)


def receive(port: int) -> float:
    """Bytes a second of the one connection that comes."""
    with socket.create_server(("0.0.0.0", port)) as server:
        print("ready", flush=True)
        connection, _ = server.accept()
        with connection:
            buffer, total, started = bytearray(1 << 20), 0, 0.0
            while size := connection.recv_into(buffer):
                started = started or time.perf_counter()
                total += size
            return total / (time.perf_counter() - started)


def send(host: str, port: int, size: int) -> None:
    with socket.create_connection((host, port), 10) as connection:
        for start in range(0, size, len(PIECE)):
            connection.sendall(PIECE[: size - start])


if __name__ == "__main__":
    if sys.argv[1] == "receive":
        print(f"{receive(int(sys.argv[2])) / 1e6:.1f}", flush=True)
    else:
        send(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
