"""Ray: two CPUs; when does the first task start, and how many empty ones a second?"""

import json
import sys
import time
from pathlib import Path

import ray


@ray.remote
def nothing() -> None:
    return None


@ray.remote
def now() -> float:
    return time.time()


def main() -> None:
    source, output = sys.argv[1:]
    tasks = len(Path(source).read_bytes().splitlines())
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    first = ray.get(now.remote())
    started = time.perf_counter()
    ray.get([nothing.remote() for _ in range(tasks)])
    seconds = time.perf_counter() - started
    Path(output).write_text(json.dumps({"first_task": first, "seconds_a_task": seconds / tasks}))
    ray.shutdown()


if __name__ == "__main__":
    main()
