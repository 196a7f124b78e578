"""Are the hosts of the tests hosts: apart, reachable, cut and slowed as told, and gone afterwards?"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.hosts import fake_ssh, network, relay, stream
from tests.hosts.fixture import hosts, network_of_hosts
from tests.hosts.network import Host, Network, ip, sweep

__all__ = ["hosts", "network_of_hosts"]

FAKE_SSH = [sys.executable, fake_ssh.__file__]
MB = 1_000_000
KNOCK = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 0.7).close()"
CALL = "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(0.3); "
LISTEN = CALL + "s.bind(('', 5)); print('ready', flush=True); print(s.recv(9).decode(), flush=True)"


def start_ready(host: Host, *command: object) -> subprocess.Popen[str]:
    process = host.start(*command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def reaches(source: Host, target: Host) -> bool:
    """Whether a packet goes that way; nothing need come back."""
    listening = start_ready(target, sys.executable, "-c", LISTEN)
    source.run(sys.executable, "-c", f"{CALL} s.sendto(b'hello', ('{target.address}', 5))")
    output, _ = listening.communicate()
    return output == "hello\n"


def megabytes_a_second(source: Host, target: Host, size: int) -> float:
    receiver = start_ready(target, sys.executable, stream.__file__, "receive", 7000)
    source.run(sys.executable, stream.__file__, "send", target.name, 7000, size)
    output, _ = receiver.communicate(timeout=30)
    return float(output)


def no_neighbours(net: Network) -> None:
    """Who asks for an address must not be the packet that is lost: tell everybody beforehand."""
    for host in net:
        for other in net:
            if other is not host:
                address = other.run("cat", "/sys/class/net/eth0/address").stdout.strip()
                ip("-n", host.namespace, "neighbour", "replace", other.address, "lladdr", address, "dev", "eth0")


def test_a_host_is_apart(hosts: Network) -> None:
    """Own name, own address, own folders; the others go by name."""
    a, b = hosts["a"], hosts["b"]
    assert a.run("hostname").stdout == "a\n"
    assert os.uname().nodename != "a"
    (b.data / "secret").write_text("b")
    assert b.run("cat", b.data / "secret").stdout == "b"
    assert a.run("ls", b.data).returncode != 0
    assert f" {a.address}/" in a.run("ip", "address").stdout
    assert a.run("getent", "hosts", "b").stdout.split() == [b.address, "b"]
    assert a.run("sh", "-c", "echo $HOME").stdout == f"{a.home}\n"


def test_cut_and_mended(hosts: Network) -> None:
    a, b = hosts["a"], hosts["b"]
    assert reaches(a, b)
    a.cut()
    assert not reaches(a, b)
    assert not reaches(b, a)
    a.mend()
    no_neighbours(hosts)
    network.wait_until("the link is up", lambda: reaches(a, b))


def test_cut_in_one_direction(hosts: Network) -> None:
    a, b, c = (hosts[name] for name in "abc")
    no_neighbours(hosts)
    a.cut_outgoing()
    assert not reaches(a, b)
    assert reaches(b, a)
    a.cut_outgoing(b)
    assert not reaches(a, b)
    assert reaches(a, c)
    a.cut_outgoing(b, c)
    assert not reaches(a, b)
    assert not reaches(a, c)
    assert reaches(a, hosts["tracker"])


def test_loss(hosts: Network) -> None:
    """Of a hundred packets about half arrive; a stream arrives whole."""
    a, b = hosts["a"], hosts["b"]
    no_neighbours(hosts)
    a.lose(0.5)
    count = "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(0.5); s.bind(('', 6)); "
    count += "print('ready', flush=True); n = 0\ntry:\n  while True: s.recv(9); n += 1\nexcept TimeoutError: print(n)"
    counting = start_ready(b, sys.executable, "-c", count)
    a.run(sys.executable, "-c", f"{CALL}\nfor _ in range(400): s.sendto(b'x', ('{b.address}', 6))")
    assert 120 < int(counting.communicate()[0]) < 280
    a.lose(0.01)
    assert megabytes_a_second(a, b, 2 * MB) > 0


def test_rate(hosts: Network) -> None:
    """Only an upper limit is sure on a busy machine; the burst is free."""
    a, b = hosts["a"], hosts["b"]
    a.rate(40)
    assert megabytes_a_second(a, b, 4 * MB) < 6.5
    assert megabytes_a_second(b, a, 4 * MB) < 6.5


def test_delay(hosts: Network) -> None:
    """A relay on the receiver's host makes each way 100 ms longer, and loses nothing."""
    a, b = hosts["a"], hosts["b"]
    echo = "import socket; s = socket.create_server(('', 7001)); print('ready', flush=True)\nwhile True:\n"
    echo += "  c, _ = s.accept()\n  while d := c.recv(99999): c.sendall(d)\n  c.close()"
    start_ready(b, sys.executable, "-c", echo)
    b.start(sys.executable, relay.__file__, 7002, "127.0.0.1", 7001, 100)
    network.wait_until("the relay listens", lambda: a.run(sys.executable, "-c", KNOCK, "b", 7002).returncode == 0)
    ask = "import socket, time; c = socket.create_connection(('b', 7002)); t = time.perf_counter(); n = 1 << 20\n"
    ask += "c.sendall(bytes(n)); c.shutdown(socket.SHUT_WR); first = c.recv(1); e = time.perf_counter() - t; r = 1\n"
    ask += "while d := c.recv(99999): r += len(d)\nprint(e, r)"
    seconds, received = a.run(sys.executable, "-c", ask).stdout.split()
    assert float(seconds) >= 0.2
    assert int(received) == 1 << 20


