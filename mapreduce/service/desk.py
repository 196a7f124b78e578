"""What may a client ask of the tracker, and what is it told?

Every question has a number and gets one answer, which has the same; a question may be asked again. So a client that was
cut off, or whose tracker was restarted, asks once more, and a job that it submitted is known by the client's token.

    HELLO   who I am                              WELCOME, or REFUSED with the reason
    SUBMIT  a job's record, and its package       ACCEPTED, its number
    QUERY   jobs | job | log | files | file       STATUS, what was asked for
    KILL    a job                                 STATUS of the job
    anything that can't be met                    FAILURE, the reason and the exit code
"""

from __future__ import annotations

import logging
import secrets
import sys
import time
from collections import OrderedDict
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from mapreduce import __version__
from mapreduce.errors import MapReduceError, UsageError, WireError
from mapreduce.service.hosts import Hosts
from mapreduce.service.queue import SlotsChanged
from mapreduce.service.server import Service
from mapreduce.service.state import ENDED, LOG, OUTCOME, OUTPUT, JobRecord, KeptJob
from mapreduce.wire.messages import Hello, Kind, Message, Refused, Welcome, reason_to_refuse
from mapreduce.wire.questions import MOST_PIECE_BYTES, Page, decode_page, encode_page
from mapreduce.wire.transport import Listener, PeerId

_log = logging.getLogger(__name__)

NAME_CHARS = 200

KNOWN_CLIENTS = 4096
"""One that is forgotten is told to say hello again, and does."""

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
SHOWN_JOBS = 5
Blob = bytes


