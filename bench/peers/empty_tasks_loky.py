"""loky: two reusable processes; when does the first task start, and how many empty ones a second?"""

import json
import sys
import time
from pathlib import Path

from loky import get_reusable_executor


def nothing(_: int) -> None:
    return None


def now(_: int) -> float:
    return time.time()


def main() -> None:
    source, output = sys.argv[1:]
    tasks = len(Path(source).read_bytes().splitlines())
    executor = get_reusable_executor(max_workers=2)
    first = executor.submit(now, 0).result()
    started = time.perf_counter()
    for _ in executor.map(nothing, range(tasks)):
        pass
    seconds = time.perf_counter() - started
    Path(output).write_text(json.dumps({"first_task": first, "seconds_a_task": seconds / tasks}))


if __name__ == "__main__":
    main()
