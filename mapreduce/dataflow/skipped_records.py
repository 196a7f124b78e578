"""What is kept of a record that was left out? A line of JSON with its place, its error and itself.

    {"file": "logs/a.jsonl", "byte": 1042, "cause": "raised", "error": "ValueError: ...", "record": "{..."}

`cause` is "raised" or "killed". The place is a byte, a row or a number of the record, as the format counts. The record
is text where its bytes are UTF-8, else "record_base64"; "cut" tells how many bytes it had, if that was too many. There
is nothing in a line that depends on when, where or how often the record was tried.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mapreduce.dataclass import dataclass
from mapreduce.formats.base import Where
from mapreduce.storage.paths import SKIPPED
from mapreduce.storage.store import ExplainedFile, Store, explained, open_store, read_whole, remove_quietly, write_whole

RECORD_BYTES = 64 << 10
"""The most of a record that is kept: any line that a person would look at. A record may be a whole file."""

MESSAGE_CHARACTERS = 2_000

KILLED = "two attempts died at this record"

_ADDRESS = re.compile(r"\bat 0x[0-9a-fA-F]+")


@dataclass(frozen=True, slots=True)
class SkippedRecord:
    """A record that was left out.

    `file` and `place` tell where it stands: the file, and 'byte 1042', 'row 7' or 'record 7' in it ('' where the file
    is the record). `cause` is 'raised' or 'killed', `error` what `map` raised. `record` is its text, or its bytes where
    they are no text; `cut_from` the bytes that it had, if it was too long to be kept whole.
    """

    file: str
    place: str
    cause: str
    error: str
    record: str | bytes
    cut_from: int | None = None

    def __str__(self) -> str:
        return f"{self.file}{', ' if self.place else ''}{self.place}: {self.error}"


def encode_skipped(where: Where, error: BaseException | None, record: bytes) -> bytes:
    """The line of a record; without an error it killed its workers. `record` are its bytes, or those of its repr."""
    page: dict[str, Any] = {"file": where.file}
    if where.unit is not None:
        page["number" if where.unit == "record" else where.unit] = where.number
    page["cause"] = "killed" if error is None else "raised"
    page["error"] = KILLED if error is None else _told(error)
    kept = record[:RECORD_BYTES]
    try:
        page["record"] = kept.decode()
    except UnicodeDecodeError as problem:
        if len(record) > len(kept) and problem.start > len(kept) - 4:  # cut within a character
            page["record"] = kept[: problem.start].decode()
        else:
            page["record_base64"] = b64encode(kept).decode("ascii")
    if len(record) > len(kept):
        page["cut"] = len(record)
    return json.dumps(page, separators=(", ", ": "), ensure_ascii=True).encode("ascii") + b"\n"


def decode_skipped(line: bytes | str) -> SkippedRecord:
    """The record of a line. Inverse of `encode_skipped` but for the order of the keys."""
    page = json.loads(line)
    known = ("file", "cause", "error", "record", "record_base64", "cut")
    unit = next((name for name in page if name not in known), None)
    place = "" if unit is None else f"{'record' if unit == 'number' else unit} {page[unit]}"
    record = page["record"] if "record" in page else b64decode(page["record_base64"])
    return SkippedRecord(page["file"], place, page["cause"], page["error"], record, page.get("cut"))


def read_skipped(folder: str | Path) -> Iterator[SkippedRecord]:
    """The records that the job in this output folder left out, in the order of its input."""
    for path in sorted(Path(folder, SKIPPED).rglob("part-*.jsonl")):  # job-1/ of a chain, before those of its last
        with open(path, encoding="ascii") as lines:
            yield from map(decode_skipped, lines)


def keep_skipped(made: str | Path, output: str | Path, job: int | None = None) -> None:
    """Copy the side files of a job in folder `made` to the output that it was a step to. Harmless twice.

    Those of a chain's job go under its number; those of a fit's pass take the place of the pass before.
    """
    found, kept = open_store(str(made)), open_store(str(output))
    folder = SKIPPED if job is None else f"{SKIPPED}/job-{job}"
    paths = found.files(SKIPPED)
    if paths:
        with explained(kept, folder):
            kept.remove(folder)
        for path in paths:
            write_whole(kept, f"{folder}/{Path(path).name}", read_whole(found, path), sync=True)


def _told(error: BaseException) -> str:
    """Type and message in one line; addresses, which differ from run to run, are left out."""
    try:
        message = str(error)
    except Exception as unprintable:
        message = f"(its message could not be printed: {type(unprintable).__name__})"
    message = " ".join(_ADDRESS.sub("at 0x...", message).split())
    if len(message) > MESSAGE_CHARACTERS:
        message = f"{message[:MESSAGE_CHARACTERS]}... ({len(message):,} characters)"
    return f"{type(error).__qualname__}: {message}" if message else type(error).__qualname__


class SkipLog:
    """The side file of one attempt; there is none as long as nothing is skipped."""

    def __init__(self, store: Store, path: str) -> None:
        self.store = store
        self.path = path
        self.count = 0
        self._file: Any = None

    def add(self, line: bytes) -> None:
        if self._file is None:
            from io import BufferedWriter

            self._file = BufferedWriter(ExplainedFile(self.store, self.path, self.store.create(self.path)))
        self._file.write(line)
        self.count += 1

    def close(self, *, sync: bool) -> None:
        """Finish the file; with `sync` it survives a loss of power."""
        if self._file is None:
            return
        self._file.close()
        if sync:
            from mapreduce.storage.store import sync_named

            sync_named(self.store, self.path)

    def abort(self) -> None:
        """The attempt failed: leave no file."""
        if self._file is not None:
            from contextlib import suppress

            with suppress(Exception):  # closing writes what is buffered, which may be what failed
                self._file.close()
            remove_quietly(self.store, self.path)
