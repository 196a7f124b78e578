"""What does `python -m mapreduce` do? The same as the command `mapreduce`."""

from __future__ import annotations

import sys

from mapreduce.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
