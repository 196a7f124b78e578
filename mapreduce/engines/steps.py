"""Which steps of an iteration are done already?

An iterative fit is a chain of folds, each made from the value of the one before. Their values are kept beside the model
until it is there. A fit that starts again is given them in order instead of running them, as long as each step is made
from what it was made from then; so it goes on with the first step that was not finished, and no algorithm knows of it.
The first step that differs (other input, other source, other options) ends that, and says why.

```text
MODEL/_job/lock                who fits this model
MODEL/_job/steps/00000.value   a line of JSON: what step 0 was made from, checksum of the rest; its value, pickled
MODEL/_job/steps/00001/        a step that is running, as a job's output folder with its own journal
```

Steps over cached blocks are short, and have no journal: it would cost more than it saves.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

from mapreduce.engines.prepare import describe
from mapreduce.result import Result
from mapreduce.storage.job_folder import JobFolder
from mapreduce.storage.paths import EVENTS, JOB, LOG, OLD_LOG, REPORT, STEPS
from mapreduce.storage.store import open_store, write_whole

if TYPE_CHECKING:
    from mapreduce.dataflow.origin import Origin
    from mapreduce.dataset import Dataset
    from mapreduce.engines.watching import HistoryEntry
    from mapreduce.job import Fold
    from mapreduce.settings import Settings

logger = logging.getLogger(__name__)

FRESH = f"{JOB}/{STEPS}/fresh"
"""There if the fit was told to replace what was there before; killed, the same command goes on all the same."""

RunFold = Callable[[Path | None], Result]
"""Runs the fold of a step, in an output folder or without."""


class Steps:
    """The steps of one fit, whose folder is claimed for this process. `close` gives it back."""

    def __init__(self, root: Path, *, fresh: bool = False) -> None:
        """Raises ResourceError if another run fits this model, or the folder can't be made."""
        self.root = root
        self._folder = JobFolder(root)
        self._folder.claim()
        self._store = open_store(str(root))
        self._number = -1  # of the step at hand
        self._found = 0
        if (fresh and FRESH not in self._store.files(f"{JOB}/{STEPS}")) or not Path(root, JOB, STEPS).is_dir():
            for log in (EVENTS, LOG, OLD_LOG, REPORT):  # of another fit
                self._store.remove(log)
        self.entry: HistoryEntry | None = None
        """All steps are one entry of the history."""
        self._follows = True  # what is kept belongs to this fit, as far as it has come
        if fresh and FRESH not in self._store.files(f"{JOB}/{STEPS}"):
            self._store.remove(f"{JOB}/{STEPS}")
            write_whole(self._store, FRESH, b"")

    def run(self, job: Fold, dataset: Dataset, settings: Settings, run_fold: RunFold) -> Result:
        """The next step's result: the one that was kept, or of `run_fold`, which is kept then."""
        from mapreduce.storage.block_cache import CachedFormat

        self._number += 1
        origin = describe(job, dataset, settings)
        kept = self._find(origin)
        if kept is not None:
            self._found += 1
            return kept
        if self._follows:
            self._follows = False
            if self._found:
                steps = f"{self._found} steps were" if self._found > 1 else "1 step was"
                logger.warning("resuming: %s finished by an earlier run", steps)
        is_short = isinstance(dataset.format, CachedFormat)
        result = run_fold(None if is_short else Path(self._store.locate(self._path)))
        if settings.skip_bad_records:
            from mapreduce.dataflow.skipped_records import keep_skipped

            keep_skipped(result.folder, self.root)
        self._keep(origin, result.value)
        result.output = None  # it goes with the step
        return result

    def finish(self) -> None:
        """The model is there: nothing is kept any more."""
        self._folder.remove_job_files()

    def fail(self, error: BaseException) -> None:
        """The fit ends by this exception; what is kept stays."""
        if self.entry is not None:
            self.entry.end_by(error)

    def close(self) -> None:
        """Let go of the folder. A second call is harmless."""
        if self.entry is not None:
            self.entry.close()
        self._folder.release()

    @property
    def _path(self) -> str:
        return f"{JOB}/{STEPS}/{self._number:05d}"

    def _find(self, origin: Origin) -> Result | None:
        """The result of the step at hand, if it is kept and made from the same."""
        from mapreduce.dataflow.package import load_value

        path = f"{self._path}.value"
        if not self._follows or path not in self._store.files(f"{JOB}/{STEPS}"):
            return None
        header, _, body = self._store.read(path, 0, self._store.size(path)).partition(b"\n")
        reasons = _why_not(header, body, origin)
        if reasons:
            self._forget_the_rest(reasons)
            return None
        result = Result(self.root, "records", temporary=False, outcome=None)
        result.value, result.output = load_value(body), None
        return result

    def _keep(self, origin: Origin, value: Any) -> None:
        """Keep the value of the step at hand, and forget how it was made. Raises ResourceError."""
        from mapreduce.dataflow.package import dump_value

        body = dump_value(value)
        header = json.dumps({"origin": origin.to_json(), "crc32": crc32(body)})
        write_whole(self._store, f"{self._path}.value", header.encode() + b"\n" + body, sync=True)
        self._store.remove(self._path)

    def _forget_the_rest(self, reasons: list[str]) -> None:
        self._follows = False
        how = f"going on from step {self._found + 1}" if self._found else "starting afresh"
        logger.warning("an earlier fit to %s did not finish; %s: %s", self.root, how, "; ".join(reasons))
        needed = {FRESH, *(f"{JOB}/{STEPS}/{number:05d}.value" for number in range(self._found))}
        for path in self._store.files(f"{JOB}/{STEPS}"):
            if path not in needed:
                self._store.remove(path)


def _why_not(header: bytes, body: bytes, now: Origin) -> list[str]:
    """Why a kept value is no good; empty if it is."""
    from mapreduce.dataflow.origin import changes, origin_from_json

    try:
        page = json.loads(header)
        then = origin_from_json(page["origin"])
        whole = page["crc32"] == crc32(body)
    except (ValueError, KeyError, TypeError):
        then, whole = None, False
    if then is None or not whole:
        return ["what it kept is damaged, or of another version"]
    return changes(then, now)