class Desk:
    """Answers clients."""

    def __init__(self, service: Service, listener: Listener, name: str) -> None:
        self._service = service
        self._listener = listener
        self._name = name
        self._epoch = secrets.randbits(63)
        self._known: OrderedDict[PeerId, None] = OrderedDict()
        self._hosts = Hosts(listener.send, self._host_changed, self._epoch)

    def handle(self, peer: PeerId, message: Message) -> None:
        """Answer one message. Whatever a client sends costs no more than its answer."""
        if message.kind == Kind.HELLO:
            self._greet(peer, message)
            return
        if peer in self._hosts:
            self._hosts.hear(peer, message, time.monotonic())
            return
        if message.kind == Kind.BYE:
            self._known.pop(peer, None)
            return
        if peer not in self._known:
            self._send(peer, Message(Kind.REFUSED, body=Refused("say hello first", again=True).encode()))
            return
        try:
            page = decode_page(message.body)
            kind, answer, blob = self._answer(message.kind, page)
        except MapReduceError as error:
            kind, answer, blob = Kind.FAILURE, {"reason": str(error), "code": error.exit_code}, b""
        except OSError as error:
            _log.warning("a %s of a client can't be met: %s", message.kind.name, error)
            kind, answer, blob = Kind.FAILURE, {"reason": f"the tracker can't do that: {error}", "code": 2}, b""
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            _log.warning("a %s of a client makes no sense: %r", message.kind.name, error)
            kind, answer, blob = Kind.FAILURE, {"reason": f"the question makes no sense: {error!r}", "code": 2}, b""
        self._send(peer, Message(kind, worker=message.worker, body=encode_page(answer, blob)))

    def look(self) -> None:
        """See to the hosts, a few times a second."""
        self._hosts.look(self._service.lent, time.monotonic())

    def _host_changed(self, name: str, slots: int) -> None:
        self._service.tell(SlotsChanged(time.monotonic(), name, slots, gone=True))

    def _send(self, peer: PeerId, message: Message) -> None:
        if not self._listener.send(peer, message):
            self._known.pop(peer, None)

    def _greet(self, peer: PeerId, message: Message) -> None:
        try:
            hello = Hello.decode(message.body)
            reason = reason_to_refuse(hello, __version__, PYTHON)
        except WireError as error:
            reason, hello = str(error), None
        if reason is None and hello is not None and hello.role == "agent" and not self._service.workers:
            self._hosts.join(peer, hello, time.monotonic())
            return
        if reason is None and hello is not None and hello.role != "client":
            reason = "this tracker has workers of its own; start it with --workers 0 for agents to join"
        if reason is not None or hello is None:
            _log.warning("refused: %s", reason)
            self._send(peer, Message(Kind.REFUSED, body=Refused(reason or "").encode()))
            return
        self._known[peer] = None
        if len(self._known) > KNOWN_CLIENTS:
            self._known.popitem(last=False)
        welcome = Welcome(hello.session, self._epoch, self._name)
        self._send(peer, Message(Kind.WELCOME, body=welcome.encode()))

    # --- questions

    def _answer(self, kind: Kind, page: Page) -> tuple[Kind, dict[str, Any], Blob]:
        if kind == Kind.SUBMIT:
            return Kind.ACCEPTED, {"job": self._service.submit(_record_of(page.words), page.blob)}, b""
        if kind == Kind.KILL:
            kept = self._find(page.words["job"])
            self._service.kill(kept.record.number)
            return Kind.STATUS, self._told(self._find(page.words["job"])), b""
        if kind != Kind.QUERY:
            raise UsageError(f"a tracker answers no {kind.name}")
        answers: dict[str, Callable[[dict[str, Any]], tuple[dict[str, Any], Blob]]] = {
            "jobs": self._jobs,
            "job": lambda words: (self._told(self._find(words["job"])), b""),
            "log": self._log_of,
            "files": self._files,
            "file": self._file,
            "fetched": self._fetched,
        }
        answer, blob = answers[page.words["what"]](page.words)
        return Kind.STATUS, answer, blob

    def _jobs(self, words: dict[str, Any]) -> tuple[dict[str, Any], Blob]:
        jobs = [self._told(kept) for kept in self._newest_first()[: int(words.get("most", 1000))]]
        slots = self._service.queue.slots()
        return {"jobs": jobs[::-1], "slots": sum(slots.values()), "hosts": len(slots)}, b""

    def _newest_first(self) -> list[KeptJob]:
        return sorted(self._service.jobs.values(), key=lambda kept: -kept.record.number)

    def _told(self, kept: KeptJob) -> dict[str, Any]:
        record, status = kept.record, kept.status
        return {
            "job": record.number,
            "name": record.name,
            "user": record.user,
            "state": status.state.value,
            "reason": status.reason,
            "submitted_at": record.submitted_at,
            "started_at": status.started_at,
            "ended_at": status.ended_at,
            "exit_code": status.exit_code,
            "ended": status.state.ended,
            "starts": status.starts,
            "output": record.output or str(self._service.state.folder(record.number) / OUTPUT),
            "kept": not record.output,
            "share": record.weight,
            "slots": sum(self._service.queue.leases(record.number).values()),
        }

    def _find(self, name: Any) -> KeptJob:
        """Raises UsageError for an unknown job, with the names of those that may be meant."""
        text = str(name)
        kept = self._service.jobs.get(int(text)) if text.isdigit() else None
        if kept is not None:
            return kept
        newest = self._newest_first()
        close = get_close_matches(text, [job.record.name for job in newest], n=3, cutoff=0.5)
        meant = [job for job in newest if job.record.name in close] or newest
        if not meant:
            raise UsageError(f"no job {text!r}; this tracker has none")
        listed = ", ".join(f"{job.record.number} ({job.record.name})" for job in meant[:SHOWN_JOBS])
        ask = "did you mean" if close else "the newest are"
        raise UsageError(f"no job {text!r}; {ask} {listed}{'?' if close else ''}")

    def _log_of(self, words: dict[str, Any]) -> tuple[dict[str, Any], Blob]:
        """How the job stands, and its log from an offset: the state is of before the log was read, so that whoever is
        told that it has ended, and nothing more of the log, has it all."""
        kept = self._find(words["job"])
        told, path = self._told(kept), self._service.state.folder(kept.record.number) / LOG
        offset = int(words["offset"])
        data = _read(path, offset)
        return {**told, "offset": offset + len(data)}, data

    def _files(self, words: dict[str, Any]) -> tuple[dict[str, Any], Blob]:
        """What a client must fetch to have the result: what the job handed back, and the files of a kept output."""
        kept = self._find(words["job"])
        folder = self._service.state.folder(kept.record.number)
        output = [] if kept.record.output else _files_below(folder / OUTPUT)
        paths = [path for path in (folder / OUTCOME, folder / ENDED) if path.exists()] + output
        return {"files": [[str(path.relative_to(folder)), path.stat().st_size] for path in paths]}, b""

    def _file(self, words: dict[str, Any]) -> tuple[dict[str, Any], Blob]:
        kept = self._find(words["job"])
        folder = self._service.state.folder(kept.record.number).resolve()
        path = (folder / str(words["path"])).resolve()
        if path not in (folder / OUTCOME, folder / ENDED) and folder / OUTPUT not in path.parents:
            raise UsageError(f"job {kept.record.number} has no file {words['path']!r} for clients")
        return {}, _read(path, int(words["offset"]))

    def _fetched(self, words: dict[str, Any]) -> tuple[dict[str, Any], Blob]:
        kept = self._find(words["job"])
        if kept.status.state.ended:
            self._service.state.drop_output(kept.record.number)
        return {}, b""


MOST_SHARE = 1000
"""Of one job, where 1 is usual: with more no other would get a worker."""


def _record_of(words: dict[str, Any]) -> JobRecord:
    weight, most = float(words.get("weight", 1.0)), words.get("most_workers")
    if not 0 < weight <= MOST_SHARE:
        raise UsageError(f"the share of the job is {weight:g}; it must be above 0 and at most {MOST_SHARE:,}")
    if most is not None and int(most) < 1:
        raise UsageError(f"the most workers of a job are {most}; it must be at least 1")
    return JobRecord(
        number=0,
        name=str(words["name"])[:NAME_CHARS],
        token=str(words["token"])[:NAME_CHARS],
        submitted_at=0.0,
        user=str(words.get("user", ""))[:NAME_CHARS],
        output=str(words.get("output", "")),
        weight=weight,
        most_workers=None if most is None else int(most),
    )


def _files_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and "_job" not in path.parts)


def _read(path: Path, offset: int) -> bytes:
    try:
        with open(path, "rb") as file:
            file.seek(min(max(0, offset), path.stat().st_size))
            return file.read(MOST_PIECE_BYTES)
    except FileNotFoundError:
        return b""
