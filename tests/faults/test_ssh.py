"""Does `--hosts` work through ssh itself, and what is said where ssh does not get in?

OpenSSH's client, as users have it, against a real SSH server on each host (tests/hosts/ssh_server.py).
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import mapreduce as mr
from mapreduce.errors import ResourceError
from tests.engines.lived import Words
from tests.hosts.cluster import Cluster
from tests.hosts.fixture import hosts, network_of_hosts
from tests.hosts.network import NAMES, Network, wait_until
from tests.hosts.ssh_keys import SERVER, SshFolder, make_key, why_no_ssh

__all__ = ["hosts", "network_of_hosts"]

pytestmark = pytest.mark.skipif(bool(why_no_ssh()), reason=why_no_ssh())
HERE = "127.0.0.2"  # a host that is not `localhost`, and needs no rights
LINES = ["so it goes", "so they went"]
ROOT = Path(__file__).resolve().parents[2]


# --- three hosts, and the command as it stands in docs/hosts.md: no --ssh


@pytest.fixture
def cluster(hosts: Network, tmp_path: Path) -> Iterator[Cluster]:
    """Each host has a server at port 22; on the tracker's host ssh is configured for the whole system."""
    made = Cluster(hosts, tmp_path, has_input_apart=True)
    ssh = SshFolder(tmp_path / "ssh")
    for name in "abc":
        folder = ssh.server(name)
        hosts[name].start(sys.executable, SERVER, folder, hosts[name].home, "0.0.0.0:22")
        wait_until(f"sshd listens on {name}", (folder / "port").exists)
    etc = NAMES / hosts["tracker"].namespace / "ssh"  # is shown there as /etc/ssh
    etc.mkdir()
    (etc / "ssh_config").write_text(ssh.config.read_text())
    yield made
    hosts.end_processes()
    (etc / "ssh_config").unlink()
    etc.rmdir()


def server_of(cluster: Cluster, name: str) -> int:
    """Its process: the first on the host."""
    return min(cluster.hosts[name].pids())


def ended(cluster: Cluster, *names: str) -> None:
    for name in names:
        wait_until(f"only sshd runs on {name}", lambda name=name: len(cluster.hosts[name].pids()) == 1)


def test_hosts_by_name_alone(cluster: Cluster) -> None:
    run = cluster.begin_run("--hosts", "a,b:1,root@c:2")
    cluster.expect_same(run)
    ended(cluster, "a", "b", "c")
    said = [(cluster.folder / "ssh" / name / "commands").read_text() for name in "abc"]
    assert all("--key-from-stdin" in command for command in said)
    assert all(not re.search(r"secret|[^\s]{40}$", command, re.M) for command in said)  # no key on a command line


def test_a_server_goes_away_in_the_middle(cluster: Cluster) -> None:
    """Its agent has no standard input any more, and ends; the others do the job."""
    cluster.close_gate("map")
    run = cluster.begin_run("--hosts", "a,b:1,c:1")
    cluster.wait_for("map", "a", "b", "c")
    os.kill(server_of(cluster, "a"), signal.SIGKILL)
    wait_until("nothing runs on a", lambda: not cluster.hosts["a"].pids())
    cluster.open_gate("map")
    cluster.expect_same(run)


def test_the_tracker_is_killed(cluster: Cluster) -> None:
    """Nobody closes anything in order, and yet no agent is left."""
    cluster.close_gate("map")
    run = cluster.begin_run("--hosts", "a,b:1,c:1")
    cluster.wait_for("map", "a", "b", "c")
    run.process.kill()
    run.process.wait()
    ended(cluster, "a", "b", "c")
    cluster.open_gate("map")
    again = cluster.begin_run("--hosts", "a,b:1,c:1", again=run)
    cluster.expect_same(again)


