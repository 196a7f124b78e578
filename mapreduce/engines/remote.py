"""How does a client have its job run by a tracker that stays? It submits, follows, and fetches what is not in a folder.

Every question may be asked again, and is, on a new connection: a tracker that was restarted meanwhile knows the job by
the client's token, and the client goes on where it was.
"""

from __future__ import annotations

import getpass
import logging
import os
import pickle
import secrets
import socket
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import mapreduce.errors as errors
from mapreduce.engines.submission import Returned, pack_submission
from mapreduce.errors import InternalError, MapReduceError, ResourceError, UsageError
from mapreduce.result import Result
from mapreduce.storage.job_folder import GOES_ON, LEFT_BEHIND
from mapreduce.storage.leftovers import make_temporary_folder, remove_temporary_folder

if TYPE_CHECKING:
    from types import TracebackType

    from mapreduce.dataset import Dataset
    from mapreduce.job import Chain, Fold, Job
    from mapreduce.tracker.observer import Observer
    from mapreduce.tracker.outcome import JobOutcome
    from mapreduce.wire.messages import Kind
    from mapreduce.wire.questions import Page

ADDRESS_VARIABLE = "MAPREDUCE_TRACKER"
DEFAULT_PORT = 7077

CONNECT_SECONDS = 5.0
"""So long a command waits for a tracker's first answer."""

FIRST_SECONDS = 2.0
"""The same where nobody is connected to at all: a tracker that is just being started needs no more."""

REFUSALS = 2
"""One may be a tracker that ended in the middle of it."""

AWAY_SECONDS = 600.0
"""So long one that follows a job waits for a tracker that has gone."""

ASK_SECONDS = 1.0
"""After so long a question is asked again."""

LOOK_SECONDS = (0.02, 0.25)
"""How often a job is looked after: at first, and later."""

WORDS_BYTES = 1 << 20

LAST_WORDS = "--- end"
"""The line of a job's log after which comes what a command would say at its end: errors, summary."""


logger = logging.getLogger(__name__)


