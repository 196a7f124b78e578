"""Are the hashes zlib's and Python's own?"""

from __future__ import annotations

import zlib

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mapreduce.kernels import hash_int64, hash_strings
from mapreduce.kernels.load import available

relaxed = settings(deadline=None, max_examples=150)  # a process's first call loads object code


@pytest.mark.parametrize("path", ["compiled", "off"])
def test_strings_hash_as_crc32(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAPREDUCE_KERNELS", path)
    available("hashes", compile=True)

    @relaxed
    @given(st.lists(st.text(max_size=40)), st.integers(0, 3))
    @example([], 0)
    def check(strings: list[str], skip: int) -> None:
        expected = [zlib.crc32(s.encode()) for s in strings[skip:]]
        for kind in (pa.string(), pa.large_string()):
            assert hash_strings(pa.array(strings, kind)[skip:]).tolist() == expected

    check()
    assert hash_strings(pa.array([b"\xff", b""])).tolist() == [zlib.crc32(b"\xff"), 0]


@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(-5, 5)))
@example([-1, -(2**63), 2**63 - 1, 2**61 - 1, 2**61, 2**61 - 2, -(2**61), 1 - 2**61, 0, -(2**62)])
def test_integers_hash_as_in_python(values: list[int]) -> None:
    assert hash_int64(values).tolist() == [hash(value) for value in values]


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="1 nulls"):
        hash_strings(pa.array(["a", None]))
    with pytest.raises(ValueError, match="an array of int64"):
        hash_strings(pa.array([1]))
