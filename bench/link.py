"""One end of a link between two hosts, as bench/cluster.py starts them; the receiving end prints megabytes a second.

zmq-receive PORT KEY            one PULL socket; prints "ready", later the rate
zmq-send HOST PORT KEY BYTES    one PUSH socket, messages of a mebibyte
bare-receive PORT               opens sealed records as they come; prints "ready", then the rate
bare-send HOST PORT FILE        reads a file, seals it and sends it: what our data service does, and nothing else
serve PORT KEY FOLDER           our data server; prints "ready"
read HOST PORT KEY FILE         our data client, as a reduce task reads its part of a segment; prints the rate
fetch HOST PORT KEY FILE        the same, as the tracker fetches a part
ask HOST PORT KEY FILE SIZE     reads one piece after the other; prints the seconds of one, in the middle of many

KEY is the file of a cluster's key, or "-": then nothing is encrypted.
"""

from __future__ import annotations

import io
import socket
import statistics
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import zmq

from mapreduce.wire.keys import ClusterKey, read_key
from mapreduce.wire.sealing import KEY_BYTES, RECORD_BYTES, TAG_BYTES, Opener, Sealer

if TYPE_CHECKING:
    from mapreduce.wire.data_client import DataClient

MESSAGE_BYTES = 1 << 20
FRAME_BYTES = 1 << 18
"""About what a frame of a segment has."""

FOLDER = "bench"
BARE_KEY = bytes(KEY_BYTES)

ASKED = 9


class Nowhere(io.BytesIO):
    """Takes all and keeps nothing."""

    def write(self, data: Any) -> int:
        return memoryview(data).nbytes


def key_in(name: str) -> ClusterKey | None:
    return None if name == "-" else read_key(Path(name))


def zmq_receive(port: str, key_file: str) -> None:
    key = key_in(key_file)
    with zmq.Context() as context, context.socket(zmq.PULL) as pull:
        if key is not None:
            pull.curve_server, pull.curve_secretkey, pull.curve_publickey = True, key.secret, key.public
        pull.bind(f"tcp://*:{port}")
        print("ready", flush=True)
        pull.recv()
        started, total = time.perf_counter(), 0
        while size := len(pull.recv(copy=False)):
            total += size
        print(f"{total / (time.perf_counter() - started) / 1e6:.1f}", flush=True)


def zmq_send(host: str, port: str, key_file: str, size: str) -> None:
    key, message = key_in(key_file), bytes(MESSAGE_BYTES)
    with zmq.Context() as context, context.socket(zmq.PUSH) as push:
        if key is not None:
            push.curve_serverkey = push.curve_publickey = key.public
            push.curve_secretkey = key.secret
        push.connect(f"tcp://{host}:{port}")
        push.send(b"the clock starts")
        for _ in range(int(size) // MESSAGE_BYTES):
            push.send(message, copy=False)
        push.send(b"")


def bare_receive(port: str) -> None:
    opener = Opener(BARE_KEY)
    with socket.create_server(("0.0.0.0", int(port))) as server:
        print("ready", flush=True)
        connection, _ = server.accept()
    with connection:
        record, opened = (memoryview(bytearray(RECORD_BYTES + more)) for more in (TAG_BYTES, 0))
        total, started = 0, time.perf_counter()
        while size := connection.recv_into(record, 0, socket.MSG_WAITALL):
            opener.open(record[:size], opened[: size - TAG_BYTES])
            total += size - TAG_BYTES
        print(f"{total / (time.perf_counter() - started) / 1e6:.1f}", flush=True)


def bare_send(host: str, port: str, name: str) -> None:
    sealer = Sealer(BARE_KEY)
    record = memoryview(bytearray(RECORD_BYTES + TAG_BYTES))
    with socket.create_connection((host, int(port))) as connection, open(name, "rb", buffering=0) as file:
        while size := file.readinto(record[:RECORD_BYTES]):
            connection.sendall(sealer.seal(record[:size], record))


def serve(port: str, key_file: str, folder: str) -> None:
    from mapreduce.wire.data_server import DataServer

    server = DataServer(f"tcp://*:{port}", key_in(key_file))
    server.offer(FOLDER, folder)
    print("ready", flush=True)
    threading.Event().wait()


def read(host: str, port: str, key_file: str, name: str) -> None:
    from mapreduce.storage.host_store import Place

    def run(client: DataClient, path: str, size: int) -> int:
        client.will_read([Place(host, path, 0, size)])
        return sum(len(client.read(host, path, start, FRAME_BYTES)) for start in range(0, size, FRAME_BYTES))

    _measure(host, port, key_file, name, run)


def fetch(host: str, port: str, key_file: str, name: str) -> None:
    _measure(host, port, key_file, name, lambda client, path, _: client.fetch(host, path, Nowhere()))


def ask(host: str, port: str, key_file: str, name: str, size: str) -> None:
    from mapreduce.wire.data_client import DataClient

    path, piece, seconds = f"{FOLDER}/{name}", int(size), []
    client = DataClient(key_in(key_file), {host: f"tcp://{host}:{port}"})
    try:
        end = client.size(host, path)  # the connection is there
        for start in range(0, end - piece + 1, piece)[:ASKED]:
            began = time.perf_counter()
            assert len(client.read(host, path, start, piece)) == piece
            seconds.append(time.perf_counter() - began)
    finally:
        client.close()
    print(statistics.median(seconds))


def _measure(host: str, port: str, key_file: str, name: str, run: Callable[[DataClient, str, int], int]) -> None:
    from mapreduce.wire.data_client import DataClient
    from mapreduce.workers.process import keep_freed_memory

    keep_freed_memory()  # as workers do, and whoever has a data server
    client = DataClient(key_in(key_file), {host: f"tcp://{host}:{port}"})
    try:
        size = client.size(host, f"{FOLDER}/{name}")  # the connection is there
        started = time.perf_counter()
        assert run(client, f"{FOLDER}/{name}", size) == size
        print(f"{size / (time.perf_counter() - started) / 1e6:.1f}", flush=True)
    finally:
        client.close()


COMMANDS: dict[str, Callable[..., None]] = {
    "zmq-receive": zmq_receive,
    "zmq-send": zmq_send,
    "bare-receive": bare_receive,
    "bare-send": bare_send,
    "serve": serve,
    "read": read,
    "fetch": fetch,
    "ask": ask,
}

if __name__ == "__main__":
    COMMANDS[sys.argv[1]](*sys.argv[2:])