class TrackerClient:
    """A client's connection. `address` None: $MAPREDUCE_TRACKER. Raises UsageError where that is not set either, or
    there is no key. Whatever is asked raises ResourceError if no tracker answers, UsageError if it refuses us."""

    def __init__(self, address: str | None = None, key: str | Path | None = None) -> None:
        from mapreduce.wire.keys import open_key, parse_address
        from mapreduce.wire.transport import Connection

        named = address or os.environ.get(ADDRESS_VARIABLE)
        if not named:
            raise UsageError(
                f"no tracker is named; give its address with --tracker HOST:PORT or in ${ADDRESS_VARIABLE}"
            )
        where = parse_address(named, default_port=DEFAULT_PORT)
        self.address = f"{where.host}:{where.port}"
        self._line = Connection(where.endpoint, open_key(Path(key) if key else None))
        self._greeted = -1  # the session in which we were let in
        self._number = 0
        self._answered = False

    def close(self) -> None:
        """A second call is harmless."""
        self._line.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- questions

    def submit(self, words: Mapping[str, Any], package: bytes) -> int:
        """Submit a job; its number."""
        from mapreduce.wire.messages import Kind
        from mapreduce.wire.transport import MAX_MESSAGE_BYTES

        most = MAX_MESSAGE_BYTES - WORDS_BYTES
        if len(package) > most:
            raise UsageError(
                f"the job and the data in it take {len(package) / 1e6:,.0f} MB, and a tracker takes {most / 1e6:,.0f}; "
                "put the data into files that the tracker's hosts see"
            )
        return int(self.ask(Kind.SUBMIT, words, package).words["job"])

    def query(self, what: str, seconds: float = CONNECT_SECONDS, **words: Any) -> Page:
        from mapreduce.wire.messages import Kind

        return self.ask(Kind.QUERY, {"what": what, **words}, seconds=seconds)

    def kill(self, job: int | str) -> dict[str, Any]:
        """Ask for a job's end; how it stands now."""
        from mapreduce.wire.messages import Kind

        return self.ask(Kind.KILL, {"job": job}).words

    def ask(self, kind: Kind, words: Mapping[str, Any], blob: bytes = b"", seconds: float = CONNECT_SECONDS) -> Page:
        """The answer to a question. Raises what the tracker answers with, if that is an error."""
        from mapreduce.wire.messages import Kind, Message
        from mapreduce.wire.questions import decode_page, encode_page

        self._number += 1
        question = Message(kind, worker=self._number, body=encode_page(dict(words), blob))
        began, asked_at = time.monotonic(), -ASK_SECONDS
        deadline = began + seconds
        while (now := time.monotonic()) < deadline:
            if self._line.connected and self._greeted == self._line.sessions:
                if now - asked_at >= ASK_SECONDS + len(blob) / 1e7 and self._line.send(question):
                    asked_at = now
            elif self._line.connected:
                self._greet()
                asked_at = -ASK_SECONDS
            for answer in self._line.receive(min(0.25, deadline - now)):
                if answer.kind == Kind.REFUSED:
                    self._refused(answer.body)
                elif answer.kind in (Kind.STATUS, Kind.ACCEPTED, Kind.FAILURE) and answer.worker == self._number:
                    self._answered = True
                    page = decode_page(answer.body)
                    if answer.kind == Kind.FAILURE:
                        raise (UsageError if page.words["code"] == 2 else InternalError)(page.words["reason"])
                    return page
            if not self._line.sessions:
                if self._line.refusals >= REFUSALS:
                    raise UsageError(f"the tracker at {self.address} lets us not in: {self._line.trouble}")
                if time.monotonic() >= began + FIRST_SECONDS:
                    break
        raise ResourceError(self._why_nobody())

    def _why_nobody(self) -> str:
        if self._line.connected:
            return f"the tracker at {self.address} does not answer"
        start = f"`mapreduce tracker --listen {self.address}` starts one there"
        return f"no tracker at {self.address}: {self._line.trouble}; {start}"

    def _greet(self) -> None:
        from mapreduce import __version__
        from mapreduce.wire.messages import Hello, Kind, Message

        python = f"{sys.version_info.major}.{sys.version_info.minor}"
        hello = Hello("client", __version__, python, socket.gethostname(), secrets.randbits(62))
        if self._line.send(Message(Kind.HELLO, body=hello.encode())):
            self._greeted = self._line.sessions

    def _refused(self, body: Any) -> None:
        from mapreduce.wire.messages import Refused

        refused = Refused.decode(body)
        if not refused.again:
            raise UsageError(f"the tracker at {self.address} refused: {refused.reason}")
        self._greeted = -1

    # --- a job

    def follow(self, job: int | str, tell: Callable[[str], None], *, offset: int = 0) -> dict[str, Any]:
        """Wait for a job's end, and tell the lines of its log from an offset on as they come; how it stands then."""
        patience, last = LOOK_SECONDS
        rest = b""
        while True:
            page = self.query("log", AWAY_SECONDS if self._answered else CONNECT_SECONDS, job=job, offset=offset)
            offset = int(page.words["offset"])
            if page.blob:
                *lines, rest = (rest + page.blob).split(b"\n")
                for line in lines:
                    tell(line.decode(errors="replace"))
                patience = LOOK_SECONDS[0]
            elif page.words["ended"]:
                if rest:
                    tell(rest.decode(errors="replace"))
                return page.words
            else:
                self._line.receive(patience)
                patience = min(last, patience * 1.5)

    def fetch(self, job: int, folder: Path) -> None:
        """Bring what the client needs of a job that has ended: what it handed back, and the files of a kept output."""
        for path, size in self.query("files", job=job).words["files"]:
            target = folder / path
            if not target.resolve().is_relative_to(folder.resolve()):
                raise InternalError(f"the tracker offers a file {path!r}; please report it")
            target.parent.mkdir(parents=True, exist_ok=True)
            with open(target, "wb") as file:
                while file.tell() < size:
                    piece = self.query("file", job=job, path=path, offset=file.tell()).blob
                    if not piece:
                        raise ResourceError(f"the tracker lost {path} of job {job} before it was fetched")
                    file.write(piece)


class RanThere(NamedTuple):
    """A Result, and on how many workers at the most it was made."""

    result: Result
    workers: int


