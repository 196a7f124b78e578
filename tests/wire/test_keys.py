"""Is a key whole, secret and ours, and is no address opened to others without one?"""

from __future__ import annotations

import logging
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapreduce.engines.hosts import HostAgents, HostSpec
from mapreduce.errors import ResourceError, UsageError
from mapreduce.wire.keys import (
    ClusterKey,
    check_address,
    decode_key,
    default_key_path,
    encode_key,
    is_loopback,
    make_key,
    open_key,
    parse_address,
    read_key,
    write_key,
)
from tests.conftest import CliResult

RunCli = Callable[..., CliResult]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the default key would lie."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config" / "mapreduce" / "cluster.key"


# --- files


def test_a_key_comes_back_as_it_was_written(tmp_path: Path) -> None:
    key = make_key()
    write_key(tmp_path / "a" / "b" / "key", key)
    assert read_key(tmp_path / "a" / "b" / "key") == key
    assert decode_key(encode_key(key)) == key
    assert make_key() != key


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o277])
def test_only_the_owner_may_read_the_file_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        write_key(tmp_path / "key", make_key())
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["key"]


def test_a_key_is_replaced_only_when_that_is_asked_for(tmp_path: Path) -> None:
    path, first, second = tmp_path / "key", make_key(), make_key()
    write_key(path, first)
    with pytest.raises(UsageError, match=f"{path} exists already; --force replaces it"):
        write_key(path, second)
    assert read_key(path) == first
    write_key(path, second, replace=True)
    assert read_key(path) == second
    assert os.listdir(tmp_path) == ["key"]


def test_what_is_no_place_for_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match="can't write the key to .*file/key"):
        write_key(tmp_path / "file" / "key", make_key())


def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    write_key(path, make_key())
    for mode in (0o640, 0o604, 0o620, 0o660, 0o644, 0o777):
        path.chmod(mode)
        with pytest.raises(
            UsageError, match=rf"others may read .* \(mode {mode:04o}, must be 0600\); chmod 600 {path}"
        ):
            read_key(path)
    path.chmod(0o400)
    read_key(path)


def test_what_is_no_key_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path, told in ((tmp_path / "none", "there is no key at"), (tmp_path, "is not a file"),
                       (tmp_path / "pipe", "is not a file")):  # fmt: skip
        with pytest.raises(UsageError, match=f"{told}.*mapreduce keys|{path} {told}"):
            read_key(path)


@given(st.binary(max_size=200))
def test_other_bytes_are_no_key(data: bytes) -> None:
    with pytest.raises(UsageError, match="holds no key of a cluster"):
        decode_key(data.decode("ascii", errors="replace"))


@given(at=st.integers(0, 39), letter=st.sampled_from("aZ09!@#$%"), half=st.sampled_from(["public", "secret"]))
def test_a_letter_changed_is_noticed(at: int, letter: str, half: str) -> None:
    lines = encode_key(KEY).splitlines(keepends=True)
    where = next(number for number, line in enumerate(lines) if line.startswith(half))
    place = len("public = ") + at
    if lines[where][place] == letter:
        return
    lines[where] = lines[where][:place] + letter + lines[where][place + 1 :]
    with pytest.raises(UsageError, match="is damaged: its two halves are not of one key"):
        decode_key("".join(lines))


KEY = ClusterKey(b"MoNIUC.?/</F8g6?nxcorZFfJ.?YhaLB{:xIqF{T", b"IqS-0Gap+pA9noR[!@b]Qk!<1zlK2.ik:7p]]2Ra")


def test_nothing_prints_the_secret(tmp_path: Path, caplog: pytest.LogCaptureFixture, run_cli: RunCli) -> None:
    caplog.set_level(logging.DEBUG)
    path = tmp_path / "key"
    made = run_cli("keys", path)
    key = read_key(path)
    damaged = encode_key(key).replace("secret = ", "secret = x")
    with pytest.raises(UsageError) as told:
        decode_key(damaged, path)
    texts = [repr(key), str(key), f"{key}", made.out, made.err, str(told.value), caplog.text]
    assert [text for text in texts if key.secret.decode()[:8] in text] == []
    assert key.public.decode() in repr(key)


def test_an_agent_gets_its_key_through_standard_input_alone(tmp_path: Path) -> None:
    """Command lines and environments can be read by others on the host."""
    commands = ("head -c 400 > input", "tr '\\0' ' ' < /proc/$$/cmdline > line", "env > environment")
    (tmp_path / "ssh").write_text("\n".join(["#!/bin/sh", f"cd {tmp_path}", *commands]))
    (tmp_path / "ssh").chmod(0o755)
    agents = HostAgents()
    agents.begin(HostSpec("me@far", "far", 2), str(tmp_path / "ssh"))
    agents.tell({"me@far": "192.0.2.7:7077"}, KEY)
    agents.close()
    secret = KEY.secret.decode()
    assert "agent - --key-from-stdin" in (tmp_path / "line").read_text()
    assert secret not in (tmp_path / "line").read_text() + (tmp_path / "environment").read_text()
    address, _, key = (tmp_path / "input").read_text().partition("\n")
    assert address == "tracker = 192.0.2.7:7077"
    assert decode_key(key) == KEY