def test_ssh(hosts: Network) -> None:
    """The stand-in does with words, streams and exit codes what ssh does."""

    def ssh(*words: str, input: str = "") -> subprocess.CompletedProcess[str]:
        return hosts["tracker"].run(*FAKE_SSH, *words, input=input)

    options = ("-T", "-o", "BatchMode=yes", "-p", "22", "me@a")
    done = ssh(*options, "hostname; pwd; cat; echo wrong >&2; exit 3", input="a line\n")
    assert done.stdout == f"a\n{hosts['a'].home}\na line\n"
    assert (done.stderr, done.returncode) == ("wrong\n", 3)
    assert ssh("b", "printf", "%s,", "'two words'").stdout == "two words,"
    done = ssh("nowhere", "true")
    assert done.returncode == 255
    assert "Could not resolve hostname nowhere" in done.stderr


def test_a_command_outlives_its_ssh(hosts: Network) -> None:
    """As on a host: what was started there finds its input at an end and decides itself."""
    heard, mark = hosts["a"].home / "heard", hosts["a"].home / "ended"
    client = hosts["tracker"].start(*FAKE_SSH, "a", f"cat > {heard}; touch {mark}", stdin=subprocess.PIPE)
    assert client.stdin is not None
    client.stdin.write("half a li")
    client.stdin.flush()
    network.wait_until("the command heard it", lambda: heard.exists() and heard.read_text())
    client.kill()
    client.wait()
    network.wait_until("it noticed", mark.exists)
    assert heard.read_text() == "half a li"


def test_what_a_killed_session_left_is_swept(tmp_path: Path) -> None:
    if reason := network.why_not():
        pytest.skip(reason)
    session = "from tests.hosts.network import network\nwith network('x') as net:\n"
    session += " net['x'].start('sleep', '100'); print('ready', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", session], cwd=network.ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert len([name for name in sweep() if f"mr{process.pid}-" in name]) == 2
    assert f"mr{process.pid}-" not in ip("netns", "list")


def test_the_raw_stream(hosts: Network) -> None:
    """What later measurements are compared with."""
    started = time.monotonic()
    assert megabytes_a_second(hosts["a"], hosts["b"], 50 * MB) > 20
    assert time.monotonic() - started < 30
