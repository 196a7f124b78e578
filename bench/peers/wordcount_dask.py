"""Dask's bag on two processes."""

import sys
from pathlib import Path

import dask
import dask.bag


def main() -> None:
    source, output = sys.argv[1:]
    with dask.config.set(scheduler="processes", num_workers=2):
        counts = dask.bag.read_text(source, blocksize="16MiB").str.split().flatten().frequencies().compute()
    Path(output).write_text("".join(f"{word}\t{n}\n" for word, n in counts))


if __name__ == "__main__":
    main()
