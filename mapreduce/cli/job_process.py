"""What is the process that a tracker starts for a job? `... -m mapreduce.cli.job_process FOLDER WORKERS [LISTEN KEY]`.

It runs the job and says on standard error, which is the job's log, what `mapreduce run` would say. Its exit code is
that of the command.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mapreduce.cli.main import INTERRUPTED, TERMINATED
from mapreduce.cli.messages import say, show_error

if TYPE_CHECKING:
    from mapreduce.tracker.outcome import JobOutcome


def main(arguments: Sequence[str]) -> int:
    """Run the job of the folder; returns the exit code. Raises nothing."""
    from mapreduce.engines.remote import LAST_WORDS
    from mapreduce.logs import configure
    from mapreduce.report.lines import LineReporter
    from mapreduce.report.summary import merge_summaries, summarise
    from mapreduce.service.runner import Place, die_with_parent, run_kept_job, take_control
    from mapreduce.tracker.observer import Observer, Observers

    outcomes: list[JobOutcome] = []

    class Endings(Observer):
        def finished(self, outcome: JobOutcome) -> None:
            outcomes.append(outcome)

    control = take_control()
    die_with_parent()
    configure(0)
    place = Place(Path(arguments[0]), int(arguments[1]), *arguments[2:])
    try:
        run_kept_job(place, control, Observers([LineReporter(sys.stderr), Endings()]))
    except KeyboardInterrupt:
        return INTERRUPTED
    except SystemExit:
        say("stopped")
        return TERMINATED
    except Exception as error:
        say(LAST_WORDS)
        return show_error(error, getattr(error, "exit_code", 2 if isinstance(error, OSError) else 1))
    say(LAST_WORDS)
    if (summary := merge_summaries([summarise(outcome, control.workers) for outcome in outcomes])) is not None:
        say(summary.to_text())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
