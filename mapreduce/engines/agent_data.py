"""How do the workers of several hosts read each other's outputs and inputs?

An agent serves its own: the folders of jobs and those of --data. Its workers read what lies here from their disk, and
all else through a data client, which asks the agent's data server where the data of another host is served.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mapreduce.dataclass import dataclass, field
from mapreduce.engines.copier import Answer, Copier, Wish
from mapreduce.errors import InternalError
from mapreduce.formats.inputs import forget_host_files, use_host_files
from mapreduce.storage import store
from mapreduce.storage.host_store import HostStore, Place
from mapreduce.storage.paths import JOB
from mapreduce.wire.host_files import TRACKER, HostInputs, share_of

if TYPE_CHECKING:
    from mapreduce.dataflow.job_files import JobFile
    from mapreduce.wire.data_client import DataClient
    from mapreduce.wire.data_server import DataServer
    from mapreduce.wire.keys import ClusterKey
    from mapreduce.wire.traffic import Link, Moved

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reach:
    """What a worker needs to read on other hosts: its own host's name and folders, the name under which the job's
    folder is shared on all hosts, where the data of its own host is served, and the key."""

    me: str
    folders: tuple[str, ...]
    share: str
    address: str
    public: bytes
    secret: bytes = field(repr=False)


class AgentData:
    """The agent's side: a data server, and what it serves. Raises ResourceError if it can't listen at `host`."""

    def __init__(self, host: str, key: ClusterKey, folders: Sequence[str] = ()) -> None:
        self._key = key
        self._me = ""
        self._copier: Copier | None = None
        self._folders = tuple(folders)
        self._server = serve_data(host, key)
        for number, folder in enumerate(folders):
            self._server.offer(share_of(number), folder)

    @property
    def address(self) -> str:
        return self._server.address

    def open_job(self, key: str, root: str, me: str) -> Reach:
        """Serve the folder of a job; what its workers need to read on other hosts."""
        self._me = me
        self._server.offer(key, root)
        return Reach(me, self._folders, key, self.address, self._key.public, self._key.secret)

    def forget_job(self, key: str) -> None:
        """Harmless if there is none."""
        self._server.withdraw(key)

    def copy(self, wish: Wish) -> None:
        """Begin to copy an output of the job that was opened last."""
        if self._copier is None:
            self._copier = Copier(self._me, self._client)
        self._copier.ask(wish)

    def copied(self) -> list[Answer]:
        """What became of copies, since the last call."""
        return [] if self._copier is None else self._copier.answers()

    def filenos(self) -> list[int]:
        """Readable when a copy is done."""
        return [] if self._copier is None else [self._copier.fileno()]

    def stop_copies(self) -> None:
        """Those that are not done are not wanted any more."""
        if self._copier is not None:
            self._copier.stop()

    def _client(self) -> DataClient:
        from mapreduce.wire.data_client import DataClient

        return DataClient(self._key, {self._me: self.address}, me=self._me)

    def set_places(self, places: dict[str, str]) -> None:
        """Where the data of each host is served."""
        self._server.set_places(places)

    def close(self) -> None:
        if self._copier is not None:
            self._copier.close()
        self._server.close()


def serve_data(host: str, key: ClusterKey) -> DataServer:
    """A data server at any free port. Raises ResourceError."""
    from mapreduce.errors import ResourceError
    from mapreduce.wire.data_server import DataServer

    try:
        return DataServer(f"tcp://{f'[{host}]' if ':' in host else host}:*", key)
    except OSError as error:
        raise ResourceError(f"can't serve data to other hosts: {error.strerror or error}") from error


# --- the workers' side

_others: OthersWhenNeeded | None = None
_here: HostStore | None = None
_inputs: HostInputs | None = None


def reach_others(root: str, reach: Reach, folder: str = "") -> None:
    """From here on this process reads paths of the job in `root` on whichever host they lie."""
    global _others, _here, _inputs
    if _others is not None:
        _others.close()
    _others = OthersWhenNeeded(reach)
    here = _here = HostStore(store.LocalStore(root), reach.me, reach.share, _others)

    def make_store(folder: str, early: bool) -> store.Store:
        return here if folder == root else store.LocalStore(folder, early)

    store.make_store = make_store
    if _inputs is not None:
        forget_host_files(_inputs)
    _inputs = HostInputs(reach.me, reach.folders, _others, folder=folder)
    use_host_files(_inputs)


def end_attempt(counters: Mapping[str, int]) -> dict[str, int]:
    """Forget what an attempt announced and did not read; its counters, and with them what it moved."""
    if _others is None or _here is None:
        return dict(counters)
    _here.doubts.clear()
    in_place = _here.in_place.bytes
    if not in_place and not _others.was_used:
        return dict(counters)
    from mapreduce.wire.traffic import Link, Moved, with_moved

    links = _others.end_attempt()
    if in_place:
        links[Link(_here.me, _here.me)] = Moved(in_place)
        _here.in_place.bytes = 0
    return with_moved(counters, links)


def fetch_files(files: Sequence[JobFile], root: str) -> str:
    """Bring what the job opens to this host, once for all its workers and jobs, and lay it out for this job. Where that
    is. Raises ResourceError."""
    from mapreduce.dataflow.job_files import keep_here, lay_out

    others, kept = _others, Path(root).parent / ".files"
    if others is None:
        raise InternalError("files are to be fetched, and nobody said from where")
    keep_here(files, kept, lambda file, offset, size: others.read(TRACKER, file.offered_as, offset, size))
    folder = Path(root, JOB, "files")
    lay_out(files, folder, lambda file: str(kept / file.digest))
    return str(folder)


class OthersWhenNeeded:
    """A data client that is made when something lies on another host: zmq takes 20 ms to load."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._made: DataClient | None = None

    @property
    def _client(self) -> DataClient:
        if self._made is None:
            from mapreduce.wire.data_client import DataClient
            from mapreduce.wire.keys import ClusterKey

            reach = self._reach
            key = ClusterKey(reach.public, reach.secret)
            self._made = DataClient(key, {reach.me: reach.address}, me=reach.me)
        return self._made

    @property
    def was_used(self) -> bool:
        return self._made is not None

    def end_attempt(self) -> dict[Link, Moved]:
        if self._made is None:
            return {}
        self._made.forget_all()
        return self._made.take_moved()

    def size(self, host: str, path: str) -> int:
        return self._client.size(host, path)

    def read(self, host: str, path: str, offset: int, size: int) -> bytes:
        return self._client.read(host, path, offset, size)

    def will_read(self, places: Sequence[Place]) -> None:
        self._client.will_read(places)

    def will_open(self, host: str, path: str) -> None:
        self._client.will_open(host, path)

    def forget(self, host: str, path: str) -> None:
        if self._made is not None:
            self._made.forget(host, path)

    def close(self) -> None:
        if self._made is not None:
            self._made.close()
            self._made = None
