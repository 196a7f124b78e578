"""Which jobs have run? A file of the user's, to which each job adds a line when it begins and one when it has ended.

    {"id": "1795241928-4711-1", "at": 1795241928.2, "job": "WordCount", "command": ["mapreduce", "run", ...],
     "cwd": "/home/me", "output": "/home/me/counts", "workers": 8, "pid": 4711, "ticks": 123456, "host": "box"}
    {"id": "1795241928-4711-1", "seconds": 3.2, "outcome": "succeeded", "reason": "", "bytes_in": 640000000,
     "failed_attempts": 1, "jobs": 1}

A job with a beginning and no end is still running, or was killed: `ticks`, when its process started as the kernel
counts, tells its process from another one with the same number.

The file is `history.jsonl` in `$XDG_STATE_HOME/mapreduce`, by default `~/.local/state/mapreduce`; with
`MAPREDUCE_HISTORY=off` there is none. A line is one write to the end of the file, under a shared lock; whoever finds
the file too long writes the newest jobs anew, under an exclusive one. That it can't be written is no job's concern.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from enum import Enum
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from mapreduce.storage.paths import JOB, SUCCESS

MAX_BYTES = 2_000_000
KEPT_JOBS = 1_000
OPENINGS = 5
COMMAND_CHARS = 2_000
REASON_CHARS = 300
SWITCH = "MAPREDUCE_HISTORY"

_log = logging.getLogger(__name__)
_numbers = count(1)

# Named tuples below: every job imports this, and they are made in a seventh of a dataclass's time.


class JobBegan(NamedTuple):
    """A job has begun. `output` is the absolute path of its folder, empty without one."""

    id: str
    at: float  # seconds since 1970
    job: str
    command: tuple[str, ...]
    cwd: str
    output: str
    workers: int
    pid: int
    ticks: int
    host: str


class JobEnded(NamedTuple):
    """The same job has ended; `jobs` is of how many parts, the passes of a fit."""

    id: str
    seconds: float
    outcome: str
    reason: str
    bytes_in: int
    failed_attempts: int
    jobs: int = 1


class JobState(Enum):
    """How a past job stands."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"
    RUNNING = "running"
    KILLED = "killed"  # its process died without a word
    UNKNOWN = "unknown"  # on another host


class PastJob(NamedTuple):
    """A line of the history. `ended` is None of a job that is running or was killed."""

    began: JobBegan
    ended: JobEnded | None
    state: JobState

    @property
    def can_go_on(self) -> bool:
        """Whether the same command would go on where this one stopped."""
        if self.state in (JobState.SUCCEEDED, JobState.RUNNING) or not self.began.output:
            return False
        output = Path(self.began.output)
        return Path(output, JOB).is_dir() and not Path(output, SUCCESS).exists()


def history_path() -> Path | None:
    """Where the history is; None if the user wants none."""
    if os.environ.get(SWITCH, "").lower() in ("off", "0", "no", "false"):
        return None
    state = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    return Path(state, "mapreduce", "history.jsonl")


def job_began(at: float, job: str, command: Iterable[str], output: str | os.PathLike[str] | None, workers: int) -> str:
    """Enter a job that begins in this process; returns its id, for `job_ended`. Never raises OSError."""
    pid = os.getpid()
    try:
        cwd = os.getcwd()
    except OSError:  # removed under our feet
        cwd = ""
    entry = JobBegan(
        id=f"{at:.0f}-{pid}-{next(_numbers)}",
        at=round(at, 3),
        job=job,
        command=_shortened(command),
        cwd=cwd,
        output="" if output is None else os.path.abspath(output),
        workers=workers,
        pid=pid,
        ticks=_start_ticks(pid),
        host=os.uname().nodename,
    )
    _enter(entry._asdict())
    return entry.id


def job_ended(entry: JobEnded) -> None:
    """Enter the end of a job. Never raises OSError."""
    line = entry._asdict()
    line["reason"] = entry.reason[:REASON_CHARS]
    line["seconds"] = round(entry.seconds, 3)
    _enter(line)


