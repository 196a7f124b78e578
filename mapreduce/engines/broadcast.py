"""How does the large data of a job come to another host? Once, for all its workers, and not again while it is kept.

```text
<scratch>/.state/<hash>      the file of `package.StateFile`, by the hash of its content; workers map it
```

The first worker that needs it fetches it from the tracker, the others wait for that one. A host that sees the
tracker's file fetches nothing. What was used last is kept for jobs to come; older files go, which costs nobody more
than fetching them again: who has mapped one still has it.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from mapreduce.dataclass import replace
from mapreduce.dataflow.package import StateFile
from mapreduce.errors import InternalError, ResourceError
from mapreduce.storage.content_hash import hash_file
from mapreduce.storage.traffic import note_moved
from mapreduce.wire.host_files import TRACKER

if TYPE_CHECKING:
    from mapreduce.engines.agent_data import Reach

FOLDER = ".state"

KEPT_BYTES = 1 << 30
"""Of files that other jobs used; the disk is needed for other things."""


def offered_as(state: StateFile) -> str:
    """The name under which the tracker offers it."""
    return f"state-{state.digest}"


def named(state: StateFile) -> StateFile:
    """With the hash of its content, for other hosts."""
    return replace(state, digest=f"{hash_file(state.path)}-{state.checksum:08x}")


def bring(state: StateFile, root: str, reach: Reach | None) -> StateFile:
    """The same file where workers of this host map it. What it cost to bring it is noted. Raises ResourceError."""
    if _is_here(state):
        return state
    if reach is None:
        raise InternalError("the job's data is to be fetched, and nobody said from where")
    folder = Path(root).parent / FOLDER
    folder.mkdir(exist_ok=True)
    path = folder / state.digest
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            _fetch(state, path, reach)
            _remove_older(folder, path)
        os.utime(path)
    return replace(state, path=str(path))


def _is_here(state: StateFile) -> bool:
    try:
        status = os.stat(state.path)
    except OSError:
        return False
    same = (status.st_size, status.st_mtime_ns) == (state.bytes, state.mtime_ns)
    return same and os.access(state.path, os.R_OK)


def _fetch(state: StateFile, path: Path, reach: Reach) -> None:
    from mapreduce.wire.data_client import DataClient
    from mapreduce.wire.keys import ClusterKey

    client = DataClient(ClusterKey(reach.public, reach.secret), {reach.me: reach.address}, me=reach.me)
    copy = tempfile.NamedTemporaryFile(dir=path.parent, delete=False)
    try:
        with copy:
            client.fetch(TRACKER, offered_as(state), cast(BinaryIO, copy))  # each piece is checked
        came = os.path.getsize(copy.name)
        if came != state.bytes:
            raise ResourceError(f"of the job's data {came:,} bytes came, and {state.bytes:,} were announced")
        os.replace(copy.name, path)
    except OSError as error:
        raise ResourceError(f"the job's data can't be brought to this host: {error.strerror or error}") from error
    finally:
        note_moved(client.take_moved())
        client.close()
        with suppress(FileNotFoundError):
            os.unlink(copy.name)


def _remove_older(folder: Path, newest: Path) -> None:
    """Of all files but the newest keep KEPT_BYTES, those that were used last."""
    others = [(path.stat(), path) for path in folder.iterdir() if path not in (newest, folder / "lock")]
    kept = 0
    for status, path in sorted(others, key=lambda other: -other[0].st_mtime_ns):
        kept += status.st_size
        if kept > KEPT_BYTES:
            path.unlink()
