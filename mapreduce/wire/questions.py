"""How are a client's questions, and the tracker's answers, written? As a page of JSON and a piece of bytes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from mapreduce.dataclass import dataclass
from mapreduce.errors import WireError
from mapreduce.wire.messages import Frame, parse_json

MOST_PAGE_BYTES = 4 << 20
"""A thousand jobs with long names and reasons."""

MOST_PIECE_BYTES = 4 << 20
"""Of a file or a log that one answer carries."""


@dataclass(frozen=True, slots=True)
class Page:
    """What was asked or answered, and the bytes with it."""

    words: dict[str, Any]
    blob: bytes


def encode_page(words: dict[str, Any], blob: bytes = b"") -> tuple[Frame, ...]:
    return json.dumps(words).encode(), blob


def decode_page(body: Sequence[Frame]) -> Page:
    """The inverse of `encode_page`. Raises WireError for anything else."""
    if len(body) != 2 or len(body[0]) > MOST_PAGE_BYTES:
        raise WireError("a question or answer is a page and a piece of bytes")
    words = parse_json(body[0], "a page")
    if not isinstance(words, dict):
        raise WireError("a page is a JSON object")
    return Page(words, bytes(body[1]))
