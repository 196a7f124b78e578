"""The command with something changed in it: `patched.py [NAME=VALUE]... [--clock S] [--at N COMMAND] -- ARGUMENTS`.

NAME=VALUE      a constant of a module, such as mapreduce.engines.meeting.SILENCE_SECONDS=1.5, or the default of an
                argument by keyword, such as mapreduce.engines.hub.Hub:lonely_seconds=2.0
--clock S       the wall clock of this process, and of those it forks, is so many seconds ahead
--at N COMMAND  a shell command before the n-th record of the journal is written; $$ of it is a child of ours
"""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
import time


def put(name: str, value: str) -> None:
    name, _, argument = name.partition(":")
    module, _, attribute = name.rpartition(".")
    there = importlib.import_module(module)
    if argument:
        defaults = getattr(there, attribute).__init__.__kwdefaults__
        assert argument in defaults
        defaults[argument] = ast.literal_eval(value)
        return
    getattr(there, attribute)  # a constant that is not there any more is a test that tests nothing
    setattr(there, attribute, ast.literal_eval(value))


def put_clock_forward(seconds: float) -> None:
    now, now_ns = time.time, time.time_ns
    time.time = lambda: now() + seconds
    time.time_ns = lambda: now_ns() + int(seconds * 1e9)


def do_at_record(number: int, command: str) -> None:
    from mapreduce.tracker.events import Event
    from mapreduce.tracker.journal import JournalWriter

    append, count = JournalWriter.append, 0

    def counting(self: JournalWriter, event: Event) -> None:
        nonlocal count
        count += 1
        if count == number:
            subprocess.run(["sh", "-c", command], check=True)
        append(self, event)

    JournalWriter.append = counting  # type: ignore[method-assign]


def main(words: list[str]) -> None:
    while (word := words.pop(0)) != "--":
        if word == "--clock":
            put_clock_forward(float(words.pop(0)))
        elif word == "--at":
            do_at_record(int(words.pop(0)), words.pop(0))
        else:
            put(*word.split("=", 1))
    from mapreduce.cli.main import main as command

    sys.argv = ["mapreduce", *words]
    sys.exit(command())


if __name__ == "__main__":
    main(sys.argv[1:])
