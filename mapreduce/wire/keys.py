"""Where is the cluster's key, who may read it, and which addresses need one?

A cluster has one key: a CURVE pair in a file that only its owner can read. Whoever has the file is a member, and may
run code as the user of every other member (docs/security.md). The same pair serves both ways: a host that is connected
to proves that it has the secret, and lets in only those who prove the same.

The file is text, so that it can be looked at and copied:

    # The key of a MapReduce cluster. ...
    public = rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7
    secret = JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6

Nothing here ever prints or logs the secret.
"""

from __future__ import annotations

import ipaddress
import os
import re
import secrets
import socket
import stat
from contextlib import suppress
from pathlib import Path

from mapreduce.dataclass import dataclass, field
from mapreduce.errors import ResourceError, UsageError

KEY_VARIABLE = "MAPREDUCE_KEY"

Z85 = r"[0-9a-zA-Z.\-:+=^!/*?&<>()\[\]{}@%$#]"
_LINES = re.compile(rf"public = (?P<public>{Z85}{{40}})\nsecret = (?P<secret>{Z85}{{40}})\n?")
_ADDRESS = re.compile(r"(?:tcp://)?(?:\[(?P<six>[0-9a-fA-F:.%\w]+)\]|(?P<host>[^\s:/\[\]]+)):(?P<port>\d{1,5}|\*)")

FILE_BYTES = 4096
"""No key file is longer; what is longer is something else, and is not read."""

_HEADER = """\
# The key of a MapReduce cluster. Who has it may run code as the user of every host of the cluster: keep it secret.
# Copy it to the other hosts by a safe way (scp -p), mode 0600. Made by `mapreduce keys`.
"""


@dataclass(frozen=True, slots=True)
class ClusterKey:
    """A CURVE pair, each half as 40 bytes of Z85. Its `repr` hides the secret."""

    public: bytes
    secret: bytes = field(repr=False)


def make_key() -> ClusterKey:
    """A fresh key, from the system's random source."""
    import zmq

    return ClusterKey(*zmq.curve_keypair())


def encode_key(key: ClusterKey) -> str:
    """The text of a key file; `decode_key` is the inverse."""
    return f"{_HEADER}public = {key.public.decode()}\nsecret = {key.secret.decode()}\n"


def decode_key(text: str, where: object = "the key") -> ClusterKey:
    """The key in the text of a key file. Raises UsageError, which names `where`, if the text is no key."""
    import zmq

    lines = "".join(line for line in text.splitlines(keepends=True) if line.strip() and line[0] != "#")
    match = _LINES.fullmatch(lines)
    if match is None:
        raise UsageError(f"{where} holds no key of a cluster; make one with `mapreduce keys`")
    key = ClusterKey(match["public"].encode(), match["secret"].encode())
    try:
        fits = zmq.curve_public(key.secret) == key.public
    except (ValueError, zmq.ZMQError):  # five letters of Z85 that are no 32 bits
        fits = False
    if not fits:
        raise UsageError(f"{where} is damaged: its two halves are not of one key; copy it again from another host")
    return key


def default_key_path() -> Path:
    """$MAPREDUCE_KEY, else mapreduce/cluster.key among the user's configuration."""
    named = os.environ.get(KEY_VARIABLE)
    if named:
        return Path(named).expanduser()
    folder = os.environ.get("XDG_CONFIG_HOME")
    return (Path(folder) if folder else Path.home() / ".config") / "mapreduce" / "cluster.key"


def write_key(path: Path, key: ClusterKey, *, replace: bool = False) -> None:
    """Write a key file of mode 0600, all of it or nothing. Raises UsageError if the file exists, unless `replace`."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise ResourceError(f"can't write the key to {path}: {error.strerror or error}") from error
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(handle, "w", encoding="ascii") as file:
            os.fchmod(handle, 0o600)  # whatever the umask took away
            file.write(encode_key(key))
            file.flush()
            os.fsync(handle)
        if replace:
            os.replace(temporary, path)
        else:
            os.link(temporary, path)  # unlike a rename, this never replaces
    except FileExistsError:
        raise UsageError(f"{path} exists already; --force replaces it, and shuts out every host that has it") from None
    except OSError as error:
        raise ResourceError(f"can't write the key to {path}: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def read_key(path: Path) -> ClusterKey:
    """The key in a file. Raises UsageError if it is missing, open to others, or no key."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe would wait for its writer
    except FileNotFoundError:
        raise UsageError(f"there is no key at {path}; {HOW_TO_GET_ONE}") from None
    except OSError as error:
        raise UsageError(f"can't read the key at {path}: {error.strerror or error}") from error
    try:
        mode = os.fstat(handle).st_mode  # of what was opened, whatever has the name by now
        if not stat.S_ISREG(mode):
            raise UsageError(f"{path} is not a file; {HOW_TO_GET_ONE}")
        if mode & 0o077:
            raise UsageError(
                f"others may read the key at {path} (mode {stat.S_IMODE(mode):04o}, must be 0600); chmod 600 {path}"
            )
        text = os.read(handle, FILE_BYTES)
    finally:
        os.close(handle)
    return decode_key(text.decode("ascii", errors="replace"), path)


HOW_TO_GET_ONE = "`mapreduce keys` makes one on a host of the cluster, to be copied from there with its mode (scp -p)"


def open_key(path: Path | None = None) -> ClusterKey:
    """The key to connect with: at `path`, or else at the default place. Raises UsageError."""
    return read_key(path or default_key_path())


def check_address(address: str, key_path: Path | None = None) -> ClusterKey:
    """The key to listen with at an address.

    On loopback the default key is made if there is none. Any other address needs a key file that exists. Raises
    UsageError, whose message says how to get one.
    """
    path = key_path or default_key_path()
    if is_loopback(address):
        if key_path is None and not path.exists():
            with suppress(UsageError):  # another process made it just now
                write_key(path, make_key())
    elif not path.exists():
        raise UsageError(f"{address} can be reached from other hosts, and that needs a key: {path} does not exist; "
                         + HOW_TO_GET_ONE)  # fmt: skip
    return read_key(path)


@dataclass(frozen=True, slots=True)
class Address:
    """A TCP address. `port` is 0 for any that is free."""

    host: str
    port: int

    @property
    def endpoint(self) -> str:
        """As libzmq has it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"tcp://{host}:{self.port or '*'}"

    def __str__(self) -> str:
        return self.endpoint


def parse_address(text: str, *, default_port: int | None = None) -> Address:
    """An address from `tcp://HOST:PORT`, `HOST:PORT` or `[IPv6]:PORT`. Raises UsageError for anything else."""
    full = text if default_port is None or _ADDRESS.fullmatch(text) else f"{text}:{default_port}"
    match = _ADDRESS.fullmatch(full)
    port = 0 if match is None or match["port"] == "*" else int(match["port"])
    if match is None or port > 0xFFFF:
        raise UsageError(f"{text!r} is not an address; write HOST:PORT, such as 192.168.0.7:7077 or [::1]:7077")
    return Address(match["six"] or match["host"], port)


def is_loopback(address: str) -> bool:
    """Whether only this machine can reach the address, whatever its name resolves to. `*` is every address."""
    host = parse_address(address).host
    if host == "*":
        return False
    return all(ipaddress.ip_address(number.partition("%")[0]).is_loopback for number in resolve(host))


def resolve(host: str) -> list[str]:
    """The numeric addresses of a host. Raises UsageError if there are none."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise UsageError(f"there is no host {host!r}: {error}") from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))
