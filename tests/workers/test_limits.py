"""When may memory be the reason of a worker's end?"""

from __future__ import annotations

from mapreduce.settings import MiB
from mapreduce.workers.limits import is_much


def test_over_half_of_the_limit_or_the_machine_is_much() -> None:
    assert not is_much(400 * MiB, 1000 * MiB)
    assert is_much(600 * MiB, 1000 * MiB)
    assert not is_much(1 * MiB, 0)
    assert is_much(1 << 60, 0)
    assert is_much(1 << 59, 1 << 60)  # the machine has less than the limit
