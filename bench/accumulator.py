"""What does exactness cost where the sums are made? Rows a second of the accumulator alone, beside plain GEMM.

`python -m bench accumulator`: blocks of 21 columns on one core, one thread of BLAS; the best of the rounds. "decimals"
are numbers of CSV text as they are, "floats" are any float64. Parsing stands apart: text has to be read either way.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROWS, COLUMNS, BLOCK_BYTES = 200_000, 21, 1 << 20


def table(rounds: int) -> str:
    """Measured in a process of its own, whose BLAS has one thread."""
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "bench.accumulator", str(rounds)]
    done = subprocess.run(command, check=True, env=environment, stdout=subprocess.PIPE, text=True, timeout=1800)
    seconds: dict[str, float] = json.loads(done.stdout)
    plain = seconds["floats: plain GEMM"]
    lines = [
        f"### The accumulator alone, {COLUMNS} columns, one core",
        "",
        "| what | rows a second | time of plain GEMM / its time |",
        "|---|---:|---:|",
    ]
    for name, value in seconds.items():
        lines.append(f"| {name} | {ROWS / value / 1e6:.2f} million | {plain / value:.3f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    import numpy as np

    import mapreduce as mr
    from algorithms.sums import ExactGram

    draw = np.random.default_rng(1)
    decimals = draw.integers(-99_999, 99_999, (ROWS, COLUMNS)) / 1000
    floats = draw.normal(size=(ROWS, COLUMNS))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.csv")
        head = ",".join(f"x{number}" for number in range(COLUMNS))
        np.savetxt(path, decimals, fmt="%.3f", delimiter=",", header=head, comments="")
        planned = mr.read_csv(path, target=f"x{COLUMNS - 1}").plan(None)
        blocks = [block for split in planned.splits for block in planned.format.read_blocks(split, BLOCK_BYTES)]
        step = len(blocks[0])
        pieces = [floats[start : start + step] for start in range(0, ROWS, step)]
        slices = [block.exact() for block in blocks]
        best = {
            "floats: plain GEMM": lambda: [Z.T @ Z for Z in pieces],
            "decimals: exact sums of slices": lambda: [ExactGram.of(Z) for Z in slices],
            "floats: slices and exact sums": lambda: [ExactGram.of(Z) for Z in pieces],
            "CSV text to floats": lambda: [(block.select(range(len(block))).X) for block in blocks],
            "CSV text to slices": lambda: [block.select(range(len(block))).exact() for block in blocks],
        }
        rounds = int(sys.argv[1])
        print(json.dumps({name: min(_seconds(work) for _ in range(rounds)) for name, work in best.items()}))


def _seconds(work: Callable[[], Any]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


if __name__ == "__main__":
    main()
