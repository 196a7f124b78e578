"""Does security.md name tests that there are, and files that keep its promises?"""

from __future__ import annotations

import re

import pytest

from tests.docs.test_reference import DOCS, page, rows, section

PROMISES = rows(section("security.md", "Where each promise is kept and tested"))


@pytest.mark.parametrize("promise", [name for name in PROMISES if name not in ("promise", "---")])
def test_a_promise_is_kept_and_tested(promise: str) -> None:
    kept, tested = PROMISES[promise]
    root = DOCS.parent
    assert [name for name in re.findall(r"`([\w/]+\.py)`", kept) if not (root / "mapreduce" / name).is_file()] == []
    tests = re.findall(r"`([\w/.]+)::(\w+)`", tested)
    assert tests
    for file, name in tests:
        assert f"def {name}(" in (root / file).read_text(encoding="utf-8"), f"{file}::{name}"


def test_bounds_are_those_of_the_code() -> None:
    from mapreduce.wire import messages, port, transport

    text = page("security.md")
    assert f"a message ({transport.MAX_MESSAGE_BYTES >> 20} MiB;" in text
    assert f"({messages.MAX_FRAMES:,})" in text and f"({messages.MAX_WORDS_BYTES >> 20} MiB, JSON" in text
    assert f"({transport.QUEUE_MESSAGES:,} messages)" in text
    assert f"a handshake ({port.HANDSHAKE_SECONDS:g} s)" in text
