"""How does `--trace FILE` come about? The command's jobs are logged aside, and what was logged is written as a trace.

The trace is of all jobs that the command ran, one after the other, and is written whichever way they ended.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mapreduce.cli.messages import say
from mapreduce.errors import UsageError
from mapreduce.storage.leftovers import make_temporary_folder, remove_temporary_folder

if TYPE_CHECKING:
    from mapreduce.engines.prepared import Prepared
    from mapreduce.tracker.event_log import EventLog


class TraceFile:
    """A trace that will be written to `path`. Raises UsageError if that can't be written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._is_new = not path.exists()
        try:
            path.open("ab").close()
        except OSError as error:
            raise UsageError(f"can't write the trace {path}: {error.strerror}; name another file") from error
        self._folder: Path | None = make_temporary_folder("trace")

    def log_of(self, prepared: Prepared) -> EventLog:
        """Who logs the job for the trace."""
        from mapreduce.engines.watching import describe_job
        from mapreduce.tracker.event_log import EventLog

        assert self._folder is not None
        return EventLog(self._folder / "events", describe_job(prepared))

    def close(self) -> None:
        """Write the trace. A second call is harmless."""
        if self._folder is None:
            return
        folder, self._folder = self._folder, None
        try:
            if (folder / "events").exists():
                self._write(folder / "events")
            else:
                say(f"nothing ran, so there is nothing to trace: {self._path} is as it was")
                if self._is_new:
                    self._path.unlink(missing_ok=True)
        finally:
            remove_temporary_folder(folder)

    def _write(self, events: Path) -> None:
        from mapreduce.report.events import read_events
        from mapreduce.report.trace import write_trace

        try:
            write_trace(read_events(events), self._path)
        except OSError as error:  # the job has ended, well or not: that is what the user must hear of
            say(f"the trace {self._path} could not be written: {error.strerror or error}")