# --- the default place


def test_the_default_place(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert default_key_path() == home
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert default_key_path() == Path("/home/me/.config/mapreduce/cluster.key")
    monkeypatch.setenv("MAPREDUCE_KEY", "~/my.key")
    assert default_key_path() == Path("/home/me/my.key")


def test_on_loopback_the_default_key_is_made_once(home: Path) -> None:
    key = check_address("127.0.0.1:7077")
    assert read_key(home) == key == check_address("localhost:0") == open_key()
    assert stat.S_IMODE(home.parent.stat().st_mode) == 0o700


def test_two_who_make_it_at_once_get_the_same(home: Path) -> None:
    barrier, got = threading.Barrier(8), []

    def make() -> None:
        barrier.wait()
        got.append(check_address("127.0.0.1:0"))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(got) == {read_key(home)} and len(got) == 8


@pytest.mark.parametrize("address", ["0.0.0.0:7077", "*:7077", "192.0.2.7:7077", "[::]:7077", "tcp://10.1.2.3:*"])
def test_other_addresses_need_a_key_that_exists(home: Path, tmp_path: Path, address: str) -> None:
    with pytest.raises(UsageError, match=f"can be reached from other hosts.*{home} does not exist; `mapreduce keys`"):
        check_address(address)
    assert not home.exists()
    write_key(tmp_path / "mine", KEY)
    assert check_address(address, tmp_path / "mine") == KEY
    (tmp_path / "mine").chmod(0o644)
    with pytest.raises(UsageError, match="others may read the key"):
        check_address(address, tmp_path / "mine")


def test_a_named_key_is_never_made(home: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no key at .*mine"):
        check_address("127.0.0.1:0", tmp_path / "mine")
    assert not home.exists() and not (tmp_path / "mine").exists()


# --- addresses


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("127.0.0.1:7077", "tcp://127.0.0.1:7077"),
        ("tcp://host.example:1", "tcp://host.example:1"),
        ("[::1]:7077", "tcp://[::1]:7077"),
        ("*:0", "tcp://*:*"),
        ("a:*", "tcp://a:*"),
    ],
)
def test_addresses(text: str, endpoint: str) -> None:
    assert parse_address(text).endpoint == endpoint
    assert parse_address(endpoint) == parse_address(text)


@pytest.mark.parametrize(
    "text", ["", "host", ":1", "a:b:1", "a:99999", "a:-1", "udp://a:1", "ipc:///tmp/x", "a b:1", "[::1", "tcp://a:1/x"]
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(UsageError, match="is not an address; write HOST:PORT"):
        parse_address(text)


def test_a_port_may_be_left_out_where_there_is_a_usual_one() -> None:
    assert parse_address("host", default_port=7077).endpoint == "tcp://host:7077"
    assert parse_address("host:1", default_port=7077).endpoint == "tcp://host:1"


@pytest.mark.parametrize(
    ("address", "loopback"),
    [("127.0.0.1:1", True), ("127.9.9.9:1", True), ("localhost:1", True), ("[::1]:1", True),
     ("0.0.0.0:1", False), ("*:1", False), ("[::]:1", False), ("10.0.0.1:1", False)],
)  # fmt: skip
def test_loopback(address: str, loopback: bool) -> None:
    assert is_loopback(address) == loopback


def test_a_host_that_is_nowhere() -> None:
    with pytest.raises(UsageError, match="there is no host 'nowhere.invalid'"):
        is_loopback("nowhere.invalid:1")


# --- the command


def test_the_command(run_cli: RunCli, tmp_path: Path) -> None:
    path = tmp_path / "cluster.key"
    made = run_cli("keys", path)
    assert (made.rc, made.err) == (0, "")
    assert made.out.splitlines() == [
        f"made the key of a cluster: {path}",
        f"copy it to every host, with its mode 0600: scp -p {path} HOST:{path}",
        f"and tell commands where it is: export MAPREDUCE_KEY={path}",
    ]
    first = read_key(path)
    again = run_cli("keys", path)
    assert (again.rc, again.out) == (2, "")
    assert "exists already" in again.err and "Traceback" not in again.err
    forced = run_cli("keys", path, "--force")
    assert forced.rc == 0 and read_key(path) != first
    assert "have the old key until they are started again" in forced.out
