"""May this run go on where an earlier one ended, and with what?

    _job/made.json   what the unfinished output is made from, and how many runs it took so far. It is there before the
                     journal, and gone before anything else is cleared: without it there is nothing to go on with
    _job/journal     what was finished

Going on changes nothing that was there until the journal has been written anew; whoever dies on the way leaves it all
to the next.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from mapreduce.dataclass import dataclass
from mapreduce.dataflow.origin import Origin, changes, origin_from_json
from mapreduce.errors import InternalError
from mapreduce.storage.job_folder import JobFolder, is_complete, is_unfinished, part_files, part_number, remove_litter
from mapreduce.storage.paths import EVENTS, JOB, LOG, MADE, STEPS, SUCCESS, JobPaths, attempt_name
from mapreduce.storage.store import TEMPORARY, ExplainedFile, explained, open_store, write_whole
from mapreduce.tracker.events import AttemptFinished
from mapreduce.tracker.journal import JournalWriter, read_journal
from mapreduce.tracker.plan import Plan
from mapreduce.tracker.resuming import at_path, standing

logger = logging.getLogger(__name__)

HEADER_BYTES = 1 << 10
"""Of a journal: more than its first line, so that reading so many bytes of lines gives the second too."""


@dataclass(frozen=True, slots=True)
class Made:
    """What is known of the runs that began here. `asked_fresh`: they were told to replace what was there before."""

    origin: Origin
    runs: int
    asked_fresh: bool


def read_made(root: Path) -> Made | None:
    """None if no run got so far, or one of another version whose words we don't know."""
    try:
        page = json.loads(Path(root, MADE).read_bytes())
        origin = origin_from_json(page["origin"])
        return None if origin is None else Made(origin, int(page["runs"]), bool(page["asked_fresh"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_made(root: Path, made: Made) -> None:
    page = {"origin": made.origin.to_json(), "runs": made.runs, "asked_fresh": made.asked_fresh}
    write_whole(open_store(str(root)), MADE, json.dumps(page).encode(), sync=made.runs > 1)


def begin(folder: JobFolder, origin: Origin, *, fresh: bool) -> Made:
    """Decide in a claimed folder whether to go on, clear it if not, and write down what is being made. Of a run that
    goes on, `runs` is at least 2.

    `fresh` clears what was there, but the same command goes on: so a run that was told to be fresh, and killed, is
    gone on with even then.
    """
    made, why = read_made(folder.root), ""
    if made is None:
        if is_unfinished(folder.root) and Path(folder.root, JobPaths("").journal).exists():
            why = "what it was made from can't be read"
    elif fresh and not made.asked_fresh:
        why = "a fresh one was asked for"
    else:
        why = "; ".join(changes(made.origin, origin))
        if not why and not is_complete(folder.root):
            made = Made(origin, made.runs + 1, made.asked_fresh)
            write_made(folder.root, made)
            return made
    if why and not is_complete(folder.root):
        logger.warning("an earlier run to %s did not finish; starting afresh: %s", folder.root, why)
    folder.clear()
    made = Made(origin, 1, fresh)
    write_made(folder.root, made)
    return made


def is_worth_keeping(root: Path) -> bool:
    """Whether a later run would have anything to go on with: a finished task, or a job of a chain."""
    if any(Path(root, JOB, STEPS).glob(f"*/{SUCCESS}")):
        return True
    for journal in (Path(root, JobPaths("").journal), *Path(root, JOB, STEPS).glob(f"*/{JobPaths('').journal}")):
        with suppress(OSError), open(journal, "rb") as file:
            if len(file.readlines(HEADER_BYTES)) > 1:
                return True
    return False


def ended_at(root: Path) -> str:
    """When the run before was last heard of, in local time."""
    times = []
    steps = Path(root, JOB, STEPS).glob(f"*/{JobPaths('').journal}")
    for path in (*(Path(root, name) for name in (JobPaths("").journal, MADE, EVENTS, LOG)), *steps):
        with suppress(OSError):
            times.append(path.stat().st_mtime)
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(max(times, default=0.0)))


def nowhere(path: str) -> str:
    """Without other hosts, no output lies on one."""
    return ""


def recover(
    root: Path, plan: Plan, fingerprint: str, *, writes_parts: bool, elsewhere: Callable[[str], str] = nowhere
) -> list[AttemptFinished]:
    """What an earlier run finished and is still there. Writes the journal anew, with just that, and removes all else.

    `writes_parts`: the last stage's outputs are parts of the folder, renamed when they are committed. `elsewhere` gives
    a path with those of its hosts on which it can still be read; "" if there are none.
    """
    path = Path(root, JobPaths("").journal)
    try:
        journal = read_journal(path.read_bytes())
    except FileNotFoundError:
        events: list[AttemptFinished] = []
    except InternalError as error:  # its checksums are right and its words are not: of another version
        logger.warning("%s", error)
        events = []
    else:
        if journal.damaged:
            logger.warning("%s", journal.problem())
        last = plan.last_stage if writes_parts else -1
        same = journal.fingerprint == fingerprint
        known = standing(plan, journal.events if same else (), _finder(root, last, elsewhere))
        events = [_narrowed(event, elsewhere) for event in known]
    _rewrite(root, fingerprint, events)
    attempts = {attempt_name(event.attempt) for event in events}
    parts = {event.attempt.task.index for event in events if event.attempt.task.stage == plan.last_stage}
    remove_litter(root, attempts, parts if writes_parts else ())
    return events


def _finder(root: Path, parts_stage: int, elsewhere: Callable[[str], str]) -> Callable[[AttemptFinished], bool]:
    """Says whether an output lies there with its size. Its content is checked by who reads it."""
    sizes: dict[int, int] = {}
    if parts_stage >= 0:
        for part in part_files(root):
            number = part_number(part)
            sizes[number] = sizes.get(number, 0) + part.stat().st_size

    def is_there(event: AttemptFinished) -> bool:
        output = event.result.output
        if output.path is None:
            return True
        if output.path.startswith("@"):
            return bool(elsewhere(output.path))
        path = Path(root, output.path)
        if event.attempt.task.stage != parts_stage:
            return path.is_file() and path.stat().st_size == output.bytes
        # some may have been renamed, and the tracker died before it came to the others
        waiting = sum(part.stat().st_size for part in path.rglob("part"))
        committed = sizes.get(event.attempt.task.index)
        return (committed is not None or path.is_dir()) and (committed or 0) + waiting == output.bytes

    return is_there


def _narrowed(event: AttemptFinished, elsewhere: Callable[[str], str]) -> AttemptFinished:
    """An output on several hosts, of which some may be gone."""
    path = event.result.output.path or ""
    left = elsewhere(path) if path.startswith("@") else ""
    return at_path(event, left) if left not in ("", path) else event


def _rewrite(root: Path, fingerprint: str, events: list[AttemptFinished]) -> None:
    """Replace the journal in one step, which an old one with events has to survive. A new one, with none, is on disk as
    soon as there is something to lose: with the first event."""
    name = JobPaths("").journal
    store = open_store(str(root))
    temporary = name + TEMPORARY
    with explained(store, name):
        with ExplainedFile(store, temporary, store.create(temporary)) as file:
            writer = JournalWriter(file)
            writer.begin(fingerprint)
            for event in events:
                writer.append(event)
        if events:
            store.sync(temporary)
        store.rename(temporary, name)
