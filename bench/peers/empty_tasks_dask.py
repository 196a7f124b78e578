"""Dask distributed: two worker processes; when does the first task start, and how many empty ones a second?"""

import json
import sys
import time
from pathlib import Path

from distributed import Client


def nothing(_: int) -> None:
    return None


def now() -> float:
    return time.time()


def main() -> None:
    source, output = sys.argv[1:]
    tasks = len(Path(source).read_bytes().splitlines())
    with Client(n_workers=2, threads_per_worker=1, dashboard_address=None) as client:
        first = client.submit(now).result()
        started = time.perf_counter()
        client.gather(client.map(nothing, range(tasks)))
        seconds = time.perf_counter() - started
    Path(output).write_text(json.dumps({"first_task": first, "seconds_a_task": seconds / tasks}))


if __name__ == "__main__":
    main()
