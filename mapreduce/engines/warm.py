"""What will the workers of this job need that can be made ready while it is planned?

Modules that take a moment to import, and compiled loops. These are compiled once for a machine and kept. A small job
takes the library path where they are not there yet, with the same answer; a large one has them compiled first, in a
process of its own.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

from mapreduce.dataflow.warm_up import takes_columns
from mapreduce.formats.base import Format
from mapreduce.settings import MiB

logger = logging.getLogger(__name__)

COMPILE_FROM_BYTES = 64 * MiB
"""Compiling a group takes 1 to 3 seconds, about what the library path loses on so much input."""

COMPILE_SECONDS = 120


def kernels_for(job: Any, format: Format) -> tuple[str, ...]:
    """Groups of kernels that a job on this format may call."""
    table = ("csv", "decimals")
    wanted: tuple[str, ...] = {"csv": table, "tsv": table, "fixed": ("records",)}.get(format.name, ())
    if hasattr(job, "map_block") or takes_columns(job):
        wanted += ("hashes", "groups")
    if takes_columns(job) or (format.name == "text" and hasattr(job, "map_block")):
        wanted += ("words",)
    if takes_columns(job) and not hasattr(job, "map_block"):
        wanted += ("pairs",)
    return wanted + tuple(getattr(job, "kernels", ()))


def compile_kernels(job: Any, format: Format, input_bytes: int) -> None:
    """See that the kernels of a large job are there. Never fails: without them the answer is the same."""
    if input_bytes < COMPILE_FROM_BYTES:
        return
    from mapreduce import kernels

    if not kernels.kernels_wanted():
        return
    missing = [group for group in kernels_for(job, format) if not kernels.is_stored(group)]
    if not missing:
        return
    import subprocess

    logger.info("compiling inner loops for this machine, once: %s", ", ".join(missing))
    try:
        done = subprocess.run(
            [sys.executable, "-m", "mapreduce.kernels", *missing],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMPILE_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        logger.warning("inner loops were not compiled (%s); the library path gives the same answers", error)
        return
    for line in (done.stdout + done.stderr).splitlines():
        logger.debug("%s", line)
