"""Is the record that a failure names the one whose `map` was at fault?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import mapreduce as mr

RECORDS = list(range(100))
BAD = 37


class Bad(mr.Job):
    """At one record its second item is no pair, or raises. Its reducer has all pairs taken in chunks."""

    reduce: Any = mr.Identity()

    def __init__(self, bad: str) -> None:
        self.bad = bad

    def map(self, number: int) -> Iterator[Any]:
        yield number, 1
        if number == BAD:
            if self.bad == "raises":
                raise LookupError("not this one")
            yield mr.Named("rejects", number, 1) if self.bad == "named" else number


class BadSum(Bad):
    reduce = mr.Sum()


class BadCollect(Bad):
    reduce = mr.Collect()


@pytest.mark.parametrize("job", [Bad, BadSum, BadCollect])
@pytest.mark.parametrize("bad", ["raises", "number", "named"])
def test_the_record_at_fault_is_named(job: type[Bad], bad: str) -> None:
    with pytest.raises(mr.JobError) as caught:
        mr.run(job(bad), mr.from_records(RECORDS), engine="inline", max_attempts=1)
    assert caught.value.failure is not None
    assert caught.value.failure.record == str(BAD)
    assert str(BAD) in str(caught.value.failure.place)


def test_a_named_pair_belongs_in_reduce() -> None:
    with pytest.raises(mr.JobError, match=r"Bad\.map yielded mr\.Named; that belongs in reduce"):
        mr.run(Bad("named"), mr.from_records(RECORDS), engine="inline", max_attempts=1)
