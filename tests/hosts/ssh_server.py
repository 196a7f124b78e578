"""What is sshd where there is none? This: `ssh_server.py FOLDER HOME [ADDRESS:PORT]`, a real SSH server (asyncssh).

FOLDER holds `host_key` and `authorized_keys`, and in `bin` what this host has before others. A login runs its command
by the shell, in HOME, with hardly more in its environment than what sshd sets, and its standard input ends when the
connection does. Each command is written into `FOLDER/commands`, and the port into `FOLDER/port` once it listens.
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncssh

KEPT = ("PATH", "PYTHONPATH", "LANG")
"""What a login there would set, and what finds the package."""

PIECE_BYTES = 65536
Login = Any  # asyncssh.SSHServerProcess[bytes]


async def run_login(login: Login, folder: Path, home: Path) -> None:
    command = login.command or "true"
    with (folder / "commands").open("a") as told:
        told.write(f"{command}\n")
    environment = {key: os.environ[key] for key in KEPT if key in os.environ}
    environment["PATH"] = f"{folder / 'bin'}:{environment['PATH']}"
    environment |= {"HOME": str(home), "USER": "root", "LOGNAME": "root", "TMPDIR": str(home.parent / "tmp")}
    pipe = asyncio.subprocess.PIPE
    started = await asyncio.create_subprocess_exec(
        "sh", "-c", command, stdin=pipe, stdout=pipe, stderr=pipe, cwd=home, env=environment, start_new_session=True
    )
    streams = (hand_on(login.stdin, started.stdin), hand_on(started.stdout, login.stdout))
    tasks = [asyncio.create_task(each) for each in (*streams, hand_on(started.stderr, login.stderr))]
    code = await started.wait()
    await asyncio.gather(*tasks[1:])
    tasks[0].cancel()
    login.exit(code if code >= 0 else 255)


async def hand_on(source: Any, sink: Any) -> None:
    """To the end of the source; the end of a connection is the end of its input."""
    with suppress(asyncssh.Error, OSError):
        while piece := await source.read(PIECE_BYTES):
            sink.write(piece)
            await sink.drain()
    if isinstance(sink, asyncio.StreamWriter):
        sink.close()


async def serve(folder: Path, home: Path, address: str) -> None:
    host, _, port = address.rpartition(":")
    server = await asyncssh.listen(
        host,
        int(port),
        server_host_keys=[str(folder / "host_key")],
        authorized_client_keys=str(folder / "authorized_keys"),
        process_factory=lambda login: run_login(login, folder, home),
        encoding=None,
    )
    (folder / "port.new").write_text(str(server.get_port()))
    (folder / "port.new").rename(folder / "port")
    await server.wait_closed()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), Path(sys.argv[2]), (sys.argv[3:] or ["127.0.0.1:0"])[0]))
