"""Does a newcomer who copies the commands of docs/hosts.md get a job on three hosts? And is the systemd unit one?

The hosts are network namespaces with the names that the page uses; `ssh` there is the tests' stand-in for it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.blocks import is_as_expected, read_blocks
from tests.hosts import fake_ssh
from tests.hosts.fixture import hosts, network_of_hosts
from tests.hosts.network import Network

__all__ = ["hosts", "network_of_hosts"]

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "hosts.md"
UNIT = ROOT / "docs" / "mapreduce-agent.service"
CKSUM = re.compile(r"\d+ \d+")
COMMANDS = {"mapreduce": f"{sys.executable} -m mapreduce", "ssh": f"{sys.executable} {fake_ssh.__file__}"}


def make_commands(folder: Path) -> str:
    """What is installed on the hosts; a search path."""
    folder.mkdir()
    for name, command in COMMANDS.items():
        (folder / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        (folder / name).chmod(0o755)
    return f"{folder}:{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/sbin:/bin"


@pytest.mark.timeout(180)
def test_page(hosts: Network, tmp_path: Path) -> None:
    """Its blocks, in order; those in the background until the end."""
    path = make_commands(tmp_path / "bin")
    shutil.copytree(ROOT / "data", hosts["tracker"].home / "data")  # nobody else sees it
    blocks = [block for block in read_blocks(PAGE) if block.hosts]
    assert len(blocks) >= 4
    sums: set[str] = set()
    for block in blocks:
        for name in block.hosts:
            if block.in_background:
                hosts[name].start("sh", "-e", "-c", block.text, env={"PATH": path}, stdin=subprocess.DEVNULL)
                continue
            done = hosts[name].run("sh", "-e", "-c", f"exec 2>&1\n{block.text}", env={"PATH": path})
            assert done.returncode == block.exit_code, f"{block.place}: exit code {done.returncode}\n{done.stdout}"
            assert block.expected is None or is_as_expected(block.expected, done.stdout), done.stdout
            sums.update(line for line in done.stdout.splitlines() if CKSUM.fullmatch(line))
    assert len(sums) == 1  # the same bytes in each way


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")
def test_systemd_unit(tmp_path: Path) -> None:
    """systemd has no objection to it; the program is another, since none is installed at that place."""
    unit = tmp_path / UNIT.name
    text = UNIT.read_text()
    assert "/opt/mapreduce/bin/mapreduce agent" in text
    unit.write_text(text.replace("/opt/mapreduce/bin/mapreduce", "/bin/sh"))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")
