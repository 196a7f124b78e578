"""How does one machine play several hosts? With a network namespace for each, and a switch between them.

    [a] eth0 ---- port-a [switch: bridge] port-b ---- eth0 [b]      each [...] is a network namespace

A host has an address, a name that the others know, a folder (home, scratch, data) that the others cannot see, and its
own host name. What is done to a link (cut, loss, rate) is done at the switch: the hosts themselves notice nothing but
the missing packets, as with a cable that is pulled behind the next wall. Loss and one-way cuts are tc filters in the
kernel's packet language, rates are tc tbf. All of it goes when the network is closed; what a killed session left is
swept by the next.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
NAMES = Path("/etc/netns")  # `ip netns exec` shows what lies in /etc/netns/<name> as /etc
OURS = re.compile(r"mr(\d+)-\d+-\w+")
SUBNET = "10.99.7"
SWITCH = "switch"
NETWORK_VARIABLE = "MAPREDUCE_TEST_NETWORK"
"""Names the file in which the stand-in for ssh finds the hosts."""

_ENTER = """
hostname "$1"; shift
while [ "$1" != -- ]; do mount -t tmpfs -o size=4k,mode=0 hidden "$1" || exit 97; shift; done
shift
mount -t tmpfs memory /dev/shm
exec "$@"
"""

_LOST, _PASSED = "6 0 0 2", "6 0 0 0"  # "return TC_ACT_SHOT", "return TC_ACT_OK"
_LOAD_RANDOM = "32 0 0 4294963256"  # SKF_AD_OFF + SKF_AD_RANDOM
_LOAD_TYPE, _LOAD_TARGET = "40 0 0 12", "32 0 0 30"  # of an Ethernet frame: its protocol, and the target of IPv4
_IPV4 = 0x0800

_counter = iter(range(1 << 30))


def ip(*words: object) -> str:
    return _run("ip", *words)


def _run(*words: object) -> str:
    command = [str(word) for word in words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    if done.returncode:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def shape(mbit: float) -> tuple[str, ...]:
    """Words for tc: no more than that, but for the first 128 kB."""
    return "root", "tbf", "rate", f"{mbit}mbit", "burst", "128kb", "latency", "50ms"


@cache
def why_not() -> str:
    """Why there can be no hosts here; empty: there can."""
    if sys.platform != "linux":
        return "network namespaces are Linux's"
    if os.geteuid():
        return "network namespaces need root"
    if missing := [name for name in ("ip", "tc", "unshare", "nsenter") if shutil.which(name) is None]:
        return f"no {missing[0]} here"
    try:
        with network("one") as net:
            net["one"].run("true")
    except (OSError, subprocess.SubprocessError) as problem:
        return f"no network namespaces here: {problem}"
    return ""


@dataclass(frozen=True, slots=True, eq=False)
class Host:
    """One of the hosts. Commands run in it with its network, host name, home, and nobody else's folders."""

    name: str
    address: str
    folder: Path
    network: Network

    @property
    def namespace(self) -> str:
        return f"{self.network.prefix}-{self.name}"

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def scratch(self) -> Path:
        return self.folder / "scratch"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def inside(self, *command: object) -> list[str]:
        """The command that runs `command` here: it becomes it, so that its process is the one that was started."""
        hidden = [host.folder for host in self.network if host is not self]
        enter = ("unshare", "--uts", "--mount", "sh", "-c", _ENTER, "enter", self.name, *hidden, "--")
        return [str(word) for word in ("ip", "netns", "exec", self.namespace, *enter, *command)]

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        paths = filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")])
        own = {
            "HOME": self.home,
            "TMPDIR": self.folder / "tmp",
            "XDG_CONFIG_HOME": self.home / ".config",
            "XDG_CACHE_HOME": self.home / ".cache",
            "XDG_STATE_HOME": self.home / ".local" / "state",
            "MAPREDUCE_CACHE": self.home / ".cache" / "mapreduce",
            "PYTHONPATH": os.pathsep.join(paths),
            NETWORK_VARIABLE: self.network.page,
        }
        return {**os.environ, **{key: str(value) for key, value in own.items()}, **(more or {})}

    def start(
        self, *command: object, env: Mapping[str, str] | None = None, cwd: Path | None = None, **more: Any
    ) -> subprocess.Popen[str]:
        """A process of this host; it is ended with the network."""
        process = subprocess.Popen(
            self.inside(*command),
            cwd=cwd or self.home,
            env=self.environment(env),
            text=True,
            start_new_session=True,
            **more,
        )
        self.network.processes.append(process)
        return process

    def run(
        self,
        *command: object,
        input: str = "",
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout_seconds: float = 50,
    ) -> subprocess.CompletedProcess[str]:
        """A command to its end; its exit code is the caller's to judge."""
        return subprocess.run(
            self.inside(*command),
            input=input,
            cwd=cwd or self.home,
            env=self.environment(env),
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
            check=False,
        )

    def mapreduce(self, *arguments: object) -> list[object]:
        return [sys.executable, "-m", "mapreduce", *arguments]

    def pids(self) -> list[int]:
        return [int(word) for word in ip("netns", "pids", self.namespace).split()]

    def kill_all(self) -> None:
        """What a power cut does to the processes."""
        for pid in self.pids():
            _kill(pid)

    def small_disk(self, size_bytes: int) -> None:
        """From now on the scratch folder is a disk of that size."""
        _run("mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "small", self.scratch)
        self.network.mounts.append(self.scratch)

    # --- its link -------------------------------------------------------------------------------------------------

    def cut(self) -> None:
        """Nothing comes, nothing goes, and nobody is told."""
        ip("-n", self.network.switch, "link", "set", "dev", self._port, "down")

    def mend(self) -> None:
        """The link as it was: no cut, no loss, no limit."""
        for where in ("ingress", "root"):
            self._tc("qdisc", "del", "dev", self._port, where, fails=True)
        _run("tc", "-n", self.namespace, "qdisc", "replace", "dev", "eth0", "root", "pfifo", "limit", 1000)
        ip("-n", self.network.switch, "link", "set", "dev", self._port, "up")

    def cut_outgoing(self, *to: Host) -> None:
        """What it sends is lost (to those hosts only, if any are named); what others send arrives."""
        program = [_LOST]
        if to:
            tests = [f"21 {len(to) - number} 0 {_number(host.address)}" for number, host in enumerate(to)]
            program = [_LOAD_TYPE, f"21 0 {len(to) + 1} {_IPV4}", _LOAD_TARGET, *tests, _PASSED, _LOST]
        self._filter(program)

    def lose(self, share: float) -> None:
        """That share of the packets it sends is lost, by chance."""
        self._filter([_LOAD_RANDOM, f"37 1 0 {int(share * (1 << 32))}", _LOST, _PASSED])

    def rate(self, mbit: float) -> None:
        """So many megabits a second, in each direction."""
        self._tc("qdisc", "replace", "dev", self._port, *shape(mbit))
        _run("tc", "-n", self.namespace, "qdisc", "replace", "dev", "eth0", *shape(mbit))

    @property
    def _port(self) -> str:
        return f"port-{self.name}"

    def _filter(self, program: Sequence[str]) -> None:
        """Let a program in the kernel's packet language judge each packet that comes from this host."""
        self._tc("qdisc", "del", "dev", self._port, "ingress", fails=True)
        self._tc("qdisc", "add", "dev", self._port, "ingress")
        bytecode = ",".join([str(len(program)), *program])
        self._tc("filter", "add", "dev", self._port, "ingress", "bpf", "direct-action", "bytecode", bytecode)

    def _tc(self, *words: object, fails: bool = False) -> None:
        try:
            _run("tc", "-n", self.network.switch, *words)
        except OSError:
            if not fails:
                raise


@dataclass(slots=True)
class Network:
    """Hosts that reach each other, by name too. `page` is a file that says who there is."""

    prefix: str
    folder: Path
    hosts: dict[str, Host] = field(default_factory=dict)
    processes: list[subprocess.Popen[str]] = field(default_factory=list)
    mounts: list[Path] = field(default_factory=list)

    @property
    def switch(self) -> str:
        return f"{self.prefix}-{SWITCH}"

    @property
    def page(self) -> Path:
        return self.folder / "network.json"

    def __getitem__(self, name: str) -> Host:
        return self.hosts[name]

    def __iter__(self) -> Iterator[Host]:
        return iter(self.hosts.values())

    def mend(self) -> None:
        for host in self:
            host.mend()

    def part(self, far: Sequence[str], mbit: float) -> None:
        """Those hosts are at another switch from now on; all between the two shares a link of that rate, each way."""
        ends = ("core-near", "core-far")
        ip("-n", self.switch, "link", "add", "dev", "far", "type", "bridge")
        ip("-n", self.switch, "link", "add", "name", ends[0], "type", "veth", "peer", "name", ends[1])
        for device in ("far", *ends):
            ip("-n", self.switch, "link", "set", "dev", device, "up")
        for device, bridge in [(ends[0], "bridge"), (ends[1], "far"), *((f"port-{name}", "far") for name in far)]:
            ip("-n", self.switch, "link", "set", "dev", device, "master", bridge)
        for device in ends:
            _run("tc", "-n", self.switch, "qdisc", "replace", "dev", device, *shape(mbit))

    def end_processes(self) -> None:
        """Nobody runs in any host after it; the links are whole."""
        for host in self:
            host.kill_all()
        for process in self.processes:
            process.wait(10)
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream is not None:
                    stream.close()
        self.processes.clear()
        self.unmount()
        self.mend()

    def unmount(self) -> None:
        """The disks of the hosts are as they were."""
        while self.mounts:
            _run("umount", "--lazy", self.mounts.pop())


@contextmanager
def network(*names: str) -> Iterator[Network]:
    """Hosts of these names, until the block ends. Raises OSError where the system does not permit it."""
    sweep()
    folder = Path(tempfile.mkdtemp(prefix="mrhosts-"))
    net = Network(f"mr{os.getpid()}-{next(_counter)}", folder)
    for number, name in enumerate(names, 1):
        net.hosts[name] = Host(name, f"{SUBNET}.{number}", folder / name, net)
    try:
        _make(net)
        yield net
    finally:
        _remove(net)


def _make(net: Network) -> None:
    ip("netns", "add", net.switch)
    ip("-n", net.switch, "link", "add", "dev", "bridge", "type", "bridge")
    ip("-n", net.switch, "link", "set", "dev", "bridge", "up")
    table = "127.0.0.1 localhost\n" + "".join(f"{host.address} {host.name}\n" for host in net)
    for host in net:
        for part in (host.home, host.scratch, host.data, host.folder / "tmp"):
            part.mkdir(parents=True)
        ip("netns", "add", host.namespace)
        (NAMES / host.namespace).mkdir(parents=True)
        (NAMES / host.namespace / "hosts").write_text(table)
        peer = ("type", "veth", "peer", "name", "eth0", "netns", host.namespace)
        ip("-n", net.switch, "link", "add", "name", f"port-{host.name}", *peer)
        ip("-n", net.switch, "link", "set", "dev", f"port-{host.name}", "master", "bridge", "up")
        ip("-n", host.namespace, "address", "add", f"{host.address}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            ip("-n", host.namespace, "link", "set", "dev", device, "up")
    outside = ["nsenter", f"--mount=/proc/{os.getpid()}/ns/mnt"]  # from another host, whose folders are hidden there
    page = {host.name: {"command": [*outside, *host.inside()], "home": str(host.home)} for host in net}
    net.page.write_text(json.dumps(page))


def _remove(net: Network) -> None:
    """All of it, also what is only half there. A second call is harmless."""
    there = set(_namespaces())
    for host in net:
        if host.namespace in there:
            host.kill_all()
    for process in net.processes:
        process.wait(10)
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()
    net.unmount()
    for name in (net.switch, *(host.namespace for host in net)):
        if name in there:
            _remove_namespace(name)
    shutil.rmtree(net.folder, ignore_errors=True)


def sweep() -> list[str]:
    """Remove what sessions left that were killed; the names of the namespaces."""
    found = [name for name in _namespaces() if (match := OURS.fullmatch(name)) and not _is_alive(int(match[1]))]
    for name in found:
        for pid in ip("netns", "pids", name).split():
            _kill(int(pid))
        _remove_namespace(name)
    return found


def _remove_namespace(name: str) -> None:
    ip("netns", "delete", name)
    shutil.rmtree(NAMES / name, ignore_errors=True)


def _namespaces() -> list[str]:
    return [line.split()[0] for line in ip("netns", "list").splitlines() if line]


def _is_alive(pid: int) -> bool:
    return Path("/proc", str(pid)).exists()


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _number(address: str) -> int:
    return int.from_bytes(bytes(map(int, address.split("."))), "big")


def wait_until(what: str, is_so: Any, timeout_seconds: float = 20) -> None:
    """Look until `is_so()`; AssertionError names what never came."""
    deadline = time.monotonic() + timeout_seconds
    while not is_so():
        assert time.monotonic() < deadline, f"not within {timeout_seconds:g} s: {what}"
        time.sleep(0.02)