def test_ctrl_c(cluster: Cluster) -> None:
    cluster.close_gate("map")
    run = cluster.begin_run("--hosts", "a,b:1,c:1")
    cluster.wait_for("map", "a", "b", "c")
    run.process.send_signal(signal.SIGINT)
    assert run.end() == 130, run.told()
    ended(cluster, "a", "b", "c")


def test_one_host_lets_nobody_in(cluster: Cluster) -> None:
    """It is said which and why, and the others do the job."""
    config = NAMES / cluster.hosts["tracker"].namespace / "ssh" / "ssh_config"
    config.write_text(f"Host b\n  PubkeyAuthentication no\n{config.read_text()}")
    run = cluster.begin_run("--hosts", "a,b,c")
    cluster.expect_same(run)
    assert re.search(r"agent on b has ended: .*Permission denied", run.told())


# --- one host, on loopback: what is said where there is no way in


@pytest.fixture
def ssh(tmp_path: Path) -> SshFolder:
    return SshFolder(tmp_path / "ssh")


@pytest.fixture
def server(ssh: SshFolder, tmp_path: Path) -> Iterator[Path]:
    """The folder of a server that listens."""
    folder = ssh.server(HERE)
    (tmp_path / "home").mkdir()
    (tmp_path / "tmp").mkdir()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(SERVER), str(folder), str(tmp_path / "home"), f"{HERE}:0"]
    with subprocess.Popen(command, env=environment, start_new_session=True) as process:
        try:
            wait_until("sshd listens", (folder / "port").exists)
            port = (folder / "port").read_text()
            with ssh.config.open("a") as config:
                config.write(f"  Port {port}\n")
            ssh.know(f"[{HERE}]:{port}", folder / "host_key")
            yield folder
        finally:
            process.kill()


def run_over(ssh: SshFolder, options: str = "") -> list[tuple[str, int]]:
    with mr.Engine("cluster", hosts=f"{HERE}:1", ssh=f"ssh -F {ssh.config} {options}") as engine:
        return list(engine.run(Words(), mr.from_records(LINES)).records())


def test_a_host(ssh: SshFolder, server: Path) -> None:
    assert run_over(ssh) == list(mr.Engine("inline").run(Words(), mr.from_records(LINES)).records())


def test_a_host_whose_key_has_changed(ssh: SshFolder, server: Path) -> None:
    make_key(ssh.folder / "other")
    ssh.know(f"[{HERE}]:{(server / 'port').read_text()}", ssh.folder / "other")
    with pytest.raises(ResourceError, match=rf"(?s)no agent on {HERE}: .*HOST IDENTIFICATION HAS CHANGED"):
        run_over(ssh)


def test_a_host_that_is_not_known(ssh: SshFolder, server: Path) -> None:
    ssh.known.write_text("")
    with pytest.raises(ResourceError, match=f"no agent on {HERE}: .*\nHost key verification failed"):
        run_over(ssh)


def test_a_user_who_may_not_in(ssh: SshFolder, server: Path) -> None:
    make_key(ssh.folder / "other")
    ssh.config.write_text(ssh.config.read_text().replace(str(ssh.user_key), str(ssh.folder / "other")))
    with pytest.raises(ResourceError, match=rf"no agent on {HERE}: .*Permission denied \(publickey\)"):
        run_over(ssh)


def test_nobody_listens(ssh: SshFolder) -> None:
    with pytest.raises(ResourceError, match=f"no agent on {HERE}: .*Connection refused"):
        run_over(ssh, options="-p 1")


def test_a_host_without_the_package(ssh: SshFolder, server: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has a Python of its own, at another place."""
    monkeypatch.setattr("mapreduce.engines.hosts.sys.executable", "/no/such/python")
    (server / "bin").mkdir()
    python = server / "bin" / "python3"
    python.write_text('#!/bin/sh\necho "$0: No module named $2" >&2; exit 1\n')
    python.chmod(0o755)
    with pytest.raises(
        ResourceError, match=f"no agent on {HERE}: .*No module named mapreduce; install the package there"
    ):
        run_over(ssh)
