"""Where does each file of a job lie?

```text
<output>/
  part-00000.tsv ...            what reduce task 0 wrote; <name>/part-00000.tsv for a further output
  _SUCCESS  _manifest.json      the job is complete; how it was made
  _events.jsonl                 what happened: attempts, failures, losses, times; kept whichever way the job ended
  _log                          what workers printed and logged, tagged by task; not there if nothing was
  _report.html                  what `mapreduce report` drew of it
  _skipped/part-00007.jsonl     records of split 7 that were skipped, with place and error
  _job/                         what is needed only until then
    made.json                   what the output is made from: a run goes on only if that has not changed
    journal                     the tracker's events
    state                       large data of the job itself, which workers map; not there if it has none
    lock                        who runs this job
    segments/0-7-0.seg          what attempt 0 of map task 0:7 wrote, for all partitions
    partials/0-7-0.partial      what a fold's attempt returned, if large
    attempts/0-7-0.run-0        a sorted run that a map attempt spilled
    attempts/0-7-0.note         the record that it is at, in jobs that skip bad records
    attempts/0-7-0.skipped      those that it left out
    attempts/1-2-0/             an attempt's own folder: parts not yet committed
    steps/0/                    the output of a chain's first job, which is an output folder of its own
```

Names are relative to the output folder, and hold the attempt: two attempts of a task never write the same file.
"""

from __future__ import annotations

from mapreduce.dataclass import dataclass
from mapreduce.ids import AttemptId

JOB = "_job"
SUCCESS = "_SUCCESS"
MANIFEST = "_manifest.json"
MADE = f"{JOB}/made.json"
STEPS = "steps"
EVENTS = "_events.jsonl"
LOG = "_log"
OLD_LOG = "_log.1"
REPORT = "_report.html"
SKIPPED = "_skipped"


@dataclass(frozen=True, slots=True)
class JobPaths:
    """Paths of a job's files relative to its folder `root`."""

    root: str

    @property
    def job(self) -> str:
        return JOB

    @property
    def journal(self) -> str:
        return f"{JOB}/journal"

    @property
    def state(self) -> str:
        return f"{JOB}/state"

    @property
    def lock(self) -> str:
        return f"{JOB}/lock"

    @property
    def manifest(self) -> str:
        return MANIFEST

    def segment(self, attempt: AttemptId) -> str:
        return f"{JOB}/segments/{attempt_name(attempt)}.seg"

    def partial(self, attempt: AttemptId) -> str:
        return f"{JOB}/partials/{attempt_name(attempt)}.partial"

    def attempt(self, attempt: AttemptId) -> str:
        """The attempt's own folder."""
        return f"{JOB}/attempts/{attempt_name(attempt)}"

    def spill(self, attempt: AttemptId, number: int) -> str:
        return f"{JOB}/attempts/{attempt_name(attempt)}.run-{number}"

    def note(self, attempt: AttemptId) -> str:
        """Which record the attempt is at, for those who come after it if that kills it."""
        return f"{JOB}/attempts/{attempt_name(attempt)}.note"

    def skipped(self, attempt: AttemptId) -> str:
        """The records that the attempt left out."""
        return f"{JOB}/attempts/{attempt_name(attempt)}.skipped"

    def skipped_part(self, index: int) -> str:
        """The records of split `index` that were left out."""
        return f"{SKIPPED}/part-{index:05d}.jsonl"

    def step(self, number: int) -> str:
        """The output folder of a chain's job, but its last."""
        return f"{JOB}/{STEPS}/{number}"

    def part(self, index: int, suffix: str, output: str = "") -> str:
        """The part of reduce task `index`; `suffix` with its dot; `output` is the name of a further output."""
        name = f"part-{index:05d}{suffix}"
        return f"{output}/{name}" if output else name


def attempt_name(attempt: AttemptId) -> str:
    """What the names of an attempt's files begin with."""
    return f"{attempt.task.stage}-{attempt.task.index}-{attempt.number}"
