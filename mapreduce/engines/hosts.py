"""Which hosts has the user named, and how are agents begun there and ended again?

Over ssh, one process a host; `localhost` needs none. The cluster's key goes through its standard input, never on a
command line, which all users of a machine can read, and after the tracker's address, which is not known when agents
begin. That stream stays open: its end tells the agent to end, also when this process was killed.
"""

from __future__ import annotations

import logging
import os
import re
import select
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from mapreduce.dataclass import dataclass, replace
from mapreduce.errors import ResourceError, UsageError

if TYPE_CHECKING:
    from mapreduce.wire.keys import ClusterKey

_log = logging.getLogger(__name__)

SSH = ("ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-o", "ServerAliveInterval=5")
"""It must not ask for a password: standard input is the key's."""

END_SECONDS = 4.0
"""From the end of its standard input an agent has so long to end its workers and remove its files."""

ADDRESS_WORD = "tracker = "
"""Before the address, in what an agent reads from its standard input."""

LAST_WORDS_BYTES = 2000
LOCAL = ("localhost", "127.0.0.1", "::1")
_HOST = re.compile(
    r"(?:(?P<user>[^\s@,:]+)@)?(?:\[(?P<six>[0-9a-fA-F:.%\w]+)\]|(?P<name>\w[\w.-]*))(?::(?P<workers>\d+))?"
)


@dataclass(frozen=True, slots=True)
class HostSpec:
    """A host as the user named it. `workers` None: as many as it has CPUs."""

    target: str  # as ssh has it, with a user if one was named
    name: str
    workers: int | None = None

    @property
    def is_local(self) -> bool:
        return self.target in LOCAL


def parse_hosts(text: str) -> list[HostSpec]:
    """Hosts from 'a,b:4,user@c' or '@FILE' with one a line. Raises UsageError."""
    if text.startswith("@"):
        try:
            lines = Path(text[1:]).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"can't read the hosts in {text[1:]}: {error}") from None
        words = [(line.partition("#")[0].strip(), f"{text[1:]}:{number}: ") for number, line in enumerate(lines, 1)]
    else:
        words = [(word.strip(), "--hosts: ") for word in text.split(",")]
    hosts = [_parse_host(word, where) for word, where in words if word]
    if not hosts:
        raise UsageError("--hosts names no host; write a,b:4,c or @FILE with one a line")
    seen: set[str] = set()
    for host in hosts:
        if host.target in seen and not host.is_local:
            raise UsageError(f"--hosts names {host.target} twice; name it once, with :N for its workers")
        seen.add(host.target)
    return hosts


def _parse_host(word: str, where: str) -> HostSpec:
    match = _HOST.fullmatch(word)
    workers = None if match is None or match["workers"] is None else int(match["workers"])
    if match is None or workers == 0:
        raise UsageError(f"{where}{word!r} is not a host; write NAME or NAME:WORKERS, such as node7:4")
    name = match["six"] or match["name"]
    target = f"{match['user']}@{name}" if match["user"] else name
    return HostSpec(target, name, workers)


