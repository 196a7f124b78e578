"""Which keys and which configuration has OpenSSH's client in a test? All of it in a folder of the test's own."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

SERVER = Path(__file__).with_name("ssh_server.py")


def why_no_ssh() -> str:
    """Why ssh can't be tested here; empty: it can."""
    if missing := [name for name in ("ssh", "ssh-keygen") if shutil.which(name) is None]:
        return f"no {missing[0]} here"
    if importlib.util.find_spec("asyncssh") is None:
        return "no asyncssh here, which is the server"
    return ""


@dataclass(frozen=True, slots=True)
class SshFolder:
    """A key of the user's, a key and a folder for each server, and what the client knows of them."""

    folder: Path

    def __post_init__(self) -> None:
        self.folder.mkdir()
        make_key(self.user_key)
        self.known.touch()
        self.config.write_text(
            "Host *\n"
            f"  IdentityFile {self.user_key}\n  IdentitiesOnly yes\n  IdentityAgent none\n  User root\n"
            f"  UserKnownHostsFile {self.known}\n  GlobalKnownHostsFile /dev/null\n  StrictHostKeyChecking yes\n"
        )

    @property
    def user_key(self) -> Path:
        return self.folder / "user_key"

    @property
    def known(self) -> Path:
        return self.folder / "known_hosts"

    @property
    def config(self) -> Path:
        return self.folder / "config"

    def server(self, name: str) -> Path:
        """The folder of a server whose host is known, and which lets the user in."""
        folder = self.folder / name
        folder.mkdir()
        make_key(folder / "host_key")
        (folder / "authorized_keys").write_text(public(self.user_key))
        self.know(name, folder / "host_key")
        return folder

    def know(self, name: str, key: Path) -> None:
        """From now on a host of that name (`[name]:port`) has that key, for the client."""
        lines = [line for line in self.known.read_text().splitlines() if not line.startswith(f"{name} ")]
        self.known.write_text("".join(f"{line}\n" for line in [*lines, f"{name} {public(key)}"]))


def make_key(path: Path) -> None:
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(path)]
    subprocess.run(command, check=True, timeout=20)


def public(key: Path) -> str:
    return key.with_suffix(".pub").read_text().strip()
