"""What does `python -m mapreduce` do? The same as the command `mapreduce`."""

from __future__ import annotations

import sys

from mapreduce.cli.main import command

if __name__ == "__main__":
    sys.exit(command())
