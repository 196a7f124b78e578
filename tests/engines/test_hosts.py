"""Which hosts has the user named?"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from mapreduce.engines import hosts
from mapreduce.engines.cluster_start import _choose_address
from mapreduce.engines.hosts import ClusterOptions, HostAgents, HostSpec, own_address_towards, parse_hosts
from mapreduce.errors import UsageError


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a", [HostSpec("a", "a")]),
        (
            "a, b:4,,c.example.org",
            [HostSpec("a", "a"), HostSpec("b", "b", 4), HostSpec("c.example.org", "c.example.org")],
        ),
        ("me@a:2", [HostSpec("me@a", "a", 2)]),
        ("[fe80::1]:3,10.0.0.7", [HostSpec("fe80::1", "fe80::1", 3), HostSpec("10.0.0.7", "10.0.0.7")]),
        ("localhost:1,localhost:1", [HostSpec("localhost", "localhost", 1)] * 2),
    ],
)
def test_hosts(text: str, found: list[HostSpec]) -> None:
    assert parse_hosts(text) == found


def test_a_file_has_one_a_line(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text("# ours\na:2\n\n  b   # the old one\n")
    assert parse_hosts(f"@{path}") == [HostSpec("a", "a", 2), HostSpec("b", "b")]
    path.write_text("a\nb c\n")
    with pytest.raises(UsageError, match=r"hosts:2: 'b c' is not a host"):
        parse_hosts(f"@{path}")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "names no host"),
        ("a:0", "'a:0' is not a host"),
        ("a:x", "not a host"),
        ("a;rm -rf /", "not a host"),
        ("-oProxyCommand=x", "not a host"),
        ("-v", "not a host"),
        ("a,a:2", "twice"),
        ("@/no/such/file", "can't read"),
    ],
)
def test_what_is_no_host(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse_hosts(text)


def test_where_hosts_reach_us() -> None:
    assert own_address_towards("localhost") == own_address_towards("127.0.0.1") == "127.0.0.1"
    with pytest.raises(UsageError, match="no way to"):
        own_address_towards("no-such-host.invalid")


def test_an_agent_here_goes_where_others_can_reach_it(monkeypatch: pytest.MonkeyPatch) -> None:
    ways = {"localhost": "127.0.0.1", "b": "10.0.0.7", "c": "10.1.0.7"}
    monkeypatch.setattr("mapreduce.engines.cluster_start.own_address_towards", ways.__getitem__)
    assert _choose_address("", parse_hosts("localhost:1,localhost:1")) == (
        "tcp://127.0.0.1:*",
        {"localhost": "127.0.0.1"},
    )
    assert _choose_address("", parse_hosts("localhost,b")) == (
        "tcp://10.0.0.7:*",
        dict.fromkeys(("localhost", "b"), "10.0.0.7"),
    )
    address, towards = _choose_address("", parse_hosts("localhost,b,c"))
    assert address == "tcp://0.0.0.0:*"
    assert towards == {"localhost": "10.0.0.7", "b": "10.0.0.7", "c": "10.1.0.7"}
    address, towards = _choose_address("10.9.9.9:7077", parse_hosts("localhost,b"))
    assert (address, set(towards.values())) == ("tcp://10.9.9.9:7077", {"10.9.9.9"})


def test_a_host_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts, "END_SECONDS", 1000.0)
    agents = HostAgents()
    agents.begin(HostSpec("far", "far", 1), f"{sys.executable} -c 'import time; time.sleep(1000)'")
    [(process, _)] = agents._running.values()
    agents.close()
    assert process.returncode == -signal.SIGTERM


@pytest.mark.parametrize("expect", ["keyed", "folds"])
def test_an_agent_whose_tracker_has_left_without_a_word_ends(expect: str) -> None:
    agents = ClusterOptions("localhost:1,localhost:1", expect=expect).begin_agents()
    processes = [process for process, _ in agents._running.values()]
    agents.close()
    assert {process.returncode for process in processes} <= {0, 2}


def test_nothing_is_left_of_agents_that_a_wrong_option_made_needless(tmp_path: Path) -> None:
    """They come up while the algorithm is loaded, which is before its options are known."""
    (tmp_path / "rows.csv").write_text("x,y\n1,2\n2,4\n3,7\n")
    words = ["fit", "linear_regression", "rows.csv", "--target", "y", "--set", "alfa=1", "--hosts", "localhost:1"]
    root = str(Path(__file__).resolve().parents[2])
    env = {**os.environ, "PYTHONPATH": root, "TEST_OF_AGENTS": str(tmp_path)}
    command = [sys.executable, "-m", "mapreduce", *words]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60)
    assert (done.returncode, "did you mean 'alpha'?" in done.stderr) == (2, True), done.stderr
    left = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("TEST_OF_AGENTS") == str(tmp_path):
                left.append(process.cmdline())
    assert left == []