def read_history(path: Path) -> list[PastJob]:
    """All jobs, the newest last. Lines that can't be read are passed over. Raises OSError but for a missing file."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    began: dict[str, JobBegan] = {}
    ended: dict[str, JobEnded] = {}
    for line in data.splitlines():
        with suppress(ValueError, TypeError, KeyError, AttributeError):  # torn, damaged, or of a later version
            fields = json.loads(line)
            if "outcome" in fields:
                ended[fields["id"]] = JobEnded(**_known(JobEnded, fields))
            else:
                fields["command"] = tuple(fields["command"])
                began[fields["id"]] = JobBegan(**_known(JobBegan, fields))
    jobs = [PastJob(entry, ended.get(id), _state_of(entry, ended.get(id))) for id, entry in began.items()]
    return sorted(jobs, key=lambda job: job.began.at)


def _known(cls: type[JobBegan] | type[JobEnded], fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name in cls._fields}


def _state_of(began: JobBegan, ended: JobEnded | None) -> JobState:
    if ended is not None:
        try:
            return JobState(ended.outcome)
        except ValueError:
            return JobState.UNKNOWN
    if began.host != os.uname().nodename:
        return JobState.UNKNOWN
    return JobState.RUNNING if _is_alive(began.pid, began.ticks) else JobState.KILLED


def _is_alive(pid: int, ticks: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return ticks == 0  # it is another user's, so it is not ours
    return not ticks or _start_ticks(pid) == ticks


def _start_ticks(pid: int) -> int:
    """When a process started, as the kernel counts; 0 where it does not tell."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return 0


def _shortened(command: Iterable[str]) -> tuple[str, ...]:
    """A command of a thousand files need not be told in full."""
    words: list[str] = []
    left = COMMAND_CHARS
    for word in command:
        left -= len(word) + 1
        if left < 0:
            return (*words, "...")
        words.append(word)
    return tuple(words)


# --- the file


def _enter(fields: Mapping[str, Any]) -> None:
    path = history_path()
    if path is None:
        return
    line = json.dumps(fields, separators=(",", ":")).encode("ascii") + b"\n"
    try:
        size = _append(path, line)
        if size > MAX_BYTES:
            _shorten(path)
    except OSError as error:
        _log.debug("%s: not written: %s", path, error)


def _append(path: Path, line: bytes) -> int:
    """Write a line at the end; the file's size."""
    import fcntl

    for _ in range(OPENINGS):
        try:
            file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            continue
        try:
            fcntl.flock(file, fcntl.LOCK_SH)
            if _is_still(path, file):
                os.write(file, line)
                return os.fstat(file).st_size
        finally:
            os.close(file)
    raise OSError(f"it was replaced {OPENINGS} times as we opened it")


def _shorten(path: Path) -> None:
    """Keep the newest jobs, in half of what the file may have. Whoever else is writing now does it next time."""
    import fcntl

    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        if not _is_still(path, file):
            return
        temporary = path.with_suffix(".new")
        temporary.write_bytes(_newest(path.read_bytes()))
        os.chmod(temporary, 0o600)
        os.replace(temporary, path)
    finally:
        os.close(file)


def _newest(data: bytes) -> bytes:
    """Lines of the newest jobs, from the end."""
    kept: list[bytes] = []
    ids: set[str] = set()
    size = 0
    for line in reversed(data.splitlines(keepends=True)):
        try:
            ids.add(str(json.loads(line)["id"]))
        except (ValueError, TypeError, KeyError):
            continue
        size += len(line)
        if len(ids) > KEPT_JOBS or size > MAX_BYTES // 2:
            break
        kept.append(line)
    return b"".join(reversed(kept))


def _is_still(path: Path, file: int) -> bool:
    """Whether the file that we have locked is the one that is there now."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(file))
    except FileNotFoundError:
        return False
