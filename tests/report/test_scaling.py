"""Does the arithmetic of scaling agree with the papers' own figures?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapreduce.errors import UsageError
from mapreduce.report.scaling import amdahl, karp_flatt, measured_fraction, measured_speedup


def test_amdahl_of_four_workers_and_nine_tenths() -> None:
    assert amdahl(0.9, 4) == pytest.approx(3.076923076923077, rel=1e-15)
    assert amdahl(0.95, 1 << 40) == pytest.approx(20.0)
    assert amdahl(1.0, 64) == 64.0
    assert amdahl(0.0, 64) == 1.0


@given(st.floats(0.0, 1.0), st.integers(2, 4096))
def test_karp_flatt_inverts_amdahl(p: float, n: int) -> None:
    serial = karp_flatt(amdahl(p, n), n)
    assert serial == pytest.approx(1 - p, abs=1e-9)


@given(st.floats(0.0, 1.0), st.integers(1, 4096))
def test_amdahl_never_beats_n_nor_falls_below_one(p: float, n: int) -> None:
    assert 1.0 - 1e-12 <= amdahl(p, n) <= n * (1 + 1e-12)


def test_karp_flatt_of_one_worker_is_undefined() -> None:
    assert karp_flatt(1.0, 1) is None


def test_measured_fraction() -> None:
    assert measured_fraction(9.0, 1.0) == 0.9
    assert measured_fraction(0.0, 1.0) == 0.0
    assert measured_fraction(0.0, 0.0) is None


def test_measured_speedup() -> None:
    assert measured_speedup(9.0, 1.0, 5.0) == 2.0
    assert measured_speedup(9.0, 1.0, 0.0) is None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: amdahl(1.2, 4), "a parallel fraction of 1.2; it lies between 0 and 1"),
        (lambda: amdahl(0.5, 0), "0 workers; there is at least 1"),
        (lambda: karp_flatt(0.0, 2), "a speed-up of 0.0; it must be above 0"),
        (lambda: karp_flatt(1.0, 0), "0 workers; there is at least 1"),
    ],
)
def test_nonsense_is_refused(call: object, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        call()  # type: ignore[operator]
    assert str(caught.value) == message