def run_on_tracker(
    client: TrackerClient,
    job: Job | Fold | Chain,
    dataset: Dataset,
    output: str | Path | None,
    settings: Mapping[str, Any],
    tell: Callable[[str], None],
    observer: Observer | None = None,
    *,
    share: float | None = None,
) -> RanThere:
    """Submit a job, follow it, and return its Result, as if it had run here. `tell` gets the lines of its log."""
    package = pack_submission(
        job, dataset, output, {name: value for name, value in settings.items() if value is not None}
    )
    words = {
        "name": type(job).__name__,
        "token": secrets.token_hex(16),
        "user": f"{getpass.getuser()}@{socket.gethostname()}",
        "output": "" if output is None else os.path.abspath(output),
        "most_workers": settings.get("workers"),
        "weight": 1.0 if share is None else share,
    }
    number, still_runs = 0, True

    def tell_until_end(line: str) -> None:
        nonlocal still_runs  # what follows is said here, too
        still_runs = still_runs and line != LAST_WORDS
        if still_runs:
            tell(line)

    try:
        number = client.submit(words, package)
        ended = client.follow(number, tell_until_end)
        return _result_of(client, number, ended, output, observer)
    except KeyboardInterrupt as error:
        error.add_note(GOES_ON + _how_it_goes_on(number, client.address, kept=output is None))
        raise


def _how_it_goes_on(number: int, address: str, *, kept: bool) -> str:
    where = f"--tracker {address}"
    if not number:
        return f"if the tracker has taken it already; `mapreduce ps {where}` tells"
    goes_on = f"`mapreduce wait {number} {where}` waits for it, `mapreduce kill {number} {where}` ends it"
    return goes_on + (f"; its result will be in the tracker's folder, see `mapreduce ps {where}`" if kept else "")


def _result_of(
    client: TrackerClient, number: int, ended: dict[str, Any], output: str | Path | None, observer: Observer | None
) -> RanThere:
    folder = make_temporary_folder("fetched")
    try:
        client.fetch(number, folder)
        client.query("fetched", job=number)
        if ended["state"] != "succeeded":
            raise _error_of(ended, folder, observer)
        returned = pickle.loads((folder / "outcome").read_bytes())
        assert isinstance(returned, Returned)
        _tell_outcomes(returned.outcomes, observer)
        where = folder if output is None else Path(output)
        outcome = returned.outcomes[-1] if returned.outcomes else None
        if output is None:
            where = _bare(folder)
        result = Result(where, returned.output_format, temporary=output is None, outcome=outcome)
        result.value = pickle.loads(returned.value)
        result.already_complete = returned.already_complete
        result.timings, result.splits, result.reused_splits = returned.timings, returned.splits, returned.reused_splits
        if output is not None:
            remove_temporary_folder(folder)
        return RanThere(result, returned.workers)
    except BaseException:
        remove_temporary_folder(folder)
        raise


def _bare(folder: Path) -> Path:
    """The fetched output's files lie in the folder itself, which goes with the Result."""
    for name in ("outcome", "ended.json"):
        (folder / name).unlink(missing_ok=True)
    below = folder / "output"
    for entry in list(below.iterdir()) if below.is_dir() else []:
        entry.rename(folder / entry.name)
    if below.is_dir():
        below.rmdir()
    return folder


def _tell_outcomes(outcomes: Iterable[JobOutcome], observer: Observer | None) -> None:
    for outcome in outcomes:
        if observer is not None:
            observer.finished(outcome)


def _error_of(ended: dict[str, Any], folder: Path, observer: Observer | None) -> BaseException:
    """What the job raised there, raised here."""
    import json

    if ended["state"] == "killed" or not (folder / "ended.json").exists():
        return ResourceError(
            f"job {ended['job']} ({ended['name']}) was {ended['state']}: {ended['reason'] or 'on demand'}"
        )
    page = json.loads((folder / "ended.json").read_bytes())
    cls = getattr(errors, page["error"], None)
    if isinstance(cls, type) and issubclass(cls, MapReduceError):
        error = cls(page["reason"])
    else:
        error = InternalError(f"{page['error']}: {page['reason']}")
    failure, outcomes, notes = pickle.loads((folder / "outcome").read_bytes())
    error.failure = failure
    _tell_outcomes(outcomes, observer)
    for note in notes:
        if not (ended["kept"] and note.startswith(LEFT_BEHIND)):  # what was the tracker's own goes
            error.add_note(note)
    return error
