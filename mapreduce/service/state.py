"""What does the tracker keep on disk, so that a restart forgets no job?

```text
<state>/lock                     who is the tracker here
<state>/jobs/000012/package      the job, its input and settings, pickled; read by the job's own process alone
<state>/jobs/000012/job.json     what is known of it without unpickling; the job is taken once this is there
<state>/jobs/000012/state.json   how it stands, and since when
<state>/jobs/000012/log          what its process said: progress, prints, errors, summary
<state>/jobs/000012/ended.json   how it ended, written by its process; `outcome` beside it is pickled, for the client
<state>/jobs/000012/output/      the output of a job that named no folder, until its client has fetched it
```

Each file is written whole, under another name first, and synced before anybody is told: whoever dies in between leaves
the job as it was before, or as it is after. Of jobs that have ended the newest are kept.
"""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from mapreduce.dataclass import dataclass, replace
from mapreduce.errors import ResourceError
from mapreduce.service.jobs import JobState
from mapreduce.service.shares import Claim
from mapreduce.storage.locks import FileLock, HeldByAnotherError, take_lock
from mapreduce.storage.store import explained, open_store, write_whole

JOBS = "jobs"
PACKAGE, JOB, STATE, LOG, ENDED, OUTCOME, OUTPUT, LOCK = (
    "package",
    "job.json",
    "state.json",
    "log",
    "ended.json",
    "outcome",
    "output",
    "lock",
)
KEPT_JOBS = 200
"""Of those that have ended. A line of `ps` each."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A job as it was submitted. `token` is its client's own name for it: submitted twice, it is taken once."""

    number: int
    name: str
    token: str
    submitted_at: float
    user: str = ""
    output: str = ""
    weight: float = 1.0
    most_workers: int | None = None

    @property
    def claim(self) -> Claim:
        return Claim(self.weight, self.most_workers)


@dataclass(frozen=True, slots=True)
class JobStatus:
    """How a job stands. Times are seconds since 1970; 0 for what has not happened."""

    state: JobState = JobState.QUEUED
    reason: str = ""
    started_at: float = 0.0
    ended_at: float = 0.0
    exit_code: int | None = None
    starts: int = 0
    port: int = 0  # at which its process listens for agents: they look for it there after a restart


@dataclass(frozen=True, slots=True)
class KeptJob:
    """A job in the folder."""

    record: JobRecord
    status: JobStatus


def job_folder(root: Path, number: int) -> Path:
    return root / JOBS / f"{number:06d}"


class StateFolder:
    """The folder of one tracker, locked as long as it lives. Raises ResourceError if another tracker has it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        store = open_store(str(root.parent))
        root.parent.mkdir(parents=True, exist_ok=True)
        with explained(store, root.name):
            root.mkdir(mode=0o700, exist_ok=True)
            (root / JOBS).mkdir(mode=0o700, exist_ok=True)
            try:
                self._lock: FileLock = take_lock(root / "lock")
            except HeldByAnotherError as error:
                raise ResourceError(
                    f"another tracker (pid {error.owner}) keeps its state in {root}; name another folder with --state"
                ) from None
        self._store = open_store(str(root))

    def close(self) -> None:
        """A second call is harmless."""
        self._lock.release()

    def folder(self, number: int) -> Path:
        return job_folder(self.root, number)

    def take(self, record: JobRecord, package: bytes) -> None:
        """Keep a new job. When this returns, it survives whatever happens. Raises ResourceError."""
        folder = f"{JOBS}/{record.number:06d}"
        try:
            with explained(self._store, folder):
                self._store.make_folder(folder)
            write_whole(self._store, f"{folder}/{PACKAGE}", package, sync=True)
            write_whole(self._store, f"{folder}/{JOB}", _dump(record), sync=True)
            with explained(self._store, folder):
                self._store.sync(JOBS)
        except ResourceError:
            self._remove(record.number)
            raise

    def note(self, number: int, status: JobStatus) -> None:
        """Keep how a job stands. Raises ResourceError."""
        write_whole(self._store, f"{JOBS}/{number:06d}/{STATE}", _dump(status), sync=True)

    def jobs(self) -> list[KeptJob]:
        """All jobs, by number. What was not taken to the end is removed."""
        found = []
        for folder in sorted((self.root / JOBS).iterdir()):
            if not folder.name.isdigit():
                continue
            record = read_record(folder)
            if record is None:
                _log.warning("%s: not taken to the end, or damaged; it is removed", folder)
                self._remove(int(folder.name))
                continue
            found.append(KeptJob(record, read_status(folder)))
        return found

    def forget_old(self, jobs: list[KeptJob], kept: int = KEPT_JOBS) -> list[int]:
        """Remove the oldest of those that have ended; returns their numbers."""
        ended = [job.record.number for job in jobs if job.status.state.ended]
        old = ended[: max(0, len(ended) - kept)]
        for number in old:
            self._remove(number)
        return old

    def drop_output(self, number: int) -> None:
        """The client has fetched the output: it goes."""
        self._remove_path(f"{JOBS}/{number:06d}/{OUTPUT}")

    def _remove(self, number: int) -> None:
        """`job.json` first: a job that is half removed is none."""
        folder = f"{JOBS}/{number:06d}"
        self._remove_path(f"{folder}/{JOB}")
        self._remove_path(folder)

    def _remove_path(self, path: str) -> None:
        try:
            self._store.remove(path)
        except OSError as error:
            _log.warning("%s: not removed: %s", self._store.locate(path), error.strerror or error)


def read_record(folder: Path) -> JobRecord | None:
    """A job as it was submitted; None if it is not there or can't be read."""
    page = _load(folder / JOB)
    try:
        return None if page is None else JobRecord(**_known(JobRecord, page))
    except TypeError:
        return None


def read_status(folder: Path) -> JobStatus:
    """How a job stood when that was last written down; what its process wrote at its end counts more."""
    page = _load(folder / STATE) or {}
    status = JobStatus()
    with suppress(TypeError, ValueError, KeyError):
        status = JobStatus(**{**_known(JobStatus, page), "state": JobState(page["state"])})
    ended = read_ended(folder)
    if ended is None or status.state.ended:
        return status
    state = JobState.SUCCEEDED if ended.exit_code == 0 else JobState.FAILED
    if state is JobState.FAILED and status.state is JobState.STOPPING:
        state = JobState.KILLED
    return replace(status, state=state, reason=ended.reason, ended_at=ended.at, exit_code=ended.exit_code)


@dataclass(frozen=True, slots=True)
class Ended:
    """What a job's process said at its end: the code of the command, and the error's class and text."""

    exit_code: int
    at: float
    error: str = ""
    reason: str = ""


def read_ended(folder: Path) -> Ended | None:
    page = _load(folder / ENDED)
    with suppress(TypeError):
        return None if page is None else Ended(**_known(Ended, page))
    return None


def write_ended(folder: Path, ended: Ended) -> None:
    """The last that a job's process writes."""
    write_whole(open_store(str(folder)), ENDED, _dump(ended), sync=True)


def _dump(value: Any) -> bytes:
    page = asdict(value)
    if isinstance(page.get("state"), JobState):
        page["state"] = page["state"].value
    return json.dumps(page).encode() + b"\n"


def _load(path: Path) -> dict[str, Any] | None:
    try:
        page = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return page if isinstance(page, dict) else None


def _known(cls: Any, page: dict[str, Any]) -> dict[str, Any]:
    names = {field.name for field in fields(cls)}
    return {name: value for name, value in page.items() if name in names}
