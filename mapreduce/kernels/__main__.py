"""What does `python -m mapreduce.kernels [GROUP...]` do? It compiles the kernels now, not in the first large job."""

from __future__ import annotations

import sys
import time

from mapreduce.kernels.catalogue import GROUPS
from mapreduce.kernels.load import compile_now, kernels_wanted


def main(groups: list[str]) -> int:
    unknown = [group for group in groups if group not in GROUPS]
    if unknown:
        print(f"no kernel group {unknown[0]!r}; known: {', '.join(GROUPS)}", file=sys.stderr)
        return 2
    if not kernels_wanted():
        print("MAPREDUCE_KERNELS=off: nothing to do")
        return 0
    for group in groups or GROUPS:
        started = time.perf_counter()
        outcome = compile_now(group)
        print(f"{group}: {outcome}, {time.perf_counter() - started:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