def own_address_towards(host: str) -> str:
    """The address of this machine from which packets to the host leave: where it can reach us. Raises UsageError if
    there is no such host."""
    if host in LOCAL:
        return "127.0.0.1"
    try:
        family, _, _, _, address = socket.getaddrinfo(host, 9, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(address)  # sends nothing
            return str(probe.getsockname()[0])
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise UsageError(f"there is no way to {host!r}: {why}") from None


def name_for_ssh(target: str) -> str:
    """The host that ssh means by a name, which may be one of the user's own configuration alone; else the name."""
    with suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(["ssh", "-G", "--", target], capture_output=True, text=True, timeout=5, check=True)
        for line in done.stdout.splitlines():
            if line.startswith("hostname "):
                return line.removeprefix("hostname ")
    return target


@dataclass(frozen=True, slots=True)
class ClusterOptions:
    """Where agents come from. `hosts` as `--hosts` has them or one by one; `listen` is an address at which agents begun
    by hand may join; `key` the file of the cluster's key, where it is not at its usual place. `expect` tells agents
    which code to load ahead: that of "keyed" jobs or of "folds"."""

    hosts: str | Sequence[str] = ()
    listen: str = ""
    ssh: str | None = None
    key: str | Path | None = None
    workers: int | None = None
    expect: str = "keyed"

    def check(self) -> None:
        """Raises UsageError if there is nobody to run anything."""
        if not self.specs() and not self.listen:
            raise UsageError("a cluster needs --hosts (hosts=), or --listen (listen=) for agents that join by hand")

    def specs(self) -> list[HostSpec]:
        if not self.hosts:
            return []
        return parse_hosts(self.hosts if isinstance(self.hosts, str) else ",".join(self.hosts))

    def begin_agents(self) -> HostAgents:
        """Begin one on each host that is named. They load what they need while we do; `tell` has them join."""
        agents = HostAgents()
        for spec in self.specs():
            agents.begin(replace(spec, workers=spec.workers or self.workers), self.ssh, ("--expect", self.expect))
        return agents


class HostAgents:
    """Agents that we began, one a host, until `close`."""

    def __init__(self) -> None:
        self._running: dict[str, tuple[subprocess.Popen[bytes], IO[bytes]]] = {}
        self._ended: dict[str, str] = {}
        self._untold: list[tuple[HostSpec, subprocess.Popen[bytes]]] = []

    def begin(self, host: HostSpec, ssh: str | None, more: Sequence[str] = ()) -> None:
        """Begin an agent on a host; whether that succeeds shows later. Raises UsageError if there is no such command
        as ssh."""
        arguments = ["agent", "-", "--key-from-stdin", "--name", host.name, *more]
        if host.workers is not None:
            arguments += ["--workers", str(host.workers)]
        command = _local_command(arguments) if host.is_local else _ssh_command(host, arguments, ssh)
        words = tempfile.TemporaryFile()
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=words,
                env=_environment(),
                start_new_session=True,  # Ctrl-C is for us, and we end it in order
            )
        except OSError as error:
            words.close()
            raise UsageError(f"can't run {command[0]!r} to reach {host.target}: {error.strerror}; see --ssh") from None
        number = len(self._running) + len(self._ended)
        self._running[f"{host.name}" if host.name not in self._running else f"{host.name}.{number + 1}"] = (
            process,
            words,
        )
        self._untold.append((host, process))

    def tell(self, addresses: Mapping[str, str], key: ClusterKey) -> None:
        """Have those that we began join: where each host (as ssh names it) finds the tracker, and the key."""
        from mapreduce.wire.keys import encode_key

        for host, process in self._untold:
            assert process.stdin is not None
            with suppress(BrokenPipeError):  # it has ended, and its last words say why
                process.stdin.write(f"{ADDRESS_WORD}{addresses[host.target]}\n{encode_key(key)}".encode())
                process.stdin.flush()
        self._untold.clear()

    def problem(self) -> str:
        """Why no agent of ours will come any more; empty as long as one may."""
        for name, (process, words) in list(self._running.items()):
            if process.poll() is not None:
                self._ended[name] = _last_words(process, words)
                _log.warning("the agent on %s has ended: %s", name, self._ended[name])
                self._let_go(name)
        if self._running or not self._ended:
            return ""
        return "\n".join(f"no agent on {name}: {words}" for name, words in self._ended.items())

    def close(self) -> None:
        """End all agents. A second call is harmless."""
        for process, _ in self._running.values():
            with suppress(BrokenPipeError):
                if process.stdin is not None:
                    process.stdin.close()
        for host, process in self._untold:
            if not host.is_local:
                process.terminate()  # it may still wait for the host; what it began there ends with its input
        self._untold.clear()
        for name, (process, _) in list(self._running.items()):
            for number in (0, signal.SIGTERM, signal.SIGKILL):
                if number:
                    _log.warning("the agent on %s does not end", name)
                    process.send_signal(number)
                if _ended_within(process, END_SECONDS):
                    break
            self._let_go(name)

    def _let_go(self, name: str) -> None:
        process, words = self._running.pop(name)
        if process.stdin is not None:
            with suppress(BrokenPipeError):
                process.stdin.close()
        words.close()


def _ended_within(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Whether it ends in time. `Popen.wait` would look every 50 ms, which is longer than an agent takes to end."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except (AttributeError, OSError):  # a system without
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        return process.poll() is not None
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        poll.poll(1000 * seconds)
    finally:
        os.close(descriptor)
    return process.poll() is not None


def _local_command(arguments: Sequence[str]) -> list[str]:
    if not sys.executable:
        raise ResourceError("no agent can be started here: this program does not know its own interpreter")
    return [sys.executable, "-m", "mapreduce", *arguments]


def _ssh_command(host: HostSpec, arguments: Sequence[str], ssh: str | None) -> list[str]:
    """Runs our interpreter there, if there is one at that place, and else `python3`; whatever the user's shell is."""
    there = f'p={shlex.quote(sys.executable)}; [ -x "$p" ] || p=python3; exec "$p" -m mapreduce {shlex.join(arguments)}'
    return [*(SSH if ssh is None else shlex.split(ssh)), host.target, f"sh -c {shlex.quote(there)}"]


def _environment() -> dict[str, str]:
    """With which an agent here finds the package that we are."""
    home = str(Path(__file__).resolve().parents[2])
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (home, os.environ.get("PYTHONPATH", ""))))}


def _last_words(process: subprocess.Popen[bytes], words: IO[bytes]) -> str:
    size = words.seek(0, os.SEEK_END)
    words.seek(max(0, size - LAST_WORDS_BYTES))
    said = words.read().decode(errors="replace").replace("\r\n", "\n").strip()  # ssh speaks as to a terminal
    if said.endswith("No module named mapreduce"):
        return f"{said}; install the package there"
    return said or f"it ended with exit code {process.returncode} and said nothing"
